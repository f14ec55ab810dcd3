"""No reader falls over hostile octets: cut anywhere, changed anywhere, or never a packet at all."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from netsim.wire import arp, ether, icmp, ipv4, tcp, udp
from netsim.wire.octets import Octets, Truncated
from netsim.wire.rewrite import resum, rewrite_ipv4
from netsim.wire.scapy_view import dissect
from netsim.wire.summary import summary
from netsim.wire.verify import verify, verify_quoted

READERS: tuple[Callable[[Octets], object], ...] = (
    ether.parse_ether, ether.ether_proto, arp.parse_arp, ipv4.parse_ipv4, ipv4.addresses, ipv4.header_len,
    ipv4.header_error, ipv4.option_octets, udp.parse_udp, tcp.parse_tcp, tcp.option_octets, tcp.parse_options,
    icmp.parse_icmp, lambda data: list(ipv4.iter_options(data)), lambda data: list(tcp.iter_options(data)),
)  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Return an IP packet that was right once: options, payload, then octets changed and the end cut off."""
    proto = draw(st.sampled_from([1, 6, 17, 132, 99]))
    payload = draw(st.binary(max_size=20))
    if proto == 6:
        segment = tcp.build_tcp(1, 2, 3, 4, 5, 6, draw(st.integers(0, 255)), 7, payload, draw(st.binary(max_size=40)))
    elif proto == 17:
        segment = udp.build_udp(1, 2, 3, 4, payload)
    elif proto == 1:
        inner = ipv4.build_ipv4(1, 2, 17, len(payload)) + payload
        segment = icmp.build_icmp(draw(st.integers(0, 20)), draw(st.integers(0, 16)), 9, inner)
    else:
        segment = payload
    packet = bytearray(ipv4.build_ipv4(1, 2, proto, len(segment), options=draw(st.binary(max_size=12))) + segment)
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(packet) - 1), st.integers(0, 255)), max_size=5)):
        packet[at] = value
    return bytes(packet[: draw(st.integers(0, len(packet)))]) if draw(st.booleans()) else bytes(packet)


OCTETS = mangled() | st.binary(max_size=80)


@given(OCTETS)
def test_readers_raise_truncated_or_nothing(octets):
    refusals: list[Truncated] = []
    for read in READERS:
        for data in (octets, bytearray(octets)):
            try:
                read(data)
            except Truncated as refusal:
                refusals.append(refusal)
    assert all(refusal.have < refusal.need for refusal in refusals)


@given(OCTETS, st.booleans())
def test_summary_is_one_line(octets, link_header):
    line = summary(octets, link_header)
    assert line
    assert line.isprintable()


@given(OCTETS)
def test_verify_answers(octets):
    assert isinstance(verify(octets), str)
    assert isinstance(verify_quoted(octets), str)


@given(OCTETS, st.integers(0, 3))
def test_rewrite_keeps_the_length_and_refuses_whole(octets, offset):
    work = bytearray(octets)
    done = rewrite_ipv4(work, saddr=3, daddr=4, sport=5, dport=6, icmp_id=7, offset=offset)
    assert len(work) == len(octets)
    if not done:
        assert work == octets


@given(OCTETS)
def test_resum_raises_truncated_or_makes_a_right_packet(octets):
    work = bytearray(octets)
    try:
        resum(work)
    except Truncated:
        return
    if work[0] >> 4 == 4 and work[0] & 15 >= 5 and work[9] in (1, 17):
        assert verify(work) == ""


@given(OCTETS, st.booleans())
def test_scapy_takes_anything_and_gives_it_back(octets, link_header):
    assert bytes(dissect(octets, link_header=link_header)) == octets
