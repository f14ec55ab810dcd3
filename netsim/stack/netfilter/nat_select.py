"""Which address and port a new connection is given: get_unique_tuple() of kernel 6.

Theory. A candidate is free when no other connection answers to its inverse. Source NAT first keeps the tuple as it is
when the range holds it, or reuses what the same inside address and port already have; then an address is chosen by a
hash of both ends, then the port: kept when it is free, else searched from a random start.
Source: get_unique_tuple(), find_best_ips_proto(), find_appropriate_src(), nf_nat_l4proto_unique_tuple(),
nf_nat_used_tuple_harder(), net/netfilter/nf_nat_core.c (6.x); linux-kernel 5.7; observed-linux 5.2, 6.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.ct_tcp import TCP_CONNTRACK_TIME_WAIT
from netsim.stack.netfilter.ct_window import TCP_CONNTRACK_SYN_SENT
from netsim.stack.netfilter.nat_range import (
    NF_NAT_MANIP_DST,
    NF_NAT_MANIP_SRC,
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_PERSISTENT,
    NF_NAT_RANGE_PROTO_OFFSET,
    NF_NAT_RANGE_PROTO_RANDOM_ALL,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.status import IPS_DYING, IPS_FIXED_TIMEOUT, IPS_SRC_NAT
from netsim.stack.netfilter.tuples import IPPROTO_UDPLITE, CtTuple, inverted
from netsim.stack.ports import Rng
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP
from netsim.units import Ns

NF_NAT_MAX_ATTEMPTS = 128
NF_NAT_HARDER_THRESH = NF_NAT_MAX_ATTEMPTS // 4
PORT_PROTOCOLS = frozenset({IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE})
U32 = 0xFFFFFFFF


def _rol32(word: int, shift: int) -> int:
    return (word << shift | word >> (32 - shift)) & U32


def jhash2_address(word: int, initval: int) -> int:
    """Return jhash2() of four words: an IPv4 address in a union of IPv6 size, so (word, 0, 0, 0).

    Source: Bob Jenkins' lookup3, include/linux/jhash.h.
    """
    a = b = c = 0xDEADBEEF + (4 << 2) + initval & U32
    a = a + word & U32
    a = (a - c & U32) ^ _rol32(c, 4)
    c = c + b & U32
    b = (b - a & U32) ^ _rol32(a, 6)
    a = a + c & U32
    c = (c - b & U32) ^ _rol32(b, 8)
    b = b + a & U32
    a = (a - c & U32) ^ _rol32(c, 16)
    c = c + b & U32
    b = (b - a & U32) ^ _rol32(a, 19)
    a = a + c & U32
    c = (c - b & U32) ^ _rol32(b, 4)
    b = b + a & U32
    c = (c ^ b) - _rol32(b, 14) & U32
    a = (a ^ c) - _rol32(c, 11) & U32
    b = (b ^ a) - _rol32(a, 25) & U32
    c = (c ^ b) - _rol32(b, 16) & U32
    a = (a ^ c) - _rol32(c, 4) & U32
    b = (b ^ a) - _rol32(a, 14) & U32
    return (c ^ b) - _rol32(b, 24) & U32


def _stored(ip: Ip) -> int:
    """Return an address as a little-endian machine reads the word it stores in network order."""
    return int.from_bytes(ip.to_bytes(4, "big"), "little")


def choose_address(src: Ip, dst: Ip, low: Ip, high: Ip, *, persistent: bool, zone: int = 0) -> Ip:
    """Return the address of the range `low` to `high` that this pair of ends always gets; `persistent`: this source.

    Source: find_best_ips_proto(); observed-linux 6, reproduced by case g3.
    """
    hashed = jhash2_address(_stored(src), 0 if persistent else _stored(dst) ^ zone)
    return low + (hashed * (high - low + 1) >> 32)


def in_range(one: CtTuple, wanted: NatRange) -> bool:
    """Tell whether a tuple's source fits the range. Source: nf_in_range()."""
    if wanted.flags & NF_NAT_RANGE_MAP_IPS and not wanted.min_ip <= one.src <= wanted.max_ip:
        return False
    return not wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED or proto_in_range(one, NF_NAT_MANIP_SRC, wanted)


def proto_in_range(one: CtTuple, maniptype: int, wanted: NatRange) -> bool:
    """Tell whether the port or ICMP id fits; a protocol without either always does. Source: l4proto_in_range()."""
    if one.proto == IPPROTO_ICMP:
        return wanted.min_proto <= one.sport <= wanted.max_proto
    if one.proto in PORT_PROTOCOLS:
        return wanted.min_proto <= (one.sport if maniptype == NF_NAT_MANIP_SRC else one.dport) <= wanted.max_proto
    return True


