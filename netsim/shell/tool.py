"""What a command-line tool is here, what it answers, and how it says that it was misused.

A tool has two faces. `check` reads the words without a box and says what is wrong with them (a scenario is checked
before anything runs); `run` reads the same words, asks the box, and prints. Both share one parser, which raises
`Failure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from netsim.stack.errno import Refusal
from netsim.stack.profile.kernels import Profile
from netsim.stack.requests import Request
from netsim.units import Ns

T = TypeVar("T")


class Word(NamedTuple):
    """One word of a command, quotes removed; `column` counts from 1 in the line as given."""

    text: str
    column: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command printed, and its exit status."""

    stdout: str = ""
    stderr: str = ""
    rc: int = 0


@dataclass(frozen=True, slots=True)
class LineProblem:
    """One mistake in a command line, in the tool's own words; `hint` is what we add."""

    column: int
    what: str
    hint: str = ""


class Box(Protocol):
    """The Linux box as a tool sees it; stack.netns.Netns is one."""

    name: str
    profile: Profile

    def request(self, req: Request[T], *, now: Ns) -> T | Refusal:
        """Answer or refuse; a refused request changed nothing."""
        ...


class Tool(Protocol):
    """One command. `argv[0]` is the command's own word.

    `kernels` names the kernel families that have it ("linux-2.4"; `linux-2.4-routes` belongs to it); () means all.
    """

    @property
    def name(self) -> str:
        """The word it is called by."""
        ...

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernel families that have it, () for all."""
        ...

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone: no box is asked, nothing is run."""
        ...

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Do it."""
        ...


class Reader(Tool, Protocol):
    """A command that reads a here-document, its standard input."""

    def check_text(self, argv: Sequence[Word], text: str, columns: Sequence[int]) -> list[LineProblem]:
        """Say what is wrong with the words and the text, whose lines begin at `columns`, its end at the last one."""
        ...

    def run_text(self, box: Box, argv: Sequence[Word], text: str, *, now: Ns) -> CommandResult:
        """Do it with a standard input."""
        ...


class Failure(Exception):  # noqa: N818  # an ordinary outcome of a command, not an error of the program
    """A tool gives up: `stderr` is its text without the last newline, `rc` its exit status.

    Not an error of netsim's user as such: a command of a running scenario may fail like any other. `word` is the one at
    fault (None: the command as a whole, or its end).
    """

    def __init__(self, stderr: str, rc: int, word: Word | None = None, hint: str = "") -> None:
        self.stderr = stderr
        self.rc = rc
        self.word = word
        self.hint = hint
        super().__init__(stderr)

    def result(self, stdout: str = "") -> CommandResult:
        """Turn it into an answer, after what was printed before it."""
        return CommandResult(stdout, f"{self.stderr}\n", self.rc)

    def problem(self, argv: Sequence[Word], said_by: str) -> LineProblem:
        """Turn it into a mistake of the line; `said_by` ("ip route add") goes before the tool's words."""
        lines = self.stderr.splitlines()
        said = [line for line in lines if line.strip() and not line.startswith("Warning: ")] or [""]
        what = said[0].removeprefix("Error: ").removeprefix(f"{said_by}: ")
        at = self.word if self.word is not None else argv[-1] if argv else Word("", 1)
        return LineProblem(at.column, f"{said_by}: {what}", self.hint)
