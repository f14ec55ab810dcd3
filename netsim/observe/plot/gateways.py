"""The gateways plot: what went through each gateway over time, what was lost, when, and why.

Drawn from a `GatewaysData` alone. Bytes that reached their gateway are stacked from the first gateway up; bytes sent to
a gateway that did not take them lie hatched on top, in the bin of their sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from netsim.observe.plot import style, timeaxis
from netsim.observe.plot.values import Band, Mark, Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOT_HEIGHT = 404
"""Pixels between the zero line and the highest bin."""
FIRST_MARK = 145
"""Where the title of the lowest row of marks stands when there is one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySeries:
    """One gateway: octets of IP in each bin that passed it (sent and taken, or received), and that it did not take."""

    name: str
    passed: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaysData:
    """All of the picture. `subtitle` parts are joined with dots; the width of the bins drawn is added to them."""

    title: str
    subtitle: tuple[str, ...]
    duration: float
    bin_width: float
    gateways: tuple[GatewaySeries, ...]
    marks: tuple[Mark, ...] = ()
    spans: tuple[Span, ...] = ()
    bands: tuple[Band, ...] = ()
    quantity: str = "through the router"
    lost_label: str = "lost: sent to a dead gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What is drawn, in units a second: edges of the bins, each gateway's layer, the lost layer on top."""

    edges: tuple[float, ...]
    passed: tuple[tuple[float, ...], ...]
    lost: tuple[float, ...]
    unit: str

    @property
    def top(self) -> float:
        """The highest point of the stack."""
        return max((sum(layer) for layer in zip(*self.passed, self.lost, strict=True)), default=0.0)


