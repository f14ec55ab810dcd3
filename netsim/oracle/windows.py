"""How far apart two instants may lie and still be the same.

The kernel's timers never fire early, and late by up to an eighth of their length (the wheel's levels). Lateness adds up
along a chain of timers and is gone where an application's own clock sets the pace. So for steps of one sequence:
late(i) <= max(0, late(i-1)) + gap(i) / 8 + SLACK, and never early by more than SLACK.

Source: kernel/time/timer.c, "the timer wheel has different levels of granularity"; measured: a 1 s timer comes 18 to
27 ms late, one of 5 s 20 to 250 ms, one of 20 s 620 ms.
"""

from __future__ import annotations

from netsim.units import NS_PER_MS, Ns

SLACK: Ns = 50 * NS_PER_MS
"""The loop of this process, commands that take their time, and the interval at which neighbours are looked at."""


class Window:
    """Follows one sequence; `misses` tells whether a step came outside what was left of its window."""

    def __init__(self) -> None:
        self._late: Ns = 0
        self._last: Ns = 0

    def misses(self, kernel: Ns, emulator: Ns, more: Ns = 0) -> bool:
        """Take the next step's two instants and tell whether they are too far apart; `more` is allowed for commands."""
        late = kernel - emulator
        allowed = max(0, self._late) + max(0, emulator - self._last) // 8 + SLACK + more
        self._late, self._last = late, emulator
        return not -SLACK <= late <= allowed
