"""The route cache of 2.2 and 2.4: answers by key, and everything that makes them go again.

Theory of operation: one entry a key (no ports: all connections of two hosts share one), in hash buckets whose chains
the collectors walk. An entry goes by a flush (delayed by min_delay, never past max_delay, at once from process context
when more than 2 s of those passed), by the sweep of gc_interval (a fifth of the table each time), under pressure above
gc_thresh, out of a long chain, or with the secret rebuild. Every hit renews its age; neighbours do not matter to it.
Source: 2.4 net/ipv4/route.c rt_cache_flush(), rt_check_expire(), rt_garbage_collect(), rt_intern_hash();
route-patches section 4 and C4 to C6; linux-kernel note 3.1.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.dst import RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, RTCF_REDIRECTED, RTN_UNICAST, Route
from netsim.stack.ports import NeighHolds, Rng
from netsim.stack.profile.fib import FibEra
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timer, Timers
from netsim.units import NS_PER_S, Ns

Key = tuple[Ip, Ip, int, int, int, int, Ip, Ip]
"""(daddr, saddr, iif, oif, tos, mark, gw, lsrc)."""
BUCKETS = 1024
MASK = BUCKETS - 1
WIDE = RTCF_BROADCAST | RTCF_MULTICAST


class Entry:
    """One cached answer: `used` hits, `lastuse` the last of them; whether it is expired stands on the route."""

    __slots__ = ("key", "lastuse", "route", "used")

    def __init__(self, key: Key, route: Route, now: Ns) -> None:
        self.key = key
        self.route = route
        self.lastuse = now
        self.used = 0

    @property
    def valuable(self) -> bool:
        """Whether ICMP or a failure wrote something on it."""
        return bool(self.route.flags & RTCF_REDIRECTED or self.route.expires)


class RouteCache:
    """The cache of one box. `generation` counts whole flushes: who holds a route asks again when it moves.

    `softirq` tells from where flush requests come; requests of a box's owner come from process context.
    """

    def __init__(
        self, *, era: FibEra, sysctl: Sysctl, timers: Timers, rng: Rng, holds: NeighHolds, secret: bool
    ) -> None:
        self._era = era
        self._settings = sysctl.route
        self._timers = timers
        self._holds = holds
        self._entries: dict[Key, Entry] = {}
        self._chains: dict[int, list[Entry]] = {}
        self._timer: Timer | None = None
        self._deadline: Ns = 0
        self._sweeper = 0
        self._collector = 0
        self._expire: Ns = self._settings.gc_timeout
        self._last_gc: Ns = 0
        self._equilibrium = 0
        self.generation = 0
        self.softirq = False
        interval = self._settings.gc_interval
        timers.arm(interval + rng.randrange(0, max(interval, 1)), self._sweep)
        if secret:
            interval = self._settings.secret_interval
            timers.arm(interval + rng.randrange(0, max(interval, 1)), self._rebuild)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def flush_at(self) -> Ns | None:
        """When the pending flush runs, None when none is asked for."""
        return self._timer.at if self._timer is not None and self._timer.pending else None

    def entries(self) -> list[Entry]:
        """Return the entries in bucket order."""
        return [entry for number in sorted(self._chains) for entry in self._chains[number]]

    # Answers

    def find(self, key: Key, now: Ns) -> Route | None:
        """Return the answer for a key and renew its age; an expired one serves until it is collected."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.lastuse = now
        entry.used += 1
        return entry.route

    def intern(self, key: Key, route: Route, nexthop: Ip, now: Ns) -> Route | None:
        """Store an answer and return it, or the one that is there under the key; None: no room (ENOBUFS).

        A unicast or output route holds its neighbour. Mirrors dst_alloc(), rt_intern_hash().
        """
        if len(self._entries) > self._settings.gc_thresh and not self._collect(now):
            return None
        entry = self._entries.get(key)
        number = bucket_of(key)
        if entry is not None:
            chain = self._chains[number]
            chain.remove(entry)
            chain.insert(0, entry)
            entry.lastuse = now
            entry.used += 1
            return entry.route
        self._shorten(number, now)
        if (route.kind == RTN_UNICAST or not key[2]) and not self._holds.hold(route, nexthop, now=now):
            return None
        route.generation = self.generation
        entry = Entry(key, route, now)
        self._chains.setdefault(number, []).insert(0, entry)
        self._entries[key] = entry
        return route

    def _shorten(self, number: int, now: Ns) -> None:
        """Give up the least worthy entry of a chain longer than gc_elasticity. Mirrors rt_score()."""
        chain = self._chains.get(number, [])
        if len(chain) > self._settings.gc_elasticity:
            self._drop(min(reversed(chain), key=lambda entry: _score(entry, now)))

    def _drop(self, entry: Entry) -> None:
        """Take an entry out; whoever holds its route asks again."""
        del self._entries[entry.key]
        number = bucket_of(entry.key)
        chain = self._chains[number]
        chain.remove(entry)
        if not chain:
            del self._chains[number]
        entry.route.generation = -1
        self._holds.release(entry.route)

    def drop(self, entry: Entry) -> None:
        """Take one entry out for good: a better answer takes its place (rt_del)."""
        self._drop(entry)

    # Flushes

    def flush(self, delay: Ns, now: Ns) -> None:
        """Ask for a flush after `delay`; a negative one means min_delay, 0 now. Mirrors rt_cache_flush()."""
        settings = self._settings
        if delay < 0:
            delay = settings.min_delay
        running = self._timer is not None and self._timer.pending
        if running:
            assert self._timer is not None
            self._timer.cancel()
            if delay > 0 and self._deadline:
                left = self._deadline - now
                if not self.softirq and left < settings.max_delay - settings.min_delay:
                    left = 0
                delay = min(delay, left)
        if delay <= 0:
            self.run_flush()
            return
        if not self._deadline:
            self._deadline = now + settings.max_delay
        tick = self._era.tick
        self._timer = self._timers.arm((now + delay) // tick * tick, self._flush_due)

    def _flush_due(self, now: Ns) -> None:
        self.run_flush()

    def run_flush(self) -> None:
        """Empty the cache. Mirrors rt_run_flush()."""
        self._deadline = 0
        self.generation += 1
        for entry in self._entries.values():
            self._holds.release(entry.route)
        self._entries.clear()
        self._chains.clear()

    def _rebuild(self, now: Ns) -> None:
        """Take a new secret: everything goes. Mirrors rt_secret_rebuild()."""
        self.flush(0, now)
        self._timers.arm(now + max(self._settings.secret_interval, NS_PER_S), self._rebuild)

    # Collectors

    def _sweep(self, now: Ns) -> None:
        """Look at a part of the buckets, gc_interval/gc_timeout of them. Mirrors rt_check_expire().

        An expired entry goes even if in use; each one that stays halves the patience for the rest of its chain.
        """
        settings = self._settings
        timeout = max(settings.gc_timeout, 1)
        steps = settings.gc_interval * BUCKETS // timeout + 1
        for number in self._next_buckets(self._sweeper, steps):
            patience = timeout
            for entry in list(self._chains[number]):
                expires = entry.route.expires
                if now <= expires if expires else not self._may_expire(entry, patience, timeout, now):
                    patience >>= 1
                else:
                    self._drop(entry)
        self._sweeper = (self._sweeper + steps) & MASK
        self._timers.arm(now + max(settings.gc_interval, NS_PER_S), self._sweep)

    def _next_buckets(self, start: int, steps: int) -> list[int]:
        """Return the buckets in use among the `steps` behind `start`, in the order of the walk."""
        ahead = [((number - start - 1) & MASK, number) for number in self._chains]
        return [number for distance, number in sorted(ahead) if distance < steps]

    def _may_expire(self, entry: Entry, patience: Ns, timeout: Ns, now: Ns) -> bool:
        """Tell whether an entry is old enough to go. Mirrors rt_may_expire()."""
        expires = entry.route.expires
        if expires and expires <= now:
            return True
        age = now - entry.lastuse
        chain = self._chains[bucket_of(entry.key)]
        fast = entry.route.flags & WIDE and entry.key[2] and chain[-1] is not entry
        return not ((age <= patience and not fast) or (age <= timeout and entry.valuable))

    def _collect(self, now: Ns) -> bool:
        """Make room under pressure; False when the cache is full. Mirrors rt_garbage_collect()."""
        settings = self._settings
        size = len(self._entries)
        recent = now - self._last_gc < settings.gc_min_interval
        if recent and size < settings.max_size:
            return True
        goal = size - settings.gc_elasticity * BUCKETS
        if goal <= 0:
            self._equilibrium = max(self._equilibrium, settings.gc_thresh)
            goal = size - self._equilibrium
            if goal > 0:
                self._equilibrium += min(goal // 2, BUCKETS)
                goal = size - self._equilibrium
        else:
            goal = max(goal // 2, BUCKETS)
            self._equilibrium = size - goal
        if not recent:
            self._last_gc = now
        if goal <= 0:
            self._equilibrium += goal
            return self._relax()
        while goal > 0:
            goal -= self._collect_round(goal, now)
            if goal <= 0:
                return self._relax()
            if self._expire == 0:
                break
            self._expire >>= 1
            if len(self._entries) < settings.max_size:
                return True
        return len(self._entries) < settings.max_size

    def _collect_round(self, goal: int, now: Ns) -> int:
        """Walk the buckets once from where the last walk ended; return how many entries went."""
        gone = 0
        for number in self._next_buckets(self._collector, BUCKETS):
            patience = self._expire
            for entry in list(self._chains[number]):
                if self._may_expire(entry, patience, self._expire, now):
                    self._drop(entry)
                    gone += 1
                else:
                    patience >>= 1
            if gone >= goal:
                self._collector = number
                break
        return gone

    def _relax(self) -> bool:
        """Grow patience again after the work is done."""
        settings = self._settings
        self._expire += settings.gc_min_interval
        if self._expire > settings.gc_timeout or len(self._entries) < settings.gc_thresh:
            self._expire = settings.gc_timeout
        return True


def _score(entry: Entry, now: Ns) -> tuple[bool, bool, Ns]:
    """Return an entry's worth: valuable ones, then those of output and forwarding, then the young."""
    useful = not entry.key[2] or not entry.route.flags & (WIDE | RTCF_LOCAL)
    return (entry.valuable, useful, entry.lastuse - now)


def bucket_of(key: Key) -> int:
    """Return a key's bucket of 1,024. Mirrors rt_hash_code() of 2.4.20, on a little-endian machine."""
    daddr, saddr, iif, oif, tos = key[:5]
    word = int.from_bytes(daddr.to_bytes(4, "big"), "little")
    value = (word & 0xF0F0F0F0) >> 4 | (word & 0x0F0F0F0F) << 4
    value ^= int.from_bytes(saddr.to_bytes(4, "big"), "little") ^ ((iif or oif) << 5) ^ tos
    value ^= value >> 16
    return (value ^ value >> 8) & MASK
