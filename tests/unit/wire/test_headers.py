"""Builders and readers: one corpus in both directions, and what Linux 6.18 put on the wire."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from netsim.addr import ZERO_MAC, parse_ip, parse_mac
from netsim.wire import arp, drop, ether, icmp, ipv4, tcp, udp
from netsim.wire.octets import Truncated

A, B = parse_ip("192.168.0.3"), parse_ip("203.0.113.10")
MAC_A, MAC_B = parse_mac("02:00:00:00:10:03"), parse_mac("02:00:00:00:10:01")
RECORDED = [
    line.split()
    for line in gzip.decompress((Path(__file__).parents[2] / "data/wire/linux-6.18-headers.txt.gz").read_bytes())
    .decode()
    .splitlines()
]

CORPUS = [
    pytest.param(
        ether.build_ether(MAC_B, MAC_A), ether.parse_ether, ether.EtherHeader(MAC_B, MAC_A, 0x0800),
        "020000001001 020000001003 0800", id="ether",
    ),
    pytest.param(
        arp.build_request(MAC_A, A, B), arp.parse_arp, arp.Arp(1, 0x0800, 6, 4, 1, MAC_A, A, ZERO_MAC, B),
        "0001 0800 06 04 0001 020000001003 c0a80003 000000000000 cb00710a", id="arp request",
    ),
    pytest.param(
        arp.build_reply(MAC_A, A, MAC_B, B), arp.parse_arp, arp.Arp(1, 0x0800, 6, 4, 2, MAC_A, A, MAC_B, B),
        "0001 0800 06 04 0002 020000001003 c0a80003 020000001001 cb00710a", id="arp reply",
    ),
    pytest.param(
        ipv4.build_ipv4(parse_ip("192.168.0.1"), parse_ip("8.8.8.8"), 1, 64, frag_off=ipv4.IP_DF), ipv4.parse_ipv4,
        ipv4.Ipv4Header(4, 20, 0, 84, 0, 0x4000, 64, 1, 0x69F0, parse_ip("192.168.0.1"), parse_ip("8.8.8.8")),
        "45 00 0054 0000 4000 40 01 69f0 c0a80001 08080808", id="ipv4 of the notes, 5.9",
    ),
    pytest.param(
        udp.build_udp(A, B, 4000, 80, b"hi"), udp.parse_udp, udp.UdpHeader(4000, 80, 10, 0x8ACA),
        "0fa0 0050 000a 8aca 6869", id="udp",
    ),
    pytest.param(
        udp.build_udp(A, B, 4000, 80, b"hi", checksum=False), udp.parse_udp, udp.UdpHeader(4000, 80, 10, 0),
        "0fa0 0050 000a 0000 6869", id="udp without checksum",
    ),
    pytest.param(
        tcp.build_tcp(A, B, 4000, 80, 100, 0, tcp.TCPHDR_SYN, 8192), tcp.parse_tcp,
        tcp.TcpHeader(4000, 80, 100, 0, 20, 2, 8192, 0x82D8, 0),
        "0fa0 0050 00000064 00000000 50 02 2000 82d8 0000", id="tcp",
    ),
    pytest.param(
        icmp.build_query(icmp.ICMP_ECHO, 0x0FA2, 1), icmp.parse_icmp, icmp.IcmpHeader(8, 0, 0xE85C, 0x0FA2, 1),
        "08 00 e85c 0fa2 0001", id="icmp echo",
    ),
    pytest.param(
        icmp.build_dest_unreach(icmp.ICMP_FRAG_NEEDED, b"", mtu=1400), icmp.parse_icmp,
        icmp.IcmpHeader(3, 4, 0xF783, 0, 1400), "03 04 f783 0000 0578", id="icmp fragmentation needed",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("built", "parse", "fields", "octets"), CORPUS)
def test_builder_writes_what_the_reader_reads(built, parse, fields, octets):
    assert built == bytes.fromhex(octets)
    assert parse(built) == fields


@pytest.mark.parametrize(("built", "parse", "fields", "octets"), CORPUS)
def test_reader_reads_at_an_offset_and_from_a_bytearray(built, parse, fields, octets):
    if parse is not ether.parse_ether:
        assert parse(bytearray(b"\xaa" * 5 + built), 5) == fields


@pytest.mark.parametrize(("built", "parse", "fields", "octets"), CORPUS)
def test_reader_says_truncated(built, parse, fields, octets):
    for length in range(8):
        with pytest.raises(Truncated, match=rf"needs \d+ octets, there are {length}$"):
            parse(built[:length])


def test_ip_headers_of_linux_are_ours():
    for _, src, dst, proto, length, ttl, tos, ident, frag_off, check in (row for row in RECORDED if row[0] == "ip"):
        header = ipv4.build_ipv4(
            parse_ip(src), parse_ip(dst), int(proto), int(length) - 20,
            ttl=int(ttl), tos=int(tos), ident=int(ident), frag_off=int(frag_off),
        )  # fmt: skip
        assert ipv4.parse_ipv4(header).check == int(check, 16)


def test_udp_checksums_of_linux_are_ours():
    for _, src, dst, sport, dport, data, check in (row for row in RECORDED if row[0] == "udp"):
        payload = b"" if data == "-" else data.encode()
        datagram = udp.build_udp(parse_ip(src), parse_ip(dst), int(sport), int(dport), payload)
        assert udp.parse_udp(datagram).check == int(check, 16)


def test_udp_checksum_that_comes_out_as_zero_is_sent_as_ffff():
    """RFC 768: "If the computed checksum is zero, it is transmitted as all ones"."""
    without = udp.build_udp(A, B, 4000, 80, b"\0\0")
    payload = udp.parse_udp(without).check.to_bytes(2, "big")
    assert udp.parse_udp(udp.build_udp(A, B, 4000, 80, payload)).check == 0xFFFF


def test_frame_is_padded_to_60_octets():
    frame = ether.build_ether(MAC_B, MAC_A, ether.ETH_P_ARP) + arp.build_request(MAC_A, A, B)
    assert len(ether.pad(frame)) == 60
    assert ether.pad(frame)[42:] == bytes(18)
    assert ether.pad(bytes(61)) == bytes(61)


def test_group_and_broadcast_macs():
    assert ether.is_group(parse_mac("01:00:5e:00:00:01"))
    assert ether.is_group(parse_mac("ff:ff:ff:ff:ff:ff"))
    assert ether.is_broadcast(parse_mac("ff:ff:ff:ff:ff:ff"))
    assert not ether.is_group(MAC_A)


def test_builders_refuse_what_the_fields_cannot_say():
    with pytest.raises(ValueError, match="IPv4 header"):
        ipv4.build_ipv4(A, B, 17, 65516)
    with pytest.raises(ValueError, match="IPv4 header"):
        ipv4.build_ipv4(A, B, 17, 0, options=bytes(41))
    with pytest.raises(ValueError, match="UDP datagram"):
        udp.build_udp(A, B, 1, 2, bytes(65528))
    with pytest.raises(ValueError, match="TCP header"):
        tcp.build_tcp(A, B, 1, 2, 3, 4, 5, 6, b"", bytes(41))


def test_ttl_falls_by_one_and_the_header_stays_valid():
    packet = bytearray(ipv4.build_ipv4(parse_ip("192.168.0.1"), parse_ip("8.8.8.8"), 1, 64, frag_off=ipv4.IP_DF))
    assert ipv4.decrement_ttl(packet) == 63
    assert ipv4.parse_ipv4(packet).check == 0x6AF0


def test_tos_and_ttl_writes_equal_a_full_sum():
    packet = bytearray(ipv4.build_ipv4(A, B, 17, 8, options=b"\x94\x04\x00\x00"))
    ipv4.set_tos(packet, 0xB8)
    ipv4.set_ttl(packet, 7)
    again = bytearray(packet)
    ipv4.resum_header(again)
    assert packet == again
    assert ipv4.parse_ipv4(packet).tos == 0xB8
    assert ipv4.parse_ipv4(packet).ttl == 7


def header(**changes: object) -> bytes:
    octets = bytearray(ipv4.build_ipv4(A, B, 17, 8) + bytes(8))
    for at, value in {"version": 0, "length": 3, "check": 10}.items():
        if at in changes:
            octets[value] = int(changes[at])  # type: ignore[call-overload]  # the cases below give ints
            if at != "check":
                ipv4.resum_header(octets)
    return bytes(octets)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(header(), "", id="good"),
        pytest.param(header() + bytes(18), "", id="padding behind the total length"),
        pytest.param(header()[:19], drop.IP_INHDR, id="shorter than a header"),
        pytest.param(header(version=0x65), drop.IP_INHDR, id="version 6"),
        pytest.param(header(version=0x44), drop.IP_INHDR, id="ihl 4"),
        pytest.param(header(version=0x4F), drop.IP_INHDR, id="ihl beyond the octets"),
        pytest.param(header(check=0), drop.IP_CSUM, id="checksum"),
        pytest.param(header(length=29), drop.PKT_TOO_SMALL, id="total length beyond the octets"),
        pytest.param(header(length=19), drop.IP_INHDR, id="total length below the header"),
    ],
)
def test_header_errors_have_the_kernels_names(octets, reason):
    """ip_rcv_core(), net/ipv4/ip_input.c."""
    assert ipv4.header_error(octets) == reason


IP_OPTIONS = [
    pytest.param([(ipv4.IPOPT_RA, b"\0\0")], "94040000", id="router alert"),
    pytest.param(
        [(ipv4.IPOPT_NOOP, b""), (ipv4.IPOPT_LSRR, b"\x04\x0a\0\1\1")], "01830704 0a000101", id="loose source"
    ),
    pytest.param([(ipv4.IPOPT_RR, b"\x04" + bytes(8))], "070b04 0000000000000000", id="record route"),
]


@pytest.mark.parametrize(("options", "octets"), IP_OPTIONS)
def test_ip_options_both_ways(options, octets):
    built = ipv4.build_options(*options)
    assert built == bytes.fromhex(octets)
    assert [(kind, data) for kind, data, _ in ipv4.iter_options(built)] == options
    packet = ipv4.build_ipv4(A, B, 17, 0, options=built)
    assert ipv4.option_octets(packet)[: len(built)] == built
    assert ipv4.header_error(packet) == ""


@pytest.mark.parametrize("octets", ["07", "0700", "0701", "0705aabb"])
def test_broken_options_are_truncated(octets):
    with pytest.raises(Truncated):
        list(ipv4.iter_options(bytes.fromhex(octets)))
    with pytest.raises(Truncated):
        list(tcp.iter_options(bytes.fromhex(octets)))


TCP_OPTIONS = [
    pytest.param(
        tcp.TcpOptions(1460, 7, True, (10, 0)), "020405b4 0402080a0000000a00000000 01030307", id="SYN of Linux"
    ),
    pytest.param(tcp.TcpOptions(timestamp=(10, 9)), "0101080a0000000a00000009", id="segment of Linux"),
    pytest.param(tcp.TcpOptions(1460, None, True), "020405b4 01010402", id="SYN without timestamps"),
    pytest.param(
        tcp.TcpOptions(timestamp=(10, 9), sack=((100, 200), (300, 400))),
        "0101080a0000000a00000009 01010512 00000064000000c8 0000012c00000190", id="SACK",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "octets"), TCP_OPTIONS)
def test_tcp_options_both_ways(options, octets):
    built = tcp.build_options(**options._asdict())
    assert built == bytes.fromhex(octets)
    assert tcp.parse_options(built) == options
    segment = tcp.build_tcp(A, B, 1, 2, 3, 4, 5, 6, b"data", built)
    assert tcp.option_octets(segment) == built


@pytest.mark.parametrize(
    ("octets", "options"),
    [
        pytest.param("020405b4 08", tcp.TcpOptions(1460), id="what stands before a broken option counts"),
        pytest.param("0203ff 01 020405b4", tcp.TcpOptions(1460), id="an MSS of the wrong size is passed over"),
        pytest.param("030314", tcp.TcpOptions(wscale=14), id="a window scale above 14 counts as 14"),
        pytest.param("00 020405b4", tcp.TcpOptions(), id="nothing counts behind the end"),
        pytest.param("050900000064000000c8", tcp.TcpOptions(), id="half a SACK block"),
        pytest.param("fd04aabb 020405b4", tcp.TcpOptions(1460), id="an unknown option is passed over"),
    ],
)
def test_tcp_options_are_read_as_tcp_parse_options_does(octets, options):
    assert tcp.parse_options(bytes.fromhex(octets)) == options


def test_sequence_numbers_wrap():
    assert tcp.before(0xFFFFFFFF, 0)
    assert tcp.after(0, 0xFFFFFFFF)
    assert not tcp.before(5, 5)
    assert not tcp.after(5, 5)


def test_icmp_errors_have_their_fields():
    quoted = ipv4.build_ipv4(A, B, 17, 8) + bytes(8)
    redirect = icmp.parse_icmp(icmp.build_redirect(icmp.ICMP_REDIR_HOST, parse_ip("10.0.0.1"), quoted))
    assert redirect.rest == parse_ip("10.0.0.1")
    assert icmp.parse_icmp(icmp.build_dest_unreach(4, quoted, mtu=1400)).mtu == 1400
    assert icmp.parse_icmp(icmp.build_parameter_problem(20, quoted)).rest >> 24 == 20
    assert icmp.parse_icmp(icmp.build_time_exceeded(0, quoted)).is_error
    assert icmp.parse_icmp(icmp.build_source_quench(quoted)).type == icmp.ICMP_SOURCE_QUENCH
    assert not icmp.parse_icmp(icmp.build_query(icmp.ICMP_ECHO, 1, 1)).is_error


def test_icmp_message_of_zeros_has_checksum_ffff():
    assert icmp.parse_icmp(icmp.build_query(icmp.ICMP_ECHOREPLY, 0, 0)).check == 0xFFFF


def test_arp_of_another_family_is_not_ours():
    packet = arp.parse_arp(arp.build_request(MAC_A, A, B))
    assert packet.is_ipv4_ethernet
    assert packet._replace(hrd=arp.ARPHRD_IEEE802).is_ipv4_ethernet
    assert not packet._replace(hrd=7).is_ipv4_ethernet
    assert not packet._replace(pln=16).is_ipv4_ethernet
