"""Every command line of a scenario through the shell's grammar, each mistake at its word in the file.

Nothing is run here: the shell checks syntax by the kernel the node runs. Source: design/scenario-format.md, "For a
command line the words are Linux's own".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from netsim.scenario.check import DEFAULT_KERNEL, Context, Path
from netsim.scenario.located import Located, Map, Mark, Scalar, mapping, sequence, text_of
from netsim.topology.commands import Command, expand

if TYPE_CHECKING:
    from netsim.shell.tool import Tool

_TAKES_TIME = re.compile(r"\b(ping|arping|traceroute)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One command line of a file: which node runs it, where it stands, and its way through the file."""

    node: str
    command: Command
    block: Scalar
    path: Path

    def at(self, column: int) -> Mark:
        """Return the place of column `column` (from 0) of the line."""
        return self.block.at(self.command.at(column))


def lines_of(node: str, block: Located | None, path: Path) -> Iterator[Line]:
    """Cut one `run:` block into its lines."""
    if isinstance(block, Scalar) and isinstance(block.value, str):
        for i, command in enumerate(expand(block.text)):
            yield Line(node, command, block, (*path, i))


def setup_lines(tree: Map, node: str) -> Iterator[Line]:
    """The set-up lines of a node: the topology's, then the scenario's own."""
    yield from lines_of(node, tree.get("topology", "nodes", node, "run"), ("topology", "nodes", node, "run"))
    yield from lines_of(node, tree.get("run", node), ("run", node))


def all_lines(tree: Map) -> Iterator[Line]:
    """Every command line of a scenario: set-up, events, expectations."""
    for node in mapping(tree.get("topology", "nodes")).entries:
        yield from setup_lines(tree, node)
    for i, event in enumerate(sequence(tree.get("events"))):
        for node, block in mapping(mapping(event).get("run")).items():
            yield from lines_of(node, block, ("events", i, "run", node))
    for i, expect in enumerate(sequence(tree.get("expect"))):
        node = text_of(mapping(expect).get("node")) or ""
        yield from lines_of(node, mapping(expect).get("run"), ("expect", i, "run"))


def check_lines(ctx: Context) -> None:
    """Check the syntax of every command line by the kernel of its node (the default one where that is unknown)."""
    from netsim.shell.dispatch import check_line

    for line in all_lines(ctx.tree):
        kernel = ctx.kernel(line.node) or DEFAULT_KERNEL
        for problem in check_line(line.command.text, kernel, _world_tools(line)):
            ctx.say(line.at(problem.column - 1), line.path, problem.what, problem.hint)


def _world_tools(line: Line) -> Mapping[str, Tool]:
    """Return the commands that take time where a line may have one: not in set-up, when no time passes."""
    if line.path[0] not in {"events", "expect"} or _TAKES_TIME.search(line.command.text) is None:
        return MappingProxyType({})
    from netsim.sim.tools.script import WORLD_TOOLS  # costs simpy: only for a file that has such a line

    return WORLD_TOOLS
