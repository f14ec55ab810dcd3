"""Each match at its edges: the last octet that must be there, both ends of each range, both sides of each "!".

Source: net/netfilter/xt_tcpudp.c, xt_multiport.c, xt_conntrack.c, xt_iprange.c, xt_tcpmss.c, xt_addrtype.c,
xt_statistic.c; net/ipv4/netfilter/ip_tables.c ip_packet_match(); nft_limit.c (6.x); net/ipv4/ip_fw.c (2.2).
"""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.hooks import HookContext, Services
from netsim.stack.netfilter.match_state import rate
from netsim.stack.netfilter.matches import compile_rule
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    ConntrackMatch,
    HelperMatch,
    IcmpMatch,
    IprangeMatch,
    LengthMatch,
    LimitMatch,
    MarkMatch,
    MultiportMatch,
    PkttypeMatch,
    StatisticMatch,
    TcpMatch,
    TcpmssMatch,
    TtlMatch,
    UdpMatch,
    ViaMatch,
)
from netsim.stack.netfilter.rulespec import RuleSpec
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import build_tcp

S = 1_000_000_000
SRC, DST = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")
SYSCTL = Sysctl()
INTERFACES = Interfaces(SYSCTL)
ETH0, ETH1 = (INTERFACES.add(name, ETHER, b"\2\0\0\0\0\1", 1500) for name in ("eth0", "eth1"))
SRCPT, DSTPT, FLAGS, OPTION = 1, 2, 4, 8
VIA_IN, VIA_OUT, SRCIP, DSTIP, FRAG, PROTO = 1, 2, 8, 16, 32, 64


class Routing:
    """Says that DST is ours, on eth0."""

    def address_type(self, ip, dev=None):
        return RTN_LOCAL if ip == DST and dev in (None, ETH0) else RTN_UNICAST


class Dice:
    """Draws what it is told."""

    def __init__(self, draw):
        self.draw = draw

    def getrandbits(self, k):
        assert k == 31
        return self.draw


def services(rng):
    kernel = profile("linux-6")
    return Services(
        node="r", era=kernel.netfilter, patches=kernel.patches, interfaces=INTERFACES, sysctl=SYSCTL, timers=Timers(),
        outbox=Outbox(), rng=rng, routing=Routing(), icmp=None, local_output=None, exit=None, defrag=None,
    )  # fmt: skip


def packet(proto, body, **more):
    return Skb(bytearray(build_ipv4(SRC, DST, proto, len(body), **more) + body))


def tcp(flags=0x02, options=b"", keep=99, **more):
    return packet(6, build_tcp(SRC, DST, 1000, 80, 1, 0, flags, 1000, b"", options)[:keep], **more)


def udp(keep=8, frag_off=0, **more):
    return packet(17, b"\x03\xe8\x00\x35\x00\x08\x00\x00"[:keep], frag_off=frag_off, **more)


def doff(words, options):
    """Return a SYN whose header says it has so many words."""
    skb = tcp(options=options)
    skb.data[32] = words << 4
    return skb


def says(spec, skb, now=0, indev=ETH0, outdev=ETH1, hook=2, rng=None):
    spec = spec if isinstance(spec, RuleSpec) else RuleSpec(matches=(spec,))
    around = services(rng or Random(1))
    match = compile_rule(spec, around)
    return match is None or match(skb, HookContext(hook, indev, outdev, now, around))


