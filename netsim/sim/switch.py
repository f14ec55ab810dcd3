"""A learning switch: a frame goes to the port its destination was last seen on, or to all. Source: IEEE 802.1D 7.8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.addr import Mac
from netsim.sim.impair import Arrival, Line, LineSpec
from netsim.sim.link import End, Link
from netsim.units import NS_PER_S, Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    from netsim.sim.node import Node
    from netsim.sim.world import World

AGEING_TIME: Ns = 300 * NS_PER_S


class Switch(Link):
    """Any number of devices, a line to each; addresses are learned from senders and forgotten after 300 s."""

    kind = "switch"

    def __init__(self, world: World, name: str, spec: LineSpec) -> None:
        super().__init__(world, name)
        self._spec = spec
        self._lines: list[Line] = []
        self._seen: dict[Mac, tuple[End, Ns]] = {}

    def lines(self) -> list[Line]:
        """Return the line to each port."""
        return self._lines

    def attach(self, node: Node, dev: str) -> End:
        """Plug an end into a device; the port has its line from now on, so that an impairment finds it."""
        end = super().attach(node, dev)
        self._lines.append(Line(self._spec, self.streams(f"port{end.index}/")))
        return end

    def send(self, end: End, frame: Frame, now: Ns) -> None:
        """Learn the sender's port, then forward or flood."""
        if end.muted:
            self.lose(frame, drop.IFACE_MUTE)
            return
        octets = frame.octets
        self._seen[octets[6:12]] = (end, now)
        known = self._seen.get(octets[:6])
        if known is not None and not octets[0] & 1 and now - known[1] <= AGEING_TIME and known[0].plugged:
            ports = [known[0]] if known[0] is not end else []
        else:
            ports = [each for each in self.ends if each is not end and each.plugged]
        if not ports:
            self.lose(frame, drop.NO_LINK)
            return
        for number, port in enumerate(ports):
            arrivals = self._lines[port.index].send(octets, now)
            if isinstance(arrivals, str):
                self.lose(frame if number == 0 else self._copy(frame), arrivals)
                continue
            for arrival in arrivals:
                made = self.frame_of(frame, arrival, copy=arrival.copy or number > 0)
                self._depart(port, made, arrival.at, frame)

    def _copy(self, frame: Frame) -> Frame:
        """Make the copy that a full or lossy port loses."""
        return self.frame_of(frame, Arrival(0, frame.octets, False, True), copy=True)
