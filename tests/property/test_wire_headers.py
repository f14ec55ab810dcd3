"""Random packets: our octets are scapy's, and reading gives back what was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netsim.addr import ip_str, mac_str
from netsim.wire import arp, ether, icmp, ipv4, tcp, udp
from netsim.wire.scapy_view import dissect, to_octets
from netsim.wire.verify import verify

U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
MAC = st.binary(min_size=6, max_size=6)
PAYLOAD = st.binary(max_size=40) | st.integers(0, 80).map(bytes) | st.integers(0, 80).map(lambda n: b"\xff" * n)
IP_OPTIONS = st.lists(
    st.tuples(st.sampled_from([ipv4.IPOPT_RR, ipv4.IPOPT_RA, ipv4.IPOPT_LSRR]), st.binary(max_size=8))
    | st.just((ipv4.IPOPT_NOOP, b"")),
    max_size=4,
)
TCP_OPTIONS = st.builds(
    tcp.TcpOptions,
    mss=st.none() | U16,
    wscale=st.none() | st.integers(0, 14),
    sack_permitted=st.booleans(),
    timestamp=st.none() | st.tuples(U32, U32),
    sack=st.just(()),
) | st.builds(
    tcp.TcpOptions,
    mss=st.none(),
    wscale=st.none(),
    sack_permitted=st.just(False),
    timestamp=st.none() | st.tuples(U32, U32),
    sack=st.lists(st.tuples(U32, U32), max_size=3).map(tuple),
)


@given(MAC, MAC, U16)
def test_ether(dst, src, proto):
    built = ether.build_ether(dst, src, proto)
    assert built == to_octets(Ether(dst=mac_str(dst), src=mac_str(src), type=proto))
    assert ether.parse_ether(built) == (dst, src, proto)


@given(U16, MAC, U32, MAC, U32)
def test_arp(op, sha, spa, tha, tpa):
    built = arp.build_arp(op, sha, spa, tha, tpa)
    theirs = ARP(op=op, hwsrc=mac_str(sha), psrc=ip_str(spa), hwdst=mac_str(tha), pdst=ip_str(tpa))
    assert built == to_octets(theirs)
    assert arp.parse_arp(built) == (1, 0x0800, 6, 4, op, sha, spa, tha, tpa)


@given(U32, U32, U8, st.integers(0, 200), U8, U8, U16, U16, IP_OPTIONS)
def test_ipv4(src, dst, proto, size, ttl, tos, ident, frag_off, options):
    octets = ipv4.build_options(*options)
    built = ipv4.build_ipv4(src, dst, proto, size, ttl=ttl, tos=tos, ident=ident, frag_off=frag_off, options=octets)
    theirs = IP(
        src=ip_str(src), dst=ip_str(dst), proto=proto, ttl=ttl, tos=tos, id=ident, flags=frag_off >> 13,
        frag=frag_off & 0x1FFF, options=[Raw(octets)] if octets else [], len=len(built) + size,
    )  # fmt: skip
    assert built == bytes(theirs)
    parsed = ipv4.parse_ipv4(built)
    assert parsed[2:8] == (tos, len(built) + size, ident, frag_off, ttl, proto)
    assert (parsed.saddr, parsed.daddr) == (src, dst) == ipv4.addresses(built)
    assert ipv4.header_error(built + bytes(size)) == ""
    assert [(kind, data) for kind, data, _ in ipv4.iter_options(octets)] == options


@given(U32, U32, U16, U16, PAYLOAD)
def test_udp(src, dst, sport, dport, payload):
    segment = udp.build_udp(src, dst, sport, dport, payload)
    packet = ipv4.build_ipv4(src, dst, 17, len(segment), ident=1) + segment
    assert packet == to_octets(IP(src=ip_str(src), dst=ip_str(dst)) / UDP(sport=sport, dport=dport) / payload)
    assert udp.parse_udp(segment)[:3] == (sport, dport, 8 + len(payload))
    assert verify(packet) == ""


@given(U32, U32, U16, U16, U32, U32, U8, U16, U16, TCP_OPTIONS, PAYLOAD)
def test_tcp(src, dst, sport, dport, seq, ack, flags, window, urg, options, payload):
    octets = tcp.build_options(**options._asdict())
    segment = tcp.build_tcp(src, dst, sport, dport, seq, ack, flags, window, payload, octets, urg)
    packet = ipv4.build_ipv4(src, dst, 6, len(segment), ident=1) + segment
    theirs = IP(src=ip_str(src), dst=ip_str(dst)) / TCP(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window, urgptr=urg, options=scapy_tcp(options)
    )
    assert packet == to_octets(theirs / payload)
    parsed = tcp.parse_tcp(segment)
    assert parsed[:7] == (sport, dport, seq, ack, 20 + len(octets), flags, window)
    assert tcp.parse_options(tcp.option_octets(segment)) == options
    assert verify(packet) == ""


def scapy_tcp(options: tcp.TcpOptions) -> list[tuple[str, object]]:
    out: list[tuple[str, object]] = []
    if options.mss is not None:
        out.append(("MSS", options.mss))
    if options.timestamp is not None:
        out += [("SAckOK", b"")] if options.sack_permitted else [("NOP", None), ("NOP", None)]
        out.append(("Timestamp", options.timestamp))
    elif options.sack_permitted:
        out += [("NOP", None), ("NOP", None), ("SAckOK", b"")]
    if options.wscale is not None:
        out += [("NOP", None), ("WScale", options.wscale)]
    if options.sack:
        out += [("NOP", None), ("NOP", None), ("SAck", tuple(edge for block in options.sack for edge in block))]
    return out


@given(st.sampled_from([0, 8]), U16, U16, PAYLOAD)
def test_icmp_query(kind, ident, seq, payload):
    message = icmp.build_query(kind, ident, seq, payload)
    assert message == to_octets(ICMP(type=kind, id=ident, seq=seq) / payload)
    assert icmp.parse_icmp(message)[3:] == (ident, seq)


@given(U32, U32, st.sampled_from([(3, 1), (3, 3), (11, 0), (11, 1)]), PAYLOAD)
def test_icmp_error(src, dst, kind_code, payload):
    kind, code = kind_code
    quoted = ipv4.build_ipv4(src, dst, 99, len(payload)) + payload
    message = icmp.build_icmp(kind, code, 0, quoted)
    assert message == to_octets(ICMP(type=kind, code=code) / quoted)
    packet = ipv4.build_ipv4(dst, src, 1, len(message)) + message
    assert verify(packet) == ""


@given(U32, U32, U16, U16, PAYLOAD)
def test_dissecting_gives_the_same_octets_back(src, dst, sport, dport, payload):
    segment = udp.build_udp(src, dst, sport, dport, payload)
    frame = ether.build_ether(bytes(6), bytes(6)) + ipv4.build_ipv4(src, dst, 17, len(segment)) + segment
    packet = dissect(frame)
    assert bytes(packet) == frame
    assert (packet[UDP].sport, packet[UDP].dport) == (sport, dport)
