"""The filter words against literal octets; the same cases against tcpdump stand in test_filter_tcpdump.py."""

from __future__ import annotations

import pytest

from netsim.observe.filter import FilterError, compile_filter

MACS = bytes.fromhex("020000000102020000000201")


def ip(src: str, dst: str, proto: int, payload: bytes, *, frag: int = 0, options: bytes = b"") -> bytes:
    header = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options) + len(payload)).to_bytes(2, "big")
    header += b"\0\1" + frag.to_bytes(2, "big") + bytes([64, proto]) + b"\0\0"
    return header + quad(src) + quad(dst) + options + payload


def quad(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def ether(ethertype: int, payload: bytes) -> bytes:
    return MACS + ethertype.to_bytes(2, "big") + payload


def ports(sport: int, dport: int) -> bytes:
    return sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(16)


PACKETS: dict[str, bytes] = {
    "udp": ether(0x0800, ip("10.0.1.2", "203.0.113.10", 17, ports(4000, 80))),
    "tcp": ether(0x0800, ip("192.168.0.3", "10.0.1.2", 6, ports(40000, 443))),
    "tcp-options": ether(0x0800, ip("192.168.0.3", "203.0.113.10", 6, ports(80, 443), options=b"\x01" * 8)),
    "sctp": ether(0x0800, ip("192.168.0.3", "203.0.113.10", 132, ports(80, 81))),
    "icmp": ether(0x0800, ip("203.0.113.10", "10.0.1.2", 1, b"\x08\0\0\0" + ports(80, 80))),
    "first-fragment": ether(0x0800, ip("10.0.1.2", "203.0.113.10", 17, ports(4000, 80), frag=0x2000)),
    "later-fragment": ether(0x0800, ip("10.0.1.2", "203.0.113.10", 17, ports(4000, 80), frag=0x0005)),
    "arp": ether(0x0806, bytes.fromhex("0001080006040001") + MACS[:6] + quad("10.0.1.2") + bytes(6) + quad("10.0.1.1")),
    "rarp": ether(
        0x8035, bytes.fromhex("0001080006040003") + MACS[:6] + quad("10.0.1.2") + bytes(6) + quad("10.0.1.2")
    ),
    "other": ether(0x88CC, bytes(46)),
    "short-ip": ether(0x0800, bytes.fromhex("4500")),
    "short-udp": ether(0x0800, ip("10.0.1.2", "203.0.113.10", 17, b"\x0f")),
}

IP = {"udp", "tcp", "tcp-options", "sctp", "icmp", "first-fragment", "later-fragment", "short-ip", "short-udp"}

MATCHES: list[tuple[str, set[str]]] = [
    ("", set(PACKETS)),
    ("ip", IP),
    ("arp", {"arp"}),
    ("icmp", {"icmp"}),
    ("udp", {"udp", "first-fragment", "later-fragment", "short-udp"}),
    ("tcp", {"tcp", "tcp-options"}),
    ("not ip", {"arp", "rarp", "other"}),
    ("!ip && !arp", {"rarp", "other"}),
    ("host 10.0.1.1", {"arp"}),
    ("host 10.0.1.2", {"udp", "tcp", "icmp", "first-fragment", "later-fragment", "short-udp", "arp", "rarp"}),
    ("ip host 10.0.1.2", {"udp", "tcp", "icmp", "first-fragment", "later-fragment", "short-udp"}),
    ("arp host 10.0.1.1", {"arp"}),
    ("src host 10.0.1.2", {"udp", "first-fragment", "later-fragment", "short-udp", "arp", "rarp"}),
    ("dst 10.0.1.2", {"tcp", "icmp", "rarp"}),
    ("src and dst host 10.0.1.2", {"rarp"}),
    ("src or dst host 10.0.1.1", {"arp"}),
    ("src net 10.0.1.0/24 and udp", {"udp", "first-fragment", "later-fragment", "short-udp"}),
    ("net 10.0.1", {"udp", "tcp", "icmp", "first-fragment", "later-fragment", "short-udp", "arp", "rarp"}),
    ("net 10.0.1.0", set()),
    ("net 192", {"tcp", "tcp-options", "sctp"}),
    ("host 192.168", {"tcp", "tcp-options", "sctp"}),
    ("net 0.0.0.0/0 and not ip", {"arp", "rarp"}),
    ("port 80", {"udp", "tcp-options", "sctp", "first-fragment"}),
    ("dst port 80", {"udp", "first-fragment"}),
    ("src port 80", {"tcp-options", "sctp"}),
    ("src and dst port 80", set()),
    ("tcp port 80 or 443", {"tcp", "tcp-options"}),
    ("tcp port (80 or 443)", {"tcp", "tcp-options"}),
    ("port 4000 or (443 or 81)", {"udp", "first-fragment", "tcp", "tcp-options", "sctp"}),
    ("host 10.0.1.1 or 192.168.0.3", {"arp", "tcp", "tcp-options", "sctp"}),
    ("not host 10.0.1.2 and 203.0.113.10", {"tcp-options", "sctp"}),
    ("arp or udp and port 80", {"udp", "first-fragment"}),
    ("arp or (udp and port 80)", {"arp", "udp", "first-fragment"}),
    ("udp and not port 80", {"later-fragment"}),
    ("not not icmp", {"icmp"}),
]


@pytest.mark.parametrize(("text", "expected"), MATCHES, ids=[text or "empty" for text, _ in MATCHES])
def test_a_filter_matches_what_libpcap_matches(text: str, expected: set[str]) -> None:
    compiled = compile_filter(text)
    assert {name for name, octets in PACKETS.items() if compiled.matches(octets)} == expected


def test_a_device_without_link_headers_is_judged_from_the_ip_header_on() -> None:
    compiled = compile_filter("src net 10.0.1.0/24 and port 80")
    assert compiled.matches(PACKETS["udp"][14:], link_header=False)
    assert not compiled.matches(PACKETS["arp"][14:], link_header=False)
    assert not compile_filter("arp").matches(PACKETS["udp"][14:], link_header=False)


def test_nothing_matches_octets_too_short_to_be_a_frame() -> None:
    assert not compile_filter("not tcp").matches(b"\x02\x00")
    assert not compile_filter("not tcp").matches(b"", link_header=False)


ERRORS: list[tuple[str, int, str]] = [
    (
        "portrange 80-90",
        0,
        '"portrange" is a pcap-filter word that netsim does not take (list the ports: `port 80 or 81`)',
    ),
    ("ip and ether host 02:00:00:00:00:01", 7, '"ether" is a pcap-filter word that netsim does not take'),
    ("src net 10.0.1.0/24 and vlan 3", 24, '"vlan" is a pcap-filter word'),
    ("udp[4] = 3", 3, '"[" cannot stand in a filter (packet data and arithmetic are not taken)'),
    ("host 10.0.1.0/24", 5, "Mask syntax for networks only (write `net 10.0.1.0/24`)"),
    ("net 10.0.1.1/24", 4, "non-network bits set in 10.0.1.1/24 (the network is 10.0.1.0/24)"),
    ("net 10.0.1.0/33", 4, '"33" is not a prefix length (0 to 32)'),
    ("port 70000", 5, "illegal port number 70000 > 65535"),
    ("port web", 5, '"web" is not a port (a number: service names differ between machines)'),
    ("icmp host 10.0.0.1", 0, "'icmp' modifier applied to host (write `icmp and host ...`)"),
    ("udp and ip port 80", 8, '"ip" has no ports'),
    ("10.0.0.1", 0, '"10.0.0.1" stands alone (write `host 10.0.0.1`'),
    ("(port 80) or 90", 13, '"90" stands alone'),
    ("tcp 80", 4, '"80" is out of place (write `tcp host ...` or `tcp port ...`)'),
    ("host box3", 5, '"box3" is not an IPv4 address (names are not looked up)'),
    ("host 10.0.0.256", 5, '"10.0.0.256" is not an IPv4 address'),
    ("udp port", 8, "a port number is expected, not the filter's end"),
    ("src", 3, "an address is expected, not the filter's end"),
    ("tcp and", 7, "the filter ends where a test is expected"),
    ("(tcp or udp", 0, '"(" is never closed'),
    ("tcp udp", 4, '"udp" is out of place (join tests with `and` or `or`)'),
    ("tcp or or udp", 7, '"or" is out of place (a test is expected here)'),
    ("tcp & udp", 4, '"&" cannot stand in a filter'),
    ("tcp port 80 and 10.0.0.1", 16, '"10.0.0.1" is not a port'),
    ("scr host 10.0.0.1", 0, '"scr" is not a word of a filter (did you mean "src"?)'),
]


@pytest.mark.parametrize(("text", "column", "message"), ERRORS, ids=[text for text, _, _ in ERRORS])
def test_a_filter_that_cannot_be_read_says_the_word_and_where(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    said = caught.value.what + (f" ({caught.value.hint})" if caught.value.hint else "")
    assert (caught.value.column, said[: len(message)]) == (column, message)


def test_a_filter_error_prints_the_text_with_a_caret() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter("udp and vlan 3")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(
        'filter:1:9: "vlan" is a pcap-filter word that netsim does not take (words known here: src'
    )
    assert lines[1:] == ["    udp and vlan 3", "            ^"]
