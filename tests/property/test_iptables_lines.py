"""iptables lines at random: what is accepted lists as itself, what is refused changes nothing, nothing raises."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from netsim.shell import dispatch
from netsim.stack.netfilter.hooks import NF_INET_FORWARD, HookContext
from netsim.stack.netfilter.matches import compile_rule
from netsim.stack.netfilter.matchspec import UdpMatch
from netsim.stack.netfilter.requests import DumpTables
from netsim.stack.netfilter.rulespec import (
    IPT_INV_DSTIP,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    IPT_INV_VIA_IN,
    IPT_INV_VIA_OUT,
    RuleSpec,
)
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.udp import build_udp

_PATH = Path(__file__).parents[1] / "golden" / "iptables" / "replay.py"
_SPEC = importlib.util.spec_from_file_location("iptables_replay", _PATH)
replay = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(replay)

bang = st.sampled_from(("", "! "))
octet = st.integers(0, 255)
address = st.tuples(octet, octet, octet, octet).map(lambda parts: ".".join(map(str, parts)))
network = st.tuples(address, st.integers(1, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}")
ports = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)).map(sorted).map(lambda p: f"{p[0]}:{p[1]}")
word32 = st.integers(0, 0xFFFFFFFF)


def option(name, value):
    return st.tuples(bang, value).map(lambda pair: f"{pair[0]}{name} {pair[1]}")


def lines(*choices):
    return st.lists(st.one_of(*choices), max_size=3, unique_by=lambda text: text.split()[0]).map(" ".join)


selectors = st.tuples(
    st.one_of(st.just(""), option("-s", network)), st.one_of(st.just(""), option("-d", network)),
    st.one_of(st.just(""), option("-i", st.sampled_from(("eth0", "ppp+", "lo")))),
).map(" ".join)  # fmt: skip
plain_matches = st.one_of(
    option("-m mark --mark", st.tuples(word32, word32).map(lambda p: f"{p[0]}/{p[1]}")).filter(lambda t: t[0] != "!"),
    st.sampled_from((
        "-m state --state NEW,INVALID", "-m conntrack ! --ctstate DNAT --ctproto udp --ctdir REPLY",
        "-m ttl --ttl-lt 5",
        "-m limit --limit 7/min --limit-burst 9", "-m statistic --mode nth ! --every 4 --packet 1",
        "-m addrtype ! --src-type LOCAL --dst-type UNICAST,BROADCAST", "-m dscp --dscp-class AF31",
        "-m comment --comment 'a b'",
    )),
    st.integers(0, 0xFFFF).map(lambda n: f"-m length --length {n}:"),
    st.floats(0, 1, allow_nan=False).map(lambda p: f"-m statistic --mode random --probability {p:.9f}"),
)  # fmt: skip
protocols = st.one_of(
    st.just(""),
    st.tuples(
        st.just("-p tcp"), option("--dport", ports), st.sampled_from(("", "--syn", "--tcp-flags ALL SYN,ACK"))
    ).map(" ".join),
    st.tuples(st.just("-p udp"), option("--sport", ports), option("--dport", ports)).map(" ".join),
    st.tuples(st.just("-p icmp"), option("--icmp-type", st.sampled_from(("8", "3/4", "any", "redirect")))).map(
        " ".join
    ),
    option("-p", st.sampled_from(("tcp", "47", "esp"))),
)
targets = st.one_of(
    st.sampled_from(
        ("", "-j ACCEPT", "-j DROP", "-j RETURN", "-j LOG --log-prefix 'x: ' --log-level info", "-j REJECT")
    ),
    st.tuples(word32, word32).map(lambda p: f"-j MARK --set-xmark {p[0]}/{p[1]}"),
    word32.map(lambda mask: f"-j CONNMARK --restore-mark --mask {mask}"),
)


def listed(box):
    return [line for line in box.sh("iptables -S FORWARD").stdout.splitlines() if line.startswith("-A")]


@given(selectors, protocols, plain_matches, targets)
def test_an_accepted_rule_lists_as_itself_is_found_and_can_be_deleted(selector, protocol, match, target):
    box, copy = replay.TablesBox(), replay.TablesBox()
    rule = f"FORWARD {selector} {protocol} {match} {target}"
    result = box.sh(f"iptables -A {rule}")
    if result.rc:
        assert result.rc in (2, 4)
        assert listed(box) == []
        return
    (line,) = listed(box)
    assert copy.sh(f"iptables {line}").rc == 0, line
    assert listed(copy) == [line]
    assert box.sh(f"iptables {line.replace('-A', '-C', 1)}").rc == 0
    assert box.sh(f"iptables -D {rule}").rc == 0
    assert listed(box) == []
    assert box.services.conntrack.users == 0


WORDS = (
    "-A",
    "-I",
    "-D",
    "-R",
    "-C",
    "-N",
    "-X",
    "-E",
    "-P",
    "-L",
    "-S",
    "-F",
    "-Z",
    "-t",
    "-s",
    "-d",
    "-i",
    "-o",
    "-p",
    "-m",
    "-j",
    "-g",
    "-f",
    "-v",
    "-n",
    "-x",
    "-c",
    "-w",
    "!",
    "nat",
    "filter",
    "mangle",
    "FORWARD",
    "PREROUTING",
    "POSTROUTING",
    "user",
    "tcp",
    "udp",
    "icmp",
    "all",
    "state",
    "conntrack",
    "multiport",
    "limit",
    "--dport",
    "--dports",
    "--state",
    "--ctstate",
    "NEW",
    "80",
    "1:2",
    "1",
    "0",
    "10.0.0.0/8",
    "eth0",
    "ACCEPT",
    "DROP",
    "MASQUERADE",
    "SNAT",
    "DNAT",
    "--to-source",
    "--to",
    "--to-ports",
    "1.2.3.4",
    "1.2.3.4:80-90",
    "REJECT",
    "--reject-with",
    "LOG",
    "--random",
    "--syn",
    "--line-numbers",
    "--icmp-type",
    "-nvL",
    "--bogus",
    "x",
    "''",
    "CT",
    "--zone",
    "mark",
    "--mark",
    "0x1/0xf",
    "--source",
)


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=4))
def test_any_words_are_answered_and_a_refusal_changes_nothing(commands):
    box = replay.TablesBox()
    for words in commands:
        before = box.request(DumpTables(), now=0)
        problems = dispatch.check_line(f"iptables {words}", "linux-6")
        result = box.sh(f"iptables {words}")
        assert result.rc in (0, 1, 2, 3, 4)
        if problems:
            assert result.rc, words
        if result.rc:
            assert before == box.request(DumpTables(), now=0), words


INVERTS = (IPT_INV_SRCIP, IPT_INV_DSTIP, IPT_INV_VIA_IN, IPT_INV_VIA_OUT, IPT_INV_PROTO)
nets = st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 32).map(lambda n: 0xFFFFFFFF << (32 - n) & 0xFFFFFFFF))
close = st.sampled_from((0x0A000001, 0x0A000002, 0x0A0000FF, 0xC0A80001))


@given(
    st.builds(
        RuleSpec, src=st.tuples(close, st.sampled_from((0, 0xFFFFFF00, 0xFFFFFFFF))), dst=nets,
        iif=st.sampled_from(("", "eth0", "eth+", "wan0")), oif=st.sampled_from(("", "eth1", "wan+")),
        proto=st.sampled_from((0, 17, 6)),
        invert=st.sets(st.sampled_from(INVERTS)).map(sum),
        matches=st.sampled_from(((), (UdpMatch(dports=(50, 60)),))),
    ),
    close, close, st.integers(40, 70),
)  # fmt: skip
def test_a_compiled_rule_agrees_with_the_plain_reading(spec, src, dst, dport):
    def agrees(hit, bit, asked):
        return not asked or hit is not bool(spec.invert & bit)

    def named(name, have):
        return have.startswith(name[:-1]) if name.endswith("+") else have == name

    udp = build_udp(src, dst, 1, dport)
    skb = Skb(bytearray(build_ipv4(src, dst, 17, len(udp)) + udp))
    expected = (
        agrees((src ^ spec.src[0]) & spec.src[1] == 0, IPT_INV_SRCIP, spec.src[1])
        and agrees((dst ^ spec.dst[0]) & spec.dst[1] == 0, IPT_INV_DSTIP, spec.dst[1])
        and agrees(named(spec.iif, "eth0"), IPT_INV_VIA_IN, spec.iif)
        and agrees(named(spec.oif, "eth1"), IPT_INV_VIA_OUT, spec.oif)
        and agrees(spec.proto == 17, IPT_INV_PROTO, spec.proto)
        and (not spec.matches or 50 <= dport <= 60)
    )
    match = compile_rule(spec, SimpleNamespace())
    ctx = HookContext(NF_INET_FORWARD, SimpleNamespace(name="eth0"), SimpleNamespace(name="eth1"), 0, SimpleNamespace())
    assert expected == (match is None or match(skb, ctx))
