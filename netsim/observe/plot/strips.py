"""What the plots with one strip a flow share: bins no narrower than a pixel, the frame, labels at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from netsim.observe.plot import style, timeaxis
from netsim.observe.plot.values import Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIRST_MARK = 145


class Grid(NamedTuple):
    """How bins are joined: `factor` of them make one that is drawn, between two of `edges` (seconds)."""

    factor: int
    edges: tuple[float, ...]

    def groups(self) -> list[slice]:
        """Return which bins each drawn one is made of."""
        return [slice(index * self.factor, (index + 1) * self.factor) for index in range(len(self.edges) - 1)]

    def sums(self, values: Sequence[int]) -> tuple[int, ...]:
        """Join counts."""
        return tuple(sum(values[group]) for group in self.groups())


class Frame(NamedTuple):
    """An empty figure with marks and a time axis: where the first strip begins and the last one ends, in pixels."""

    figure: Figure
    top: float
    bottom: float


def grid(duration: float, bin_width: float) -> Grid:
    """Join bins narrower than a pixel."""
    count = max(1, -(-round(duration * 1e9) // round(bin_width * 1e9)))
    factor = -(-count // (style.RIGHT - style.LEFT))
    drawn = -(-count // factor)
    return Grid(factor, tuple(min(index * factor * bin_width, duration) for index in range(drawn + 1)))


def frame(
    title: str, subtitle: Sequence[str], marks: Sequence[Mark], cells: Grid, *, height: float, pitch: float, count: int
) -> Frame:
    """Lay out `count` strips, `height` pixels each, a new one every `pitch`; call inside `style.look()`."""
    duration = cells.edges[-1]
    placed = timeaxis.place_marks(marks, duration)
    rows = timeaxis.mark_rows(placed)
    first_mark = FIRST_MARK + max(0, rows - 1) * timeaxis.MARK_ROW
    top = first_mark + 78 if rows else FIRST_MARK
    bottom = top + pitch * max(1, count) - (pitch - height)
    figure = style.new_figure(round(bottom + 140))
    style.heading(figure, title, (*subtitle, f"{cells.edges[1] - cells.edges[0]:g} s bins"))
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, bottom)
    axes.set_xlim(0, duration)
    axes.set_yticks([])
    timeaxis.draw_marks(figure, placed, duration, first_mark, bottom + 6)
    timeaxis.draw_time_axis(figure, axes, duration, bottom)
    return Frame(figure, top, bottom)


def strip_axes(figure: Figure, duration: float, top: float, bottom: float, highest: float, text: str) -> Axes:
    """Return one strip's axes with a zero line, and `highest` written at its top as `text`."""
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, bottom)
    axes.set_xlim(0, duration)
    axes.set_ylim(0, (highest or 1.0) * 1.02)
    axes.axhline(0, color=style.MUTED, lw=1.0, alpha=0.35, clip_on=False)
    axes.set_yticks([0, highest] if highest else [0], ["0", text] if highest else ["0"])
    axes.tick_params(axis="y", pad=4, labelcolor=style.MUTED, labelsize=style.NOTE, labelleft=True)
    return axes


def label(figure: Figure, index: int, name: str, lines: Sequence[tuple[str, str]], middle: float) -> None:
    """Write a flow's name at the right, and under it lines of (text, colour)."""
    room = style.WIDTH - style.RIGHT - 22
    y = middle - 13 * len(lines)
    short = style.shorten(name, room, style.MARK, bold=True)
    style.text_at(figure, style.RIGHT + 18, y, short, style.MARK, style.series(index)[1], weight="bold")
    for at, (text, color) in enumerate(lines, start=1):
        style.text_at(figure, style.RIGHT + 18, y + 26 * at, style.shorten(text, room, style.NOTE), style.NOTE, color)


def scaled(value: float, units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """Return the first unit (name, size; falling) that `value` reaches, else the last."""
    return next(((name, size) for name, size in units if value >= size), units[-1])
