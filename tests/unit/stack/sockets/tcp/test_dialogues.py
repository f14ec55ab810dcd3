"""Dialogues with a scripted peer, word for word as 6.18 had them (raw segments on a veth, state by TCP_INFO)."""

from __future__ import annotations

import pytest

from netsim.stack.settings import CUBIC, RENO
from netsim.stack.sockets.tcp.reno import CA_DISORDER, CA_OPEN, CA_RECOVERY, TCP_INFINITE_SSTHRESH
from netsim.stack.sockets.tcp.state import TCP_ESTABLISHED
from netsim.units import ms, sec

MSS = 1460


def plain(make_net, script, *, control=CUBIC, **offered):
    """Connect without timestamps."""
    net = make_net()
    net.a.sysctl.ipv4.tcp_timestamps = 0
    net.a.sysctl.ipv4.tcp_congestion_control = control
    peer = script(net).answer(**offered)
    peer.heard()
    return net, peer, peer.sock


@pytest.mark.parametrize(("control", "threshold"), [(CUBIC, 7), (RENO, 5)], ids=["cubic", "reno"])
def test_a_duplicate_sack_takes_a_needless_recovery_back(make_net, script, control, threshold):
    """Recorded: four SACKs bring the first segment again; all is acknowledged; the duplicate's SACK restores 10."""
    net, peer, sock = plain(make_net, script, control=control, sack_permitted=True)
    net.a.write(sock, bytes(10 * MSS))
    peer.heard(ms(20))
    for count in (1, 2, 3, 4):
        peer.say(".", 1, 1, sack=[(1 + MSS, 1 + MSS * (count + 1))])
    assert peer.heard() == [(".", 1, MSS, 1)]
    assert (sock.cc.state, sock.cc.ssthresh, sock.rtx.sacked_out, sock.rtx.retrans_out) == (
        CA_RECOVERY,
        threshold,
        4,
        1,
    )
    peer.say(".", 1, 1 + 10 * MSS)
    assert (sock.cc.state, sock.cc.ssthresh) == (CA_OPEN, threshold)
    peer.say(".", 1, 1 + 10 * MSS, sack=[(1, 1 + MSS)])
    assert (sock.cc.state, sock.cc.ssthresh, sock.cc.cwnd) == (CA_OPEN, TCP_INFINITE_SSTHRESH, 10)


def test_a_duplicate_sack_that_names_more_than_was_sent_again_is_not_believed(make_net, script):
    """Source: tcp_dsack_seen(), "Skip the DSACK if dup segs weren't retransmitted by sender"."""
    net, peer, sock = plain(make_net, script, sack_permitted=True)
    net.a.write(sock, bytes(10 * MSS))
    for count in (1, 2, 3):
        peer.say(".", 1, 1, sack=[(1 + MSS, 1 + MSS * (count + 1))])
    peer.say(".", 1, 1 + 10 * MSS)
    peer.say(".", 1, 1 + 10 * MSS, sack=[(1, 1 + 3 * MSS)])
    assert sock.cc.ssthresh == 7


def probed(make_net, script):
    """Write twice and let the probe of the tail go unanswered for a moment."""
    net = make_net()
    peer = script(net, stamps=True).answer(sack_permitted=True)
    sock = peer.sock
    net.a.tcp.option(sock, "nodelay", 1, now=net.now)
    net.a.write(sock, bytes(100))
    net.a.write(sock, bytes(100))
    peer.heard(ms(20))
    early = peer.echo
    assert peer.heard(ms(170)) == [("P.", 101, 100, 1)]
    return net, peer, sock, early


def test_a_probes_duplicate_is_heard_of_with_nothing_under_way(make_net, script):
    """Recorded: both are acknowledged, then the duplicate is told, then more is sent: the window stays 10."""
    net, peer, sock, early = probed(make_net, script)
    peer.say(".", 1, 201, tsecr=early)
    peer.say(".", 1, 201, sack=[(101, 201)])
    assert not sock.tlp_high_seq
    net.a.write(sock, bytes(100))
    peer.heard(ms(20))
    peer.say(".", 1, 301)
    assert (sock.cc.cwnd, sock.cc.ssthresh) == (10, TCP_INFINITE_SSTHRESH)


