"""Where the kernel's ticks stand in a world's time, and with them when its timers go off.

A timer is filed under a bucket that is the coarser the further away it is, and fires with its bucket: never early, late
by up to an eighth. Which bucket depends on where the kernel's tick counter stands, which can be read.

Source: kernel/time/timer.c, calc_wheel_index(), calc_index(); 64 buckets a level, 8 times coarser each.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from netsim.units import NS_PER_S, Ns

CLOCK_REALTIME_COARSE = 5
"""The clock that stands still between ticks."""
LEVEL_START = 63
LEVEL_FACTOR = 8
_JIFFIES = re.compile(r"^jiffies: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Where the kernel's ticks stand in a world's time: tick number `count` began at instant `at`."""

    tick: Ns
    count: int
    at: Ns

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


def read_ticks(origin: int) -> Ticks | None:
    """Read where the ticks stand, `origin` being instant 0 in CLOCK_REALTIME; None where the kernel does not tell."""
    for _ in range(10):
        began = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        try:
            text = Path("/proc/timer_list").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        found = _JIFFIES.search(text)
        if found is None:
            return None
        if began == time.clock_gettime_ns(CLOCK_REALTIME_COARSE):  # no tick in between
            tick = round(time.clock_getres(CLOCK_REALTIME_COARSE) * NS_PER_S)
            return Ticks(tick=tick, count=int(found.group(1)), at=began - origin)
    return None
