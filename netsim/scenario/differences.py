"""Where two results differ: field by field, lists by their first difference, wall-clock time and plot data aside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from netsim.errors import ConfigError, Problem
from netsim.observe.textlog import format_record
from netsim.scenario.result import Result
from netsim.trace.records import from_json

_LEFT_OUT = ("wall_s", "plots", "schema")


def differences(one: Result, other: Result) -> list[str]:
    """Return "PATH: ONE, then OTHER" lines in the order of the result's fields; none when the runs were alike."""
    first, second = one.to_dict(), other.to_dict()
    out: list[str] = []
    for key in first:
        if key not in _LEFT_OUT:
            _compare(first[key], second.get(key), key, out)
    return out


def _compare(one: Any, other: Any, path: str, out: list[str]) -> None:  # Any: JSON values
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            _compare(one.get(key), other.get(key), f"{path}.{key}", out)
    elif isinstance(one, list) and isinstance(other, list):
        first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
        if first is not None:
            _compare(one[first], other[first], f"{path}[{first}]", out)
        if len(one) != len(other):
            out.append(f"{path}: {len(one)} entries, then {len(other)}")
    elif one != other:
        out.append(f"{path}: {_short(one)}, then {_short(other)}")


def _short(value: Any) -> str:  # Any: JSON values
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def first_parting(one: str | Path, other: str | Path) -> dict[str, Any] | None:  # Any: JSON values
    """Return the first record in which the traces of two run folders differ, as text; None without traces or parting.

    Records are compared as the lines a person reads: frame numbers are no difference. Raises ConfigError for a trace
    that cannot be read.
    """
    files = [Path(each) / "trace.jsonl" for each in (one, other)]
    if not all(file.is_file() for file in files):
        return None
    for number, (a, b) in enumerate(zip_longest(*(_lines(file) for file in files), fillvalue="(no more records)"), 1):
        if a != b:
            return {"number": number, "a": a, "b": b}
    return None


def _lines(file: Path) -> Iterator[str]:
    number = 1
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):  # noqa: B007  # the number is for the complaint below
                yield format_record(from_json(json.loads(line)))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(Problem(str(file), number, 1, "", f"no record of a trace: {error}")) from error
