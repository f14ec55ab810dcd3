"""The tuple: what connection tracking knows a packet by, and its inversion.

Source: include/net/netfilter/nf_conntrack_tuple.h; nf_ct_get_tuple(), nf_ct_invert_tuple(),
net/netfilter/nf_conntrack_core.c (6.x); linux-kernel 5.3, 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from netsim.addr import Ip, ip_str
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP
from netsim.wire.icmp import REPLY_TYPE
from netsim.wire.octets import Octets

IPPROTO_GRE = 47
IPPROTO_UDPLITE = 136
GRE_VERSION_PPTP = 1
GRE_PROTO_PPP = 0x880B

INVMAP: Mapping[int, int] = MappingProxyType({**REPLY_TYPE, **{reply: ask for ask, reply in REPLY_TYPE.items()}})
"""ICMP query type to the type of its counterpart, both ways. Source: invmap[], nf_conntrack_proto_icmp.c."""


class CtTuple(NamedTuple):
    """One direction of a connection, all host-order ints; equal to and hashed as the plain tuple of its fields.

    An ICMP query has its id in `sport` and type and code in `dport`; a protocol without ports has zeros.
    """

    src: Ip
    sport: int
    dst: Ip
    dport: int
    proto: int
    zone: int = 0

    @property
    def icmp_id(self) -> int:
        """The id of an ICMP query."""
        return self.sport

    @property
    def icmp_type(self) -> int:
        """The type of an ICMP query."""
        return self.dport >> 8

    @property
    def icmp_code(self) -> int:
        """The code of an ICMP query."""
        return self.dport & 0xFF

    def __str__(self) -> str:
        if self.proto == IPPROTO_ICMP:
            return f"{ip_str(self.src)}:{self.icmp_id}>{ip_str(self.dst)}:{self.icmp_id}"
        if not (self.sport or self.dport):
            return f"{ip_str(self.src)}>{ip_str(self.dst)}"
        return f"{ip_str(self.src)}:{self.sport}>{ip_str(self.dst)}:{self.dport}"


Key = CtTuple | tuple[int, int, int, int, int, int]
"""What the table is asked for: building the named form costs three times the plain one."""


def invert(one: Key) -> CtTuple | None:
    """Return the tuple of the opposite direction; None for an ICMP type that has no counterpart.

    Source: nf_ct_invert_tuple(), nf_conntrack_invert_icmp_tuple(): an ICMP id stays in place.
    """
    src, sport, dst, dport, proto, zone = one
    if proto == IPPROTO_ICMP:
        other = INVMAP.get(dport >> 8)
        return None if other is None else CtTuple(dst, sport, src, other << 8 | dport & 0xFF, proto, zone)
    return CtTuple(dst, dport, src, sport, proto, zone)


def inverted(one: Key) -> CtTuple:
    """Return `invert(one)` of a tuple that belongs to a connection and so has a counterpart."""
    src, sport, dst, dport, proto, zone = one
    if proto == IPPROTO_ICMP:
        return CtTuple(dst, sport, src, INVMAP[dport >> 8] << 8 | dport & 0xFF, proto, zone)
    return CtTuple(dst, dport, src, sport, proto, zone)


def read_tuple(data: Octets, offset: int = 0, zone: int = 0) -> CtTuple | None:
    """Read the tuple of the IP packet at `offset` (one that an error quotes, too); None when too little is there.

    A later fragment has none. Source: nf_ct_get_tuplepr(), ipv4_get_l4proto(), gre_pkt_to_tuple().
    """
    if len(data) < offset + 20:
        return None
    at = offset + (data[offset] & 15) * 4
    if data[offset + 6] & 0x1F or data[offset + 7] or at < offset + 20 or at > len(data):
        return None
    proto = data[offset + 9]
    src = int.from_bytes(data[offset + 12 : offset + 16], "big")
    dst = int.from_bytes(data[offset + 16 : offset + 20], "big")
    have = len(data) - at
    if proto in (IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE):
        if have < 4:
            return None
        return CtTuple(src, data[at] << 8 | data[at + 1], dst, data[at + 2] << 8 | data[at + 3], proto, zone)
    if proto == IPPROTO_ICMP:
        if have < 8:
            return None
        return CtTuple(src, data[at + 4] << 8 | data[at + 5], dst, data[at] << 8 | data[at + 1], proto, zone)
    if proto == IPPROTO_GRE and have >= 8 and data[at + 1] & 7 == GRE_VERSION_PPTP:
        # Without the PPTP helper nobody knows the peer's key: the source half is 0.
        if data[at + 2] << 8 | data[at + 3] != GRE_PROTO_PPP:
            return None
        return CtTuple(src, 0, dst, data[at + 6] << 8 | data[at + 7], proto, zone)
    return CtTuple(src, 0, dst, 0, proto, zone)
