"""The timeline plot: what became of each flow's units over time, and how long they took.

One strip a flow: sent as an outline, delivered filled, what is missing hatched; outages (stretches of bins in which all
that was sent was lost) carry their length. A tick under it is a TCP segment sent again. Below, on a strip of its own,
the greatest latency of each bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from netsim.observe.plot import style, timeaxis
from netsim.observe.plot.strips import grid
from netsim.observe.plot.values import Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIP, LATENCY, PITCH, AGAIN = 96, 44, 190, 11
FIRST_MARK = 145


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSeries:
    """One flow by bin of sending time: units sent, units delivered, greatest latency in seconds (0: none).

    `again` is TCP segments sent again, by the instant they were; empty when nobody counted.
    """

    name: str
    sent: tuple[int, ...]
    delivered: tuple[int, ...]
    latency: tuple[float, ...]
    again: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineData:
    """All of the picture."""

    title: str
    subtitle: tuple[str, ...]
    duration: float
    bin_width: float
    flows: tuple[FlowSeries, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A flow as it is drawn: bins no narrower than a pixel, and its outages in seconds."""

    edges: tuple[float, ...]
    sent: tuple[int, ...]
    delivered: tuple[int, ...]
    latency: tuple[float, ...]
    outages: tuple[tuple[float, float], ...]
    again: tuple[int, ...] = ()


def strip(flow: FlowSeries, duration: float, bin_width: float) -> Strip:
    """Join bins narrower than a pixel and find the outages (at the width of the data, not of the picture)."""
    cells = grid(duration, bin_width)
    return Strip(
        edges=cells.edges,
        sent=cells.sums(flow.sent),
        delivered=cells.sums(flow.delivered),
        latency=tuple(max(flow.latency[group], default=0.0) for group in cells.groups()),
        outages=tuple((start, min(stop, duration)) for start, stop in outages(flow, bin_width) if start < duration),
        again=cells.sums(flow.again),
    )


def outages(flow: FlowSeries, bin_width: float) -> tuple[tuple[float, float], ...]:
    """Return the stretches in which units were sent and none arrived, from the first lost bin to after the last.

    Bins in which nothing was sent belong to the outage around them.
    """
    out: list[tuple[float, float]] = []
    start = stop = -1
    for index, sent in enumerate(flow.sent):
        arrived = flow.delivered[index] if index < len(flow.delivered) else 0
        if sent and not arrived:
            start = index if start < 0 else start
            stop = index + 1
        elif arrived and start >= 0:
            out.append((start * bin_width, stop * bin_width))
            start = -1
    if start >= 0:
        out.append((start * bin_width, stop * bin_width))
    return tuple(out)


def draw_timeline(data: TimelineData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        placed = timeaxis.place_marks(data.marks, data.duration)
        rows = timeaxis.mark_rows(placed)
        first_mark = FIRST_MARK + max(0, rows - 1) * timeaxis.MARK_ROW
        top = first_mark + 78 if rows else FIRST_MARK
        bottom = top + PITCH * max(1, len(data.flows)) - (PITCH - STRIP - LATENCY - 14)
        figure = style.new_figure(round(bottom + 140))
        strips = [strip(flow, data.duration, data.bin_width) for flow in data.flows]
        width = strips[0].edges[1] - strips[0].edges[0] if strips else data.bin_width
        style.heading(figure, data.title, (*data.subtitle, f"{width:g} s bins"))
        axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, bottom)
        axes.set_xlim(0, data.duration)
        axes.set_yticks([])
        for index, (flow, drawn) in enumerate(zip(data.flows, strips, strict=True)):
            at = top + index * PITCH
            _draw_units(figure, data.duration, flow.name, drawn, index, at)
            _draw_again(figure, data.duration, flow.name, drawn, at + STRIP + 1)
            _draw_latency(figure, data.duration, drawn, index, at + STRIP + 14)
        timeaxis.draw_marks(figure, placed, data.duration, first_mark, bottom + 6)
        timeaxis.draw_time_axis(figure, axes, data.duration, bottom)
        _legend(figure, strips, bottom + 106)
    return figure


