"""How far apart instants may lie, and when a timer of the running kernel fires."""

from __future__ import annotations

import pytest

from netsim.kernel.ticks import Ticks
from netsim.oracle.wheel import WheelTimers
from netsim.oracle.windows import SLACK, Window
from netsim.units import ms, sec

TICKS = Ticks(tick=ms(4), count=0, at=0)


@pytest.mark.parametrize(
    ("kernel", "missed"),
    [(sec(5), False), (sec(5) - SLACK, False), (sec(5) - SLACK - 1, True), (sec("5.67"), False), (sec("5.7"), True)],
)
def test_a_timer_may_be_late_by_an_eighth_and_never_early(kernel, missed):
    assert Window().misses(kernel, sec(5)) is missed


def test_lateness_adds_up_along_a_chain_and_is_gone_where_an_application_sets_the_pace():
    window = Window()
    assert not window.misses(sec("8.9"), sec(8))
    assert not window.misses(sec("17.8"), sec(16))
    assert not window.misses(sec("16.1"), sec("16.1"))
    assert window.misses(sec("16.3"), sec("16.2"))


def test_commands_that_take_their_time_widen_a_window():
    assert Window().misses(ms(200), 0)
    assert not Window().misses(ms(200), 0, ms(160))


@pytest.mark.parametrize(
    ("delay", "fires"),
    [
        (ms(4), ms(8)),  # one tick, and to the end of the tick it falls in
        (ms(248), ms(252)),  # 62 ticks: still exact to a tick
        (ms(252), ms(256)),  # 63 ticks: buckets of eight
        (sec(1), sec("1.024")),  # 250 ticks
        (sec(5), sec("5.12")),  # 1250 ticks: buckets of 64
    ],
)
def test_the_further_away_a_timer_the_coarser_its_bucket(delay, fires):
    """kernel/time/timer.c: LVL_START(1) = 63, eight times coarser a level."""
    assert TICKS.fires(0, delay)[0] == fires


def test_buckets_stand_where_the_kernels_ticks_stand():
    ticks = Ticks(tick=ms(4), count=7, at=-ms(1))
    assert ticks.fires(0, ms(252))[0] == ms(4) * (72 - 7) - ms(1)


def test_timers_of_one_bucket_fire_last_set_first_and_coarser_buckets_before():
    """enqueue_timer() adds at the head of a bucket; expire_timers() takes the highest level first."""
    timers = WheelTimers(TICKS)
    fired: list[str] = []
    timers.arm(ms(1000), lambda _: fired.append("coarse"))
    timers.run(ms(840))
    timers.arm(ms(1018), lambda _: fired.append("first"))
    timers.arm(ms(1018), lambda _: fired.append("second"))
    timers.run(sec(2))
    assert fired == ["coarse", "second", "first"]
