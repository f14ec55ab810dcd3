"""What TCP did for each flow over time: octets its receivers acknowledged, and segments that were sent again.

Both are read off the frames that the two ends make (forwarded ones tell nothing new). An end is known by the addresses
and ports it sends with; a translated server's connection is followed back to the opening host's through the
translations. A connection that no flow names (ftp's data) is nobody's.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct

from netsim.observe.meters.egress import connection_text
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, FlowSent, FrameSent, NatMapped
from netsim.units import Ns
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.tcp import TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN

_SEQ_ACK = Struct("!II")
_WRAP, _HALF = 0xFFFFFFFF, 0x80000000
_CHAIN = 8
"""How many boxes may translate one connection, one after the other."""


class _End:
    """One end of a connection as a sender: the edge of what it has sent and of what it has acknowledged; its flow."""

    __slots__ = ("acked", "edge", "flow")

    def __init__(self, edge: int) -> None:
        self.edge = edge
        self.acked = -1
        self.flow = ""


class SegmentMeter:
    """Bins of each flow, by the instant of the frame.

    `octets` counts what either end acknowledged in order (a FIN counts as one), for the flows in `streams` alone;
    `again` counts segments that begin below the edge of what their end had sent: retransmissions and probes with data.
    """

    def __init__(self, bus: Bus, *, streams: Collection[str], bin_width: Ns) -> None:
        self.streams = frozenset(streams)
        self.bin_width = bin_width
        self.octets: dict[str, list[int]] = {flow: [] for flow in streams}
        self.again: dict[str, list[int]] = {flow: [] for flow in streams}
        self._ends: dict[bytes, _End] = {}
        self._flow_of: dict[str, str] = {}
        self._original: dict[str, str] = {}
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((NatMapped,), self._nat)
        bus.subscribe((ConnectionEvent, FlowSent), self._named)

    def _sent(self, r: FrameSent) -> None:
        octets = r.frame.octets
        if r.through or octets[23:24] != b"\x06" or octets[12:14] != PROTO_IP:
            return
        at = ETH_HLEN + 4 * (octets[ETH_HLEN] & 15)
        if len(octets) < at + TCP_HLEN or (octets[ETH_HLEN + 6] & 0x1F or octets[ETH_HLEN + 7]):
            return
        flags = octets[at + 13]
        if flags & TCPHDR_RST:
            return
        seq, ack = _SEQ_ACK.unpack_from(octets, at + 4)
        total = octets[ETH_HLEN + 2] << 8 | octets[ETH_HLEN + 3]
        length = total - (at - ETH_HLEN) - 4 * (octets[at + 12] >> 4)
        length += 1 if flags & (TCPHDR_SYN | TCPHDR_FIN) else 0
        key = bytes(octets[ETH_HLEN + 12 : ETH_HLEN + 20]) + bytes(octets[at : at + 4])
        end = self._ends.get(key)
        if end is None or (flags & TCPHDR_SYN and (seq + length) & _WRAP != end.edge):
            end = self._ends[key] = _End((seq + length) & _WRAP)
        elif length > 0:
            self._again_or_new(r, end, seq, length)
        if flags & TCPHDR_ACK:
            self._acknowledged(r, end, ack)

    def _again_or_new(self, r: FrameSent, end: _End, seq: int, length: int) -> None:
        if (seq - end.edge) & _HALF:
            self._fill(self.again, self._flow(r, end), r.t, 1)
        reach = (seq + length) & _WRAP
        if (reach - end.edge) & _WRAP < _HALF:
            end.edge = reach

    def _acknowledged(self, r: FrameSent, end: _End, ack: int) -> None:
        more = (ack - end.acked) & _WRAP if end.acked >= 0 else 0
        if 0 < more < _HALF:
            flow = self._flow(r, end)
            if flow in self.streams:
                self._fill(self.octets, flow, r.t, more)
        if more < _HALF:
            end.acked = ack

    def _flow(self, r: FrameSent, end: _End) -> str:
        if not end.flow:
            end.flow = self._find(connection_text(r.frame.octets, ETH_HLEN))
        return end.flow

    def _find(self, conn: str) -> str:
        """Return the flow whose connection this is, seen from either end and behind translations; "" for none."""
        for _ in range(_CHAIN):
            turned = _turned(conn)
            flow = self._flow_of.get(conn) or self._flow_of.get(turned)
            if flow:
                return flow
            before = self._original.get(conn) or self._original.get(turned)
            if before is None:
                return ""
            conn = before
        return ""

    def _nat(self, r: NatMapped) -> None:
        if r.proto == "tcp":
            self._original[r.reply] = r.original

    def _named(self, r: ConnectionEvent | FlowSent) -> None:
        if r.conn:
            self._flow_of[r.conn] = r.flow

    def _fill(self, bins: dict[str, list[int]], flow: str, t: Ns, amount: int) -> None:
        if not flow:
            return
        row = bins.setdefault(flow, [])
        index = t // self.bin_width
        if index >= len(row):
            row.extend([0] * (index + 1 - len(row)))
        row[index] += amount


def _turned(conn: str) -> str:
    near, _, far = conn.partition(">")
    return f"{far}>{near}"
