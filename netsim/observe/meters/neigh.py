"""The neighbour timeline: which entry was in which state when."""

from __future__ import annotations

from typing import Any, NamedTuple

from netsim.trace.bus import Bus
from netsim.trace.records import NeighChange
from netsim.units import Ns, seconds

NONE = "NONE"
"""The state of an entry that is not there."""


class NeighKey(NamedTuple):
    """One entry: "NODE IP dev DEV"."""

    node: str
    dev: str
    dst: str

    def __str__(self) -> str:
        return f"{self.node} {self.dst} dev {self.dev}"


class Interval(NamedTuple):
    """A state from `start` to before `stop`."""

    start: Ns
    stop: Ns
    state: str


class NeighTimeline:
    """Keeps every change: memory grows with changes, which are few."""

    def __init__(self, bus: Bus) -> None:
        self.changes: list[NeighChange] = []
        self._by_key: dict[NeighKey, list[NeighChange]] = {}
        bus.subscribe((NeighChange,), self._change)

    def keys(self) -> list[NeighKey]:
        """Return the entries that ever were, sorted by node, device and address."""
        return sorted(self._by_key, key=lambda k: (k.node, k.dev, tuple(int(part) for part in k.dst.split("."))))

    def state_at(self, key: NeighKey, t: Ns) -> str:
        """Return the state at `t`, after what happened at `t`."""
        state = NONE
        for change in self._by_key.get(key, ()):
            if change.t > t:
                break
            state = change.new
        return state

    def first_entry(self, key: NeighKey, state: str, after: Ns = 0) -> Ns | None:
        """Return when the entry first enters `state` at or after `after`; None if it does not."""
        for change in self._by_key.get(key, ()):
            if change.t >= after and change.new == state and change.old != state:
                return change.t
        return None

    def intervals(self, key: NeighKey, end: Ns) -> list[Interval]:
        """Return the states one after the other from 0 to `end`, NONE included; those of no length are left out."""
        out: list[Interval] = []
        start, state = 0, NONE
        for change in self._by_key.get(key, ()):
            if change.t >= end:
                break
            if change.new != state:
                if change.t > start:
                    out.append(Interval(start, change.t, state))
                start, state = change.t, change.new
        if end > start:
            out.append(Interval(start, end, state))
        return out

    def as_result(self) -> list[dict[str, Any]]:  # Any: JSON values
        """Return the `neigh` part of a result."""
        return [
            {"t": seconds(c.t), "node": c.node, "dev": c.dev, "dst": c.dst, "from": c.old, "to": c.new}
            for c in self.changes
        ]

    def _change(self, r: NeighChange) -> None:
        self.changes.append(r)
        self._by_key.setdefault(NeighKey(r.node, r.dev, r.dst), []).append(r)
