"""What a packet of each protocol but TCP does to its connection: time-outs, ASSURED, and what is INVALID.

A tracker's `packet` answers NF_ACCEPT, UNCOUNTED for a packet that passes and renews nothing, or minus the verdict for
one that does not belong (-NF_ACCEPT: INVALID).
Source: nf_conntrack_proto_udp.c, nf_conntrack_proto_icmp.c, nf_conntrack_proto_gre.c,
nf_conntrack_proto_generic.c (6.x); linux-kernel 5.4, 5.6.
"""

from __future__ import annotations

from typing import Protocol

from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_INET_PRE_ROUTING, Services
from netsim.stack.netfilter.status import (
    IPCT_ASSURED,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_NAT_CLASH,
    IPS_SEEN_REPLY,
)
from netsim.stack.skb import Skb
from netsim.units import NS_PER_S, Ns
from netsim.wire.checksum import checksum, pseudo_header
from netsim.wire.icmp import REPLY_TYPE

UNCOUNTED = 5
"""What a tracker returns for a packet that passes with its connection and neither renews it nor counts in it.

The kernel counts a packet where it renews its connection, and says NF_ACCEPT to both. Source: nf_ct_refresh_acct().
"""
INVALID = -NF_ACCEPT
"""What a tracker returns for a packet that passes without a connection."""

STREAM_AFTER: Ns = 2 * NS_PER_S
"""A UDP flow still active so long after its first packet is a stream."""


class Tracker(Protocol):
    """One protocol's part of connection tracking (struct nf_conntrack_l4proto)."""

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Judge a packet and move its connection on: NF_ACCEPT, UNCOUNTED, INVALID, or -NF_REPEAT."""
        ...

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Whether an ASSURED entry may go when the table is nearly full."""
        ...


def transport_sum_is_bad(skb: Skb, at: int, length: int) -> bool:
    """Tell whether the checksum over pseudo header and `length` octets from `at` is wrong. Source: nf_ip_checksum()."""
    data = skb.data
    return checksum(data[at : at + length], pseudo_header(skb.saddr, skb.daddr, skb.proto, length)) != 0


class UdpTracker:
    """UDP: 30 s, and 120 s with ASSURED once both sides talked for longer than two seconds."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._conf = services.sysctl.conntrack
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror nf_conntrack_udp_packet()."""
        conf = self._conf
        data = skb.data
        at = (data[0] & 15) * 4
        have = len(data) - at
        if have < 8:
            return INVALID
        length = data[at + 4] << 8 | data[at + 5]
        if length > have or length < 8:
            return INVALID
        if (
            hook == NF_INET_PRE_ROUTING
            and (data[at + 6] or data[at + 7])
            and conf.checksum
            and transport_sum_is_bad(skb, at, length)
        ):
            return INVALID
        status = ct.status
        if not status & IPS_CONFIRMED:
            ct.stream_ts = now + STREAM_AFTER
        timeout = conf.udp_timeout
        if status & IPS_SEEN_REPLY and now > ct.stream_ts:
            timeout = conf.udp_timeout_stream
            if not status & (IPS_ASSURED | IPS_NAT_CLASH):
                ct.status |= IPS_ASSURED
                ct.events |= IPCT_ASSURED
        self._table.refresh(ct, timeout, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never: an ASSURED stream is in use."""
        return False


class IcmpTracker:
    """ICMP queries: requests alone make entries, each packet renews 30 s."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._conf = services.sysctl.conntrack
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror nf_conntrack_icmp_packet()."""
        if ct.tuple_orig.icmp_type not in REPLY_TYPE:
            return INVALID  # "Can't create a new ICMP `conn' with this."
        self._table.refresh(ct, self._conf.icmp_timeout, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never asked: an ICMP entry is not ASSURED."""
        return False


class GreTracker:
    """GRE: 30 s, and 180 s with ASSURED once both sides spoke."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._conf = services.sysctl.conntrack
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror nf_conntrack_gre_packet()."""
        if ct.status & IPS_SEEN_REPLY:
            self._table.refresh(ct, self._conf.gre_timeout_stream, now)
            if not ct.status & (IPS_ASSURED | IPS_NAT_CLASH):
                ct.status |= IPS_ASSURED
                ct.events |= IPCT_ASSURED
        else:
            self._table.refresh(ct, self._conf.gre_timeout, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never: a tunnel is in use."""
        return False


class GenericTracker:
    """Any other protocol: 600 s from each packet."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._conf = services.sysctl.conntrack
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror generic_packet()."""
        self._table.refresh(ct, self._conf.generic_timeout, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never asked: a generic entry is not ASSURED."""
        return False


def icmp_sum_is_bad(skb: Skb) -> bool:
    """Tell whether an ICMP message's checksum is wrong."""
    data = skb.data
    return checksum(data[(data[0] & 15) * 4 :]) != 0
