"""The flows plot: how much payload of each flow arrived over time, what was lost, and what TCP had to send again.

One strip a flow, each with a scale of its own; under it a lane of units lost, by their sending time, and a lane of
segments sent again. Drawn from a `FlowsData` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from netsim.observe.plot import strips, style
from netsim.observe.plot.values import Mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRIP, LANE, ZERO, GAP, PITCH = 104, 20, 12, 5, 186
BY_ACK, AT_END, AT_DELIVERY = "acknowledged", "completed", "delivered"
"""When payload counts: as TCP's receiver acknowledges it, when the whole transfer is there, as each unit arrives."""
_WORDS = MappingProxyType({BY_ACK: "as acknowledged", AT_END: "when complete", AT_DELIVERY: "as delivered"})
_RATES = (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1.0))
_SIZES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRate:
    """One flow by bin: payload octets that arrived, units lost (by sending time), segments sent again."""

    name: str
    octets: tuple[int, ...]
    counted: str = AT_DELIVERY
    lost: tuple[int, ...] = ()
    again: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsData:
    """All of the picture."""

    title: str
    subtitle: tuple[str, ...]
    duration: float
    bin_width: float
    flows: tuple[FlowRate, ...]
    marks: tuple[Mark, ...] = ()


def rates(flow: FlowRate, cells: strips.Grid) -> tuple[float, ...]:
    """Return bits a second in each drawn bin; a last bin that is cut short is scaled."""
    spans = [after - before for before, after in pairwise(cells.edges)]
    return tuple(
        8 * octets / span if span > 0 else 0.0 for octets, span in zip(cells.sums(flow.octets), spans, strict=True)
    )


def draw_flows(data: FlowsData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        cells = strips.grid(data.duration, data.bin_width)
        height = STRIP + ZERO + 2 * LANE + GAP
        figure, top, bottom = strips.frame(
            data.title, data.subtitle, data.marks, cells, height=height, pitch=PITCH, count=len(data.flows)
        )
        for index, flow in enumerate(data.flows):
            at = top + index * PITCH
            _draw_rate(figure, flow, cells, index, at)
            lanes = (("lost", flow.lost, style.LOSS), ("again", flow.again, style.INK))
            under = at + STRIP + ZERO
            for kind, counts, color in lanes:
                if any(cells.sums(counts)):
                    _draw_lane(figure, kind, flow.name, cells, counts, color, under)
                    under += LANE + GAP
        _legend(figure, data, bottom + 106)
    return figure


def _draw_rate(figure: Figure, flow: FlowRate, cells: strips.Grid, index: int, top: float) -> None:
    drawn = rates(flow, cells)
    unit, scale = strips.scaled(max(drawn), _RATES)
    highest = max(drawn) / scale
    axes = strips.strip_axes(figure, cells.edges[-1], top, top + STRIP, highest, f"{highest:.3g}")
    patch = axes.stairs(
        [value / scale for value in drawn], cells.edges, fill=True, color=style.series(index)[0], linewidth=0, zorder=2
    )
    patch.set_gid(f"goodput-{flow.name}")
    patch.set_antialiased(False)
    style.text_at(figure, style.LEFT - 16, top + STRIP / 2, unit, style.NOTE, style.MUTED, ha="right")
    total = sum(flow.octets)
    name, size = strips.scaled(total, _SIZES)
    lines = [(f"{total / size:.3g} {name}", style.MUTED)]
    if any(flow.lost):
        lines.append((f"{sum(flow.lost)} lost", style.LOSS))
    if any(flow.again):
        lines.append((f"{sum(flow.again)} again", style.INK))
    strips.label(figure, index, flow.name, lines, top + (STRIP + LANE) / 2)


def _draw_lane(
    figure: Figure, kind: str, name: str, cells: strips.Grid, counts: tuple[int, ...], color: str, top: float
) -> None:
    """Draw a bar for each bin that has any, at least three pixels wide; its height tells how many, of the most."""
    joined = cells.sums(counts)
    most = max(joined)
    duration = cells.edges[-1]
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, top + LANE)
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1)
    least = 3 * duration / (style.RIGHT - style.LEFT)
    bars = [(a, max(b - a, least), count) for (a, b), count in zip(pairwise(cells.edges), joined, strict=True) if count]
    container = axes.bar(
        [left for left, _, _ in bars], [0.3 + 0.7 * count / most for _, _, count in bars], [w for _, w, _ in bars],
        align="edge", color=color, linewidth=0, zorder=3,
    )  # fmt: skip
    for patch in container:
        patch.set_gid(f"{kind}-{name}")
        patch.set_antialiased(False)
    style.text_at(figure, style.LEFT - 16, top + LANE / 2, kind, style.NOTE, color, ha="right")


def _legend(figure: Figure, data: FlowsData, y: float) -> None:
    ways = dict.fromkeys(flow.counted for flow in data.flows)
    parts = []
    for way in ways:
        names = ", ".join(flow.name for flow in data.flows if flow.counted == way)
        parts.append(f"{names} {_WORDS[way]}" if len(ways) > 1 else _WORDS[way])
    text = "payload a second, counted: " + "; ".join(parts)
    if any(any(flow.lost) for flow in data.flows):
        text += "   ·   lost: units, when sent"
    if any(any(flow.again) for flow in data.flows):
        text += "   ·   again: TCP segments retransmitted"
    style.text_at(figure, style.LEFT, y, style.shorten(text, style.WIDTH - style.LEFT - 40, style.NOTE), style.NOTE,
                  style.MUTED)  # fmt: skip
