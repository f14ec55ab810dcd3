"""A route's metrics as iproute2 reads and prints them.

Source: iproute2 6.1 ip/iproute.c iproute_modify(), print_rta_metrics(); lib/utils.c get_time_rtt().
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.tool import Word
from netsim.stack.metrics import (
    RTAX_ADVMSS,
    RTAX_CC_ALGO,
    RTAX_CWND,
    RTAX_FASTOPEN_NO_COOKIE,
    RTAX_FEATURE_ECN,
    RTAX_FEATURES,
    RTAX_HOPLIMIT,
    RTAX_INITCWND,
    RTAX_INITRWND,
    RTAX_MAX,
    RTAX_MTU,
    RTAX_QUICKACK,
    RTAX_REORDERING,
    RTAX_RTO_MIN,
    RTAX_RTT,
    RTAX_RTTVAR,
    RTAX_SSTHRESH,
    RTAX_WINDOW,
    Metrics,
)

_WHOLE = (
    ("mtu", RTAX_MTU), ("hoplimit", RTAX_HOPLIMIT), ("advmss", RTAX_ADVMSS), ("rtt", RTAX_RTT),
    ("rto_min", RTAX_RTO_MIN), ("fastopen_no_cookie", RTAX_FASTOPEN_NO_COOKIE),
)  # fmt: skip
"""Keywords that may not be abbreviated."""
_SHORT = (
    ("reordering", RTAX_REORDERING), ("window", RTAX_WINDOW), ("cwnd", RTAX_CWND), ("initcwnd", RTAX_INITCWND),
    ("initrwnd", RTAX_INITRWND), ("features", RTAX_FEATURES), ("quickack", RTAX_QUICKACK),
    ("congctl", RTAX_CC_ALGO), ("rttvar", RTAX_RTTVAR), ("ssthresh", RTAX_SSTHRESH),
)  # fmt: skip
KEYWORDS = tuple(name for name, _ in (*_WHOLE, *_SHORT))
_NAMES = MappingProxyType({number: name for name, number in (*_WHOLE, *_SHORT)})
_TIMES = MappingProxyType({RTAX_RTT: 8, RTAX_RTTVAR: 4, RTAX_RTO_MIN: 1})
"""Metrics that are times, and what part of a millisecond they count."""
_SWITCHES = (RTAX_QUICKACK, RTAX_FASTOPEN_NO_COOKIE)
_UNITS = (("s", 1000.0), ("sec", 1000.0), ("secs", 1000.0), ("ms", 1.0), ("msec", 1.0), ("msecs", 1.0))


@dataclass(slots=True)
class MetricsSpec:
    """What a command line says of metrics."""

    values: dict[int, int] = field(default_factory=dict)
    locked: int = 0
    congctl: str = ""

    def build(self) -> Metrics:
        """Return the value that a request carries."""
        return Metrics.of(*self.values.items(), locked=self.locked, congctl=self.congctl)

    @property
    def given(self) -> tuple[int, ...]:
        """The numbers of the metrics that were named."""
        return tuple(self.values)


def read(args: Args, spec: MetricsSpec) -> bool:
    """Read one metric with its value; False when the word names none. Raises Failure."""
    number = next((number for name, number in _WHOLE if args.is_(name)), None)
    if number is None:
        number = next((number for name, number in _SHORT if args.like(name)), None)
    if number is None:
        return False
    word = args.value()
    if number == RTAX_RTO_MIN:
        spec.locked |= 1 << number
    elif word.text == "lock" and number != RTAX_FEATURES and number not in _SWITCHES:
        spec.locked |= 1 << number
        if not args:
            raise args.incomplete()
        word = args.take()
    if number == RTAX_CC_ALGO:
        spec.congctl = word.text
        spec.values[number] = 1
    elif number == RTAX_FEATURES:
        spec.values[number] = _features(word)
    else:
        spec.values[number] = _time(number, word) if number in _TIMES else _count(number, word)
    return True


def _count(number: int, word: Word) -> int:
    name = "mss" if number == RTAX_ADVMSS else _NAMES[number]
    value = a.number(word, f'"{name}" value is invalid', high=255 if number == RTAX_HOPLIMIT else 0xFFFFFFFF)
    if number in _SWITCHES and value > 1:
        raise a.invalid(f'"{name}" value should be 0 or 1', word)
    return value


def _features(word: Word) -> int:
    if word.text != "ecn":
        raise a.invalid('"features" value not valid', word)
    return RTAX_FEATURE_ECN


def _time(number: int, word: Word) -> int:
    """Read a time; a bare number is the kernel's own count. Mirrors get_time_rtt()."""
    text = word.text
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(digits) :]
    scale = next((scale for name, scale in _UNITS if name == unit), None)
    try:
        value = float(digits)
    except ValueError:
        value = -1.0
    if value < 0 or value == float("inf") or (unit and scale is None) or "_" in digits:
        raise a.invalid(f'"{_NAMES[number]}" value is invalid', word)
    return int(value) if scale is None else -int(-value * scale // 1) * _TIMES[number]


def show(printer: Printer, metrics: Metrics) -> None:
    """Print metrics in the order of their numbers: those that are set, and locked ones."""
    shown: dict[str, Json] = {}
    for number in range(RTAX_MTU, RTAX_MAX + 1):
        value, lock = metrics[number], metrics.lock(number)
        if not value and not lock:
            continue
        name, word = _NAMES[number], "lock " if lock else ""
        if number == RTAX_FEATURES:
            shown["ecn"] = None
            text = "ecn"
        elif number == RTAX_CC_ALGO:
            shown["congestion"] = text = metrics.congctl
        elif number in _TIMES:
            shown[name] = value = value // _TIMES[number]
            text = f"{value / 1000:g}s" if value >= 1000 else f"{value}ms"
        else:
            shown[name] = value
            text = str(value)
        printer.text(f"{name} {word}{text} ")
    if shown:
        printer.json("metrics", [shown])
