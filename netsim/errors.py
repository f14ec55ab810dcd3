"""Whose fault it is, as an exception type, and how a mistake in a file is told to the person who made it.

Kernel refusals are not exceptions: they are values (stack/errno.py), because a refused command is an ordinary event.
"""

from __future__ import annotations

from dataclasses import dataclass, field


def printable(text: str) -> str:
    """Return text with its control characters as escapes: a terminal obeys them, and strangers write them."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)


class NetsimError(Exception):
    """The root of everything netsim raises on purpose."""

    exit_code = 3


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one place.

    `path` is the way through the file ("topology.nodes.router.run[3]"), `what` is said in Linux's own words where a
    Linux tool has words for it, `hint` is what netsim adds. `line` and `column` count from 1; 0 means the whole file.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    hint: str = ""
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        text = f"{where}{path}{self.what}{hint}"
        if self.source:
            text += f"\n    {self.source}\n    {' ' * max(0, self.column - 1)}^"
        return printable(text)


class ConfigError(NetsimError):
    """The person's input is wrong: a topology, a scenario, a command line. Nothing was run."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SimulationError(NetsimError):
    """A Python caller misused the library: a float delay, a callback that calls the box it runs in."""

    exit_code = 2


class InternalError(NetsimError):
    """An impossible state: a bug in netsim, never the caller's fault."""

    exit_code = 3

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; this is a bug in netsim, please report it")


class Skipped(NetsimError):  # noqa: N818  # a skip is no error
    """This machine or user cannot do it (no root, no such kernel feature); says why."""

    exit_code = 4
