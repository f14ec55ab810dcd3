"""What each match says to packets: fields and their edges, fragments, memory, chance, connections."""

from random import Random

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.hooks import NF_INET_FORWARD, HookContext, Services
from netsim.stack.netfilter.match_state import rate
from netsim.stack.netfilter.matches import compile_rule
from netsim.stack.netfilter.matchspec import (
    ICMP_ANY,
    XT_CONNTRACK_DIRECTION,
    XT_CONNTRACK_EXPIRES,
    XT_CONNTRACK_ORIGSRC,
    XT_CONNTRACK_REPLDST_PORT,
    XT_CONNTRACK_STATE,
    XT_CONNTRACK_STATE_DNAT,
    XT_CONNTRACK_STATE_ESTABLISHED,
    XT_CONNTRACK_STATE_INVALID,
    XT_CONNTRACK_STATE_NEW,
    XT_CONNTRACK_STATE_RELATED,
    XT_CONNTRACK_STATE_UNTRACKED,
    XT_CONNTRACK_STATUS,
    XT_TCP_INV_DSTPT,
    XT_TCP_INV_FLAGS,
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
    MultiportMatch,
    PkttypeMatch,
    StateMatch,
    StatisticMatch,
    TcpMatch,
    TcpmssMatch,
    TosMatch,
    TtlMatch,
    UdpMatch,
)
from netsim.stack.netfilter.rulespec import (
    IPT_INV_FRAG,
    IPT_INV_SRCIP,
    IPT_INV_VIA_IN,
    RuleSpec,
)
from netsim.stack.netfilter.status import (
    IP_CT_ESTABLISHED,
    IP_CT_ESTABLISHED_REPLY,
    IP_CT_NEW,
    IP_CT_RELATED_REPLY,
    IP_CT_UNTRACKED,
    IPS_ASSURED,
    IPS_DST_NAT,
)
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.skb import PACKET_BROADCAST, PACKET_HOST, Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import NS_PER_S, ms, sec
from netsim.wire.icmp import build_query
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import build_options, build_tcp
from netsim.wire.udp import build_udp

SRC, DST = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")
SYSCTL = Sysctl()
INTERFACES = Interfaces(SYSCTL)
ETH0, ETH1 = (INTERFACES.add(name, ETHER, b"\2\0\0\0\0\1", 1500) for name in ("eth0", "eth1"))


def packet(proto, body, **more):
    return Skb(bytearray(build_ipv4(SRC, DST, proto, len(body), **more) + body))


def tcp(flags=0x02, sport=1000, dport=80, options=b"", **more):
    return packet(6, build_tcp(SRC, DST, sport, dport, 1, 0, flags, 1000, options=options), **more)


def udp(sport=1000, dport=53, payload=b"", **more):
    return packet(17, build_udp(SRC, DST, sport, dport, payload), **more)


def icmp(kind=8, **more):
    return packet(1, build_query(kind, 7, 1), **more)


class Routing:
    def address_type(self, ip, dev=None):
        return RTN_LOCAL if ip == DST and dev in (None, ETH0) else RTN_UNICAST


def services(rng):
    """Real ones, with no more behind them than matches ask for."""
    kernel = profile("linux-6")
    return Services(
        node="r", era=kernel.netfilter, patches=kernel.patches, interfaces=INTERFACES, sysctl=SYSCTL, timers=Timers(),
        outbox=Outbox(), rng=rng, routing=Routing(), icmp=None, local_output=None, exit=None, defrag=None,
    )  # fmt: skip


SERVICES = services(Random(3))


def ask(spec, skb, now=0, indev=ETH0, outdev=ETH1):
    match = compile_rule(spec, SERVICES)
    return match is None or match(skb, HookContext(NF_INET_FORWARD, indev, outdev, now, SERVICES))


