"""Where an extension may stand: every target and match against every table and every built-in chain.

Source: .table, .hooks, .proto and checkentry of the xt_target and xt_match structs, net/netfilter and
net/ipv4/netfilter (6.x).
"""

from __future__ import annotations

import pytest

from netsim.stack.netfilter.legality import refused
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    IcmpMatch,
    MacMatch,
    TcpMatch,
    TcpmssMatch,
    TtlMatch,
    UdpMatch,
)
from netsim.stack.netfilter.nat_range import NatRange
from netsim.stack.netfilter.rulespec import (
    ACCEPT_TARGET,
    CtTarget,
    DscpTarget,
    MarkTarget,
    NatTarget,
    RejectTarget,
    RuleSpec,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
)

EINVAL, ENOENT = 22, 2
TABLES = ("raw", "mangle", "nat", "filter", "security")
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
PRE, IN, FORWARD, OUT, POST = range(5)
NOT_SRC, NOT_DST, NOT_PROTO = 8, 16, 64
EVERYWHERE = frozenset(range(5))


def allowed(spec, table="mangle", own_only=False):
    """Return the hooks in whose built-in chain a rule may stand, by number."""
    return {hook for hook in range(5) if not refused(spec, table, 0 if own_only else 1 << hook, 1 << hook)}


TARGETS = [
    # target, protocol, where: table -> hooks
    (NatTarget("SNAT", NatRange()), 0, {"nat": {IN, POST}}), (NatTarget("MASQUERADE", NatRange()), 0, {"nat": {POST}}),
    (NatTarget("DNAT", NatRange()), 0, {"nat": {PRE, OUT}}),
    (NatTarget("REDIRECT", NatRange()), 0, {"nat": {PRE, OUT}}),
    (NatTarget("NETMAP", NatRange()), 0, {"nat": {PRE, IN, OUT, POST}}),
    (RejectTarget(), 0, {"filter": {IN, FORWARD, OUT}}), (RejectTarget("tcp-reset"), 6, {"filter": {IN, FORWARD, OUT}}),
    (RejectTarget("tcp-reset"), 17, {}), (RejectTarget("tcp-reset"), 0, {}),
    (TtlTarget("set", 1), 0, {"mangle": EVERYWHERE}), (TosTarget(1, 255), 0, {"mangle": EVERYWHERE}),
    (DscpTarget(1), 0, {"mangle": EVERYWHERE}), (CtTarget(notrack=True), 0, {"raw": EVERYWHERE}),
    (TcpmssTarget(1400), 6, dict.fromkeys(TABLES, EVERYWHERE)), (TcpmssTarget(1400), 17, {}),
    (TcpmssTarget(1400), 0, {}),
    (TcpmssTarget(None), 6, dict.fromkeys(TABLES, frozenset({FORWARD, OUT, POST}))),
    (MarkTarget(mark=1), 0, dict.fromkeys(TABLES, EVERYWHERE)),
    (ACCEPT_TARGET, 0, dict.fromkeys(TABLES, EVERYWHERE)), (None, 0, dict.fromkeys(TABLES, EVERYWHERE)),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(TARGETS)))
def test_a_target_stands_in_its_tables_and_chains(at):
    target, proto, where = TARGETS[at]
    spec = RuleSpec(target=target, proto=proto)
    assert {table: allowed(spec, table) for table in TABLES if allowed(spec, table)} == where


def test_a_refused_target_is_invalid_and_an_inverted_protocol_is_none():
    assert refused(RuleSpec(target=TtlTarget("set", 1)), "filter", 1 << IN, 1 << IN) == EINVAL
    for target in (RejectTarget("tcp-reset"), TcpmssTarget(1400)):
        spec = RuleSpec(target=target, proto=6, invert=NOT_PROTO)
        assert refused(spec, "filter", 1 << IN, 1 << IN) == EINVAL


def test_in_ipchains_everything_stands_but_nat():
    for target in (
        RejectTarget(),
        RejectTarget("tcp-reset"),
        TtlTarget("set", 1),
        TcpmssTarget(None),
        MarkTarget(mark=1),
    ):
        assert allowed(RuleSpec(target=target), "ipchains") == EVERYWHERE
    assert allowed(RuleSpec(target=NatTarget("MASQUERADE", NatRange())), "ipchains") == set()


