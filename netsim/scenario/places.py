"""Where each character of a YAML scalar was written, through quoting, folding, indentation and escapes.

YAML changes white space and escapes only; all other characters of the value appear in the source in the same order, so
one walk over both texts finds them. White space lands on or beside its place, which is all that a caret needs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

_ESCAPES = MappingProxyType({"x": 2, "u": 4, "U": 8})
_PROPERTY = re.compile(r"[&!][^\s]*\s+")
_BLOCK = frozenset("|>")
_QUOTED = frozenset("'\"")
_WHITE = re.compile(r"[ \t\n]+")
_HEADER = re.compile(r"[|>][-+0-9]*[^\n]*")


@dataclass(frozen=True, slots=True)
class Span:
    """How a scalar stands in its file: its style ("" plain, or the character that opens it), begin and end from 0."""

    style: str
    start: tuple[int, int]
    end: tuple[int, int]


def places_of(value: str, span: Span, lines: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return (line, column), from 1, of every character of `value` and of its end."""
    text, origin = _extract(lines, span.start, span.end)
    cursor = 0
    while (match := _PROPERTY.match(text, cursor)) is not None:
        cursor = match.end()
    if span.style in _BLOCK:
        header = _HEADER.match(text, cursor)
        cursor = header.end() + 1 if header else cursor
    elif span.style in _QUOTED:
        cursor += 1
    walk = _double_quoted if span.style == '"' else _verbatim
    offsets = walk(value, text, cursor, "''" if span.style == "'" else "")
    begins = [begin for begin, _, _ in origin]
    return tuple(_place(offset, begins, origin) for offset in offsets)


def _extract(
    lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]
) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the source between two marks and, for each of its lines, (offset there, line, first column)."""
    parts: list[str] = []
    origin: list[tuple[int, int, int]] = []
    offset = 0
    for number in range(start[0], min(end[0], len(lines) - 1) + 1):
        first = start[1] if number == start[0] else 0
        last = end[1] if number == end[0] else len(lines[number])
        part = lines[number][first:last]
        origin.append((offset, number + 1, first + 1))
        parts.append(part)
        offset += len(part) + 1
    return "\n".join(parts), origin


def _place(offset: int, begins: list[int], origin: list[tuple[int, int, int]]) -> tuple[int, int]:
    begin, line, column = origin[max(0, bisect_right(begins, offset) - 1)]
    return line, column + offset - begin


def _verbatim(value: str, text: str, cursor: int, doubled: str) -> list[int]:
    """Walk plain, single-quoted and block scalars: white space aside, the characters are the source's own."""
    offsets: list[int] = []
    last = cursor
    for char in value:
        if char.isspace():
            here = cursor if cursor < len(text) and text[cursor] in " \t\n" else last
            if here < len(text) and text[here] == char:
                cursor = here + 1
            offsets.append(here)
            last = max(last, here)
            continue
        found = text.find(char, cursor)
        cursor = (found if found >= 0 else cursor) + 1
        offsets.append(cursor - 1)
        last = cursor
        if doubled and text.startswith(doubled, cursor - 1):
            cursor += 1
    offsets.append(min(last, len(text)))
    return offsets


def _double_quoted(value: str, text: str, cursor: int, _doubled: str) -> list[int]:
    """Walk a double-quoted scalar, where a backslash begins an escape or joins two lines."""
    offsets: list[int] = []
    for char in value:
        while True:
            white = _WHITE.match(text, cursor)
            run = white.group() if white else ""
            if char.isspace() and run:
                offsets.append(cursor)
                cursor += 0 if "\n" in run else 1
                break
            cursor += len(run)
            if not text.startswith("\\", cursor):
                offsets.append(cursor)
                cursor += 1
                break
            if text.startswith("\\\n", cursor):
                cursor += 2
                continue
            offsets.append(cursor)
            cursor += 2 + _ESCAPES.get(text[cursor + 1 : cursor + 2], 0)
            break
    offsets.append(min(cursor, len(text)))
    return offsets
