"""Segments that do not belong: RFC 5961's challenges, PAWS, bad sums, what lies outside the window."""

from __future__ import annotations

import pytest

from netsim.stack.errno import ECONNRESET, EHOSTUNREACH, ETIMEDOUT
from netsim.stack.sockets.tcp.state import TCP_CLOSE, TCP_ESTABLISHED
from netsim.units import ms, sec
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, build_options, build_tcp


@pytest.fixture
def pair(net):
    """An established pair 2 s later, its log empty."""
    client, server = net.open()
    net.run(sec(2))
    net.log.clear()
    return net, client, server


def forge(net, client, server, *, seq=0, ack=0, flags=TCPHDR_ACK, payload=b"", age=0):
    """Give b a segment as from a; `seq`, `ack` relative to what is expected, `age` of the stamp in ms."""
    stamp = build_options(timestamp=((net.now // ms(1) + client.ts_offset - age) & 0xFFFFFFFF, 0))
    segment = build_tcp(
        net.a.addr, net.b.addr, client.port, 80, (server.rcv.rcv_nxt + seq) & 0xFFFFFFFF,
        (server.snd_una + ack) & 0xFFFFFFFF, flags, 500, payload, stamp,
    )  # fmt: skip
    skb = net.b.build(None, net.a.addr, net.b.addr, 6, segment, ident=0)
    net.b.receive(bytes(skb.data), 1)


def test_a_reset_that_fits_exactly_ends_the_connection(pair):
    net, client, server = pair
    forge(net, client, server, flags=TCPHDR_RST)
    assert server.state == TCP_CLOSE
    assert [error.errno for error in server.errors] == [ECONNRESET]
    assert net.b.drops == []


def test_a_reset_inside_the_window_is_challenged(pair):
    """RFC 5961 section 3.2."""
    net, client, server = pair
    forge(net, client, server, seq=100, flags=TCPHDR_RST)
    assert server.state == TCP_ESTABLISHED
    assert [(s.src, s.flags) for s in net.log] == [("b", ".")]
    assert [reason for _, reason in net.b.drops] == ["TCP_RESET"]


def test_a_syn_is_challenged(pair):
    """RFC 5961 section 4.2."""
    net, client, server = pair
    forge(net, client, server, flags=TCPHDR_SYN)
    assert server.state == TCP_ESTABLISHED
    assert [(s.src, s.flags) for s in net.log] == [("b", ".")]
    assert [reason for _, reason in net.b.drops] == ["TCP_INVALID_SYN"]


def test_challenges_are_limited_to_one_in_half_a_second(pair):
    net, client, server = pair
    for _ in range(5):
        forge(net, client, server, flags=TCPHDR_SYN)
    assert len(net.log) == 1
    net.run(net.now + ms(600))
    forge(net, client, server, flags=TCPHDR_SYN)
    assert len([s for s in net.log if s.src == "b"]) == 2


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"seq": 200_000, "payload": b"x"}, "TCP_INVALID_SEQUENCE"),
        ({"seq": -200_000, "payload": b"x"}, "TCP_OLD_SEQUENCE"),
        ({"age": 5000, "payload": b"x"}, "TCP_RFC7323_PAWS"),
        ({"ack": 1000, "payload": b"x"}, "TCP_ACK_UNSENT_DATA"),
        ({"ack": -200_000, "payload": b"x"}, "TCP_TOO_OLD_ACK"),
        ({"flags": 0, "payload": b"x"}, "TCP_FLAGS"),
        ({"flags": TCPHDR_FIN, "payload": b"x"}, "TCP_FLAGS"),
    ],
)
def test_what_does_not_belong_is_dropped_by_name(pair, case, reason):
    net, client, server = pair
    forge(net, client, server, **case)
    assert [reason for _, reason in net.b.drops] == [reason]
    assert server.state == TCP_ESTABLISHED
    assert server.rcv.queued == 0


def test_a_damaged_segment_is_dropped_in_silence(pair):
    net, client, _ = pair
    net.fate = lambda n, seen: "lose"
    net.a.write(client, b"hello")
    octets = bytearray(net.log[-1].octets)
    octets[-1] ^= 1
    net.log.clear()
    net.b.receive(bytes(octets), 1)
    assert [reason for _, reason in net.b.drops] == ["TCP_CSUM"]
    assert net.log == []


def test_a_header_that_lies_about_its_length_is_dropped(pair):
    net, client, _ = pair
    net.fate = lambda n, seen: "lose"
    net.a.write(client, b"hello")
    octets = bytearray(net.log[-1].octets)
    octets[32] = 0xF0
    net.b.receive(bytes(octets), 1)
    octets[32] = 0x40
    net.b.receive(bytes(octets), 1)
    assert [reason for _, reason in net.b.drops] == ["PKT_TOO_SMALL"] * 2


def test_keepalive_finds_a_dead_peer(pair):
    """tcp_keepalive_timer(): 10 s idle, then probes at 2 s; three without an answer end it."""
    net, client, _ = pair
    for name, value in (("keepidle", sec(10)), ("keepintvl", sec(2)), ("keepcnt", 3), ("keepalive", 1)):
        net.a.tcp.option(client, name, value, now=net.now)
    net.run(sec(30))
    probes = net.sent("a")
    assert [s.seconds for s in probes] == [12.032, 22.272]
    assert {(s.seq, s.size, s.flags) for s in probes} == {(0, 0, ".")}
    assert client.state == TCP_ESTABLISHED
    net.fate = lambda n, seen: "lose"
    net.log.clear()
    net.run(sec(60))
    assert [(s.seconds, s.flags) for s in net.sent("a")] == [(32.512, "."), (34.528, "."), (36.544, "."), (38.56, "R.")]
    assert client.state == TCP_CLOSE


def test_keepalive_counts_probes_that_find_no_route(pair):
    """tcp_write_wakeup() answers a negative errno, and `<= 0` counts as sent."""
    net, client, _ = pair
    for name, value in (("keepidle", sec(10)), ("keepintvl", sec(2)), ("keepcnt", 3), ("keepalive", 1)):
        net.a.tcp.option(client, name, value, now=net.now)
    net.a.routing.refuse = EHOSTUNREACH
    net.a.routing.generation += 1
    net.run(sec(30))
    assert client.state == TCP_CLOSE
    assert [error.errno for error in client.errors] == [ETIMEDOUT]


def test_an_idle_connection_without_keepalive_is_silent(pair):
    net, client, server = pair
    net.run(sec(100_000))
    assert net.log == []
    assert (client.state, server.state) == (TCP_ESTABLISHED, TCP_ESTABLISHED)
