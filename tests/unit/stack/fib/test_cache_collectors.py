"""The route cache of 2.4 against its sources, function by function, over arrays of chains and random traffic.

Source: net/ipv4/route.c (2.4.27) rt_hash_code(), rt_intern_hash(), rt_check_expire(), rt_garbage_collect(),
rt_cache_flush(); linux-kernel note 3.1; route-patches 4 and C4 to C6.
"""

from __future__ import annotations

import random
from itertools import chain as joined

import pytest

from netsim.stack.dst import Route
from netsim.stack.fib.cache import RouteCache, bucket_of
from netsim.stack.profile import profile
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers

S = 1_000_000_000
UNICAST, LOCAL = 1, 2
BROADCAST, MULTICAST, IS_LOCAL, REDIRECTED = 0x10000000, 0x20000000, 0x80000000, 0x00040000


def key(tos, mark=0, iif=0, daddr=0, saddr=0, oif=0):
    """Return a key; without addresses and devices its bucket is `tos`, and the mark tells keys of one bucket apart."""
    return (daddr, saddr, iif, oif, tos, mark, 0, 0)


@pytest.mark.parametrize(
    ("daddr", "saddr", "iif", "oif", "tos", "bucket"),
    [
        (0x0A000001, 0, 0, 0, 0, 0x0B0), (0x0A000102, 0xC0A80003, 2, 0, 0, 0x3BB),
        (0x08080808, 0xC0A80103, 3, 0, 0x10, 0x21A),
        (0xC6336407, 0x0A000102, 0, 2, 0x1C, 0x23C), (0xFEDCBA98, 0x76543210, 7, 9, 8, 0x1E8), (0, 0, 0, 0, 200, 200),
        (0, 0, 1, 5, 0, 32), (0, 0, 0, 5, 0, 160),
    ],
)  # fmt: skip
def test_a_keys_bucket_is_that_of_rt_hash_code(daddr, saddr, iif, oif, tos, bucket):
    """Computed by the C expression on a little-endian machine: rt_hash_code(daddr, saddr ^ (iif or oif) << 5, tos)."""
    assert bucket_of(key(tos, 0, iif, daddr, saddr, oif)) == bucket


class Dice:
    """Draws what it is told, and notes the bounds."""

    def __init__(self, draw):
        self.draw, self.bounds = draw, []

    def randrange(self, start, stop):
        self.bounds.append((start, stop))
        return self.draw


class Holds:
    """Binds routes to neighbours unless there is no room; counts."""

    def __init__(self):
        self.room, self.held = True, []

    def hold(self, route, nexthop, *, now):
        if self.room:
            self.held.append(route)
        return self.room

    def release(self, route):
        if route in self.held:
            self.held.remove(route)


class Rig:
    """A cache with faked surroundings; `settings` are the sysctls of net.ipv4.route."""

    def __init__(self, draw=0, secret=False, **settings):
        self.sysctl, self.timers, self.holds, self.dice = Sysctl(), Timers(), Holds(), Dice(draw)
        for name, value in settings.items():
            setattr(self.sysctl.route, name, value)
        self.cache = RouteCache(
            era=profile("linux-2.4").fib, sysctl=self.sysctl, timers=self.timers, rng=self.dice, holds=self.holds,
            secret=secret,
        )  # fmt: skip

    def store(self, what, now, kind=UNICAST, flags=0, expires=0):
        route = Route(kind, None, 0, 0, flags, 0)
        route.expires = expires
        return self.cache.intern(what, route, 0, now)

    def listed(self):
        return [entry.key for entry in self.cache.entries()]


@pytest.mark.parametrize("draw", [0, 59 * S])
def test_the_first_sweep_comes_an_interval_and_a_draw_after_birth(draw):
    """ip_rt_init(): "net_random() % ip_rt_gc_interval + ip_rt_gc_interval", the secret's alike."""
    rig = Rig(draw)
    assert rig.timers.next() == 60 * S + draw
    assert rig.dice.bounds == [(0, 60 * S)]
    rig = Rig(draw, secret=True)
    assert sorted(at for at, _, _ in rig.timers.heap) == [60 * S + draw, 600 * S + draw]
    assert rig.dice.bounds == [(0, 60 * S), (0, 600 * S)]