def test_a_probes_duplicate_told_together_with_more_is_no_loss(make_net, script):
    """Recorded: one ACK for 200 old and 100 new octets, with the duplicate's SACK: the window stays 10."""
    net, peer, sock, _ = probed(make_net, script)
    late = peer.echo
    net.a.write(sock, bytes(100))
    peer.heard(ms(20))
    peer.say(".", 1, 301, tsecr=late, sack=[(101, 201)])
    assert (sock.cc.cwnd, sock.cc.ssthresh) == (10, TCP_INFINITE_SSTHRESH)


def test_a_bare_ack_behind_the_peers_data_is_no_duplicate(make_net, script):
    """Recorded: it updates the window, though to what it was; the next three make a loss. FLAG_WIN_UPDATE."""
    net, peer, sock = plain(make_net, script)
    net.a.write(sock, bytes(10 * MSS))
    peer.say("P.", 1, 1, payload=bytes(100))
    peer.heard(ms(5))
    seen = []
    for _ in range(5):
        peer.say(".", 101, 1)
        seen.append((sock.cc.state, sock.rtx.sacked_out, sock.rtx.lost_out))
    assert seen == [
        (CA_OPEN, 0, 0), (CA_DISORDER, 1, 0), (CA_DISORDER, 2, 0), (CA_RECOVERY, 3, 1), (CA_RECOVERY, 4, 1),
    ]  # fmt: skip


def test_a_fin_that_acknowledges_nothing_new_is_no_duplicate(make_net, script):
    """Recorded; nor is the first bare ACK behind it. FLAG_DATA."""
    net, peer, sock = plain(make_net, script)
    net.a.write(sock, bytes(10 * MSS))
    seen = []
    for flags, seq in (("F.", 1), (".", 2), (".", 2)):
        peer.say(flags, seq, 1)
        seen.append((sock.cc.state, sock.rtx.sacked_out))
    assert seen == [(CA_OPEN, 0), (CA_OPEN, 0), (CA_DISORDER, 1)]


def test_an_old_ack_may_lie_no_further_back_than_octets_were_acknowledged(make_net, script):
    """Recorded: the SYN's own number is silently old, the one before is challenged. Source: tcp_ack(), bytes_acked."""
    _, peer, _ = plain(make_net, script)
    peer.say(".", 1, 0)
    assert peer.heard(ms(600)) == []
    peer.say(".", 1, -1)
    assert peer.heard() == [(".", 1, 0, 1)]


def test_a_sack_of_the_oldest_octet_is_nonsense(make_net, script):
    """Recorded: nothing is marked. Source: tcp_is_sackblock_valid()."""
    net, peer, sock = plain(make_net, script, sack_permitted=True)
    net.a.write(sock, bytes(1000))
    peer.say(".", 1, 1, sack=[(1, 1001)])
    assert (sock.rtx.sacked_out, sock.state) == (0, TCP_ESTABLISHED)


def test_reordering_that_makes_needless_recoveries_teaches_patience(make_net, script):
    """Each round trip with a duplicate SACK adds a quarter of the shortest round trip.

    Source: tcp_rack_update_reo_wnd().
    """
    net, peer, sock = plain(make_net, script, sack_permitted=True)
    rack, at = sock.rtx.rack, 1
    steps = []
    for _ in range(3):
        net.a.write(sock, bytes(5 * MSS))
        net.run(net.now + ms(50))
        for count in (1, 2, 3):
            peer.say(".", 1, at, sack=[(at + MSS, at + MSS * (count + 1))])
        net.run(net.now + ms(40))
        peer.say(".", 1, at + 4 * MSS)
        peer.say(".", 1, at + 5 * MSS, sack=[(at, at + MSS)])
        at += 5 * MSS
        steps.append(rack.steps)
        rack.reord_seen += 1  # as if an original had come late
    assert steps == [1, 2, 3]
    assert rack.persist == 16
    net.run(net.now + sec(1))
