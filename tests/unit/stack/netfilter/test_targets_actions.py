"""What targets do to packets: marks, TTL, TOS, MSS, tracking, answers."""

from types import SimpleNamespace

import pytest

from netsim.addr import parse_ip
from netsim.stack.dst import RTCF_BROADCAST, RTN_LOCAL, RTN_UNICAST, Route
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.hooks import NF_DROP, NF_INET_FORWARD, HookContext
from netsim.stack.netfilter.rulespec import (
    ConnmarkTarget,
    CtTarget,
    DscpTarget,
    MarkTarget,
    RejectTarget,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
)
from netsim.stack.netfilter.status import IP_CT_UNTRACKED
from netsim.stack.netfilter.targets import compile_target
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.netfilter.verdicts import XT_CONTINUE
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import IP_DF, build_ipv4
from netsim.wire.tcp import build_options, build_tcp, option_octets, parse_options, parse_tcp
from netsim.wire.udp import build_udp
from netsim.wire.verify import verify

SRC, DST = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")


class Collaborators:
    """Routing that knows every address, and whoever sends, noting what."""

    def __init__(self, mtu=1500):
        self.dev = SimpleNamespace(name="eth1", mtu=mtu)
        self.sent = []
        self.attached = []
        self.services = SimpleNamespace(
            routing=self, icmp=SimpleNamespace(send=self._icmp), local_output=SimpleNamespace(send=self._send),
            conntrack=SimpleNamespace(attach=lambda new, old: self.attached.append((new, old)), set_mark=self._mark),
        )  # fmt: skip

    def output(self, daddr, *, now, saddr=0, **more):
        self.asked = (daddr, saddr)
        return Route(RTN_UNICAST, self.dev, 0, DST, 0, 0)

    def address_type(self, ip, dev=None):
        return RTN_LOCAL if ip == DST else RTN_UNICAST

    def _icmp(self, skb, kind, code, *, now, info=0):
        self.sent.append((kind, code))

    def _send(self, skb, *, now):
        self.sent.append(skb)

    def _mark(self, ct, mark):
        ct.mark = mark

    def act(self, target, skb, now=0):
        ctx = HookContext(NF_INET_FORWARD, None, None, now, self.services)
        return compile_target(target, self.services)(skb, ctx)


@pytest.fixture
def box():
    return Collaborators()


def tcp(flags=0x02, options=b"", payload=b"", seq=100, ack=0, **more):
    body = build_tcp(SRC, DST, 1000, 80, seq, ack, flags, 1000, payload, options)
    return Skb(bytearray(build_ipv4(SRC, DST, 6, len(body), **more) + body), uid=9)


def udp(**more):
    body = build_udp(SRC, DST, 1, 2, b"hello")
    return Skb(bytearray(build_ipv4(SRC, DST, 17, len(body), **more) + body))


def tracked(mark=0):
    skb = udp()
    skb.ct = Conntrack(CtTuple(SRC, 1, DST, 2, 17), CtTuple(DST, 2, SRC, 1, 17))
    skb.ct.mark = mark
    return skb


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [
        (MarkTarget(mark=1), 0xFF, 1),
        (MarkTarget(mark=0x1, mask=0xF), 0xFF, 0xF1),
        (MarkTarget(mark=0, mask=0xFFFFFF0F), 0xFF, 0xF0),
        (MarkTarget(mark=4, mask=4), 0x3, 0x7),
        (MarkTarget(mark=5, mask=0), 0x3, 0x6),
    ],
    ids=["set", "set with mask", "and 0xf0", "or 4", "xor 5"],
)
def test_mark(box, target, before, after):
    skb = udp()
    skb.mark = before
    assert box.act(target, skb) == XT_CONTINUE
    assert skb.mark == after


def test_connmark_sets_saves_and_restores(box):
    skb = tracked(mark=0xF0)
    box.act(ConnmarkTarget(mode="set", ctmark=0x1, ctmask=0xF), skb)
    assert skb.ct.mark == 0xF1
    skb.mark = 0xABCD
    box.act(ConnmarkTarget(mode="save", nfmask=0xFF, ctmask=0xFF), skb)
    assert skb.ct.mark == 0xCD
    skb.mark = 0x1100
    box.act(ConnmarkTarget(mode="restore", nfmask=0xFF, ctmask=0xFF), skb)
    assert skb.mark == 0x11CD
    assert box.act(ConnmarkTarget(mode="save"), udp()) == XT_CONTINUE, "no connection: nothing to do"


@pytest.mark.parametrize(
    ("target", "expected"),
    [(TtlTarget("set", 5), 5), (TtlTarget("dec", 1), 63), (TtlTarget("dec", 99), 0), (TtlTarget("inc", 250), 255)],
)
def test_ttl(box, target, expected):
    skb = udp()
    assert box.act(target, skb) == XT_CONTINUE
    assert (skb.ttl, verify(skb.data)) == (expected, "")


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [(TosTarget(0x10, 0xFF), 0x08, 0x10), (TosTarget(0x10, 0x3F), 0xC3, 0xD0), (TosTarget(0x10, 0), 0x18, 0x08),
     (DscpTarget(0x2E), 0x03, 0xBB)],
)  # fmt: skip
def test_tos_and_dscp(box, target, before, after):
    skb = udp(tos=before)
    box.act(target, skb)
    assert (skb.tos, skb.data[1], verify(skb.data)) == (after, after, "")


