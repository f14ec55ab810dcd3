"""YAML text to a located tree: PyYAML's C parser for nodes and marks, YAML 1.2 core rules for what a scalar means.

PyYAML's own resolver is 1.1: it reads the MAC 52:54:00:12:34:56 as the integer 41135085296, 1:30 as 90 and `on` as
true, and keeps the last of two equal keys without a word. Source: YAML 1.2.2 section 10.3 (core schema);
design/dependencies.md row 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from netsim.errors import ConfigError, InternalError, Problem
from netsim.files import Unreadable, read_bytes
from netsim.scenario.located import Entry, Located, Map, Mark, Scalar, Seq, Source, path_text
from netsim.scenario.places import Span

_TAG = "tag:yaml.org,2002:"
_BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_FIRST = frozenset("~nNtTfF+-.0123456789")
"""What a null, a boolean or a number may begin with."""
_NULL = re.compile("|~|null|Null|NULL")
_BOOL = re.compile("true|True|TRUE|false|False|FALSE")
_INT = re.compile("[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
"""Longer ones Python neither reads nor prints: they stay text."""
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BOUND = re.compile(r":\s+(>=?\s*[0-9][^,}\]#]*)")
_TAGGED = re.compile(r"(?:&\S+\s+)?!")
_DEEPEST = 50
_STEPS = re.compile(rf"^[ \t?:-]{{{_DEEPEST // 2}}}", re.MULTILINE)
"""A line far enough from the margin: each level of a block begins a column on, or is a list at its mapping's column."""
_MOST_COPIES = 20_000
"""Aliases may multiply: a file in which they repeat more values than this is refused."""


