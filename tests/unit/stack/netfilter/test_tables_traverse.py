"""How packets go through tables: order, jumps, policies, counters, and what is told about each decision."""

from random import Random

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import ETHER
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_PRE_ROUTING,
    HookContext,
    Services,
)
from netsim.stack.netfilter.matchspec import (
    StateMatch,
    ViaMatch,
)
from netsim.stack.netfilter.requests import (
    AppendRules,
    DumpTables,
    FlushRules,
    InsertRules,
    NewChain,
    SetPolicy,
    ZeroCounters,
)
from netsim.stack.netfilter.rulespec import (
    ACCEPT_TARGET,
    DROP_TARGET,
    RETURN_TARGET,
    JumpTarget,
    LogTarget,
    MarkTarget,
    RuleSpec,
    SideTarget,
)
from netsim.stack.netfilter.tables import Tables
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.requests import DONE
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.trace.records import HookVerdict
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.udp import build_udp


class CountingConntrack:
    users = 0

    def get(self):
        self.users += 1

    def put(self):
        self.users -= 1


class Box:
    """Tables, two devices, and a UDP packet to send through a chain."""

    def __init__(self, kernel="linux-6", wants=frozenset({HookVerdict})):
        kernel = profile(kernel)
        self.interfaces = Interfaces(Sysctl())
        self.eth0 = self.interfaces.add("eth0", ETHER, b"\x02\0\0\0\1\1", 1500)
        self.eth1 = self.interfaces.add("eth1", ETHER, b"\x02\0\0\0\1\2", 1500)
        self.outbox = Outbox(wants)
        self.services = Services(
            node="r1", era=kernel.netfilter, patches=kernel.patches, interfaces=self.interfaces, sysctl=None,
            timers=None, outbox=self.outbox, rng=Random(1), routing=None, icmp=None, local_output=None, exit=None,
            defrag=None,
        )  # fmt: skip
        self.services.conntrack = CountingConntrack()
        self.changes = 0
        self.tables = Tables(self.services, self.changed)

    def changed(self):
        self.changes += 1

    def ask(self, req):
        return self.tables.handlers[type(req)](req, now=0)

    def append(self, chain, *specs, table="filter"):
        assert self.ask(AppendRules(table=table, chain=chain, rules=specs)) == DONE

    def skb(self, src="10.0.0.1", dst="10.0.0.2", sport=1000, dport=53, payload=b"x" * 12):
        src, dst = parse_ip(src), parse_ip(dst)
        udp = build_udp(src, dst, sport, dport, payload)
        return Skb(bytearray(build_ipv4(src, dst, 17, len(udp)) + udp), self.eth0, uid=7)

    def send(self, skb=None, hook=NF_INET_FORWARD, table="filter", now=0):
        out = None if hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN) else self.eth1
        ctx = HookContext(hook, self.eth0, out, now, self.services)
        return self.tables.traverse(table, hook, skb or self.skb(), ctx)

    def counts(self, chain, table="filter"):
        (found,) = (c for c in self.ask(DumpTables(table=table))[0].chains if c.name == chain)
        return (found.packets, found.bytes), [(rule.packets, rule.bytes) for rule in found.rules]


@pytest.fixture
def box():
    return Box()


def source(addr, target=None, **more):
    return RuleSpec(src=(parse_ip(addr), 0xFFFFFFFF), target=target, **more)


def test_the_first_rule_that_matches_decides(box):
    box.append(
        "FORWARD", source("10.0.0.9", DROP_TARGET), source("10.0.0.1", ACCEPT_TARGET), RuleSpec(target=DROP_TARGET)
    )
    assert box.send() == NF_ACCEPT
    assert box.send(box.skb(src="10.0.0.3")) == NF_DROP
    assert box.counts("FORWARD") == ((0, 0), [(0, 0), (1, 40), (1, 40)])


def test_a_rule_without_target_counts_and_the_policy_ends(box):
    box.append("FORWARD", RuleSpec())
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="DROP"))
    skb = box.skb()
    assert box.send(skb) == NF_DROP
    assert skb.drop_detail == "filter FORWARD policy"
    assert box.counts("FORWARD") == ((1, 40), [(1, 40)])