def test_a_new_answer_stands_first_in_its_chain_and_a_known_one_moves_there():
    """rt_intern_hash(): "Put it first", and it counts as used."""
    rig = Rig()
    for mark in range(3):
        rig.store(key(7, mark), mark)
    assert rig.listed() == [key(7, 2), key(7, 1), key(7, 0)]
    first = rig.cache.find(key(7, 0), 5)
    assert rig.store(key(7, 0), 9) is first
    assert rig.listed() == [key(7, 0), key(7, 2), key(7, 1)]
    assert [(entry.used, entry.lastuse) for entry in rig.cache.entries()] == [(2, 9), (0, 2), (0, 1)]
    assert rig.cache.find(key(8), 9) is None


def test_only_output_and_unicast_answers_hold_their_neighbour_and_without_room_there_is_no_answer():
    """rt_intern_hash(): "bind route to arp only if it is output route or unicast forwarding path"."""
    rig = Rig()
    held = [rig.store(key(1), 0, kind=LOCAL), rig.store(key(2, iif=1), 0)]
    rig.store(key(3, iif=1), 0, kind=LOCAL)
    assert rig.holds.held == held
    rig.holds.room = False
    assert rig.store(key(4), 0) is None
    assert rig.store(key(5, iif=1), 0, kind=LOCAL) is not None
    assert len(rig.cache) == 4
    rig.cache.run_flush()
    assert rig.holds.held == []
    assert len(rig.cache) == 0
    assert rig.listed() == []


def test_whoever_holds_a_dropped_answer_asks_again():
    rig = Rig()
    route = rig.store(key(1), 0)
    rig.store(key(1, 1), 0)
    assert route.generation == rig.cache.generation == 0
    rig.cache.drop(rig.cache.entries()[1])
    assert route.generation == -1
    assert rig.listed() == [key(1, 1)]
    rig.cache.run_flush()
    assert rig.store(key(1), 0).generation == rig.cache.generation == 1


