"""The world of a live run: nodes of the running kernel, nodes behind TAP devices, and all others emulated."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netsim.kernel.lab import KernelLab
from netsim.kernel.lateness import Lateness
from netsim.kernel.world import KernelNode, KernelWorld
from netsim.live.servers import Servers
from netsim.live.tap import TapBox, TapNode
from netsim.scenario.model import Live
from netsim.seeds import Seed
from netsim.sim.apps.build import Destination
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.netns import Netns
from netsim.stack.profile import Profile
from netsim.units import NS_PER_MS, Ns

COMING_UP = 3.0
"""Seconds that the servers of a node have to open a port each; then the clock starts without."""


@dataclass(frozen=True, slots=True)
class EndedServer:
    """A program of `serve:` that ended by itself, and when: `sentence` says which, and how."""

    t: Ns
    node: str
    sentence: str


class LiveNode(KernelNode):
    """A node of the running kernel with programs of the person's: they open any port, as root would."""

    world: LiveWorld

    def __init__(self, world: LiveWorld, name: str, profile: Profile) -> None:
        super().__init__(world, name, profile)
        lines = [line for line in world.real[name].serve.splitlines() if line.strip()]
        self.servers = Servers(lines, world.hosts, world.reactor, self._server_ended)

    def _new_box(self) -> Netns:
        box = super()._new_box()
        self.kernel.namespace.write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
        return box

    def serve(self) -> None:
        """Start the node's servers."""
        if not self.crashed:
            self.servers.start(self.kernel.namespace)

    def _server_ended(self, sentence: str) -> None:
        self.world.ended_servers.append(EndedServer(self.world.clock(), self.name, sentence))

    def crash(self) -> None:
        """Lose power, the servers' too."""
        super().crash()
        self.servers.stop()

    def boot(self) -> Ns:
        """Take a new namespace; the servers start when it is set up, which is at this instant."""
        now = super().boot()
        self.world.env.at(now, self.serve)
        return now

    def close(self) -> None:
        """Let the namespace go, and the servers."""
        self.servers.stop()
        super().close()


class LiveWorld(KernelWorld):
    """`real` says how each real node is real, a tap's `dev` filled in; `hosts` is what programs see as /etc/hosts."""

    def __init__(self, seed: Seed, real: Mapping[str, Live], lateness: Lateness, hosts: str = "") -> None:
        super().__init__(seed, lateness)
        self.real = real
        self.hosts = hosts
        self.ended_servers: list[EndedServer] = []
        self._taps: list[TapBox] = []

    def add_node(self, name: str, profile: Profile) -> Node:
        """Put a box into the world: a real one where the scenario says so."""
        spec = self.real.get(name)
        if spec is None:
            return World.add_node(self, name, profile)
        node: Node
        if spec.tap is None:
            node = LiveNode(self, name, profile)
        else:
            box = TapBox(name, spec.tap, spec.dev or "", self)
            self._taps.append(box)
            node = TapNode(self, name, profile, box)
        self.nodes[name] = node
        return node

    def serve(self) -> None:
        """Start every server and wait until each has opened a port or one has ended. Raises Skipped without a tool."""
        serving = [node for node in self.nodes.values() if isinstance(node, LiveNode)]
        for node in serving:
            node.serve()
        deadline = time.monotonic() + COMING_UP
        while not self.ended_servers and time.monotonic() < deadline:
            if all(node.servers.ready(node.kernel.namespace) for node in serving):
                break
            self.reactor.poll(20 * NS_PER_MS)

    def live_node(self, name: str) -> LiveNode:
        """Return a node of the running kernel."""
        node = self.nodes[name]
        assert isinstance(node, LiveNode)
        return node

    def close(self) -> None:
        """Let go of every namespace and every tap."""
        for box in self._taps:
            box.close()
        self._taps.clear()
        super().close()


class LiveLab(KernelLab):
    """A lab in a LiveWorld: where a node has programs of its own, none of the emulator's opens a port beside them."""

    def _destination(self, target: str, kind: str, server: str) -> Destination:
        found = super()._destination(target, kind, server)
        world = self.kernel_world
        spec = world.real.get(found.node) if isinstance(world, LiveWorld) else None
        return found if spec is None or not (spec.serve or spec.tap) else replace(found, node="")
