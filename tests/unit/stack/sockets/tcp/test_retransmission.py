"""Losses: time-outs at Linux's instants, tail loss probes, recoveries, giving up, and mistakes taken back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from netsim.stack.errno import EHOSTUNREACH, ETIMEDOUT, Refusal
from netsim.stack.settings import CUBIC, RENO
from netsim.stack.sockets.tcp.reno import CA_LOSS, CA_OPEN, CA_RECOVERY
from netsim.stack.sockets.tcp.state import TCP_CLOSE
from netsim.trace.records import TcpSample
from netsim.units import ms, sec, us
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_HOST_UNREACH


def gaps(times):
    return [round(late - early, 3) for early, late in pairwise(times)]


def dead_peer(make_net, **options):
    """Open over a 0.2 ms round trip, let 5 s pass, and lose everything that a then writes."""
    net = make_net(delay=us(100))
    client, server = net.open(**options)
    net.run(sec(5))
    net.log.clear()
    net.fate = lambda n, seen: "lose"
    return net, client, server


def test_data_for_a_dead_peer_goes_out_again_at_linuxs_instants(make_net):
    """observed-linux 13: first after ~0.2 s (tail loss probe), then 0.2, 0.42, 0.83, 1.66, 3.4, 6.7, 13.3, 27.6 s."""
    net, client, _ = dead_peer(make_net)
    net.a.write(client, b"x" * 100)
    net.run(sec(70))
    measured = gaps(net.times("a"))
    assert measured == [0.208, 0.208, 0.44, 0.832, 1.664, 3.424, 6.656, 13.312, 27.648]
    recorded = [0.2, 0.2, 0.42, 0.83, 1.66, 3.4, 6.7, 13.3, 27.6]
    assert all(abs(ours - theirs) <= 0.05 for ours, theirs in zip(measured, recorded, strict=True))


def test_a_connection_gives_up_after_924_6_seconds_of_time_outs(make_net):
    """tcp_retries2 15: 924.6 s by the model; the first time-out after that ends it."""
    net, client, _ = dead_peer(make_net)
    net.a.write(client, b"x")
    net.run(sec(2000))
    assert gaps(net.times("a"))[9:] == [53.248, 106.496, 120.832, 120.832, 120.832, 120.832, 120.832]
    assert net.a.events(client)[-1] == (944.128, "error")
    assert [error.errno for error in client.errors] == [ETIMEDOUT]
    assert client.state == TCP_CLOSE
    assert net.a.read(client) == Refusal(ETIMEDOUT)


def test_an_outage_long_after_another_has_as_much_time(make_net, drain):
    """Recorded (6.18, TCP_USER_TIMEOUT 5 s): an outage of 2 s, 8 s of peace, and the next lasts 5.42 s to ETIMEDOUT.

    When the first trouble is over the instant of its first retransmission is forgotten. Source: tcp_try_to_open().
    """
    net, client, server = dead_peer(make_net)
    reader = drain(net.b, server)
    net.a.write(client, b"x")
    net.run(sec(7))
    net.fate = lambda n, seen: ""
    net.run(sec(2000))
    assert reader.data == b"x"
    net.fate = lambda n, seen: "lose"
    net.a.write(client, b"y")
    net.run(sec(2900))
    assert client.state != TCP_CLOSE
    net.run(sec(3000))
    assert client.state == TCP_CLOSE


def test_an_icmp_error_is_only_remembered_and_becomes_the_reason_in_the_end(make_net):
    """RFC 1122 4.2.3.9; sk_err_soft."""
    net, client, _ = dead_peer(make_net)
    net.a.write(client, b"x")
    net.run(sec(900))
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, net.log[-1].octets[:28], now=net.now)
    net.a.pump()
    assert not client.errors
    net.run(sec(2000))
    assert [error.errno for error in client.errors] == [EHOSTUNREACH]


def test_an_acknowledgement_makes_the_error_forgotten(make_net, drain):
    """Source: tcp_ack(), "remove any soft error log. Something worked...\""""
    net, client, server = dead_peer(make_net)
    drain(net.b, server)
    net.a.write(client, b"x")
    net.run(sec(6))
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, net.log[-1].octets[:28], now=net.now)
    net.fate = lambda n, seen: ""
    net.run(sec(20))
    net.fate = lambda n, seen: "lose"
    net.a.write(client, b"x")
    net.run(sec(2000))
    assert [error.errno for error in client.errors] == [ETIMEDOUT]


def test_recverr_tells_of_an_icmp_error_at_once_and_the_connection_goes_on(make_net):
    """observed-linux 5.3, f2a: EHOSTUNREACH reported to the application because of IP_RECVERR."""
    net, client, _ = dead_peer(make_net, recverr=True)
    net.a.write(client, b"x")
    net.run(net.now + sec(1))
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, net.log[-1].octets[:28], now=net.now)
    assert [error.errno for error in client.errors] == [EHOSTUNREACH]
    assert client.state != TCP_CLOSE


