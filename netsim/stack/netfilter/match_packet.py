"""Matches that look at the packet alone: header, ports, flags, lengths, addresses. Each compiles to a closure.

A closure takes (skb, ctx) and answers whether the packet matches. A transport match never matches a later fragment, nor
a packet too short to hold what it asks for. Source: net/ipv4/netfilter/ip_tables.c ip_packet_match(), net/netfilter/
xt_tcpudp.c, xt_multiport.c, xt_mac.c, xt_length.c, xt_iprange.c, xt_dscp.c, ipt_ttl (xt_hl.c), xt_tcpmss.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netsim.stack.netfilter.hooks import NF_INET_PRE_ROUTING, HookContext, Services
from netsim.stack.netfilter.matchspec import (
    ANY_PORT,
    ICMP_ANY,
    XT_TCP_INV_DSTPT,
    XT_TCP_INV_FLAGS,
    XT_TCP_INV_OPTION,
    XT_TCP_INV_SRCPT,
    AddrtypeMatch,
    DscpMatch,
    IcmpMatch,
    IprangeMatch,
    LengthMatch,
    MacMatch,
    MultiportMatch,
    PkttypeMatch,
    TcpMatch,
    TcpmssMatch,
    TosMatch,
    TtlMatch,
    UdpMatch,
    ViaMatch,
)
from netsim.stack.netfilter.rulespec import (
    IPT_INV_DSTIP,
    IPT_INV_FRAG,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    IPT_INV_VIA_IN,
    IPT_INV_VIA_OUT,
    RuleSpec,
)
from netsim.stack.skb import PACKET_HOST, Skb
from netsim.wire.tcp import option_octets, parse_options

Match: TypeAlias = Callable[[Skb, HookContext], bool]

TCP_HLEN = 20
UDP_HLEN = 8


def header(spec: RuleSpec) -> list[Match]:
    """Compile the selectors that every rule has, cheapest first; absent ones cost nothing."""
    tests: list[Match] = []
    if spec.oif:
        tests.append(_device(spec.oif, bool(spec.invert & IPT_INV_VIA_OUT), out=True))
    if spec.iif:
        tests.append(_device(spec.iif, bool(spec.invert & IPT_INV_VIA_IN), out=False))
    if spec.proto:
        tests.append(_proto(spec.proto, bool(spec.invert & IPT_INV_PROTO)))
    if spec.src[1]:
        tests.append(_source(spec.src[0] & spec.src[1], spec.src[1], bool(spec.invert & IPT_INV_SRCIP)))
    if spec.dst[1]:
        tests.append(_destination(spec.dst[0] & spec.dst[1], spec.dst[1], bool(spec.invert & IPT_INV_DSTIP)))
    if spec.fragment:
        tests.append(_later_fragment(bool(spec.invert & IPT_INV_FRAG)))
    return tests


def _device(name: str, invert: bool, *, out: bool) -> Match:
    """No device has the empty name, as the kernel's nulldevname: `! -i eth0` matches a packet of this box."""
    if name.endswith("+"):
        prefix = name[:-1]
        if out:
            return lambda skb, ctx: (ctx.outdev.name if ctx.outdev else "").startswith(prefix) is not invert
        return lambda skb, ctx: (ctx.indev.name if ctx.indev else "").startswith(prefix) is not invert
    if out:
        return lambda skb, ctx: ((ctx.outdev.name if ctx.outdev else "") == name) is not invert
    return lambda skb, ctx: ((ctx.indev.name if ctx.indev else "") == name) is not invert


def via(spec: ViaMatch, services: Services) -> Match:
    """Compile `-i` of ipchains, where the chain says which device is meant. Source: ip_rule_match(), 2.2 ip_fw.c."""
    name, invert = spec.name, spec.invert

    def match(skb: Skb, ctx: HookContext) -> bool:
        device = ctx.indev if ctx.hook == NF_INET_PRE_ROUTING else ctx.outdev
        have = device.name if device is not None else ""
        hit = have.startswith(name[:-1]) if name.endswith("+") else have == name
        return hit is not invert

    return match


def _proto(proto: int, invert: bool) -> Match:
    if invert:
        return lambda skb, ctx: skb.proto != proto
    return lambda skb, ctx: skb.proto == proto


def _source(addr: int, mask: int, invert: bool) -> Match:
    if invert:
        return lambda skb, ctx: skb.saddr & mask != addr
    return lambda skb, ctx: skb.saddr & mask == addr


def _destination(addr: int, mask: int, invert: bool) -> Match:
    if invert:
        return lambda skb, ctx: skb.daddr & mask != addr
    return lambda skb, ctx: skb.daddr & mask == addr


def _later_fragment(invert: bool) -> Match:
    return lambda skb, ctx: bool(skb.fragment_offset) is not invert


def tcp(spec: TcpMatch, services: Services) -> Match:
    """Compile `-m tcp`."""
    ports = _ports(spec.sports, spec.dports, spec.invert, TCP_HLEN)
    mask, cmp, option = spec.flags_mask, spec.flags_cmp, spec.option
    invert_flags = bool(spec.invert & XT_TCP_INV_FLAGS)
    invert_option = bool(spec.invert & XT_TCP_INV_OPTION)
    if not mask and not invert_flags and not option:
        return ports

    def match(skb: Skb, ctx: HookContext) -> bool:
        if not ports(skb, ctx):
            return False
        if (skb.data[skb.ihl + 13] & mask == cmp) is invert_flags:
            return False
        if not option:
            return True
        return _has_option(skb, option) is not invert_option

    return match


