"""What a sender makes of segments that overtake others: dialogues that were recorded on 6.18, a step a line."""

from __future__ import annotations

import pytest

from netsim.stack.sockets.tcp.reno import CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY
from netsim.units import ms

MSS = 1460


@pytest.fixture
def talk(make_net, script):
    """Return a function: ten segments go out, and each step is (ack, SACK blocks) in segments, or how many more to
    write; it returns (cwnd, reordering, how often seen) after each ACK and what was sent."""

    def run(steps, *, sack=True):
        net = make_net()
        peer = script(net).answer(round_trip=ms(40), sack_permitted=sack)
        sock = peer.sock
        sock.nodelay = True
        net.a.write(sock, bytes(10 * MSS))
        peer.heard(ms(40))
        told, sent = [], []
        for step in steps:
            if isinstance(step, int):
                net.a.write(sock, bytes(step * MSS))
                peer.heard(ms(10))
                continue
            ack, blocks = step
            peer.say(".", 1, 1 + ack * MSS, sack=[(1 + left * MSS, 1 + right * MSS) for left, right in blocks])
            sent += [(seq - 1) // MSS for _, seq, _, _ in peer.heard()]
            told.append((sock.cc.cwnd, sock.rtx.rack.reordering, sock.rtx.rack.reord_seen))
        return sock, told, sent

    return run


def test_what_one_ack_tells_of_together_did_not_overtake_itself(talk):
    """Of a delayed ACK: the second segment and the fourth came. Three sacked are a loss at once, as ever.

    Source: tcp_clean_rtx_queue(), `prior_fack`.
    """
    sock, told, sent = talk([(2, [(3, 4)]), (2, [(3, 5)]), (2, [(3, 6)])])
    assert told == [(13, 3, 0), (13, 3, 0), (5, 3, 0)]
    assert sent == [2]
    assert sock.cc.state == CA_RECOVERY


def test_an_original_that_fills_a_hole_is_reordering(talk):
    sock, told, _ = talk([(0, [(1, 2)]), (0, [(1, 3)]), (2, [(2, 3)]), (3, [])])
    assert told == [(10, 3, 0), (10, 3, 0), (11, 3, 1), (11, 3, 1)]
    assert sock.cc.state == CA_OPEN


def test_reordering_over_more_than_three_segments_lets_sacks_open_the_window(talk):
    """Source: tcp_check_sack_reordering(), tcp_may_raise_cwnd()."""
    steps = [(0, [(8, 9)]), (8, [(8, 9)]), (10, []), 20, (10, [(12, 13)]), (10, [(12, 14)]), (10, [(12, 16)])]
    sock, told, _ = talk([*steps, (10, [(12, 20)])])
    assert told == [(10, 3, 0), (18, 9, 1), (19, 9, 1), (20, 9, 1), (21, 9, 1), (23, 9, 1), (27, 9, 1)]
    assert sock.cc.state == CA_DISORDER


def test_blocks_are_taken_from_the_lowest_up(talk):
    assert talk([(0, [(6, 7), (2, 3)])])[1] == [(10, 3, 0)]
    assert talk([(0, [(6, 7)]), (0, [(2, 3), (6, 7)])])[1] == [(10, 3, 0), (11, 5, 1)]


def test_more_duplicate_acks_than_segments_under_way_are_reordering_without_sack(talk):
    """Source: tcp_check_reno_reordering()."""
    assert talk([(8, []), (8, []), (8, []), (8, [])], sack=False)[1] == [(18, 3, 0), (18, 3, 0), (18, 2, 1), (18, 2, 2)]


@pytest.mark.parametrize(
    ("first", "second", "state", "counts", "reordering"),
    [
        ((2, 5), (1, [(2, 5)], True), CA_RECOVERY, (3, 1, 1, 7), (5, 1)),
        ((2, 5), (1, [(2, 6)], False), CA_RECOVERY, (4, 5, 4, 4), (3, 0)),
        ((1, 5), (6, [], True), CA_OPEN, (0, 0, 0, 12), (6, 1)),
    ],
    ids=["an original, others retransmitted", "a retransmission", "an original, nothing else under way"],
)
def test_what_fills_the_hole_of_a_recovery_is_told_by_its_stamp(
    make_net, script, first, second, state, counts, reordering
):
    """`counts` are of sacked, lost and retransmitted segments, and cwnd. Source: tcp_try_undo_partial()."""
    net = make_net()
    peer = script(net, stamps=True).answer(round_trip=ms(40), sack_permitted=True)
    sock, rtx, size = peer.sock, peer.sock.rtx, MSS - 12
    sock.nodelay = True
    net.a.write(sock, bytes(10 * size))
    peer.heard()
    stamp = peer.echo
    for wait, (ack, blocks, original) in ((40, (0, [first], True)), (10 if second[2] else 40, second)):
        net.run(net.now + ms(wait))
        ends = [(1 + left * size, 1 + right * size) for left, right in blocks]
        peer.say(".", 1, 1 + ack * size, sack=ends, tsecr=stamp if original else None)
        peer.heard()
    assert (rtx.sacked_out, rtx.lost_out, rtx.retrans_out, sock.cc.cwnd) == counts
    assert (rtx.rack.reordering, rtx.rack.reord_seen) == reordering
    assert sock.cc.state == state


@pytest.mark.parametrize("blocks", [[(3, 5)], []])
def test_a_peer_that_forgets_what_it_sacked_is_given_half_a_round_trip(make_net, script, blocks):
    """Recorded on 6.18: the whole flight counts as lost 25 ms later. Source: tcp_check_sack_reneging()."""
    net = make_net()
    peer = script(net).answer(round_trip=ms(40), sack_permitted=True)
    sock = peer.sock
    sock.nodelay = True
    net.a.write(sock, bytes(10 * MSS))
    peer.heard(ms(40))
    peer.say(".", 1, 1, sack=[(1 + 2 * MSS, 1 + 5 * MSS)])
    assert [(seq - 1) // MSS for _, seq, _, _ in peer.heard(ms(30))] == [0, 1]
    peer.say(".", 1, 1 + 2 * MSS, sack=[(1 + left * MSS, 1 + right * MSS) for left, right in blocks])
    assert (sock.cc.state, sock.cc.cwnd, sock.rtx.sacked_out, sock.rtx.lost_out) == (CA_RECOVERY, 7, 3, 0)
    since = net.now
    peer.heard(ms(19))
    assert sock.cc.state == CA_RECOVERY
    net.run(since + ms(28))
    assert [(seen.seq - 1) // MSS for seen in net.log] == [2]
    assert (sock.cc.state, sock.cc.cwnd, sock.rtx.sacked_out, sock.rtx.lost_out) == (CA_LOSS, 1, 0, 8)
