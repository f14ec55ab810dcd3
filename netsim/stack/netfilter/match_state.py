"""Matches that remember, or look at what the packet carries: connection, marks, rates, chance, helper.

Source: net/netfilter/xt_conntrack.c conntrack_mt(), xt_state, xt_mark.c, xt_connmark.c, xt_statistic.c, xt_helper.c;
nft_limit.c nft_limit_eval() (iptables 1.8.9 turns `-m limit` into nft's limit expression).
"""

from __future__ import annotations

from netsim.stack.netfilter.hooks import HookContext, Services
from netsim.stack.netfilter.match_packet import Match
from netsim.stack.netfilter.matchspec import (
    LIMIT_SCALE,
    XT_CONNTRACK_DIRECTION,
    XT_CONNTRACK_EXPIRES,
    XT_CONNTRACK_ORIGDST,
    XT_CONNTRACK_ORIGDST_PORT,
    XT_CONNTRACK_ORIGSRC,
    XT_CONNTRACK_ORIGSRC_PORT,
    XT_CONNTRACK_PROTO,
    XT_CONNTRACK_REPLDST,
    XT_CONNTRACK_REPLDST_PORT,
    XT_CONNTRACK_REPLSRC,
    XT_CONNTRACK_REPLSRC_PORT,
    XT_CONNTRACK_STATE,
    XT_CONNTRACK_STATE_DNAT,
    XT_CONNTRACK_STATE_INVALID,
    XT_CONNTRACK_STATE_SNAT,
    XT_CONNTRACK_STATE_UNTRACKED,
    XT_CONNTRACK_STATUS,
    ConntrackMatch,
    HelperMatch,
    LimitMatch,
    MarkMatch,
    StateMatch,
    StatisticMatch,
)
from netsim.stack.netfilter.status import IP_CT_IS_REPLY, IP_CT_UNTRACKED, IPS_DST_NAT, IPS_SRC_NAT
from netsim.stack.skb import Skb
from netsim.units import NS_PER_S

_UNIT_SECONDS = (86_400, 3_600, 60, 1)


def state_bit(skb: Skb) -> int:
    """Return the one XT_CONNTRACK_STATE_ bit of a packet, without SNAT and DNAT."""
    if skb.ct is not None:
        return 1 << skb.ctinfo % IP_CT_IS_REPLY + 1
    return XT_CONNTRACK_STATE_UNTRACKED if skb.ctinfo == IP_CT_UNTRACKED else XT_CONNTRACK_STATE_INVALID


def state(spec: StateMatch, services: Services) -> Match:
    """Compile `-m state`."""
    states, invert = spec.states, spec.invert
    return lambda skb, ctx: bool(states & state_bit(skb)) is not invert


def conntrack(spec: ConntrackMatch, services: Services) -> Match:
    """Compile `-m conntrack`. A packet without a connection can match by state alone."""
    if spec.match == XT_CONNTRACK_STATE and not spec.states & (XT_CONNTRACK_STATE_SNAT | XT_CONNTRACK_STATE_DNAT):
        return state(StateMatch(states=spec.states, invert=bool(spec.invert & XT_CONNTRACK_STATE)), services)
    states, asked = spec.states, spec.match
    invert_state = bool(spec.invert & XT_CONNTRACK_STATE)
    parts = _parts(spec)

    def match(skb: Skb, ctx: HookContext) -> bool:
        ct = skb.ct
        if asked & XT_CONNTRACK_STATE:
            bits = state_bit(skb)
            if ct is not None:
                bits |= XT_CONNTRACK_STATE_SNAT if ct.status & IPS_SRC_NAT else 0
                bits |= XT_CONNTRACK_STATE_DNAT if ct.status & IPS_DST_NAT else 0
            if bool(states & bits) is invert_state:
                return False
        if ct is None:
            return bool(asked & XT_CONNTRACK_STATE)
        return all(part(skb, ctx) for part in parts)

    return match