def test_a_chain_that_is_jumped_to_is_asked_for_every_way_to_it():
    """.hooks of each way; checkentry of the own chain alone, 0 in a user's."""
    spec = RuleSpec(target=RejectTarget())
    assert not refused(spec, "filter", 1 << IN | 1 << OUT, 0)
    assert refused(spec, "filter", 1 << IN | 1 << POST, 0) == EINVAL
    assert not refused(spec, "filter", 0, 0)
    assert not refused(RuleSpec(target=TcpmssTarget(None), proto=6), "mangle", 1 << PRE, 0)
    assert not refused(RuleSpec(matches=(AddrtypeMatch(src=2, limit="out"),)), "mangle", 1 << PRE, 0)


@pytest.mark.parametrize(
    ("helper", "proto", "invert", "errno"),
    [("ftp", 6, 0, 0), ("ftp", 17, 0, ENOENT), ("ftp", 0, 0, ENOENT), ("ftp", 6, NOT_PROTO, ENOENT),
    ("sip", 6, 0, ENOENT),
     ("", 17, 0, 0)],
)  # fmt: skip
def test_a_helper_must_be_known_for_the_protocol(helper, proto, invert, errno):
    """xt_ct_set_helper(): "cannot find helper" and "You must specify a L4 protocol"."""
    spec = RuleSpec(target=CtTarget(helper=helper, zone=1), proto=proto, invert=invert)
    assert refused(spec, "raw", 1 << PRE, 1 << PRE) == errno


MATCHES = [
    (TcpMatch(), 6, 0, EVERYWHERE), (TcpMatch(), 6, NOT_PROTO, EVERYWHERE), (TcpMatch(), 17, 0, set()),
    (TcpMatch(), 0, 0, set()),
    (UdpMatch(), 17, 0, EVERYWHERE), (UdpMatch(), 17, NOT_PROTO, EVERYWHERE), (UdpMatch(), 6, 0, set()),
    (IcmpMatch(type=8), 1, 0, EVERYWHERE), (IcmpMatch(type=8), 1, NOT_PROTO, set()), (IcmpMatch(type=8), 6, 0, set()),
    (TcpmssMatch(mss=(1, 2)), 6, 0, EVERYWHERE), (TcpmssMatch(mss=(1, 2)), 6, NOT_PROTO, set()),
    (TcpmssMatch(mss=(1, 2)), 1, 0, set()), (MacMatch(mac=bytes(6)), 0, 0, {PRE, IN, FORWARD}),
    (AddrtypeMatch(src=2), 0, 0, EVERYWHERE), (AddrtypeMatch(src=2, limit="in"), 0, 0, {PRE, IN, FORWARD}),
    (AddrtypeMatch(src=2, limit="out"), 0, 0, {FORWARD, OUT, POST}), (TtlMatch(mode="eq", ttl=1), 0, 0, EVERYWHERE),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(MATCHES)))
def test_a_match_stands_where_there_is_what_it_looks_at(at):
    match, proto, invert, hooks = MATCHES[at]
    spec = RuleSpec(matches=(TtlMatch(mode="eq", ttl=1), match), proto=proto, invert=invert)
    assert allowed(spec) == hooks


@pytest.mark.parametrize(
    ("fields", "errno"),
    [
        ({"invert": NOT_SRC}, EINVAL), ({"invert": NOT_DST}, EINVAL), ({"invert": NOT_SRC, "src": (1, 1)}, 0),
        ({"invert": NOT_DST, "dst": (1, 1)}, 0), ({"invert": NOT_SRC, "dst": (1, 1)}, EINVAL),
        ({"invert": NOT_DST, "src": (1, 1)}, EINVAL), ({"invert": NOT_PROTO}, 0), ({}, 0),
    ],
)  # fmt: skip
def test_nothing_is_not_everything(fields, errno):
    """`! -s 0.0.0.0/0` compares nothing."""
    assert refused(RuleSpec(**fields), "filter", 1 << IN, 1 << IN) == errno
