"""When the kernel's timer wheel lets a timer go off. Source: calc_index(), HZ 250; case b1, lab g8 (2.019 s)."""

import pytest

from netsim.kernel.ticks import Ticks
from netsim.oracle.wheel import WheelTimers
from netsim.units import ms


@pytest.fixture
def timers():
    return WheelTimers(Ticks(tick=ms(4), count=0, at=0))


@pytest.mark.parametrize("early", [0, 1])
@pytest.mark.parametrize(
    ("now", "length", "fires"),
    [
        (ms(1001), ms(100), ms(1104)),  # under 63 ticks: the tick after
        (ms(1013), ms(1000), ms(2016)),  # 250 ticks, grain 8: tick 253 + 250 = 503, bucket 504
        (ms(1017), ms(1000), ms(2048)),  # tick 504 is a bucket's first: the next bucket
        (ms(1001), ms(250), ms(1280)),  # 62.5 ticks are 63, grain 8
        (ms(1001), ms(5000), ms(6144)),  # 1250 ticks, grain 64
    ],
)
def test_a_timer_goes_off_with_its_bucket_also_in_a_box_that_ran_to_just_before(timers, now, length, fires, early):
    timers.run(now - early)
    timers.arm(now + length, print)
    assert timers.next() == fires


def test_of_the_timers_of_one_bucket_the_last_set_goes_off_first(timers):
    """Case c1: 10.2.0.52, .55, .56, .54 were asked for within 13 ms, and again as .54, .56, .55, .52."""
    fired = []
    for name in ("52", "55", "56", "54"):
        timers.arm(ms(1000), lambda now, name=name: fired.append(name))
    timers.run(ms(1024))
    assert fired == ["54", "56", "55", "52"]
