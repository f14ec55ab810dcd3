"""Where the kernel's ticks stand, read by clocks that stand between them."""

from __future__ import annotations

import pytest

from netsim.kernel.ticks import CLOCK_REALTIME_COARSE, read_ticks
from netsim.units import ms, us

TICK = ms(4)
BOOT = 1_795_604_878_000_000_000
"""The instant of tick 1000."""


class Clocks:
    """A kernel of 250 Hz, asked every 20 us: what the coarse clock shows is `behind` the ticks, `stolen` ones are late.

    Seen on 6.18: behind 3.53 ms, and one tick in ten some ms late under load.
    """

    def __init__(self, behind, stolen=()):
        self.now = BOOT + us(123)
        self.behind = behind
        self.stolen = stolen

    def ticks(self):
        """Return how many ticks were handled by now."""
        self.now += us(20)
        count = (self.now - BOOT) // TICK
        late = ms(3) if count in self.stolen and (self.now - BOOT) % TICK < ms(3) else 0
        return count - bool(late)

    def clock_gettime_ns(self, clock):
        assert clock == CLOCK_REALTIME_COARSE
        return BOOT + self.ticks() * TICK - self.behind

    def clock_getres(self, _clock):
        return 0.004

    def time_ns(self):
        return self.now

    def timer_list(self):
        return f"Timer List Version: v0.10\nnow at 1 nsecs\njiffies: {1000 + self.ticks()}\n"


@pytest.mark.parametrize("behind", [0, us(464), us(3530), us(3999)])
@pytest.mark.parametrize("stolen", [(), (1, 2, 4, 5)], ids=["in time", "some late"])
def test_a_tick_is_when_the_coarse_clock_moves_on_and_not_what_it_shows(monkeypatch, behind, stolen):
    clocks = Clocks(behind, stolen)
    monkeypatch.setattr("netsim.kernel.ticks.time", clocks)
    monkeypatch.setattr("netsim.kernel.ticks._timer_list", clocks.timer_list)
    ticks = read_ticks().since(BOOT)
    assert ticks.tick == TICK
    assert 0 <= ticks.at + (1000 - ticks.count) * TICK <= us(100)
    assert ticks.number(ms(40) + us(200)) == 1010


@pytest.mark.parametrize("told", ["", "Timer List Version: v0.10\n"])
def test_where_the_kernel_does_not_tell_nothing_is_known(monkeypatch, told):
    monkeypatch.setattr("netsim.kernel.ticks._timer_list", lambda: told)
    assert read_ticks() is None
