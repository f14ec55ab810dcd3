"""What plots share as data: marks, spans and bands; and how such values become JSON and come back.

Times are float seconds: these values are for pictures, the exact numbers are in the result.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

BAD = "bad"
GOOD = "good"
NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened: a dashed line with a title and a line of text below. `tone` is bad, good or neutral."""

    t: float
    title: str
    note: str = ""
    tone: str = NEUTRAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that took from `start` to `stop`: a double arrow with a label."""

    start: float
    stop: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One state of a band, from `start` to before `stop`."""

    start: float
    stop: float
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The states of one neighbour under the time axis. `series` is the index of the gateway that lends its colour."""

    left: str
    right: str
    series: int
    stretches: tuple[Stretch, ...]


_T = TypeVar("_T")


def to_json(value: Any) -> Any:  # Any: JSON values
    """Turn a value made of dataclasses, tuples and scalars into JSON objects and lists."""
    if is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def from_json(cls: type[_T], data: Any) -> _T:  # Any: JSON values
    """Read back what `to_json` made of a `cls`. Raises KeyError for a missing field without default."""
    hints = get_type_hints(cls)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]  # cls is a dataclass by contract
    return cls(**{name: _decode(hints[name], value) for name, value in data.items() if name in known})


def _decode(hint: Any, value: Any) -> Any:  # Any: types and JSON values
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return tuple(_decode(item, each) for each in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    return value
