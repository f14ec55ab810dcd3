"""One run of `ip`: the box it asks, the options it was given, and what it printed so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from netsim.shell.iproute2.args import EXIT_INPUT, EXIT_KERNEL
from netsim.shell.iproute2.output import Printer
from netsim.shell.tool import Box, Failure
from netsim.stack.errno import Refusal
from netsim.stack.requests import DumpLinks, LinkInfo, Request
from netsim.units import Ns

T = TypeVar("T")


@dataclass(slots=True)
class Options:
    """The options before the object; counts where repeating matters."""

    family: int = 0
    as_json: bool = False
    pretty: bool = False
    details: int = 0
    stats: int = 0
    oneline: bool = False
    brief: bool = False

    def printer(self) -> Printer:
        """Return a printer of the form asked for."""
        return Printer(as_json=self.as_json, pretty=self.pretty, oneline=self.oneline)


def kernel_words(refusal: Refusal) -> str:
    """Say a refusal as iproute2 does: the kernel's own sentence with a full stop, or the errno's words."""
    if refusal.message:
        return f"Error: {refusal.message}" + ("" if refusal.message.endswith(".") else ".")
    return f"RTNETLINK answers: {refusal.strerror}"


class Session:
    """What a parsed command runs in."""

    def __init__(self, box: Box, options: Options, now: Ns) -> None:
        self.box = box
        self.options = options
        self.now = now
        self.out: list[str] = []
        self.err: list[str] = []

    def request(self, req: Request[T]) -> T | Refusal:
        """Ask the box."""
        return self.box.request(req, now=self.now)

    def ask(self, req: Request[T]) -> T:
        """Ask the box. Raises Failure with the kernel's words when it refuses."""
        answer = self.box.request(req, now=self.now)
        if isinstance(answer, Refusal):
            raise Failure(kernel_words(answer), EXIT_KERNEL)
        return answer

    def dump(self, req: Request[T], *, ending: str = "Dump terminated") -> T:
        """Ask for a list. Raises Failure as `ask` does, with the ending that iproute2 adds to a broken dump."""
        answer = self.box.request(req, now=self.now)
        if isinstance(answer, Refusal):
            if self.options.as_json and ending.startswith("Dump"):
                self.out.append("[")  # the array was opened before the kernel refused
            raise Failure(f"{kernel_words(answer)}\n{ending}", EXIT_KERNEL)
        return answer

    def links(self) -> tuple[LinkInfo, ...]:
        """Return every device."""
        return self.ask(DumpLinks())

    def link(self, name: str, words: str = 'Cannot find device "{}"') -> LinkInfo:
        """Return the device called `name`. Raises Failure in `words`."""
        for link in self.links():
            if link.name == name:
                return link
        raise Failure(words.format(name), EXIT_INPUT)

    def print(self, text: str) -> None:
        """Print to standard output."""
        self.out.append(text)

    def warn(self, text: str) -> None:
        """Print a line to standard error."""
        self.err.append(f"{text}\n")


class Action(Protocol):
    """A parsed command."""

    def run(self, session: Session) -> None:
        """Carry it out. Raises Failure."""
        ...
