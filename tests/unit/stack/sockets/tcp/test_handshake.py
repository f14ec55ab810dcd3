"""Opening connections: what a SYN says, when it is repeated, and how it fails. Times are literal, in seconds."""

from __future__ import annotations

import pytest

from netsim.stack.errno import (
    EADDRINUSE,
    EALREADY,
    ECONNREFUSED,
    EHOSTUNREACH,
    EISCONN,
    ENETUNREACH,
    ETIMEDOUT,
    Refusal,
)
from netsim.stack.sockets.tcp.state import TCP_CLOSE, TCP_ESTABLISHED, TCP_SYN_RECV
from netsim.units import ms, sec
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_HOST_UNREACH


def test_a_handshake_looks_like_linux_on_the_wire(net):
    """observed-linux 13: SYN 60 bytes (mss, sack, ts, wscale), DF, win 64240; SYN+ACK id 0, win 65160."""
    net.open()
    syn, synack, ack = net.log
    assert [(s.seconds, s.src, s.flags) for s in net.log] == [(0.0, "a", "S"), (0.001, "b", "S."), (0.002, "a", ".")]
    assert [s.window for s in net.log] == [64240, 65160, 502]
    assert [len(s.octets) for s in net.log] == [60, 60, 52]
    assert all(s.df for s in net.log)
    for s in (syn, synack):
        assert (s.options.mss, s.options.wscale, s.options.sack_permitted) == (1460, 7, True)
    assert syn.octets[40:60].hex(" ")[:23] == "02 04 05 b4 04 02 08 0a"
    assert syn.octets[56:60] == b"\x01\x03\x03\x07"
    assert synack.ident == 0
    assert ack.ident == (syn.ident + 1) & 0xFFFF
    assert synack.options.timestamp[1] == syn.options.timestamp[0]


def test_both_ends_are_told(net):
    client, server = net.open()
    assert (client.state, server.state) == (TCP_ESTABLISHED, TCP_ESTABLISHED)
    assert net.a.events(client) == [(0.002, "connected")]
    assert [event for _, _, event in net.b.wakes] == ["accepted"]
    assert (server.peer, server.peer_port) == (net.a.addr, client.port)


def test_a_syn_is_repeated_after_1_1_1_1_1_2_4_seconds_and_given_up_after_131(net):
    """tcp_syn_linear_timeouts 4, tcp_syn_retries 6; observed-linux 2: 0, 1.01, 2.03, 3.06."""
    net.fate = lambda n, seen: "lose"
    client = net.a.connect(net.b)
    net.run(sec(300))
    assert net.times("a", data=False) == [
        0.0, 1.024, 2.048, 3.072, 4.096, 5.12, 7.136, 11.264, 19.456, 35.584, 69.632,
    ]  # fmt: skip
    assert net.a.events(client) == [(135.168, "error")]
    assert [error.errno for error in client.errors] == [ETIMEDOUT]
    assert client.state == TCP_CLOSE


def test_tcp_syn_retries_and_linear_timeouts_are_settings(net):
    net.a.sysctl.ipv4.tcp_syn_retries = 2
    net.a.sysctl.ipv4.tcp_syn_linear_timeouts = 0
    net.fate = lambda n, seen: "lose"
    client = net.a.connect(net.b)
    net.run(sec(300))
    assert net.times("a", data=False) == [0.0, 1.024, 3.04]
    assert net.a.events(client) == [(7.168, "error")]


def test_a_syn_ack_is_repeated_after_1_2_4_seconds_up_to_five_times(net):
    net.b.listen()
    net.fate = lambda n, seen: "" if n == 1 else "lose"
    net.a.connect(net.b)
    net.run(sec(100))
    assert net.times("b", data=False) == [0.001, 1.024, 3.04, 7.168, 15.36, 31.488]
    assert not net.b.tcp._ctx.demux.connections


def test_a_closed_port_answers_rst_with_id_0_and_window_0(net):
    client = net.a.connect(net.b)
    net.run(sec(1))
    rst = net.log[1]
    assert (rst.flags, rst.ident, rst.window, rst.df, rst.ack) == ("R.", 0, 0, True, 1)
    assert [error.errno for error in client.errors] == [ECONNREFUSED]
    assert net.a.events(client) == [(0.002, "error")]
    assert [reason for _, reason in net.b.drops] == ["NO_SOCKET"]


