"""What this kernel and this user can do for the referee, each with its reason, and what one scenario needs of it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from netsim.errors import Skipped
from netsim.oracle.sealed import Namespace
from netsim.scenario.actions import Impairment
from netsim.scenario.model import Scenario
from netsim.topology.commands import expand
from netsim.topology.model import Topology

_CHANCE = ("loss", "corrupt", "duplicate", "reorder")
_TOOLS = ("ip", "iptables", "iptables-save", "conntrack", "sysctl", "ping", "arping", "tc", "bridge")
_ALWAYS = ("sh", "ip", "sysctl")


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that can be done here or not; `said` is the version, or why not."""

    name: str
    ok: bool
    said: str


def abilities() -> tuple[Ability, ...]:
    """Return what this machine can do for the referee, in the order it is needed."""
    out = [Ability("Linux", platform.system() == "Linux", f"{platform.system()} {platform.release()}")]
    out.append(_namespaces() if out[0].ok else Ability("namespaces", False, "only Linux has them"))
    for tool in dict.fromkeys((*_ALWAYS, *_TOOLS)):
        path = shutil.which(tool)
        out.append(Ability(tool, path is not None, path or f"{tool} is not installed"))
    return tuple(out)


def _namespaces() -> Ability:
    """Try to make a namespace with an interface pair in it, and let it go."""
    try:
        namespace = Namespace("probe")
    except Skipped as error:
        why = "" if os.geteuid() == 0 else "; not root"
        return Ability("namespaces", False, f"{error}{why}")
    try:
        if shutil.which("ip") is not None:
            code, _, said = namespace.run(["ip", "link", "add", "name", "v1", "type", "veth", "peer", "name", "v2"])
            if code:
                return Ability("namespaces", False, f"no veth pair can be made: {said.strip()}")
    finally:
        namespace.close()
    return Ability("namespaces", True, "network namespaces and veth pairs can be made")


def require() -> None:
    """Raise Skipped, with the first reason, when no scenario at all can be run here."""
    for ability in abilities():
        if not ability.ok and ability.name in ("Linux", "namespaces", *_ALWAYS):
            raise Skipped(f"the real kernel cannot be asked: {ability.said}")


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
    return words.intersection(_TOOLS)
