"""Lines that may take time, run on the clock: a story a line, commands one after another as sh would.

A line without a command of this package is the box's alone and takes no time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import simpy

from netsim.shell.dispatch import run_command
from netsim.shell.tokens import AND, OR, Command, SyntaxProblem, parse
from netsim.shell.tool import Box, CommandResult, Tool, Word
from netsim.sim.node import Node
from netsim.sim.tools.arping import ArpingTool
from netsim.sim.tools.base import POWER_CUT, Story, WorldTool
from netsim.sim.tools.ping import PingTool
from netsim.sim.tools.traceroute import TracerouteTool
from netsim.stack.netns import Netns
from netsim.trace.records import CommandRun
from netsim.units import Ns

WORLD_TOOLS: Mapping[str, WorldTool] = MappingProxyType(
    {tool.name: tool for tool in (PingTool(), ArpingTool(), TracerouteTool())}
)
"""The commands that take time, by name."""


def takes_time(line: str) -> bool:
    """Tell whether a line has a command that takes time."""
    try:
        commands = parse(line)
    except SyntaxProblem:
        return False
    return any(_tool(command) is not None for command in commands)


def run_line(node: Node, line: str) -> Story:
    """Run a line, record it when it is through, and return what it printed.

    A box that is not the emulator's (the referee has the kernel's) has its own commands, which take real time.
    """
    if not takes_time(line) or not isinstance(node.box, Netns):
        return node.sh(line)
    out, err, rc = "", "", 0
    for command in parse(line):
        if (command.joint == AND and rc) or (command.joint == OR and not rc):
            continue
        if node.crashed:
            return POWER_CUT
        tool = _tool(command)
        extra: Mapping[str, Tool] = MappingProxyType({})
        if tool is not None:
            answer = yield from tool.story(node, command.words)
            extra = {command.words[0].text: _Answered(tool.name, answer)}
        result = run_command(node.box, command, now=node.world.env.now, extra=extra)
        node.drain()
        out, err, rc = out + result.stdout, err + result.stderr, result.rc
    if CommandRun in node.world.bus.wanted:
        node.world.bus.publish(CommandRun(node.world.env.now, node.name, line, rc, out, err))
    return CommandResult(out, err, rc)


def run_script(node: Node, lines: Iterable[str]) -> Generator[simpy.Event, Any, tuple[CommandResult, ...]]:
    """Run lines one after another."""
    answers = []
    for line in lines:
        answers.append((yield from run_line(node, line)))
    return tuple(answers)


def _tool(command: Command) -> WorldTool | None:
    return WORLD_TOOLS.get(command.words[0].text) if command.words else None


class _Answered:
    """A tool whose answer is known already: the shell has only its streams to carry."""

    kernels: tuple[str, ...] = ()

    def __init__(self, name: str, answer: CommandResult) -> None:
        self.name = name
        self._answer = answer

    def check(self, argv: Sequence[Word]) -> list[Any]:
        """Find nothing: it ran."""
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Answer what is known."""
        return self._answer
