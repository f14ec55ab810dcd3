"""Windows, bounds and tolerances: the small languages of expectations.

Source: design/scenario-format.md: windows `10s..60s`, tolerances `50% +- 10%`, bounds `>= 99%`, `<= 54s`, `8s..53s`
(inclusive), counts `0`, `>= 10`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from netsim.units import Ns, format_duration, format_span, parse_duration, parse_share

Unit: TypeAlias = Literal["duration", "share", "count"]
_COMPARE = re.compile(r"(<=|>=|==|=|<|>)\s*(.+)")
_TOLERANCE = re.compile(r"(.+?)\s*(?:\+-|\+/-|±)\s*(.+)")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the run: `begin` <= t < `end`, by sending time, from the run's or an event's instant."""

    begin: Ns
    end: Ns

    def __str__(self) -> str:
        return f"{format_duration(self.begin)}..{format_duration(self.end)}"

    def after(self, instant: Ns) -> Window:
        """Return the same window counted from `instant`."""
        return Window(self.begin + instant, self.end + instant)

    def holds(self, t: Ns) -> bool:
        """Tell whether `t` lies inside."""
        return self.begin <= t < self.end


@dataclass(frozen=True, slots=True)
class Bound:
    """What a number has to be: between `low` and `high`, both included unless `strict`.

    The unit says what the numbers are: nanoseconds, fractions of 1, or a count.
    """

    text: str
    unit: Unit
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    def __str__(self) -> str:
        return self.text

    def holds(self, value: float) -> bool:
        """Tell whether `value` is inside."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high


def show(value: float, unit: Unit) -> str:
    """Print a number of a bound's unit for people: "54s", "99.2%", "7"."""
    if unit == "duration":
        return format_span(round(value)) if math.isfinite(value) else "never"
    if unit == "share":
        return f"{value * 100:.4g}%"
    return f"{value:g}"


def parse_instant(text: str) -> Ns:
    """Read a duration, or a bare 0. Raises ValueError."""
    return 0 if text.strip() == "0" else parse_duration(text)


def parse_window(text: str) -> Window:
    """Read "10s..60s". Raises ValueError."""
    begin, dots, end = text.partition("..")
    window = Window(parse_instant(begin), parse_instant(end)) if dots else Window(0, 0)
    if window.begin >= window.end:
        raise ValueError(f"{text!r} is not a window")
    return window


def parse_bound(text: str, *units: Unit) -> Bound:
    """Read a bound in one of `units`, the first that fits. Raises ValueError."""
    for unit in units:
        try:
            return _bound(text, unit, _PARSERS[unit])
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a bound")


def parse_share_bound(text: str) -> Bound:
    """Read "50% +- 10%" (percentage points), or a bound on a share. Raises ValueError."""
    match = _TOLERANCE.fullmatch(text.strip())
    if match is None:
        return parse_bound(text, "share")
    middle, slack = parse_share(match.group(1)), parse_share(match.group(2))
    # a share is a quotient of octet counts: leave room for the float arithmetic of "50% - 10%"
    return Bound(text.strip(), "share", middle - slack - 1e-9, middle + slack + 1e-9)


def parse_count_or_share(text: str) -> Bound:
    """Read "0", ">= 99%", or "50% +- 10%". Raises ValueError."""
    return parse_share_bound(text) if "+-" in text else parse_bound(text, "share", "count")


def _bound(text: str, unit: Unit, parse: Callable[[str], float]) -> Bound:
    text = text.strip()
    match = _COMPARE.fullmatch(text)
    if match is None:
        low, dots, high = text.partition("..")
        bound = Bound(text, unit, parse(low), parse(high if dots else low))
        if bound.low > bound.high:
            raise ValueError(f"{text!r} has its ends the wrong way round")
        return bound
    sign, number = match.group(1), parse(match.group(2))
    low_end = number if sign in {">=", ">", "=", "=="} else -math.inf
    high_end = number if sign in {"<=", "<", "=", "=="} else math.inf
    return Bound(text, unit, low_end, high_end, sign in {"<", ">"})


def _count(text: str) -> float:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a count")
    return int(text)


def _share(text: str) -> float:
    return parse_share(text)


_PARSERS: Mapping[Unit, Callable[[str], float]] = MappingProxyType(
    {"duration": parse_instant, "share": _share, "count": _count}
)
