"""The periodic pass and the bounds of the table, against a table of given entries: who goes, and at which instant.

Source: neigh_periodic_work(), neigh_forced_gc(), neigh_alloc(), neigh_rand_reach_time() (6.x); neigh_forced_gc(),
neigh_periodic_timer() (2.4); linux-kernel note 1.3; kernel-2.4-neighbour rules 1 and 2.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from netsim.stack.neigh import gc, nud
from netsim.stack.neigh.gc import Collector, draw_ticks, mix_hash
from netsim.stack.profile.neigh import LINUX_24, LINUX_24_35, MAINLINE
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers

S, MS = 1_000_000_000, 1_000_000
INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, NOARP, PERMANENT = (1 << bit for bit in range(8))


class Dev:
    def __init__(self, sysctl, ifindex=1):
        self.neigh, self.ifindex = sysctl.neigh_default.copy(), ifindex


class Entry:
    def __init__(
        self, parms, state=STALE, used=0, confirmed=0, updated=0, ip=0x0A000002, referenced=False, learn=False
    ):
        self.parms, self.state, self.used, self.confirmed, self.updated = parms, state, used, confirmed, updated
        self.ip, self.referenced, self.extern_learn, self.dev = ip, referenced, learn, None


class Rig:
    """A collector over a table that is a list; every raw number drawn is `raw`."""

    def __init__(self, era=MAINLINE, now=0, raw=0, chain_hash=mix_hash, **settings):
        self.sysctl, self.timers, self.raw, self.drawn = Sysctl(), Timers(), raw, 0
        self.parms = self.sysctl.neigh_default
        for name, value in settings.items():
            setattr(self.parms, name, value)
        self.held, self.log, self.bonus = [], [], 0
        self.collector = Collector(
            era=era, sysctl=self.sysctl, timers=self.timers, rng=self, table=self, now=now, chain_hash=chain_hash
        )

    def getrandbits(self, k):
        assert k == 32
        self.drawn += 1
        return self.raw

    def __len__(self):
        return len(self.held)

    @property
    def allocated(self):
        return len(self.held) + self.bonus

    def snapshot(self):
        return list(self.held)

    def remove(self, entry, cause, *, now):
        self.held.remove(entry)
        self.log.append((now, cause))

    def expire(self, entry, *, now):
        if entry.state == REACHABLE:  # any other state has no row for it
            self.log.append((now, "expired"))

    def add(self, count=1, now=0, **fields):
        made = [Entry(self.parms, **fields) for _ in range(count)]
        for each in made:
            self.held.append(each)
            self.collector.entry_added(now)
        return made


# Drawing


@pytest.mark.parametrize(
    ("raw", "bound", "step", "drawn"),
    [(0, 30 * S, 4 * MS, 0), (7499, 30 * S, 4 * MS, 29_996 * MS), (7500, 30 * S, 4 * MS, 0),
     (7501, 30 * S, 4 * MS, 4 * MS),
     (5, 9 * MS, 4 * MS, 4 * MS), (5, 3 * MS, 4 * MS, 0), (0xFFFFFFFF, 800 * MS, 10 * MS, 150 * MS)],
)  # fmt: skip
def test_a_time_is_drawn_on_the_grain_of_jiffies(raw, bound, step, drawn):
    class Raw:
        def getrandbits(self, k):
            return raw

    assert draw_ticks(Raw(), bound, step) == drawn


@pytest.mark.parametrize(
    ("era", "raw", "time"),
    [(MAINLINE, 0, 15 * S), (MAINLINE, 7499, 44_996 * MS), (LINUX_24, 0, 15 * S), (LINUX_24, 2999, 44_990 * MS)],
)
def test_reachable_time_lies_between_a_half_and_one_and_a_half_bases(era, raw, time):
    """neigh_rand_reach_time(): "(net_random() % base) + (base >> 1)"."""
    rig = Rig(era, raw=raw)
    assert rig.parms.reachable_time == time
    rig.parms.base_reachable_time = 3 * era.draw_step
    rig.raw = 2
    rig.collector.draw(rig.parms)
    assert rig.parms.reachable_time == 3 * era.draw_step


def test_what_is_drawn_is_older_than_300_seconds_and_devices_come_in_reverse_after_the_table():
    rig = Rig()
    devices = [Dev(rig.sysctl, number) for number in (1, 2)]
    order = []
    rig.collector.draw = lambda parms: order.append(parms)
    for dev in devices:
        rig.collector.device_added(dev)
    assert order == [devices[0].neigh, devices[1].neigh]
    order.clear()
    rig.collector.redraw(300 * S + 20 * 15 * S)
    assert order == []
    rig.collector.redraw(300 * S + 20 * 15 * S + 1)
    assert order == [rig.parms, devices[1].neigh, devices[0].neigh]
    order.clear()
    rig.collector.redraw(600 * S + 20 * 15 * S + 1)
    assert order == []
    rig.collector.device_removed(devices[1])
    rig.collector.device_removed(Dev(rig.sysctl, 9))
    rig.collector.redraw(600 * S + 20 * 15 * S + 2)
    assert order == [rig.parms, devices[0].neigh]


@pytest.mark.parametrize(("era", "old"), [(MAINLINE, False), (LINUX_24, True)])
def test_a_stamp_that_lies_in_the_future_is_old_for_an_unsigned_comparison(era, old):
    """neigh_init() sets last_rand to now + 20 reachable times; 2.4 compares unsigned, so that it draws at once."""
    rig = Rig(era)
    before = rig.drawn
    rig.collector.redraw(300 * S)
    assert rig.drawn == before
    rig.collector.redraw(299 * S)
    assert rig.drawn - before == old


# Which passes run


def test_mainline_first_runs_after_a_table_draw_and_then_each_half_base():
    """neigh_table_init(), neigh_periodic_work(): below gc_thresh1 a run can only draw."""
    rig = Rig(now=5 * S, gc_thresh1=2)
    assert rig.collector.next_run == 20 * S
    due = 5 * S + 20 * 15 * S + 300 * S
    assert rig.timers.next() == 620 * S > due
    rig.add(1, now=30 * S)
    assert rig.timers.next() == 620 * S
    rig.add(1, now=47 * S)
    assert rig.collector.next_run == rig.timers.next() == 50 * S
    rig.timers.run(50 * S)
    assert rig.log == []
    assert rig.timers.next() == 65 * S
    rig.timers.run(65 * S)
    assert rig.log == [(65 * S, "scan, unused")] * 2
    assert rig.timers.next() == 620 * S


def test_a_pass_that_could_only_draw_draws_at_the_instant_it_would_have():
    rig = Rig()
    rig.timers.run(614 * S)
    drawn = rig.drawn
    assert rig.timers.next() == 615 * S
    rig.timers.run(615 * S)
    assert rig.drawn == drawn + 1
    assert rig.timers.next() == 930 * S


def test_2_4_first_runs_an_interval_and_a_draw_after_boot_and_then_each_interval():
    rig = Rig(LINUX_24, now=5 * S, raw=100)
    assert rig.collector.next_run == rig.timers.next() == 5 * S + 30 * S + 16 * S
    rig.timers.run(51 * S)
    assert rig.timers.next() == 381 * S
    rig.add(1, state=FAILED, now=60 * S)
    assert rig.timers.next() == 81 * S
    rig.timers.run(81 * S)
    assert rig.log == [(81 * S, "scan, unused")]


@pytest.mark.parametrize(
    ("era", "field", "value", "interval"),
    [
        (MAINLINE, "base_reachable_time", 30 * S, 15 * S), (MAINLINE, "base_reachable_time", 0, 4 * MS),
        (MAINLINE, "base_reachable_time", 9 * MS, 4_500_000), (LINUX_24, "gc_interval", 30 * S, 30 * S),
        (LINUX_24, "gc_interval", 0, 10 * MS), (LINUX_24_35, "base_reachable_time", 30 * S, 7_500 * MS),
        (LINUX_24_35, "base_reachable_time", 0, 10 * MS), (LINUX_24_35, "base_reachable_time", 70 * MS, 10 * MS),
        (LINUX_24_35, "base_reachable_time", 90 * MS, 20 * MS),
    ],
)  # fmt: skip
def test_the_time_between_two_runs(era, field, value, interval):
    rig = Rig(era)
    setattr(rig.parms, field, value)
    assert rig.collector._pass.interval() == interval


def test_a_written_interval_counts_from_the_pass_that_is_due():
    rig = Rig(LINUX_24)
    rig.timers.run(50 * S)
    rig.parms.gc_interval = 7 * S
    assert rig.collector.next_run == 75 * S
    rig.collector.parameter_changed()
    assert rig.collector.next_run == 75 * S
    rig.add(1, now=76 * S)
    assert rig.collector.next_run == rig.timers.next() == 82 * S


# 2.4.29: a chain a run


def test_later_2_4_takes_a_chain_a_run_and_chains_double_when_outgrown():
    """neigh_periodic_timer() of 2.4.29: hash_chain_gc, tbl->hash_mask; neigh_create(): neigh_hash_grow()."""
    rig = Rig(LINUX_24_35, chain_hash=lambda ip, ifindex, chains: ip % chains)
    collector = rig.collector
    assert collector.next_run == 10 * MS
    dev = Dev(rig.sysctl)
    for ip in range(2):
        rig.add(1, state=FAILED, ip=ip)[0].dev = dev
    assert rig.timers.next() == 10 * MS
    gone = []
    for at in (10 * MS, 10 * MS + 7_500 * MS):
        rig.timers.run(at)
        gone.append([entry.ip for entry in rig.held])
    assert gone == [[1], []]
    made = []
    for ip in range(3):
        made += rig.add(1, state=FAILED, ip=ip, now=20 * S)
        made[-1].dev = dev
    assert collector._pass.interval() == 3_750 * MS
    assert rig.timers.next() == 22_510 * MS
    left = []
    for step in range(4):
        rig.timers.run(22_510 * MS + step * 3_750 * MS)
        left.append([entry.ip for entry in rig.held])
    assert left == [[0, 2], [0], [0], []]  # chains 1, 2, 3 and 0: the run at 15.01 s was of chain 0


def test_skipped_runs_go_on_by_as_many_chains():
    rig = Rig(LINUX_24_35)
    passing = rig.collector._pass
    passing.grow(3)
    passing.skip(3)
    assert (passing._chains, passing._next) == (4, 3)
    passing.skip(2)
    assert passing._next == 1
    passing.grow(4)
    assert passing._chains == 4
    passing.grow(5)
    assert passing._chains == 8


@pytest.mark.parametrize(
    ("ip", "ifindex", "chains"), [(0x0A000001, 1, 2), (0xFFFFFFFE, 7, 64), (0x0A000001, 2, 2), (0x0A000001, 1, 4)]
)
def test_addresses_are_spread_over_chains(ip, ifindex, chains):
    """Ours alone: Jenkins' is salted at random. Two rounds of multiply and shift, the multipliers of lowbias32."""
    word = (ip ^ ifindex * 0x9E3779B1 ^ chains * 0x85EBCA6B) % 2**32
    word ^= word >> 16
    word = word * 0x7FEB352D % 2**32
    word ^= word >> 15
    word = word * 0x846CA68B % 2**32
    assert mix_hash(ip, ifindex, chains) == word ^ word >> 16


