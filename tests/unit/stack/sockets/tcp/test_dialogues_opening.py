"""Dialogues with a scripted peer, word for word as 6.18 had them: handshakes that go wrong, stamps and numbers that do.

Raw segments on a veth, state by TCP_INFO. A SYN or SYN-ACK that was sent three times leaves a window of one segment
unless the peer's stamp shows that the first had arrived.
"""

from __future__ import annotations

import pytest

from netsim.stack.sockets.tcp.state import TCP_ESTABLISHED, TCP_SYN_SENT
from netsim.units import ms, sec
from netsim.wire import drop


def served(make_net, script):
    """Let a listen, and a peer call it, whose SYN has stamps."""
    net = make_net()
    listener = net.a.listen()
    peer = script(net, port=4000, ours=80, stamps=True)
    peer.say("S", 0, 0, mss=1460, sack_permitted=True, tsecr=0)
    assert peer.heard()[0][0] == "S."
    return net, listener, peer


def test_a_repeated_syn_is_answered_at_most_twice_a_second_and_puts_the_time_out_off(make_net, script):
    """Recorded: SYN-ACK at 0, SYNs again at 0.11, 0.12, 0.13: SYN-ACKs at 0.11 and 1.14."""
    net, listener, peer = served(make_net, script)
    net.run(ms(108))
    for _ in range(3):
        peer.say("S", 0, 0, mss=1460, sack_permitted=True, tsval=0, tsecr=0)
        net.run(net.now + ms(10))
    net.run(sec(2))
    assert [(s.seconds, s.flags) for s in net.log] == [(0.108, "S."), (1.12, "S.")]
    peer.heard()
    peer.say(".", 1, 1)
    sock = net.a.accept(listener)
    assert sock.total_retrans == 2


@pytest.mark.parametrize(("which", "window", "rtt"), [(0, 10, 6300), (-1, 1, 3260)], ids=["first", "last"])
def test_a_syn_ack_sent_three_times_measures_by_stamps_and_may_have_been_right_at_first(
    make_net, script, which, window, rtt
):  # fmt: skip
    """Recorded: SYN-ACKs at 0, 1.03, 3.04; the ACK of the first leaves a window of 10, that of the last 1."""
    net, listener, peer = served(make_net, script)
    echoes = [peer.echo]
    for span in (ms(1100), ms(2000)):
        assert [flags for flags, *_ in peer.heard(span)] == ["S."]
        echoes.append(peer.echo)
    net.run(ms(6300))
    peer.say(".", 1, 1, tsecr=echoes[which])
    sock = net.a.accept(listener)
    assert (sock.cc.cwnd, sock.total_retrans) == (window, 2)
    assert sock.rtt.srtt8_us == rtt * 8000


@pytest.mark.parametrize(("which", "window"), [(0, 10), (-1, 1)], ids=["first", "last"])
def test_a_syn_sent_often_may_have_been_right_at_first(make_net, script, which, window):
    """Recorded: SYNs at 0, 1.03, 2.06, 3.08; the SYN-ACK echoes the first or the last."""
    net = make_net()
    peer = script(net, stamps=True).called()
    echoes = [peer.echo]
    for _ in range(3):
        assert [flags for flags, *_ in peer.heard(ms(1030))] == ["S"]
        echoes.append(peer.echo)
    peer.say("S.", 0, 1, mss=1460, tsecr=echoes[which])
    assert (peer.sock.state, peer.sock.cc.cwnd) == (TCP_ESTABLISHED, window)


def test_an_impossible_ack_of_a_syn_is_reset_and_the_peer_asked_again_at_once(make_net, script):
    """Recorded: RST at once, the SYN again after 16 ms (two ticks), once; then the time-outs of a second."""
    net = make_net()
    peer = script(net).called()
    peer.say(".", 0, 100)
    peer.say("R.", 0, 100)
    net.run(sec(3))
    sent = [(s.seconds, s.flags, s.seq) for s in net.log]
    assert sent[0] == (0.0, "R", 100)
    assert [flags for _, flags, _ in sent[1:]] == ["S"] * 3
    assert sent[1][0] <= 0.016
    assert peer.sock.state == TCP_SYN_SENT