def _parts(spec: ConntrackMatch) -> list[Match]:
    """Compile what is asked of the connection itself, in the kernel's order."""
    parts: list[Match] = []

    def add(bit: int, build: Match) -> None:
        if not spec.match & bit:
            return
        if spec.invert & bit:
            parts.append(lambda skb, ctx: not build(skb, ctx))
        else:
            parts.append(build)

    add(XT_CONNTRACK_DIRECTION, lambda skb, ctx: skb.ctinfo < IP_CT_IS_REPLY)
    add(XT_CONNTRACK_ORIGSRC, lambda skb, ctx: _inside(skb.ct.tuple_orig.src, spec.origsrc))
    add(XT_CONNTRACK_ORIGDST, lambda skb, ctx: _inside(skb.ct.tuple_orig.dst, spec.origdst))
    add(XT_CONNTRACK_REPLSRC, lambda skb, ctx: _inside(skb.ct.tuple_reply.src, spec.replsrc))
    add(XT_CONNTRACK_REPLDST, lambda skb, ctx: _inside(skb.ct.tuple_reply.dst, spec.repldst))
    add(XT_CONNTRACK_PROTO, lambda skb, ctx: skb.ct.tuple_orig.proto == spec.proto)
    add(XT_CONNTRACK_ORIGSRC_PORT, lambda skb, ctx: _between(skb.ct.tuple_orig.sport, spec.origsrc_port))
    add(XT_CONNTRACK_ORIGDST_PORT, lambda skb, ctx: _between(skb.ct.tuple_orig.dport, spec.origdst_port))
    add(XT_CONNTRACK_REPLSRC_PORT, lambda skb, ctx: _between(skb.ct.tuple_reply.sport, spec.replsrc_port))
    add(XT_CONNTRACK_REPLDST_PORT, lambda skb, ctx: _between(skb.ct.tuple_reply.dport, spec.repldst_port))
    add(XT_CONNTRACK_STATUS, lambda skb, ctx: bool(skb.ct.status & spec.status))
    add(
        XT_CONNTRACK_EXPIRES,
        lambda skb, ctx: _between(max(0, skb.ct.timeout - ctx.now) // NS_PER_S, spec.expire),
    )
    return parts


def _inside(addr: int, net: tuple[int, int]) -> bool:
    return (addr ^ net[0]) & net[1] == 0


def _between(value: int, ends: tuple[int, int]) -> bool:
    return ends[0] <= value <= ends[1]


def mark(spec: MarkMatch, services: Services) -> Match:
    """Compile `-m mark` and `-m connmark`; a packet without a connection never matches the latter."""
    value, mask, invert = spec.mark, spec.mask, spec.invert
    if spec.conn:
        return lambda skb, ctx: skb.ct is not None and (skb.ct.mark & mask == value) is not invert
    return lambda skb, ctx: (skb.mark & mask == value) is not invert


def helper(spec: HelperMatch, services: Services) -> Match:
    """Compile `-m helper`: a connection that a helper's connection expected, by the helper's name."""
    name, invert = spec.helper, spec.invert

    def match(skb: Skb, ctx: HookContext) -> bool:
        if skb.ct is None or skb.ct.master is None or skb.ct.master.helper is None:
            return invert
        return (not name or skb.ct.master.helper.name == name) is not invert

    return match


def rate(avg: int) -> tuple[int, int]:
    """Turn `avg` of a LimitMatch into packets and the seconds of their unit, as iptables 1.8.9 prints and loads it.

    The longest unit is left in which the rate is not a whole number of packets any more. Source: print_rate().
    """
    seconds = _UNIT_SECONDS
    at = 1
    while at < len(seconds):
        scaled = seconds[at] * LIMIT_SCALE
        if avg > scaled or scaled // avg < scaled % avg:
            break
        at += 1
    return seconds[at - 1] * LIMIT_SCALE // avg, seconds[at - 1]


def limit(spec: LimitMatch, services: Services) -> Match:
    """Compile `-m limit`: a bucket in Ns that starts full; each rule has its own.

    Source: nft_limit_init() (a burst of 0 is 5), nft_limit_eval().
    """
    packets, seconds = rate(spec.avg)
    cost = seconds * NS_PER_S // packets
    most = cost * (spec.burst or 5)
    tokens = most
    last = -1

    def match(skb: Skb, ctx: HookContext) -> bool:
        nonlocal tokens, last
        if last >= 0:
            tokens = min(most, tokens + ctx.now - last)
        last = ctx.now
        if tokens < cost:
            return False
        tokens -= cost
        return True

    return match


def statistic(spec: StatisticMatch, services: Services) -> Match:
    """Compile `-m statistic`; the nth mode counts by rule, from the packet it was told."""
    rng, invert = services.rng, spec.invert
    if not spec.every:
        probability = spec.probability
        return lambda skb, ctx: (rng.getrandbits(31) < probability) is not invert
    every = spec.every
    count = every - 1 - spec.packet

    def match(skb: Skb, ctx: HookContext) -> bool:
        nonlocal count
        count = 0 if count == every - 1 else count + 1
        return (count == 0) is not invert

    return match