def matches(match, skb, **more):
    return ask(RuleSpec(matches=(match,)), skb, **more)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RuleSpec(), True),
        (RuleSpec(oif="eth1"), True),
        (RuleSpec(oif="eth0"), False),
        (RuleSpec(iif="eth+"), True),
        (RuleSpec(iif="ppp+"), False),
        (RuleSpec(iif="eth0", invert=IPT_INV_VIA_IN), False),
        (RuleSpec(src=(parse_ip("10.0.0.0"), 0xFF000000), oif="eth1"), True),
        (RuleSpec(src=(SRC, 0xFFFFFFFF), invert=IPT_INV_SRCIP), False),
        (RuleSpec(dst=(parse_ip("0.0.0.2"), 0xFF)), True),
        (RuleSpec(proto=17), True),
        (RuleSpec(proto=6), False),
        (RuleSpec(fragment=True), False),
        (RuleSpec(fragment=True, invert=IPT_INV_FRAG), True),
        (RuleSpec(matches=(CommentMatch(comment="x"),)), True),
        (RuleSpec(proto=17, iif="eth0", oif="eth1", matches=(UdpMatch(), TtlMatch(mode="eq", ttl=64))), True),
    ],
)  # fmt: skip
def test_selectors(spec, expected):
    assert ask(spec, udp()) is expected


def test_a_packet_of_this_box_came_by_no_device():
    assert ask(RuleSpec(iif="eth0", invert=IPT_INV_VIA_IN), udp(), indev=None)
    assert not ask(RuleSpec(iif="eth+"), udp(), indev=None)


@pytest.mark.parametrize(
    ("match", "skb", "expected"),
    [
        (UdpMatch(), udp(), True),
        (UdpMatch(sports=(1000, 1000)), udp(), True),
        (UdpMatch(sports=(0, 999)), udp(), False),
        (UdpMatch(dports=(50, 53)), udp(), True),
        (UdpMatch(dports=(53, 53), invert=XT_TCP_INV_DSTPT), udp(), False),
        (UdpMatch(), udp(frag_off=0x2001), False),
        (TcpMatch(dports=(80, 80)), tcp(), True),
        (TcpMatch(flags_mask=0x17, flags_cmp=0x02), tcp(0x02), True),
        (TcpMatch(flags_mask=0x17, flags_cmp=0x02), tcp(0x12), False),
        (TcpMatch(flags_mask=0x17, flags_cmp=0x02, invert=XT_TCP_INV_FLAGS), tcp(0x12), True),
        (TcpMatch(option=2), tcp(options=build_options(mss=1460)), True),
        (TcpMatch(option=3), tcp(options=build_options(mss=1460)), False),
        (TcpMatch(option=3), tcp(options=b"\x02\xff"), False),
        (MultiportMatch(which="dports", ports=((53, 53), (80, 90))), tcp(dport=85), True),
        (MultiportMatch(which="sports", ports=((80, 90),)), tcp(dport=85), False),
        (MultiportMatch(which="ports", ports=((1000, 1000),)), tcp(), True),
        (MultiportMatch(which="ports", ports=((1000, 1000),), invert=True), tcp(), False),
        (IcmpMatch(type=8), icmp(), True),
        (IcmpMatch(type=8, codes=(1, 1)), icmp(), False),
        (IcmpMatch(type=0, invert=True), icmp(), True),
        (IcmpMatch(type=ICMP_ANY), icmp(), True),
        (IcmpMatch(type=ICMP_ANY), icmp(frag_off=0x2001), False),
        (TtlMatch(mode="lt", ttl=64), udp(), False),
        (TtlMatch(mode="gt", ttl=63), udp(), True),
        (TtlMatch(mode="ne", ttl=64), udp(), False),
        (LengthMatch(length=(28, 28)), udp(), True),
        (LengthMatch(length=(29, 0xFFFF)), udp(), False),
        (LengthMatch(length=(29, 0xFFFF), invert=True), udp(), True),
        (IprangeMatch(src=(SRC, SRC + 5)), udp(), True),
        (IprangeMatch(dst=(DST + 1, DST + 5)), udp(), False),
        (IprangeMatch(src=(SRC, SRC), dst=(DST, DST), invert_dst=True), udp(), False),
        (TosMatch(value=0x10), udp(tos=0x10), True),
        (TosMatch(value=0x10, mask=0x1E), udp(tos=0xB0), True),
        (DscpMatch(dscp=0x2E), udp(tos=0xB8), True),
        (DscpMatch(dscp=0x2E, invert=True), udp(tos=0xB8), False),
        (TcpmssMatch(mss=(1400, 1460)), tcp(options=build_options(mss=1460)), True),
        (TcpmssMatch(mss=(1461, 9000)), tcp(options=build_options(mss=1460)), False),
        (TcpmssMatch(mss=(1, 2), invert=True), tcp(), False),
        (AddrtypeMatch(dst=1 << RTN_LOCAL), udp(), True),
        (AddrtypeMatch(dst=1 << RTN_LOCAL, limit="out"), udp(), False),
        (AddrtypeMatch(src=1 << RTN_LOCAL, invert_src=True), udp(), True),
        (MarkMatch(mark=0), udp(), True),
        (MarkMatch(mark=0, conn=True), udp(), False),
        (HelperMatch(helper="ftp"), udp(), False),
        (HelperMatch(helper="ftp", invert=True), udp(), True),
        (MacMatch(mac=b"\2\0\0\0\0\1"), udp(), False),
        (MacMatch(mac=b"\2\0\0\0\0\1", invert=True), udp(), False),
        (PkttypeMatch(pkt_type=PACKET_HOST), udp(), True),
        (PkttypeMatch(pkt_type=PACKET_BROADCAST, invert=True), udp(), True),
    ],
)  # fmt: skip
def test_a_match_says(match, skb, expected):
    assert matches(match, skb) is expected