# Who goes

IDLE = 60 * S
SWEPT = [
    # mainline: the idle entry of exactly gc_stale_time goes, 2.4 spares it
    (MAINLINE, {"used": 40 * S}, IDLE + 40 * S - 1, []), (MAINLINE, {"used": 40 * S}, IDLE + 40 * S, ["scan, unused"]),
    (LINUX_24, {"used": 40 * S, "confirmed": 40 * S}, IDLE + 40 * S, []),
    (LINUX_24, {"used": 40 * S, "confirmed": 40 * S}, IDLE + 40 * S + 1, ["scan, unused"]),
    # used is raised to confirmed first
    (MAINLINE, {"used": 1 * S, "confirmed": 40 * S}, IDLE + 40 * S - 1, []),
    (MAINLINE, {"used": 40 * S, "confirmed": 1 * S}, IDLE + 40 * S - 1, []),
    (MAINLINE, {"state": FAILED, "used": 90 * S}, 90 * S, ["scan, unused"]),
    (MAINLINE, {"state": FAILED, "used": 90 * S, "referenced": True}, 90 * S, []),
    (MAINLINE, {"referenced": True}, 990 * S, []), (MAINLINE, {"learn": True}, 990 * S, []),
    (MAINLINE, {"state": FAILED, "learn": True}, 990 * S, []),
    *[(MAINLINE, {"state": state}, 990 * S, []) for state in (PERMANENT, INCOMPLETE, REACHABLE, DELAY, PROBE)],
    *[(MAINLINE, {"state": state}, 990 * S, ["scan, unused"]) for state in (STALE, FAILED, NOARP)],
    *[(LINUX_24, {"state": state}, 990 * S, []) for state in (PERMANENT, INCOMPLETE, DELAY, PROBE)],
    (LINUX_24, {"state": REACHABLE}, 990 * S, ["scan, unused"]),
    # 2.4's scan lets REACHABLE age; mainline has a timer an entry
    (LINUX_24, {"state": REACHABLE, "used": 90 * S, "confirmed": 75 * S}, 90 * S, []),
    (LINUX_24, {"state": REACHABLE, "used": 90 * S, "confirmed": 75 * S - 1}, 90 * S, ["expired"]),
    (LINUX_24, {"state": REACHABLE, "referenced": True}, 990 * S, ["expired"]),
    (MAINLINE, {"state": STALE, "used": 90 * S}, 90 * S, []),
]  # fmt: skip


