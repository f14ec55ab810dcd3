"""A line: serialisation, delay and queue to the nanosecond; accidents from their own streams."""

from __future__ import annotations

import random

import pytest

from netsim.sim.impair import Arrival, Line, LineSpec
from netsim.units import ms, us
from netsim.wire import drop


def line(**settings) -> Line:
    return Line(LineSpec(**settings), lambda accident: random.Random(accident))


def test_an_idle_line_takes_serialisation_and_delay():
    assert line(rate=10_000_000, delay=ms(5)).send(bytes(1250), 0) == (Arrival(ms(6), bytes(1250), False, False),)


def test_a_busy_line_sends_in_turn():
    slow = line(rate=10_000_000)
    arrivals = [slow.send(bytes(1250), 0)[0].at for _ in range(3)]
    assert arrivals == [ms(1), ms(2), ms(3)]
    assert slow.send(bytes(1250), ms(10))[0].at == ms(11)


def test_serialisation_rounds_up_to_a_whole_nanosecond():
    assert line(rate=3_000_000_000).send(b"x", 0)[0].at == 3


def test_a_full_queue_drops_the_newcomer():
    slow = line(rate=8_000, queue=2)
    fates = [slow.send(bytes(1000), 0) for _ in range(4)]
    assert [isinstance(fate, str) for fate in fates] == [False, False, False, True]
    assert fates[3] == drop.QUEUE_FULL
    assert not isinstance(slow.send(bytes(1000), ms(1000)), str)


def test_an_infinite_rate_needs_no_queue():
    fast = line(queue=1)
    assert all(fast.send(bytes(1500), 0)[0].at == 0 for _ in range(1000))


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_loss_takes_its_share(share):
    lossy = line(loss=share)
    lost = sum(lossy.send(b"x" * 60, t) == drop.LINK_LOSS for t in range(4000))
    assert abs(lost / 4000 - share) < 0.03


def test_jitter_stays_in_its_bounds_and_keeps_the_order():
    shaky = line(delay=ms(10), jitter=ms(2))
    arrivals = [shaky.send(b"x" * 60, us(100) * n)[0].at for n in range(500)]
    assert arrivals == sorted(arrivals)
    assert all(at >= us(100) * n + ms(8) for n, at in enumerate(arrivals))
    assert len(set(arrivals)) > 20


def test_a_corrupt_frame_differs_in_one_bit_behind_the_link_header_and_is_marked():
    (arrival,) = line(corrupt=1.0).send(bytes(60), 0)
    assert arrival.bad
    assert sum(octet.bit_count() for octet in arrival.octets) == 1
    assert not any(arrival.octets[:14])


def test_a_duplicate_is_a_copy_at_the_same_instant():
    first, second = line(duplicate=1.0, delay=ms(1)).send(b"x" * 60, 0)
    assert (first.copy, second.copy, first.at, second.at) == (False, True, ms(1), ms(1))


def test_a_reordered_frame_is_overtaken():
    spec = LineSpec(delay=ms(10), reorder=0.5)
    mixed = Line(spec, lambda accident: random.Random(3))
    arrivals = [mixed.send(b"x" * 60, ms(n))[0].at for n in range(50)]
    assert arrivals != sorted(arrivals)


def test_one_accident_never_shifts_another():
    """Source: decision 6, "Adding a component never shifts another's stream"."""
    alone = [line_loss(LineSpec(loss=0.2)), line_loss(LineSpec(loss=0.2, jitter=ms(1), corrupt=0.5))]
    assert alone[0] == alone[1]


def line_loss(spec: LineSpec) -> list[bool]:
    it = Line(spec, lambda accident: random.Random(accident))
    return [it.send(b"x" * 60, n) == drop.LINK_LOSS for n in range(200)]