def test_a_jump_comes_back_and_goto_does_not(box):
    for name in ("a", "b"):
        box.ask(NewChain(table="filter", chain=name))
    box.append("a", source("10.0.0.1", RETURN_TARGET), RuleSpec(target=DROP_TARGET))
    box.append("b", RuleSpec())
    box.append("FORWARD", RuleSpec(target=JumpTarget("a")), RuleSpec(target=JumpTarget("b", True)),
               RuleSpec(target=DROP_TARGET))  # fmt: skip
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="ACCEPT"))
    assert box.send() == NF_ACCEPT, "b was gone to: its end is the policy's turn"
    assert box.counts("FORWARD") == ((1, 40), [(1, 40), (1, 40), (0, 0)])
    assert box.send(box.skb(src="10.0.0.7")) == NF_DROP
    assert box.counts("a")[1] == [(1, 40), (1, 40)]


def test_goto_inside_a_jump_returns_to_who_jumped(box):
    for name in ("a", "b"):
        box.ask(NewChain(table="filter", chain=name))
    box.append("b", RuleSpec())
    box.append("a", RuleSpec(target=JumpTarget("b", True)), RuleSpec(target=DROP_TARGET))
    box.append("FORWARD", RuleSpec(target=JumpTarget("a")), RuleSpec(target=ACCEPT_TARGET))
    assert box.send() == NF_ACCEPT
    assert box.counts("FORWARD")[1] == [(1, 40), (1, 40)]
    assert box.counts("a")[1] == [(1, 40), (0, 0)]


def test_return_in_a_built_in_chain_is_the_policy(box):
    box.append("FORWARD", RuleSpec(target=RETURN_TARGET), RuleSpec(target=DROP_TARGET))
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="ACCEPT"))
    assert box.send() == NF_ACCEPT
    assert box.counts("FORWARD") == ((1, 40), [(1, 40), (0, 0)])


def test_a_chain_that_no_command_made_neither_counts_nor_is_hooked(box):
    box.append("FORWARD", RuleSpec())
    assert box.tables.hooks("filter") == {NF_INET_FORWARD}
    assert box.send(hook=NF_INET_LOCAL_IN) == NF_ACCEPT
    assert box.counts("INPUT") == ((0, 0), [])
    assert box.tables.exists("filter")
    assert not box.tables.exists("nat")


def test_changes_are_told_and_refusals_are_not(box):
    box.append("FORWARD", RuleSpec())
    assert box.changes == 1
    box.ask(InsertRules(table="filter", chain="FORWARD", rules=(RuleSpec(),), number=9))
    assert box.changes == 1


def test_zeroing_one_rule_leaves_the_others(box):
    box.append("FORWARD", RuleSpec(), RuleSpec())
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="ACCEPT"))
    box.send()
    box.ask(ZeroCounters(table="filter", chain="FORWARD", number=2))
    assert box.counts("FORWARD") == ((1, 40), [(1, 40), (0, 0)])
    box.ask(ZeroCounters(table="filter"))
    assert box.counts("FORWARD") == ((0, 0), [(0, 0), (0, 0)])


@pytest.mark.parametrize(("kernel", "before"), [("linux-6", (0, 0)), ("linux-2.4", (2, 80))])
def test_a_policy_counts_on_nf_tables_only_once_it_was_set(kernel, before):
    """Asked of Linux 6.18 with iptables 1.8.9 (nf_tables): -P begins at 0, -Z goes on counting; and case f1."""
    box = Box(kernel)
    box.append("FORWARD", RuleSpec())
    box.send()
    box.send()
    assert box.counts("FORWARD")[0] == before
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="ACCEPT"))
    assert box.counts("FORWARD")[0] == (0, 0)
    box.send()
    assert box.counts("FORWARD")[0] == (1, 40)


def test_tracking_is_wanted_while_a_rule_needs_it(box):
    box.append("FORWARD", RuleSpec(matches=(StateMatch(states=8),)), RuleSpec())
    assert box.services.conntrack.users == 1
    box.ask(FlushRules(table="filter", chain="FORWARD"))
    assert box.services.conntrack.users == 0


