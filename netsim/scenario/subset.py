"""Is one JSON value part of another? For expectations about `-j` output.

Every key wanted must be there with its value; null means the key must be absent; "*" takes any value; a list of wanted
items must be found in the given order, with others between them. Source: FRR's json_cmp(), in our words.
"""

from __future__ import annotations

from typing import Any


def difference(wanted: Any, given: Any, path: str = "") -> str:  # Any: JSON values
    """Return "" when `wanted` is part of `given`, else a sentence about the first difference."""
    where = path or "the output"
    if wanted == "*":
        return ""
    if isinstance(wanted, dict):
        if not isinstance(given, dict):
            return f"{where} is {_kind(given)}, not an object"
        return _object(wanted, given, path)
    if isinstance(wanted, list):
        if not isinstance(given, list):
            return f"{where} is {_kind(given)}, not a list"
        return _list(wanted, given, path)
    same = wanted == given and isinstance(wanted, bool) == isinstance(given, bool)
    return "" if same else f"{where} is {given!r}, not {wanted!r}"


def _object(wanted: dict[str, Any], given: dict[str, Any], path: str) -> str:  # Any: JSON values
    for key, value in wanted.items():
        below = f"{path}.{key}" if path else key
        if value is None:
            if given.get(key) is not None:
                return f"{below} is there: {given[key]!r}"
        elif key not in given:
            return f"{below} is missing"
        elif found := difference(value, given[key], below):
            return found
    return ""


def _list(wanted: list[Any], given: list[Any], path: str) -> str:  # Any: JSON values
    position = 0
    for i, value in enumerate(wanted):
        while position < len(given) and difference(value, given[position], ""):
            position += 1
        if position == len(given):
            if len(wanted) == len(given) == 1:
                return difference(value, given[0], f"{path}[0]")
            return f"{path or 'the output'} has no item like number {i} in that place: {value!r}"
        position += 1
    return ""


def _kind(value: Any) -> str:  # Any: JSON values
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else repr(value)
