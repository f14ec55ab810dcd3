"""When a kernel timer really fires: the timer wheel, and an alarm that is set anew with every segment at little cost.

Theory. A timer is asked for in whole jiffies (4 ms at HZ 250) and goes into a wheel whose slots grow coarser the
further away they lie: up to 63 jiffies one each, up to 504 eight each, up to 4032 sixty-four each, and so on by eights.
A slot fires at its end, never early, up to one slot late. That is why a time-out of 26.1 s is seen at 26.2 to 28.2 s.
Source: __mod_timer(), calc_wheel_index() (kernel/time/timer.c, 4.8 and later); observed-linux 2 and 13: SYNs at 0,
1.01, 2.03, 3.06; retransmissions after 0.2, 0.42, 0.83, 1.66, 3.4, 6.7, 13.3, 27.6 s.
"""

from __future__ import annotations

from netsim.stack.timers import JIFFY, Callback, Timer, Timers, wheel
from netsim.units import Ns

__all__ = ["JIFFY", "Alarm", "wheel"]


class Alarm:
    """One timer of a socket. `due` is when it is wanted, None when it is off.

    Each segment moves the retransmission timer; filing it in the box's heap every time would fill the heap with dead
    entries. So an entry that stands earlier stays, finds at its time that it is not due, and is filed again.
    """

    __slots__ = ("_fn", "_timer", "_timers", "due")

    def __init__(self, timers: Timers, fn: Callback) -> None:
        self._timers = timers
        self._fn = fn
        self._timer: Timer | None = None
        self.due: Ns | None = None

    def set(self, now: Ns, delay: Ns) -> None:
        """Have it fire `delay` after `now`, as the wheel has it; an earlier setting is forgotten."""
        self.due = at = self._timers.wheel(now, delay)
        timer = self._timer
        if timer is not None and timer.fn is not None:
            if timer.at <= at:
                return
            timer.cancel()
        self._timer = self._timers.file(at, self._fire)

    def off(self) -> None:
        """Turn it off; harmless when it is."""
        self.due = None

    def cancel(self) -> None:
        """Turn it off and let go of the box's heap: the socket is gone."""
        self.due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self, now: Ns) -> None:
        due = self.due
        if due is None:
            return
        if due > now:
            self._timer = self._timers.file(due, self._fire)
            return
        self.due = None
        self._fn(now)
