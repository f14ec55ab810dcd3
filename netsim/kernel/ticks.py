"""Where the kernel's ticks stand in a world's time, and with them when its timers go off.

A timer is filed under a bucket that is the coarser the further away it is, and fires with its bucket: never early, late
by up to an eighth. Which bucket depends on where the kernel's tick counter stands, which can be read.

Source: kernel/time/timer.c, calc_wheel_index(), calc_index(); 64 buckets a level, 8 times coarser each.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from netsim.units import NS_PER_S, Ns

CLOCK_REALTIME_COARSE = 5
"""The clock that stands still between ticks."""
SAMPLES = 8
"""How many ticks to wait for: any one may come late, where the machine runs somebody else meanwhile."""
LEVEL_START = 63
LEVEL_FACTOR = 8
_JIFFIES = re.compile(r"^jiffies: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Where the kernel's ticks stand in a world's time: tick number `count` began at instant `at`."""

    tick: Ns
    count: int
    at: Ns

    def since(self, origin: int) -> Ticks:
        """Return where they stand when instant `origin` is called 0."""
        return replace(self, at=self.at - origin)

    def number(self, t: Ns) -> int:
        """Return the number of the tick that an instant is in."""
        return self.count + (t - self.at) // self.tick

    def fires(self, now: Ns, delay: Ns) -> tuple[Ns, int]:
        """Return when a timer set now for a delay goes off, and how coarse its bucket is, in ticks."""
        delta = -(-delay // self.tick)
        expires = self.number(now) + delta
        grain = 1
        while delta >= LEVEL_START * grain:
            grain *= LEVEL_FACTOR
        bucket = (expires // grain + 1) * grain
        return self.at + (bucket - self.count) * self.tick, grain


def read_ticks() -> Ticks | None:
    """Read where the ticks stand in CLOCK_REALTIME, in some ten of them; None where the kernel does not tell."""
    for _ in range(10):
        began = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        found = _JIFFIES.search(_timer_list())
        if found is None:
            return None
        if began == time.clock_gettime_ns(CLOCK_REALTIME_COARSE):  # no tick in between
            tick = round(time.clock_getres(CLOCK_REALTIME_COARSE) * NS_PER_S)
            behind = min(_moves_on() for _ in range(SAMPLES))
            return Ticks(tick=tick, count=int(found.group(1)), at=began + behind)
    return None


def _timer_list() -> str:
    """Return the kernel's list of timers, "" where it is not ours to read."""
    try:
        return Path("/proc/timer_list").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _moves_on() -> Ns:
    """Wait for the coarse clock to move on; return how long after the instant that it shows then that was.

    It moves with the tick, and counts in steps of a tick from when the clock source began: up to a tick behind it.
    Source: kernel/time/timekeeping.c, timekeeping_advance(): whole intervals are accumulated.
    """
    shown = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    while (now := time.clock_gettime_ns(CLOCK_REALTIME_COARSE)) == shown:
        pass
    return time.time_ns() - now
