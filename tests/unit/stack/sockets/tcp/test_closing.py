"""Ending connections: FIN both ways, at once, half; RST; TIME_WAIT and its exceptions; orphans."""

from __future__ import annotations

from netsim.stack.errno import EAGAIN, ECONNRESET, ENOTCONN, EPIPE, Refusal
from netsim.stack.sockets.tcp.state import (
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT1,
    TCP_FIN_WAIT2,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
)
from netsim.units import ms, sec


def test_the_four_segments_of_an_orderly_end(net):
    client, server = net.open()
    net.run(sec(1))
    net.log.clear()
    net.a.close(client)
    assert client.state == TCP_FIN_WAIT1
    net.run(sec(1) + ms(1))
    assert server.state == TCP_CLOSE_WAIT
    assert net.b.read(server) == b""
    net.run(sec(1) + ms(100))
    assert client.state == TCP_FIN_WAIT2
    net.b.close(server)
    assert server.state == TCP_LAST_ACK
    net.run(sec(1) + ms(102))
    assert (client.state, server.state) == (TCP_TIME_WAIT, TCP_CLOSE)
    assert [(s.seconds, s.src, s.flags) for s in net.log] == [
        (1.0, "a", "F."), (1.004, "b", "."), (1.1, "b", "F."), (1.101, "a", "."),
    ]  # fmt: skip
    assert not net.b.tcp._ctx.demux.connections


def test_time_wait_lasts_sixty_seconds(net):
    client, server = net.open()
    net.a.close(client)
    net.run(sec(1))
    net.b.close(server)
    net.run(sec(60))
    assert client.state == TCP_TIME_WAIT
    net.run(sec(63))
    assert client.state == TCP_CLOSE
    assert not net.a.tcp._ctx.demux.connections


def test_both_close_at_once(net):
    """RFC 9293 figure 13."""
    client, server = net.open()
    net.run(sec(1))
    net.a.close(client)
    net.b.close(server)
    net.run(sec(1) + ms(1))
    assert (client.state, server.state) == (TCP_CLOSING, TCP_CLOSING)
    net.run(sec(1) + ms(3))
    assert (client.state, server.state) == (TCP_TIME_WAIT, TCP_TIME_WAIT)


def test_a_half_closed_connection_still_carries_the_other_direction(net):
    client, server = net.open()
    net.a.write(client, b"request")
    assert net.a.tcp.shutdown(client, now=net.now)
    net.run(sec(1))
    assert net.a.write(client, b"more") == Refusal(EPIPE)
    assert net.b.read(server) == b"request"
    assert net.b.read(server) == b""
    net.b.write(server, b"answer")
    net.run(sec(2))
    assert net.a.read(client) == b"answer"
    assert net.a.read(client) == Refusal(EAGAIN)
    assert (client.state, server.state) == (TCP_FIN_WAIT2, TCP_CLOSE_WAIT)


def test_fin_rides_on_the_last_data(net):
    client, _ = net.open()
    net.run(sec(1))
    net.log.clear()
    net.a.write(client, bytes(20_000))
    net.a.shutdown(client)
    net.run(sec(2))
    last = net.sent("a", data=True)[-1]
    assert last.flags == "FP."
    assert last.seq + last.size == 20_001


def test_closing_with_unread_data_resets(net):
    """RFC 2525 section 2.17; __tcp_close(), data_was_unread."""
    client, server = net.open()
    net.a.write(client, b"never read")
    net.run(sec(1))
    net.b.close(server)
    net.run(sec(2))
    assert net.log[-1].flags == "R."
    assert [error.errno for error in client.errors] == [ECONNRESET]
    assert (client.state, server.state) == (TCP_CLOSE, TCP_CLOSE)
    assert net.a.write(client, b"x") == Refusal(ECONNRESET)
    assert net.a.write(client, b"x") == Refusal(EPIPE)


def test_an_abort_resets_and_the_peer_hears_econnreset(net):
    client, server = net.open()
    net.run(sec(1))
    net.a.close(client, abort=True)
    net.run(sec(2))
    assert (net.log[-1].src, net.log[-1].flags) == ("a", "R.")
    assert [event for t, event in net.b.events(server)] == ["error"]
    assert not net.b.drops
    assert net.b.read(server) == Refusal(ECONNRESET)
    assert net.b.read(server) == b""


