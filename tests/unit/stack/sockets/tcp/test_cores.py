"""The cores by themselves: timer wheel, round trips, the window, the retransmission queue, the receive queue."""

from __future__ import annotations

import random

import pytest

from netsim.stack.sockets.tcp.alarm import JIFFY, Alarm, wheel
from netsim.stack.sockets.tcp.receiver import Receiver
from netsim.stack.sockets.tcp.reno import CA_OPEN, CA_RECOVERY, TCP_INFINITE_SSTHRESH, Reno
from netsim.stack.sockets.tcp.rtt import RttEstimator
from netsim.stack.sockets.tcp.rtx_queue import Delivered, RtxQueue, Sent
from netsim.stack.sockets.tcp.secure import initial_sequence, timestamp_offset
from netsim.stack.sockets.tcp.segment import unwrap
from netsim.stack.sockets.tcp.timers import model_timeout
from netsim.stack.timers import Timers
from netsim.units import ms, sec, us


@pytest.mark.parametrize(
    ("now", "delay", "fires"),
    [
        (0, ms(40), ms(44)),
        (ms(1), ms(40), ms(44)),
        (ms(4), ms(40), ms(48)),
        (0, ms(204), ms(208)),
        (0, sec(1), ms(1024)),
        (ms(24), sec(1), ms(1056)),
        (0, sec("26.112"), sec("26.624")),
        (sec(2), sec("26.112"), sec("28.672")),
    ],
)
def test_the_wheel_fires_at_the_end_of_a_slot(now, delay, fires):
    """kernel/time/timer.c: slots of 1, 8, 64, 512 jiffies from 0, 63, 504, 4032 jiffies on (HZ 250)."""
    assert wheel(now, delay) == fires


def test_the_wheel_is_never_early_and_at_most_an_eighth_late():
    draw = random.Random(1)
    for _ in range(2000):
        now, delay = draw.randrange(sec(1000)), draw.randrange(1, sec(8000))
        late = wheel(now, delay) - now - delay
        assert -JIFFY < late <= delay // 8 + delay // 50 + 3 * JIFFY


def test_an_alarm_that_is_moved_on_files_no_new_timer():
    timers = Timers()
    fired = []
    alarm = Alarm(timers, fired.append)
    for now in range(0, ms(400), ms(1)):
        timers.run(now)
        alarm.set(now, ms(200))
    assert timers.armed <= 5
    timers.run(sec(1))
    assert fired == [wheel(ms(399), ms(200))]
    alarm.set(sec(1), ms(200))
    alarm.set(sec(1), ms(40))
    alarm.off()
    timers.run(sec(2))
    assert len(fired) == 1


@pytest.mark.parametrize(
    ("boundary", "base", "total"),
    [(3, ms(200), sec(3)), (15, ms(200), ms(924_600)), (6, sec(1), sec(127)), (8, ms(200), ms(102_200))],
)
def test_the_modelled_time_of_time_outs(boundary, base, total):
    """Documentation/networking/ip-sysctl.rst: tcp_retries2 15 yields 924.6 s."""
    assert model_timeout(boundary, base) == total


def test_the_first_measure_gives_three_round_trips_but_at_least_200_ms_more():
    """RFC 6298 section 2.2 with Linux's 200 ms floor under the variance."""
    rtt = RttEstimator()
    assert rtt.rto == sec(1)
    rtt.measured(1000, 1, 2)
    assert (rtt.srtt, rtt.rto) == (ms(1), ms(204))
    rtt = RttEstimator()
    rtt.measured(200_000, 1, 2)
    assert (rtt.srtt, rtt.rto) == (ms(200), ms(600))


def test_steady_measures_settle_at_the_floor_and_back_off_is_bounded():
    rtt = RttEstimator()
    for n in range(200):
        rtt.measured(100_000, n + 1, n + 2)
    assert rtt.rto == ms(300)
    for _ in range(20):
        rtt.back_off()
    assert rtt.rto == sec(120)
    rtt.set_rto()
    assert rtt.rto == ms(300)


def grown(acks, each=1, **state):
    cc = Reno()
    for name, value in state.items():
        setattr(cc, name, value)
    for n in range(acks):
        cc.validate(True, cc.cwnd, n, n + 1)
        cc.grow(each, 0)
    return cc


def test_slow_start_doubles_a_window_in_a_round_trip():
    assert grown(10).cwnd == 20


def test_congestion_avoidance_adds_one_segment_a_window():
    assert grown(20, cwnd=20, ssthresh=10).cwnd == 21
    assert grown(10, each=2, cwnd=20, ssthresh=10).cwnd == 21


def test_slow_start_ends_exactly_at_the_threshold():
    cc = grown(5, each=2, cwnd=8, ssthresh=10)
    assert (cc.cwnd, cc.cwnd_cnt) == (10, 8)


def test_a_window_that_is_not_used_does_not_grow():
    cc = Reno()
    cc.ssthresh = 5
    cc.validate(False, 3, 1, 4)
    cc.grow(3, 0)
    assert cc.cwnd == 10


def test_a_recovery_halves_by_degrees():
    """RFC 6937: of 20 in flight one is lost; half as many leave as arrive, and 10 remain."""
    cc = Reno()
    cc.cwnd = 20
    cc.start_reduction(CA_RECOVERY, 100)
    assert cc.ssthresh == 10
    flight = 16
    for n in range(17):
        cc.reduce(1, 0, flight, una_advanced=False)
        released = max(0, cc.cwnd - flight)
        cc.prr_out += released
        flight += released - 1
        assert n == 0 or cc.cwnd <= 17
    assert 9 <= cc.cwnd <= 11
    cc.end_reduction()
    assert cc.cwnd == 10