def _has_option(skb: Skb, option: int) -> bool:
    """Mirror tcp_find_option(): walk the kinds by their lengths, whatever these say; an end of list is passed over."""
    start = skb.ihl
    end = start + (skb.data[start + 12] >> 4) * 4
    if end > len(skb.data):
        return False
    options = skb.data[start + TCP_HLEN : end]
    at = 0
    while at < len(options):
        if options[at] == option:
            return True
        at += (options[at + 1] or 1) if options[at] > 1 and at + 1 < len(options) else 1
    return False


def udp(spec: UdpMatch, services: Services) -> Match:
    """Compile `-m udp`."""
    return _ports(spec.sports, spec.dports, spec.invert, UDP_HLEN)


def _ports(sports: tuple[int, int], dports: tuple[int, int], invert: int, header_length: int) -> Match:
    (smin, smax), (dmin, dmax) = sports, dports
    no_source = bool(invert & XT_TCP_INV_SRCPT)
    no_destination = bool(invert & XT_TCP_INV_DSTPT)
    any_source = sports == ANY_PORT and not no_source

    def match(skb: Skb, ctx: HookContext) -> bool:
        data = skb.data
        if data[7] or data[6] & 0x1F or len(data) < (data[0] & 15) * 4 + header_length:
            return False
        if not any_source and (smin <= skb.sport <= smax) is no_source:
            return False
        return (dmin <= skb.dport <= dmax) is not no_destination

    return match


def multiport(spec: MultiportMatch, services: Services) -> Match:
    """Compile `-m multiport`."""
    ranges, invert = spec.ports, spec.invert
    source, destination = spec.which != "dports", spec.which != "sports"

    def match(skb: Skb, ctx: HookContext) -> bool:
        if skb.fragment_offset or len(skb.data) < skb.ihl + 4:
            return False
        hit = any(
            (source and low <= skb.sport <= high) or (destination and low <= skb.dport <= high) for low, high in ranges
        )
        return hit is not invert

    return match


def icmp(spec: IcmpMatch, services: Services) -> Match:
    """Compile `-m icmp`."""
    wanted, (low, high), invert = spec.type, spec.codes, spec.invert

    def match(skb: Skb, ctx: HookContext) -> bool:
        start = skb.ihl
        if skb.fragment_offset or len(skb.data) < start + 2:
            return False
        hit = wanted == ICMP_ANY or (skb.data[start] == wanted and low <= skb.data[start + 1] <= high)
        return hit is not invert

    return match


def mac(spec: MacMatch, services: Services) -> Match:
    """Compile `-m mac`: a packet that came by no Ethernet device never matches."""
    wanted, invert = spec.mac, spec.invert
    return lambda skb, ctx: bool(skb.src_mac) and (skb.src_mac == wanted) is not invert


def ttl(spec: TtlMatch, services: Services) -> Match:
    """Compile `-m ttl`."""
    value = spec.ttl
    if spec.mode == "eq":
        return lambda skb, ctx: skb.data[8] == value
    if spec.mode == "ne":
        return lambda skb, ctx: skb.data[8] != value
    if spec.mode == "lt":
        return lambda skb, ctx: skb.data[8] < value
    return lambda skb, ctx: skb.data[8] > value


def length(spec: LengthMatch, services: Services) -> Match:
    """Compile `-m length`."""
    (low, high), invert = spec.length, spec.invert
    return lambda skb, ctx: (low <= len(skb.data) <= high) is not invert


def iprange(spec: IprangeMatch, services: Services) -> Match:
    """Compile `-m iprange`."""
    src, dst = spec.src, spec.dst

    def match(skb: Skb, ctx: HookContext) -> bool:
        if src is not None and (src[0] <= skb.saddr <= src[1]) is spec.invert_src:
            return False
        return dst is None or (dst[0] <= skb.daddr <= dst[1]) is not spec.invert_dst

    return match


def tos(spec: TosMatch, services: Services) -> Match:
    """Compile `-m tos`."""
    value, mask, invert = spec.value, spec.mask, spec.invert
    return lambda skb, ctx: (skb.tos & mask == value) is not invert


def dscp(spec: DscpMatch, services: Services) -> Match:
    """Compile `-m dscp`."""
    value, invert = spec.dscp, spec.invert
    return lambda skb, ctx: (skb.tos >> 2 == value) is not invert


def pkttype(spec: PkttypeMatch, services: Services) -> Match:
    """Compile `-m pkttype`. A packet of this box counts as unicast."""
    wanted, invert = spec.pkt_type, spec.invert

    def match(skb: Skb, ctx: HookContext) -> bool:
        kind = skb.pkt_type if ctx.indev is not None else PACKET_HOST
        return (kind == wanted) is not invert

    return match


def tcpmss(spec: TcpmssMatch, services: Services) -> Match:
    """Compile `-m tcpmss`: a segment without the option does not match, inverted or not."""
    (low, high), invert = spec.mss, spec.invert

    def match(skb: Skb, ctx: HookContext) -> bool:
        start = skb.ihl
        data = skb.data
        if skb.fragment_offset or len(data) < start + TCP_HLEN or len(data) < start + (data[start + 12] >> 4) * 4:
            return False
        mss = parse_options(option_octets(data, start)).mss
        return mss is not None and (low <= mss <= high) is not invert

    return match


def addrtype(spec: AddrtypeMatch, services: Services) -> Match:
    """Compile `-m addrtype`: what kind of address the routing tables say it is."""
    routing = services.routing

    def match(skb: Skb, ctx: HookContext) -> bool:
        dev = ctx.indev if spec.limit == "in" else ctx.outdev if spec.limit == "out" else None
        if spec.src and bool(spec.src >> routing.address_type(skb.saddr, dev) & 1) is spec.invert_src:
            return False
        return not spec.dst or bool(spec.dst >> routing.address_type(skb.daddr, dev) & 1) is not spec.invert_dst

    return match