ALL, HOST = 0xFFFFFFFF, (SRC, 0xFFFFFFFF)
SELECTED = [
    (RuleSpec(oif="eth1", invert=VIA_OUT), udp(), False), (RuleSpec(oif="eth0", invert=VIA_OUT), udp(), True),
    (RuleSpec(oif="eth+"), udp(), True), (RuleSpec(oif="eth+", invert=VIA_OUT), udp(), False),
    (RuleSpec(oif="ppp+"), udp(), False), (RuleSpec(oif="ppp+", invert=VIA_OUT), udp(), True),
    (RuleSpec(iif="eth+", invert=VIA_IN), udp(), False), (RuleSpec(iif="eth0"), udp(), True),
    (RuleSpec(iif="eth1"), udp(), False), (RuleSpec(oif="eth1", invert=VIA_IN), udp(), True),
    (RuleSpec(iif="eth0", invert=VIA_OUT), udp(), True), (RuleSpec(proto=17, invert=PROTO), udp(), False),
    (RuleSpec(proto=6, invert=PROTO), udp(), True), (RuleSpec(proto=17, invert=SRCIP), udp(), True),
    (RuleSpec(src=HOST), udp(), True), (RuleSpec(src=(SRC + 1, ALL)), udp(), False),
    (RuleSpec(src=(SRC + 1, ALL), invert=SRCIP), udp(), True), (RuleSpec(src=HOST, invert=DSTIP), udp(), True),
    (RuleSpec(src=(SRC | 0xFF, 0xFFFFFF00)), udp(), True), (RuleSpec(dst=(DST | 0xFF, 0xFFFFFF00)), udp(), True),
    (RuleSpec(dst=(DST, ALL), invert=DSTIP), udp(), False), (RuleSpec(dst=(SRC, ALL), invert=DSTIP), udp(), True),
    (RuleSpec(dst=(SRC, ALL)), udp(), False), (RuleSpec(dst=(DST, ALL), invert=SRCIP), udp(), True),
    (RuleSpec(fragment=True), udp(frag_off=1), True), (RuleSpec(fragment=True), udp(frag_off=0x2000), False),
    (RuleSpec(fragment=True, invert=FRAG), udp(frag_off=1), False),
    (RuleSpec(fragment=True, invert=PROTO), udp(), False),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(SELECTED)))
def test_a_selector_and_its_inversion(at):
    """ip_packet_match(): each has a bit of its own in invflags."""
    spec, skb, answer = SELECTED[at]
    assert says(spec, skb) is answer


def around(value):
    """Return ranges that end at a value or beside it, and whether they hold it."""
    return (
        ((value, value), True), ((value - 1, value), True), ((value, value + 1), True), ((value + 1, value + 2), False),
        ((0, value - 1), False),
    )  # fmt: skip


PORTS = [
    (UdpMatch(), udp(keep=7), False), (UdpMatch(), udp(keep=8), True), (UdpMatch(), udp(frag_off=1), False),
    (UdpMatch(), udp(frag_off=0x100), False), (UdpMatch(), udp(frag_off=0x2000), True),
    (UdpMatch(), udp(frag_off=0x4000), True),
    (UdpMatch(), udp(keep=7, options=b"\1\1\1\1"), False), (UdpMatch(), udp(options=b"\1\1\1\1"), True),
    (UdpMatch(sports=(1001, 1001)), udp(options=b"\1\1\1\1"), False), (TcpMatch(), tcp(keep=19), False),
    (TcpMatch(), tcp(keep=20), True), (TcpMatch(flags_mask=2, flags_cmp=2), tcp(keep=19), False),
    *[
        (UdpMatch(sports=ends, invert=invert), udp(), answer is not bool(invert))
        for ends, answer in around(1000)
        for invert in (0, SRCPT)
    ],
    *[
        (UdpMatch(dports=ends, invert=invert), udp(), answer is not bool(invert))
        for ends, answer in around(53)
        for invert in (0, DSTPT)
    ],
    (UdpMatch(invert=SRCPT), udp(), False), (UdpMatch(invert=DSTPT), udp(), False),
    (UdpMatch(sports=(1, 9), dports=(53, 53), invert=SRCPT), udp(), True),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(PORTS)))
def test_ports_of_a_whole_header(at):
    """tcp_mt(), udp_mt(): never of a later fragment, never of a header cut off."""
    spec, skb, answer = PORTS[at]
    assert says(spec, skb) is answer


