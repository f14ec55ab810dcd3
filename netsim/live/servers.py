"""The programs of `serve:` on one node: there before the clock starts, gone with the node's power, back when it boots.

One that ends by itself is told: nobody else would notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from netsim.kernel.program import Program
from netsim.kernel.reactor import Reactor
from netsim.kernel.sealed import Namespace
from netsim.live.command import ports_open, start

KEPT = 1 << 12
"""How much of what a server complains of is kept, in octets."""


class Servers:
    """`lines` are command lines, `hosts` is the text of /etc/hosts. `ended(sentence)` hears of one that ended."""

    def __init__(self, lines: Sequence[str], hosts: str, reactor: Reactor, ended: Callable[[str], None]) -> None:
        self._lines = lines
        self._hosts = hosts
        self._reactor = reactor
        self._ended = ended
        self._programs: list[Program] = []

    def start(self, namespace: Namespace) -> None:
        """Start all of them. Raises Skipped where a tool is missing."""
        for line in self._lines:
            process = start(namespace, ["sh", "-c", f"exec {line}"], self._hosts, quiet=True)
            program = Program(process, self._reactor, keep=KEPT, ended=partial(self._over, line))
            self._programs.append(program)

    def _over(self, line: str) -> None:
        for program in [each for each in self._programs if each.status is not None]:
            self._programs.remove(program)
            said = program.stderr.strip().splitlines()
            self._ended(f"{line} ended with status {program.status}" + (f": {said[-1].strip()}" if said else ""))
            program.close()

    def ready(self, namespace: Namespace) -> bool:
        """Tell whether as many ports are open as there are servers."""
        return ports_open(namespace) >= len(self._lines)

    def stop(self) -> None:
        """Take their power."""
        for program in self._programs:
            program.close()
        self._programs.clear()
