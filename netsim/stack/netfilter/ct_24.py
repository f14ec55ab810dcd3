"""Connection tracking of 2.4: TCP by states alone, ICMP queries that balance, UDP streams at once.

Theory. There are no windows: a segment's kind and direction move the state, and only flags that mean nothing are
invalid. An entry whose first answer is a RST, or whose echo replies have caught up with its requests, goes at once; the
packet that did it is still translated. Everything that moves `TcpTrack.state` in 2.4 is in this file.
Source: ip_conntrack_proto_tcp.c, ip_conntrack_proto_udp.c, ip_conntrack_proto_icmp.c, ip_conntrack_proto_generic.c
(2.4.20 to 2.4.27); linux-kernel 5.4; patched-nat/README "More emulator rules".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.ct_proto import INVALID
from netsim.stack.netfilter.ct_tcp import CL, CW, ES, FW, LA, SR, SS, TW
from netsim.stack.netfilter.ct_window import ACK, FIN, RST, SYN, TcpTrack
from netsim.stack.netfilter.hooks import NF_ACCEPT, Services
from netsim.stack.netfilter.status import IP_CT_IS_REPLY, IPS_ASSURED, IPS_SEEN_REPLY
from netsim.stack.skb import Skb
from netsim.units import NS_PER_S, Ns
from netsim.wire.icmp import REPLY_TYPE

LI = 9
"""LISTEN, which no path reaches."""

TCP_CONNTRACKS_24 = (
    (  # original      NO  SS  SR  ES  FW  CW  LA  TW  CL  LI
        (SS, SS, SR, ES, SS, SS, SS, SS, SS, LI),  # SYN
        (TW, SS, TW, FW, FW, TW, LA, TW, CL, LI),  # FIN
        (ES, SS, ES, ES, FW, CW, LA, TW, CL, ES),  # ACK
        (CL, SS, CL, CL, CL, CL, CL, TW, CL, CL),  # RST
    ),
    (  # reply         NO  SS  SR  ES  FW  CW  LA  TW  CL  LI
        (SR, SR, SR, ES, SR, SR, SR, SR, SR, SR),  # SYN
        (CL, SS, TW, CW, TW, CW, LA, TW, CL, LI),  # FIN
        (CL, SS, SR, ES, FW, CW, CL, TW, CL, LI),  # ACK
        (CL, CL, CL, CL, CL, CL, LA, CL, CL, LI),  # RST
    ),
)
"""[direction][segment kind][old state] -> new state; a segment with none of the flags is invalid."""

TIMEOUTS_24: Mapping[int, Ns] = MappingProxyType({
    0: 1800 * NS_PER_S, SS: 120 * NS_PER_S, SR: 60 * NS_PER_S, ES: 432000 * NS_PER_S, FW: 120 * NS_PER_S,
    CW: 60 * NS_PER_S, LA: 30 * NS_PER_S, TW: 120 * NS_PER_S, CL: 10 * NS_PER_S, LI: 120 * NS_PER_S,
})  # fmt: skip
UDP_TIMEOUT: Ns = 30 * NS_PER_S
UDP_STREAM_TIMEOUT: Ns = 180 * NS_PER_S
ICMP_TIMEOUT: Ns = 30 * NS_PER_S
GENERIC_TIMEOUT: Ns = 600 * NS_PER_S


class TcpTracker24:
    """TCP of 2.4; `states`, `timeouts` and `reset_ends` are what 2.2 has otherwise (masq22.py)."""

    states = TCP_CONNTRACKS_24
    timeouts = TIMEOUTS_24
    reset_ends = True

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror tcp_new() and tcp_packet()."""
        data = skb.data
        at = (data[0] & 15) * 4
        if len(data) < at + 20 or len(data) < at + (data[at + 12] >> 4) * 4:
            return INVALID
        flags = data[at + 13]
        kind = 3 if flags & RST else 0 if flags & SYN else 1 if flags & FIN else 2 if flags & ACK else -1
        if kind < 0:
            return INVALID
        track = ct.tcp
        if track is None:
            track = ct.tcp = TcpTrack()
            track.state = self.states[0][kind][0]
        reply = skb.ctinfo >= IP_CT_IS_REPLY
        old = track.state
        new = self.states[reply][kind][old]
        track.state = new
        if old == SS and reply and flags & SYN and flags & ACK:
            # "Poor man's window tracking: record SYN/ACK for handshake check"
            track.last_ack = int.from_bytes(data[at + 4 : at + 8], "big") + 1 & 0xFFFFFFFF
        if self.reset_ends and not ct.status & IPS_SEEN_REPLY and flags & RST:
            self._table.kill_confirmed(ct, now)
            return NF_ACCEPT
        completes = old == SR and not reply and flags & ACK and not flags & SYN
        if completes and int.from_bytes(data[at + 8 : at + 12], "big") == track.last_ack:
            ct.status |= IPS_ASSURED
        self._table.refresh(ct, self.timeouts[new], now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never: 2.4 evicts what is not ASSURED alone."""
        return False


class UdpTracker24:
    """UDP of 2.4: a stream from the first packet after a reply."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror udp_packet()."""
        if ct.status & IPS_SEEN_REPLY:
            self._table.refresh(ct, UDP_STREAM_TIMEOUT, now)
            ct.status |= IPS_ASSURED
        else:
            self._table.refresh(ct, UDP_TIMEOUT, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never."""
        return False


class IcmpTracker24:
    """ICMP queries of 2.4: `stream_ts` counts requests not yet answered."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror icmp_new() and icmp_packet()."""
        if ct.tuple_orig.icmp_type not in REPLY_TYPE:
            return INVALID
        if skb.ctinfo >= IP_CT_IS_REPLY:
            # "Try to delete connection immediately after all replies"
            ct.stream_ts -= 1
            if not ct.stream_ts:
                self._table.kill_confirmed(ct, now)
        else:
            ct.stream_ts += 1
            self._table.refresh(ct, ICMP_TIMEOUT, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never."""
        return False


class GenericTracker24:
    """Any other protocol of 2.4, GRE too."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror generic packet(): 600 s from each packet."""
        self._table.refresh(ct, GENERIC_TIMEOUT, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never."""
        return False