MSS, NOPS = b"\2\4\5\xb4", b"\1\1\1\1"
SEGMENTS = [
    (TcpMatch(flags_mask=0x12, flags_cmp=0x02), tcp(0x12), False),
    (TcpMatch(flags_mask=0x12, flags_cmp=0x02), tcp(0x06), True),
    (TcpMatch(flags_mask=0x12, flags_cmp=0x02, invert=FLAGS), tcp(0x02), False),
    (TcpMatch(flags_mask=0x12, flags_cmp=0x02, invert=FLAGS), tcp(0x12), True),
    (TcpMatch(invert=FLAGS), tcp(), False),
    (TcpMatch(flags_mask=2, flags_cmp=2, dports=(1, 9)), tcp(), False),
    (TcpMatch(option=2), tcp(options=MSS), True), (TcpMatch(option=2, invert=OPTION), tcp(options=MSS), False),
    (TcpMatch(option=3), tcp(options=MSS), False), (TcpMatch(option=3, invert=OPTION), tcp(options=MSS), True),
    (TcpMatch(option=2), tcp(), False), (TcpMatch(option=2), tcp(options=NOPS + MSS), True),
    (TcpMatch(option=3), tcp(options=MSS + b"\3\3\7\1"), True), (TcpMatch(option=1), tcp(options=NOPS), True),
    (TcpMatch(option=8), tcp(options=b"\1\1\x08\x0a" + bytes(8)), True),
    # an end of list is passed over like a no-operation, a length of nothing like one of one octet
    (TcpMatch(option=2), tcp(options=b"\0\0\0\0" + MSS), True),
    (TcpMatch(option=2), tcp(options=b"\x05\0\1\1" + MSS), True),
    (TcpMatch(option=5), tcp(options=b"\x04\x02\x05\x02"), True),
    (TcpMatch(option=5), tcp(options=b"\x04\x03\x05\x01"), False),
    (TcpMatch(option=9), tcp(options=b"\1\1\1\x09"), True),
    (TcpMatch(option=9), tcp(options=b"\1\1\x07\xff" + b"\x09\2\1\1"), False),
    (TcpMatch(option=4), tcp(options=MSS), False), (TcpMatch(option=7), tcp(options=b"\1\1\x05\x07"), False),
    (TcpMatch(option=2), doff(7, MSS), False), (TcpMatch(option=2, invert=OPTION), doff(7, MSS), True),
    (TcpMatch(option=2), doff(6, MSS), True), (TcpMatch(option=2), doff(5, MSS), False),
    (TcpMatch(option=2, flags_mask=2, flags_cmp=0), tcp(options=MSS), False),
    (TcpmssMatch(mss=(1460, 1460)), tcp(options=MSS), True), (TcpmssMatch(mss=(1461, 1470)), tcp(options=MSS), False),
    (TcpmssMatch(mss=(1400, 1459)), tcp(options=MSS), False),
    (TcpmssMatch(mss=(1400, 1459), invert=True), tcp(options=MSS), True),
    (TcpmssMatch(mss=(0, 9999)), tcp(), False), (TcpmssMatch(mss=(0, 9999), invert=True), tcp(), False),
    (TcpmssMatch(mss=(0, 9999)), tcp(options=MSS, frag_off=1), False),
    (TcpmssMatch(mss=(0, 9999)), tcp(keep=19), False),
    (TcpmssMatch(mss=(0, 9999)), doff(7, MSS), False), (TcpmssMatch(mss=(0, 9999), invert=True), doff(7, MSS), False),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(SEGMENTS)))
def test_flags_and_options(at):
    """tcp_mt(), tcp_find_option(); tcpmss_mt(): without the option, dropped matches nothing, inverted or not."""
    spec, skb, answer = SEGMENTS[at]
    assert says(spec, skb) is answer


def icmp(kind=3, code=1, keep=8, **more):
    return packet(1, bytes([kind, code, 0, 0, 0, 0, 0, 0])[:keep], **more)


def multi(which, *ports, invert=False):
    return MultiportMatch(which=which, ports=ports, invert=invert)


