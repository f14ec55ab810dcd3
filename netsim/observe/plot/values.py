"""What plots share as data: marks, spans and bands; and how such values become JSON and come back.

Times are float seconds: these values are for pictures, the exact numbers are in the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
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
_SCALARS: Mapping[type, tuple[type, ...]] = MappingProxyType({float: (float, int), int: (int,), str: (str,)})
"""What JSON may hold for a field's type."""


def to_json(value: Any) -> Any:  # Any: JSON values
    """Turn a value made of dataclasses, tuples and scalars into JSON objects and lists."""
    if is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def from_json(cls: type[_T], data: Any) -> _T:  # Any: JSON values
    """Read back what `to_json` made of a `cls`. Raises TypeError for what is none: another version's, or damaged."""
    if not isinstance(data, dict):
        raise TypeError(f"{data!r:.60} is no {cls.__name__}")
    hints = get_type_hints(cls)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]  # cls is a dataclass by contract
    return cls(**{name: _decode(hints[name], value) for name, value in data.items() if name in known})


def _decode(hint: Any, value: Any) -> Any:  # Any: types and JSON values
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r:.60} is no list")
        item = get_args(hint)[0]
        return tuple(_decode(item, each) for each in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if hint in _SCALARS and not isinstance(value, _SCALARS[hint]):
        raise TypeError(f"{value!r:.60} is no {hint.__name__}")
    return value
