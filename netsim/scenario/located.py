"""A tree of values that know where they were written: file, line and column of every scalar, and inside every scalar.

The tree is what checks walk, so that one bad value silences only the checks that need it. It is not the model: see
model.py. Lines and columns count from 1, as editors do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netsim.errors import Problem
from netsim.scenario.places import Span, places_of

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Source:
    """One file's name, as the person would write it, and its lines without their ends."""

    file: str
    lines: tuple[str, ...] = ()

    def line(self, number: int) -> str:
        """Return line `number` with tabs as one space (the caret below counts characters), "" beyond the end."""
        return self.lines[number - 1].replace("\t", " ").rstrip() if 0 < number <= len(self.lines) else ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line 0 means the file as a whole (a GraphML file, a dict from Python)."""

    source: Source
    line: int = 0
    column: int = 0

    def problem(self, path: str, what: str, hint: str = "") -> Problem:
        """Describe a mistake at this place."""
        return Problem(self.source.file, self.line, self.column, path, what, hint, self.source.line(self.line))


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: `value` by the rules of YAML 1.2 core, `text` as written (unquoted, unfolded).

    `span` says how it stands in the file; None for values without a source, which are all at `mark`.
    """

    value: bool | int | float | str | None
    text: str
    mark: Mark
    span: Span | None = None

    def at(self, offset: int) -> Mark:
        """Return the place of character `offset` of `text`. Walks the text: for messages, not for loops."""
        if self.span is None:
            return self.mark
        places = places_of(self.text, self.span, self.mark.source.lines)
        line, column = places[min(offset, len(places) - 1)]
        return Mark(self.mark.source, line, column)


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a mapping."""

    key: Scalar
    value: Located


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping in file order; keys are texts, whatever they look like (`on`, `1`, a MAC)."""

    mark: Mark
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def get(self, *path: str | int) -> Located | None:
        """Return what stands at `path` below, or None."""
        return find(self, path)

    def items(self) -> Iterator[tuple[str, Located]]:
        """Walk keys and values in file order."""
        for key, entry in self.entries.items():
            yield key, entry.value


@dataclass(frozen=True, slots=True)
class Seq:
    """A list."""

    mark: Mark
    items: tuple[Located, ...] = ()


Located: TypeAlias = Scalar | Map | Seq


def find(node: Located, path: tuple[str | int, ...]) -> Located | None:
    """Follow `path` (keys and indices) as far as it goes all the way, else None."""
    for step in path:
        if isinstance(node, Map) and isinstance(step, str) and step in node.entries:
            node = node.entries[step].value
        elif isinstance(node, Seq) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def plain(node: Located) -> Plain:
    """Turn the tree into dicts, lists and values, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Seq):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.items()}


def mapping(node: Located | None) -> Map:
    """Return `node` if it is a mapping, else an empty one: for checks that leave types to somebody else."""
    return node if isinstance(node, Map) else Map(node.mark if node is not None else Mark(Source("")))


def sequence(node: Located | None) -> tuple[Located, ...]:
    """Return the items of a list, a lone value as a list of one, nothing for nothing."""
    if node is None:
        return ()
    return node.items if isinstance(node, Seq) else (node,)


def text_of(node: Located | None) -> str | None:
    """Return a scalar's text, None for null, lists, mappings and absence."""
    return node.text if isinstance(node, Scalar) and node.value is not None else None


def locate(value: object, source: Source) -> Located:
    """Build a tree without places from plain dicts, lists and values (a Python caller, a graph file)."""
    mark = Mark(source)
    if isinstance(value, Mapping):
        entries = {
            str(key): Entry(Scalar(str(key), str(key), mark), locate(item, source)) for key, item in value.items()
        }
        return Map(mark, entries)
    if isinstance(value, (list, tuple)):
        return Seq(mark, tuple(locate(item, source) for item in value))
    if value is None or isinstance(value, (bool, int, float, str)):
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        return Scalar(value, text, mark)
    return Scalar(str(value), str(value), mark)


def path_text(path: tuple[str | int, ...]) -> str:
    """Print a path: "topology.nodes.router.run[3]"."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out
