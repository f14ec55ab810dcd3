"""A hub: a repeater. Every frame reaches every other end over one shared medium, frames in turn, no collisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.sim.impair import Line, LineSpec
from netsim.sim.link import End, Link
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    from netsim.sim.world import World


class Hub(Link):
    """Any number of devices on one medium; the first other end gets the frame itself, the rest a copy each."""

    kind = "hub"

    def __init__(self, world: World, name: str, spec: LineSpec) -> None:
        super().__init__(world, name)
        self._line = Line(spec, self.streams(""))

    def lines(self) -> list[Line]:
        """Return the one medium."""
        return [self._line]

    def send(self, end: End, frame: Frame, now: Ns) -> None:
        """Repeat a frame to every other end that is plugged in."""
        if end.muted:
            self.lose(frame, drop.IFACE_MUTE)
            return
        others = [each for each in self.ends if each is not end and each.plugged]
        if not others:
            self.lose(frame, drop.NO_LINK)
            return
        arrivals = self._line.send(frame.octets, now)
        if isinstance(arrivals, str):
            self.lose(frame, arrivals)
            return
        for arrival in arrivals:
            for number, other in enumerate(others):
                made = self.frame_of(frame, arrival, copy=arrival.copy or number > 0)
                self._depart(other, made, arrival.at, frame)
