"""Links: the end that plugs into a node, and what cable, hub and switch share.

A link takes a frame from one end and files one simpy event for its arrival at the others. A cut while frames are under
way loses them: an arrival that finds its end's carrier epoch changed ends as LINK_DOWN.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING

from netsim.sim.clock import FRAME, LightEvent
from netsim.sim.impair import Arrival, Line, LineSpec
from netsim.trace.records import Dropped, FrameCopied
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    from netsim.sim.node import Node
    from netsim.sim.world import World

Tap = Callable[[Ns, Frame], None]


class End:
    """One end of a link: the node and device it is plugged into.

    `plugged` False is an unplugged connector, `muted` an end through which nothing passes though the carrier stays.
    `epoch` counts carrier losses, so that frames under way then are lost.
    """

    __slots__ = ("dev", "epoch", "index", "link", "muted", "node", "plugged")

    def __init__(self, link: Link, index: int, node: Node, dev: str) -> None:
        self.link = link
        self.index = index
        self.node = node
        self.dev = dev
        self.plugged = True
        self.muted = False
        self.epoch = 0

    @property
    def name(self) -> str:
        """NODE:IFACE."""
        return f"{self.node.name}:{self.dev}"


class _Arrival(LightEvent):
    """The one light event of a hop: the frame, and the end it reaches."""

    __slots__ = ("end", "epoch", "frame")

    def __init__(self, at: Ns, end: End, frame: Frame) -> None:
        self.at = at
        self.end = end
        self.epoch = end.epoch
        self.frame = frame

    def fire(self, now: Ns) -> None:
        """Hand the frame to the node, unless the end lost its carrier meanwhile or is muted."""
        end = self.end
        link = end.link
        link.in_flight -= 1
        if self.epoch != end.epoch:
            link.lose(self.frame, drop.LINK_DOWN)
        elif end.muted:
            link.lose(self.frame, drop.IFACE_MUTE)
        else:
            end.node.receive(end, self.frame, now)


class Link:
    """What every kind of link is: a name, ends, and a cut that takes the carrier from all of them."""

    kind = "link"

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self._heap = world.env.heap
        self._ids = world.env.ids
        self.name = name
        self.ends: list[End] = []
        self.cut = False
        self.in_flight = 0
        self.taps: list[Tap] = []

    def lines(self) -> list[Line]:
        """Return the lines whose settings an impairment changes, in the order of ends."""
        raise NotImplementedError  # every link below has its own

    def attach(self, node: Node, dev: str) -> End:
        """Plug an end into a device."""
        end = End(self, len(self.ends), node, dev)
        self.ends.append(end)
        node.nics[dev] = end
        return end

    def carrier(self, end: End) -> bool:
        """Tell whether the device at this end sees a carrier."""
        return end.plugged and not self.cut

    def send(self, end: End, frame: Frame, now: Ns) -> None:
        """Take a frame from an end."""
        raise NotImplementedError  # every link below has its own

    def streams(self, part: str) -> Callable[[str], random.Random]:
        """Return where a line draws its accidents from: a stream for each link, part and accident."""
        return lambda accident: self.world.seed.rng(f"link/{self.name}/{part}{accident}")

    def spec(self) -> tuple[LineSpec, ...]:
        """Return the lines' settings, to give them back after an impairment."""
        return tuple(line.spec for line in self.lines())

    def _depart(self, end: End, frame: Frame, at: Ns, original: Frame) -> None:
        """File the arrival of a frame at an end."""
        self.in_flight += 1
        # As Environment.file(), without the call: this is the one event of a hop.
        heappush(self._heap, (at, FRAME, next(self._ids), _Arrival(at, end, frame)))
        if self.taps:
            for tap in self.taps:
                tap(self.world.env.now, original)

    def frame_of(self, frame: Frame, arrival: Arrival, *, copy: bool) -> Frame:
        """Return the frame that arrives: the sent one itself, or a new one where octets or identity differ."""
        if not copy and arrival.octets is frame.octets:
            return frame
        if not copy:
            return Frame(
                arrival.octets, frame.uid, frame.parent, bad=frame.bad or arrival.bad, link_header=frame.link_header
            )
        made = Frame(
            arrival.octets, self.world.next_uid(), frame.uid, bad=frame.bad or arrival.bad,
            link_header=frame.link_header,
        )  # fmt: skip
        if FrameCopied in self.world.bus.wanted:
            self.world.bus.publish(FrameCopied(self.world.env.now, self.name, made))
        return made

    def lose(self, frame: Frame, reason: str) -> None:
        """End a frame on the wire."""
        if Dropped in self.world.bus.wanted:
            self.world.bus.publish(Dropped(self.world.env.now, self.name, "", reason, frame.uid, frame.octets))
