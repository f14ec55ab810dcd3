"""A box's deadlines: one heap, cancellable entries, run in order of time and then of arming.

The box never sees a clock: its owner asks `next()` and calls `run(now)`; early and late calls are both fine. Each
callback gets the instant it was due, so a late call changes no timestamp.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from netsim.units import Ns

Callback = Callable[[Ns], None]


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


class Timers:
    """The heap of one box.

    `seen` is the latest instant it was run to, for whoever is told of no `now`. `armed` counts timers ever armed: while
    it stands still, `next()` cannot have become earlier.
    """

    __slots__ = ("_heap", "armed", "seen")

    def __init__(self) -> None:
        self._heap: list[tuple[Ns, int, Timer]] = []
        self.armed = 0
        self.seen: Ns = 0

    def arm(self, at: Ns, fn: Callback) -> Timer:
        """Call `fn(at)` at `at`; two timers of one instant fire in order of arming."""
        timer = Timer(at, fn)
        self.armed += 1
        heappush(self._heap, (at, self.armed, timer))
        return timer

    def next(self) -> Ns | None:
        """Return the earliest pending instant, or None when nothing is armed."""
        heap = self._heap
        while heap:
            if heap[0][2].fn is not None:
                return heap[0][0]
            heappop(heap)
        return None

    def run(self, now: Ns) -> bool:
        """Fire everything due at or before `now`, including what those callbacks arm inside that span.

        Returns whether there was anything.
        """
        if now > self.seen:
            self.seen = now
        heap = self._heap
        if not heap or heap[0][0] > now:
            return False
        while heap and heap[0][0] <= now:
            at, _, timer = heappop(heap)
            fn = timer.fn
            if fn is not None:
                timer.fn = None
                fn(at)
        return True
