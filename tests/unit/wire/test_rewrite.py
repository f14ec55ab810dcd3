"""NAT's rewrite of octets: what the kernel's manip functions do, and do not."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.wire import icmp, ipv4, tcp, udp
from netsim.wire.checksum import crc32c
from netsim.wire.octets import Truncated
from netsim.wire.rewrite import patch16, patch32, resum, rewrite_ipv4
from netsim.wire.verify import verify

INSIDE, WORLD, OUTSIDE = parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), parse_ip("10.0.1.2")


def packet(proto: int, segment: bytes, src: int = INSIDE, dst: int = WORLD, **header: int) -> bytearray:
    return bytearray(ipv4.build_ipv4(src, dst, proto, len(segment), **header) + segment)


def udp_packet(src: int, dst: int, sport: int, dport: int, payload: bytes = b"data", **options: bool) -> bytearray:
    return packet(ipv4.IPPROTO_UDP, udp.build_udp(src, dst, sport, dport, payload, **options), src, dst)


def tcp_packet(src: int, dst: int, sport: int, dport: int) -> bytearray:
    segment = tcp.build_tcp(src, dst, sport, dport, 100, 200, tcp.TCPHDR_ACK, 8192, b"data!")
    return packet(ipv4.IPPROTO_TCP, segment, src, dst)


@pytest.mark.parametrize("make", [udp_packet, tcp_packet])
@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param({"saddr": OUTSIDE, "sport": 1025}, (OUTSIDE, WORLD, 1025, 80), id="source and port"),
        pytest.param({"saddr": OUTSIDE}, (OUTSIDE, WORLD, 4000, 80), id="source"),
        pytest.param({"daddr": OUTSIDE, "dport": 8080}, (INSIDE, OUTSIDE, 4000, 8080), id="destination and port"),
        pytest.param({"dport": 8080}, (INSIDE, WORLD, 4000, 8080), id="port"),
        pytest.param({"saddr": OUTSIDE, "daddr": INSIDE, "sport": 1, "dport": 2}, (OUTSIDE, INSIDE, 1, 2), id="all"),
        pytest.param({}, (INSIDE, WORLD, 4000, 80), id="nothing"),
    ],
)
def test_rewritten_packet_is_the_one_built_anew(make, change, after):
    octets = make(INSIDE, WORLD, 4000, 80)
    assert rewrite_ipv4(octets, **change)
    assert octets == make(*after)


def test_rewrite_at_an_offset_leaves_what_stands_before_alone():
    octets = bytearray(b"\xee" * 14) + udp_packet(INSIDE, WORLD, 4000, 80)
    assert rewrite_ipv4(octets, saddr=OUTSIDE, offset=14)
    assert octets == b"\xee" * 14 + udp_packet(OUTSIDE, WORLD, 4000, 80)


def test_udp_checksum_zero_stays_zero():
    octets = udp_packet(INSIDE, WORLD, 4000, 80, checksum=False)
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1025)
    assert octets == udp_packet(OUTSIDE, WORLD, 1025, 80, checksum=False)


def zero_sum_pair() -> tuple[bytearray, bytearray]:
    """Return a packet whose rewrite to source OUTSIDE sums to FFFF, and that rewritten packet."""
    bare = udp.parse_udp(udp.build_udp(OUTSIDE, WORLD, 4000, 80, b"\0\0"))
    payload = bare.check.to_bytes(2, "big")
    return udp_packet(INSIDE, WORLD, 4000, 80, payload), udp_packet(OUTSIDE, WORLD, 4000, 80, payload)


def test_udp_checksum_that_becomes_zero_is_stored_as_ffff():
    octets, expected = zero_sum_pair()
    assert rewrite_ipv4(octets, saddr=OUTSIDE)
    assert udp.parse_udp(octets, 20).check == 0xFFFF
    assert octets == expected


def test_linux_2_4_stores_a_udp_checksum_that_becomes_zero_as_it_is():
    """Recordings of 2.4.27, "udp_checksum_became_zero": sent as 0000."""
    octets, _ = zero_sum_pair()
    assert rewrite_ipv4(octets, saddr=OUTSIDE, mangled_0=0)
    assert udp.parse_udp(octets, 20).check == 0


def test_wrong_checksum_stays_wrong_by_the_same_amount():
    good, bad = tcp_packet(INSIDE, WORLD, 4000, 80), tcp_packet(INSIDE, WORLD, 4000, 80)
    bad[-1] ^= 1
    rewrite_ipv4(good, saddr=OUTSIDE, sport=1025)
    rewrite_ipv4(bad, saddr=OUTSIDE, sport=1025)
    assert verify(good) == ""
    assert verify(bad).startswith("TCP checksum")
    assert good[:-1] == bad[:-1]


def test_icmp_query_changes_its_id_and_no_pseudo_header_counts():
    echo = packet(ipv4.IPPROTO_ICMP, icmp.build_query(icmp.ICMP_ECHO, 7, 1, b"ping"))
    assert rewrite_ipv4(echo, saddr=OUTSIDE, icmp_id=1025)
    assert echo == packet(ipv4.IPPROTO_ICMP, icmp.build_query(icmp.ICMP_ECHO, 1025, 1, b"ping"), src=OUTSIDE)


def test_icmp_error_keeps_its_second_word():
    """icmp_manip_pkt() changes the id of queries only: an error has an MTU or a gateway there."""
    quoted = bytes(udp_packet(OUTSIDE, WORLD, 4000, 80))
    error = packet(ipv4.IPPROTO_ICMP, icmp.build_dest_unreach(4, quoted, mtu=1400), src=WORLD, dst=OUTSIDE)
    assert rewrite_ipv4(error, daddr=INSIDE, icmp_id=9)
    assert icmp.parse_icmp(error, 20).mtu == 1400
    assert verify(error) == ""


def test_ports_do_not_touch_icmp():
    echo = packet(ipv4.IPPROTO_ICMP, icmp.build_query(icmp.ICMP_ECHO, 7, 1))
    before = bytes(echo)
    assert rewrite_ipv4(echo, sport=1, dport=2)
    assert echo == before


def test_unknown_protocol_changes_its_address_alone():
    """l4proto_manip_pkt(): "If we don't know protocol -- no error, pass it unmodified"."""
    octets = packet(99, b"\xaa" * 3)
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1, icmp_id=2)
    assert octets == packet(99, b"\xaa" * 3, src=OUTSIDE)


def test_later_fragment_changes_its_addresses_alone():
    octets = packet(ipv4.IPPROTO_UDP, b"\xaa" * 16, frag_off=185)
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1)
    assert octets == packet(ipv4.IPPROTO_UDP, b"\xaa" * 16, src=OUTSIDE, frag_off=185)


def test_first_fragment_changes_its_transport_header():
    """The checksum covers the whole datagram, of which a part is here: an update needs no more."""
    whole = udp.build_udp(INSIDE, WORLD, 4000, 80, b"x" * 24)
    after = udp.build_udp(OUTSIDE, WORLD, 1025, 80, b"x" * 24)
    octets = packet(ipv4.IPPROTO_UDP, whole[:16], frag_off=ipv4.IP_MF)
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1025)
    assert octets == packet(ipv4.IPPROTO_UDP, after[:16], src=OUTSIDE, frag_off=ipv4.IP_MF)


def test_header_options_move_the_transport_header():
    segment = udp.build_udp(INSIDE, WORLD, 4000, 80)
    octets = bytearray(ipv4.build_ipv4(INSIDE, WORLD, 17, 8, options=b"\x94\x04\0\0") + segment)
    assert rewrite_ipv4(octets, sport=1025)
    assert verify(octets) == ""
    assert udp.parse_udp(octets, 24).sport == 1025


@pytest.mark.parametrize("proto", [1, 6, 17, 33, 47, 132, 136])
@pytest.mark.parametrize("size", range(8))
def test_packet_too_short_for_its_transport_header_is_refused_unchanged(proto, size):
    octets = packet(proto, b"\xaa" * size)
    before = bytes(octets)
    assert not rewrite_ipv4(octets, saddr=OUTSIDE, sport=1, icmp_id=1)
    assert octets == before


@pytest.mark.parametrize("octets", [b"", b"\x45", b"\x45" * 19, b"\x44" + bytes(40), b"\x4f" + bytes(30)])
def test_packet_too_short_for_its_ip_header_is_refused_unchanged(octets):
    work = bytearray(octets)
    assert not rewrite_ipv4(work, saddr=OUTSIDE)
    assert work == octets


def test_eight_quoted_octets_of_tcp_change_the_port_only():
    """tcp_manip_pkt(): "in such cases we cannot update the checksum field since it is outside of the 8 bytes"."""
    octets = tcp_packet(INSIDE, WORLD, 4000, 80)[:28]
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1025)
    assert octets == tcp_packet(OUTSIDE, WORLD, 1025, 80)[:20] + bytes.fromhex("0401005000000064")


def test_sctp_gets_a_fresh_crc():
    octets = packet(132, bytes.fromhex("0fa00050 00000001 00000000 aabbccdd"))
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1025)
    assert octets[20:24] == bytes.fromhex("04010050")
    chunk = bytes.fromhex("04010050 00000001 00000000 aabbccdd")
    assert octets[28:32] == crc32c(chunk).to_bytes(4, "little")
    assert verify(octets) == ""


def test_gre_changes_its_address_alone():
    octets = packet(47, bytes.fromhex("0000080045000000"))
    assert rewrite_ipv4(octets, saddr=OUTSIDE, sport=1)
    assert octets == packet(47, bytes.fromhex("0000080045000000"), src=OUTSIDE)


def test_patches_keep_the_tcp_checksum():
    octets = tcp_packet(INSIDE, WORLD, 4000, 80)
    patch32(octets, 24, 36, 0xFFFFFFF0)
    patch16(octets, 34, 36, 17)
    assert verify(octets) == ""
    header = tcp.parse_tcp(octets, 20)
    assert (header.seq, header.window) == (0xFFFFFFF0, 17)


@pytest.mark.parametrize("make", [udp_packet, tcp_packet])
def test_resum_mends_a_payload_that_grew(make):
    octets = make(INSIDE, WORLD, 4000, 21) + b" and more"
    resum(octets)
    assert verify(octets) == ""
    assert ipv4.parse_ipv4(octets).tot_len == len(octets)


def test_resum_leaves_udp_without_checksum_without():
    octets = udp_packet(INSIDE, WORLD, 4000, 69, checksum=False) + b"more"
    resum(octets)
    assert udp.parse_udp(octets, 20).check == 0
    assert udp.parse_udp(octets, 20).length == len(octets) - 20


def test_resum_stores_a_udp_checksum_of_zero_as_ffff():
    _, octets = zero_sum_pair()
    octets[26:28] = b"\x12\x34"
    resum(octets)
    assert udp.parse_udp(octets, 20).check == 0xFFFF


def test_resum_sums_icmp_and_leaves_a_fragment_alone():
    echo = packet(ipv4.IPPROTO_ICMP, icmp.build_query(icmp.ICMP_ECHO, 7, 1)) + b"more"
    resum(echo)
    assert verify(echo) == ""
    piece = packet(ipv4.IPPROTO_UDP, b"\xaa" * 16, frag_off=ipv4.IP_MF) + b"12345678"
    resum(piece)
    assert piece[20:] == b"\xaa" * 16 + b"12345678"
    assert verify(piece) == ""


@pytest.mark.parametrize("octets", [b"", b"\x45" + bytes(18), bytes(packet(6, b"\xaa" * 19))])
def test_resum_says_truncated(octets):
    with pytest.raises(Truncated):
        resum(bytearray(octets))