class _Loader(yaml.CSafeLoader):
    """The C parser with no implicit types at all: every plain scalar arrives as text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's class attribute


def read_file(path: Path, shown: str) -> Located:
    """Read one YAML file. Raises ConfigError with every problem of its YAML."""
    try:
        octets = read_bytes(path)
    except OSError as error:
        raise ConfigError(Problem(shown, 0, 0, "", f"cannot be read: {error.strerror}")) from error
    except Unreadable as error:
        raise ConfigError(Problem(shown, 0, 0, "", str(error))) from error
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        column = error.start - (octets.rfind(b"\n", 0, error.start) + 1) + 1
        what = f"byte 0x{octets[error.start]:02x} is not UTF-8"
        raise ConfigError(Problem(shown, line, column, "", what, "save the file as UTF-8")) from error
    return read_text(text, shown)


def read_text(text: str, shown: str) -> Located:
    """Read YAML text under the name `shown`. Raises ConfigError with every problem of its YAML."""
    source = Source(shown, tuple(_BREAKS.split(text)))
    try:
        _refuse_depth(text, source)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_problem(error, text, source)) from error
    if root is None:
        return Scalar(None, "", Mark(source, 1, 1))
    tree = _Tree(source)
    located = tree.convert(root, ())
    if tree.problems:
        raise ConfigError(*tree.problems)
    return located


def _refuse_depth(text: str, source: Source) -> None:
    """Refuse a file so deep that composing it would take the stack's depth: well above what `_Tree` refuses anyway."""
    if text.count("[") + text.count("{") <= _DEEPEST and not _STEPS.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                start = event.start_mark
                mark = Mark(source) if start is None else Mark(source, start.line + 1, start.column + 1)
                raise ConfigError(_too_deep(mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(mark: Mark) -> Problem:
    return mark.problem("", f"nested deeper than {_DEEPEST} levels")


def resolve(text: str) -> bool | int | float | str | None:
    """Tell what a plain scalar means by the core schema. Source: YAML 1.2.2 section 10.3.2."""
    if text and text[0] not in _FIRST:
        return text  # most scalars are words
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if _INT.fullmatch(text):
        return int(text, 16) if text.startswith("0x") else int(text, 8) if text.startswith("0o") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _syntax_problem(error: yaml.YAMLError, text: str, source: Source) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        return Mark(source, line, column).problem("", "control characters are not allowed in YAML")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Mark(source).problem("", f"not YAML: {error}")
    mark = Mark(source, error.problem_mark.line + 1, error.problem_mark.column + 1)
    said = " ".join(part for part in (error.context, error.problem) if part)
    bound = _BOUND.search(source.line(mark.line))
    hint = ""
    if bound is not None:
        hint = f'a value that begins with > needs quotes: "{bound.group(1).strip()}"'
    elif any("\t" in each for each in source.lines[mark.line - 1 : mark.line]):
        hint = "indent with spaces, not tabs"
    elif "mapping values are not allowed" in said:
        hint = "a value with a colon and a space in it needs quotes; or the indentation is off"
    elif "single document" in said:
        hint = "one file holds one scenario"
    return mark.problem("", f"not YAML: {said}", hint)


class _Tree:
    """Turns PyYAML nodes into located ones; collects what YAML allows and netsim does not."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._seen: set[int] = set()
        self._copies = 0

    def convert(self, node: yaml.Node, path: tuple[str | int, ...]) -> Located:
        mark = Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
        if len(path) >= _DEEPEST and not isinstance(node, yaml.ScalarNode):
            raise ConfigError(*self.problems, _too_deep(mark))  # aliases make a deep tree of a flat file
        if id(node) in self._seen:
            self._copies += 1
            if id(node) in self._open or self._copies > _MOST_COPIES:
                inside = id(node) in self._open
                self._say(
                    mark, path, "an alias inside its own anchor" if inside else "aliases unfold to too many values"
                )
                return Scalar(None, "", mark)
        self._seen.add(id(node))
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, mark, path)
            if isinstance(node, yaml.SequenceNode):
                return Seq(mark, tuple(self.convert(item, (*path, i)) for i, item in enumerate(node.value)))
            if isinstance(node, yaml.MappingNode):
                return self._map(node, mark, path)
            raise InternalError(f"a YAML node of an unknown kind: {node!r}")
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, mark: Mark, path: tuple[str | int, ...]) -> Scalar:
        tag, text = node.tag.removeprefix(_TAG), node.value
        value: bool | int | float | str | None = text
        lines = self.source.lines  # a value that is left out at the very end has its place behind them
        tagged = mark.line <= len(lines) and _TAGGED.match(lines[mark.line - 1], mark.column - 1) is not None
        if (not node.style and not tagged) or tag in {"int", "float", "bool", "null"}:
            value = resolve(text)
        elif tag != "str":
            self._say(mark, path, f"unknown YAML tag {node.tag.replace(_TAG, '!!')}", "netsim needs no tags")
        start, end = node.start_mark, node.end_mark
        span = Span(node.style or "", (start.line, start.column), (end.line, end.column))
        return Scalar(value, text, mark, span)

    def _map(self, node: yaml.MappingNode, mark: Mark, path: tuple[str | int, ...]) -> Map:
        entries: dict[str, Entry] = {}
        merged: list[Map] = []
        for key_node, value_node in node.value:
            key_mark = Mark(self.source, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._say(key_mark, path, "a key must be text")
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                merged += self._merge(value_node, key_mark, path)
                continue
            if key in entries:
                first = entries[key].key.mark.line
                self._say(key_mark, (*path, key), f'duplicate key "{key}"', f"first on line {first}")
                continue
            entries[key] = Entry(Scalar(key, key, key_mark), self.convert(value_node, (*path, key)))
        for other in merged:  # YAML merge rule: keys given here win, then earlier merges
            for key, entry in other.entries.items():
                entries.setdefault(key, entry)
        return Map(mark, entries)

    def _merge(self, node: yaml.Node, mark: Mark, path: tuple[str | int, ...]) -> list[Map]:
        value = self.convert(node, (*path, "<<"))
        parts: Sequence[Located] = value.items if isinstance(value, Seq) else (value,)
        if not all(isinstance(part, Map) for part in parts):
            self._say(mark, path, '"<<" merges mappings only')
        return [part for part in parts if isinstance(part, Map)]

    def _say(self, mark: Mark, path: tuple[str | int, ...], what: str, hint: str = "") -> None:
        self.problems.append(mark.problem(path_text(path), what, hint))
