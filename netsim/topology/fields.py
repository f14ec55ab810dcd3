"""Field types of topology and scenario files: texts with units, read once, at the edge.

Each type takes what a person writes, holds what the simulator uses (int nanoseconds, bits a second, octets, fractions),
and tells editors its form through the JSON schema. Source: design/scenario-format.md, first paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from netsim import units
from netsim.addr import mac_str, parse_ip, parse_mac, parse_prefix

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
DEVICE = re.compile(r"[A-Za-z0-9_.-][A-Za-z0-9_.@-]{0,14}")
"""Interface names as Linux takes them: up to 15 characters, no slash, no space. Source: dev_valid_name()."""


class Model(BaseModel):
    """The common ground of all models: no unknown keys, no silent conversions, frozen after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def shown(value: object) -> str:
    """Name a wrong value and its kind as a person knows them: `number 5`, `text "x"`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"number {value}"
    if isinstance(value, str):
        return f'"{value}"'
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"


_QUANTITY = re.compile(r"([<>=]*\s*[0-9.]+)\s*([A-Za-z/%]+)")
_TIMES = ("ns", "us", "ms", "s", "m", "h")
_RATES = ("bit", "kbit", "Mbit", "Gbit")
_SIZES = ("B", "kB", "MB", "GB")
_MEANT = MappingProxyType({"min": "m", "mins": "m", "minutes": "m", "sec": "s", "secs": "s", "seconds": "s",
"hours": "h",
                           "msec": "ms", "usec": "us", "mbps": "Mbit", "kbps": "kbit", "gbps": "Gbit", "bps": "bit",
                           "k": "kB", "kib": "kB", "mib": "MB", "g": "GB", "bytes": "B"})  # fmt: skip


def wrong(what: str, hint: str = "") -> PydanticCustomError:
    """Make the error of a field's reader: what is wrong, and what netsim suggests."""
    return PydanticCustomError("netsim", "{what}", {"what": what, "hint": hint})


def _unit_hint(text: str, known: tuple[str, ...]) -> str:
    """Guess the unit that was meant: another case, another tool's word, a letter too many."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return ""
    number, unit = match.groups()
    folded = {each.lower(): each for each in known}
    guess = folded.get(unit.lower()) or _MEANT.get(unit.lower(), "")
    if guess not in known:
        close = get_close_matches(unit, known, n=1)
        guess = close[0] if close else ""
    return f'did you mean "{number}{guess}"?' if guess and f"{number}{guess}" != text.strip() else ""


def reader(
    what: str, example: str, parse: Callable[[str], object], bare: tuple[type, ...] = (), known: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    """Build a field's reader from a parser of text; `bare` are types other than text that it takes as well."""

    def read(value: Any) -> Any:  # Any: pydantic hands over whatever the file holds
        if isinstance(value, str) or (isinstance(value, bare) and not isinstance(value, bool)):
            try:
                return parse(str(value))
            except ValueError:
                pass
        guess = _unit_hint(value, known) if isinstance(value, str) else ""
        raise wrong(f"{shown(value)} is not {what}", guess or f"write it as {example}")

    return read


def _duration(text: str) -> int:
    return 0 if text == "0" else units.parse_duration(text)


def rate_interval(text: str) -> int | str:
    """Read "50pps" into nanoseconds between packets, or check a bit rate and keep its text. Raises ValueError."""
    if text.rstrip().endswith("pps"):
        return units.parse_packet_rate(text)
    if units.parse_rate(text) == 0:
        raise ValueError("a rate of nothing")
    return text


def _positive_rate(text: str) -> int:
    value = units.parse_rate(text)
    if value == 0:
        raise ValueError("a rate of nothing")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(text)
    return int(text)


def _address(text: str) -> str:
    parse_ip(text)
    return text


def _prefix(text: str) -> str:
    parse_prefix(text)
    return text


def _mac(text: str) -> str:
    octets = parse_mac(text)
    if octets[0] & 1 or not any(octets):
        raise ValueError("a group address or all zeros")
    return mac_str(octets)


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _device(text: str) -> str:
    if DEVICE.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _end(text: str) -> str:
    node, colon, dev = text.partition(":")
    if not colon:
        raise ValueError(text)
    _name(node)
    _device(dev)
    return text


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_UNIT = r"^[0-9]+(\.[0-9]+)?\s*"
Duration: TypeAlias = Annotated[
    int,
    BeforeValidator(reader("a duration", "250ms, 1.5s or 4m", _duration, (int,), _TIMES)),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _UNIT + "(ns|us|ms|s|m|h)$"}, {"const": 0}]}),
]
Rate: TypeAlias = Annotated[
    int,
    BeforeValidator(reader("a rate", "512kbit or 10Mbit", _positive_rate, (), _RATES)),
    _text(_UNIT + "(bit|kbit|Mbit|Gbit)$", "10Mbit"),
]
SendRate: TypeAlias = Annotated[
    int | str,
    BeforeValidator(reader("a rate", "10Mbit or 50pps", rate_interval, (), (*_RATES, "pps"))),
    _text(_UNIT + "(bit|kbit|Mbit|Gbit|pps)$", "50pps"),
]
Size: TypeAlias = Annotated[
    int,
    BeforeValidator(reader("a size", "1400, 64kB or 1MB", units.parse_size, (int,), _SIZES)),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _UNIT + "(B|kB|MB|GB)?$"}]}
    ),
]
Share: TypeAlias = Annotated[
    float,
    BeforeValidator(reader("a share between 0% and 100%", "0.1%", units.parse_share)),
    _text(_UNIT + "%$", "0.1%"),
]
Port: TypeAlias = Annotated[
    int,
    BeforeValidator(reader("a port", "a number from 1 to 65535", _port, (int,))),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
Address: TypeAlias = Annotated[
    str, BeforeValidator(reader("an IPv4 address", "10.0.0.1", _address)), _text(r"^[0-9]+(\.[0-9]+){3}$", "10.0.0.1")
]
PrefixText: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("an IPv4 address with its prefix length", "10.0.0.1/24", _prefix)),
    _text(r"^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$", "10.0.0.1/24"),
]
MacText: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("a station's MAC address", '"02:00:00:00:01:02"', _mac)),
    _text("^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$", "02:00:00:00:01:02"),
]
NodeName: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("a node name", "letters, digits, _ . -", _name, (int,))),
    WithJsonSchema({"type": "string"}),
]
DeviceName: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("an interface name", "eth0 (at most 15 letters and digits)", _device)),
    WithJsonSchema({"type": "string"}),
]
End: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("an interface of a node", "NODE:IFACE, as router:eth0", _end)),
    _text("^[^:]+:[^:]+$", "r1:eth0"),
]
