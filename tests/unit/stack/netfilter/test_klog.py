"""The line of the LOG target, field by field, and ipchains' own.

Source: net/netfilter/nf_log_syslog.c dump_ipv4_packet(), nf_log_dump_tcp_header(), nf_log_dump_udp_header(),
dump_mac_header() (6.18); net/ipv4/ip_fw.c dump_packet() (2.2); IPCHAINS-HOWTO section 4.1.6.
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import ETHER, PPP
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.hooks import HookContext
from netsim.stack.netfilter.klog import chains_line, packet_line
from netsim.stack.netfilter.rulespec import (
    ACCEPT_TARGET,
    DROP_TARGET,
    JumpTarget,
    LogTarget,
    MasqTarget,
    RejectTarget,
    RuleSpec,
    SideTarget,
)
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.wire.icmp import build_icmp, build_query
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import build_tcp
from netsim.wire.udp import build_udp

A, B = parse_ip("192.0.2.1"), parse_ip("198.51.100.2")
INTERFACES = Interfaces(Sysctl())
ETH0, ETH1 = (INTERFACES.add(name, ETHER, b"\2\0\0\0\0\1", 1500) for name in ("eth0", "eth1"))
PPP0 = INTERFACES.add("ppp0", PPP, b"", 1500)
ENDS = "IN= OUT=eth1 SRC=192.0.2.1 DST=198.51.100.2 "
PRE, FORWARD, POST = 0, 2, 4


def packet(proto, body, **more):
    return build_ipv4(A, B, proto, len(body), **{"ident": 7} | more) + body


def tcp(flags=0x02, payload=b"", options=b"", **more):
    return packet(6, build_tcp(A, B, 4000, 80, 1111, 2222, flags, 8192, payload, options), **more)


def udp(payload=b"abc", **more):
    return packet(17, build_udp(A, B, 4000, 53, payload), **more)


def line(octets, flags=0, indev=None, outdev=ETH1, mark=0, src_mac=b"", pkt_type=0, prefix=""):
    skb = Skb(bytearray(octets))
    skb.mark, skb.src_mac, skb.pkt_type = mark, src_mac, pkt_type
    return packet_line(skb, HookContext(FORWARD, indev, outdev, 0, None), LogTarget(prefix=prefix, flags=flags))


def changed(octets, at, value):
    return octets[:at] + bytes([value]) + octets[at + 1 :]


HEADERS = [
    (udp(), "LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=11 "),
    (udp(tos=0xFF, ttl=1), "LEN=31 TOS=0x1E PREC=0xE0 TTL=1 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=11 "),
    (udp(frag_off=0x4000), "LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 DF PROTO=UDP SPT=4000 DPT=53 LEN=11 "),
    (udp(frag_off=0xE000), "LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 CE DF MF PROTO=UDP SPT=4000 DPT=53 LEN=11 "),
    (udp(frag_off=0x2001), "LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 MF FRAG:1 PROTO=UDP "),
    (udp(frag_off=0x00B9), "LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 FRAG:185 PROTO=UDP "),
    (tcp(frag_off=0x0001), "LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=7 FRAG:1 PROTO=TCP "),
    (packet(1, bytes(8), frag_off=1), "LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=7 FRAG:1 PROTO=ICMP "),
    (packet(47, b"xyz"), "LEN=23 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=47 "),
    (udp(options=b"\x94\x04\0\0"), "LEN=35 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=11 "),
    (packet(17, bytes(8)), "LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP SPT=0 DPT=0 LEN=0 "),
    (packet(17, bytes(7)), "LEN=27 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP INCOMPLETE [7 bytes] "),
    (packet(6, bytes(19)), "LEN=39 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=TCP INCOMPLETE [19 bytes] "),
    (packet(1, bytes(7)), "LEN=27 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=ICMP INCOMPLETE [7 bytes] "),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(HEADERS)))
def test_the_ip_header_and_what_follows_it(at):
    octets, text = HEADERS[at]
    assert line(octets) == ENDS + text


TCPS = [
    (tcp(), 0, "WINDOW=8192 RES=0x00 SYN URGP=0 "), (tcp(0x12), 0, "WINDOW=8192 RES=0x00 ACK SYN URGP=0 "),
    (tcp(0xFF), 0, "WINDOW=8192 RES=0x00 CWR ECE URG ACK PSH RST SYN FIN URGP=0 "),
    (tcp(0x00), 0, "WINDOW=8192 RES=0x00 URGP=0 "), (tcp(0x01), 0, "WINDOW=8192 RES=0x00 FIN URGP=0 "),
    (tcp(), 0x01, "SEQ=1111 ACK=2222 WINDOW=8192 RES=0x00 SYN URGP=0 "),
    (changed(tcp(), 32, 0x5E), 0, "WINDOW=8192 RES=0x38 SYN URGP=0 "),
    (changed(tcp(), 32, 0x51), 0, "WINDOW=8192 RES=0x00 AE SYN URGP=0 "),
    (changed(tcp(0x20), 39, 9), 0, "WINDOW=8192 RES=0x00 URG URGP=9 "),
    (tcp(options=b"\2\4\5\xb4"), 0x02, "WINDOW=8192 RES=0x00 SYN URGP=0 OPT (020405B4) "),
    (tcp(options=b"\2\4\5\xb4"), 0x01 | 0x04, "SEQ=1111 ACK=2222 WINDOW=8192 RES=0x00 SYN URGP=0 "),
    (tcp(), 0x02, "WINDOW=8192 RES=0x00 SYN URGP=0 "), (tcp(payload=b"data"), 0x02, "WINDOW=8192 RES=0x00 SYN URGP=0 "),
    (changed(tcp(payload=b"abc"), 32, 0x60), 0x02, "WINDOW=8192 RES=0x00 SYN URGP=0 OPT (TRUNCATED)"),
    (changed(tcp(payload=b"abcd"), 32, 0x60), 0x02, "WINDOW=8192 RES=0x00 SYN URGP=0 OPT (61626364) "),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(TCPS)))
def test_a_tcp_header(at):
    """XT_LOG_TCPSEQ 1, XT_LOG_TCPOPT 2; "RES=0x3C" has the reserved bits above the two of ECN's old place."""
    octets, flags, text = TCPS[at]
    assert line(octets, flags).partition("PROTO=TCP SPT=4000 DPT=80 ")[2] == text


