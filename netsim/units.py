"""Time is an int of nanoseconds; this module makes, reads and prints it, with the other units a person writes.

Floats of seconds exist only in plots and printed text: nothing here returns one except `seconds`.
Source: design/scenario-format.md, "Durations take ns us ms s m h ...".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

Ns: TypeAlias = int

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(_NUMBER + r"\s*(ns|us|ms|s|m|h)")
_DURATION_NS = MappingProxyType(
    {"ns": 1, "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
)
_RATE = re.compile(_NUMBER + r"\s*(bit|kbit|Mbit|Gbit)")
_RATE_BPS = MappingProxyType({"bit": 1, "kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000})
_PACKET_RATE = re.compile(_NUMBER + r"\s*pps")
_SIZE = re.compile(_NUMBER + r"\s*(B|kB|MB|GB)?")
_SIZE_OCTETS = MappingProxyType({None: 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000})
_SHARE = re.compile(_NUMBER + r"\s*%")


def sec(value: float | str) -> Ns:
    """Return `value` seconds in nanoseconds, exact for what a person writes (1.5, "0.1")."""
    return int((Decimal(str(value)) * NS_PER_S).to_integral_value())


def ms(value: float | str) -> Ns:
    """Return `value` milliseconds in nanoseconds."""
    return int((Decimal(str(value)) * NS_PER_MS).to_integral_value())


def us(value: float | str) -> Ns:
    """Return `value` microseconds in nanoseconds."""
    return int((Decimal(str(value)) * NS_PER_US).to_integral_value())


def seconds(value: Ns) -> float:
    """Return nanoseconds as float seconds, for plots, JSON and people only."""
    return value / NS_PER_S


def _scaled(
    text: str, pattern: re.Pattern[str], factors: Mapping[str, int] | Mapping[str | None, int], what: str
) -> int:
    match = pattern.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a {what}")
    unit = match.group(2)
    return int((Decimal(match.group(1)) * factors[unit]).to_integral_value())


def parse_duration(text: str) -> Ns:
    """Read "250ms", "1.5s", "4m" into nanoseconds. Raises ValueError."""
    return _scaled(text, _DURATION, _DURATION_NS, "duration")


def parse_rate(text: str) -> int:
    """Read "10Mbit" into bits a second (powers of ten). Raises ValueError."""
    return _scaled(text, _RATE, _RATE_BPS, "rate")


def parse_packet_rate(text: str) -> Ns:
    """Read "50pps" into the nanoseconds between two packets. Raises ValueError."""
    match = _PACKET_RATE.fullmatch(text.strip())
    if match is None or Decimal(match.group(1)) == 0:
        raise ValueError(f"{text!r} is not a packet rate")
    return int((NS_PER_S / Decimal(match.group(1))).to_integral_value())


def parse_size(text: str | int) -> int:
    """Read "64kB", "100" or 100 into octets (powers of ten). Raises ValueError."""
    return _scaled(str(text), _SIZE, _SIZE_OCTETS, "size")


def parse_share(text: str) -> float:
    """Read "0.1%" into a fraction between 0 and 1. Raises ValueError."""
    match = _SHARE.fullmatch(text.strip())
    if match is None or Decimal(match.group(1)) > 100:
        raise ValueError(f"{text!r} is not a share between 0% and 100%")
    return float(Decimal(match.group(1)) / 100)


def format_duration(value: Ns) -> str:
    """Print nanoseconds in the largest unit that needs no more than three decimals: "1.5s", "250ms".

    `parse_duration` reads it back to the same value.
    """
    for unit, factor in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if (value % (factor // 1000) == 0 and value >= factor) or value == 0:
            return f"{Decimal(value) / factor:f}{unit}"
    return f"{value}ns"


def format_span(value: Ns) -> str:
    """Print a measured duration for people, to three decimals of its unit: "30.351s", "43.216ms".

    Halves round up. Where the text must be read back to the same value, `format_duration` prints it.
    """
    grain = next((unit // 1000 for unit in (NS_PER_S, NS_PER_MS, NS_PER_US) if value >= unit), 1)
    return format_duration((value + grain // 2) // grain * grain)