def test_host_unreachable_takes_one_doubling_back(make_net):
    """RFC 6069; tcp_ld_RTO_revert()."""
    net, client, _ = dead_peer(make_net)
    net.a.write(client, b"x")
    net.run(sec("12.5"))
    assert net.times("a")[-1] == 11.776
    net.a.tcp.icmp_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, net.log[-1].octets[:28], now=net.now)
    net.run(sec(16))
    assert net.times("a")[-1] == 15.104


def test_user_timeout_ends_it_early(make_net):
    """Recorded (6.18): sent 0, probed 0.208, time-outs 0.416, 0.836, 1.668, 3.332; ETIMEDOUT at 3.42.

    The time counts from the first time-out: a tail loss probe is no retransmission to it.
    """
    net, client, _ = dead_peer(make_net)
    net.a.tcp.option(client, "user_timeout", sec(3), now=net.now)
    net.a.write(client, b"x")
    net.run(sec(30))
    _, _, first_time_out, *_ = net.times("a")
    failed, event = net.a.events(client)[-1]
    assert event == "error"
    assert 3.0 <= failed - first_time_out <= 3.04
    assert len(net.times("a")) == 6


def test_short_segments_go_out_again_as_one_and_take_the_fin_along(make_net):
    """Recorded (6.18): four writes of 100, 50, 30 octets and a close, unanswered, come back as [FP.] 1:181.

    The probe of the tail had found the second write alone.
    """
    net, client, _ = dead_peer(make_net)
    net.a.tcp.option(client, "nodelay", 1, now=net.now)
    for size in (100, 50, 30):
        net.a.write(client, bytes(range(size)))
        net.run(net.now + ms(20))
    net.a.close(client)
    net.run(sec(7))
    assert [(s.seconds, s.flags, s.seq, s.size) for s in net.sent("a")] == [
        (5.0, "P.", 1, 100), (5.02, "P.", 101, 50), (5.028, "P.", 101, 50), (5.04, "P.", 151, 30), (5.06, "F.", 181, 0),
        (5.208, "FP.", 1, 180), (5.632, "FP.", 1, 180), (6.464, "FP.", 1, 180),
    ]  # fmt: skip
    assert net.log[-1].octets.endswith(bytes(range(100)) + bytes(range(50)) + bytes(range(30)))
    assert (client.rtx.packets_out, client.rtx.skbs, client.rtx.in_flight) == (1, 1, 1)


def test_a_joined_retransmission_ends_the_connection_like_its_parts(make_net, drain):
    net, client, server = dead_peer(make_net)
    reader = drain(net.b, server)
    net.a.tcp.option(client, "nodelay", 1, now=net.now)
    for size in (100, 50, 30):
        net.a.write(client, bytes(range(size)))
    net.a.close(client)
    net.run(sec(6))
    net.fate = lambda n, seen: ""
    net.run(sec(8))
    assert reader.data == bytes(range(100)) + bytes(range(50)) + bytes(range(30))
    assert reader.ended
    assert (client.rtx.packets_out, client.rtx.skbs, client.rtx.lost_out, client.rtx.retrans_out) == (0, 0, 0, 0)


def test_what_left_in_one_skb_with_others_is_not_joined(make_net):
    """Source: tcp_can_collapse(), "if (tcp_skb_pcount(skb) > 1) return false"."""
    net, client, _ = dead_peer(make_net)
    net.a.tcp.option(client, "nodelay", 1, now=net.now)
    net.a.write(client, bytes(10))
    net.a.write(client, bytes(1448 + 20))
    net.run(sec(6))
    assert [s.size for s in net.sent("a")] == [10, 1448, 20, 20, 10, 10]


def test_the_peers_return_is_noticed_at_the_next_retransmission(make_net):
    net, client, server = dead_peer(make_net)
    net.a.write(client, b"hello")
    net.run(sec(20))
    net.fate = lambda n, seen: ""
    net.run(sec(40))
    assert net.b.read(server) == b"hello"
    assert net.times("a")[-1] == 31.744
    assert client.rtt.rto == ms(204)
    assert client.backoff == 0


def lose_once(net, *ordinals):
    """Lose the data segments of a with these ordinals, the first time they are sent."""
    seen_seqs = []

    def fate(n, seen):
        if seen.src != "a" or not seen.size or seen.seq in seen_seqs:
            return ""
        seen_seqs.append(seen.seq)
        return "lose" if len(seen_seqs) in ordinals else ""

    net.fate = fate


