"""The periodic pass over the table, and what a full table gives up.

The pass draws reachable_time anew every 300 s and collects what nobody uses. Three kernels, three passes: mainline runs
over everything each base_reachable_time / 2 but collects only above gc_thresh1; 2.4 to 2.4.28 runs over everything each
gc_interval, and is what notices that a REACHABLE entry has aged; later 2.4 takes one hash chain a step.

A pass that could have no effect is not armed: the next one that can is reached by arithmetic, at the same instant it
would have had.
Source: neigh_periodic_work(), neigh_forced_gc(), neigh_alloc(), neigh_rand_reach_time(); 2.4 neigh_periodic_timer();
kernel-2.4-neighbour rules 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from netsim.addr import is_multicast
from netsim.stack.device import Device
from netsim.stack.neigh import nud
from netsim.stack.neigh.entry import Neighbour
from netsim.stack.nud_states import NUD_FAILED, NUD_NOARP, NUD_PERMANENT
from netsim.stack.ports import Rng
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.sysctl import NeighParms, Sysctl
from netsim.stack.timers import Timer, Timers
from netsim.units import NS_PER_S, Ns

REDRAW_AFTER: Ns = 300 * NS_PER_S
"""Reachable times older than this are drawn anew by the next pass."""
FLUSH_AGAIN_AFTER: Ns = 5 * NS_PER_S
"""Between gc_thresh2 and gc_thresh3 a forced collection runs at most this often."""
KEEP_UPDATED_FOR: Ns = 5 * NS_PER_S
"""Mainline's forced collection spares entries that changed this recently."""

ChainHash = Callable[[int, int, int], int]
"""(address, ifindex, number of chains) -> a number whose remainder by the last is the entry's hash chain."""


class Table(Protocol):
    """What the pass may do to the table."""

    def __len__(self) -> int: ...

    def snapshot(self) -> list[Neighbour]:
        """Return the entries, oldest first."""
        ...

    def remove(self, entry: Neighbour, cause: str, *, now: Ns) -> None:
        """Take an entry off the table."""
        ...

    def expire(self, entry: Neighbour, *, now: Ns) -> None:
        """Tell an entry that its proof is too old."""
        ...

    @property
    def allocated(self) -> int:
        """Count entries, dead ones that are still held included."""
        ...


def draw_ticks(rng: Rng, bound: Ns, step: Ns) -> Ns:
    """Draw a time in [0, bound) on the era's grain, as the kernel takes a raw number modulo its jiffies."""
    steps = bound // step
    return rng.getrandbits(32) % steps * step if steps else 0


def mix_hash(ip: int, ifindex: int, chains: int) -> int:
    """Spread addresses over hash chains. Not Jenkins' hash, which the kernel salts at random at each growth."""
    value = (ip ^ ifindex * 0x9E3779B1 ^ chains * 0x85EBCA6B) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = (value ^ value >> shift) * factor & 0xFFFFFFFF
    return value ^ value >> 16


