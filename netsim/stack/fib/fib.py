"""The FIB of a box: rules and tables behind the requests that change them and the events that do.

What a request or an event does to routes is the lineage's: trie.py and events.py (mainline), hash.py and old_events.py
(2.2, 2.4). The choice is made once, here.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip
from netsim.stack.address import IfAddr
from netsim.stack.device import Device
from netsim.stack.errno import ENOENT, Refusal
from netsim.stack.fib.dump import dump_all, dump_table, hash_order, trie_order
from netsim.stack.fib.events import MainlineEvents
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.fib.hash import DELAYED, Hash
from netsim.stack.fib.lookup import Lookup, OldLookup
from netsim.stack.fib.old_events import OldEvents
from netsim.stack.fib.route import Alias, FibInfo
from netsim.stack.fib.text import route_text
from netsim.stack.fib.trie import Trie
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.ports import NeighView, Rng
from netsim.stack.profile.fib import FibEra
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import (
    DONE,
    DelRoute,
    DelRule,
    Done,
    DumpRoutes,
    DumpRules,
    NewRoute,
    NewRule,
    RouteInfo,
    RuleInfo,
)
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import RouteEvent
from netsim.units import Ns


class Flusher(Protocol):
    """Who empties the route cache of 2.2 and 2.4."""

    def __call__(self, delay: Ns, now: Ns) -> None:
        """Flush after `delay` Ns; DELAYED means min_delay, 0 at once."""
        ...


class Routes(Protocol):
    """How a lineage adds and deletes routes."""

    def add(self, req: NewRoute) -> Done | Refusal:
        """Carry out a NewRoute."""
        ...

    def delete(self, req: DelRoute) -> Done | Refusal:
        """Carry out a DelRoute."""
        ...

    def source(self, info: FibInfo, index: int, scope: int) -> Ip:
        """Return the source of packets by a path."""
        ...


class Events(Protocol):
    """What a lineage makes of device and address events."""

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None: ...
    def address_removed(self, dev: Device, ifa: IfAddr, last: bool, now: Ns) -> None: ...
    def device_up(self, dev: Device, now: Ns) -> None: ...
    def device_down(self, dev: Device, now: Ns) -> None: ...
    def ip_disabled(self, dev: Device, now: Ns) -> None: ...
    def device_removed(self, dev: Device, now: Ns) -> None: ...
    def carrier_changed(self, dev: Device, now: Ns) -> None: ...
    def device_changed(self, dev: Device, now: Ns) -> None: ...


__all__ = ["DELAYED", "Fib"]


class Fib:
    """Rules, tables and what changes them.

    `generation` counts every change that may alter an answer. `flusher`, set by the 2.2/2.4 router, is asked to flush
    the route cache instead; mainline has none.
    """

    def __init__(
        self, *, node: str, era: FibEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, neigh: NeighView,
    ) -> None:  # fmt: skip
        self.node = node
        self.era = era
        self._interfaces = interfaces
        self._sysctl = sysctl
        self._outbox = outbox
        self._now: Ns = 0
        self.generation = 0
        self.flusher: Flusher | None = None
        self.lookup: Lookup
        self.routes: Routes
        self._events: Events
        self.hash: Hash | None = None
        self._order = hash_order if era.route_cache else trie_order
        if era.route_cache:
            self.lookup = OldLookup(interfaces, sysctl)
            self.hash = Hash(interfaces, self.lookup, self._tell, self.flush_cache, static=patches.static_routes)
            self.routes = self.hash
            self._events = OldEvents(self.hash, era, self.flush_cache)
        else:
            self.lookup = Lookup(interfaces, sysctl)
            trie = Trie(interfaces, self.lookup, self._tell, self.changed)
            self.routes = trie
            self._events = MainlineEvents(trie, self.changed)
        self.hash_seed = rng.getrandbits(32) or 1
        for prefix in ("net.ipv4.conf", "net.ipv4.fib_", "net.ipv4.ip_forward"):
            sysctl.listen(prefix, self._setting_changed)

    def _setting_changed(self, key: str) -> None:
        self.changed()

    def changed(self) -> None:
        """Note that answers may differ from now on. Mirrors rt_cache_flush() of mainline."""
        self.generation += 1

    def flush_cache(self, delay: Ns) -> None:
        """Ask for a flush of the route cache. Mirrors rt_cache_flush() of 2.2 and 2.4."""
        self.generation += 1
        if self.flusher is not None:
            self.flusher(delay, self._now)

    def _tell(self, event: str, plen: int, prefix: Ip, alias: Alias, table: int, notified: bool) -> None:
        if RouteEvent in self._outbox.wants:
            line = route_text(plen, prefix, alias, table)
            self._outbox.records.append(RouteEvent(self._now, self.node, event, line, notified))

    def seed(self) -> int:
        """Return the seed of the multipath hash: the sysctl's, or one drawn at boot."""
        return self._sysctl.ipv4.fib_multipath_hash_seed or self.hash_seed

    # Requests

    def new_route(self, req: NewRoute, *, now: Ns) -> Done | Refusal:
        """Add, append, prepend, replace or change a route."""
        self._now = now
        return self.routes.add(req)

    def del_route(self, req: DelRoute, *, now: Ns) -> Done | Refusal:
        """Delete the first route that matches."""
        self._now = now
        return self.routes.delete(req)

    def dump_routes(self, req: DumpRoutes, *, now: Ns) -> tuple[RouteInfo, ...] | Refusal:
        """List one table, or all."""
        if req.table is None:
            return dump_all(self.lookup, self._order)
        table = self.lookup.tables.get(req.table)
        if table is None:
            return () if self.era.route_cache else Refusal(ENOENT, "ipv4: FIB table does not exist")
        return dump_table(self.lookup, table, self._order)

    def new_rule(self, req: NewRule, *, now: Ns) -> Done | Refusal:
        """Add a rule; the route cache of 2.2 and 2.4 does not notice (route-patches C4)."""
        refusal = self.lookup.rules.add(req.rule, req.flags, self.lookup.empty_table)
        if refusal is not None:
            return refusal
        self.changed()
        return DONE

    def del_rule(self, req: DelRule, *, now: Ns) -> Done | Refusal:
        """Delete a rule."""
        refusal = self.lookup.rules.delete(req.rule)
        if refusal is not None:
            return refusal
        self.changed()
        return DONE

    def dump_rules(self, req: DumpRules, *, now: Ns) -> tuple[RuleInfo, ...]:
        """List the rules."""
        return self.lookup.rules.dump()

    # Events: links.FibEvents

    def address_added(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """Make the address's routes."""
        self._now = now
        self._events.address_added(dev, ifa, now)

    def address_removed(self, dev: Device, ifa: IfAddr, *, last: bool, now: Ns) -> None:
        """Take the address's routes away."""
        self._now = now
        self._events.address_removed(dev, ifa, last, now)

    def device_up(self, dev: Device, *, now: Ns) -> None:
        """Bring connected routes and paths back."""
        self._now = now
        self._events.device_up(dev, now)

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Mark paths dead."""
        self._now = now
        self._events.device_down(dev, now)

    def ip_disabled(self, dev: Device, *, now: Ns) -> None:
        """The last address went: every path of the device dies."""
        self._now = now
        self._events.ip_disabled(dev, now)

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """The device is being unregistered."""
        self._now = now
        self._events.device_removed(dev, now)

    def carrier_changed(self, dev: Device, *, now: Ns) -> None:
        """The carrier came or went."""
        self._now = now
        self._events.carrier_changed(dev, now)

    def device_changed(self, dev: Device, *, now: Ns) -> None:
        """MTU, MAC or flags changed."""
        self._now = now
        self._events.device_changed(dev, now)

    # Questions

    def count(self) -> int:
        """Count the routes of all tables; those that 2.4 deleted and left for its next walk are none."""
        return sum(not alias.zombie for table in self.lookup.tables.values() for *_, alias in table.entries())

    def ask(self, flow: FlowKey) -> FibResult | Miss:
        """Answer by the rules."""
        return self.lookup.fib_lookup(flow)