@pytest.mark.parametrize(("era", "fields", "at", "log"), SWEPT, ids=[str(number) for number in range(len(SWEPT))])
def test_a_sweep_takes_what_failed_or_idled_and_nobody_holds(era, fields, at, log):
    rig = Rig(era)
    rig.held = [Entry(rig.parms, **fields)]
    rig.collector.sweep(rig.snapshot(), at)
    assert [cause for _, cause in rig.log] == log


def test_a_sweep_goes_on_behind_an_entry_that_it_spares():
    rig = Rig()
    rig.held = [Entry(rig.parms, state=PERMANENT), Entry(rig.parms), Entry(rig.parms, learn=True), Entry(rig.parms)]
    rig.collector.sweep(rig.snapshot(), 990 * S)
    assert len(rig.held) == 2


def full(era, count, bonus=0, now=100 * S, thresholds=(0, 4, 6), **fields):
    rig = Rig(era, gc_thresh1=thresholds[0], gc_thresh2=thresholds[1], gc_thresh3=thresholds[2])
    rig.held = [Entry(rig.parms, **fields) for _ in range(count)]
    rig.bonus = bonus
    return rig, rig.collector.make_room(now)


@pytest.mark.parametrize(
    ("count", "room", "gone"), [(3, True, 0), (4, True, 1), (5, True, 1), (6, True, 2), (7, True, 3)]
)
def test_mainline_collects_from_thresh2_on_until_it_is_reached(count, room, gone):
    """neigh_alloc(), neigh_forced_gc(): max_clean is the surplus over gc_thresh2, at least one is looked at."""
    rig, answer = full(MAINLINE, count)
    assert (answer, len(rig.log)) == (room, gone)
    assert set(rig.log) <= {(100 * S, "table full")}


