"""The world of a live run: nodes of the running kernel, nodes behind TAP devices, and all others emulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netsim.kernel.lab import KernelLab
from netsim.kernel.lateness import Lateness
from netsim.kernel.world import KernelNode, KernelWorld
from netsim.live.tap import TapBox, TapNode
from netsim.scenario.model import Live
from netsim.seeds import Seed
from netsim.sim.apps.build import Destination
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.netns import Netns
from netsim.stack.profile import Profile


class LiveNode(KernelNode):
    """A node of the running kernel for programs of the person's: whoever runs there opens any port, as root would."""

    def _new_box(self) -> Netns:
        box = super()._new_box()
        self.kernel.namespace.write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
        return box


class LiveWorld(KernelWorld):
    """`real` says how each real node is real; a tap's `dev` is filled in."""

    def __init__(self, seed: Seed, real: Mapping[str, Live], lateness: Lateness) -> None:
        super().__init__(seed, lateness)
        self.real = real
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
            box = TapBox(spec.tap, spec.dev or "", self)
            self._taps.append(box)
            node = TapNode(self, name, profile, box)
        self.nodes[name] = node
        return node

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
