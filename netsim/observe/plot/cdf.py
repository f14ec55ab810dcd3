"""The distribution plot: what share of the runs had seen something by which time, a step curve a setting.

A curve that ends below 100 % never saw it in the other runs. The scenario's own bounds are lines, what lies outside
them is shaded: a curve that enters the shade breaks its expectation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netsim.observe.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP, HEIGHT, LINE = 140, 560, 34
_DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (8, 2, 2, 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One setting: the sorted times in seconds, and how many runs there were."""

    name: str
    total: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CdfData:
    """All of the picture. `low` and `high` are the bounds in seconds, None where there is none."""

    title: str
    subtitle: tuple[str, ...]
    curves: tuple[Curve, ...]
    low: float | None = None
    high: float | None = None


def steps(curve: Curve) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the corners of a curve: times, and the share of all runs at or below each."""
    times = (0.0, *curve.values)
    shares = tuple(100 * index / curve.total for index in range(len(times))) if curve.total else (0.0,)
    return times, shares


def limit(data: CdfData) -> float:
    """Return the right end of the time axis: room for every value and bound."""
    values = [value for curve in data.curves for value in curve.values]
    highest = max([*values, *(bound for bound in (data.low, data.high) if bound is not None)], default=1.0)
    return highest * 1.08 or 1.0


def draw_cdf(data: CdfData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        bottom = TOP + HEIGHT
        figure = style.new_figure(bottom + 110 + LINE * len(data.curves))
        style.heading(figure, data.title, data.subtitle)
        axes = style.axes_at(figure, style.LEFT, TOP, style.RIGHT, bottom)
        end = limit(data)
        axes.set_xlim(0, end)
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        axes.tick_params(labelbottom=True, labelleft=True, labelsize=style.AXIS, labelcolor=style.MUTED, pad=6)
        axes.grid(color=style.GRID, lw=1.2, zorder=0)
        axes.spines["bottom"].set(visible=True, color=style.MUTED, linewidth=0.8)
        axes.set_xlabel("seconds after the event", fontsize=style.AXIS, color=style.MUTED, labelpad=8)
        _bounds(axes, data, end)
        for index, curve in enumerate(data.curves):
            _curve(figure, axes, curve, index, end, bottom + 100 + LINE * index)
    return figure


def _bounds(axes: Axes, data: CdfData, end: float) -> None:
    for bound, start, stop, side in ((data.low, 0.0, data.low, "left"), (data.high, data.high, end, "right")):
        if bound is None or start is None or stop is None:
            continue
        axes.axvspan(start, stop, color=style.LOSS_FILL, zorder=1, lw=0)
        axes.axvline(bound, color=style.LOSS, lw=1.1, zorder=2)
        room = end * 0.008
        x = bound + room if side == "left" else bound - room
        axes.text(x, 96, f"{bound:g} s", fontsize=style.NOTE, color=style.LOSS, ha=side, va="top", zorder=4)


def _curve(figure: Figure, axes: Axes, curve: Curve, index: int, end: float, y: float) -> None:
    _, dark = style.series(index)
    times, shares = steps(curve)
    dashes = _DASHES[index % len(_DASHES)]
    line = axes.step((*times, end), (*shares, shares[-1]), where="post", color=dark, lw=2.0, ls=dashes, zorder=3)[0]
    line.set_gid(f"cdf-{index}")
    key = style.axes_at(figure, style.LEFT, y - 8, style.LEFT + 70, y + 8)
    key.set_xlim(0, 1)
    key.set_ylim(-1, 1)
    key.set_yticks([])
    key.set_xticks([])
    key.plot([0, 1], [0, 0], color=dark, lw=2.0, ls=dashes)
    style.text_at(figure, style.LEFT + 86, y, f"{curve.name}: {_words(curve)}", style.NOTE, style.INK)


def _words(curve: Curve) -> str:
    if not curve.values:
        return f"never in {curve.total} runs"
    middle = curve.values[(len(curve.values) - 1) // 2]
    never = curve.total - len(curve.values)
    said = f"{curve.values[0]:.3g} s to {curve.values[-1]:.3g} s, half by {middle:.3g} s"
    return said + (f", never in {never} of {curve.total} runs" if never else "")
