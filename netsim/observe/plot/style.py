"""The look of all figures: colours, sizes, text, and saving so that two runs give the same octets.

Colours are told apart with any kind of colour vision (blue and orange first; red means loss and nothing else).
Positions are in pixels of a figure WIDTH wide, from the top left, as one reads a picture.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from netsim.files import write_bytes
from netsim.observe.plot.values import BAD, GOOD, NEUTRAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
WIDTH = 1600
LEFT, RIGHT = 179, 1464
"""The time axis, in pixels."""

INK = "#22272e"
MUTED = "#5f6873"
GRID = "#f1f3f5"
LOSS = "#b3243a"
LOSS_FILL = "#f9e3e6"

SERIES: Sequence[tuple[str, str]] = (
    ("#487fb2", "#255583"),
    ("#e6ac53", "#b17e2e"),
    ("#5aa9a0", "#256f67"),
    ("#a98bc0", "#6b4a86"),
    ("#9aa5b1", "#56616d"),
    ("#c3c05f", "#7c7a22"),
    ("#93c9e6", "#3a7ea6"),
    ("#b98a6b", "#7b5033"),
)
"""(fill, text) of each gateway or flow in turn."""

TONES: Mapping[str, str] = MappingProxyType({BAD: LOSS, GOOD: "#2e7d4f", NEUTRAL: "#5f6873"})

STATES: Mapping[str, str] = MappingProxyType({
    "PERMANENT": "#4f8f6b", "NOARP": "#c9cfd6", "REACHABLE": "#7db893", "STALE": "#d5ddc8", "DELAY": "#f3d97c",
    "PROBE": "#ee9a4d", "FAILED": LOSS, "INCOMPLETE": "#8b7fa6",
})  # fmt: skip
"""Neighbour states in the order of the legend; NONE is white."""

SEVERITY: Mapping[str, int] = MappingProxyType({
    "NONE": 0, "PERMANENT": 1, "NOARP": 1, "REACHABLE": 1, "STALE": 2, "DELAY": 3, "INCOMPLETE": 4, "PROBE": 5,
    "FAILED": 6,
})  # fmt: skip
"""Which state shows when several share a pixel."""

TITLE, SUBTITLE, MARK, NOTE, AXIS, SMALL = 14.1, 10.0, 9.7, 8.3, 9.4, 6.8
"""Font sizes in points."""

_RC: Mapping[str, Any] = MappingProxyType({
    "font.family": ["DejaVu Sans"], "hatch.linewidth": 0.8, "svg.hashsalt": "netsim", "svg.fonttype": "path",
    "axes.unicode_minus": False, "path.simplify": False,
})  # fmt: skip


def series(index: int) -> tuple[str, str]:
    """Return the fill and text colours of the index-th gateway or flow."""
    return SERIES[index % len(SERIES)]


@contextmanager
def look() -> Iterator[None]:
    """Draw (and save) inside this, so that the user's matplotlibrc changes nothing."""
    import matplotlib as mpl

    # Asking rcParams for its backend would import pyplot and choose one; the default's is left alone.
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    settings: Any = {**defaults, **_RC}  # Any: keys are a Literal there
    with mpl.rc_context(settings):
        yield


def new_figure(height: int, width: int = WIDTH) -> Figure:
    """Return an empty figure, sizes in pixels. No pyplot: nothing is registered anywhere."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")


def axes_at(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Return bare axes at a pixel rectangle: no frame, no ticks."""
    height = figure.get_figheight() * DPI
    axes = figure.add_axes((left / WIDTH, 1 - bottom / height, (right - left) / WIDTH, (bottom - top) / height))
    axes.patch.set_visible(False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    return axes


def text_at(figure: Figure, x: float, y: float, text: str, size: float, color: str = INK, **more: Any) -> Any:
    """Write at a pixel position, vertically centred. `more` are matplotlib's text properties (hence Any)."""
    height = figure.get_figheight() * DPI
    return figure.text(x / WIDTH, 1 - y / height, text, fontsize=size, color=color, va="center", **more)


def heading(figure: Figure, title: str, parts: Sequence[str]) -> None:
    """Write the title and, below, the parts of the subtitle with dots between; too long a title is shortened."""
    room = WIDTH - LEFT - 40
    text_at(figure, LEFT, 41, shorten(title, room, TITLE, bold=True), TITLE, weight="bold")
    text_at(figure, LEFT, 84, shorten("   ·   ".join(p for p in parts if p), room, SUBTITLE), SUBTITLE, MUTED)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how many pixels a text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    extents = TextPath((0, 0), text, size=size, prop=font).get_extents()
    return float(extents.width) * DPI / 72


def shorten(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Cut a text to `room` pixels, with an ellipsis."""
    if text_width(text, size, bold=bold) <= room:
        return text
    text = text[: int(room / size) + 1]  # no letter worth writing is narrower than half its size
    kept = bisect_left(range(len(text)), True, key=lambda end: text_width(text[:end] + "…", size, bold=bold) > room)
    return text[: max(0, kept - 1)].rstrip() + "…"


def save(figure: Figure, target: Path | str | BinaryIO, kind: str = "") -> None:
    """Write a figure as PNG, SVG or PDF (by `kind` or the file's name): the same octets for the same data."""
    kind = kind or Path(str(target)).suffix.lstrip(".")
    metadata: dict[str, Any] = {  # Any: None takes a date out
        "svg": {"Date": None, "Creator": "netsim"},
        "pdf": {"CreationDate": None, "Creator": "netsim", "Producer": "netsim"},
    }.get(kind, {"Software": "netsim"})
    whole = BytesIO()
    with look():
        figure.savefig(whole, format=kind, dpi=DPI, metadata=metadata)
    if isinstance(target, (str, Path)):
        write_bytes(Path(target), whole.getvalue())
    else:
        target.write(whole.getvalue())
