"""A box's deadlines: one heap, cancellable entries, run in order of time and then of arming.

The box never sees a clock: its owner asks `next()` and calls `run(now)`; early and late calls are both fine. Each
callback gets the instant it was due, so a late call changes no timestamp.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from netsim.compiled import mypyc_attr
from netsim.units import NS_PER_MS, Ns

Callback = Callable[[Ns], None]

JIFFY: Ns = 4 * NS_PER_MS
"""One tick at HZ 250, in Ns."""
LVL_CLK_SHIFT = 3
LVL_SIZE = 64
LVL_DEPTH = 9


def wheel(now: Ns, delay: Ns) -> Ns:
    """Return the instant at which a timer set at `now` for `delay` (rounded up to jiffies) fires.

    A timer goes into a wheel whose slots grow coarser the further away they lie: up to 63 jiffies one each, up to 504
    eight each, up to 4032 sixty-four each, and so on by eights. A slot fires at its end, never early, up to one slot
    late. Source: __mod_timer(), calc_wheel_index() (kernel/time/timer.c, 4.8 and later).
    """
    clock = now // JIFFY
    jiffies = -(-delay // JIFFY)
    level = 0
    while level < LVL_DEPTH - 1 and jiffies >= (LVL_SIZE - 1) << (level * LVL_CLK_SHIFT):
        level += 1
    shift = level * LVL_CLK_SHIFT
    return (((clock + jiffies) >> shift) + 1 << shift) * JIFFY


class Timer:
    """One armed deadline; `at` is when it fires, `fn` is None once it fired or was cancelled."""

    __slots__ = ("at", "fn")

    def __init__(self, at: Ns, fn: Callback | None) -> None:
        self.at = at
        self.fn = fn

    @property
    def pending(self) -> bool:
        """Whether it will still fire."""
        return self.fn is not None

    def cancel(self) -> None:
        """Forget it; harmless when it fired already."""
        self.fn = None


@mypyc_attr(allow_interpreted_subclasses=True)
class Timers:
    """The heap of one box.

    `seen` is the latest instant it was run to, for whoever is told of no `now`. `armed` counts timers ever armed: while
    it stands still, `next()` cannot have become earlier. `heap` holds (instant, number, timer), cancelled ones too.
    """

    __slots__ = ("armed", "heap", "seen")

    def __init__(self) -> None:
        self.heap: list[tuple[Ns, int, Timer]] = []
        self.armed = 0
        self.seen: Ns = 0

    def arm(self, at: Ns, fn: Callback) -> Timer:
        """Call `fn(at)` at `at`; two timers of one instant fire in order of arming."""
        timer = Timer(at, fn)
        self.armed += 1
        heappush(self.heap, (at, self.armed, timer))
        return timer

    def file(self, at: Ns, fn: Callback) -> Timer:
        """Do as `arm` does, for an instant that `wheel` gave already."""
        return self.arm(at, fn)

    def wheel(self, now: Ns, delay: Ns) -> Ns:
        """Return when a kernel timer set at `now` for `delay` fires, on a wheel whose ticks began at instant 0."""
        return wheel(now, delay)

    def next(self) -> Ns | None:
        """Return the earliest pending instant, or None when nothing is armed."""
        heap = self.heap
        while heap:
            if heap[0][2].fn is not None:
                return heap[0][0]
            heappop(heap)
        return None

    def run(self, now: Ns) -> bool:
        """Fire everything due at or before `now`, including what those callbacks arm inside that span.

        Returns whether there was anything.
        """
        if now > self.seen:  # noqa: PLR1730  once a frame: max() costs three times as much
            self.seen = now
        heap = self.heap
        if not heap or heap[0][0] > now:
            return False
        while heap and heap[0][0] <= now:
            at, _, timer = heappop(heap)
            fn = timer.fn
            if fn is not None:
                timer.fn = None
                fn(at)
        return True