OTHERS = [
    (IcmpMatch(type=3), icmp(), True), (IcmpMatch(type=3), icmp(keep=2), True),
    (IcmpMatch(type=3), icmp(keep=1), False),
    (IcmpMatch(type=255), icmp(keep=1), False), (IcmpMatch(type=3), icmp(frag_off=1), False),
    (IcmpMatch(type=3, codes=(1, 1)), icmp(), True), (IcmpMatch(type=3, codes=(0, 1)), icmp(), True),
    (IcmpMatch(type=3, codes=(2, 3)), icmp(), False), (IcmpMatch(type=3, codes=(0, 0)), icmp(), False),
    (IcmpMatch(type=3, codes=(0, 0), invert=True), icmp(), True), (IcmpMatch(type=3, invert=True), icmp(), False),
    (IcmpMatch(type=255, codes=(9, 9)), icmp(), True), (IcmpMatch(type=255, invert=True), icmp(), False),
    (IcmpMatch(type=3), icmp(options=NOPS), True),
    (multi("sports", (1000, 1000)), udp(), True), (multi("sports", (53, 53)), udp(), False),
    (multi("dports", (1000, 1000)), udp(), False), (multi("dports", (53, 53)), udp(), True),
    (multi("ports", (53, 53)), udp(), True), (multi("ports", (1000, 1000)), udp(), True),
    (multi("ports", (1, 52), (54, 999), (1001, 9999)), udp(), False), (multi("dports", (1, 9), (53, 60)), udp(), True),
    (multi("dports", (1, 52), invert=True), udp(), True), (multi("sports", (999, 1000)), udp(), True),
    (multi("sports", (1000, 1001)), udp(), True), (multi("dports", (52, 53)), udp(), True),
    (multi("dports", (53, 53)), udp(keep=4), True), (multi("dports", (53, 53)), udp(keep=3), False),
    (multi("dports", (1, 2), invert=True), udp(keep=3), False),
    (multi("dports", (1, 2), invert=True), udp(frag_off=1), False),
    *[
        (TtlMatch(mode=mode, ttl=ttl), udp(ttl=64), answer)
        for mode, answers in (("eq", (0, 1, 0)), ("ne", (1, 0, 1)), ("lt", (0, 0, 1)), ("gt", (1, 0, 0)))
        for ttl, answer in zip((63, 64, 65), map(bool, answers), strict=True)
    ],
    (LengthMatch(length=(28, 99)), udp(), True), (LengthMatch(length=(1, 28)), udp(), True),
    (LengthMatch(length=(1, 27)), udp(), False), (LengthMatch(length=(1, 27), invert=True), udp(), True),
    *[
        (IprangeMatch(src=ends, invert_src=invert), udp(), answer is not invert)
        for ends, answer in around(SRC)
        for invert in (False, True)
    ],
    *[
        (IprangeMatch(dst=ends, invert_dst=invert), udp(), answer is not invert)
        for ends, answer in around(DST)
        for invert in (False, True)
    ],
    (IprangeMatch(src=(0, 1), dst=(DST, DST)), udp(), False), (IprangeMatch(src=(SRC, SRC), dst=(0, 1)), udp(), False),
    (AddrtypeMatch(src=1 << 1), udp(), True), (AddrtypeMatch(src=1 << 2), udp(), False),
    (AddrtypeMatch(dst=1 << 2), udp(), True),
    (AddrtypeMatch(src=1 << 2, invert_src=True), udp(), True),
    (AddrtypeMatch(src=1 << 1, invert_src=True), udp(), False),
    (AddrtypeMatch(dst=1 << 2, invert_dst=True), udp(), False),
    (AddrtypeMatch(dst=1 << 1, invert_dst=True), udp(), True),
    (AddrtypeMatch(src=1 << 1, dst=1 << 1), udp(), False), (AddrtypeMatch(src=1 << 2, dst=1 << 2), udp(), False),
    (AddrtypeMatch(dst=1 << 2, limit="in"), udp(), True), (AddrtypeMatch(dst=1 << 2, limit="out"), udp(), False),
    (AddrtypeMatch(dst=0b110), udp(), True),
    (PkttypeMatch(pkt_type=1), udp(), False), (PkttypeMatch(pkt_type=0), udp(), True),
    (HelperMatch(helper=""), udp(), False), (HelperMatch(helper="", invert=True), udp(), True),
    (MarkMatch(mark=0, conn=True, invert=True), udp(), False), (MarkMatch(mark=1, invert=True), udp(), True),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(OTHERS)))
def test_ends_of_ranges_and_short_packets(at):
    spec, skb, answer = OTHERS[at]
    assert says(spec, skb) is answer


def test_a_broadcast_of_this_box_counts_as_unicast():
    """pkttype_mt(): a packet without an incoming device is to be told by its address, and nobody asks for that here."""
    skb = udp()
    skb.pkt_type = 1
    assert says(PkttypeMatch(pkt_type=1), skb)
    assert not says(PkttypeMatch(pkt_type=1), skb, indev=None)
    assert says(PkttypeMatch(pkt_type=0), skb, indev=None)


