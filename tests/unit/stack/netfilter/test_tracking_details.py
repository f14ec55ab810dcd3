"""What tracking keeps beside states: counts, who may go under pressure, templates, where a packet's way ended.

Source: net/netfilter/nf_conntrack_core.c nf_conntrack_in(), __nf_conntrack_confirm(), gc_worker_can_early_drop();
nf_conntrack_proto_tcp.c tcp_can_early_drop(); xt_CT.c (6.x).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netsim.addr import parse_ip
from netsim.stack.netfilter.conntrack import Conntrack, CtTemplate
from netsim.stack.netfilter.ct_tcp import TcpTracker, is_plain_ack
from netsim.stack.netfilter.ct_window import TcpTrack
from netsim.stack.netfilter.expect import Expectation
from netsim.stack.netfilter.hooks import HookContext
from netsim.stack.netfilter.requests import AppendRules, NewChain
from netsim.stack.netfilter.rulespec import DROP_TARGET, CtTarget, JumpTarget, RuleSpec
from netsim.stack.netfilter.status import IPS_ASSURED
from netsim.stack.netfilter.targets import compile_target
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.requests import DONE
from netsim.stack.skb import Skb
from netsim.units import sec
from netsim.wire.tcp import build_tcp


def out(kit, router, now, port=6000):
    return router.receive(kit.udp("192.168.0.3", port, "203.0.113.10", 53), "lan0", now)


def tracked(proto=6):
    return Conntrack(CtTuple(1, 2, 3, 4, proto), CtTuple(3, 4, 1, 2, proto))


@pytest.mark.parametrize(("state", "may"), [(None, False), *((n, n in (4, 5, 6, 7, 8)) for n in range(10))])
def test_a_tcp_connection_that_closes_may_go_under_pressure(state, may):
    """tcp_can_early_drop(): FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE."""
    tracker, ct = TcpTracker.__new__(TcpTracker), tracked()
    if state is not None:
        ct.tcp = TcpTrack()
        ct.tcp.state = state
    assert tracker.can_early_drop(ct) is may


@pytest.mark.parametrize(("flags", "plain"), [(0x10, True), (0x18, True), (0xD0, True), (0x12, False), (0x11, False),
                                              (0x14, False), (0x00, False), (0x08, False), (0x30, True)])  # fmt: skip
def test_a_plain_acknowledgement_begins_ends_and_breaks_nothing(flags, plain):
    assert is_plain_ack(flags) is plain


def test_an_assured_connection_of_a_protocol_that_nobody_tracks_stays(kit, router):
    evictor = router.nf._tracking._evictor
    ct = tracked(99)
    assert evictor._may_go(ct)
    ct.status |= IPS_ASSURED
    assert not evictor._may_go(ct)
    closing = tracked()
    closing.tcp = TcpTrack()
    closing.status |= IPS_ASSURED
    for state, may in ((3, False), (7, True)):
        closing.tcp.state = state
        assert evictor._may_go(closing) is may


def test_what_happened_is_counted_once_each(kit, router):
    """`conntrack -S`: insert, invalid, drop, early_drop, insert_failed."""
    stats = router.nf.conntrack.stats
    for port in (6000, 6001):
        out(kit, router, sec(1), port)
    assert (stats["insert"], stats["drop"], stats["invalid"], router.nf.conntrack.count) == (2, 0, 0, 2)
    router.receive(kit.tcp("192.168.0.3", 1, "203.0.113.10", 2, "SF"), "lan0", sec(1))
    assert stats["invalid"] == 1
    router.sysctl.conntrack.max = 2
    assert out(kit, router, sec(1), 6002) == "PREROUTING"
    assert (stats["drop"], stats["insert"], stats["insert_failed"]) == (1, 2, 0)
    router.sysctl.conntrack.max = 0
    out(kit, router, sec(1), 6003)
    assert (stats["insert"], router.nf.conntrack.count) == (3, 3)
    router.nf.conntrack.sweep(lambda ct: ct.tuple_orig.sport == 6000, sec(1))
    assert router.nf.conntrack.count == 2


def test_a_packet_whose_tuple_was_taken_meanwhile_is_dropped_and_says_so(kit, router):
    """__nf_conntrack_confirm(): NF_DROP, insert_failed and drop."""
    table, stats = router.nf.conntrack, router.nf.conntrack.stats
    out(kit, router, sec(1))
    (first,) = table
    skb = Skb(bytearray(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53)))
    skb.ct, skb.ctinfo = Conntrack(first.tuple_orig, first.tuple_reply), 2
    assert table.confirm(skb, sec(1)) == 0
    assert skb.drop_detail == "conntrack: no free tuple"
    assert (stats["insert_failed"], stats["drop"]) == (1, 1)
    assert table.kill(first, sec(1))
    assert not table.kill(first, sec(1))
    assert table.kill(Conntrack(first.tuple_orig, first.tuple_reply), sec(1))
    assert table.count == 0
    assert table.mapped(first.tuple_orig) == ()


def test_sources_are_found_oldest_first_and_forgotten_one_by_one(kit, router):
    """nf_nat_bysource."""
    table = router.nf.conntrack
    for host in ("203.0.113.10", "203.0.113.11", "203.0.113.12"):
        router.receive(kit.udp("192.168.0.3", 6000, host, 53), "lan0", sec(1))
    first, second, third = table
    assert table.mapped(first.tuple_orig) == (first, second, third)
    table.kill(second, sec(1))
    assert table.mapped(first.tuple_orig) == (first, third)
    table.kill(first, sec(1))
    table.kill(third, sec(1))
    assert table.mapped(first.tuple_orig) == ()
    assert len(table._by_source) == 0


def test_a_template_is_set_once_and_not_on_what_is_tracked():
    """xt_ct_target(): "Previously seen (loopback)? Ignore."."""
    act = compile_target(CtTarget(zone=7), None)
    ctx = HookContext(0, None, None, 0, None)
    fresh = SimpleNamespace(ct=None, nfct_template=None, mark=0)
    act(fresh, ctx)
    assert (fresh.nfct_template.zone, fresh.nfct_template.helper) == (7, "")
    other = CtTemplate(zone=3)
    for skb in (
        SimpleNamespace(ct=None, nfct_template=other, mark=0),
        SimpleNamespace(ct=1, nfct_template=other, mark=0),
    ):
        act(skb, ctx)
        assert skb.nfct_template is other
    seen = SimpleNamespace(ct=1, nfct_template=None, mark=0)
    act(seen, ctx)
    assert seen.nfct_template is None


@pytest.mark.parametrize(
    ("doff", "length", "tracked"), [(5, 20, True), (5, 19, False), (6, 24, True), (6, 23, False), (7, 24, False)]
)
def test_2_4_tracks_a_segment_whose_header_is_whole(kit, doff, length, tracked):
    """tcp_packet() of 2.4: "not whole TCP header"; unclean_match is not asked."""
    router = kit.Router("linux-2.4")
    router.masquerade()
    body = bytearray(build_tcp(0xC0A80003, 0xCB00710A, 4000, 80, 1, 0, 2, 512) + bytes(8))[:length]
    body[12] = doff << 4
    router.receive(kit.ip("192.168.0.3", "203.0.113.10", 6, bytes(body)), "lan0", sec(1))
    assert router.nf.conntrack.count == tracked


def test_an_expected_connection_takes_its_masters_mark_and_helper(kit, router):
    """init_conntrack(): IPS_EXPECTED, ct->mark = exp->master->mark; RELATED until the answer comes."""
    out(kit, router, sec(1))
    (first,) = router.nf.conntrack
    first.mark = 0x2A
    expected = Expectation(first, 0, 0, parse_ip("203.0.113.77"), 4000, 17)
    assert router.nf.conntrack.expectations.add(expected, sec(1))
    skb = router.receive(kit.udp("192.168.0.9", 1, "203.0.113.77", 4000), "lan0", sec(2))
    assert (skb.ct.mark, skb.ct.master is first, skb.ct.status & 1, skb.ctinfo) == (0x2A, True, 1, 1)
    other = router.receive(kit.udp("192.168.0.9", 1, "203.0.113.78", 4000), "lan0", sec(2))
    assert (other.ct.mark, other.ct.master, other.ct.status & 1, other.ctinfo) == (0, None, 0, 2)


@pytest.mark.parametrize("goto", [False, True])
def test_a_chain_is_walked_from_its_first_rule(kit, goto):
    """ipt_do_table(): jumped to or gone to; behind a goto the caller's next rule is not seen."""
    router = kit.Router()
    for request in (
        NewChain(table="filter", chain="mine"),
        AppendRules(table="filter", chain="mine", rules=(RuleSpec(proto=17, target=DROP_TARGET), RuleSpec(proto=6))),
        AppendRules(table="filter", chain="FORWARD", rules=(RuleSpec(target=JumpTarget("mine", goto)),)),
        AppendRules(table="filter", chain="FORWARD", rules=(RuleSpec(target=DROP_TARGET),)),
    ):
        assert router.nf.request(request, now=0) == DONE
    assert out(kit, router, sec(1)) == "FORWARD"
    passed = router.receive(kit.tcp("192.168.0.3", 1, "203.0.113.10", 2, "S"), "lan0", sec(1))
    assert (passed == "FORWARD") is not goto


