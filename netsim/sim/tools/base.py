"""What a command that takes time is made of: its syntax for the shell, its story on the clock, a socket it waits on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import simpy

from netsim.addr import Ip, parse_ip
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.sim.node import Node
from netsim.stack.requests import Close
from netsim.units import NS_PER_S, Ns

Story: TypeAlias = Generator[simpy.Event, Any, CommandResult]  # what a simpy process is made of
POWER_CUT = CommandResult("", "", 137)
"""What is left of a command whose box crashed under it: nothing printed, the status of a killed process."""


@dataclass(frozen=True, slots=True)
class Options:
    """A command's options by letter, each with the word that gave it, and its operands."""

    given: Mapping[str, Word]
    operands: tuple[Word, ...]

    def __contains__(self, letter: str) -> bool:
        return letter in self.given

    def text(self, letter: str, default: str = "") -> str:
        """Return an option's argument."""
        return self.given[letter].text if letter in self.given else default

    def count(self, letter: str, default: int, low: int, high: int) -> int:
        """Return an option's argument as a whole number inside bounds. Raises Failure."""
        if letter not in self.given:
            return default
        word = self.given[letter]
        if not word.text.isdecimal() or not low <= int(word.text) <= high:
            raise Failure(f"invalid argument: '{word.text}': out of range: {low} <= value <= {high}", 1, word)
        return int(word.text)

    def time(self, letter: str, default: Ns) -> Ns:
        """Return an option's argument, seconds with or without a fraction. Raises Failure."""
        if letter not in self.given:
            return default
        word = self.given[letter]
        whole, _, part = word.text.partition(".")
        if not (whole + part).isdecimal():
            raise Failure(f"invalid argument: '{word.text}'", 1, word)
        return int(whole or 0) * NS_PER_S + int((part + "000000000")[:9])


def read_options(argv: Sequence[Word], flags: str, taking: str) -> Options:
    """Read words as getopt does: `flags` stand alone, letters of `taking` have an argument. Raises Failure."""
    given: dict[str, Word] = {}
    operands: list[Word] = []
    words = iter(argv[1:])
    for word in words:
        if not word.text.startswith("-") or word.text == "-":
            operands.append(word)
            continue
        for at, letter in enumerate(word.text[1:], 2):
            if letter in flags:
                given[letter] = word
            elif letter in taking:
                rest = word.text[at:]
                argument = Word(rest, word.column + at) if rest else next(words, None)
                if argument is None:
                    raise Failure(f"option requires an argument -- '{letter}'", 2, word)
                given[letter] = argument
                break
            else:
                raise Failure(f"invalid option -- '{letter}'", 2, word)
    return Options(given, tuple(operands))


def address(word: Word) -> Ip:
    """Read an operand that is an address: there is no name service. Raises Failure."""
    try:
        return parse_ip(word.text)
    except ValueError:
        raise Failure(f"{word.text}: Name or service not known", 2, word, "write an address") from None


class WorldTool:
    """One command. `read` parses the words or raises Failure; `story` does it, on the clock."""

    name = ""
    kernels: tuple[str, ...] = ()

    def read(self, argv: Sequence[Word]) -> Any:  # Any: each tool's own call
        """Parse. Raises Failure."""
        raise NotImplementedError  # every tool has its own

    def story(self, node: Node, argv: Sequence[Word]) -> Story:
        """Do it, and return what was printed."""
        raise NotImplementedError  # every tool has its own

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone."""
        try:
            self.read(argv)
        except Failure as failure:
            return [failure.problem(argv, self.name)]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Refuse: time does not pass while a box is set up."""
        return CommandResult("", f"{self.name}: takes time, and none passes during set-up\n", 1)


class Waiting:
    """A socket, or anything else that calls `wake`, to wait on with a deadline."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._box = node.box
        self._event: simpy.Event | None = None
        self._fds: list[int] = []

    @property
    def gone(self) -> bool:
        """Whether the box crashed since."""
        return self.node.crashed or self.node.box is not self._box

    def listen(self, fd: int, heard: Callable[[str], None]) -> None:
        """Call `heard(event)` for news of a socket, and wake."""
        self._fds.append(fd)

        def news(event: str) -> None:
            heard(event)
            self.wake()

        self.node.listen(fd, news)

    def wake(self) -> None:
        """End the wait."""
        event, self._event = self._event, None
        if event is not None:
            event.succeed()

    def until(self, at: Ns) -> Generator[simpy.Event, Any, None]:
        """Wait for a wake, at most until an instant."""
        env = self.node.world.env
        if at > env.now:
            self._event = env.event()
            yield self._event | env.timeout(at - env.now)
            self._event = None

    def close(self) -> None:
        """Give the sockets back."""
        if self.gone:
            return
        for fd in self._fds:
            self.node.unlisten(fd)
            self.node.request(Close(fd=fd))
        self._fds.clear()
