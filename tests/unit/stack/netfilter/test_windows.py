"""Window tracking by itself: the four bounds to the octet, what a segment teaches, what options allow.

Source: tcp_in_window(), tcp_init_sender(), tcp_options(), tcp_sack(), net/netfilter/nf_conntrack_proto_tcp.c (6.x);
linux-kernel 5.5.
"""

from __future__ import annotations

import pytest

from netsim.stack.netfilter.ct_window import Seen, Segment, TcpTrack, in_window, read_segment
from netsim.wire.tcp import build_options, build_tcp

IGNORE, INVALID, ACCEPT = 0, -1, 1
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SCALE, SACK, LIBERAL, UNACKED, MAXACK = 1, 2, 8, 0x10, 0x20
SYN_SENT, SYN_RECV, ESTABLISHED = 1, 2, 3
FIELDS = ("td_end", "td_maxend", "td_maxwin", "td_maxack", "td_scale", "flags")


def side(end, maxend, maxwin, maxack=0, scale=0, flags=0):
    made = Seen()
    for name, value in zip(FIELDS, (end, maxend, maxwin, maxack, scale, flags), strict=True):
        setattr(made, name, value)
    return made


def fields(seen):
    return tuple(getattr(seen, name) for name in FIELDS)


def tracked(sender=None, receiver=None, state=ESTABLISHED, direction=0):
    """Make a connection whose sender sent up to 1000 and may up to 2000; the receiver up to 5000 and 6000."""
    track = TcpTrack()
    sides = (sender or side(1000, 2000, 500), receiver or side(5000, 6000, 800))
    track.seen, track.state = sides if not direction else sides[::-1], state
    return track


def segment(seq=1000, length=0, ack=5000, flags=ACK, win=500, options=b""):
    end = seq + length + bool(flags & SYN) + bool(flags & FIN) & 0xFFFFFFFF
    return Segment(seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, win, end, options)


def judged(track, one, direction=0, liberal=False, offset=0):
    return in_window(track, direction, one, liberal, offset)


BOUNDS = [
    # the right edge: sequence number beyond what the receiver allows, but for once a window's worth
    ({"seq": 2000}, ACCEPT), ({"seq": 2001}, IGNORE), ({"seq": 2001, "length": 798}, IGNORE),
    ({"seq": 2001, "length": 799}, INVALID),
    ({"seq": 2001, "ack": 5001}, INVALID), ({"seq": 0x80000000 + 2000}, INVALID),
    # the left edge: an end older than a receive window
    ({"seq": 200}, ACCEPT), ({"seq": 199}, IGNORE), ({"seq": 100, "length": 100}, ACCEPT),
    ({"seq": 100, "length": 99}, IGNORE),
    # what is acknowledged was sent, and not too long ago
    ({"ack": 5000}, ACCEPT), ({"ack": 5001}, INVALID), ({"ack": 5000 - 66000}, ACCEPT), ({"ack": 5000 - 66001}, IGNORE),
    ({"seq": 199, "ack": 5001}, INVALID), ({"seq": 2001, "ack": 5000 - 66001}, INVALID),
    # without ACK, or with a reset that acknowledges nothing, the number does not count
    ({"ack": 9999, "flags": PSH}, ACCEPT), ({"ack": 0, "flags": RST | ACK}, ACCEPT),
    ({"ack": 5001, "flags": RST | ACK}, INVALID), ({"ack": 5001, "flags": RST}, ACCEPT),
]  # fmt: skip


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("at", range(len(BOUNDS)))
def test_the_four_bounds(at, direction):
    """I to IV of tcp_in_window(); MAXACKWINCONST 66000."""
    given, verdict = BOUNDS[at]
    assert judged(tracked(direction=direction), segment(**given), direction) == verdict


@pytest.mark.parametrize("shift", [0x7FFFFF00, 0xFFFFFF00, 0xFFFFFC18])
def test_the_bounds_are_modulo_two_to_the_thirty_second(shift):
    wrap = 0xFFFFFFFF
    for given, verdict in BOUNDS[:12]:
        track = tracked(
            side(1000 + shift & wrap, 2000 + shift & wrap, 500), side(5000 + shift & wrap, 6000 + shift & wrap, 800)
        )
        moved = {"seq": 1000, "ack": 5000} | given
        assert judged(track, segment(**moved | {"seq": moved["seq"] + shift, "ack": moved["ack"] + shift})) == verdict


