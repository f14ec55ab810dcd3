"""Who goes when the table fills up, and the background scan that clears away what expired.

Theory. The kernel keeps tuples in hash buckets; when the table is full it looks into eight of them, from the new
connection's own on, and evicts what is not ASSURED in the first that has any. Buckets exist here only while that is
needed: the first time the table is full they are built, from then on kept. The scan runs as the kernel's does, 1 s
after boot and then at least once a minute, sooner the sooner entries will expire; while the table is empty it sleeps,
and wakes on the beat it would have had.
Source: early_drop(), early_drop_list(), gc_worker(), net/netfilter/nf_conntrack_core.c (6.x); linux-kernel 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.ct_proto import Tracker
from netsim.stack.netfilter.hooks import Services
from netsim.stack.netfilter.status import IPS_ASSURED, IPS_DYING
from netsim.stack.netfilter.tuples import Key
from netsim.stack.timers import Timer
from netsim.units import NS_PER_S, Ns

NF_CT_EVICTION_RANGE = 8
GC_FIRST: Ns = NS_PER_S
GC_SCAN_INTERVAL_MAX: Ns = 60 * NS_PER_S
GC_SCAN_INTERVAL_MIN: Ns = NS_PER_S
GC_SCAN_INTERVAL_CLAMP: Ns = 300 * NS_PER_S
GC_SCAN_INITIAL_COUNT = 100
"""The average pretends a hundred entries at the upper bound, so that a few short-lived ones do not wake it often."""


class Evictor:
    """Early drop and the background scan of one box's table."""

    def __init__(self, services: Services, table: ConntrackTable, trackers: Mapping[int, Tracker]) -> None:
        self._services = services
        self._conf = services.sysctl.conntrack
        self._table = table
        self._trackers = trackers
        self._buckets: dict[int, list[Conntrack]] | None = None
        self._size = 0
        self._secret = 0
        self._pressed = False
        self._timer: Timer | None = None
        self._beat: Ns = GC_FIRST
        table.on_insert = self._inserted
        table.on_remove = self._removed

    # Early drop

    def early_drop(self, key: Key, now: Ns) -> bool:
        """Make room for a connection with tuple `key`; False when nothing near may go."""
        if self._buckets is None:
            self._secret = self._services.rng.getrandbits(64)
            self._size = max(1, self._conf.buckets)
            self._buckets = {}
            for ct in self._table:
                self._file(ct, self._buckets)
        start = self._bucket(key)
        for step in range(NF_CT_EVICTION_RANGE):
            dropped = 0
            for ct in list(self._buckets.get((start + step) % self._size, ())):
                if ct.timeout <= now:
                    self._table.kill(ct, now)
                elif not ct.status & (IPS_ASSURED | IPS_DYING):
                    dropped += self._table.kill(ct, now)
            if dropped:
                self._table.stats["early_drop"] += dropped
                return True
        self._pressed = True
        return False

    def _bucket(self, key: Key) -> int:
        return hash((self._secret, *key)) % self._size

    def _file(self, ct: Conntrack, buckets: dict[int, list[Conntrack]]) -> None:
        for key in (ct.tuple_orig, ct.tuple_reply):
            buckets.setdefault(self._bucket(key), []).append(ct)

    def _inserted(self, ct: Conntrack, now: Ns) -> None:
        if self._buckets is not None:
            self._file(ct, self._buckets)
        if self._timer is None:
            if self._beat <= now:
                self._beat += ((now - self._beat) // GC_SCAN_INTERVAL_MAX + 1) * GC_SCAN_INTERVAL_MAX
            self._timer = self._services.timers.arm(self._beat, self._scan)

    def _removed(self, ct: Conntrack) -> None:
        if self._buckets is None:
            return
        for key in (ct.tuple_orig, ct.tuple_reply):
            at = self._bucket(key)
            entries = self._buckets[at]
            entries.remove(ct)
            if not entries:
                del self._buckets[at]

    # Background scan

    def _scan(self, now: Ns) -> None:
        """Remove what expired, and choose the next time by the average of what is left. Source: gc_worker()."""
        pressed_at = self._conf.max // 100 * 95 if self._pressed else 0
        self._pressed = False
        pause = GC_SCAN_INTERVAL_MAX
        count = GC_SCAN_INITIAL_COUNT
        for ct in self._table:
            left = ct.timeout - now
            if left <= 0:
                self._table.kill(ct, now)
                continue
            left = min(max(left, GC_SCAN_INTERVAL_MIN), GC_SCAN_INTERVAL_CLAMP)
            for _ in (0, 1):  # each entry stands in the table twice
                count += 1
                pause += int((left - pause) / count)
            if pressed_at and self._table.count >= pressed_at and self._may_go(ct):
                self._table.kill(ct, now)
        pause = min(max(pause, GC_SCAN_INTERVAL_MIN), GC_SCAN_INTERVAL_MAX)
        self._beat = now + pause
        self._timer = self._services.timers.arm(self._beat, self._scan) if self._table.count else None

    def _may_go(self, ct: Conntrack) -> bool:
        """Mirror gc_worker_can_early_drop()."""
        if not ct.status & IPS_ASSURED:
            return True
        tracker = self._trackers.get(ct.proto)
        return tracker is not None and tracker.can_early_drop(ct)
