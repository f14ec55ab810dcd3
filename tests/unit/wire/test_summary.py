"""The line a person reads, in tcpdump's words; where tcpdump is installed, tcpdump is asked."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.wire import arp, ether, icmp, ipv4, tcp, udp
from netsim.wire.frame import Frame
from netsim.wire.summary import summary

A, B = parse_ip("192.168.0.3"), parse_ip("203.0.113.10")
MAC_A, MAC_B = parse_mac("02:00:00:00:10:03"), parse_mac("02:00:00:00:10:01")
SYN_OPTIONS = tcp.build_options(mss=1460, sack_permitted=True, timestamp=(10, 0), wscale=7)


def ip(proto: int, segment: bytes, **header: int) -> bytes:
    return ipv4.build_ipv4(A, B, proto, len(segment), **header) + segment


def a_udp(size: int = 100) -> bytes:
    return ip(17, udp.build_udp(A, B, 40000, 30080, bytes(size)))


def a_tcp(flags: int, payload: bytes = b"", options: bytes = b"", urg: int = 0) -> bytes:
    return ip(6, tcp.build_tcp(A, B, 40000, 30080, 100, 200, flags, 8192, payload, options, urg))


def an_error(message: bytes) -> bytes:
    return ip(1, message)


QUOTED = a_udp(0)
IP_CORPUS = [
    (a_udp(), "IP 192.168.0.3.40000 > 203.0.113.10.30080: UDP, length 100"),
    (a_udp(0), "IP 192.168.0.3.40000 > 203.0.113.10.30080: UDP, length 0"),
    (a_tcp(2, b"", SYN_OPTIONS), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [S], seq 100, win 8192, "
     "options [mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7], length 0"),
    (a_tcp(0x12), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [S.], seq 100, ack 200, win 8192, length 0"),
    (a_tcp(0x18, b"x" * 9),
     "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [P.], seq 100:109, ack 200, win 8192, length 9"),
    (a_tcp(0x10), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [.], ack 200, win 8192, length 0"),
    (a_tcp(0x11), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [F.], seq 100, ack 200, win 8192, length 0"),
    (a_tcp(0x04), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [R], seq 100, win 8192, length 0"),
    (a_tcp(0x00), "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [none], win 8192, length 0"),
    (a_tcp(0xF0, urg=3),
     "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [.UEW], ack 200, win 8192, urg 3, length 0"),
    (a_tcp(0x10, b"", tcp.build_options(timestamp=(1, 2), sack=((5, 9), (20, 30)))),
     "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [.], ack 200, win 8192, "
     "options [nop,nop,TS val 1 ecr 2,nop,nop,sack 2 {5:9}{20:30}], length 0"),
    (a_tcp(0x10, b"", b"\x01"),
     "IP 192.168.0.3.40000 > 203.0.113.10.30080: Flags [.], ack 200, win 8192, options [nop,eol], length 0"),
    (ip(1, icmp.build_query(8, 7, 2, bytes(56))),
     "IP 192.168.0.3 > 203.0.113.10: ICMP echo request, id 7, seq 2, length 64"),
    (ip(1, icmp.build_query(0, 7, 2)), "IP 192.168.0.3 > 203.0.113.10: ICMP echo reply, id 7, seq 2, length 8"),
    (an_error(icmp.build_dest_unreach(0, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP net 203.0.113.10 unreachable, length 36"),
    (an_error(icmp.build_dest_unreach(1, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP host 203.0.113.10 unreachable, length 36"),
    (an_error(icmp.build_dest_unreach(2, ip(99, bytes(8)))),
     "IP 192.168.0.3 > 203.0.113.10: ICMP 203.0.113.10 protocol 99 unreachable, length 36"),
    (an_error(icmp.build_dest_unreach(3, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP 203.0.113.10 udp port 30080 unreachable, length 36"),
    (an_error(icmp.build_dest_unreach(3, a_tcp(2)[:28])),
     "IP 192.168.0.3 > 203.0.113.10: ICMP 203.0.113.10 tcp port 30080 unreachable, length 36"),
    (an_error(icmp.build_dest_unreach(4, QUOTED, mtu=1400)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP 203.0.113.10 unreachable - need to frag (mtu 1400), length 36"),
    (an_error(icmp.build_dest_unreach(4, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP 203.0.113.10 unreachable - need to frag, length 36"),
    *[(an_error(icmp.build_dest_unreach(code, QUOTED)), "") for code in range(5, 17)],
    *[(an_error(icmp.build_redirect(code, A, QUOTED)), "") for code in range(4)],
    (an_error(icmp.build_redirect(1, parse_ip("192.168.0.2"), QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP redirect 203.0.113.10 to host 192.168.0.2, length 36"),
    (an_error(icmp.build_time_exceeded(0, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP time exceeded in-transit, length 36"),
    (an_error(icmp.build_time_exceeded(1, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP ip reassembly time exceeded, length 36"),
    (an_error(icmp.build_parameter_problem(20, QUOTED)),
     "IP 192.168.0.3 > 203.0.113.10: ICMP parameter problem - octet 20, length 36"),
    (an_error(icmp.build_source_quench(QUOTED)), "IP 192.168.0.3 > 203.0.113.10: ICMP source quench, length 36"),
    (ip(1, icmp.build_query(15, 7, 2)), "IP 192.168.0.3 > 203.0.113.10: ICMP information request, length 8"),
    (ip(1, icmp.build_query(17, 7, 2, bytes(4))),
     "IP 192.168.0.3 > 203.0.113.10: ICMP address mask request, length 12"),
]  # fmt: skip

OWN_CORPUS = [
    (ip(17, bytes(520), ident=7, frag_off=185), "IP 192.168.0.3 > 203.0.113.10: udp (frag 7:520@1480)"),
    (ip(17, udp.build_udp(A, B, 1, 2, bytes(2000))[:1480], ident=7, frag_off=ipv4.IP_MF),
     "IP 192.168.0.3.1 > 203.0.113.10.2: UDP, length 2000 (frag 7:1480@0+)"),
    (ip(47, bytes(8)), "IP 192.168.0.3 > 203.0.113.10: gre, length 8"),
    (ip(99, bytes(8)), "IP 192.168.0.3 > 203.0.113.10: ip-proto-99, length 8"),
    (a_udp()[:60], "IP truncated-ip - 68 bytes missing! 192.168.0.3.40000 > 203.0.113.10.30080: UDP, length 100"),
    (a_udp()[:25], "IP truncated-ip - 103 bytes missing! 192.168.0.3.40000 > 203.0.113.10.30080: [|udp]"),
    (a_udp()[:23], "IP truncated-ip - 105 bytes missing! 192.168.0.3 > 203.0.113.10: [|udp]"),
    (a_tcp(2)[:30], "IP truncated-ip - 10 bytes missing! 192.168.0.3.40000 > 203.0.113.10.30080: [|tcp]"),
    (a_tcp(2, b"", SYN_OPTIONS)[:45],
     "IP truncated-ip - 15 bytes missing! 192.168.0.3.40000 > 203.0.113.10.30080: Flags [S], seq 100, win 8192, "
     "options [mss 1460,[|tcp]], length 0"),
    (an_error(icmp.build_dest_unreach(1, b"")), "IP 192.168.0.3 > 203.0.113.10: ICMP unreachable [|icmp], length 8"),
    (ip(1, bytes(4)), "IP 192.168.0.3 > 203.0.113.10: [|icmp]"),
    (b"\x45", "IP [|ip]"),
    (b"\x60" + bytes(39), "IP6"),
    (b"\x44" + bytes(19), "IP bad header length 16 of 0"),
]  # fmt: skip


@pytest.mark.parametrize(("packet", "line"), [pair for pair in IP_CORPUS + OWN_CORPUS if pair[1]])
def test_line_of_an_ip_packet(packet, line):
    assert summary(packet, link_header=False) == line
    assert summary(ether.build_ether(MAC_B, MAC_A) + packet) == line


@pytest.mark.parametrize(
    ("proto", "payload", "line"),
    [
        (0x0806, arp.build_request(MAC_A, A, B), "ARP who-has 203.0.113.10 tell 192.168.0.3"),
        (0x0806, arp.build_arp(1, MAC_A, A, MAC_B, B), "ARP who-has 203.0.113.10 (02:00:00:00:10:01) tell 192.168.0.3"),
        (0x0806, arp.build_reply(MAC_A, A, MAC_B, B), "ARP reply 192.168.0.3 is-at 02:00:00:00:10:03"),
        (0x0806, arp.build_arp(3, MAC_A, A, MAC_B, B), "ARP op 3"),
        (0x0806, b"\0\1", "ARP [|arp]"),
        (0x0806, b"\0\7" + arp.build_request(MAC_A, A, B)[2:], "ARP hrd 7 pro 0x0800 hln 6 pln 4 op 1"),
        (0x86DD, bytes(40), "ethertype IPv6 (0x86dd), length 40"),
        (0x1234, bytes(4), "ethertype Unknown (0x1234), length 4"),
        (0x0026, bytes(38), "802.3, length 38"),
    ],
)
def test_line_of_a_frame(proto, payload, line):
    assert summary(ether.build_ether(MAC_B, MAC_A, proto) + payload) == line


def test_frame_without_a_whole_link_header():
    assert summary(b"abc") == "[|ether] 3 octets"


def test_repr_of_a_frame_is_its_line():
    assert repr(Frame(a_udp(), 7, link_header=False)) == (
        "<Frame 7 IP 192.168.0.3.40000 > 203.0.113.10.30080: UDP, length 100>"
    )


def tcpdump_4_99() -> bool:
    """Tell whether the tcpdump whose words the corpus holds is here."""
    if shutil.which("tcpdump") is None:
        return False
    said = subprocess.run(["tcpdump", "--version"], check=False, capture_output=True, text=True)
    return "tcpdump version 4.99" in said.stdout + said.stderr


@pytest.mark.skipif(not tcpdump_4_99(), reason="tcpdump 4.99 is not installed")
def test_tcpdump_says_the_same(tmp_path: Path) -> None:
    """The corpus as a raw-IP pcap through `tcpdump -nn -t -S`."""
    packets = [packet for packet, _ in IP_CORPUS]
    records = [struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet for packet in packets]
    file = tmp_path / "corpus.pcap"
    file.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records))
    said = subprocess.run(
        ["tcpdump", "-nn", "-t", "-S", "-r", str(file)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert [summary(packet, link_header=False) for packet in packets] == said