def test_data_for_a_closed_application_is_answered_with_rst(net):
    """RFC 1122 4.2.2.13."""
    client, server = net.open()
    net.run(sec(1))
    net.a.close(client)
    net.run(sec(1) + ms(100))
    net.b.write(server, b"too late")
    net.run(sec(2))
    assert net.log[-1].flags == "R"
    assert [reason for _, reason in net.a.drops] == ["TCP_ABORT_ON_DATA"]
    assert (client.state, server.state) == (TCP_CLOSE, TCP_CLOSE)


def test_an_orphan_waits_sixty_seconds_for_the_peers_fin(net):
    client, server = net.open()
    net.a.close(client)
    net.run(sec(30))
    assert client.state == TCP_FIN_WAIT2
    net.run(sec(63))
    assert client.state == TCP_CLOSE
    net.b.close(server)
    net.run(sec(64))
    assert (net.log[-1].src, net.log[-1].flags) == ("a", "R")


def test_a_lost_last_ack_is_repeated_in_time_wait(net):
    client, server = net.open()
    net.a.close(client)
    net.run(sec(1))
    net.fate = lambda n, seen: "lose" if seen.src == "a" else ""
    net.b.close(server)
    net.run(sec(1) + ms(100))
    assert client.state == TCP_TIME_WAIT
    assert server.state == TCP_LAST_ACK
    net.fate = lambda n, seen: ""
    net.run(sec(2))
    assert server.state == TCP_CLOSE
    fins = [s for s in net.sent("b") if "F" in s.flags]
    assert len(fins) == 2
    assert net.log[-1].ident == 0


def test_a_newer_syn_ends_time_wait(net):
    """RFC 9293 section 3.6.1: a SYN above what was seen opens anew; TIME_WAIT must not hinder a restarted peer."""
    client, server = net.open(sport=40_000)
    net.b.close(server)
    net.run(sec(1))
    net.a.close(client)
    net.run(sec(2))
    assert server.state == TCP_TIME_WAIT
    again = net.a.connect(net.b, sport=40_000)
    net.run(sec(3))
    assert again.state == TCP_ESTABLISHED
    assert server.state == TCP_CLOSE


def test_a_connecting_socket_can_be_closed(net):
    net.fate = lambda n, seen: "lose"
    client = net.a.connect(net.b)
    net.a.close(client)
    net.run(sec(10))
    assert client.state == TCP_CLOSE
    assert len(net.log) == 1


def test_closing_a_listener_resets_who_waits(net):
    listener = net.b.listen()
    client = net.a.connect(net.b)
    net.run(ms(10))
    net.b.close(listener)
    net.run(sec(1))
    assert [error.errno for error in client.errors] == [ECONNRESET]
    assert not net.b.tcp._ctx.demux.connections
    assert net.b.tcp.bind(net.b.socket(), 0, 80) == 80


def test_shutdown_wants_a_connection(net):
    assert net.a.shutdown(net.a.socket()) == Refusal(ENOTCONN)
    assert net.a.read(net.a.socket()) == Refusal(ENOTCONN)


def test_an_orphan_with_a_dead_peer_gives_up_after_eight_time_outs(net):
    """tcp_orphan_retries 0 means 8: (2^9 - 1) x 0.2 s = 102.2 s."""
    client, _ = net.open()
    net.run(sec(1))
    net.fate = lambda n, seen: "lose"
    net.a.close(client)
    net.run(sec(100))
    assert client.state == TCP_FIN_WAIT1
    net.run(sec(220))
    assert client.state == TCP_CLOSE


def test_a_fin_that_comes_early_is_sacked_with_its_octets(make_net, drain):
    """Its number is part of the block, or the sender would take the last segment for lost. Asked of 6.18."""
    net = make_net(delay=ms(10))
    client, server = net.open()
    reader = drain(net.b, server)
    net.run(sec(1))
    net.log.clear()
    net.fate = lambda n, seen: "lose" if seen.src == "a" and seen.seq == 1 and net.now < sec(1) + ms(1) else ""
    net.a.write(client, bytes(2000))
    net.a.shutdown(client)
    net.run(sec(1) + ms(25))
    *_, (block,) = (seen.options.sack for seen in net.sent("b") if seen.options.sack)
    assert (block[1] - block[0]) == 2000 - 1448 + 1
    net.run(sec(3))
    assert reader.data == bytes(2000)
    assert [seen.seq for seen in net.sent("a", data=True)].count(1449) == 1
