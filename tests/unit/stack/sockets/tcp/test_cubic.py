"""CUBIC's integers and HyStart's two ways to end slow start.

Source: net/ipv4/tcp_cubic.c (6.x); RFC 9438 sections 4.2 to 4.6, 4.10; HyStart: Ha and Rhee 2011.
"""

from __future__ import annotations

import pytest

from netsim.stack.sockets.tcp.cubic import BETA_SCALE, CUBE_FACTOR, HZ, Cubic, cubic_root
from netsim.stack.sockets.tcp.reno import CA_LOSS, CA_OPEN, CA_RECOVERY, TCP_INFINITE_SSTHRESH
from netsim.units import NS_PER_MS, ms, sec, us


def test_constants_are_the_kernels():
    assert (HZ, BETA_SCALE, CUBE_FACTOR) == (250, 15, 2681735677)


@pytest.mark.parametrize(("a", "root"), [(0, 0), (1, 1), (7, 1), (8, 2), (26, 2), (27, 3), (10**15, 100_000)])
def test_cubic_root_rounds_down(a, root):
    assert cubic_root(a) == root


def round_trips(cc, count, *, rtt=100 * NS_PER_MS, start=0):
    """Acknowledge a window, one segment at a time, in each of `count` round trips; return the window after each."""
    seen = []
    for n in range(count):
        at = start + n * rtt
        for _ in range(cc.cwnd):
            cc.validate(True, cc.cwnd, n, n + 1)
            cc.grow(1, at)
        seen.append(cc.cwnd)
    return seen


def after_a_loss(cwnd):
    """Return a window that left a recovery begun at `cwnd`."""
    cc = Cubic()
    cc.cwnd = cwnd
    cc.init_undo(0, 0)
    cc.start_reduction(CA_RECOVERY, 0)
    cc.end_reduction()
    cc.state = CA_OPEN
    return cc


def test_the_round_trip_of_the_handshake_is_no_measure():
    """A SYN is short: on a slow link the first data would look like a queue. Source: cubictcp_init()."""
    cc = Cubic()
    cc.measured(20_000, 0, 0, 1, 1, ms(20))
    cc.begin(10)
    cc.measured(32_000, 0, 1448, 1500, 15000, ms(60))
    assert cc._delay_min == 32_000


def test_a_loss_leaves_seven_tenths():
    cc = after_a_loss(100)
    assert (cc.ssthresh, cc.cwnd) == (70, 70)


def test_a_second_loss_below_the_first_gives_way_to_others():
    """Fast convergence: the remembered maximum is 0.85 of where the second loss was."""
    cc = after_a_loss(1000)
    cc.start_reduction(CA_RECOVERY, 0)
    assert (cc.ssthresh, cc._last_max_cwnd) == (490, 595)


def test_the_window_is_back_where_the_loss_was_after_k():
    """K = cubic root of (1000 - 700) / 0.4 = 9.09 s: concave until then, convex after (RFC 9438 figure 2)."""
    cc = after_a_loss(1000)
    windows = round_trips(cc, 200)
    reached = next(n for n, cwnd in enumerate(windows) if cwnd >= 995) / 10
    assert 6.5 <= reached <= 9.2
    assert 998 <= windows[90] <= 1002
    assert windows[20] - windows[10] > 20 * (windows[95] - windows[85])
    assert windows[180] > 1200


def test_on_a_short_path_it_grows_like_aimd():
    """W_est: with a reduction to 0.7, AIMD adds 9/17 of a segment a round trip (RFC 9438 section 4.3)."""
    cc = after_a_loss(20)
    windows = round_trips(cc, 100, rtt=ms(10))
    assert 14 + 100 * 9 // 17 - 6 <= windows[-1] <= 14 + 100 * 9 // 17 + 3


def test_a_silence_is_no_time_of_growth():
    cc = after_a_loss(1000)
    round_trips(cc, 10)
    talked = cc.cwnd
    cc.woke(sec(1), sec(61))
    assert round_trips(cc, 1, start=sec(61))[0] - talked < 20


def test_a_time_out_forgets_the_maximum():
    cc = after_a_loss(100)
    cc.lose(0, 5, sec(1), first=True)
    assert (cc.state, cc.cwnd, cc.ssthresh, cc._last_max_cwnd) == (CA_LOSS, 1, 49, 0)


def test_slow_start_ends_on_a_train_of_acks():
    """20 ms away: ACKs 1 ms apart for longer than half a round trip, plus half the burst allowance."""
    cc = Cubic()
    cc.cwnd = 40
    cc.measured(20_000, 160_000, 1448, 1, 100, sec(1))  # the first ACK of a round begins it
    for n in range(1, 11):
        cc.measured(20_000, 160_000, 1448, 2, 100, sec(1) + ms(n))
        assert cc.ssthresh == TCP_INFINITE_SSTHRESH, n
    cc.measured(20_000, 160_000, 1448, 2, 100, sec(1) + ms(10) + us(600))
    assert cc.ssthresh == 40


def test_acks_far_apart_are_no_train():
    cc = Cubic()
    cc.cwnd = 40
    for n in range(20):
        cc.measured(20_000, 160_000, 1448, 1 + (n > 0), 100, sec(1) + 3 * ms(n))
    assert cc.ssthresh == TCP_INFINITE_SSTHRESH


@pytest.mark.parametrize(("longer", "ends"), [(4_000, False), (4_001, True)])
def test_slow_start_ends_when_round_trips_grow(longer, ends):
    """An eighth of 20 ms would be 2.5 ms: the least is 4 ms. Nine samples of the round are looked at."""
    cc = Cubic()
    cc.cwnd = 16
    cc.measured(20_000, 160_000, 1448, 1, 10, sec(1))
    for n in range(1, 9):
        cc.measured(20_000 + longer, 160_000, 1448, 11, 20, sec(1) + n * ms(5))
    assert cc.ssthresh == TCP_INFINITE_SSTHRESH
    cc.measured(20_000 + longer, 160_000, 1448, 12, 20, sec(1) + ms(50))
    assert (cc.ssthresh == 16) is ends


def test_a_window_below_sixteen_is_left_alone():
    cc = Cubic()
    cc.cwnd = 15
    for n in range(40):
        cc.measured(50_000 if n else 20_000, 160_000, 1448, 1 + n, 100, sec(1) + ms(n))
    assert cc.ssthresh == TCP_INFINITE_SSTHRESH
