"""Compile a rule's selectors and matches into one function, or none when everything matches.

Each kind of match is compiled by match_packet.py or match_state.py; here is the table of them, and what connection
tracking they need. A rule with one test compiles to that test itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.errors import InternalError
from netsim.stack.netfilter import match_packet, match_state
from netsim.stack.netfilter.hooks import Services
from netsim.stack.netfilter.match_packet import Match
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    CommentMatch,
    ConntrackMatch,
    DscpMatch,
    HelperMatch,
    IcmpMatch,
    IprangeMatch,
    LengthMatch,
    LimitMatch,
    MacMatch,
    MarkMatch,
    MatchSpec,
    MultiportMatch,
    PkttypeMatch,
    StateMatch,
    StatisticMatch,
    TcpMatch,
    TcpmssMatch,
    TosMatch,
    TtlMatch,
    UdpMatch,
    ViaMatch,
)
from netsim.stack.netfilter.rulespec import (
    ConnmarkTarget,
    CtTarget,
    MasqTarget,
    NatTarget,
    RuleSpec,
    SideTarget,
)

# Any: each compiler takes its own spec, which a mapping from type to function cannot say.
_COMPILERS: tuple[tuple[type, Callable[[Any, Services], Match]], ...] = (
    (TcpMatch, match_packet.tcp),
    (UdpMatch, match_packet.udp),
    (IcmpMatch, match_packet.icmp),
    (MultiportMatch, match_packet.multiport),
    (MacMatch, match_packet.mac),
    (TtlMatch, match_packet.ttl),
    (LengthMatch, match_packet.length),
    (IprangeMatch, match_packet.iprange),
    (TosMatch, match_packet.tos),
    (DscpMatch, match_packet.dscp),
    (PkttypeMatch, match_packet.pkttype),
    (TcpmssMatch, match_packet.tcpmss),
    (AddrtypeMatch, match_packet.addrtype),
    (ViaMatch, match_packet.via),
    (StateMatch, match_state.state),
    (ConntrackMatch, match_state.conntrack),
    (MarkMatch, match_state.mark),
    (LimitMatch, match_state.limit),
    (StatisticMatch, match_state.statistic),
    (HelperMatch, match_state.helper),
)


def compile_rule(spec: RuleSpec, services: Services) -> Match | None:
    """Return one function that says whether a packet matches the whole rule, None when every packet does.

    Compiling anew forgets what limit and statistic counted.
    """
    tests = match_packet.header(spec)
    for each in spec.matches:
        if not isinstance(each, CommentMatch):
            tests.append(_compile(each, services))
    return _together(tests)


def _compile(spec: MatchSpec, services: Services) -> Match:
    for kind, compiler in _COMPILERS:
        if type(spec) is kind:
            return compiler(spec, services)
    raise InternalError(f"nothing compiles {spec!r}")


def _together(tests: list[Match]) -> Match | None:
    """Join tests so that the first that fails ends the matter."""
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda skb, ctx: first(skb, ctx) and second(skb, ctx)
    if len(tests) == 3:
        first, second, third = tests
        return lambda skb, ctx: first(skb, ctx) and second(skb, ctx) and third(skb, ctx)
    every = tuple(tests)
    return lambda skb, ctx: all(test(skb, ctx) for test in every)


def needs_conntrack(spec: RuleSpec) -> bool:
    """Tell whether loading the rule switches connection tracking on (nf_ct_netns_get() in a checkentry).

    The nat table's own chains do not: an empty one, or one with other targets, tracks nothing.
    """
    for each in spec.matches:
        if isinstance(each, StateMatch | ConntrackMatch | HelperMatch) or (isinstance(each, MarkMatch) and each.conn):
            return True
    target = spec.target
    if isinstance(target, SideTarget):
        target = target.then
    if isinstance(target, CtTarget):
        return not target.notrack
    return isinstance(target, NatTarget | ConnmarkTarget | MasqTarget)