def layers(data: GatewaysData) -> Layers:
    """Turn octets a bin into rates; bins narrower than a pixel are joined, a last bin that is cut short is scaled."""
    pixels = style.RIGHT - style.LEFT
    count = max(1, -(-round(data.duration * 1e9) // round(data.bin_width * 1e9)))
    factor = -(-count // pixels)
    width = data.bin_width * factor
    drawn = -(-count // factor)
    edges = tuple(min(index * width, data.duration) for index in range(drawn + 1))
    spans = [after - before for before, after in pairwise(edges)]

    def rates(octets: Sequence[int]) -> list[float]:
        joined = [sum(octets[index * factor : (index + 1) * factor]) for index in range(drawn)]
        return [8 * value / span if span > 0 else 0.0 for value, span in zip(joined, spans, strict=True)]

    passed = [rates(series.passed) for series in data.gateways]
    every = [rates(series.lost) for series in data.gateways]
    lost = [sum(column) for column in zip(*every, strict=True)] if every else [0.0] * drawn
    highest = max((sum(column) for column in zip(*passed, lost, strict=True)), default=0.0)
    unit, scale = next(((u, s) for u, s in (("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)) if highest >= s), ("bit", 1.0))
    return Layers(
        edges=edges,
        passed=tuple(tuple(value / scale for value in layer) for layer in passed),
        lost=tuple(value / scale for value in lost),
        unit=unit,
    )


def draw_gateways(data: GatewaysData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        stack = layers(data)
        placed = timeaxis.place_marks(data.marks, data.duration)
        rows = timeaxis.span_rows(data.spans, data.duration)
        mark_rows, span_rows = timeaxis.mark_rows(placed), max(rows, default=-1) + 1
        first_mark = FIRST_MARK + max(0, mark_rows - 1) * timeaxis.MARK_ROW
        first_span = (first_mark + 82) if mark_rows else FIRST_MARK
        highest = first_span + (span_rows * timeaxis.SPAN_ROW - 24 if span_rows else -35 if mark_rows else 0)
        zero = highest + PLOT_HEIGHT
        bands_top = zero + 27
        bottom = bands_top + timeaxis.BAND_PITCH * len(data.bands) - 12 if data.bands else zero
        legend_y = bottom + 111
        figure = style.new_figure(round(legend_y + 34))
        width = (stack.edges[1] - stack.edges[0]) if len(stack.edges) > 1 else data.bin_width
        style.heading(figure, data.title, (*data.subtitle, f"{width:g} s bins"))
        axes = _draw_stack(figure, data, stack, highest, zero)
        timeaxis.draw_marks(figure, placed, data.duration, first_mark, bottom + 6)
        timeaxis.draw_spans(figure, data.spans, rows, data.duration, first_span)
        under = timeaxis.draw_bands(figure, data.bands, data.duration, bands_top) if data.bands else axes
        timeaxis.draw_time_axis(figure, under, data.duration, bottom)
        _direct_labels(figure, data, stack, highest, zero)
        _legend(figure, data, stack, legend_y)
    return figure


def _draw_stack(figure: Figure, data: GatewaysData, stack: Layers, highest: float, zero: float) -> Axes:
    from matplotlib.ticker import MaxNLocator

    axes = style.axes_at(figure, style.LEFT, highest, style.RIGHT, zero)
    axes.set_xlim(0, data.duration)
    top = stack.top or 1.0
    axes.set_ylim(0, top)
    base = [0.0] * len(stack.lost)
    for index, layer in enumerate(stack.passed):
        upper = [low + value for low, value in zip(base, layer, strict=True)]
        patch = axes.stairs(
            upper, stack.edges, baseline=base, fill=True, color=style.series(index)[0], linewidth=0, zorder=2
        )
        patch.set_gid(f"passed-{data.gateways[index].name}")
        patch.set_antialiased(False)
        base = upper
    if any(stack.lost):
        upper = [low + value for low, value in zip(base, stack.lost, strict=True)]
        for fill in (True, False):
            patch = axes.stairs(upper, stack.edges, baseline=base, fill=True, linewidth=0, zorder=2)
            patch.set_facecolor(style.LOSS_FILL if fill else "none")
            patch.set_antialiased(not fill)
            if not fill:
                patch.set_edgecolor(style.LOSS)
                patch.set_hatch("////")
            patch.set_gid("lost" if fill else "lost-hatch")
    ticks = [tick for tick in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top) if tick <= top * 1.001]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.tick_params(axis="y", pad=4, labelcolor=style.MUTED, labelsize=style.AXIS, labelleft=True)
    for tick in ticks:
        line = axes.axhline(tick, color=style.GRID if tick else style.MUTED, lw=1.0, zorder=1, clip_on=False)
        line.set_alpha(1.0 if tick else 0.35)
        if tick:
            axes.axhline(tick, color="#e4e7eb", lw=1.0, alpha=0.6, zorder=3)
    widest = max(style.text_width(f"{tick:g}", style.AXIS) for tick in ticks)
    label = f"{stack.unit}/s {data.quantity}"
    style.text_at(
        figure,
        style.LEFT - 12 - widest - 22,
        (highest + zero) / 2,
        label,
        style.AXIS,
        style.MUTED,
        rotation=90,
        ha="center",
    )
    return axes


def _direct_labels(figure: Figure, data: GatewaysData, stack: Layers, highest: float, zero: float) -> None:
    """Name each layer at the right, at its middle over the last tenth, moved apart where they would touch."""
    last = max(1, len(stack.lost) // 10)
    scale = (zero - highest) / (stack.top or 1.0)
    base = 0.0
    wanted: list[float] = []
    for layer in stack.passed:
        mean = sum(layer[-last:]) / last
        wanted.append(zero - (base + mean / 2) * scale)
        base += mean
    for index, y in enumerate(spread(wanted, 27, highest, zero - 10)):
        name = style.shorten(data.gateways[index].name, style.WIDTH - style.RIGHT - 22, style.MARK, bold=True)
        style.text_at(figure, style.RIGHT + 18, y, name, style.MARK, style.series(index)[1], weight="bold")


def spread(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Move label positions (falling pixels, first lowest) apart to at least `gap`, between `bottom` and `top`."""
    out: list[float] = []
    for y in wanted:
        limit = out[-1] - gap if out else bottom
        out.append(min(y, limit))
    ceiling = top
    for index in range(len(out) - 1, -1, -1):
        out[index] = max(out[index], ceiling)
        ceiling = out[index] + gap
    return out


def _legend(figure: Figure, data: GatewaysData, stack: Layers, y: float) -> None:
    """List the neighbour states that occur, and what hatching means, in one row under the axis."""
    from matplotlib.patches import Rectangle

    seen = {stretch.state for band in data.bands for stretch in band.stretches}
    entries = [(state, color, "") for state, color in style.STATES.items() if state in seen]
    if any(stack.lost):
        entries.append((data.lost_label, style.LOSS_FILL, "//////"))
    height = figure.get_figheight() * style.DPI
    x = style.LEFT + 6.0
    for label, color, hatch in entries:
        box = Rectangle(
            (x / style.WIDTH, 1 - (y + 7) / height), 23 / style.WIDTH, 14 / height, transform=figure.transFigure,
            facecolor=color, edgecolor=style.LOSS if hatch else color, hatch=hatch, linewidth=0,
        )  # fmt: skip
        figure.add_artist(box)
        style.text_at(figure, x + 31, y, label, style.NOTE, style.MUTED)
        x += 31 + style.text_width(label, style.NOTE) + 25
