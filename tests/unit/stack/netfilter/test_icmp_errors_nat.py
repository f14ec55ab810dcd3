"""ICMP errors through NAT: outside and inside translated, all sums right.

Source: linux-kernel 5.6; observed-linux 11.
"""

from __future__ import annotations

import pytest

from netsim.addr import ip_str, parse_ip
from netsim.stack.netfilter.nat_range import NF_NAT_RANGE_MAP_IPS, NatRange
from netsim.stack.skb import Skb
from netsim.units import sec
from netsim.wire.icmp import resum_icmp
from netsim.wire.ipv4 import parse_ipv4


def error(kit, src: str, dst: str, quoted: bytes, kind: int = 3, code: int = 1, rest: bytes = bytes(4)) -> bytes:
    message = bytearray(bytes((kind, code, 0, 0)) + rest + quoted)
    resum_icmp(message, 0)
    return kit.ip(src, dst, 1, bytes(message))


def inner(skb) -> tuple[str, int, str, int]:
    header = parse_ipv4(skb.data, 28)
    ports = skb.data[48:52]
    return (
        ip_str(header.saddr), int.from_bytes(ports[:2], "big"), ip_str(header.daddr), int.from_bytes(ports[2:], "big")
    )  # fmt: skip


PROTOCOLS = {
    "udp": lambda kit: kit.udp("192.168.0.3", 6000, "203.0.113.10", 53, b"question"),
    "udp without sum": lambda kit: kit.udp("192.168.0.3", 6000, "203.0.113.10", 53, b"question", checksum=False),
    "tcp": lambda kit: kit.tcp("192.168.0.3", 6000, "203.0.113.10", 80, "S", 7),
}


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("octets", [28, 1000])
@pytest.mark.parametrize(("kind", "code"), [(3, 1), (3, 3), (3, 4), (4, 0), (11, 0), (12, 0)])
def test_an_error_from_outside_reaches_the_inside_host_about_its_own_packet(kit, router, name, octets, kind, code):
    sent = router.receive(PROTOCOLS[name](kit), "lan0", sec(1))
    message = error(kit, "10.0.1.1", "10.0.1.2", bytes(sent.data[:octets]), kind, code)
    got = router.receive(message, "wan0", sec(2))
    assert (ip_str(got.saddr), ip_str(got.daddr)) == ("10.0.1.1", "192.168.0.3")
    assert inner(got)[:3] == ("192.168.0.3", 6000, "203.0.113.10")
    assert kit.sound(got)


def test_a_quoted_echo_gets_its_id_back(kit, router):
    router.receive(kit.icmp("192.168.0.4", "203.0.113.10", 8, 7), "lan0", sec(1))
    sent = router.receive(kit.icmp("192.168.0.3", "203.0.113.10", 8, 7), "lan0", sec(1))
    got = router.receive(error(kit, "10.0.1.1", "10.0.1.2", bytes(sent.data), 11, 0), "wan0", sec(2))
    assert ip_str(got.daddr) == "192.168.0.3"
    assert got.data[52:54] == (7).to_bytes(2, "big")
    assert kit.sound(got)


def test_an_error_from_inside_about_a_dnated_flow_comes_from_the_outside_address(kit):
    """observed-linux 11, second item."""
    router = kit.Router()
    inside = parse_ip("192.168.0.10")
    router.rule("PREROUTING", "DNAT", NatRange(NF_NAT_RANGE_MAP_IPS, inside, inside), iif="wan0", proto=17)
    sent = router.receive(kit.udp("203.0.113.10", 5000, "10.0.1.2", 7001), "wan0", sec(1))
    message = error(kit, "192.168.0.10", "203.0.113.10", bytes(sent.data), 3, 3)
    got = router.receive(message, "lan0", sec(2))
    assert (ip_str(got.saddr), ip_str(got.daddr)) == ("10.0.1.2", "203.0.113.10")
    assert inner(got) == ("203.0.113.10", 5000, "10.0.1.2", 7001)
    assert kit.sound(got)


def test_the_boxes_own_error_about_a_masqueraded_packet_comes_from_its_outside_address(kit, router):
    """observed-linux 5.4: made for the translated packet, un-translated, sent inside."""
    sent = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    own = Skb(bytearray(error(kit, "10.0.1.2", "10.0.1.2", bytes(sent.data))))
    router.nf.attach(own, sent)
    got = router.send(b"", sec(2), own)
    assert (ip_str(got.saddr), ip_str(got.daddr), got.out.name) == ("10.0.1.2", "192.168.0.3", "lan0")
    assert inner(got) == ("192.168.0.3", 6000, "203.0.113.10", 53)
    assert kit.sound(got)


def test_a_redirect_about_a_translated_flow_is_dropped(kit, router):
    sent = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    message = error(kit, "10.0.1.1", "10.0.1.2", bytes(sent.data), 5, 1, b"\x0a\x00\x01\x09")
    assert router.receive(message, "wan0", sec(2)) == "PREROUTING"


def test_a_redirect_about_an_untranslated_flow_passes(kit, router):
    sent = router.send(kit.udp("10.0.1.2", 6000, "192.168.0.9", 53), sec(1))
    message = error(kit, "192.168.0.7", "10.0.1.2", bytes(sent.data), 5, 1, b"\xc0\xa8\x00\x09")
    assert router.receive(message, "lan0", sec(2)).out.name == "lo"


def test_an_error_about_nothing_known_stays_with_the_box(kit, router):
    stray = kit.udp("10.0.1.2", 6000, "203.0.113.10", 53)
    got = router.receive(error(kit, "10.0.1.1", "10.0.1.2", stray), "wan0", sec(2))
    assert (got.ct, got.out.name) == (None, "lo")


def test_an_error_with_a_bad_sum_is_invalid(kit, router):
    sent = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    message = bytearray(error(kit, "10.0.1.1", "10.0.1.2", bytes(sent.data)))
    message[-1] ^= 1
    got = router.receive(bytes(message), "wan0", sec(2))
    assert (got.ct, got.out.name) == (None, "lo")


def test_an_error_that_quotes_less_than_eight_octets_of_transport_is_dropped(kit, router):
    sent = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    message = error(kit, "10.0.1.1", "10.0.1.2", bytes(sent.data[:26]))
    assert router.receive(message, "wan0", sec(2)) == "PREROUTING"