# TCPMSS


def mss(skb):
    return parse_options(option_octets(skb.data, skb.ihl)).mss


@pytest.mark.parametrize(
    ("target", "given", "expected"),
    [(TcpmssTarget(1400), 1460, 1400), (TcpmssTarget(1400), 1300, 1300), (TcpmssTarget(None), 1460, 1360)],
    ids=["lowered", "never increased", "clamped to the smaller MTU"],
)
def test_mss_is_only_lowered(target, given, expected):
    box = Collaborators(mtu=1400)
    skb = tcp(options=build_options(mss=given, sack_permitted=True, wscale=7))
    assert box.act(target, skb) == XT_CONTINUE
    assert (mss(skb), verify(skb.data)) == (expected, "")


def test_a_missing_mss_is_added_before_the_other_options_and_never_above_536(box):
    skb = tcp(options=build_options(wscale=7))
    before = len(skb.data)
    box.act(TcpmssTarget(1400), skb)
    assert (mss(skb), len(skb.data), verify(skb.data)) == (536, before + 4, "")
    assert parse_tcp(skb.data, 20).doff == 28
    assert skb.dport == 80


def test_an_option_at_an_odd_place_keeps_the_checksum_right(box):
    skb = tcp(options=b"\x01" + b"\x02\x04\x05\xb4" + b"\x01\x01\x01")
    box.act(TcpmssTarget(1400), skb)
    assert (mss(skb), verify(skb.data)) == (1400, "")


@pytest.mark.parametrize("skb", [tcp(payload=b"data"), tcp(frag_off=0x2001)], ids=["data follows", "later fragment"])
def test_what_cannot_take_the_option_goes_on_unchanged(box, skb):
    before = bytes(skb.data)
    assert box.act(TcpmssTarget(1400), skb) == XT_CONTINUE
    assert before == bytes(skb.data)


def test_a_broken_header_is_dropped(box):
    skb = tcp()
    del skb.data[30:]
    assert box.act(TcpmssTarget(1400), skb) == NF_DROP


# CT


def test_notrack_and_templates(box):
    skb = udp()
    box.act(CtTarget(notrack=True), skb)
    assert (skb.ct, skb.ctinfo) == (None, IP_CT_UNTRACKED)
    skb = udp()
    skb.mark = 0x10007
    box.act(CtTarget(zone="mark", helper="ftp"), skb)
    assert (skb.nfct_template.zone, skb.nfct_template.helper) == (7, "ftp")
    skb = tracked()
    box.act(CtTarget(notrack=True), skb)
    assert skb.ctinfo != IP_CT_UNTRACKED, "already tracked (loopback): left alone"


# REJECT


@pytest.mark.parametrize(
    ("how", "code"),
    [("icmp-net-unreachable", 0), ("icmp-host-unreachable", 1), ("icmp-proto-unreachable", 2),
     ("icmp-port-unreachable", 3), ("icmp-net-prohibited", 9), ("icmp-host-prohibited", 10),
     ("icmp-admin-prohibited", 13)],
)  # fmt: skip
def test_reject_answers_with_its_code(box, how, code):
    skb = udp()
    assert box.act(RejectTarget(how), skb) == NF_DROP
    assert box.sent == [(3, code)]
    assert skb.drop_reason == "NETFILTER_DROP"


def test_fragments_and_damaged_packets_are_dropped_without_answer(box):
    damaged = udp()
    damaged.data[-1] ^= 1
    for skb in (udp(frag_off=0x2001), damaged):
        assert box.act(RejectTarget(), skb) == NF_DROP
    assert box.sent == []


@pytest.mark.parametrize(
    ("skb", "expected"),
    [(tcp(0x02, seq=100), (0, 101, 0x14)), (tcp(0x18, payload=b"abc", ack=77), (77, 0, 0x04)),
     (tcp(0x01, seq=0xFFFFFFFF), (0, 0, 0x14))],
    ids=["SYN", "data with ACK", "FIN alone, past the end of sequence space"],
)  # fmt: skip
def test_tcp_reset_fits_the_segment(box, skb, expected):
    box.act(RejectTarget("tcp-reset"), skb)
    (reset,) = box.sent
    segment = parse_tcp(reset.data, 20)
    assert (segment.seq, segment.ack, segment.flags) == expected
    assert (reset.saddr, reset.daddr, reset.sport, reset.dport) == (DST, SRC, 80, 1000)
    assert (reset.ttl, reset.df, verify(reset.data), reset.parent) == (64, True, "", 9)
    assert (int.from_bytes(reset.data[6:8], "big"), reset.out) == (IP_DF, box.dev)
    assert box.asked == (SRC, DST)
    assert box.attached == [(reset, skb)]


def test_resets_and_broadcasts_get_no_reset(box):
    box.act(RejectTarget("tcp-reset"), tcp(0x04))
    broadcast = tcp()
    broadcast.route = Route(RTN_LOCAL, box.dev, 0, DST, RTCF_BROADCAST, 0)
    box.act(RejectTarget("tcp-reset"), broadcast)
    assert box.sent == []
