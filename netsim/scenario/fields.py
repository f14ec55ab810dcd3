"""Field types of scenario files: windows, bounds and flow targets, read once, at the edge."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from netsim.scenario.values import Bound, Window, parse_bound, parse_count_or_share, parse_share_bound, parse_window
from netsim.topology.fields import NAME, reader

_TIMES = ("ns", "us", "ms", "s", "m", "h")


def split_target(text: str) -> tuple[str, int | None]:
    """Split "world:80" or "203.0.113.10" into node or address and port. Raises ValueError."""
    host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    if NAME.fullmatch(host) is None:
        raise ValueError(f"{text!r} is neither a node nor an address")
    return host, int(port) if colon else None


def _target(text: str) -> str:
    split_target(text)
    return text


def _text(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example]})


def _count_schema(*examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "examples": list(examples)}]}
    )


Target: TypeAlias = Annotated[
    str,
    BeforeValidator(reader("a node or address with an optional port", "world:80", _target, (int,))),
    _text("world:80"),
]
WindowText: TypeAlias = Annotated[
    Window, BeforeValidator(reader("a window of time", "10s..60s", parse_window, (), _TIMES)), _text("10s..60s")
]
Within: TypeAlias = Annotated[
    Bound,
    BeforeValidator(
        reader("a bound of time", "3s..54s or <= 54s", lambda text: parse_bound(text, "duration"), (), _TIMES)
    ),
    _text("3s..54s"),
]
ShareBound: TypeAlias = Annotated[
    Bound, BeforeValidator(reader("a share", "50% +- 10%", parse_share_bound)), _text("50% +- 10%")
]
Count: TypeAlias = Annotated[
    Bound,
    BeforeValidator(reader("a count", '0 or ">= 10"', lambda text: parse_bound(text, "count"), (int,))),
    _count_schema(">= 10"),
]
CountOrShare: TypeAlias = Annotated[
    Bound,
    BeforeValidator(reader("a count or a share", '0 or ">= 99%"', parse_count_or_share, (int,))),
    _count_schema(">= 99%"),
]