class Collector:
    """The pass of one box and its bounds; `next_run` is the instant of the next pass, armed or not.

    Devices are drawn for in reverse order of their coming, the table's default first.
    """

    def __init__(
        self, *, era: NeighEra, sysctl: Sysctl, timers: Timers, rng: Rng, table: Table, now: Ns, chain_hash: ChainHash,
    ) -> None:  # fmt: skip
        self._era = era
        self._sysctl = sysctl
        self._timers = timers
        self._rng = rng
        self._table = table
        self._hash = chain_hash
        self._devices: list[Device] = []
        self._timer: Timer | None = None
        self.draw(sysctl.neigh_default)
        drawn = sysctl.neigh_default.reachable_time
        self._last_flush = now
        self._last_rand = now + 20 * drawn
        self._pass = PASSES[era.scan](self)
        self.next_run = now + self._pass.first(sysctl.neigh_default)
        self.schedule()

    # Drawing

    def draw(self, parms: NeighParms) -> None:
        """Draw reachable_time uniformly in [0.5, 1.5) of base_reachable_time. Source: neigh_rand_reach_time()."""
        base, step = parms.base_reachable_time, self._era.draw_step
        parms.reachable_time = draw_ticks(self._rng, base, step) + base // step // 2 * step

    def device_added(self, dev: Device) -> None:
        """Draw for a new device."""
        self._devices.append(dev)
        self.draw(dev.neigh)

    def device_removed(self, dev: Device) -> None:
        """Forget a device."""
        if dev in self._devices:
            self._devices.remove(dev)

    def _redraw_due(self, at: Ns) -> bool:
        age = at - self._last_rand
        return age > REDRAW_AFTER or (age < 0 and not self._era.rand_signed)

    def redraw(self, at: Ns) -> None:
        """Draw for everybody when the last time was long ago."""
        if self._redraw_due(at):
            self._last_rand = at
            self.draw(self._sysctl.neigh_default)
            for dev in reversed(self._devices):
                self.draw(dev.neigh)

    # The pass

    def schedule(self) -> None:
        """Arm the next pass that can have an effect."""
        at = self.next_run
        if not self._pass.busy():
            step = self._pass.interval()
            while not self._redraw_due(at):
                at += step * max(1, (self._last_rand + REDRAW_AFTER - at) // step)
        if self._timer is not None and self._timer.pending:
            if self._timer.at == at:
                return
            self._timer.cancel()
        self._timer = self._timers.arm(at, self._run)

    def entry_added(self, now: Ns) -> None:
        """Make sure the passes that an entry needs are armed."""
        self._pass.grow(self._table.allocated)
        if (self._timer is None or self._timer.at != self.next_run) and self._pass.busy():
            self._catch_up(now)
            self.schedule()

    def parameter_changed(self) -> None:
        """Arm anew after the table's own parameters were written; passes skipped so far count at the new interval."""
        self._catch_up(self._timers.seen)
        self.schedule()

    def _catch_up(self, now: Ns) -> None:
        """Bring the phase past the runs that were skipped because they had nothing to do."""
        if now >= self.next_run:
            step = self._pass.interval()
            skipped = (now - self.next_run) // step + 1
            self.next_run += skipped * step
            self._pass.skip(skipped)

    def _run(self, at: Ns) -> None:
        self._pass.skip((at - self.next_run) // self._pass.interval())
        self.redraw(at)
        self._pass.run(at)
        self.next_run = at + self._pass.interval()
        self._timer = None
        self.schedule()

    def sweep(self, entries: list[Neighbour], at: Ns) -> None:
        """Collect the unreferenced among `entries` that failed or idled for gc_stale_time; let 2.4's REACHABLE age."""
        spared = NUD_PERMANENT | nud.COLUMNS[self._era.column].timed
        for entry in entries:
            if entry.state & spared or entry.extern_learn:
                continue
            entry.used = max(entry.used, entry.confirmed)
            idle = at - entry.used
            stale = idle >= entry.parms.gc_stale_time if self._era.idle_inclusive else idle > entry.parms.gc_stale_time
            if not entry.referenced and (entry.state == NUD_FAILED or stale):
                self._table.remove(entry, "scan, unused", now=at)
            elif self._era.scan_expires and at - entry.confirmed > entry.parms.reachable_time:
                self._table.expire(entry, now=at)

    def __len__(self) -> int:
        return len(self._table)

    def entries(self) -> list[Neighbour]:
        """Return the table's entries, oldest first."""
        return self._table.snapshot()

    def defaults(self) -> NeighParms:
        """Return the table's parameters."""
        return self._sysctl.neigh_default

    def chain_of(self, entry: Neighbour, chains: int) -> int:
        """Return the hash chain an entry is on."""
        return self._hash(entry.ip, entry.dev.ifindex, chains) % chains

    # The bounds

    def make_room(self, now: Ns) -> bool:
        """Tell whether one more entry may be made, after a forced collection where it is due. Source: neigh_alloc()."""
        parms = self._sysctl.neigh_default
        if self._era.forced_gc == "selective":
            if self._table.allocated < parms.gc_thresh2:
                return True
            count = sum(not entry.state & NUD_PERMANENT and not entry.extern_learn for entry in self._table.snapshot())
            full = count >= parms.gc_thresh3
            due = full or (count >= parms.gc_thresh2 and now > self._last_flush + FLUSH_AGAIN_AFTER)
            return not due or bool(self._collect_selective(count - parms.gc_thresh2, now)) or not full
        count = self._table.allocated
        due = count > parms.gc_thresh3 or (
            count > parms.gc_thresh2 and now - self._last_flush > FLUSH_AGAIN_AFTER
        )  # fmt: skip
        return not due or bool(self._collect_unreferenced(now)) or self._table.allocated <= parms.gc_thresh3

    def _collect_selective(self, most: int, now: Ns) -> int:
        """Mirror neigh_forced_gc(): oldest first, until gc_thresh2 is reached; count what went."""
        gone = 0
        for entry in self._table.snapshot():
            if entry.state & NUD_PERMANENT or entry.extern_learn or entry.referenced:
                continue
            old = now - entry.updated > KEEP_UPDATED_FOR
            if old or entry.state in (NUD_FAILED, NUD_NOARP) or is_multicast(entry.ip):
                self._table.remove(entry, "table full", now=now)
                gone += 1
                if gone >= most:
                    break
        self._last_flush = now
        return gone

    def _collect_unreferenced(self, now: Ns) -> int:
        """Mirror 2.4's neigh_forced_gc(): everything nobody refers to goes, fresh REACHABLE entries included."""
        gone = 0
        for entry in self._table.snapshot():
            if not entry.referenced and not entry.state & NUD_PERMANENT:
                self._table.remove(entry, "table full", now=now)
                gone += 1
        self._last_flush = now
        return gone


class Pass(Protocol):
    """One kernel's way over the table."""

    def first(self, parms: NeighParms) -> Ns:
        """Return the time from boot to the first run."""
        ...

    def interval(self) -> Ns:
        """Return the time to the next run."""
        ...

    def busy(self) -> bool:
        """Tell whether a run may do more than draw."""
        ...

    def skip(self, runs: int) -> None:
        """Note runs that had nothing to do."""
        ...

    def grow(self, entries: int) -> None:
        """Note that the table has so many entries now."""
        ...

    def run(self, at: Ns) -> None:
        """Go over the table."""
        ...


class WorkPass:
    """Mainline: everything, every base_reachable_time / 2, from gc_thresh1 entries on; first after a table draw."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def first(self, parms: NeighParms) -> Ns:
        """Return the table's drawn reachable_time."""
        return parms.reachable_time

    def interval(self) -> Ns:
        """Return half the base, at least one step."""
        return max(NS_PER_S // 250, self._collector.defaults().base_reachable_time // 2)

    def busy(self) -> bool:
        """Tell whether the table reached gc_thresh1."""
        return len(self._collector) >= self._collector.defaults().gc_thresh1

    def skip(self, runs: int) -> None:
        """Do nothing: each run is like any other."""

    def grow(self, entries: int) -> None:
        """Do nothing: the hash is of no consequence."""

    def run(self, at: Ns) -> None:
        """Sweep the table when it is large enough."""
        if self.busy():
            self._collector.sweep(self._collector.entries(), at)


class TablePass:
    """2.4 to 2.4.28: everything, every gc_interval; the first an interval and a table draw after boot."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def first(self, parms: NeighParms) -> Ns:
        """Return gc_interval and the table's draw."""
        return parms.gc_interval + parms.reachable_time

    def interval(self) -> Ns:
        """Return gc_interval, at least a tick."""
        return max(NS_PER_S // 100, self._collector.defaults().gc_interval)

    def busy(self) -> bool:
        """Tell whether there are entries."""
        return bool(len(self._collector))

    def skip(self, runs: int) -> None:
        """Do nothing: each run is like any other."""

    def grow(self, entries: int) -> None:
        """Do nothing: the hash is fixed."""

    def run(self, at: Ns) -> None:
        """Sweep the whole table."""
        self._collector.sweep(self._collector.entries(), at)


class ChainPass:
    """2.4.29 on: one hash chain a run, all in base_reachable_time / 2; chains double when entries outgrow them."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._chains = 2
        self._next = 0

    def first(self, parms: NeighParms) -> Ns:
        """Return one tick."""
        return NS_PER_S // 100

    def interval(self) -> Ns:
        """Return base / 2 / chains on whole ticks, at least one."""
        tick = NS_PER_S // 100
        return max(1, self._collector.defaults().base_reachable_time // tick // 2 // self._chains) * tick

    def busy(self) -> bool:
        """Tell whether there are entries."""
        return bool(len(self._collector))

    def skip(self, runs: int) -> None:
        """Go on by that many chains."""
        self._next = (self._next + runs) % self._chains

    def grow(self, entries: int) -> None:
        """Double the chains when there are more entries than chains."""
        if entries > self._chains:
            self._chains *= 2

    def run(self, at: Ns) -> None:
        """Sweep the next chain."""
        collector = self._collector
        chain = [e for e in collector.entries() if collector.chain_of(e, self._chains) == self._next]
        self._next = (self._next + 1) % self._chains
        collector.sweep(chain, at)


PASSES: Mapping[str, Callable[[Collector], Pass]] = MappingProxyType(
    {"work": WorkPass, "table": TablePass, "chain": ChainPass}
)