SCORES = [
    ({"flags": REDIRECTED}, {}, 1), ({"expires": 99 * S}, {}, 1), ({}, {"flags": REDIRECTED}, 0),
    ({"flags": BROADCAST, "iif": 1}, {}, 0), ({"flags": MULTICAST, "iif": 1}, {}, 0),
    ({"flags": IS_LOCAL, "iif": 1}, {}, 0),
    ({"flags": IS_LOCAL}, {"flags": IS_LOCAL, "iif": 1}, 1), ({"flags": REDIRECTED | BROADCAST, "iif": 1}, {}, 1),
    ({}, {}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("older", "younger", "gone"), SCORES, ids=[str(number) for number in range(len(SCORES))])
def test_a_chain_that_is_too_long_loses_its_least_worthy_entry(older, younger, gone):
    """rt_score(): valuable before useful before young; of equals the last in the chain goes."""
    rig = Rig(gc_elasticity=1)
    keys = []
    for number, each in enumerate((older, younger)):
        given = dict(each)
        iif = given.pop("iif", 0)
        keys.append(key(32 if iif else 0, number, iif))
        rig.store(keys[-1], number, **given)
    assert bucket_of(keys[0]) == bucket_of(keys[1]) == 0
    rig.store(key(0, 9), 5)
    assert rig.listed() == [key(0, 9), keys[1 - gone]]


def test_of_two_used_in_the_same_instant_the_one_behind_goes():
    """rt_intern_hash(): "if (score <= min_score)"."""
    rig = Rig(gc_elasticity=1)
    rig.store(key(0, 0), 3)
    rig.store(key(0, 1), 3)
    rig.store(key(0, 2), 5)
    assert rig.listed() == [key(0, 2), key(0, 1)]


def test_a_sweep_looks_at_a_fifth_of_the_buckets_and_goes_on_from_there():
    """rt_check_expire(): gc_interval / gc_timeout of them and one, behind the last one looked at."""
    rig = Rig(gc_interval=6 * S, gc_timeout=30 * S)
    looked = {1: 36, 205: 36, 206: 42, 410: 42, 411: 48, 615: 48, 616: 54, 820: 54, 821: 60, 1023: 60, 0: 60}
    rig.timers.run(30 * S)  # five walks, 1,025 buckets: the next one begins behind bucket 1
    for bucket in looked:
        rig.store(key(bucket) if bucket < 256 else key(0, saddr=self_hashed(bucket)), 0)
    assert sorted(bucket_of(each) for each in rig.listed()) == sorted(looked)
    gone = {}
    for second in range(31, 75):
        rig.timers.run(second * S)
        left = {bucket_of(each) for each in rig.listed()}
        gone.update({bucket: second for bucket in looked if bucket not in left and bucket not in gone})
    assert gone == looked | {1: 60, 206: 36, 411: 42, 616: 48, 821: 54}


def self_hashed(bucket):
    """Return a source address whose bucket is `bucket`, all else being zero."""
    return next(each << 24 | low << 16 for low in range(4) for each in range(256)
                if bucket_of(key(0, saddr=each << 24 | low << 16)) == bucket)  # fmt: skip


@pytest.mark.parametrize(
    ("at", "left"), [(75, [0, 1, 2]), (76, [0, 1]), (150, [0, 1]), (151, [0]), (300, [0]), (301, [])]
)  # fmt: skip
def test_each_entry_that_stays_halves_the_patience_with_the_next(at, left):
    """Linux-kernel note 3.1: 300, 150, 75 s."""
    rig = Rig(gc_interval=1_500 * S, gc_timeout=300 * S)
    for mark in (2, 1, 0):
        rig.store(key(9, mark), 0)
    rig.cache._sweep(at * S)
    assert rig.listed() == [key(9, mark) for mark in left]


def test_an_answer_with_an_end_goes_when_it_is_past_and_not_before():
    """rt_check_expire(): "Entry is expired even if it is in use"; one with an end is never too old."""
    rig = Rig(gc_interval=1_500 * S)
    rig.store(key(9, 0), 0, expires=400 * S)
    rig.cache._sweep(400 * S)
    assert len(rig.cache) == 1
    rig.cache._sweep(400 * S + 1)
    assert len(rig.cache) == 0


# The collector as C writes it


class Model:
    """rt_garbage_collect() over an array of chains; entries are [key, lastuse, flags, expires], the first is newest."""

    def __init__(self, settings):
        self.s, self.chains = settings, [[] for _ in range(1024)]
        self.expire, self.last_gc, self.rover, self.equilibrium, self.sweeper = settings.gc_timeout, 0, 0, 0, 0

    def size(self):
        return sum(len(chain) for chain in self.chains)

    def may_expire(self, chain, entry, tmo1, tmo2, now):
        what, lastuse, flags, expires = entry
        if expires and expires - now <= 0:
            return True
        age = now - lastuse
        fast_clean = flags & (BROADCAST | MULTICAST) and what[2] and chain[-1] is not entry
        valuable = flags & REDIRECTED or expires
        return not ((age <= tmo1 and not fast_clean) or (age <= tmo2 and valuable))

    def walk(self, number, tmo2, now, goes):
        tmo, at, gone = tmo2, 0, 0
        chain = self.chains[number]
        while at < len(chain):
            if goes(chain, chain[at], tmo):
                del chain[at]
                gone += 1
            else:
                tmo >>= 1
                at += 1
        return gone

    def collect(self, now):
        s = self.s
        recent = now - self.last_gc < s.gc_min_interval
        if recent and self.size() < s.max_size:
            return True
        goal = self.size() - s.gc_elasticity * 1024
        if goal <= 0:
            self.equilibrium = max(self.equilibrium, s.gc_thresh)
            goal = self.size() - self.equilibrium
            if goal > 0:
                self.equilibrium += min(goal // 2, 1024)
                goal = self.size() - self.equilibrium
        else:
            goal = max(goal // 2, 1024)
            self.equilibrium = self.size() - goal
        if not recent:
            self.last_gc = now
        if goal <= 0:
            self.equilibrium += goal
            return self.work_done()
        while True:
            k = self.rover
            for _ in range(1024):
                k = k + 1 & 1023
                goal -= self.walk(
                    k, self.expire, now, lambda chain, e, tmo: self.may_expire(chain, e, tmo, self.expire, now)
                )
                if goal <= 0:
                    break
            self.rover = k
            if goal <= 0:
                return self.work_done()
            if self.expire == 0:
                break
            self.expire >>= 1
            if self.size() < s.max_size:
                return True
        return self.size() < s.max_size

    def work_done(self):
        self.expire += self.s.gc_min_interval
        if self.expire > self.s.gc_timeout or self.size() < self.s.gc_thresh:
            self.expire = self.s.gc_timeout
        return True

    def over(self, chain, entry, tmo, now):
        if entry[3]:
            return now > entry[3]
        return self.may_expire(chain, entry, tmo, self.s.gc_timeout, now)

    def check_expire(self, now):
        t = self.s.gc_interval * 1024
        while t >= 0:
            self.sweeper = self.sweeper + 1 & 1023
            self.walk(self.sweeper, self.s.gc_timeout, now, lambda chain, e, tmo: self.over(chain, e, tmo, now))
            t -= self.s.gc_timeout

    def intern(self, entry, now):
        if self.size() > self.s.gc_thresh and not self.collect(now):
            return False
        chain = self.chains[bucket_of(entry[0])]
        for at, each in enumerate(chain):
            if each[0] == entry[0]:
                chain.insert(0, chain.pop(at))
                each[1] = now
                return True
        if len(chain) > self.s.gc_elasticity:
            scores = []
            for each in chain:
                useful = not each[0][2] or not each[2] & (BROADCAST | MULTICAST | IS_LOCAL)
                scores.append((bool(each[2] & REDIRECTED or each[3]), useful, each[1] - now))
            del chain[max(at for at, score in enumerate(scores) if score == min(scores))]
        chain.insert(0, entry)
        return True


ROOMS = [
    {"gc_thresh": 20, "max_size": 60, "gc_elasticity": 3, "gc_timeout": 30 * S},
    {"gc_thresh": 10, "max_size": 16, "gc_elasticity": 0, "gc_timeout": 8 * S},
    {
        "gc_thresh": 40,
        "max_size": 41,
        "gc_elasticity": 2,
        "gc_timeout": 64,
        "gc_min_interval": 5 * S,
        "gc_interval": 16,
    },
    {"gc_thresh": 5, "max_size": 1000, "gc_elasticity": 8, "gc_timeout": 4 * S, "gc_min_interval": 2 * S},
    {"gc_thresh": 30, "max_size": 30, "gc_elasticity": 8, "gc_timeout": 2 * S, "gc_min_interval": S // 4},
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("room", range(len(ROOMS)))
def test_under_pressure_it_keeps_what_rt_garbage_collect_keeps(room, seed):
    rig = Rig(**{"gc_interval": 2 * S} | ROOMS[room])
    model, rng, now = Model(rig.sysctl.route), random.Random(seed), 0
    refused = 0
    for _ in range(800):
        now += rng.choice((0, 1, 20, S // 10, S // 2))
        step = rng.random()
        if step < 0.02:
            rig.cache._sweep(now)
            model.check_expire(now)
        elif step < 0.15:
            what = key(rng.randrange(24), rng.randrange(6), rng.randrange(2))
            if rig.cache.find(what, now) is not None:
                next(each for each in joined(*model.chains) if each[0] == what)[1] = now
        else:
            what = key(rng.randrange(24), rng.randrange(6), rng.randrange(2))
            flags = rng.choice((0, 0, 0, BROADCAST, MULTICAST, IS_LOCAL, REDIRECTED))
            expires = now + rng.randrange(1, 9 * S) if rng.random() < 0.1 else 0
            stored = rig.store(what, now, flags=flags, expires=expires) is not None
            assert stored is model.intern([what, now, flags, expires], now)
            refused += not stored
        assert rig.listed() == [each[0] for each in joined(*model.chains)]
    if room == 2:
        assert refused == 0  # patience goes to nothing: there is always room to be made


# Flushes


def test_a_flush_waits_two_seconds_and_each_new_request_from_a_softirq_puts_it_off_to_ten_at_most():
    """rt_cache_flush(): min_delay 2 s, max_delay 10 s; ticks of 10 ms."""
    rig = Rig()
    cache = rig.cache
    cache.softirq = True
    assert cache.flush_at is None
    for second, due in ((1, 3), (2, 4), (3, 5), (8, 10), (9, 11), (10, 11)):
        cache.flush(-1, second * S + 1_234_567)
        assert cache.flush_at == due * S, second
    rig.timers.run(11 * S)
    assert cache.generation == 1
    assert cache.flush_at is None
    cache.flush(-1, 20 * S)
    assert cache.flush_at == 22 * S


def test_a_process_waits_no_longer_than_two_seconds_beyond_the_first_request():
    """rt_cache_flush(): "if (user_mode && tmo < ip_rt_max_delay - ip_rt_min_delay) tmo = 0"."""
    rig = Rig()
    cache = rig.cache
    cache.flush(-1, 1 * S)
    cache.flush(-1, 2 * S)
    assert cache.flush_at == 4 * S
    cache.flush(-1, 3 * S)
    assert cache.flush_at == 5 * S
    cache.flush(-1, 3 * S + 1)
    assert cache.flush_at is None
    assert cache.generation == 1
    cache.flush(-1, 4 * S)
    assert (cache.flush_at, cache.generation) == (6 * S, 1)


def test_a_flush_at_once_takes_the_pending_one_with_it_and_a_delay_of_ones_own_is_kept():
    rig = Rig()
    cache = rig.cache
    cache.flush(-1, 1 * S)
    cache.flush(0, 2 * S)
    assert (cache.flush_at, cache.generation) == (None, 1)
    cache.flush(5 * S, 3 * S)
    assert cache.flush_at == 8 * S
    rig.timers.run(8 * S)
    assert cache.generation == 2


def test_a_new_secret_empties_the_cache_every_ten_minutes():
    """rt_secret_rebuild(): "rt_cache_flush(0)"."""
    rig = Rig(secret=True)
    rig.store(key(1), 0)
    rig.timers.run(600 * S - 1)
    assert rig.cache.generation == 0
    rig.timers.run(600 * S)
    assert (rig.cache.generation, len(rig.cache)) == (1, 0)
    rig.timers.run(1200 * S - 1)
    assert rig.cache.generation == 1
    rig.timers.run(1200 * S)
    assert rig.cache.generation == 2


def test_intervals_of_nothing_are_a_second():
    rig = Rig(gc_interval=0, secret_interval=0, secret=True)
    assert rig.dice.bounds == [(0, 1), (0, 1)]
    rig.timers.run(0)
    assert rig.timers.next() == S
    assert rig.cache.generation == 1
    rig.timers.run(S)
    assert rig.cache.generation == 2
    assert rig.timers.next() == 2 * S


def test_a_chain_that_may_hold_nothing_holds_the_newest():
    """gc_elasticity 0: what gave up the chain's only entry put the new one where nobody found it."""
    rig = Rig(gc_elasticity=0)
    rig.store(key(3, 1), 0)
    rig.store(key(3, 2), 1)
    assert rig.listed() == [key(3, 2)]
    rig.cache.drop(rig.cache.entries()[0])
    assert rig.listed() == []


MAY = [
    # flags, expires, whether the last of its chain, incoming, age, may go (patience 10, timeout 40)
    (0, 0, True, 0, 10, False), (0, 0, True, 0, 11, True), (REDIRECTED, 0, True, 0, 11, False),
    (REDIRECTED, 0, True, 0, 40, False), (REDIRECTED, 0, True, 0, 41, True), (0, 100, True, 0, 5, True),
    (0, 100, True, 0, 100, True), (0, 101, True, 0, 40, False), (0, 101, True, 0, 41, True),
    (BROADCAST, 0, False, 1, 0, True), (BROADCAST, 0, True, 1, 10, False), (BROADCAST, 0, False, 0, 10, False),
    (MULTICAST, 0, False, 1, 0, True), (IS_LOCAL, 0, False, 1, 10, False),
    (BROADCAST | REDIRECTED, 0, False, 1, 40, False), (BROADCAST | REDIRECTED, 0, False, 1, 41, True),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(MAY)))
def test_an_answer_is_old_enough_to_go(at):
    """rt_may_expire(), rt_fast_clean(), rt_valuable(), to the nanosecond."""
    flags, expires, last, iif, age, may = MAY[at]
    rig = Rig()
    if last:
        rig.store(key(32 if iif else 0, 1, iif), 100 - age, flags=flags, expires=expires)
        rig.store(key(32 if iif else 0, 2, iif), 100)
    else:
        rig.store(key(32 if iif else 0, 2, iif), 100)
        rig.store(key(32 if iif else 0, 1, iif), 100 - age, flags=flags, expires=expires)
    entry = next(each for each in rig.cache.entries() if each.key[5] == 1)
    assert rig.cache._may_expire(entry, 10, 40, 100) is may


def test_a_dropped_answer_lets_its_neighbour_go():
    rig = Rig()
    first, second = rig.store(key(1), 0), rig.store(key(2), 0)
    rig.cache.drop(rig.cache.entries()[0])
    assert rig.holds.held == [second]
    assert first.generation == -1


def test_a_cache_full_of_what_is_used_just_now_refuses_and_has_room_a_moment_later():
    """rt_garbage_collect(): "dst cache overflow" where patience of nothing finds nobody old enough."""
    rig = Rig(gc_thresh=2, max_size=3, gc_elasticity=8, gc_timeout=10 * S, gc_min_interval=S)
    for mark in range(3):
        assert rig.store(key(5, mark), 100 * S) is not None
    assert rig.store(key(5, 3), 100 * S) is None
    assert len(rig.cache) == 3
    assert rig.store(key(5, 3), 100 * S + 1) is not None
    assert rig.listed()[0] == key(5, 3)
