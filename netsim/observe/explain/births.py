"""Which frame is which packet: every IP packet from its first frame on, numbered, and the packets of a flow.

A frame that a received one goes on in is the same packet one hop further; one that is merely made because of it (an
answer, an ICMP error) begins a packet of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import ip_str
from netsim.observe.explain.change import ends_of, ip_packet
from netsim.observe.filter import Filter
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, Consumed, Dropped, FlowSent, FrameCopied, FrameDelivered, FrameSent
from netsim.units import Ns
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_ICMP, parse_ipv4


class Lineage:
    """Tells, frame by frame, whether it carries a packet on or begins a new one. Shared by who counts and who follows.

    Feed it every Consumed and Dropped; ask `carries_on` at each FrameSent.
    """

    def __init__(self) -> None:
        self._ended: set[int] = set()

    def ended(self, uid: int) -> None:
        """Note that the packet in a frame ended where it was."""
        self._ended.add(uid)

    def carries_on(self, r: FrameSent) -> bool:
        """Tell whether a frame is its parent's packet, one hop further; of fragments only one is told to be it."""
        if r.through:
            return True
        if not r.frame.parent or r.frame.parent in self._ended:
            return False
        packet = ip_packet(r.frame)
        return packet is not None and parse_ipv4(packet).is_fragment


@dataclass(frozen=True, slots=True)
class Birth:
    """A packet's first frame."""

    t: Ns
    node: str
    dev: str
    frame: Frame


class Births:
    """Finds the first frame of one packet: the `number`th born that matches, or the packet that frame `uid` carries.

    `after` leaves out packets born before; `flow` takes only packets of that flow, from its sender. `found` is None
    until it is known.
    """

    def __init__(
        self, bus: Bus, *, uid: int = 0, number: int = 1, matching: Filter | None = None, flow: str = "", after: Ns = 0
    ) -> None:  # fmt: skip
        self.found: Birth | None = None
        self.count = 0
        self._uid, self._number, self._matching, self._flow, self._after = uid, number, matching, flow, after
        self._lineage = Lineage()
        self._root: dict[int, Birth] = {}
        self._conns: set[str] = set()
        self._unclaimed: list[tuple[str, Birth]] = []
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((FrameCopied,), lambda r: self._carry(r.frame))
        bus.subscribe((Consumed, Dropped), lambda r: self._lineage.ended(r.uid))
        if flow:
            bus.subscribe((FlowSent, ConnectionEvent), self._of_flow)

    def _sent(self, r: FrameSent) -> None:
        if self._lineage.carries_on(r) and r.frame.parent in self._root:
            self._carry(r.frame)
        else:
            self._born(Birth(r.t, r.node, r.dev, r.frame))

    def _delivered(self, r: FrameDelivered) -> None:
        if not r.link and r.frame.uid not in self._root:
            self._born(Birth(r.t, r.node, r.dev, r.frame))

    def _carry(self, frame: Frame) -> None:
        root = self._root.get(frame.parent)
        if root is not None:
            self._note(frame.uid, root)

    def _note(self, uid: int, birth: Birth) -> None:
        self._root[uid] = birth
        if uid == self._uid and self.found is None:
            self.found = birth

    def _born(self, birth: Birth) -> None:
        self._note(birth.frame.uid, birth)
        if self._uid or self.found is not None or birth.t < self._after:
            return
        packet = ip_packet(birth.frame)
        if self._matching is None:
            if packet is None:
                return
        elif not self._matching.matches_frame(birth.frame):
            return
        if not self._flow:
            self._take(birth)
            return
        key = "" if packet is None else _conn(packet)
        if key in self._conns:
            self._take(birth)
        elif key:
            self._unclaimed = [each for each in self._unclaimed if each[1].t == birth.t]
            self._unclaimed.append((key, birth))

    def _of_flow(self, r: FlowSent | ConnectionEvent) -> None:
        """Learn a connection of the flow; the frame that opened it may have left just before, at the same instant."""
        if r.flow != self._flow or not r.conn or r.conn in self._conns:
            return
        self._conns.add(r.conn)
        for key, birth in self._unclaimed:
            if key == r.conn and birth.t == r.t:
                self._take(birth)

    def _take(self, birth: Birth) -> None:
        self.count += 1
        if self.count == self._number and self.found is None:
            self.found = birth


def _conn(packet: bytes) -> str:
    """Return a packet's connection as flow records have it; of an echo the id stands where the source port would."""
    ends = ends_of(packet)
    if ends is None:
        return ""
    header = parse_ipv4(packet)
    if header.protocol == IPPROTO_ICMP:
        return f"{ip_str(header.saddr)}:{ends.sport}>{ip_str(header.daddr)}:0"
    return str(ends)