def test_a_tuple_is_taken_by_another_living_flow_alone(kit, router):
    """nf_conntrack_tuple_taken(): an expired one goes here and now, the asker and its twin do not count."""
    table = router.nf.conntrack
    out(kit, router, sec(1))
    (first,) = table
    stranger = Conntrack(CtTuple(9, 9, 9, 9, 17), first.tuple_reply)
    assert table.taken(first.tuple_reply, stranger, sec(2))
    assert not table.taken(first.tuple_reply, first, sec(2))
    assert not table.taken(first.tuple_reply, Conntrack(first.tuple_orig, first.tuple_reply), sec(2))
    assert not table.taken(stranger.tuple_orig, first, sec(2))
    assert (table.taken(first.tuple_reply, stranger, sec(31) - 1), table.count) == (True, 1)
    assert (table.taken(first.tuple_reply, stranger, sec(31)), table.count) == (False, 0)


@pytest.mark.parametrize(("pressed", "left"), [(True, 94), (False, 95)])
def test_a_scan_under_pressure_brings_the_table_below_95_of_100(kit, router, pressed, left):
    """gc_worker(): nf_conntrack_max95 while early_drop is set, once."""
    router.sysctl.conntrack.max = 100
    for port in range(95):
        out(kit, router, sec(1), 2000 + port)
    evictor = router.nf._tracking._evictor
    evictor._pressed = pressed
    evictor._scan(sec(2))
    assert router.nf.conntrack.count == left
    evictor._scan(sec(3))
    assert router.nf.conntrack.count == left
    evictor._scan(sec(31))
    assert router.nf.conntrack.count == 0
