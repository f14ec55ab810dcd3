"""The shortest round trip of the last five minutes. Source: tcp_update_rtt_min(), lib/win_minmax.c (6.x)."""

from __future__ import annotations

from netsim.stack.sockets.tcp.rtt import NO_RTT, RttEstimator
from netsim.units import sec


def after(*measures):
    """Return the shortest after (seconds, microseconds) each."""
    rtt = RttEstimator()
    shortest = []
    for at, us in measures:
        rtt.note_min(us, sec(at))
        shortest.append(rtt.min_us)
    return shortest


def test_without_a_measure_it_is_no_bound():
    assert RttEstimator().min_us == NO_RTT == 0xFFFFFFFF


def test_a_shorter_one_counts_at_once_and_zero_is_one():
    assert after((0, 500), (1, 700), (2, 300), (3, 0)) == [500, 500, 300, 1]


def test_a_path_that_became_longer_is_believed_after_five_minutes():
    """A failover from 20 to 80 ms: measures each second, the old path's is forgotten when it is 300 s old."""
    measures = [(at, 20_000) for at in range(10)] + [(at, 80_000) for at in range(10, 400)]
    shortest = after(*measures)
    assert shortest.count(20_000) == 9 + 301
    assert set(shortest[310:]) == {80_000}


def test_the_next_best_of_each_part_of_the_window_takes_over():
    """Source: minmax_subwin_update(): a quarter and a half of the window later new candidates are taken."""
    measures = [(0, 10), *((at, 50) for at in range(80, 160, 10)), *((at, 30) for at in range(160, 200, 10)), (301, 40)]
    assert after(*measures)[-1] == 30


def test_after_a_long_silence_all_is_forgotten():
    assert after((0, 10), (1000, 99)) == [10, 99]


def test_a_measure_that_the_peer_may_have_delayed_only_counts_if_shorter():
    rtt = RttEstimator()
    rtt.note_min(100, 0)
    rtt.note_min(40_000, sec(1000), delayed=True)
    assert rtt.min_us == 100
    rtt.note_min(90, sec(1001), delayed=True)
    assert rtt.min_us == 90