def test_a_reduction_taken_back_restores_both():
    cc = Reno()
    cc.cwnd = 20
    cc.lose(0, 100, 0, first=True)
    assert (cc.cwnd, cc.ssthresh) == (1, 10)
    cc.take_back()
    assert (cc.cwnd, cc.ssthresh, cc.undo) == (20, TCP_INFINITE_SSTHRESH, False)
    assert Reno().state == CA_OPEN


@pytest.mark.parametrize(
    ("value", "near", "expected"),
    [(5, 0, 5), (0xFFFFFFFF, 0, -1), (1, 0x1_FFFF_FFFE, 0x2_0000_0001), (0x80000000, 0, -0x80000000)],
)
def test_counts_never_wrap(value, near, expected):
    assert unwrap(value, near) == expected


def queue_of(count, size=100, at=0):
    queue = RtxQueue()
    for n in range(count):
        queue.push(Sent(n * size, (n + 1) * size, 16, bytes(size), at))
    return queue


def test_blocks_mark_whole_segments_and_time_finds_the_lost_ones():
    queue = queue_of(10)
    told = Delivered()
    queue.sack(300, 750, ms(20), told, 0)
    assert (queue.sacked_out, told.sacked, queue.in_flight) == (4, 4, 6)
    assert queue.detect_loss(ms(20), ms(5)) == (0, ms(5))
    assert queue.detect_loss(ms(25), ms(5)) == (3, 0)
    assert [queue.next_lost().seq, queue.lost_out, queue.in_flight] == [0, 3, 3]
    queue.resent(queue.first(), ms(25))
    assert (queue.next_lost().seq, queue.in_flight) == (100, 4)


def test_a_block_that_grows_is_walked_once():
    queue = queue_of(10)
    for right in range(200, 1001, 100):
        told = Delivered()
        queue.sack(100, right, ms(20), told, 0)
        assert told.sacked == 1
    queue.acknowledge(1000, ms(30), Delivered(), 0, sack=True)
    assert (queue.packets_out, queue.sacked_out, queue.first()) == (0, 0, None)


def test_a_retransmission_that_is_lost_too_is_found():
    queue = queue_of(4)
    queue.sack(100, 400, ms(20), Delivered(), 0)
    queue.detect_loss(ms(20), 0)
    queue.resent(queue.first(), ms(20))
    queue.push(Sent(400, 500, 16, bytes(100), ms(21)))
    queue.sack(400, 500, ms(41), Delivered(), 20_000)
    assert queue.detect_loss(ms(41), 0) == (1, 0)
    assert queue.next_lost() is queue.first()
    assert queue.retrans_out == 0


def test_splitting_keeps_the_counters():
    queue = queue_of(2)
    queue.mark_lost(queue.first())
    queue.split(queue.first(), 30)
    assert (queue.packets_out, queue.lost_out) == (3, 2)
    assert [(s.seq, s.end) for s in queue._segments] == [(0, 30), (30, 100), (100, 200)]


def test_a_reneging_peers_sacks_count_no_more():
    queue = queue_of(3)
    queue.sack(0, 100, ms(1), Delivered(), 0)
    queue.mark_all_lost(sec(1), sack=True)
    assert (queue.sacked_out, queue.lost_out) == (0, 3)


def receiver(rcv_nxt=1000):
    rcv = Receiver()
    rcv.offer(1448)
    rcv.start(rcv_nxt, 1448, 1448, 7, now=0)
    return rcv


def test_early_octets_fill_their_gaps_in_any_order():
    draw = random.Random(3)
    data = draw.randbytes(5000)
    for _ in range(200):
        rcv = receiver(0)
        pieces = []
        for _ in range(60):
            left = draw.randrange(5000)
            pieces.append((left, min(5000, left + draw.randrange(1, 900))))
        pieces += [(n, n + 500) for n in range(0, 5000, 500)]
        draw.shuffle(pieces)
        for left, right in pieces:
            if left <= rcv.rcv_nxt < right:
                rcv.put(data[rcv.rcv_nxt : right])
                rcv.drain_early()
            elif left > rcv.rcv_nxt:
                rcv.put_early(left, data[left:right])
            assert rcv.early_octets == sum(len(piece.payload) for piece in rcv.early)
            assert all(one.end <= two.seq for one, two in zip(rcv.early, rcv.early[1:], strict=False))
            assert len(rcv.sacks) <= 4
        assert rcv.take(0) == data
        assert not rcv.early


def test_reading_in_parts_gives_the_same_octets():
    rcv = receiver()
    for part in (b"abc", b"defgh", b"i"):
        rcv.put(part)
    assert [rcv.take(2), rcv.take(4), rcv.take(0)] == [b"ab", b"cdef", b"ghi"]
    assert rcv.queued == 0
    assert rcv.copied_seq == 1009


def test_round_trips_are_measured_from_echoed_stamps_or_from_windows():
    rcv = receiver()
    rcv.measure(1000, 1040, 1448, now=ms(40))
    assert rcv.rtt == ms(40)
    rcv = receiver()
    rcv.measure(-1, 0, 1448, now=ms(10))
    rcv.put(bytes(65_160))
    rcv.measure(-1, 0, 1448, now=ms(60))
    assert rcv.rtt == ms(50)


def test_a_later_connection_of_the_same_name_starts_above():
    """secure_tcp_seq(): a clock of 64 ns."""
    name = (7, 0x0A000001, 40000, 0x0A000002, 80)
    early, late = initial_sequence(*name, us(10)), initial_sequence(*name, sec(60))
    assert 0 < (late - early) & 0xFFFFFFFF < 0x80000000
    assert initial_sequence(8, *name[1:], 0) != initial_sequence(*name, 0)
    assert timestamp_offset(7, 1, 2) != timestamp_offset(7, 2, 1)
