"""What keeps a scenario from being compared with the running kernel, each with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from netsim.kernel.probe import TOOLS
from netsim.scenario.actions import Impairment
from netsim.scenario.model import Scenario
from netsim.topology.commands import expand
from netsim.topology.model import Topology

_CHANCE = ("loss", "corrupt", "duplicate", "reorder")


def obstacles(scenario: Scenario) -> tuple[str, ...]:
    """Return why a scenario cannot be compared with this kernel; none when it can."""
    return tuple(dict.fromkeys(_obstacles(scenario, scenario.effective_topology())))


def _obstacles(scenario: Scenario, topology: Topology) -> Iterator[str]:
    for name, node in topology.nodes.items():
        if node.kernel != "linux-6":
            yield f"{name} is {node.kernel}, and only linux-6 can be compared with a running kernel"
        for dev, interface in node.interfaces.items():
            if interface.kind != "ether":
                yield f"{name}:{dev} is a {interface.kind} interface, and the referee makes ethernet ones only"
    for name, link in topology.links.items():
        for end in (0, 1):
            direction = link.direction(end)
            for word in _CHANCE:
                if getattr(direction, word):
                    yield f"link {name} has {word}, which is chance: two runs need not agree"
    for event in scenario.events:
        argument = event.argument
        if isinstance(argument, Impairment):
            for word in _CHANCE:
                if getattr(argument, word):
                    yield f"event {event.id} brings {word}, which is chance: two runs need not agree"
    for tool in sorted(_tools_used(scenario, topology)):
        if shutil.which(tool) is None:
            yield f"{tool} is not installed"


def _tools_used(scenario: Scenario, topology: Topology) -> set[str]:
    """Return the tools that the scenario's command lines begin with."""
    blocks = [node.run for node in topology.nodes.values()]
    blocks += [block for event in scenario.events if event.run for block in event.run.values()]
    blocks += [text for each in scenario.expect if isinstance(text := getattr(each, "run", None), str)]
    words = {command.text.split(maxsplit=1)[0] for block in blocks for command in expand(block) if command.text.strip()}
    return words.intersection(TOOLS)
