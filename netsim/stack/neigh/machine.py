"""The shell around the transition table: carry the rows of nud.py out on entries.

It owns what a row's actions need (timers, the way out, the failure reports) and decides nothing that a row could say.
Heads up: read nud.py first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.addr import Mac, ip_str, mac_str
from netsim.stack.neigh import nud
from netsim.stack.neigh.entry import Hold, Neighbour, Waiting
from netsim.stack.nud_states import NAMES, NUD_CONNECTED, NUD_FAILED, NUD_NOARP, NUD_NONE, NUD_PERMANENT, NUD_VALID
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, LinkFailure
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.skb import Skb
from netsim.stack.timers import Timers
from netsim.trace.records import NeighChange
from netsim.units import Ns
from netsim.wire.drop import NEIGH_FAILED, NEIGH_QUEUEFULL, QUEUE_PURGE

Solicit = Callable[[Neighbour, Skb | None, Ns], None]


class Step(NamedTuple):
    """What the actions of one row see: `stamp` is `now` floored to a tick where stamps move in ticks."""

    event: int
    now: Ns
    stamp: Ns
    skb: Skb | None
    hold: Hold | None


class Machine:
    """Moves entries. `generation` counts every change of an entry's being VALID or being there.

    `entries` counts entries that take up memory: those on the table, and dead ones that a cached route still holds.
    """

    def __init__(
        self, *, node: str, era: NeighEra, timers: Timers, outbox: Outbox, exit: Exit, failure: LinkFailure,
        solicit: Solicit,
    ) -> None:  # fmt: skip
        self.column = nud.COLUMNS[era.column]
        self.generation = 0
        self.entries = 0
        self._node = node
        self._era = era
        self._tick = era.tick
        self._by_octets = era.queue == "bytes"
        self._newest_hint = era.probe_hint == "newest"
        self._timers = timers
        self._outbox = outbox
        self._exit = exit
        self._failure = failure
        self._solicit = solicit
        self._actions: dict[int, Callable[[Neighbour, Step], None]] = {
            nud.ACT_STAMP: self._stamp, nud.ACT_CONFIRM: self._confirm, nud.ACT_STOP: self._stop,
            nud.ACT_ARM_RETRANS: self._arm_retrans, nud.ACT_ARM_DELAY: self._arm_delay,
            nud.ACT_ARM_REACHABLE: self._arm_reachable, nud.ACT_ARM_NOW: self._arm_now,
            nud.ACT_COUNT_UCAST: self._count_ucast, nud.ACT_COUNT_ZERO: self._count_zero, nud.ACT_PROBE: self._probe,
            nud.ACT_QUEUE: self._queue, nud.ACT_PASS: self._pass, nud.ACT_DISCARD: self._discard,
            nud.ACT_FLUSH: self._flush, nud.ACT_REPORT: self._report,
        }  # fmt: skip

    # Stimuli

    def jiffies(self, now: Ns) -> Ns:
        """Return the instant as stamps see it: the last tick, or `now` where time is exact."""
        return now - now % self._tick if self._tick else now

    def send(self, entry: Neighbour, skb: Skb | None, hold: Hold | None, *, now: Ns) -> None:
        """Mirror neigh_resolve_output(): send, queue or drop one packet by the slow path; None only stirs the entry."""
        stamp = entry.used = self.jiffies(now)
        self.apply(entry, nud.send_event(entry.state, entry.parms), Step(nud.EV_SEND, now, stamp, skb, hold))

    def keep(self, entry: Neighbour, *, now: Ns) -> None:
        """Mirror neigh_event_send_probe(neigh, NULL, false) for a managed entry."""
        stamp = entry.used = self.jiffies(now)
        event = nud.send_event(entry.state, entry.parms)
        event = nud.EV_SEND_LATER if event == nud.EV_SEND else event
        self.apply(entry, event, Step(event, now, stamp, None, None))

    def on_timer(self, entry: Neighbour, at: Ns) -> None:
        """Mirror neigh_timer_handler()."""
        event = self.column.timer_event(entry, at)
        self.apply(entry, event, Step(event, at, at, None, None))

    def heard(self, entry: Neighbour, lladdr: Mac, new: int, *, override: bool, now: Ns) -> None:
        """Mirror neigh_update() for an ARP frame: `new` is REACHABLE for a reply addressed to us, STALE otherwise."""
        if entry.state & (NUD_NOARP | NUD_PERMANENT):
            return
        same = lladdr == entry.lladdr
        event = nud.update_event(entry.state, new, same=same, override=override)
        if event not in (nud.EV_REPLY_CONFLICT, nud.EV_HEARD_CONFLICT):
            self._sync(entry, now)
        self._update(entry, event, lladdr, now)

    def admin(self, entry: Neighbour, lladdr: Mac, new: int, *, now: Ns) -> None:
        """Mirror neigh_update() for an administrator, whose state is applied over any other."""
        if new & NUD_VALID:
            self._sync(entry, now)
        same = bool(entry.state & NUD_VALID) and lladdr == entry.lladdr
        event = nud.admin_event(entry.state, new, same=same, stale_yields=self.column.stale_yields)
        self._update(entry, event, lladdr, now)

    def use(self, entry: Neighbour, *, now: Ns) -> None:
        """Keep the state as `ip neigh ... use` and `managed` do: only PERMANENT is given up."""
        self._update(entry, nud.EV_USE, b"", now)

    def scan_expired(self, entry: Neighbour, *, now: Ns) -> None:
        """Tell an entry that the periodic scan found its proof too old."""
        self._update(entry, nud.EV_SCAN_EXPIRED, b"", now)

    def _sync(self, entry: Neighbour, now: Ns) -> None:
        event = self.column.sync_event(entry, self.jiffies(now))
        if event is not None:
            self._update(entry, event, b"", now)

    def _update(self, entry: Neighbour, event: int, lladdr: Mac, now: Ns) -> None:
        self.apply(entry, event, Step(event, now, self.jiffies(now), None, None), lladdr)

    def apply(self, entry: Neighbour, event: int, step: Step, lladdr: Mac = b"") -> None:
        """Move an entry by one event; an event without a row leaves it alone."""
        row = self.column.rows.get((entry.state, event))
        if row is None:
            return
        learned = row.learn and self._learn(entry, row.new, lladdr, step.stamp)
        if row.new != entry.state:
            self.move(entry, row.new, nud.CAUSES[event], now=step.now)
        elif learned:
            entry.refresh_header()
            self._record(entry, entry.state, nud.CAUSES[event], step.now)
        for action in row.actions:
            self._actions[action](entry, step)

    # Moving

    def move(self, entry: Neighbour, new: int, cause: str, *, now: Ns) -> None:
        """Set a state and tell about it."""
        old = entry.state
        entry.state = new
        entry.refresh_header()
        if (old ^ new) & NUD_VALID and bool(old & NUD_VALID) != bool(new & NUD_VALID):
            self.generation += 1
        self._record(entry, old, cause, now)

    def _record(self, entry: Neighbour, old: int, cause: str, now: Ns) -> None:
        if NeighChange in self._outbox.wants:
            lladdr = mac_str(entry.lladdr) if entry.state & NUD_VALID else ""
            self._outbox.records.append(
                NeighChange(
                    now, self._node, entry.dev.name, ip_str(entry.ip), NAMES[old], NAMES[entry.state], lladdr,
                    cause,
                )
            )  # fmt: skip

    def removed(self, entry: Neighbour, cause: str, *, now: Ns, purge: bool = True) -> None:
        """Bury an entry that was just taken off the table: what waits ends in silence, holders get a blackhole.

        Without `purge` what waits stays where it is, for good.

        A removal is recorded as a move to NONE, which is what asking for its state answers from now on.
        Source: neigh_flush_dev(), neigh_destroy().
        """
        self._cancel(entry)
        self.generation += 1
        if purge:
            self.purge(entry, QUEUE_PURGE, now=now, detail=cause)
        entry.dead = True
        if entry.state != NUD_NONE:
            old, entry.state = entry.state, NUD_NONE
            self._record(entry, old, cause, now)
        entry.refresh_header()
        if not entry.holds:
            self.entries -= 1

    def purge(self, entry: Neighbour, reason: str, *, now: Ns, detail: str = "") -> None:
        """End what waits."""
        while entry.queue:
            self._exit.drop(self._take(entry), reason, now=now, detail=detail)

    # References (2.2, 2.4)

    def hold(self, entry: Neighbour) -> Hold:
        """Take a reference for one route."""
        entry.holds += 1
        return Hold(entry)

    def release(self, hold: Hold) -> None:
        """Give one user's part of a reference back."""
        hold.users -= 1
        if not hold.users:
            hold.entry.holds -= 1
            if hold.entry.dead and not hold.entry.holds:
                self.entries -= 1

    # Actions

    def _learn(self, entry: Neighbour, new: int, lladdr: Mac, stamp: Ns) -> bool:
        if entry.state & NUD_VALID and lladdr == entry.lladdr:
            return False
        entry.lladdr = lladdr
        entry.updated = stamp
        if not new & NUD_CONNECTED:
            entry.confirmed = stamp - 2 * entry.parms.base_reachable_time
        return True

    def _stamp(self, entry: Neighbour, step: Step) -> None:
        entry.updated = step.stamp

    def _confirm(self, entry: Neighbour, step: Step) -> None:
        entry.confirmed = step.stamp

    def _stop(self, entry: Neighbour, step: Step) -> None:
        self._cancel(entry)

    def _cancel(self, entry: Neighbour) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None

    def _arm(self, entry: Neighbour, at: Ns, step: Step) -> None:
        """Set the timer; it never runs in the tick a command set it, but may in the tick another timer did."""
        stamp = step.stamp
        if step.event in nud.TIMER_EVENTS:
            at = max(at, stamp + self._era.min_timer)
        else:
            if self.column.touch_used and entry.used < entry.confirmed:
                entry.used = entry.confirmed
            if at <= stamp:
                at = stamp + self._tick
        self._cancel(entry)
        entry.timer = self._timers.arm(at, entry.on_timer)

    def _arm_retrans(self, entry: Neighbour, step: Step) -> None:
        self._arm(entry, step.stamp + max(entry.parms.retrans_time, self._era.min_timer), step)

    def _arm_delay(self, entry: Neighbour, step: Step) -> None:
        self._arm(entry, step.stamp + entry.parms.delay_first_probe_time, step)

    def _arm_reachable(self, entry: Neighbour, step: Step) -> None:
        self._arm(entry, entry.confirmed + entry.parms.reachable_time, step)

    def _arm_now(self, entry: Neighbour, step: Step) -> None:
        self._arm(entry, step.stamp, step)

    def _count_ucast(self, entry: Neighbour, step: Step) -> None:
        entry.probes = entry.parms.ucast_solicit

    def _count_zero(self, entry: Neighbour, step: Step) -> None:
        entry.probes = 0

    def _probe(self, entry: Neighbour, step: Step) -> None:
        """Mirror neigh_probe(): the packet in hand, else a queued one, lends the probe its source."""
        hint = step.skb
        if hint is None and entry.queue:
            hint = entry.queue[-1 if self._newest_hint else 0].skb
        self._solicit(entry, hint, step.now)
        entry.probes += 1

    def _queue(self, entry: Neighbour, step: Step) -> None:
        """Append the packet; the oldest ones make room (one packet always fits)."""
        skb = step.skb
        if skb is None:
            return
        queue = entry.queue
        if self._by_octets:
            while queue and entry.queue_octets + skb.truesize > entry.parms.unres_qlen_bytes:
                self._exit.drop(self._take(entry), NEIGH_QUEUEFULL, now=step.now)
        elif queue and len(queue) >= entry.parms.unres_qlen:
            self._exit.drop(self._take(entry), NEIGH_QUEUEFULL, now=step.now)
        if step.hold is not None:
            step.hold.users += 1
        queue.append(Waiting(skb, step.hold))
        skb.queued = True
        entry.queue_octets += skb.truesize

    def _take(self, entry: Neighbour) -> Skb:
        skb, hold = entry.queue.popleft()
        skb.queued = False
        entry.queue_octets -= skb.truesize
        if hold is not None:
            self.release(hold)
        return skb

    def _pass(self, entry: Neighbour, step: Step) -> None:
        """Send the packet to the address we know and keep the link header for the next one."""
        skb = step.skb
        if skb is None:
            return
        if step.hold is not None:
            step.hold.cached = True
        elif not self._era.header_per_route and not entry.cached:
            entry.cached = True
            entry.refresh_header()
        header = entry.link_header() if entry.dev.link_header else b""
        self._exit.transmit(entry.dev, header + skb.data, now=step.now, parent=skb.parent, bad=skb.bad, through=skb.uid)

    def _discard(self, entry: Neighbour, step: Step) -> None:
        if step.skb is not None:
            self._exit.drop(step.skb, NEIGH_FAILED, now=step.now)

    def _flush(self, entry: Neighbour, step: Step) -> None:
        """Send what waits through the slow path, as long as the state lets it ("avoid dead loop")."""
        while entry.queue and entry.state & NUD_VALID and not entry.dead:
            hold = entry.queue[0].hold
            if hold is not None:
                hold.users += 1
            skb = self._take(entry)
            self.send(entry, skb, hold, now=step.now)
            if hold is not None:
                self.release(hold)

    def _report(self, entry: Neighbour, step: Step) -> None:
        """Mirror neigh_invalidate(): a report may stir this very entry, which then ends the loop."""
        while entry.queue and entry.state == NUD_FAILED:
            skb = self._take(entry)
            self._failure.link_failure(skb, now=step.now)
            self._exit.drop(skb, NEIGH_FAILED, now=step.now)
        while entry.queue:
            self._exit.drop(self._take(entry), QUEUE_PURGE, now=step.now)