@pytest.mark.parametrize(
    ("name", "invert", "hook", "indev", "answer"),
    [
        ("eth0", False, 0, ETH0, True), ("eth1", False, 0, ETH0, False), ("eth1", False, 2, ETH0, True),
        ("eth0", False, 4, ETH0, False), ("eth+", False, 0, ETH0, True), ("ppp+", False, 0, ETH0, False),
        ("eth0", True, 0, ETH0, False), ("ppp+", True, 0, ETH0, True), ("eth0", False, 0, None, False),
        ("eth0", True, 0, None, True),
    ],
)  # fmt: skip
def test_ipchains_asks_for_the_device_that_its_chain_looks_at(name, invert, hook, indev, answer):
    """ip_rule_match(): the way in in `input`, the way out in `forward` and `output`."""
    assert says(ViaMatch(name=name, invert=invert), udp(), hook=hook, indev=indev) is answer


# Connections

FIELDS = {  # the kernel's bit, what is asked, an answer that fits, two that do not
    0x0002: ("proto", 17, 6, 0), 0x0004: ("origsrc", (SRC, ALL), (SRC + 1, ALL), (SRC, 0)),
    0x0008: ("origdst", (DST, ALL), (DST + 1, ALL), (DST, 0)), 0x0010: ("replsrc", (DST + 7, ALL), (DST, ALL), (0, 0)),
    0x0020: ("repldst", (SRC + 7, ALL), (SRC, ALL), (0, 0)),
    0x0100: ("origsrc_port", (1000, 1000), (1001, 1002), (1, 999)),
    0x0200: ("origdst_port", (53, 53), (54, 55), (1, 52)), 0x0400: ("replsrc_port", (54, 54), (53, 53), (55, 60)),
    0x0800: ("repldst_port", (2000, 2000), (1000, 1000), (2001, 2002)), 0x0040: ("status", 0x8, 0x4, 0),
    0x0080: ("expire", (9, 9), (10, 11), (0, 8)),
}  # fmt: skip


def tracked(ctinfo=0, status=0x8):
    ct = Conntrack(CtTuple(SRC, 1000, DST, 53, 17), CtTuple(DST + 7, 54, SRC + 7, 2000, 17))
    ct.status, ct.timeout = status, 10 * S - 1
    skb = udp()
    skb.ct, skb.ctinfo = ct, ctinfo
    return skb


@pytest.mark.parametrize("bit", FIELDS)
def test_each_part_of_a_connection_is_asked_by_its_own_bit(bit):
    """conntrack_mt(): a part that is not asked for does not count, whatever it holds."""
    name, fits, fails, other = FIELDS[bit]
    skb = tracked()
    assert says(ConntrackMatch(match=bit, **{name: fits}), skb)
    assert not says(ConntrackMatch(match=bit, **{name: fails}), skb)
    assert not says(ConntrackMatch(match=bit, invert=bit, **{name: fits}), skb)
    assert says(ConntrackMatch(match=bit, invert=bit, **{name: fails}), skb)
    assert says(ConntrackMatch(match=0, **{name: fails}), skb)
    others = {each: value for each, value, _, _ in FIELDS.values()} | {name: fails}
    assert says(ConntrackMatch(match=0x0FFE & ~bit, **others), skb)
    assert not says(ConntrackMatch(match=bit, **{name: fits}), udp())
    if isinstance(other, tuple) and other[1]:
        assert not says(ConntrackMatch(match=bit, **{name: other}), skb)


@pytest.mark.parametrize(("name", "answer"), [("ftp", True), ("", True), ("sip", False)])
def test_a_helper_is_that_of_the_connection_that_announced_this_one(name, answer):
    """helper_mt(): master, and the master's helper."""
    skb = tracked()
    skb.ct.master = Conntrack(CtTuple(1, 2, 3, 4, 6), CtTuple(3, 4, 1, 2, 6))
    assert not says(HelperMatch(helper=name), skb)
    skb.ct.master.helper = SimpleNamespace(name="ftp")
    assert says(HelperMatch(helper=name), skb) is answer
    assert says(HelperMatch(helper=name, invert=True), skb) is not answer


@pytest.mark.parametrize(("now", "seconds"), [(0, 9), (10 * S - 1, 0), (10 * S, 0), (99 * S, 0), (9 * S - 1, 1)])
def test_what_is_left_of_a_life_counts_in_whole_seconds(now, seconds):
    assert says(ConntrackMatch(match=0x80, expire=(seconds, seconds)), tracked(), now=now)


