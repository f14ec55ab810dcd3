"""Windows: closing, probing, opening; growth by right-sizing; the send buffer; segment sizes and the path's MTU."""

from __future__ import annotations

from itertools import pairwise

import pytest

from netsim.stack.errno import EAGAIN, ETIMEDOUT, Refusal
from netsim.stack.sockets.tcp.receiver import Receiver, initial_window
from netsim.stack.sockets.tcp.sndbuf import queued
from netsim.stack.sockets.tcp.state import TCP_CLOSE, TCP_ESTABLISHED, TCP_FIN_WAIT1
from netsim.units import ms, sec
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED


def gaps(times):
    return [round(late - early, 3) for early, late in pairwise(times)]


def test_a_reader_that_sleeps_closes_the_window_and_is_probed(net, feed):
    """RFC 9293 section 3.8.6.1; probes back off as time-outs do and are answered."""
    client, server = net.open()
    feed(net.a, client, bytes(300_000), fin=False)
    net.run(sec(40))
    assert server.rcv.queued > 60_000
    assert net.sent("b")[-1].window == 0
    probes = [s for s in net.log if s.src == "a" and not s.size and s.seconds > 0.1]
    assert gaps([s.seconds for s in probes])[:5] == [0.436, 0.864, 1.728, 3.616, 6.912]
    assert all(s.seq == server.rcv.rcv_nxt - 1 - server.rcv.copied_seq + 1 for s in probes)
    held = server.rcv.queued
    assert len(net.b.read(server)) == held
    net.run(sec(41))
    assert server.rcv.queued > 0
    assert client.cc.cwnd >= 10


def test_a_closed_window_never_ends_a_connection_while_probes_are_answered(net, feed):
    client, server = net.open()
    feed(net.a, client, bytes(300_000), fin=False)
    net.run(sec(5000))
    assert not client.errors
    assert net.b.read(server)


def test_a_closed_window_without_answers_ends_after_tcp_retries2_probes(net, feed):
    client, _ = net.open()
    feed(net.a, client, bytes(300_000), fin=False)
    net.run(sec(5))
    net.fate = lambda n, seen: "lose"
    net.run(sec(3000))
    assert [error.errno for error in client.errors] == [ETIMEDOUT]


def closed(net, feed, *, fin=False, orphan=False):
    """Write until the peer's window is closed; the writer."""
    client, _ = net.open()
    feed(net.a, client, bytes(300_000), fin=fin)
    net.run(sec(5))
    assert net.sent("b")[-1].window == 0
    if orphan:
        net.a.close(client)
    return client


def test_with_a_user_timeout_a_closed_window_ends_a_connection_though_probes_are_answered(net, feed):
    """Recorded (6.18): TCP_USER_TIMEOUT counts from the first probe on. Source: tcp_probe_timer()."""
    client = closed(net, feed)
    began = client.probes_at
    net.a.tcp.option(client, "user_timeout", sec(10), now=net.now)
    net.run(sec(60))
    assert [error.errno for error in client.errors] == [ETIMEDOUT]
    assert sec(10) <= net.a.wakes[-1][0] - began <= sec(12)


def test_an_orphan_does_not_wait_for_a_closed_window_for_ever(net, feed):
    """Once its probes are 120 s apart it ends, answered or not. Source: tcp_probe_timer(), `alive`."""
    client = closed(net, feed, orphan=True)
    net.run(sec(200))
    assert client.state == TCP_FIN_WAIT1
    net.run(sec(700))
    assert client.state == TCP_CLOSE


def test_a_window_that_closed_over_octets_under_way_is_waited_for_while_the_peer_answers(net):
    """The peer shrank its window to nothing: time-outs are probes. Silence for 4 minutes ends it.

    Source: tcp_retransmit_timer(), "Receiver dastardly shrinks window", tcp_rtx_probe0_timed_out().
    """
    client, _ = net.open()
    net.run(sec(1))
    net.fate = lambda n, seen: "lose"
    net.a.write(client, bytes(100))
    client.snd_wnd = 0
    net.run(sec(200))
    assert client.state == TCP_ESTABLISHED
    net.run(sec(600))
    assert client.state == TCP_CLOSE
    assert [error.errno for error in client.errors] == [ETIMEDOUT]


