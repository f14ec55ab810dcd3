"""Verbs: what a scenario lets happen to nodes, links, interfaces and traffic, each as a thing to call at its instant.

A name that does not exist is told when the event is made, not when it happens.
Source: design/scenario-format.md, "events".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from netsim.addr import parse_mac
from netsim.errors import SimulationError
from netsim.lab.set_up import Refused, configure, create_devices
from netsim.sim import failures
from netsim.sim.apps.build import Applications
from netsim.sim.link import Link
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.requests import NewLink
from netsim.topology.model import Topology
from netsim.topology.ports import Port
from netsim.trace.records import CommandRun

Act: TypeAlias = Callable[[], None]
T = TypeVar("T")

_ON_NODE: Mapping[str, Callable[[Node], None]] = MappingProxyType({
    "silence": failures.silence, "revive": failures.revive, "crash": failures.crash,
})  # fmt: skip
_ON_LINK: Mapping[str, Callable[[World, Link], None]] = MappingProxyType({"cut": failures.cut, "join": failures.join})
_ON_INTERFACE = ("up", "down", "remove", "create", "plug", "unplug", "mute", "unmute")


def named(things: Mapping[str, T], kind: str, name: str) -> T:
    """Return the node or link of a name. Raises KeyError with the names there are."""
    if name not in things:
        raise KeyError(f"no {kind} {name!r}; there are: {', '.join(things)}")
    return things[name]


class Verbs:
    """The verbs of one world. `ports` are the interfaces of its topology, by node."""

    def __init__(
        self, world: World, topology: Topology, ports: Mapping[str, tuple[Port, ...]], apps: Applications
    ) -> None:
        self._world = world
        self._topology = topology
        self._ports = ports
        self._apps = apps
        self._specs = {name: link.spec() for name, link in world.links.items()}

    def act(self, verb: str, target: str, options: Mapping[str, Any]) -> Act:  # Any: by verb
        """Return what `verb` does to `target`. Raises KeyError for an unknown name, SimulationError for a verb."""
        world = self._world
        if verb in _ON_NODE:
            node = named(world.nodes, "node", target)
            return lambda: _ON_NODE[verb](node)
        if verb == "boot":
            node = named(world.nodes, "node", target)
            return lambda: failures.boot(node, self._set_up_again)
        if verb in {"start", "stop"}:
            return lambda: (self._apps.start if verb == "start" else self._apps.stop)(target)
        if verb in _ON_LINK:
            link = named(world.links, "link", target)
            return lambda: _ON_LINK[verb](world, link)
        if verb in {"impair", "repair", "flap"}:
            return self._on_line(verb, target, options)
        if verb not in _ON_INTERFACE:
            raise SimulationError(f"no verb {verb!r}")
        return self._on_interface(verb, target)

    def _on_line(self, verb: str, target: str, options: Mapping[str, Any]) -> Act:  # Any: by verb
        link = named(self._world.links, "link", target)
        if verb == "impair":
            return lambda: failures.impair(link, **options)
        if verb == "repair":
            return lambda: failures.repair(link, self._specs[target])
        return lambda: failures.flap(self._world, link, **options)

    def _on_interface(self, verb: str, target: str) -> Act:
        name, _, dev = target.partition(":")
        node = named(self._world.nodes, "node", name)
        if verb in {"up", "down"}:
            return lambda: failures.set_up(node, dev, up=verb == "up")
        if verb == "remove":
            return lambda: failures.remove(node, dev)
        port = next((port for port in self._ports[name] if port.name == dev), None)
        if port is None:
            raise SimulationError(f"{name} has no interface {dev!r} in its topology")
        if verb == "create":
            return lambda: failures.create(
                node, NewLink(name=dev, kind=port.kind, mac=parse_mac(port.mac), mtu=port.mtu)
            )
        if dev not in node.nics:
            raise SimulationError(f"{name}:{dev} is on no link")
        end = node.nics[dev]
        if verb in {"plug", "unplug"}:
            act = failures.plug if verb == "plug" else failures.unplug
            return lambda: act(self._world, end)
        muting = failures.mute if verb == "mute" else failures.unmute
        return lambda: muting(end)

    def _set_up_again(self, node: Node) -> None:
        """Set a booted box up as at the beginning; what it refuses this time is in the trace, as after any boot."""
        spec, ports = self._topology.nodes[node.name], self._ports[node.name]
        create_devices(node, spec, ports)
        for end in node.nics.values():
            if not end.link.carrier(end):
                node.carrier(end.dev, False)
        for refused in configure(node, spec, ports):
            self._tell(refused)
        self._apps.booted(node.name)

    def _tell(self, refused: Refused) -> None:
        bus, result = self._world.bus, refused.result
        if CommandRun in bus.wanted:
            bus.publish(
                CommandRun(self._world.env.now, refused.node, refused.line, result.rc, result.stdout, result.stderr)
            )
