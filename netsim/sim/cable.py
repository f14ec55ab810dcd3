"""A cable: two ends, a line each way, one simpy event a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.sim.impair import FULL, Line, LineSpec
from netsim.sim.link import End, Link
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    from netsim.sim.world import World


class Cable(Link):
    """Two devices joined; `a_to_b` carries what the first end sends. An end unplugged takes the carrier from both."""

    kind = "cable"

    def __init__(self, world: World, name: str, a_to_b: LineSpec, b_to_a: LineSpec) -> None:
        super().__init__(world, name)
        self._lines = [
            Line(a_to_b, self.streams("a_to_b/")),
            Line(b_to_a, self.streams("b_to_a/")),
        ]

    def lines(self) -> list[Line]:
        """Return both directions."""
        return self._lines

    def carrier(self, end: End) -> bool:
        """Tell whether this end sees a carrier: both connectors in, no cut."""
        if self.cut:
            return False
        for each in self.ends:  # noqa: SIM110  asked once a frame: all() with a generator costs four times as much
            if not each.plugged:
                return False
        return True

    def send(self, end: End, frame: Frame, now: Ns) -> None:
        """Put a frame on the line to the other end."""
        if len(self.ends) < 2:
            self.lose(frame, drop.NO_LINK)
            return
        if end.muted:
            self.lose(frame, drop.IFACE_MUTE)
            return
        line = self._lines[end.index]
        other = self.ends[1 - end.index]
        if line.clean:
            at = line.arrival(len(frame.octets), now)
            if at == FULL:
                self.lose(frame, drop.QUEUE_FULL)
            else:
                self._depart(other, frame, at, frame)
            return
        arrivals = line.send(frame.octets, now)
        if isinstance(arrivals, str):
            self.lose(frame, arrivals)
            return
        for arrival in arrivals:
            self._depart(other, self.frame_of(frame, arrival, copy=arrival.copy), arrival.at, frame)