def test_every_decision_is_a_record_with_the_rule_as_text(box):
    rule = source("10.0.0.1", DROP_TARGET, text="-s 10.0.0.1/32 -j DROP")
    box.append("FORWARD", RuleSpec(target=MarkTarget(mark=1)), rule)
    skb = box.skb()
    box.send(skb, now=5)
    (record,) = box.outbox.records
    assert record == HookVerdict(5, "r1", "FORWARD", "filter", "FORWARD", 2, "-s 10.0.0.1/32 -j DROP", "DROP", 7)
    assert skb.drop_detail == "filter FORWARD rule 2"
    assert skb.mark == 1


def test_an_empty_chain_that_accepts_is_no_decision(box):
    box.ask(SetPolicy(table="filter", chain="FORWARD", policy="ACCEPT"))
    box.send()
    assert box.outbox.records == []
    assert box.counts("FORWARD") == ((1, 40), [])


def test_log_writes_the_kernels_line_and_goes_on(box):
    box.append("FORWARD", RuleSpec(target=LogTarget(prefix="in: ")), RuleSpec(target=ACCEPT_TARGET))
    skb = box.skb()
    skb.src_mac = b"\x02\0\0\0\2\2"
    box.send(skb)
    logged, decided = box.outbox.records
    assert logged.verdict == "LOG"
    assert logged.text == (
        "in: IN=eth0 OUT=eth1 MAC=02:00:00:00:01:01:02:00:00:00:02:02:08:00 SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TOS=0x00 "
        "PREC=0x00 TTL=64 ID=0 PROTO=UDP SPT=1000 DPT=53 LEN=20 "
    )
    assert (decided.verdict, decided.rule) == ("ACCEPT", 2)


def test_nobody_listening_costs_no_records():
    box = Box(wants=frozenset())
    box.append("FORWARD", RuleSpec(target=LogTarget()), RuleSpec(target=DROP_TARGET))
    assert box.send() == NF_DROP
    assert box.outbox.records == []


# ipchains


def chains_rule(then, **more):
    return RuleSpec(target=SideTarget(then=then, **more))


def test_on_22_there_is_the_one_table_of_ipchains():
    box = Box("linux-2.2")
    assert [table.name for table in box.ask(DumpTables(table="ipchains"))] == ["ipchains"]
    assert box.ask(DumpTables(table="filter")).name == "ENOENT"
    assert box.ask(DumpTables()) == ()


def test_on_24_there_is_no_raw_table():
    names = [table.name for table in Box("linux-2.4").ask(DumpTables())]
    assert names == ["mangle", "filter", "nat"]


def test_ipchains_interface_is_where_the_chain_looks():
    box = Box("linux-2.2")
    for chain in ("input", "forward"):
        rule = RuleSpec(matches=(ViaMatch(name="eth0"),), target=SideTarget(then=DROP_TARGET))
        box.append(chain, rule, table="ipchains")
    assert box.send(hook=NF_INET_PRE_ROUTING, table="ipchains") == NF_DROP
    assert box.send(hook=NF_INET_FORWARD, table="ipchains") == NF_ACCEPT, "forward looks at the device it leaves by"


def test_ipchains_marks_changes_tos_and_logs_before_its_target():
    box = Box("linux-2.2")
    box.append("input", chains_rule(None, mark=5), chains_rule(None, mark=0xFFFFFFFF, mark_relative=True),
               chains_rule(DROP_TARGET, log=True, tos_and=0x01, tos_xor=0x10), table="ipchains")  # fmt: skip
    skb = box.skb()
    assert box.send(skb, hook=NF_INET_PRE_ROUTING, table="ipchains") == NF_DROP
    assert (skb.mark, skb.tos, skb.data[1]) == (4, 0x10, 0x10)
    assert box.outbox.records[0].text == (
        "Packet log: input DENY eth0 PROTO=17 10.0.0.1:1000 10.0.0.2:53 L=40 S=0x10 I=0 F=0x0000 T=64 (#3)"
    )
