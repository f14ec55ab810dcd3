"""The parts of a time plot that several figures share: marks above, spans inside, bands below, the time axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from netsim.observe.plot import style
from netsim.observe.plot.values import Band, Mark, Span, Stretch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK_ROW = 56
"""Height of one row of mark labels, in pixels."""
MARK_ROWS = 3
SPAN_ROW = 42
BAND, BAND_PITCH = 32, 44

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


class Placed(NamedTuple):
    """A mark with the row (0 lowest) and the pixel its label is centred at; row -1: no room for a label."""

    mark: Mark
    row: int
    center: float


def x_pixel(t: float, duration: float) -> float:
    """Return where an instant lies on the time axis."""
    return style.LEFT + (style.RIGHT - style.LEFT) * t / duration


def place_marks(marks: Sequence[Mark], duration: float) -> list[Placed]:
    """Find each label the lowest row where it touches no other; after MARK_ROWS rows a mark keeps only its line."""
    right_of = [0.0] * MARK_ROWS
    out: list[Placed] = []
    for mark in sorted(marks, key=lambda m: m.t):
        width = max(style.text_width(mark.title, style.MARK, bold=True), style.text_width(mark.note, style.NOTE))
        x = x_pixel(mark.t, duration)
        center = min(max(x, 20 + width / 2), style.WIDTH - 20 - width / 2)
        row = next((r for r in range(MARK_ROWS) if right_of[r] <= center - width / 2 - 18), -1)
        if row >= 0:
            right_of[row] = center + width / 2
        out.append(Placed(mark, row, center))
    return out


def mark_rows(placed: Iterable[Placed]) -> int:
    """Return how many rows of labels are used."""
    return max((p.row for p in placed), default=-1) + 1


def draw_marks(figure: Figure, placed: Sequence[Placed], duration: float, first_row: float, bottom: float) -> None:
    """Draw dashed lines down to `bottom` and the labels; the lowest row's title is centred at `first_row` pixels."""
    from matplotlib.lines import Line2D

    height = figure.get_figheight() * style.DPI
    for mark, row, center in placed:
        color = style.TONES[mark.tone]
        title_y = first_row - max(row, 0) * MARK_ROW
        top = title_y + (49 if mark.note else 22)
        x = x_pixel(mark.t, duration) / style.WIDTH
        line = Line2D([x, x], [1 - top / height, 1 - bottom / height], color=color, lw=1.3, ls=(0, (4, 2.2)), zorder=5)
        line.set_gid("mark")
        figure.add_artist(line)
        if row < 0:
            line.set_linewidth(0.8)
            continue
        box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"}
        style.text_at(
            figure, center, title_y, mark.title, style.MARK, color, ha="center", weight="bold", bbox=box, zorder=6
        )
        if mark.note:
            style.text_at(
                figure, center, title_y + 27, mark.note, style.NOTE, style.MUTED, ha="center", bbox=box, zorder=6
            )
    hidden = sum(1 for p in placed if p.row < 0)
    if hidden:
        text = f"{hidden} more event{'s' if hidden > 1 else ''} without label"
        style.text_at(figure, style.WIDTH - 40, 84, text, style.NOTE, style.MUTED, ha="right")


def span_rows(spans: Sequence[Span], duration: float) -> list[int]:
    """Return the row (0 highest) of each span, so that neither arrows nor labels touch."""
    right_of: list[float] = []
    rows: list[int] = []
    for span in spans:
        left, right = _span_extent(span, duration)
        row = next((r for r, edge in enumerate(right_of) if edge <= left - 12), len(right_of))
        if row == len(right_of):
            right_of.append(0.0)
        right_of[row] = right
        rows.append(row)
    return rows


def _span_extent(span: Span, duration: float) -> tuple[float, float]:
    half = style.text_width(span.label, style.NOTE + 0.5) / 2
    left, right = x_pixel(span.start, duration), x_pixel(span.stop, duration)
    return min(left, (left + right) / 2 - half), max(right, (left + right) / 2 + half)


def draw_spans(figure: Figure, spans: Sequence[Span], rows: Sequence[int], duration: float, top: float) -> None:
    """Draw double arrows with a label above each; the first row's arrow is at `top` pixels."""
    from matplotlib.patches import FancyArrowPatch

    height = figure.get_figheight() * style.DPI
    for span, row in zip(spans, rows, strict=True):
        y = top + row * SPAN_ROW
        left, right = x_pixel(span.start, duration), x_pixel(span.stop, duration)
        ends = (left / style.WIDTH, 1 - y / height), (right / style.WIDTH, 1 - y / height)
        arrow = FancyArrowPatch(
            *ends, arrowstyle="<->", mutation_scale=8, lw=1.0, color=style.INK, shrinkA=0, shrinkB=0, zorder=7,
            transform=figure.transFigure,
        )  # fmt: skip
        arrow.set_gid("span")
        figure.add_artist(arrow)
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        style.text_at(
            figure, (left + right) / 2, y - 18, span.label, style.NOTE + 0.5, style.INK, ha="center", bbox=box, zorder=7
        )