def test_mac_looks_at_the_sender():
    skb = udp()
    skb.src_mac = b"\2\0\0\0\0\1"
    assert matches(MacMatch(mac=b"\2\0\0\0\0\1"), skb)
    assert matches(MacMatch(mac=b"\2\0\0\0\0\2", invert=True), skb)


# What is remembered


@pytest.mark.parametrize(
    ("avg", "expected"),
    [(2000, (5, 1)), (60_000, (10, 60)), (12_000_000, (3, 3600)), (5000, (2, 1)), (864_000_000, (1, 86_400)),
     (85_714, (7, 60)), (1, (10_000, 1))],
)  # fmt: skip
def test_rates_load_as_the_tool_prints_them(avg, expected):
    """5/sec, 10/min, 3/hour, 120/m = 2/sec, 1/day, 7/min, 9999/s = 10000/sec. Source: the recorded listings."""
    assert rate(avg) == expected


def test_limit_lets_a_burst_through_and_then_its_rate():
    match = compile_rule(RuleSpec(matches=(LimitMatch(avg=2000, burst=5),)), SERVICES)

    def sent(now):
        return match(udp(), HookContext(NF_INET_FORWARD, ETH0, ETH1, now, SERVICES))

    assert [sent(0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [sent(ms(199)), sent(ms(200)), sent(ms(201))] == [False, True, False]
    assert [sent(sec(100)) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(("packet_number", "expected"), [(0, [1, 0, 0, 1, 0, 0]), (2, [0, 0, 1, 0, 0, 1])])
def test_nth_counts_from_the_packet_it_was_told(packet_number, expected):
    """`--every 3 --packet p` takes the packet numbered p, from 0. Source: xt_statistic.c, libxt_statistic.c."""
    match = compile_rule(RuleSpec(matches=(StatisticMatch(every=3, packet=packet_number),)), SERVICES)
    ctx = HookContext(NF_INET_FORWARD, ETH0, ETH1, 0, SERVICES)
    assert expected == [match(udp(), ctx) for _ in range(6)]


def test_random_takes_its_share_and_repeats_with_its_seed():
    def draws():
        around = services(Random(7))
        match = compile_rule(RuleSpec(matches=(StatisticMatch(probability=0x80000000 // 4),)), around)
        ctx = HookContext(NF_INET_FORWARD, ETH0, ETH1, 0, around)
        return [match(udp(), ctx) for _ in range(2000)]

    first = draws()
    assert 430 < sum(first) < 570
    assert first == draws()
    assert not matches(StatisticMatch(probability=0), udp())


# Connections


def tracked(ctinfo, status=0, **more):
    ct = Conntrack(CtTuple(SRC, 1000, DST, 53, 17), CtTuple(DST, 53, parse_ip("1.2.3.4"), 2000, 17))
    ct.status = status
    for name, value in more.items():
        setattr(ct, name, value)
    skb = udp()
    skb.ct, skb.ctinfo = ct, ctinfo
    return skb


asked = ConntrackMatch


def untracked(ctinfo):
    skb = udp()
    skb.ctinfo = ctinfo
    return skb


STATES = {
    "NEW": tracked(IP_CT_NEW),
    "ESTABLISHED": tracked(IP_CT_ESTABLISHED),
    "reply": tracked(IP_CT_ESTABLISHED_REPLY),
    "RELATED": tracked(IP_CT_RELATED_REPLY),
    "INVALID": untracked(0),
    "UNTRACKED": untracked(IP_CT_UNTRACKED),
}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (XT_CONNTRACK_STATE_NEW, {"NEW"}),
        (XT_CONNTRACK_STATE_ESTABLISHED, {"ESTABLISHED", "reply"}),
        (XT_CONNTRACK_STATE_RELATED, {"RELATED"}),
        (XT_CONNTRACK_STATE_INVALID, {"INVALID"}),
        (XT_CONNTRACK_STATE_UNTRACKED, {"UNTRACKED"}),
        (XT_CONNTRACK_STATE_NEW | XT_CONNTRACK_STATE_INVALID, {"NEW", "INVALID"}),
    ],
)
def test_states(states, expected):
    for match in (StateMatch(states=states), asked(match=XT_CONNTRACK_STATE, states=states)):
        assert expected == {name for name, skb in STATES.items() if matches(match, skb)}
    inverted = asked(match=XT_CONNTRACK_STATE, invert=XT_CONNTRACK_STATE, states=states)
    assert set(STATES) - expected == {name for name, skb in STATES.items() if matches(inverted, skb)}


@pytest.mark.parametrize(
    ("match", "skb", "expected"),
    [
        (asked(match=XT_CONNTRACK_STATE, states=XT_CONNTRACK_STATE_DNAT), tracked(IP_CT_NEW, IPS_DST_NAT), True),
        (asked(match=XT_CONNTRACK_STATE, states=XT_CONNTRACK_STATE_DNAT), tracked(IP_CT_NEW), False),
        (asked(match=XT_CONNTRACK_STATUS, status=IPS_ASSURED), tracked(IP_CT_NEW, IPS_ASSURED), True),
        (asked(match=XT_CONNTRACK_STATUS, status=IPS_ASSURED), untracked(0), False),
        (asked(match=XT_CONNTRACK_STATUS, status=0), tracked(IP_CT_NEW), False),
        (asked(match=XT_CONNTRACK_DIRECTION), tracked(IP_CT_NEW), True),
        (asked(match=XT_CONNTRACK_DIRECTION), tracked(IP_CT_ESTABLISHED_REPLY), False),
        (asked(match=XT_CONNTRACK_DIRECTION, invert=XT_CONNTRACK_DIRECTION), tracked(IP_CT_RELATED_REPLY), True),
        (asked(match=XT_CONNTRACK_ORIGSRC, origsrc=(SRC, 0xFFFFFF00)), tracked(IP_CT_NEW), True),
        (asked(match=XT_CONNTRACK_REPLDST_PORT, repldst_port=(2000, 2001)), tracked(IP_CT_NEW), True),
        (asked(match=XT_CONNTRACK_EXPIRES, expire=(9, 9)), tracked(IP_CT_NEW, timeout=10 * NS_PER_S - 1), True),
        (asked(match=XT_CONNTRACK_EXPIRES, expire=(10, 20)), tracked(IP_CT_NEW, timeout=10 * NS_PER_S - 1), False),
        (MarkMatch(mark=5, mask=7, conn=True), tracked(IP_CT_NEW, mark=0x15), True),
        (MarkMatch(mark=5, conn=True), tracked(IP_CT_NEW, mark=0x15), False),
    ],
)  # fmt: skip
def test_what_conntrack_knows(match, skb, expected):
    assert matches(match, skb) is expected