def test_more_than_the_window_is_let_through_once_and_noted():
    """ "Work around TCPs that send more bytes than allowed by the receive window." """
    track = tracked()
    assert judged(track, segment(seq=2001, length=100)) == IGNORE
    assert fields(track.seen[0]) == (2101, 2000, 500, 0, 0, UNACKED)
    closed = tracked(receiver=side(5000, 6000, 0))
    assert judged(closed, segment(seq=2001)) == INVALID


def test_a_liberal_side_passes_and_learns_nothing():
    track = tracked(sender=side(1000, 2000, 500, flags=LIBERAL))
    assert judged(track, segment(seq=99999)) == ACCEPT
    assert fields(track.seen[0]) == (1000, 2000, 500, 0, 0, LIBERAL)
    track = tracked()
    assert judged(track, segment(seq=99999), liberal=True) == ACCEPT
    assert fields(track.seen[0]) == (1000, 2000, 500, 0, 0, 0)
    assert judged(tracked(receiver=side(5000, 6000, 800, flags=LIBERAL)), segment(seq=99999)) == INVALID


S, R = (1000, 2000, 500), (5000, 6000, 800)
LESSONS = [
    # (segment), sender before and after, receiver before and after
    ({"seq": 1000, "length": 100}, S, (1100, 2000, 500, 5000, 0, UNACKED | MAXACK), R, R),
    ({"seq": 900, "length": 50}, S, (1000, 2000, 500, 5000, 0, MAXACK), R, R),
    # a larger window raises the largest one and the receiver's edge
    ({"win": 2000}, S, (1000, 2000, 2000, 5000, 0, MAXACK), R, (5000, 7000, 800)),
    ({"win": 1000}, S, (1000, 2000, 1000, 5000, 0, MAXACK), R, R),
    ({"win": 999}, S, (1000, 2000, 999, 5000, 0, MAXACK), R, R),
    ({"win": 1001}, S, (1000, 2000, 1001, 5000, 0, MAXACK), R, (5000, 6001, 800)),
    # a window of nothing leaves room for one octet, the probe's
    ({"win": 0}, S, (1000, 2000, 500, 5000, 0, MAXACK), (5000, 5000, 800), (5000, 5001, 800)),
    # scaled, but not in a SYN
    ({"win": 100}, (1000, 2000, 500, 0, 5, 0), (1000, 2000, 3200, 5000, 5, MAXACK), R, (5000, 8200, 800)),
    ({"win": 100, "flags": SYN | ACK}, (1000, 2000, 500, 0, 5, 0), (1001, 2000, 500, 5000, 5, UNACKED | MAXACK), R, R),
    # the highest acknowledgement is kept
    ({"ack": 4000}, (1000, 2000, 500, 4500, 0, MAXACK), (1000, 2000, 500, 4500, 0, MAXACK), R, R),
    ({"ack": 4600}, (1000, 2000, 500, 4500, 0, MAXACK), (1000, 2000, 500, 4600, 0, MAXACK), R, R),
    ({"flags": PSH}, S, (1000, 2000, 500, 0, 0, 0), R, R),
    # all is acknowledged
    ({}, S, (1000, 2000, 500, 5000, 0, MAXACK), (5000, 6000, 800, 0, 0, UNACKED), R),
    ({"ack": 4999}, S, (1000, 2000, 500, 4999, 0, MAXACK), (*R, 0, 0, UNACKED), (*R, 0, 0, UNACKED)),
    # beyond the edge: the receiver's window was larger than we knew
    ({"seq": 1900, "length": 300}, S, (2200, 2000, 500, 5000, 0, UNACKED | MAXACK), R, (5000, 6000, 1000)),
    ({"seq": 1900, "length": 300}, S, (2200, 2000, 500, 5000, 0, UNACKED | MAXACK), (5000, 6000, 0), (5000, 6000, 0)),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(LESSONS)))
def test_what_a_segment_inside_teaches(at):
    given, before, after, receiver, taught = LESSONS[at]
    track = tracked(side(*before), side(*receiver))
    assert judged(track, segment(**given)) == ACCEPT
    assert fields(track.seen[0]) == after
    assert fields(track.seen[1]) == tuple(taught) + (0,) * (6 - len(taught))


