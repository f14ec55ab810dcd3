"""Which runs a sweep consists of: every combination of the values to vary, each with its seeds.

Seeds are the same for every combination, so that two settings are compared on equal accidents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from netsim.errors import ConfigError, Problem

_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Axis:
    """One value of the scenario that varies: its key as in --set, and its values as text."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One run: its number, the point it belongs to, the settings of that point, and its seed."""

    number: int
    point: int
    settings: tuple[tuple[str, str], ...]
    seed: int


def parse_axis(text: str) -> Axis:
    """Read "kernel.router=linux-2.4,linux-6"; commas inside brackets or quotes separate nothing. Raises ConfigError."""
    key, equals, values = text.partition("=")
    hint = "as in --vary kernel.router=linux-2.4,linux-6"
    if not key or not equals:
        raise ConfigError(Problem("--vary", 0, 0, text, "not KEY=a,b,c", hint))
    found = _split(values)
    if not all(found):
        raise ConfigError(Problem("--vary", 0, 0, text, "a value is empty", hint))
    if len(set(found)) < len(found):
        raise ConfigError(Problem("--vary", 0, 0, text, "a value comes twice", "--runs repeats with other seeds"))
    return Axis(key, tuple(found))


def _split(text: str) -> list[str]:
    out, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        depth += (char in _OPEN) - (char in _CLOSE) if not quote else 0
        if char == "," and not depth and not quote:
            out.append("")
        else:
            out[-1] += char
    return [each.strip() for each in out]


def points(axes: Sequence[Axis]) -> list[tuple[tuple[str, str], ...]]:
    """Return every combination, the last axis fastest; one empty point when nothing varies. Raises ConfigError."""
    keys = [axis.key for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(Problem("--vary", 0, 0, twice, "is varied twice", "write all its values in one --vary"))
    return [tuple(zip(keys, values, strict=True)) for values in product(*(axis.values for axis in axes))]


def jobs(axes: Sequence[Axis], runs: int, first_seed: int) -> list[Job]:
    """Return the runs in order: point by point, seeds `first_seed` and up."""
    out: list[Job] = []
    for point, settings in enumerate(points(axes)):
        out += [Job(len(out) + i, point, settings, first_seed + i) for i in range(runs)]
    return out


def label(settings: Sequence[tuple[str, str]]) -> str:
    """Return a point's name: "router=linux-2.4", the last part of each key."""
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings) or "as written"
