"""What NAT does to the octets of a packet: prepared once a connection, direction and kind, applied to each packet.

A packet in direction d is made to look like the inverse of the other direction's tuple. Old and new values are the same
for all its packets, so the changes to both checksums are, too: a packet costs four stores and two subtractions.
Source: nf_nat_manip_pkt(), nf_nat_ipv4_manip_pkt(), l4proto_manip_pkt(), nf_nat_icmp_reply_translation(),
net/netfilter/nf_nat_proto.c (6.x); RFC 1624; linux-kernel 5.6, 5.9.
"""

from __future__ import annotations

from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.ct_proto import icmp_sum_is_bad
from netsim.stack.netfilter.nat_range import NF_NAT_MANIP_SRC
from netsim.stack.netfilter.status import IP_CT_IS_REPLY, IPS_DST_NAT, IPS_NAT_DONE_MASK, IPS_NAT_MASK, IPS_SRC_NAT
from netsim.stack.netfilter.tuples import CtTuple, inverted
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.wire.checksum import delta32, join
from netsim.wire.icmp import ICMP_REDIRECT, resum_icmp
from netsim.wire.rewrite import rewrite_ipv4

_TCP_CHECK = 16
_UDP_CHECK = 6


class Rewrite:
    """One prepared change: new address and port, and what they do to the header's and the transport's checksum."""

    __slots__ = ("addr", "addr_octets", "header_delta", "old_addr", "old_port", "port", "port_octets", "sum_delta")

    def __init__(self, old_addr: int, old_port: int, addr: int, port: int) -> None:
        self.old_addr = old_addr
        self.old_port = old_port
        self.addr = addr
        self.port = port
        self.addr_octets = addr.to_bytes(4, "big")
        self.port_octets = port.to_bytes(2, "big")
        self.header_delta = delta32(old_addr, addr)
        self.sum_delta = join(self.header_delta, delta32(old_port, port))


def _prepare(ct: Conntrack, direction: int, maniptype: int) -> Rewrite:
    have = ct.tuple(direction)
    target = inverted(ct.tuple(not direction))
    if maniptype == NF_NAT_MANIP_SRC:
        return Rewrite(have.src, have.sport, target.src, target.sport)
    return Rewrite(have.dst, have.dport, target.dst, target.dport)


def manip_packet(skb: Skb, ct: Conntrack, direction: int, maniptype: int, mangled_0: int) -> bool:
    """Translate one side of a packet of this connection; False when it is too short for its own headers.

    `mangled_0` is what a UDP checksum that becomes 0000 is sent as. Mirrors nf_nat_manip_pkt().
    """
    data = skb.data
    at = (data[0] & 15) * 4
    proto = skb.proto
    if proto == IPPROTO_UDP:
        field = at + _UDP_CHECK
    elif proto == IPPROTO_TCP:
        field = at + _TCP_CHECK
    else:
        return _manip_slowly(skb, ct, direction, maniptype, mangled_0)
    if len(data) < field + 2:
        return _manip_slowly(skb, ct, direction, maniptype, mangled_0)
    rewrites = ct.rewrites
    if rewrites is None:
        rewrites = ct.rewrites = [None, None, None, None]
    rewrite = rewrites[direction * 2 + maniptype]
    if rewrite is None:
        rewrite = rewrites[direction * 2 + maniptype] = _prepare(ct, direction, maniptype)
    if maniptype == NF_NAT_MANIP_SRC:
        if skb.saddr != rewrite.old_addr or skb.sport != rewrite.old_port:
            return _manip_slowly(skb, ct, direction, maniptype, mangled_0)
        data[12:16] = rewrite.addr_octets
        data[at : at + 2] = rewrite.port_octets
        skb.saddr = rewrite.addr
        skb.sport = rewrite.port
    else:
        if skb.daddr != rewrite.old_addr or skb.dport != rewrite.old_port:
            return _manip_slowly(skb, ct, direction, maniptype, mangled_0)
        data[16:20] = rewrite.addr_octets
        data[at + 2 : at + 4] = rewrite.port_octets
        skb.daddr = rewrite.addr
        skb.dport = rewrite.port
    check = (data[10] << 8 | data[11]) - rewrite.header_delta
    if check < 0:
        check += 0xFFFF
    data[10] = check >> 8
    data[11] = check & 0xFF
    check = data[field] << 8 | data[field + 1]
    if proto == IPPROTO_UDP and not check:
        return True  # sent without a checksum, and so it stays
    check -= rewrite.sum_delta
    if check < 0:
        check += 0xFFFF
    if not check and proto == IPPROTO_UDP:
        check = mangled_0
    data[field] = check >> 8
    data[field + 1] = check & 0xFF
    return True


def _manip_slowly(skb: Skb, ct: Conntrack, direction: int, maniptype: int, mangled_0: int) -> bool:
    """Translate a packet of any protocol, or one that somebody edited on its way, by what its octets say."""
    done = _write(skb.data, inverted(ct.tuple(not direction)), maniptype, 0, mangled_0)
    skb.reload()
    return done


def _write(data: bytearray, target: CtTuple, maniptype: int, offset: int, mangled_0: int) -> bool:
    """Write one side of `target` into the packet at `offset`. Mirrors nf_nat_ipv4_manip_pkt()."""
    icmp_id = target.sport if target.proto == IPPROTO_ICMP else None
    if maniptype == NF_NAT_MANIP_SRC:
        return rewrite_ipv4(
            data, saddr=target.src, sport=target.sport, icmp_id=icmp_id, offset=offset, mangled_0=mangled_0
        )
    return rewrite_ipv4(data, daddr=target.dst, dport=target.dport, icmp_id=icmp_id, offset=offset, mangled_0=mangled_0)


def nat_applies(ct: Conntrack, direction: int, maniptype: int) -> bool:
    """Tell whether packets of this direction change at hooks of this kind."""
    bit = IPS_SRC_NAT if maniptype == NF_NAT_MANIP_SRC else IPS_DST_NAT
    return bool(ct.status & (bit ^ IPS_NAT_MASK if direction else bit))


def translate_icmp_error(skb: Skb, ct: Conntrack, maniptype: int, mangled_0: int) -> bool:
    """Translate an ICMP error about this connection, quoted packet and all; False drops it.

    Mirrors nf_nat_icmp_reply_translation(): the quoted packet travelled the other way, so it is changed the other way;
    then the whole message is summed, then the outer header made to look like any packet of this direction.
    """
    data = skb.data
    at = (data[0] & 15) * 4
    direction = 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0
    if icmp_sum_is_bad(skb):
        return False
    if data[at] == ICMP_REDIRECT and (ct.status & IPS_NAT_DONE_MASK != IPS_NAT_DONE_MASK or ct.status & IPS_NAT_MASK):
        return False  # "Redirects on non-null nats must be dropped"
    if not nat_applies(ct, direction, maniptype):
        return True
    other = ct.tuple(not direction)
    if not _write(data, other, 1 - maniptype, at + 8, mangled_0):
        return False
    resum_icmp(data, at)
    target = inverted(other)
    if maniptype == NF_NAT_MANIP_SRC:
        done = rewrite_ipv4(data, saddr=target.src)
    else:
        done = rewrite_ipv4(data, daddr=target.dst)
    skb.reload()
    return done