def test_a_sack_acknowledges_more_than_the_ack():
    """tcp_sack(): the highest right edge, if the receiver permitted SACK; the window counts from the ACK."""
    options = build_options(sack=((4500, 4600), (4700, 4900)))
    permitted = tracked(receiver=side(5000, 5200, 800, flags=SACK))
    assert judged(permitted, segment(ack=4400, win=500, options=options)) == ACCEPT
    assert fields(permitted.seen[0])[:4] == (1000, 2000, 1000, 4400)
    assert permitted.seen[1].td_maxend == 5400
    silent = tracked(receiver=side(5000, 5200, 800))
    assert judged(silent, segment(ack=4400, win=500, options=options)) == ACCEPT
    assert (silent.seen[0].td_maxwin, silent.seen[1].td_maxend) == (500, 5200)
    over = build_options(sack=((4500, 5001),))
    assert judged(tracked(receiver=side(5000, 5200, 800, flags=SACK)), segment(ack=4400, options=over)) == INVALID


def test_shifted_numbers_are_acknowledged_as_they_were():
    """The receiver's offset of sequence adjustment is taken from ack and sack."""
    track = tracked()
    assert judged(track, segment(ack=5007), offset=7) == ACCEPT
    assert track.seen[0].td_maxack == 5000
    assert judged(tracked(), segment(ack=5008), offset=7) == INVALID


OPTIONS = build_options(mss=1460, sack_permitted=True, wscale=7)


def test_the_first_syn_of_a_side_begins_it():
    """tcp_init_sender(): a SYN's window is never scaled, and one of nothing counts one."""
    track = tracked(Seen(), side(5001, 5001, 800, scale=3, flags=SCALE | SACK), state=SYN_SENT, direction=1)
    assert judged(track, segment(seq=900, flags=SYN | ACK, ack=5001, win=300, options=OPTIONS), 1) == ACCEPT
    assert fields(track.seen[1]) == (901, 901, 300, 5001, 7, SCALE | SACK | MAXACK)
    assert track.seen[0].td_scale == 3
    track = tracked(Seen(), side(5001, 5001, 800, scale=3, flags=SCALE), state=SYN_SENT, direction=1)
    assert judged(track, segment(seq=900, flags=SYN | ACK, ack=5001, win=0), 1) == ACCEPT
    assert (track.seen[1].td_maxwin, track.seen[1].td_scale, track.seen[0].td_scale) == (1, 0, 0)


def test_a_scale_too_large_is_14_and_options_take_all_but_liberality_away():
    """RFC 7323 section 2.3; tcp_options()."""
    seen = side(0, 0, 0, scale=5, flags=SCALE | SACK | LIBERAL | UNACKED)
    seen.read_options(b"")
    assert fields(seen) == (0, 0, 0, 0, 5, SCALE | SACK | LIBERAL | UNACKED)
    seen.read_options(build_options(wscale=15))
    assert (seen.td_scale, seen.flags) == (14, SCALE | LIBERAL)
    seen.read_options(build_options(mss=1460))
    assert (seen.td_scale, seen.flags) == (0, LIBERAL)
    seen.read_options(build_options(wscale=0))
    assert (seen.td_scale, seen.flags) == (0, SCALE | LIBERAL)


def test_a_simultaneous_open_is_accepted_before_it_is_judged():
    track = tracked(Seen(), side(5001, 5001, 800), state=SYN_SENT, direction=1)
    assert judged(track, segment(seq=900, flags=SYN, ack=77777, win=300), 1) == ACCEPT
    assert fields(track.seen[1]) == (901, 901, 300, 0, 0, 0)
    assert fields(track.seen[0]) == (5001, 5001, 800, 0, 0, 0)


@pytest.mark.parametrize(
    ("state", "seq", "flags", "direction", "anew"),
    [
        (SYN_SENT, 1000, SYN, 0, True), (SYN_RECV, 1000, SYN, 0, True), (ESTABLISHED, 1000, SYN, 0, False),
        (SYN_SENT, 999, SYN, 0, False), (SYN_SENT, 1000, SYN, 1, True), (SYN_SENT, 1000, SYN | ACK, 1, True),
        (SYN_SENT, 1000, ACK, 0, False),
    ],
)  # fmt: skip
def test_a_later_syn_with_a_larger_number_begins_a_side_anew(state, seq, flags, direction, anew):
    """RFC 793: "it must only be sure to use sequence numbers larger than those recently used"."""
    track = tracked(state=state, direction=direction)
    judged(track, segment(seq=seq, flags=flags, win=300), direction)
    began = track.seen[direction].td_maxwin == 300
    assert began is anew
    if anew and direction and not flags & ACK:
        assert fields(track.seen[1]) == (1001, 1001, 300, 0, 0, 0)