def _draw_units(figure: Figure, duration: float, name: str, drawn: Strip, index: int, top: float) -> None:
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, top + STRIP)
    highest = max((*drawn.sent, *drawn.delivered, 1))
    axes.set_xlim(0, duration)
    axes.set_ylim(0, highest * 1.02)
    fill, dark = style.series(index)
    edges = drawn.edges
    units = axes.stairs(drawn.delivered, edges, fill=True, color=fill, linewidth=0, zorder=2)
    units.set_gid(f"delivered-{name}")
    units.set_antialiased(False)
    if any(sent > arrived for sent, arrived in zip(drawn.sent, drawn.delivered, strict=True)):
        upper = [max(sent, arrived) for sent, arrived in zip(drawn.sent, drawn.delivered, strict=True)]
        lost = axes.stairs(upper, edges, baseline=drawn.delivered, fill=True, linewidth=0, zorder=2)
        lost.set_facecolor(style.LOSS_FILL)
        lost.set_edgecolor(style.LOSS)
        lost.set_hatch("////")
        lost.set_gid(f"lost-{name}")
    axes.axhline(0, color=style.MUTED, lw=1.0, alpha=0.35, clip_on=False)
    axes.set_yticks([0, highest], ["0", f"{highest:g}"])
    axes.tick_params(axis="y", pad=4, labelcolor=style.MUTED, labelsize=style.NOTE, labelleft=True)
    style.text_at(figure, style.LEFT - 62, top + STRIP / 2, "units", style.NOTE, style.MUTED, ha="right")
    label = style.shorten(name, style.WIDTH - style.RIGHT - 22, style.MARK, bold=True)
    style.text_at(figure, style.RIGHT + 18, top + STRIP / 2 - 12, label, style.MARK, dark, weight="bold")
    total, arrived, again = sum(drawn.sent), sum(drawn.delivered), sum(drawn.again)
    if total:
        share = f"{100 * arrived / total:.1f} %".replace("100.0 %", "100 %")
        style.text_at(figure, style.RIGHT + 18, top + STRIP / 2 + 14, share, style.NOTE, style.MUTED)
    if again:
        style.text_at(figure, style.RIGHT + 18, top + STRIP / 2 + 38, f"{again} again", style.NOTE, style.INK)
    _label_outages(figure, axes, drawn, duration, top)


def _label_outages(figure: Figure, axes: Axes, drawn: Strip, duration: float, top: float) -> None:
    """Write each outage's length where there is room for it."""
    right_of = 0.0
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    for start, stop in drawn.outages:
        text = f"{stop - start:.1f} s"
        middle = timeaxis.x_pixel((start + stop) / 2, duration)
        half = style.text_width(text, style.NOTE) / 2
        if middle - half - 8 < right_of or stop - start < 3 * duration / (style.RIGHT - style.LEFT):
            continue
        right_of = middle + half
        style.text_at(
            figure,
            middle,
            top + STRIP / 2,
            text,
            style.NOTE,
            style.LOSS,
            ha="center",
            weight="bold",
            bbox=box,
            zorder=6,
        )


def _draw_again(figure: Figure, duration: float, name: str, drawn: Strip, top: float) -> None:
    """Draw a tick in the gap under the strip for each bin in which segments were sent again."""
    middles = [
        (before + after) / 2 for (before, after), count in zip(pairwise(drawn.edges), drawn.again, strict=True) if count
    ]
    if not middles:
        return
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, top + AGAIN)
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1)
    ticks = axes.vlines(middles, 0, 1, colors=style.INK, linewidths=1.4, zorder=4)
    ticks.set_gid(f"again-{name}")


def _draw_latency(figure: Figure, duration: float, drawn: Strip, index: int, top: float) -> None:
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, top + LATENCY)
    highest = max(drawn.latency, default=0.0)
    axes.set_xlim(0, duration)
    axes.set_ylim(0, (highest or 1.0) * 1.1)
    points = [
        ((before + after) / 2, value)
        for (before, after), value in zip(pairwise(drawn.edges), drawn.latency, strict=True)
        if value
    ]
    if points:
        line = axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            ls="none",
            marker="o",
            ms=1.7,
            mew=0,
            color=style.series(index)[1],
        )[0]
        line.set_gid(f"latency-{index}")
        unit, scale = ("s", 1.0) if highest >= 1 else ("ms", 1e3) if highest >= 1e-3 else ("us", 1e6)
        axes.set_yticks([highest], [f"{highest * scale:.3g} {unit}"])
        axes.tick_params(axis="y", pad=4, labelcolor=style.MUTED, labelsize=style.NOTE, labelleft=True)
    axes.axhline(0, color=style.MUTED, lw=1.0, alpha=0.35, clip_on=False)
    style.text_at(figure, style.RIGHT + 18, top + LATENCY / 2, "latency", style.NOTE, style.MUTED)


def _legend(figure: Figure, strips: list[Strip], y: float) -> None:
    from matplotlib.patches import Rectangle

    height = figure.get_figheight() * style.DPI
    entries = [("delivered", style.series(0)[0], "")]
    if any(sum(s.sent) > sum(s.delivered) for s in strips):
        entries.append(("sent, not delivered", style.LOSS_FILL, "//////"))
    x = style.LEFT + 6.0
    for label, color, hatch in entries:
        box = Rectangle(
            (x / style.WIDTH, 1 - (y + 7) / height), 23 / style.WIDTH, 14 / height, transform=figure.transFigure,
            facecolor=color, edgecolor=style.LOSS if hatch else color, hatch=hatch, linewidth=0,
        )  # fmt: skip
        figure.add_artist(box)
        style.text_at(figure, x + 31, y, label, style.NOTE, style.MUTED)
        x += 31 + style.text_width(label, style.NOTE) + 25
    text = "• greatest latency of each bin"
    if any(any(drawn.again) for drawn in strips):
        text += "     |  TCP segment sent again"
    style.text_at(figure, x, y, text, style.NOTE, style.MUTED)