@pytest.mark.parametrize("sack", [1, 0])
@pytest.mark.parametrize(("control", "threshold"), [(RENO, 5), (CUBIC, 7)], ids=["reno", "cubic"])
def test_a_lost_segment_is_sent_again_after_three_duplicates(make_net, drain, sack, control, threshold):
    """Of ten segments the second is lost: the ACKs of the third to fifth bring it back one round trip later."""
    net = make_net(delay=ms(10))
    net.a.sysctl.ipv4.tcp_sack = sack
    net.a.sysctl.ipv4.tcp_congestion_control = control
    client, server = net.open()
    reader = drain(net.b, server)
    lose_once(net, 2)
    start = net.now
    net.log.clear()
    net.a.write(client, bytes(14480))
    net.run(start + ms(20))
    assert [s.seq for s in net.sent("a", data=True)] == [1 + 1448 * n for n in range(10)] + [1449]
    assert net.times("a")[-1] == round((start + ms(20)) / 1e9, 6)
    assert client.cc.state == CA_RECOVERY
    assert client.cc.ssthresh == threshold
    net.run(start + ms(100))
    assert reader.data == bytes(14480)
    assert client.total_retrans == 1
    if sack:
        blocks = [s.options.sack for s in net.sent("b")]
        assert len(blocks[1]) == 1


@pytest.mark.parametrize("lost", [(2, 3), (2, 4, 6), (1, 2, 3, 4)])
def test_several_lost_segments_come_back_in_one_recovery(make_net, drain, lost):
    net = make_net(delay=ms(10))
    client, server = net.open()
    reader = drain(net.b, server)
    lose_once(net, *lost)
    start = net.now
    net.a.write(client, bytes(28960))
    net.run(start + ms(150))
    assert reader.data == bytes(28960)
    assert client.total_retrans == len(lost)
    assert client.cc.state == CA_OPEN
    assert client.cc.cwnd >= 5


def test_a_lost_tail_is_probed_before_the_time_out(make_net, drain):
    """RFC 8985 section 7: after two round trips the last segment goes out again; its SACK brings the rest back."""
    net = make_net(delay=ms(50))
    client, server = net.open()
    reader = drain(net.b, server)
    lose_once(net, 9, 10)
    start = net.now
    net.log.clear()
    net.a.write(client, bytes(14480))
    net.run(start + sec(1))
    again = [(round(s.seconds - start / 1e9, 3), s.seq) for s in net.sent("a", data=True)][10:]
    assert [seq for _, seq in again] == [1 + 9 * 1448, 1 + 8 * 1448]
    # the ACKs of 0.1 s push the probe (two round trips and two jiffies) to 0.31 s; its SACK is back 0.1 s later
    assert 0.3 <= again[0][0] <= 0.32
    assert 0.4 <= again[1][0] <= 0.43
    assert reader.data == bytes(14480)


def test_a_time_out_starts_again_from_one_segment(make_net):
    net = make_net(delay=ms(10))
    client, _ = net.open()
    net.fate = lambda n, seen: "lose" if seen.src == "a" and seen.size else ""
    net.a.write(client, bytes(14480))
    net.run(net.now + sec(1))
    assert client.cc.state == CA_LOSS
    assert (client.cc.cwnd, client.cc.ssthresh) == (1, 7)


def test_a_time_out_for_nothing_is_taken_back(make_net, drain):
    """RFC 3522: the ACK echoes a stamp from before the retransmission, so the original had arrived."""
    net = make_net(delay=ms(10))
    client, server = net.open()
    drain(net.b, server)
    net.run(sec(1))
    before = client.cc.cwnd
    net.fate = lambda n, seen: ms(700) if seen.src == "a" and seen.size else ""
    net.a.write(client, bytes(14480))
    net.run(net.now + ms(690))
    assert client.cc.state == CA_LOSS
    net.fate = lambda n, seen: ""
    net.run(net.now + ms(60))
    assert client.cc.state == CA_OPEN
    assert client.cc.cwnd >= before
    assert client.cc.ssthresh > 1000


def test_reordering_inside_the_window_causes_no_retransmission(make_net, drain):
    """RACK waits a quarter of a round trip before it believes in a loss."""
    net = make_net(delay=ms(50))
    client, server = net.open()
    reader = drain(net.b, server)
    net.run(sec(1))
    count = []
    net.fate = lambda n, seen: ms(10) if seen.src == "a" and seen.size and not count and not count.append(n) else ""
    net.a.write(client, bytes(3 * 1448))
    net.run(net.now + sec(1))
    assert reader.data == bytes(3 * 1448)
    assert client.total_retrans == 0


def test_the_senders_state_is_recorded_when_somebody_wants_it(make_net, drain):
    net = make_net(delay=ms(10), wants=frozenset({TcpSample}))
    client, server = net.open()
    drain(net.b, server)
    lose_once(net, 3)
    net.a.write(client, bytes(14480))
    net.run(net.now + sec(1))
    assert {type(record) for record in net.a.records} == {TcpSample}
    mine = [record for record in net.a.records if record.conn.endswith(":80")]
    assert [record.event for record in mine].count("recovery") == 1
    assert [record.event for record in mine[:2]] == ["ack", "established"]
    assert mine[1].cwnd == 10 * 1448
    assert mine[-1].flight == 0
    assert mine[-1].srtt == pytest.approx(ms(20), rel=0.1)