def test_a_syn_ack_that_echoes_a_foreign_stamp_is_reset(make_net, script):
    """Recorded. Source: tcp_rcv_synsent_state_process(), PAWSACTIVEREJECTED."""
    net = make_net()
    peer = script(net, stamps=True).called()
    peer.say("S.", 0, 1, mss=1460, tsecr=peer.echo - 1000)
    assert [flags for flags, *_ in peer.heard()] == ["R"]
    assert net.a.drops[-1][1] == drop.TCP_RFC7323_PAWS
    assert peer.sock.state == TCP_SYN_SENT


def test_an_ack_that_echoes_a_stamp_no_syn_ack_had_completes_nothing(make_net, script):
    """Source: tcp_check_req(), tsecr_reject (6.15)."""
    net, listener, peer = served(make_net, script)
    peer.say(".", 1, 1, tsecr=peer.echo + 1)
    assert [flags for flags, *_ in peer.heard()] == ["."]
    assert net.a.drops[-1][1] == drop.TCP_RFC7323_TSECR
    assert not listener.listener.queue


def talked(make_net, script):
    """Connect with stamps and let the peer say ten octets at 6 s, which are acknowledged."""
    net = make_net()
    peer = script(net, stamps=True).answer(sack_permitted=True)
    net.run(sec(6))
    peer.say("P.", 1, 1, payload=b"0123456789")
    assert peer.heard(ms(60)) == [(".", 1, 0, 11)]
    net.a.drops.clear()
    net.run(sec(7))
    return net, peer


@pytest.mark.parametrize(
    ("said", "reason", "answer"),
    [
        ((".", 1, 1), drop.TCP_RFC7323_PAWS_ACK, None),
        ((".", 11, 1), drop.TCP_RFC7323_PAWS, ()),
        (("P.", 1, 1, 65535, b"0123456789"), drop.TCP_RFC7323_PAWS, ((1, 11),)),
        (("S", 0, 0), drop.TCP_INVALID_SYN, ()),
    ],
    ids=[
        "an old bare ACK: silence",
        "a bare ACK with news: an ACK",
        "old data: a duplicate SACK",
        "an old SYN: no SACK",
    ],
)
def test_what_an_old_stamp_meets(make_net, script, said, reason, answer):
    """Recorded. A SYN is challenged, which tells of no duplicate; an old ACK has been common since 6.14."""
    net, peer = talked(make_net, script)
    peer.say(*said, tsval=4990)
    assert [reason_ for _, reason_ in net.a.drops] == [reason]
    answers = [s.options.sack for s in net.log]
    blocks = None if answer is None else [tuple((1000 + left, 1000 + right) for left, right in answer)]
    assert answers == ([] if blocks is None else blocks)


def test_a_stamp_is_not_taken_back(make_net, script):
    """Data whose stamp is 1 ms old passes; the newer stamp is still echoed. Source: tcp_replace_ts_recent()."""
    net, peer = talked(make_net, script)
    before = peer.sock.ts_recent
    peer.say("P.", 11, 1, payload=b"x", tsval=before - 1)
    assert net.a.drops == []
    assert peer.sock.ts_recent == before


def test_a_stamp_of_36_minutes_ago_is_no_measure(make_net, script):
    """TCP_PAWS_WRAP, 2147 s: it was 24 days before 6.7."""
    net, peer = talked(make_net, script)
    net.run(sec(6 + 2100))
    peer.say("P.", 11, 1, payload=b"x", tsval=5)
    assert [reason for _, reason in net.a.drops] == [drop.TCP_RFC7323_PAWS]
    net.run(sec(6 + 2148))
    peer.say("P.", 11, 1, payload=b"x", tsval=5)
    assert len(net.a.drops) == 1
    assert peer.sock.ts_recent == 5


def test_a_segment_that_ends_beyond_the_window_is_refused_while_octets_wait(make_net, script):
    """Recorded (6.17 and later): an ACK without SACK; once all is read it is welcome. Source: tcp_sequence()."""
    net = make_net()
    net.a.sysctl.ipv4.tcp_timestamps = 0
    peer = script(net).answer(sack_permitted=True)
    sock = peer.sock
    peer.say("P.", 1, 1, payload=bytes(1000))
    peer.heard(ms(60))
    edge = sock.rcv.rcv_nxt + sock.rcv.window - 1000
    peer.say("P.", edge - 500, 1, payload=bytes(1000))
    assert net.a.drops[-1][1] == drop.TCP_INVALID_END_SEQUENCE
    assert [s.options.sack for s in net.log] == [()]
    assert len(net.a.read(sock)) == 1000
    net.a.drops.clear()
    peer.say("P.", edge - 500, 1, payload=bytes(1000))
    assert net.a.drops == []
