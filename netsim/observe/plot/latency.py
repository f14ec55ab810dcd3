"""The latency plot: how long each flow's units took, by the time they were sent.

One strip a flow, each with a scale of its own: a band from the least to the greatest latency of the bin, the mean as a
line through it; where nothing was delivered there is neither. Drawn from a `LatencyData` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from netsim.observe.plot import strips, style
from netsim.observe.plot.values import Mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRIP, PITCH = 118, 152
_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLatency:
    """One flow by bin of sending time: units delivered, their least, mean and greatest latency in seconds."""

    name: str
    delivered: tuple[int, ...]
    least: tuple[float, ...]
    mean: tuple[float, ...]
    greatest: tuple[float, ...]
    p50: float = 0.0
    p95: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyData:
    """All of the picture."""

    title: str
    subtitle: tuple[str, ...]
    duration: float
    bin_width: float
    flows: tuple[FlowLatency, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One drawn bin in which something was delivered, from `start` to `stop` seconds."""

    start: float
    stop: float
    least: float
    mean: float
    greatest: float


def columns(flow: FlowLatency, cells: strips.Grid) -> tuple[Column, ...]:
    """Return the bins to draw; a mean of joined bins is weighted by what was delivered in each."""
    out = []
    for (start, stop), group in zip(pairwise(cells.edges), cells.groups(), strict=True):
        counts = flow.delivered[group]
        total = sum(counts)
        if not total:
            continue
        least = min(value for value, count in zip(flow.least[group], counts, strict=True) if count)
        mean = sum(value * count for value, count in zip(flow.mean[group], counts, strict=True)) / total
        out.append(Column(start=start, stop=stop, least=least, mean=mean, greatest=max(flow.greatest[group])))
    return tuple(out)


def time_text(value: float) -> str:
    """Write a latency in the unit it reaches, with three digits."""
    unit, size = strips.scaled(value, _TIMES)
    return f"{value / size:.3g} {unit}"


def draw_latency(data: LatencyData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        cells = strips.grid(data.duration, data.bin_width)
        figure, top, bottom = strips.frame(
            data.title, data.subtitle, data.marks, cells, height=STRIP, pitch=PITCH, count=len(data.flows)
        )
        for index, flow in enumerate(data.flows):
            _draw_flow(figure, flow, cells, index, top + index * PITCH)
        text = "line: mean of each bin   ·   band: least to greatest   ·   by sending time; what was lost has none"
        style.text_at(figure, style.LEFT, bottom + 106, text, style.NOTE, style.MUTED)
    return figure


def _draw_flow(figure: Figure, flow: FlowLatency, cells: strips.Grid, index: int, top: float) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    drawn = columns(flow, cells)
    highest = max((column.greatest for column in drawn), default=0.0)
    axes = strips.strip_axes(figure, cells.edges[-1], top, top + STRIP, highest, time_text(highest))
    lines = [(f"p50 {time_text(flow.p50)}", style.MUTED), (f"p95 {time_text(flow.p95)}", style.MUTED)]
    strips.label(figure, index, flow.name, lines if drawn else [("no delivery", style.LOSS)], top + STRIP / 2)
    fill, dark = style.series(index)
    band = PolyCollection(
        [[(c.start, c.least), (c.stop, c.least), (c.stop, c.greatest), (c.start, c.greatest)] for c in drawn],
        facecolors=fill, edgecolors="none", alpha=0.45, linewidths=0, zorder=2, antialiaseds=False,
    )  # fmt: skip
    band.set_gid(f"range-{flow.name}")
    axes.add_collection(band)
    mean = LineCollection([[(c.start, c.mean), (c.stop, c.mean)] for c in drawn], colors=dark, linewidths=1.4, zorder=3)
    mean.set_gid(f"mean-{flow.name}")
    axes.add_collection(mean)