def test_the_window_grows_with_a_reader_that_keeps_up(make_net, drain, feed):
    """tcp_rcv_space_adjust(): from 64 kB to what the path holds, 10 Mbit/s and 100 ms here."""
    net = make_net(delay=ms(50), rate=10_000_000, queue=200)
    client, server = net.open()
    drain(net.b, server)
    feed(net.a, client, bytes(2_000_000), fin=False)
    assert server.rcv.space == 65_536
    net.run(net.now + sec(3))
    assert server.rcv.space > 2 * 125_000
    assert max(s.window for s in net.sent("b")) << 7 > 2 * 125_000


def test_rcvbuf_pins_the_window(make_net, drain, feed):
    net = make_net(delay=ms(50))
    listener = net.b.listen()
    net.b.tcp.option(listener, "rcvbuf", 20_000, now=0)
    client = net.a.connect(net.b)
    net.run(ms(200))
    server = net.b.accept(listener)
    drain(net.b, server)
    feed(net.a, client, bytes(500_000), fin=False)
    net.run(sec(5))
    assert max(s.window for s in net.sent("b")[1:]) << 7 <= 20_000 + 128


def test_an_offered_window_is_never_taken_back():
    rcv = Receiver()
    rcv.offer(1460)
    rcv.start(1, 1448, 1448, 7, now=0)
    edges = []
    for size in (1448, 1448, 100, 1448, 30_000, 20_000):
        rcv.put(bytes(size))
        rcv.advertise()
        edges.append(rcv.rcv_nxt + rcv.window)
    assert edges == sorted(edges)


@pytest.mark.parametrize(("mss", "window"), [(1460, 64240), (1448, 65160), (536, 65392), (65483, 65483)])
def test_the_first_window_is_whole_segments(mss, window):
    """tcp_select_initial_window(): 44 x 1460 in a SYN, 45 x 1448 in a SYN-ACK."""
    assert initial_window(65_536, mss) == window


def test_the_send_buffer_fills_and_wakes_its_writer_when_a_third_is_free(make_net, drain):
    net = make_net(delay=ms(50))
    client, server = net.open()
    taken = net.a.write(client, bytes(1_000_000))
    assert client.sndbuf == 46_080
    assert taken == 32 * 1448
    assert net.a.write(client, b"x") == Refusal(EAGAIN)
    drain(net.b, server)
    net.run(net.now + ms(210))
    assert net.a.events(client)[-1][1] == "writable"
    assert net.a.write(client, b"x") == 1


@pytest.mark.parametrize(("size", "taken", "skbs"), [(1000, 45_888, None), (1448, 46_336, 11), (46_000, 46_336, 3)])
def test_what_the_first_window_s_buffer_takes_depends_on_the_size_of_writes(make_net, size, taken, skbs):
    """What 6.18 took before it said EAGAIN, and its sk_wmem_queued then: Ethernet, no ACK, SO_MEMINFO.

    With writes of 1,000 its count of skbs depends on when the card is done (autocorking), which a wire here never is.
    """
    net = make_net(delay=ms(1) // 100)
    client, _ = net.open()
    net.fate = lambda n, seen: "lose"
    told = []
    while not isinstance(done := net.a.write(client, bytes(size)), Refusal):
        told.append(done)
    assert sum(told) == taken
    assert skbs is None or queued(client) == taken + 832 * skbs


def test_a_grown_send_buffer_holds_segments_by_the_45(make_net, drain, feed):
    """6.18: 4,194,304 octets are full with 2,868 to 2,902 segments, in skbs of 45 with 832 octets each."""
    net = make_net(delay=ms(1))
    net.keep_log = False
    client, server = net.open()
    drain(net.b, server)
    feed(net.a, client, bytes(30_000_000), fin=False)
    net.run(sec(20))
    assert client.sndbuf == 4_194_304
    net.fate = lambda n, seen: "lose"
    taken = net.a.write(client, bytes(10_000_000))
    assert 2_860 <= taken / 1448 <= 2_902
    assert net.a.write(client, b"x" * 65_536) == Refusal(EAGAIN)


def test_a_narrower_path_takes_smaller_segments_and_the_lost_ones_again(net, drain):
    """RFC 1191; tcp_v4_mtu_reduced(): the segment that did not fit goes out in pieces, the window stays."""
    client, server = net.open()
    reader = drain(net.b, server)
    net.run(sec(1))
    net.fate = lambda n, seen: "lose" if len(seen.octets) > 1400 else ""
    data = bytes(range(256)) * 20
    net.a.write(client, data)
    cwnd = client.cc.cwnd
    net.a.routing.mtu = 1400
    net.a.routing.generation += 1
    quoted = net.log[-2].octets[:28]
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1400, quoted, now=net.now)
    assert (client.mss, client.cc.cwnd) == (1348, cwnd)
    net.run(sec(1) + ms(20))
    assert reader.data == data
    assert max(len(s.octets) for s in net.sent("a")[-4:]) <= 1400