@pytest.mark.parametrize(
    ("fields", "goes"),
    [
        ({}, True), ({"updated": 95 * S}, False), ({"updated": 95 * S - 1}, True), ({"state": PERMANENT}, False),
        ({"learn": True}, False), ({"referenced": True}, False), ({"state": FAILED, "updated": 100 * S}, True),
        ({"state": NOARP, "updated": 100 * S}, True), ({"ip": 0xE0000001, "updated": 100 * S}, True),
        ({"state": REACHABLE, "updated": 100 * S}, False),
    ],
)  # fmt: skip
def test_mainline_gives_up_what_failed_needs_no_arp_or_is_older_than_5_seconds(fields, goes):
    rig, answer = full(MAINLINE, 7, **fields)
    counted = not fields.get("learn") and fields.get("state") != PERMANENT
    assert bool(rig.log) is goes
    assert answer is (goes or not counted)


def test_a_forced_collection_goes_on_behind_what_it_spares():
    rig = Rig(gc_thresh2=4, gc_thresh3=6)
    spared = [{"state": PERMANENT}, {"learn": True}, {"referenced": True}, {"updated": 99 * S}]
    rig.held = [Entry(rig.parms, **fields) for fields in (*spared, {}, {}, {}, {})]
    assert rig.collector.make_room(100 * S)
    assert len(rig.log) == 2


