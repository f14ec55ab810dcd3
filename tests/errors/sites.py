"""Where netsim says that something is wrong: every call that makes a message or a refusal, found in the sources.

A site is named by its file and its own text, so that it keeps its name when lines move; equal texts of one file are
numbered.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RAISED = frozenset({
    "ConfigError", "Failure", "FilterError", "GraphError", "MisuseError", "NotationError", "SimulationError", "Skipped",
    "SyntaxProblem", "UnknownOptionError", "Unreadable", "ValueError", "_misuse", "_usage", "duplicate", "garbage",
    "incomplete", "invalid", "wrong",
})  # fmt: skip
MADE = frozenset(
    {"Failure", "LineProblem", "Problem", "Refusal", "_fail", "_say", "complain", "problem", "say", "wrong"}
)
SPOKEN = ("netsim/sim/apps/",)
"""Where what is said is a protocol's words, not a message."""
LONGEST = 100


class Site(NamedTuple):
    """One place: `file` and `text` name it, lines `first` to `last` are where it stands today."""

    file: str
    text: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """What the list of unreached sites calls it."""
        return f"{self.file}: {self.text}"


def sites() -> list[Site]:
    """Return every site of the package, in order of files and lines."""
    found: list[Site] = []
    for path in sorted((ROOT / "netsim").rglob("*.py")):
        shown = path.relative_to(ROOT).as_posix()
        if shown.startswith(SPOKEN):
            continue
        seen: dict[str, int] = {}
        for node in sorted(
            _calls(ast.parse(path.read_text(encoding="utf-8"))), key=lambda node: (node.lineno, node.col_offset)
        ):
            text = ast.unparse(node)
            text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
            seen[text] = seen.get(text, 0) + 1
            number = f" #{seen[text]}" if seen[text] > 1 else ""
            found.append(Site(shown, text + number, node.lineno, node.end_lineno or node.lineno))
    return found


def _calls(tree: ast.AST) -> list[ast.Call]:
    """Return the outermost calls that are sites: one message, not each of the calls that build it."""
    found: list[ast.Call] = []
    inside: set[int] = set()
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or id(call) in inside:
            continue
        if _name(call.func) in (RAISED if isinstance(node, ast.Raise) else MADE):
            found.append(call)
            inside.update(id(each) for each in ast.walk(call))
    return found


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