def test_a_side_picked_up_in_its_middle_has_its_window_and_its_peer_what_it_acknowledges():
    track = tracked(side(0, 0, 0, scale=2), Seen())
    assert judged(track, segment(seq=700, length=20, ack=5000, win=100)) == ACCEPT
    assert fields(track.seen[0]) == (720, 1120, 400, 5000, 2, MAXACK)
    assert fields(track.seen[1]) == (5000, 5400, 0, 0, 0, 0)
    track = tracked(Seen(), Seen())
    assert judged(track, segment(seq=700, ack=5000, win=0)) == ACCEPT
    assert track.seen[0].td_maxwin == 1


@pytest.mark.parametrize(("ack", "end", "verdict"), [(5001, 5001, ACCEPT), (5000, 5000, ACCEPT), (5002, 5000, INVALID)])
def test_a_side_picked_up_by_the_answer_to_a_keepalive_acknowledges_one_more(ack, end, verdict):
    """ "Likely a reply to a keepalive." """
    track = tracked(Seen(), side(5000, 6000, 800))
    assert judged(track, segment(seq=700, ack=ack, win=100)) == verdict
    assert track.seen[1].td_end == end


def test_a_reset_that_answers_a_syn_has_no_number_of_its_own():
    """ "RST sent answering SYN." """
    track = tracked(state=SYN_SENT)
    assert judged(track, segment(seq=0, ack=5000, flags=RST | ACK)) == ACCEPT
    assert judged(tracked(), segment(seq=0, ack=5000, flags=RST | ACK)) == IGNORE


def test_a_reset_that_acknowledges_nothing_counts_as_acknowledging_all():
    """ "If there is no ACK, just pretend it was set and OK": broken stacks send RST with ACK and zero."""
    for flags, ack in ((RST | ACK, 5000), (ACK, 0)):
        track = tracked()
        assert judged(track, segment(ack=0, flags=flags)) == ACCEPT
        assert track.seen[0].td_maxack == ack


def test_equal_acknowledgements_in_a_row_are_counted():
    track = tracked()
    same = segment(seq=900, length=50, ack=4900)
    for _ in range(4):
        judged(track, same)
    assert track.retrans == 3
    for other in (
        segment(seq=901, length=49, ack=4900), segment(seq=901, length=48, ack=4900),
        segment(seq=901, length=48, ack=4901), segment(seq=901, length=48, ack=4901, win=501),
    ):  # fmt: skip
        judged(track, other)
        assert track.retrans == 0
        judged(track, other)
        assert track.retrans == 1
    judged(track, segment(seq=901, length=48, ack=4901, win=501, flags=FIN | ACK))
    assert track.retrans == 1
    track.last_dir = 1
    judged(track, other)
    assert track.retrans == 0


OCTETS = build_tcp(1, 2, 4000, 80, 1000, 2000, 0x18, 512, b"hello", build_options(mss=1460))


def test_a_segment_is_read_from_its_octets():
    read = read_segment(b"xx" + OCTETS, 2)
    assert (read.seq, read.ack, read.flags, read.win, read.end) == (1000, 2000, 0x18, 512, 1005)
    assert read.options == bytes.fromhex("020405b4")
    assert read_segment(build_tcp(1, 2, 1, 2, 0xFFFFFFFF, 0, SYN | FIN, 1), 0).end == 1
    assert read_segment(OCTETS[:19], 0) is None
    assert read_segment(OCTETS[:23], 0) is None
    assert read_segment(OCTETS[:24], 0).end == 1000
    assert read_segment(OCTETS[:12] + b"\x40" + OCTETS[13:], 0) is None
    assert read_segment(OCTETS[:12] + b"\x50" + OCTETS[13:], 0).options == b""


@pytest.mark.parametrize(
    ("flags", "index"),
    [(SYN, 0), (SYN | ACK, 1), (FIN, 2), (FIN | ACK, 2), (ACK, 3), (ACK | PSH, 3), (RST, 4), (RST | ACK, 4),
    (RST | SYN, 4),
     (SYN | FIN, 0), (0, 5), (PSH, 5)],
)  # fmt: skip
def test_the_kind_of_a_segment_is_its_strongest_flag(flags, index):
    """get_conntrack_index(): RST, SYN, FIN, ACK."""
    assert segment(flags=flags).index == index