def test_ip_options_are_shown_when_asked_for():
    """XT_LOG_IPOPT 4."""
    octets = udp(options=b"\x94\x04\0\0")
    assert line(octets, 0x04) == (
        ENDS + "LEN=35 TOS=0x00 PREC=0x00 TTL=64 ID=7 OPT (94040000) PROTO=UDP SPT=4000 DPT=53 LEN=11 "
    )
    assert "OPT" not in line(octets, 0x02)
    assert "OPT" not in line(udp(), 0x04)


QUOTED = "[SRC=192.0.2.1 DST=198.51.100.2 LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP SPT=4000 DPT=53 LEN=11 ] "
INNER = "[SRC=192.0.2.1 DST=198.51.100.2 LEN=59 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=ICMP TYPE=3 CODE=1 ] "
NOTHING = "[SRC=0.0.0.0 DST=0.0.0.0 LEN=0 TOS=0x00 PREC=0x00 TTL=0 ID=0 PROTO=0 ] "
UNREACH = build_icmp(3, 1, 0, udp())
ICMPS = [
    (build_query(8, 5, 6), "TYPE=8 CODE=0 ID=5 SEQ=6 "), (build_query(0, 5, 6), "TYPE=0 CODE=0 ID=5 SEQ=6 "),
    *[
        (build_query(kind, 5, 6, bytes(size - 8)), f"TYPE={kind} CODE=0 {short}")
        for kind, size, short in (
            (13, 19, "INCOMPLETE [19 bytes] "), (13, 20, ""), (14, 19, "INCOMPLETE [19 bytes] "), (14, 20, ""),
            (17, 11, "INCOMPLETE [11 bytes] "), (17, 12, ""), (18, 11, "INCOMPLETE [11 bytes] "), (18, 12, ""),
        )
    ],
    (build_query(15, 5, 6), "TYPE=15 CODE=0 "), (build_query(99, 5, 6), "TYPE=99 CODE=0 "),
    (UNREACH, "TYPE=3 CODE=1 " + QUOTED), (build_icmp(4, 0, 0, udp()), "TYPE=4 CODE=0 " + QUOTED),
    (build_icmp(11, 0, 0, udp()), "TYPE=11 CODE=0 " + QUOTED),
    (build_icmp(3, 4, 1400, udp()), "TYPE=3 CODE=4 " + QUOTED + "MTU=1400 "),
    (build_icmp(11, 4, 1400, udp()), "TYPE=11 CODE=4 " + QUOTED),
    (build_icmp(5, 1, A, udp()), "TYPE=5 CODE=1 GATEWAY=192.0.2.1 " + QUOTED),
    (build_icmp(12, 0, 20 << 24, udp()), "TYPE=12 CODE=0 PARAMETER=20 "),
    *[(build_icmp(kind, 0, 0, bytes(19)), f"TYPE={kind} CODE=0 INCOMPLETE [27 bytes] ") for kind in (3, 4, 5, 11, 12)],
    (build_icmp(3, 0, 0, udp()[:20]), f"TYPE=3 CODE=0 {QUOTED[:80]}INCOMPLETE [0 bytes] ] "),
    (build_icmp(3, 0, 0, bytes(20)), f"TYPE=3 CODE=0 {NOTHING}"),
    (build_icmp(11, 0, 0, packet(1, UNREACH)), "TYPE=11 CODE=0 " + INNER),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(ICMPS)))
