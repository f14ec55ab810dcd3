"""What counts as a wrong packet, and what is said of it."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.wire import icmp, ipv4, tcp, udp
from netsim.wire.verify import verify, verify_quoted

A, B = parse_ip("192.168.0.3"), parse_ip("203.0.113.10")


def packet(proto: int, segment: bytes, **header: int) -> bytearray:
    return bytearray(ipv4.build_ipv4(A, B, proto, len(segment), **header) + segment)


UDP = packet(17, udp.build_udp(A, B, 4000, 80, b"data"))
TCP = packet(6, tcp.build_tcp(A, B, 4000, 80, 1, 2, 16, 100, b"data"))
PING = packet(1, icmp.build_query(icmp.ICMP_ECHO, 1, 1, b"data"))


def changed(octets: bytearray, at: int, value: int, *, header: bool = False) -> bytes:
    """Return a copy with one octet changed; with `header` its IP checksum is made right again."""
    out = bytearray(octets)
    out[at] = value
    if header:
        ipv4.resum_header(out)
    return bytes(out)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(UDP, id="udp"),
        pytest.param(TCP, id="tcp"),
        pytest.param(PING, id="icmp"),
        pytest.param(UDP + bytes(14), id="padding of a link"),
        pytest.param(packet(17, udp.build_udp(A, B, 1, 2, b"x", checksum=False)), id="udp without checksum"),
        pytest.param(packet(17, udp.build_udp(A, B, 1, 2, b"odd")), id="odd length"),
        pytest.param(packet(17, b"\xaa" * 16, frag_off=185), id="later fragment"),
        pytest.param(packet(6, b"\xaa" * 16, frag_off=ipv4.IP_MF), id="first fragment"),
        pytest.param(packet(99, b"\xaa"), id="unknown protocol"),
        pytest.param(packet(17, udp.build_udp(A, B, 1, 2, b"x") + b"\xaa" * 7), id="octets behind the UDP length"),
    ],
)
def test_right_packets(octets):
    assert verify(octets) == ""
    assert verify(bytes(octets)) == ""


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(UDP[:19], "IP header cut off at 19 octets", id="19 octets"),
        pytest.param(changed(UDP, 0, 0x65), "IP version 6", id="version"),
        pytest.param(changed(UDP, 0, 0x44), "IP header length 16 in 32 octets", id="ihl"),
        pytest.param(changed(UDP, 8, 63), "IP checksum 0x7e17, should be 0x7f17", id="ip checksum"),
        pytest.param(changed(UDP, 3, 33, header=True), "IP total length 33, but 32 octets", id="total length"),
        pytest.param(changed(UDP, 31, 0), "UDP checksum 0x1a6d, should be 0x1ace", id="udp checksum"),
        pytest.param(changed(UDP, 25, 13), "UDP length 13 in 12 octets", id="udp length above"),
        pytest.param(changed(UDP, 25, 7), "UDP length 7 in 12 octets", id="udp length below"),
        pytest.param(packet(17, b"1234567"), "UDP length 0 in 7 octets", id="udp header"),
        pytest.param(changed(TCP, 43, 0), "TCP checksum 0xca00, should be 0xca61", id="tcp checksum"),
        pytest.param(changed(TCP, 32, 0x40), "TCP header length 16 in 24 octets", id="tcp header length below"),
        pytest.param(changed(TCP, 32, 0x70), "TCP header length 28 in 24 octets", id="tcp header length above"),
        pytest.param(packet(6, bytes(19)), "TCP header length 0 in 19 octets", id="tcp header"),
        pytest.param(changed(PING, 31, 0), "ICMP checksum 0x1f3b, should be 0x1f9c", id="icmp checksum"),
        pytest.param(packet(1, bytes(7)), "ICMP header cut off at 7 octets", id="icmp header"),
        pytest.param(packet(1, bytes(8)), "ICMP checksum 0x0000, should be 0xffff", id="icmp of zeros"),
        pytest.param(packet(132, bytes(11)), "SCTP header cut off at 11 octets", id="sctp header"),
        pytest.param(
            packet(132, bytes(12)), "SCTP checksum 0x00000000, should be 0x2b60b55d", id="sctp checksum",
        ),
    ],
)  # fmt: skip
def test_wrong_packets(octets, reason):
    assert verify(octets) == reason


def error(quoted: bytes) -> bytes:
    return bytes(packet(1, icmp.build_time_exceeded(0, quoted)))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(bytes(UDP), "", id="no error at all"),
        pytest.param(bytes(PING), "", id="a query"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(error(bytes(UDP)), "", id="whole packet"),
        pytest.param(error(bytes(TCP[:28])), "", id="eight octets of TCP"),
        pytest.param(error(bytes(UDP[:28])), "", id="eight octets of UDP: not complete, not judged"),
        pytest.param(error(bytes(UDP[:19])), "quoted IP header cut off at 19 octets", id="cut header"),
        pytest.param(
            error(changed(UDP, 8, 63)), "quoted IP checksum 0x7e17, should be 0x7f17", id="wrong header checksum",
        ),
        pytest.param(
            error(changed(UDP, 31, 0)), "quoted UDP checksum 0x1a6d, should be 0x1ace", id="wrong UDP checksum",
        ),
    ],
)  # fmt: skip
def test_quoted_packets(octets, reason):
    assert verify_quoted(octets) == reason