def test_host_unreachable_fails_a_connecting_socket_at_once(net):
    """observed-linux 2: fails with EHOSTUNREACH at the first ICMP/ARP failure."""
    net.fate = lambda n, seen: "lose"
    client = net.a.connect(net.b)
    net.run(sec("3.06"))
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, net.log[-1].octets[:28], now=net.now, offender=7)
    net.a.pump()
    assert [(error.errno, error.offender) for error in client.errors] == [(EHOSTUNREACH, 7)]
    assert net.a.events(client) == [(3.06, "error")]
    net.run(sec(200))
    assert len(net.log) == 3


def test_no_route_is_refused_and_changes_nothing(net):
    net.a.routing.refuse = ENETUNREACH
    client = net.a.socket()
    assert net.a.tcp.connect(client, net.b.addr, 80, now=0) == Refusal(ENETUNREACH)
    assert (client.state, client.addr, client.port, client.peer) == (TCP_CLOSE, 0, 0, 0)


def test_connect_looks_up_its_route_for_the_source_with_it_and_with_the_port(net):
    """tcp_v4_connect(): ip_route_connect() twice, ip_route_newports() once."""
    client = net.a.connect(net.b)
    a, b = net.a.addr, net.b.addr
    assert net.a.routing.lookups == [(0, 0, b, 80), (a, 0, b, 80), (a, client.port, b, 80)]
    assert 32768 <= client.port <= 60999


def test_a_second_connect_is_refused(net):
    client = net.a.connect(net.b)
    assert net.a.tcp.connect(client, net.b.addr, 80, now=0) == Refusal(EALREADY)
    client, _ = net.open(port=81)
    assert net.a.tcp.connect(client, net.b.addr, 80, now=0) == Refusal(EISCONN)


def test_a_port_somebody_listens_on_is_in_use(net):
    net.b.listen(80)
    assert net.b.tcp.bind(net.b.socket(), 0, 80) == Refusal(EADDRINUSE)
    assert net.b.tcp.bind(net.b.socket(), 0, 81) == 81


def test_simultaneous_open_ends_established_on_both_sides(net):
    """RFC 9293 figure 7."""
    a = net.a.connect(net.b, 2000, sport=1000)
    b = net.b.connect(net.a, 1000, sport=2000)
    net.run(ms(1))
    assert (a.state, b.state) == (TCP_SYN_RECV, TCP_SYN_RECV)
    net.run(ms(10))
    assert (a.state, b.state) == (TCP_ESTABLISHED, TCP_ESTABLISHED)
    assert [s.flags for s in net.log] == ["S", "S", "S.", "S.", ".", "."]
    net.a.write(a, b"to b")
    net.b.write(b, b"to a")
    net.run(ms(100))
    assert (net.a.read(a), net.b.read(b)) == (b"to a", b"to b")


@pytest.mark.parametrize("name", ["tcp_sack", "tcp_timestamps", "tcp_window_scaling"])
def test_an_option_is_used_only_when_both_have_it(net, name):
    setattr(net.b.sysctl.ipv4, name, 0)
    client, server = net.open()
    off = {"tcp_sack": "sack", "tcp_timestamps": "timestamps", "tcp_window_scaling": "wscale"}[name]
    for sock in (client, server):
        used = {what: getattr(sock.options, what) for what in ("sack", "timestamps", "wscale")}
        assert used == {"sack": True, "timestamps": True, "wscale": True, off: False}
    assert client.mss == (1460 if name == "tcp_timestamps" else 1448)


def test_the_backlog_bounds_what_waits_to_be_accepted(net):
    """sk_acceptq_is_full(): a backlog of 1 lets two wait."""
    net.b.listen(backlog=1)
    clients = [net.a.connect(net.b) for _ in range(4)]
    net.run(ms(500))
    assert [client.state for client in clients][:2] == [TCP_ESTABLISHED] * 2
    assert [reason for _, reason in net.b.drops] == ["SOCKET_BACKLOG"] * 2


def test_a_repeated_syn_is_answered_again(net):
    net.b.listen()
    lost = []
    net.fate = lambda n, seen: "lose" if seen.flags == "S." and not lost and not lost.append(n) else ""
    client = net.a.connect(net.b)
    net.run(ms(1010))
    assert client.state == TCP_SYN_RECV - 1
    net.run(sec(2))
    assert client.state == TCP_ESTABLISHED
    assert net.times("b", data=False, flags="S.") == [0.001, 1.024, 1.025]


def test_an_ack_of_nothing_is_reset_by_a_listener(net):
    client, _ = net.open(port=81)
    net.b.listen(80)
    client.peer_port = 80
    net.a.write(client, b"x")
    net.run(net.now + ms(5))
    assert net.log[-1].flags == "R"
    assert net.b.drops[-1][1] == "TCP_FLAGS"