def test_an_error_about_something_never_sent_is_not_believed(net):
    """RFC 5927 section 4.1."""
    client, _ = net.open()
    net.run(sec(1))
    net.a.write(client, b"x")
    quoted = bytearray(net.log[-1].octets[:28])
    quoted[24:28] = ((int.from_bytes(quoted[24:28], "big") + 5000) & 0xFFFFFFFF).to_bytes(4, "big")
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, 1, 0, bytes(quoted), now=net.now)
    assert client.soft_error is None


def test_the_mss_is_bound_by_what_the_peer_says(net):
    net.b.dev.mtu = 600
    client, server = net.open()
    assert (client.mss, server.mss) == (548, 548)


def test_after_a_long_silence_the_window_starts_again(make_net, drain, feed):
    """tcp_slow_start_after_idle; RFC 5681 section 4.1."""
    net = make_net(delay=ms(10))
    client, server = net.open()
    drain(net.b, server)
    feed(net.a, client, bytes(400_000), fin=False)
    net.run(sec(2))
    assert client.cc.cwnd > 40
    net.run(sec(60))
    net.log.clear()
    net.a.write(client, bytes(80_000))
    assert len(net.sent("a")) == 10


@pytest.mark.parametrize(
    ("before", "read", "early", "space"),
    [
        (14_480, 41_992, 0, 403_122),
        (41_992, 81_088, 0, 464_158),
        (14_480, 14_480, 0, 65_536),
        (14_480, 41_992, 7_240, 410_362),
    ],
)
def test_the_buffer_grows_to_two_rounds_of_a_sender_that_doubles_its_rate(before, read, early, space):
    """Recorded on 6.18: rcvbuf 644,995 and 742,652, of which 160/256 are window.

    Source: tcp_rcv_space_adjust(), tcp_rcvbuf_grow().
    """
    rcv = Receiver()
    rcv.start(0, 1448, 1448, 7, now=0)
    rcv.rtt, rcv.space_copied = ms(10), before
    rcv.put(bytes(read))
    if early:
        rcv.put_early(read + 1448, bytes(early - 1448))
    rcv.take(0)
    rcv.right_size(ms(10))
    assert rcv.space == space
    assert rcv.space_copied == max(read, before)


def test_octets_that_wait_are_no_rate():
    rcv = Receiver()
    rcv.start(0, 1448, 1448, 7, now=0)
    rcv.rtt, rcv.space_copied = ms(10), 14_480
    rcv.put(bytes(41_992))
    rcv.take(28_000)
    rcv.right_size(ms(10))
    assert rcv.space_copied == 14_480  # 28,000 less 13,992


def test_a_receiver_takes_a_shorter_round_trip_at_once_and_none_from_a_reader_that_lags():
    """Source: tcp_rcv_rtt_update() (6.18)."""
    rcv = Receiver()
    rcv.start(0, 1448, 1448, 7, now=0)
    rcv.measure(0, 80, 1448, now=0)
    assert rcv.rtt == ms(80)
    rcv.measure(100, 116, 1448, now=0)
    assert rcv.rtt == ms(16)
    rcv.put(b"unread")
    rcv.measure(200, 296, 1448, now=0)
    assert rcv.rtt == ms(16)
    rcv.take(0)
    rcv.measure(300, 396, 1448, now=0)
    assert rcv.rtt == ms(26)


def test_a_cramped_receiver_stops_acknowledging_every_segment(make_net):
    """Less than half of the buffer is free. Source: __tcp_select_window(), `icsk_ack.quick = 0`."""
    net = make_net()
    client, server = net.open()
    server.quick = 16
    net.a.write(client, bytes(20_000))
    net.run(net.now + ms(20))
    assert server.quick
    net.a.write(client, bytes(20_000))
    net.run(net.now + ms(20))
    assert not server.quick


@pytest.mark.parametrize(("offered", "window"), [(200, 536), (300, 300)])
def test_a_segment_that_fills_the_room_moves_the_window_by_more_than_half_of_it(offered, window):
    """Without scaling. Source: __tcp_select_window(), `mss == full_space`."""
    rcv = Receiver()
    rcv.space = rcv.window_clamp = rcv.ssthresh = 536
    rcv.rcv_wnd = offered
    assert rcv.select() == window