def merge_stretches(stretches: Sequence[Stretch], least: float) -> list[Stretch]:
    """Join neighbours shorter than `least` seconds (a pixel) into one that shows the worst of them."""
    out: list[Stretch] = []
    small = False
    for stretch in stretches:
        short = stretch.stop - stretch.start < least
        if short and small and out[-1].stop - out[-1].start < least:
            last = out[-1]
            worse = style.SEVERITY.get(stretch.state, 0) > style.SEVERITY.get(last.state, 0)
            out[-1] = Stretch(start=last.start, stop=stretch.stop, state=stretch.state if worse else last.state)
        else:
            out.append(stretch)
        small = short
    return out


def _drawing_order(stretch: Stretch, pixel: float) -> int:
    """Put the narrow over the wide, and among the narrow the bad over the good."""
    return style.SEVERITY[stretch.state] if stretch.stop - stretch.start < 3 * pixel else -1


def draw_bands(figure: Figure, bands: Sequence[Band], duration: float, top: float) -> Axes:
    """Draw one band below the other from `top` on, and return their axes (x in seconds, for the time axis)."""
    from matplotlib.collections import PolyCollection

    bottom = top + BAND_PITCH * len(bands) - (BAND_PITCH - BAND)
    axes = style.axes_at(figure, style.LEFT, top, style.RIGHT, bottom)
    axes.set_xlim(0, duration)
    axes.set_ylim(bottom - top, 0)
    pixel = duration / (style.RIGHT - style.LEFT)
    for index, band in enumerate(bands):
        y = index * BAND_PITCH
        drawn = [s for s in merge_stretches(band.stretches, pixel) if s.state in style.STATES]
        corners, colors = [], []
        for stretch in sorted(drawn, key=lambda s: _drawing_order(s, pixel)):
            gap = 0.9 * pixel if stretch.stop - stretch.start > 4 * pixel else 0.0
            left = stretch.start + gap
            right = max(stretch.stop - gap, left + pixel)
            corners.append([(left, y), (right, y), (right, y + BAND), (left, y + BAND)])
            colors.append(style.STATES[stretch.state])
        collection = PolyCollection(corners, facecolors=colors, edgecolors="none", linewidths=0, zorder=3)
        collection.set_gid(f"band-{index}")
        axes.add_collection(collection)
        for stretch in drawn:
            if style.text_width(stretch.state, style.SMALL) + 10 < (stretch.stop - stretch.start) / pixel:
                dark = stretch.state in ("FAILED", "INCOMPLETE", "PERMANENT")
                axes.text(
                    (stretch.start + stretch.stop) / 2, y + BAND / 2, stretch.state, fontsize=style.SMALL, zorder=4,
                    color="white" if dark else style.INK, ha="center", va="center_baseline",
                )  # fmt: skip
        middle = top + y + BAND / 2
        left_text = style.shorten(band.left, style.LEFT - 30, style.NOTE)
        style.text_at(figure, style.LEFT - 10, middle, left_text, style.NOTE, style.MUTED, ha="right")
        right_text = style.shorten(band.right, style.WIDTH - style.RIGHT - 24, style.NOTE)
        style.text_at(figure, style.RIGHT + 18, middle, right_text, style.NOTE, style.series(band.series)[1])
    return axes


def time_ticks(duration: float) -> tuple[list[float], list[str], str]:
    """Return tick positions in seconds, their texts, and the axis label: seconds up to ten minutes, then minutes."""
    step = next((s for s in _STEPS if duration / s <= 9), duration)
    count = int(duration / step + 1e-9)
    ticks = [index * step for index in range(count + 1)]
    if duration > 600:
        return ticks, [f"{tick / 60:g}" for tick in ticks], "simulated time (min)"
    return ticks, [f"{tick:g}" for tick in ticks], "simulated time (s)"


def draw_time_axis(figure: Figure, axes: Axes, duration: float, bottom: float) -> None:
    """Put ticks under `axes`, whose lower edge is at `bottom` pixels, and the label below them."""
    ticks, texts, label = time_ticks(duration)
    axes.set_xticks(ticks, texts)
    axes.tick_params(axis="x", length=4, width=0.9, pad=4, color=style.MUTED, labelcolor=style.MUTED, labelbottom=True)
    axes.tick_params(axis="x", labelsize=style.AXIS)
    style.text_at(figure, (style.LEFT + style.RIGHT) / 2, bottom + 58, label, style.AXIS, style.MUTED, ha="center")
