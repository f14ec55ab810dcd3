"""What became of each flow's units: sent, delivered, lost, gaps, latency, connections.

A unit counts in a window by its sending time, which a delivery tells as arrival minus latency; gaps are between arrival
times, the window's two ends counting as deliveries. A flow with connections counts connections instead, all that became
of one by the instant it was opened: opened is sent, completed is delivered, reset, timed_out and refused are lost.

Source: design/scenario-format.md, "Result" (flows) and "Expectations" (flow).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netsim.observe.meters.latency import Latencies
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, FlowDelivered, FlowError, FlowSent
from netsim.units import Ns, seconds

CONNECTION_EVENTS = ("opened", "completed", "reset", "timed_out")
_BROKEN = frozenset({"reset", "timed_out", "refused"})


@dataclass(slots=True)
class FlowWindow:
    """A flow's numbers from `start` to before `stop`.

    `connections` counts connection events by name; `octets_delivered` is payload; `duplicates` (of the whole flow) are
    arrivals of a unit that had arrived. Latencies are of delivered units.
    """

    flow: str
    start: Ns
    stop: Ns
    sent: int = 0
    delivered: int = 0
    octets_delivered: int = 0
    duplicates: int = 0
    last_delivery: Ns = -1
    longest_gap: Ns = 0
    gap_from: Ns = 0
    latencies: Latencies = field(default_factory=Latencies)
    connections: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def by_connection(self) -> bool:
        """Whether units are connections."""
        return bool(self.connections)

    @property
    def sent_units(self) -> int:
        """Units (or connections opened) in the window."""
        return self.connections.get("opened", 0) if self.connections else self.sent

    @property
    def delivered_units(self) -> int:
        """Units that arrived (or connections completed)."""
        return self.connections.get("completed", 0) if self.connections else self.delivered

    @property
    def broken(self) -> int:
        """Connections that were reset, timed out or were refused."""
        return sum(count for event, count in self.connections.items() if event in _BROKEN)

    def gap(self, end: Ns) -> tuple[Ns, Ns]:
        """Return the longest time without a delivery, and when it began; the window is cut at `end` of the run."""
        stop = min(self.stop, end)
        last = max(self.start, self.last_delivery)
        if stop - last > self.longest_gap:
            return stop - last, last
        return self.longest_gap, self.gap_from

    def deliver(self, t: Ns) -> None:
        """Note a delivery at `t` for the gaps."""
        if not self.start <= t < self.stop:
            return
        last = max(self.start, self.last_delivery)
        if t - last > self.longest_gap:
            self.longest_gap, self.gap_from = t - last, last
        self.last_delivery = t


@dataclass(slots=True)
class FlowBins:
    """One flow over time, binned by sending time: units sent and delivered, their least, summed and greatest latency.

    `octets` is payload, binned by the instant it was delivered.
    """

    sent: list[int] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    latency_max: list[Ns] = field(default_factory=list)
    latency_min: list[Ns] = field(default_factory=list)
    latency_sum: list[Ns] = field(default_factory=list)
    octets: list[int] = field(default_factory=list)


class FlowMeter:
    """Numbers a flow over its whole span, in any windows asked for, and in bins.

    A unit that has not arrived is remembered by number and sending time: memory grows with losses, not with deliveries.
    `spans` gives the flows their own span (start to stop); a flow not in it spans from 0 to the end.
    """

    def __init__(
        self,
        bus: Bus,
        flows: Iterable[str] = (),
        *,
        spans: Mapping[str, tuple[Ns, Ns]] | None = None,
        bin_width: Ns = 0,
    ) -> None:
        self.bin_width = bin_width
        self.whole: dict[str, FlowWindow] = {}
        self.bins: dict[str, FlowBins] = {}
        self._spans = spans or {}
        self._windows: dict[str, list[FlowWindow]] = {}
        self._pending: dict[str, dict[int, list[Ns]]] = {}
        self._early: dict[str, set[int]] = {}
        self._newest: dict[str, int] = {}
        self._opened: dict[tuple[str, str, int], Ns] = {}
        for flow in flows:
            self._of(flow)
        bus.subscribe((FlowSent,), self._sent)
        bus.subscribe((FlowDelivered,), self._delivered)
        bus.subscribe((FlowError,), self._error)
        bus.subscribe((ConnectionEvent,), self._connection)

    def watch(self, flow: str, start: Ns, stop: Ns) -> FlowWindow:
        """Number a flow in one window."""
        window = FlowWindow(flow, start, stop)
        self._of(flow).append(window)
        return window

    def under_way(self, window: FlowWindow, end: Ns) -> int:
        """Return how many units of the window are still on their way at `end`.

        Connections: those neither completed nor broken. Others: undelivered ones among those sent within the flow's
        greatest latency before the end.
        """
        missing = window.sent_units - window.delivered_units - window.broken
        if window.by_connection or missing <= 0:
            return max(0, missing)
        slowest = self.whole[window.flow].latencies.maximum
        pending = (t for times in self._pending[window.flow].values() for t in times)
        return min(missing, sum(1 for t in pending if window.start <= t < window.stop and t + slowest > end))

    def lost(self, window: FlowWindow, end: Ns) -> int:
        """Return how many units are gone for good."""
        if window.by_connection:
            return window.broken
        return max(0, window.sent - window.delivered - self.under_way(window, end))

    def lost_bins(self, flow: str, end: Ns) -> list[int]:
        """Return by bin of sending how many units never arrived, without those that may still be under way at `end`.

        A connection's units are what was sent over it, whatever became of the connection.
        """
        bins: list[int] = []
        slowest = self.whole[flow].latencies.maximum
        for times in self._pending[flow].values():
            for t in times:
                if t + slowest <= end:
                    self._fill(bins, t)
        return bins

    def as_result(self, end: Ns) -> dict[str, Any]:  # Any: JSON values
        """Return the `flows` part of a result."""
        out: dict[str, Any] = {}
        for flow, window in self.whole.items():
            latency = window.latencies
            out[flow] = {
                "sent": window.sent_units,
                "delivered": window.delivered_units,
                "lost": self.lost(window, end),
                "longest_gap_s": seconds(window.gap(end)[0]),
                "latency_s": {
                    "p50": seconds(latency.percentile(50)),
                    "p95": seconds(latency.percentile(95)),
                    "max": seconds(latency.maximum),
                },
                "connections": {event: window.connections.get(event, 0) for event in CONNECTION_EVENTS},
            }
        return out

    def _of(self, flow: str) -> list[FlowWindow]:
        windows = self._windows.get(flow)
        if windows is None:
            start, stop = self._spans.get(flow, (0, 1 << 63))
            self.whole[flow] = FlowWindow(flow, start, stop)
            self.bins[flow] = FlowBins()
            self._pending[flow] = {}
            self._early[flow] = set()
            windows = self._windows[flow] = [self.whole[flow]]
        return windows

    def _sent(self, r: FlowSent) -> None:
        for window in self._of(r.flow):
            if window.start <= r.t < window.stop:
                window.sent += 1
        if r.seq in self._early[r.flow]:
            self._early[r.flow].remove(r.seq)
        else:
            self._pending[r.flow].setdefault(r.seq, []).append(r.t)
        self._newest[r.flow] = max(self._newest.get(r.flow, -1), r.seq)
        self._fill(self.bins[r.flow].sent, r.t)

    def _delivered(self, r: FlowDelivered) -> None:
        sent_at = r.t - r.latency
        if not self._settle(r, sent_at):
            self.whole[r.flow].duplicates += 1
            return
        for window in self._of(r.flow):
            if window.start <= sent_at < window.stop:
                window.delivered += 1
                window.octets_delivered += r.octets
                window.latencies.add(r.latency)
            window.deliver(r.t)
        bins = self.bins[r.flow]
        self._fill(bins.delivered, sent_at)
        self._fill(bins.octets, r.t, r.octets)
        if self.bin_width:
            index = sent_at // self.bin_width
            if index >= len(bins.latency_max):
                more = [0] * (index + 1 - len(bins.latency_max))
                for row in (bins.latency_max, bins.latency_min, bins.latency_sum):
                    row.extend(more)
            first = bins.delivered[index] == 1
            bins.latency_max[index] = max(bins.latency_max[index], r.latency)
            bins.latency_min[index] = r.latency if first else min(bins.latency_min[index], r.latency)
            bins.latency_sum[index] += r.latency

    def _settle(self, r: FlowDelivered, sent_at: Ns) -> bool:
        """Take a unit off those not delivered; False when it had arrived before (a link duplicated it).

        Over lo a unit arrives before its sender says that it sent it; connections number their data as they like.
        """
        pending = self._pending[r.flow] if r.flow in self.whole else {}
        times = pending.get(r.seq)
        if times:
            times.remove(sent_at if sent_at in times else times[0])
            if not times:
                del pending[r.seq]
            return True
        window = self._of(r.flow)[0]
        if window.by_connection:
            return True
        if r.seq <= self._newest.get(r.flow, -1):
            return False
        self._early[r.flow].add(r.seq)
        return True

    def _error(self, r: FlowError) -> None:
        for window in self._of(r.flow):
            if window.start <= r.t < window.stop:
                window.errors[r.errno] = window.errors.get(r.errno, 0) + 1

    def _connection(self, r: ConnectionEvent) -> None:
        key = (r.flow, r.node, r.seq)
        if r.event == "opened":
            self._opened[key] = r.t
        opened = self._opened.get(key, r.t)
        for window in self._of(r.flow):
            if window.start <= opened < window.stop:
                window.connections[r.event] = window.connections.get(r.event, 0) + 1
            if r.event == "completed":
                window.deliver(r.t)
        if r.event not in {"opened", "established"}:
            self._opened.pop(key, None)

    def _fill(self, bins: list[int], t: Ns, amount: int = 1) -> None:
        if not self.bin_width:
            return
        index = t // self.bin_width
        if index >= len(bins):
            bins.extend([0] * (index + 1 - len(bins)))
        bins[index] += amount
