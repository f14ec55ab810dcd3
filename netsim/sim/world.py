"""The world: an environment, a bus, nodes and links, and the one counter of frame uids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from netsim.compiled import mypyc_attr
from netsim.seeds import Seed
from netsim.sim.cable import Cable
from netsim.sim.clock import CARRIER, Environment
from netsim.sim.hub import Hub
from netsim.sim.impair import LineSpec
from netsim.sim.link import End, Link
from netsim.sim.node import Node
from netsim.sim.switch import Switch
from netsim.stack.profile import Profile
from netsim.stack.timers import Timers
from netsim.trace.bus import Bus
from netsim.trace.holdings import Holdings


@mypyc_attr(allow_interpreted_subclasses=True)
class World:
    """Everything that moves. Knows nothing of YAML or networkx: it is built from above.

    `hops` counts frames delivered to interfaces. `remember` False switches the boxes' flow memory off; `timers` makes
    the deadlines of each new box, whose devices are `paired` where they are compared with veth devices.
    """

    def __init__(self, seed: Seed, *, remember: bool = True) -> None:
        self.seed = seed
        self.remember = remember
        self.timers: Callable[[], Timers] = Timers
        self.paired = False
        self.env = Environment()
        self.bus = Bus()
        self.nodes: dict[str, Node] = {}
        self.links: dict[str, Link] = {}
        self.hops = 0
        self.uids = 0

    def next_uid(self) -> int:
        """Return a frame uid never used before in this run."""
        self.uids += 1
        return self.uids

    def add_node(self, name: str, profile: Profile) -> Node:
        """Put a box into the world."""
        node = self.nodes[name] = Node(self, name, profile)
        return node

    def add_link(
        self, name: str, kind: str, ends: list[tuple[str, str]], spec: LineSpec, back: LineSpec | None = None
    ) -> Link:
        """Join devices by a "cable", "hub" or "switch"; `back` is a cable's other direction where it differs."""
        link: Link
        if kind == "cable":
            link = Cable(self, name, spec, back or spec)
        elif kind == "hub":
            link = Hub(self, name, spec)
        else:
            link = Switch(self, name, spec)
        for node, dev in ends:
            link.attach(self.nodes[node], dev)
        self.links[name] = link
        return link

    def end(self, node: str, dev: str) -> End:
        """Return the end plugged into a device. Raises KeyError."""
        return self.nodes[node].nics[dev]

    def settle_carrier(self, link: Link) -> None:
        """Tell every end's box what its carrier is now; frames under way towards an end without it are lost."""
        for end in link.ends:
            up = link.carrier(end)
            device = end.node.box.interfaces.named(end.dev)
            if device is not None and device.carrier != up:
                if not up:
                    end.epoch += 1
                self.env.at(self.env.now, partial(end.node.carrier, end.dev, up), CARRIER)

    def in_flight(self) -> int:
        """Count the frames on all links."""
        return sum(link.in_flight for link in self.links.values())

    def holdings(self) -> Mapping[str, Holdings] | None:
        """Return what each box that has power holds; None where the boxes do not tell (the kernel's)."""
        return {name: node.box.holdings() for name, node in self.nodes.items() if not node.crashed}

    def held(self) -> int | None:
        """Count received frames that wait inside boxes; None where the boxes do not tell (the kernel's)."""
        held: int = sum(node.box.held() for node in self.nodes.values())
        return held