def test_an_icmp_message_and_the_packet_it_quotes_once(at):
    body, text = ICMPS[at]
    assert line(packet(1, body)).partition("PROTO=ICMP ")[2] == text


DEVICES = [
    ({"indev": ETH0, "outdev": None}, "IN=eth0 OUT= MAC= "),
    ({"indev": ETH0, "src_mac": b"\2\0\0\0\0\x99"}, "IN=eth0 OUT=eth1 MAC=02:00:00:00:00:01:02:00:00:00:00:99:08:00 "),
    (
        {"indev": ETH0, "outdev": None, "src_mac": b"\2\0\0\0\0\x99", "pkt_type": 1},
        "IN=eth0 OUT= MAC=ff:ff:ff:ff:ff:ff:02:00:00:00:00:99:08:00 ",
    ),
    ({"indev": PPP0, "src_mac": b"\2\0\0\0\0\x99"}, "IN=ppp0 OUT=eth1 MAC= "),
    ({"indev": None, "outdev": ETH0}, "IN= OUT=eth0 "), ({"prefix": "drop: "}, "drop: IN= OUT=eth1 "),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(DEVICES)))
def test_devices_and_the_link_header(at):
    """A packet of this box came by no device, and has no MAC=."""
    fields, text = DEVICES[at]
    assert line(udp(), **fields).partition("SRC=")[0] == text


def test_a_mark_stands_last():
    assert line(udp(), mark=0x1F).endswith("LEN=11 MARK=0x1f ")
    assert "MARK" not in line(udp())


# ipchains


def logged(octets, then=ACCEPT_TARGET, hook=PRE, indev=ETH0, outdev=None, number=3, chain="input"):
    spec = RuleSpec(target=SideTarget(then=then, log=True))
    return chains_line(Skb(bytearray(octets)), HookContext(hook, indev, outdev, 0, None), chain, spec, number)


CHAINS = [
    (udp(), "17 :4000 :53 L=31 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (udp(tos=0x10, frag_off=0x4000, ttl=3), "17 :4000 :53 L=31 S=0x10 I=7 F=0x4000 T=3 (#3)"),
    (tcp(0x02), "6 :4000 :80 L=40 S=0x00 I=7 F=0x0000 T=64 SYN (#3)"),
    (tcp(0x12), "6 :4000 :80 L=40 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (tcp(0x10), "6 :4000 :80 L=40 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (tcp(0x02, frag_off=1), "6 :0 :0 L=40 S=0x00 I=7 F=0x0001 T=64 (#3)"),
    (packet(6, build_tcp(A, B, 4000, 80, 1, 0, 2, 0)[:13]), "6 :4000 :80 L=33 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (packet(6, build_tcp(A, B, 4000, 80, 1, 0, 2, 0)[:14]), "6 :4000 :80 L=34 S=0x00 I=7 F=0x0000 T=64 SYN (#3)"),
    (packet(1, build_icmp(3, 1, 0, b"")), "1 :3 :1 L=28 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (packet(1, b"\3\1"), "1 :3 :1 L=22 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (packet(1, b"\3"), "1 :0 :0 L=21 S=0x00 I=7 F=0x0000 T=64 (#3)"),
    (packet(1, build_icmp(3, 1, 0, b""), frag_off=1), "1 :0 :0 L=28 S=0x00 I=7 F=0x0001 T=64 (#3)"),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(CHAINS)))
def test_ipchains_writes_numbers_for_names_and_an_icmp_type_for_a_port(at):
    octets, text = CHAINS[at]
    proto, source, target, rest = text.split(" ", 3)
    assert (
        logged(octets) == f"Packet log: input ACCEPT eth0 PROTO={proto} 192.0.2.1{source} 198.51.100.2{target} {rest}"
    )


@pytest.mark.parametrize(
    ("then", "word"),
    [
        (ACCEPT_TARGET, "ACCEPT"), (DROP_TARGET, "DENY"), (RejectTarget(), "REJECT"), (MasqTarget(), "MASQ"),
        (JumpTarget("mine"), "mine"), (None, "-"),
    ],
)  # fmt: skip
def test_ipchains_names_the_verdict(then, word):
    assert logged(udp(), then).split()[3] == word


@pytest.mark.parametrize(
    ("hook", "indev", "outdev", "name"),
    [(PRE, ETH0, ETH1, "eth0"), (FORWARD, ETH0, ETH1, "eth1"), (POST, ETH0, ETH1, "eth1"), (PRE, None, ETH1, "-")],
)
def test_ipchains_names_the_device_that_its_chain_looks_at(hook, indev, outdev, name):
    assert logged(udp(), hook=hook, indev=indev, outdev=outdev).split()[4] == name