def test_between_thresh2_and_thresh3_mainline_collects_once_in_5_seconds():
    rig, _ = full(MAINLINE, 5)
    for now, gone in ((105 * S, 1), (105 * S + 1, 2)):
        rig.held = rig.held + [Entry(rig.parms) for _ in range(5 - len(rig.held))]
        assert rig.collector.make_room(now)
        assert len(rig.log) == gone
    rig.held = [Entry(rig.parms, updated=106 * S) for _ in range(6)]
    assert not rig.collector.make_room(106 * S)
    assert rig.collector.make_room(200 * S)


@pytest.mark.parametrize(
    ("count", "bonus", "room", "gone"),
    [(4, 0, True, 0), (5, 0, True, 5), (6, 0, True, 6), (7, 0, True, 7), (0, 6, True, 0), (0, 7, False, 0)],
)
def test_2_4_collects_above_thresh2_all_that_nobody_holds(count, bonus, room, gone):
    """2.4 neigh_alloc(): above gc_thresh3, or above gc_thresh2 and 5 s after the last time."""
    rig, answer = full(LINUX_24, count, bonus)
    assert (answer, len(rig.log)) == (room, gone)


@pytest.mark.parametrize(
    ("fields", "goes"),
    [({"state": REACHABLE, "updated": 100 * S}, True), ({"state": PERMANENT}, False), ({"referenced": True}, False)],
)
def test_2_4_spares_only_what_is_permanent_or_held(fields, goes):
    rig, answer = full(LINUX_24, 7, **fields)
    assert (bool(rig.log), answer) == (goes, goes)


def test_between_thresh2_and_thresh3_2_4_collects_once_in_5_seconds():
    rig, _ = full(LINUX_24, 5)
    for now, gone in ((105 * S, 5), (105 * S + 1, 10)):
        rig.held = [Entry(rig.parms) for _ in range(5)]
        assert rig.collector.make_room(now)
        assert len(rig.log) == gone


def test_the_bounds_of_time_are_the_kernels():
    assert (gc.REDRAW_AFTER, gc.FLUSH_AGAIN_AFTER, gc.KEEP_UPDATED_FOR) == (300 * S, 5 * S, 5 * S)


@pytest.mark.parametrize("prefix", ["EV_", "ACT_"])
def test_no_two_events_and_no_two_actions_share_a_number(prefix):
    numbers = [value for name, value in vars(nud).items() if name.startswith(prefix) and name != "EV_ADMIN_DELETE"]
    assert len(set(numbers)) == len(numbers) >= 15
    assert all(nud.EV_ADMIN & value == 0 for value in numbers if value != nud.EV_ADMIN)
    assert nud.EV_ADMIN & 0xFF == 0
    assert nud.EV_ADMIN_DELETE == nud.EV_ADMIN | FAILED


def test_an_entry_made_while_a_pass_is_due_later_is_seen_by_the_next_one():
    """The phase goes on over runs that were skipped: it is never early and never more than a step late."""
    rig = Rig(replace(MAINLINE), gc_thresh1=1)
    rig.add(1, now=15 * S)
    assert rig.timers.next() == 30 * S