@pytest.mark.parametrize(
    ("states", "invert", "status", "ctinfo", "answer"),
    [
        (0x40, 0, 0x10, 2, True), (0x40, 0, 0x20, 2, False), (0x80, 0, 0x20, 2, True), (0x80, 0, 0x10, 2, False),
        (0x40, 1, 0x10, 2, False), (0x40, 1, 0x20, 2, True), (0x48, 0, 0, 2, True), (0x42, 0, 0, 2, False),
        (0xC0, 0, 0, 2, False), (0x44, 0, 0, 4, True), (0x42, 0, 0, 3, True),
    ],
)  # fmt: skip
def test_the_virtual_states_snat_and_dnat(states, invert, status, ctinfo, answer):
    assert says(ConntrackMatch(match=1, invert=invert, states=states), tracked(ctinfo, status)) is answer


def test_a_packet_without_connection_can_match_by_state_alone():
    assert says(ConntrackMatch(match=0x41, states=0x41, status=0x8), udp())
    assert not says(ConntrackMatch(match=0x41, states=0x48, status=0x8), udp())
    assert not says(ConntrackMatch(match=0x41, states=0x48, status=0x4), tracked(2))
    assert says(ConntrackMatch(match=0x41, states=0x48, status=0x8), tracked(2))


@pytest.mark.parametrize(
    ("mark", "mask", "answer"), [(5, ALL, True), (4, ALL, False), (1, 3, True), (0, 2, True), (1, 2, False)]
)
def test_marks_are_compared_under_a_mask(mark, mask, answer):
    skb = tracked()
    skb.mark = skb.ct.mark = 5
    for conn in (False, True):
        assert says(MarkMatch(mark=mark, mask=mask, conn=conn), skb) is answer
        assert says(MarkMatch(mark=mark, mask=mask, conn=conn, invert=True), skb) is not answer


# Rates and chances


@pytest.mark.parametrize(
    ("avg", "loaded"),
    [
        (10_000, (1, 1)), (3_333, (3, 1)), (5_000, (2, 1)), (600_000, (1, 60)), (200_000, (3, 60)),
        (36_000_000, (1, 3_600)), (864_000_000, (1, 86_400)), (432_000_000, (2, 86_400)), (10_001, (86_391, 86_400)),
    ],
)  # fmt: skip
def test_a_rate_is_loaded_as_the_tool_prints_it(avg, loaded):
    """print_rate(), libxt_limit.c, by which iptables 1.8.9 turns an old rate into nft's."""
    assert rate(avg) == loaded


def test_a_bucket_starts_full_and_fills_no_further():
    """nft_limit_eval(): tokens in nanoseconds; a burst of nothing is five."""
    for burst, first in ((0, 5), (1, 1), (3, 3)):
        around = services(Random(1))
        match = compile_rule(RuleSpec(matches=(LimitMatch(avg=10_000, burst=burst),)), around)
        sent = [
            [match(udp(), HookContext(2, ETH0, ETH1, now, around)) for _ in range(7)]
            for now in (0, S - 1, S, 2 * S, 900 * S)
        ]
        assert [sum(each) for each in sent] == [first, 0, 1, 1, first]
        assert sent[0] == [True] * first + [False] * (7 - first)


@pytest.mark.parametrize(("draw", "answer"), [(0, True), (99, True), (100, False), (101, False), (0x7FFFFFFF, False)])
def test_chance_is_a_share_of_two_to_the_thirty_first(draw, answer):
    """statistic_mt(): (get_random_u32() & 0x7FFFFFFF) < probability."""
    assert says(StatisticMatch(probability=100), udp(), rng=Dice(draw)) is answer
    assert says(StatisticMatch(probability=100, invert=True), udp(), rng=Dice(draw)) is not answer


@pytest.mark.parametrize(
    ("every", "number", "taken"),
    [(1, 0, "1111111"), (2, 0, "1010101"), (2, 1, "0101010"), (3, 1, "0100100"), (4, 3, "0001000")],
)
def test_the_nth_packet_is_counted_by_each_rule(every, number, taken):
    for invert in (False, True):
        around = services(Random(1))
        spec = RuleSpec(matches=(StatisticMatch(every=every, packet=number, invert=invert),))
        match = compile_rule(spec, around)
        seen = [match(udp(), HookContext(2, ETH0, ETH1, 0, around)) is not invert for _ in taken]
        assert seen == [each == "1" for each in taken]
