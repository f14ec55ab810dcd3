"""NAT of 2.4: ports from counters, addresses by use, and a list of changes kept with each connection.

Theory. One counter a protocol, shared by all rules and never reset, chooses ports: base + counter mod size, and it
moves only past ports found taken. Of a range of addresses the least used wins. What was decided is kept as `Manip`s: at
which hook, in which direction, which side becomes what; packets are translated from these, and the nf_reroute patch
reads them.
Source: ip_nat_core.c, ip_nat_proto_tcp.c, ip_nat_proto_udp.c, ip_nat_proto_icmp.c, ip_nat_standalone.c (2.4.20 to
2.4.27); linux-kernel 3.3; patched-nat/README, corrections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    HookContext,
    HookFn,
    Services,
)
from netsim.stack.netfilter.masquerade import Masquerade
from netsim.stack.netfilter.nat import Targets, Traverse, manip_of
from netsim.stack.netfilter.nat_range import (
    NF_NAT_MANIP_DST,
    NF_NAT_MANIP_SRC,
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.nat_select import port_class
from netsim.stack.netfilter.status import (
    IP_CT_DIR_ORIGINAL,
    IP_CT_DIR_REPLY,
    IP_CT_IS_REPLY,
    IP_CT_NEW,
    IP_CT_RELATED,
    IP_CT_RELATED_REPLY,
    IPS_CONFIRMED,
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_NAT_DONE_MASK,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
)
from netsim.stack.netfilter.tuples import CtTuple, inverted
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.units import Ns
from netsim.wire.icmp import ICMP_REDIRECT, resum_icmp
from netsim.wire.rewrite import rewrite_ipv4


class Manip(NamedTuple):
    """One change: in `direction` at `hook`, the `maniptype` side becomes `ip` and `proto_part` (a port, an ICMP id)."""

    direction: int
    hook: int
    maniptype: int
    ip: Ip
    proto_part: int


def opposite_hook(hook: int) -> int:
    """Return where replies are changed back. Source: opposite_hook[], ip_nat_core.c."""
    if hook == NF_INET_PRE_ROUTING:
        return NF_INET_POST_ROUTING
    if hook == NF_INET_POST_ROUTING:
        return NF_INET_PRE_ROUTING
    return NF_INET_LOCAL_IN if hook == NF_INET_LOCAL_OUT else NF_INET_LOCAL_OUT


def _swap16(value: int) -> int:
    return (value & 0xFF) << 8 | value >> 8


class _Counters:
    """The static variables of the old NAT: next TCP port, UDP port, ICMP id (as stored) and address."""

    __slots__ = ("address", "icmp", "tcp", "udp")

    def __init__(self) -> None:
        self.address = self.icmp = self.tcp = self.udp = 0


class OldNat(Targets):
    """NAT as 2.4 does it."""

    def __init__(self, services: Services, table: ConntrackTable, masquerading: Masquerade, traverse: Traverse) -> None:
        super().__init__(services, masquerading)
        self._table = table
        self._traverse = traverse
        self._counters = _Counters()
        self._mangled_0 = services.era.udp_mangled_0
        self.ipchains: Callable[[Skb, HookContext], int] = super().masq

    # Packets

    def at(self, hook: int) -> HookFn:
        """Return ip_nat_in() or ip_nat_out(); without CONFIG_IP_NF_NAT_LOCAL the other two hooks do nothing."""

        def fn(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
            if hook in (NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT):
                return NF_ACCEPT
            before = (skb.saddr, skb.daddr)
            verdict = self._translate(hook, skb, indev, outdev, now)
            if verdict == NF_ACCEPT and hook == NF_INET_PRE_ROUTING and before != (skb.saddr, skb.daddr):
                skb.route = None
            return verdict

        return fn

    def _translate(self, hook: int, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Mirror ip_nat_fn()."""
        ct: Conntrack | None = skb.ct
        if ct is None:
            # "ICMP redirect to new connection (not in hash table yet). We must not let this through"
            redirect = skb.proto == IPPROTO_ICMP and len(skb.data) > skb.ihl and skb.data[skb.ihl] == ICMP_REDIRECT
            return NF_DROP if redirect else NF_ACCEPT
        ctinfo = skb.ctinfo
        direction = IP_CT_DIR_REPLY if ctinfo >= IP_CT_IS_REPLY else IP_CT_DIR_ORIGINAL
        if ctinfo in (IP_CT_RELATED, IP_CT_RELATED_REPLY) and skb.proto == IPPROTO_ICMP:
            return self.translate_error(skb, ct, hook, direction)
        if ctinfo in (IP_CT_NEW, IP_CT_RELATED, IP_CT_RELATED_REPLY):
            done = IPS_SRC_NAT_DONE if manip_of(hook) == NF_NAT_MANIP_SRC else IPS_DST_NAT_DONE
            if not ct.status & (done | IPS_CONFIRMED):
                verdict = self._traverse("nat", hook, skb, HookContext(hook, indev, outdev, now, self._services))
                if verdict == NF_ACCEPT and not ct.status & done:
                    verdict = self._null_binding(ct, hook, now)
                if verdict != NF_ACCEPT:
                    return verdict
        self.bind(skb, ct, hook, direction)
        return NF_ACCEPT

    def bind(self, skb: Skb, ct: Conntrack, hook: int, direction: int) -> None:
        """Translate a packet by what was decided for this hook and direction. Mirrors do_bindings()."""
        for manip in ct.manips:
            if manip.direction == direction and manip.hook == hook:
                self._write(skb.data, manip, manip.maniptype, skb.proto, 0)
                skb.reload()

    def masq(self, skb: Skb, ctx: HookContext) -> int:
        """Masquerade as ipchains' MASQ does; assembly.py says who does it."""
        return self.ipchains(skb, ctx)

    def _write(self, data: bytearray, manip: Manip, maniptype: int, proto: int, offset: int) -> None:
        """Mirror manip_pkt(); `proto` 0 changes the address alone."""
        part = manip.proto_part if proto else None
        icmp_id = part if proto == IPPROTO_ICMP else None
        if maniptype == NF_NAT_MANIP_SRC:
            rewrite_ipv4(data, saddr=manip.ip, sport=part, icmp_id=icmp_id, offset=offset, mangled_0=self._mangled_0)
        else:
            rewrite_ipv4(data, daddr=manip.ip, dport=part, icmp_id=icmp_id, offset=offset, mangled_0=self._mangled_0)

    def translate_error(self, skb: Skb, ct: Conntrack, hook: int, direction: int) -> int:
        """Mirror icmp_reply_translation(): inner packet the other way round, outer addresses, then the whole sum."""
        data = skb.data
        at = skb.ihl
        if data[at] == ICMP_REDIRECT and (ct.manips or ct.status & IPS_NAT_DONE_MASK != IPS_NAT_DONE_MASK):
            return NF_DROP
        for manip in ct.manips:
            if manip.direction == direction and manip.hook == hook:
                self._write(data, manip, 1 - manip.maniptype, data[at + 8 + 9], at + 8)
                self._write(data, manip, manip.maniptype, 0, 0)
        resum_icmp(data, at)
        skb.reload()
        return NF_ACCEPT

    # Deciding

    def _null_binding(self, ct: Conntrack, hook: int, now: Ns) -> int:
        """Mirror alloc_null_binding(): keep the address, the port may move on a clash."""
        maniptype = manip_of(hook)
        address = ct.tuple_reply.dst if maniptype == NF_NAT_MANIP_SRC else ct.tuple_reply.src
        return self.setup(ct, NatRange(NF_NAT_RANGE_MAP_IPS, address, address), maniptype, now)

    def setup(
        self, ct: Conntrack, wanted: NatRange | tuple[NatRange, ...], maniptype: int, now: Ns, why: str = ""
    ) -> int:
        """Decide a connection's mapping and note the changes it means. Mirrors ip_nat_setup_info()."""
        source = maniptype == NF_NAT_MANIP_SRC
        done = IPS_SRC_NAT_DONE if source else IPS_DST_NAT_DONE
        if ct.status & (done | IPS_CONFIRMED):
            return NF_ACCEPT
        orig = inverted(ct.tuple_reply)
        new = self._unique(orig, wanted if isinstance(wanted, tuple) else (wanted,), ct, maniptype, now)
        if new is None:
            return NF_DROP
        hook = NF_INET_POST_ROUTING if source else NF_INET_PRE_ROUTING
        back = opposite_hook(hook)
        manips = list(ct.manips)
        if (new.src, new.sport) != (orig.src, orig.sport):
            manips.append(Manip(IP_CT_DIR_ORIGINAL, hook, NF_NAT_MANIP_SRC, new.src, new.sport))
            manips.append(Manip(IP_CT_DIR_REPLY, back, NF_NAT_MANIP_DST, orig.src, orig.sport))
            ct.status |= IPS_SRC_NAT
        if (new.dst, new.dport) != (orig.dst, orig.dport):
            manips.append(Manip(IP_CT_DIR_ORIGINAL, hook, NF_NAT_MANIP_DST, new.dst, _part(new)))
            manips.append(Manip(IP_CT_DIR_REPLY, back, NF_NAT_MANIP_SRC, orig.dst, _part(orig)))
            ct.status |= IPS_DST_NAT
        ct.manips = tuple(manips)
        ct.tuple_reply = inverted(new)
        if why:
            ct.why = f"{ct.why}, {why}" if ct.why else why
        ct.status |= done
        return NF_ACCEPT

    def _unique(
        self, orig: CtTuple, ranges: tuple[NatRange, ...], ct: Conntrack, maniptype: int, now: Ns
    ) -> CtTuple | None:
        """Mirror get_unique_tuple(); None when every range is full.

        First of all a source is kept that is known (this very connection counts, once PRE_ROUTING filed it) and fits a
        range with ports. Source: find_appropriate_src(), whose in_range() says yes to ranges with ports alone.
        """
        if maniptype == NF_NAT_MANIP_SRC:
            known = ct.status & IPS_DST_NAT_DONE or self._table.mapped(orig)
            if known and any(_keeps(orig, each) for each in ranges) and not self._used(orig, ct, now):
                return orig
        left = list(ranges)
        while left:
            chosen, found = self._least_used(orig, left, ct, maniptype)
            fits = not chosen.flags & NF_NAT_RANGE_PROTO_SPECIFIED or _in_range(found, maniptype, chosen)
            if fits and not self._used(found, ct, now):
                return found
            free, found = self._search(found, chosen, maniptype, ct, now)
            if not free and maniptype == NF_NAT_MANIP_DST:
                # "Try implicit source NAT; protocol may be able to play with ports to make it unique."
                implicit = NatRange(NF_NAT_RANGE_MAP_IPS, found.src, found.src)
                free, found = self._search(found, implicit, NF_NAT_MANIP_SRC, ct, now)
            if free:
                return found
            left.remove(chosen)
        return None

    def _used(self, one: CtTuple, ct: Conntrack, now: Ns) -> bool:
        """Mirror ip_nat_used_tuple()."""
        return self._table.taken(inverted(one), ct, now)

    def _least_used(
        self, orig: CtTuple, ranges: list[NatRange], ct: Conntrack, maniptype: int
    ) -> tuple[NatRange, CtTuple]:
        """Return the range and address that fewest share. Mirrors find_best_ips_proto_fast()."""
        field = "src" if maniptype == NF_NAT_MANIP_SRC else "dst"
        put: Callable[[Ip], CtTuple] = lambda ip: orig._replace(**{field: ip})  # noqa: E731  # one line, used twice
        if len(ranges) == 1:
            only = ranges[0]
            if not only.flags & NF_NAT_RANGE_MAP_IPS:
                return only, orig
            if only.min_ip == only.max_ip:
                return only, put(only.min_ip)
        best: tuple[int, NatRange, CtTuple] | None = None
        for each in ranges:
            low, high = (each.min_ip, each.max_ip) if each.flags & NF_NAT_RANGE_MAP_IPS else (getattr(orig, field),) * 2
            self._counters.address += 1
            size = high - low + 1
            for step in range(size):
                found = put(low + (self._counters.address + step) % size)
                score = self._count_maps(found, ct)
                if best is None or score < best[0]:
                    best = (score, each, found)
                    if not score:
                        return each, found
        if best is None:
            return ranges[0], orig
        return best[1], best[2]

    def _count_maps(self, found: CtTuple, ct: Conntrack) -> int:
        """Count connections whose outside has these addresses and protocol. Mirrors count_maps()."""
        return sum(
            other is not ct
            and other.tuple_reply.src == found.dst
            and other.tuple_reply.dst == found.src
            and other.tuple_reply.proto == found.proto
            for other in self._table
        )

    def _search(self, found: CtTuple, wanted: NatRange, maniptype: int, ct: Conntrack, now: Ns) -> tuple[bool, CtTuple]:
        """Find a free port or id from the protocol's counter on: whether there is one, and the last one tried.

        Mirrors the unique_tuple functions.
        """
        specified = wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED
        if found.proto == IPPROTO_ICMP:
            return self._search_id(found, wanted, ct, now)
        if found.proto not in (IPPROTO_TCP, IPPROTO_UDP):
            return False, found
        source = maniptype == NF_NAT_MANIP_SRC
        if specified:
            low, high = wanted.min_proto, wanted.max_proto
        elif not source:
            return False, found
        else:
            low, high = port_class(found.sport)
        size = high - low + 1
        counters = self._counters
        name = "tcp" if found.proto == IPPROTO_TCP else "udp"
        for _ in range(size):
            port = low + getattr(counters, name) % size
            found = found._replace(sport=port) if source else found._replace(dport=port)
            if not self._used(found, ct, now):
                return True, found
            setattr(counters, name, getattr(counters, name) + 1 & 0xFFFF)
        return False, found

    def _search_id(self, found: CtTuple, wanted: NatRange, ct: Conntrack, now: Ns) -> tuple[bool, CtTuple]:
        """Find a free ICMP id, counting as a little-endian machine stores it. Mirrors icmp_unique_tuple()."""
        low, size = 0, 0xFFFF
        if wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED:
            low = _swap16(wanted.min_proto)
            size = _swap16(wanted.max_proto) - low + 1 & 0xFFFFFFFF
        for _ in range(min(size, 0x10000)):
            found = found._replace(sport=_swap16(low + self._counters.icmp % size & 0xFFFF))
            if not self._used(found, ct, now):
                return True, found
            self._counters.icmp = self._counters.icmp + 1 & 0xFFFF
        return False, found


def _keeps(orig: CtTuple, wanted: NatRange) -> bool:
    """Mirror in_range() of a source as it is: only a range with ports holds it."""
    inside = not wanted.flags & NF_NAT_RANGE_MAP_IPS or wanted.min_ip <= orig.src <= wanted.max_ip
    return bool(inside and wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED and _in_range(orig, NF_NAT_MANIP_SRC, wanted))


def _part(one: CtTuple) -> int:
    """Return what a destination manip writes besides the address: the port, or the id that an ICMP tuple shares."""
    return one.sport if one.proto == IPPROTO_ICMP else one.dport


def _in_range(found: CtTuple, maniptype: int, wanted: NatRange) -> bool:
    """Mirror tcp_in_range(), udp_in_range() and icmp_in_range(), which compares ids as stored."""
    if found.proto == IPPROTO_ICMP:
        return _swap16(wanted.min_proto) <= _swap16(found.sport) <= _swap16(wanted.max_proto)
    if found.proto in (IPPROTO_TCP, IPPROTO_UDP):
        return wanted.min_proto <= (found.sport if maniptype == NF_NAT_MANIP_SRC else found.dport) <= wanted.max_proto
    return True
