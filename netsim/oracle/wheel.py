"""The kernel's timer wheel for the emulated side of a comparison: timers as late as the kernel's, to the tick.

With the ticks where the kernel had them both sides fire in the same tick, and what follows from a timer meets the same
packets. Source: kernel/time/timer.c, calc_wheel_index(), calc_index(); 64 buckets a level, 8 times coarser each.
"""

from __future__ import annotations

from heapq import heappush

from netsim.kernel.ticks import Ticks
from netsim.stack.timers import Callback, Timer, Timers
from netsim.units import Ns

ORDER = 1 << 40


class WheelTimers(Timers):
    """The deadlines of a box that has the wheel.

    Of the timers of one tick the coarser buckets go first, and of one bucket the timer that was set last: a bucket is a
    list that is added to at its head. Source: collect_expired_timers(), __run_timers(), enqueue_timer().
    """

    __slots__ = ("ticks",)

    def __init__(self, ticks: Ticks) -> None:
        super().__init__()
        self.ticks = ticks

    def arm(self, at: Ns, fn: Callback) -> Timer:
        """Call `fn` when the timer's bucket is due; it is told that instant.

        `seen` may be a nanosecond early: a box that takes a frame has run its deadlines to just before it.
        """
        fires, grain = self.ticks.fires(self.seen, max(0, at - self.seen - 1))
        timer = Timer(fires, fn)
        self.armed += 1
        heappush(self.heap, (fires, -grain * ORDER - self.armed, timer))
        return timer

    def file(self, at: Ns, fn: Callback) -> Timer:
        """Call `fn` at an instant that `wheel` gave."""
        return super().arm(at, fn)

    def wheel(self, now: Ns, delay: Ns) -> Ns:
        """Return when a timer set at `now` for `delay` fires."""
        return self.ticks.fires(now, delay)[0]
