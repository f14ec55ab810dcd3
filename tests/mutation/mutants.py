"""Small changes to a source file that a test should notice: one at a time, each a piece of text put for another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARE = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Is: "is not",
    ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_BINARY = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*", ast.Mod: "//", ast.BitAnd: "|", ast.BitOr: "&",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitXor: "&",
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """`file`, with the text from `start` to `end` replaced by `text`; `line` and `what` are for people."""

    file: str
    line: int
    start: int
    end: int
    text: str
    what: str

    @property
    def label(self) -> str:
        """Where it is and what, as the runner prints it."""
        return f"{self.file}:{self.line}: {self.what}"

    def apply(self, source: str) -> str:
        """Return the mutated source."""
        return source[: self.start] + self.text + source[self.end :]


def mutants_of(path: Path, shown: str) -> Iterator[Mutant]:
    """Yield every mutant of a file, in the order of its nodes."""
    source = path.read_text(encoding="utf-8")
    places = _Places(source)
    for node in _nodes(ast.parse(source)):
        for target, text, what in _changes(node, source, places):
            start, end = places.of(target)
            if source[start:end] != text:
                yield Mutant(shown, target.lineno, start, end, text, what)


class _Places:
    """Offsets in the text of what the parser counts in lines and UTF-8 octets."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.AST) -> tuple[int, int]:
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)

    def _at(self, line: int, octets: int) -> int:
        text = self._lines[line - 1]
        return self._starts[line - 1] + len(text.encode()[:octets].decode())


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: no annotations, docstrings, slots, type checkers' imports, nor the words of errors."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "bases", "keywords", "type_comment"):
            continue
        for child in value if isinstance(value, list) else (value,):
            if not isinstance(child, ast.AST) or _is_silent(child):
                continue
            yield child
            yield from _nodes(child)


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return True
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return any(isinstance(each, ast.Name) and each.id.startswith("__") for each in targets)


def _changes(node: ast.AST, source: str, places: _Places) -> Iterator[tuple[ast.AST, str, str]]:
    """Yield (node to replace, its new text, what that is)."""

    def text(part: ast.AST) -> str:
        start, end = places.of(part)
        return source[start:end]

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operator = _COMPARE[type(node.ops[0])]
        yield node, f"{text(node.left)} {operator} {text(node.comparators[0])}", f"compare with {operator}"
    elif isinstance(node, ast.BoolOp):
        word = "or" if isinstance(node.op, ast.And) else "and"
        yield node, "(" + f" {word} ".join(f"({text(value)})" for value in node.values) + ")", f"{word} instead"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, f"({text(node.operand)})", "without not"
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        operator = _BINARY[type(node.op)]
        yield node, f"({text(node.left)}) {operator} ({text(node.right)})", f"{operator} instead"
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield node, str(not node.value), f"{not node.value} instead"
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield node, str(node.value + 1), f"{node.value + 1} instead"
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield node.test, f"(not ({text(node.test)}))", "the other way round"
    elif isinstance(node, (ast.Break, ast.Continue)):
        word = "continue" if isinstance(node, ast.Break) else "break"
        yield node, word, f"{word} instead"
    elif (
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        or isinstance(node, ast.AugAssign)
        or (isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)))
    ):
        yield node, "pass", "left out"
