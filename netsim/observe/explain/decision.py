"""Find one routing decision that had a choice, and what was known of each candidate's neighbour at that instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netsim.observe.explain.facts import Fact, Nowhere, Places, clock
from netsim.observe.explain.packet import words
from netsim.observe.explain.route import route_fact
from netsim.observe.filter import Filter
from netsim.trace.bus import Bus
from netsim.trace.records import FrameDelivered, FrameSent, NeighChange, RouteLookup
from netsim.units import Ns
from netsim.wire.frame import Frame


@dataclass(slots=True)
class Decision:
    """One decision: the packet it was made for ("" where none), the route, the neighbours, and how the packet left."""

    t: Ns
    node: str
    frame: int
    packet: str
    towards: str
    route: Fact
    neighbours: list[Fact] = field(default_factory=list)
    left: str = ""


class DecisionFollower:
    """Waits for the first decision at or after `at` that had several candidates, on `node` ("" any).

    With a filter, only decisions about packets that match. `owners` names the node behind a gateway's address.
    """

    def __init__(
        self, bus: Bus, *, node: str = "", at: Ns = 0, matching: Filter | None = None, places: Places | None = None,
        owners: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.found: Decision | None = None
        self.done = False
        self._node, self._at, self._matching = node, at, matching
        self._places = places or Nowhere()
        self._owners = owners or {}
        self._last: dict[str, Frame] = {}
        self._neigh: dict[tuple[str, str, str], NeighChange] = {}
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((NeighChange,), self._change)
        bus.subscribe((RouteLookup,), self._lookup)
        bus.subscribe((FrameSent,), self._sent)

    def _delivered(self, r: FrameDelivered) -> None:
        if self.found is not None and r.t > self.found.t:
            self.done = True  # what it decided about did not leave at once: it waits, or ended
        self._last[r.node] = r.frame

    def _change(self, r: NeighChange) -> None:
        if r.new != r.old:
            self._neigh[r.node, r.dev, r.dst] = r

    def _lookup(self, r: RouteLookup) -> None:
        if self.found is not None or r.t < self._at or len(r.candidates) < 2 or (self._node and r.node != self._node):
            return
        frame = self._last.get(r.node)
        if frame is None or frame.uid != r.uid:
            frame = None
        if self._matching is not None and (frame is None or not self._matching.matches_frame(frame)):
            return
        packet = words(frame) if frame is not None else f"{r.src} > {r.dst}, made here"
        towards = self._owners.get(r.gateway, r.gateway or r.dev)
        self.found = Decision(r.t, r.node, r.uid, packet, towards, route_fact(r, self._places))
        for each in r.candidates:
            if not each.gateway:
                continue
            last = self._neigh.get((r.node, each.dev, each.gateway))
            name = self._owners.get(each.gateway, "")
            whose = f"{name} " if name else ""
            history = f"{last.new} since {clock(last.t)}: {last.cause}" if last is not None else "no entry yet"
            data = {"gateway": each.gateway, "dev": each.dev, "node": name, "verdict": each.verdict}
            self.found.neighbours.append(
                Fact(r.t, "neighbour", f"{whose}{each.gateway} dev {each.dev}: {history}", data=data)
            )

    def _sent(self, r: FrameSent) -> None:
        found = self.found
        if found is not None and not self.done and r.node == found.node and r.frame.parent == found.frame:
            found.left = f"leaves by {r.dev} as frame {r.frame.uid}"
            self.done = True