class UniqueTuple:
    """The search for a free tuple in one box's table."""

    def __init__(self, table: ConntrackTable, rng: Rng) -> None:
        self._table = table
        self._rng = rng

    def get(self, orig: CtTuple, wanted: NatRange, ct: Conntrack, maniptype: int, now: Ns) -> CtTuple:
        """Return what `orig` becomes; when nothing is free, the last try, which confirmation will refuse.

        Mirrors get_unique_tuple().
        """
        randomly = wanted.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL
        if maniptype == NF_NAT_MANIP_SRC and not randomly:
            if in_range(orig, wanted):
                if not self.used(orig, ct, now):
                    return orig
            else:
                mapped = self._appropriate_source(orig, wanted)
                if mapped is not None and not self.used(mapped, ct, now):
                    return mapped
        found = self._with_address(orig, wanted, maniptype)
        if not randomly:
            if wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED:
                if (
                    not wanted.flags & NF_NAT_RANGE_PROTO_OFFSET
                    and proto_in_range(found, maniptype, wanted)
                    and (wanted.min_proto == wanted.max_proto or not self.used(found, ct, now))
                ):
                    return found
            elif not self.used(found, ct, now):
                return found
        return self._search(found, wanted, maniptype, ct, now)

    def used(self, one: CtTuple, ignored: Conntrack, now: Ns) -> bool:
        """Tell whether another connection has this outside. Source: nf_nat_used_tuple()."""
        return self._table.taken(inverted(one), ignored, now)

    def _appropriate_source(self, orig: CtTuple, wanted: NatRange) -> CtTuple | None:
        """Return the mapping this source has already, newest first, if the range allows it."""
        for ct in reversed(self._table.mapped(orig)):
            outside = inverted(ct.tuple_reply)
            result = orig._replace(src=outside.src, sport=outside.sport)
            if in_range(result, wanted):
                return result
        return None

    def _with_address(self, orig: CtTuple, wanted: NatRange, maniptype: int) -> CtTuple:
        if not wanted.flags & NF_NAT_RANGE_MAP_IPS:
            return orig
        if wanted.min_ip == wanted.max_ip:
            address = wanted.min_ip
        else:
            address = choose_address(
                orig.src, orig.dst, wanted.min_ip, wanted.max_ip,
                persistent=bool(wanted.flags & NF_NAT_RANGE_PERSISTENT), zone=orig.zone,
            )  # fmt: skip
        return orig._replace(src=address) if maniptype == NF_NAT_MANIP_SRC else orig._replace(dst=address)

    def _search(self, found: CtTuple, wanted: NatRange, maniptype: int, ct: Conntrack, now: Ns) -> CtTuple:
        """Try ports (or ICMP ids) from a start on. Mirrors nf_nat_l4proto_unique_tuple()."""
        specified = wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED
        low = min(wanted.min_proto, wanted.max_proto)
        high = max(wanted.min_proto, wanted.max_proto)
        by_source = found.proto == IPPROTO_ICMP or maniptype == NF_NAT_MANIP_SRC
        value = found.sport if by_source else found.dport
        if found.proto == IPPROTO_ICMP:
            if not specified:
                low, high = 0, 65535
        elif found.proto not in PORT_PROTOCOLS:
            return found
        elif not specified:
            if maniptype == NF_NAT_MANIP_DST:
                return found  # "If it's dst rewrite, can't change port"
            low, high = port_class(value)
        size = high - low + 1
        if wanted.flags & NF_NAT_RANGE_PROTO_OFFSET:
            offset = value - wanted.base_proto & 0xFFFF
        elif wanted.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL or maniptype != NF_NAT_MANIP_DST:
            offset = self._rng.getrandbits(16)
        else:
            offset = 0
        attempts = min(size, NF_NAT_MAX_ATTEMPTS)
        while True:
            for step in range(attempts):
                port = low + (offset + step & 0xFFFF) % size
                found = found._replace(sport=port) if by_source else found._replace(dport=port)
                if not self._used_harder(found, ct, attempts - step, now):
                    return found
            if attempts >= size or attempts < 16:
                return found
            attempts //= 2
            offset = self._rng.getrandbits(16)

    def _used_harder(self, one: CtTuple, ct: Conntrack, attempts_left: int, now: Ns) -> bool:
        """As `used`, but near the end let a new TCP connection evict a closed one whose numbers it has passed."""
        reply = inverted(one)
        if (
            attempts_left > NF_NAT_HARDER_THRESH
            or one.proto != IPPROTO_TCP
            or ct.tcp is None
            or ct.tcp.state != TCP_CONNTRACK_SYN_SENT
        ):
            return self._table.taken(reply, ct, now)
        found = self._table.find(reply, now)
        if found is None:
            return False
        other, direction = found
        if not direction or other.status & (IPS_FIXED_TIMEOUT | IPS_DYING) or not other.status & IPS_SRC_NAT:
            return True
        old = other.tcp
        if old is None or not TCP_CONNTRACK_TIME_WAIT <= old.state <= TCP_CONNTRACK_TIME_WAIT + 1:
            return True
        advanced = ct.tcp.seen[0].td_end - old.seen[0].td_end & U32
        if not 0 < advanced < 0x80000000:
            return True
        return not self._table.kill(other, now)


def port_class(port: int) -> tuple[int, int]:
    """Return the ports that may stand for `port` when nobody asked for a range; below 512 is credential passing."""
    if port < 512:
        return 1, 511
    return (600, 1023) if port < 1024 else (1024, 65535)
