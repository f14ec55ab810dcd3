"""Where two results differ: field by field, lists by their first difference, wall-clock time and plot data aside."""

from __future__ import annotations

from typing import Any

from netsim.scenario.result import Result

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
