"""Packets that ended, by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from netsim.trace.bus import Bus
from netsim.trace.records import Dropped
from netsim.units import Ns


@dataclass(slots=True)
class DropWindow:
    """Drops from `start` to before `stop`, by reason."""

    start: Ns
    stop: Ns
    reasons: Counter[str] = field(default_factory=Counter)


class DropMeter:
    """Counts drops by reason, by place and in windows."""

    def __init__(self, bus: Bus) -> None:
        self.reasons: Counter[str] = Counter()
        self.places: Counter[tuple[str, str, str]] = Counter()
        self._windows: list[DropWindow] = []
        bus.subscribe((Dropped,), self._dropped)

    def watch(self, start: Ns, stop: Ns) -> DropWindow:
        """Count drops in one window."""
        window = DropWindow(start, stop)
        self._windows.append(window)
        return window

    def as_result(self) -> dict[str, int]:
        """Return the `drops` part of a result, reasons sorted."""
        return {reason: self.reasons[reason] for reason in sorted(self.reasons)}

    def _dropped(self, r: Dropped) -> None:
        self.reasons[r.reason] += 1
        self.places[(r.node, r.dev, r.reason)] += 1
        for window in self._windows:
            if window.start <= r.t < window.stop:
                window.reasons[r.reason] += 1
