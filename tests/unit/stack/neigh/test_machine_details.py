"""What a neighbour's machine keeps beside the state: records, the count of entries, references, stamps, proxies.

Source: net/core/neighbour.c __neigh_update(), neigh_flush_dev(), neigh_destroy(), neigh_add_timer(), pneigh_ifdown().
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netsim.addr import parse_ip
from netsim.stack.dst import RTN_UNICAST, Route
from netsim.stack.neigh import nud
from netsim.stack.neigh.proxy import Delayed, ProxyTable
from netsim.stack.profile.neigh import LINUX_24, MAINLINE
from netsim.stack.timers import Timers
from netsim.units import ms, sec

PEER, OTHER, OURS = "02:00:00:00:00:02", "02:00:00:00:00:99", "02:00:00:00:00:01"


@pytest.fixture
def eth0(bench):
    return bench.device("eth0", OURS, "10.0.0.1/24")


def test_a_new_address_of_a_stale_entry_is_told_though_the_state_stays(bench, eth0):
    bench.request(eth0, PEER, "10.0.0.3", "10.0.0.1", sec(101))
    bench.outbox.records.clear()
    bench.request(eth0, OTHER, "10.0.0.3", "10.0.0.1", sec(110))
    assert bench.changes() == [(sec(110), "STALE", "STALE", OTHER, "ARP heard, new address")]
    bench.request(eth0, OTHER, "10.0.0.3", "10.0.0.1", sec(120))
    assert len(bench.changes()) == 1


def test_a_removed_entry_makes_room_unless_a_route_still_holds_it(bench_tools):
    """neigh_destroy() runs with the last reference: until then the entry counts (tbl->entries)."""
    bench = bench_tools.Bench(era=LINUX_24)
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    routes = [Route(RTN_UNICAST, eth0, 0, 0, 0, 0) for _ in range(2)]
    for route in routes:
        assert bench.table.hold(route, parse_ip("10.0.0.2"), now=0)
    bench.send(1, eth0, "10.0.0.3")
    assert bench.table.allocated == 2
    bench.interfaces.set_up(eth0, False)
    bench.table.device_down(eth0, now=sec(1))
    assert bench.table.allocated == 1
    bench.table.release(routes[0])
    bench.table.release(routes[0])
    assert bench.table.allocated == 1
    bench.table.release(routes[1])
    assert bench.table.allocated == 0


def test_a_queued_packet_keeps_its_routes_grip_until_it_leaves(bench_tools):
    """A packet holds its route, which holds the neighbour: skb->dst, dst->neighbour."""
    bench = bench_tools.Bench(era=LINUX_24)
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    route = Route(RTN_UNICAST, eth0, 0, 0, 0, 0)
    bench.table.hold(route, parse_ip("10.0.0.2"), now=0)
    hold, entry = route.neigh, bench.entry(eth0, "10.0.0.2")
    bench.send(1, eth0, "10.0.0.2", route=route)
    assert (hold.users, entry.holds, entry.referenced) == (2, 1, True)
    bench.table.release(route)
    assert (hold.users, entry.holds) == (1, 1)
    bench.reply(eth0, PEER, "10.0.0.2")
    assert (hold.users, entry.holds) == (0, 0)
    assert not entry.referenced


@pytest.mark.parametrize(("era", "used"), [("6", sec(20)), ("2.4", sec(10))])
def test_mainline_lifts_used_to_confirmed_where_a_timer_is_set_from_outside_a_timer(bench_tools, era, used):
    """neigh_add_timer(): "Timer safe-net": an entry confirmed since its last use counts as used then."""
    bench = bench_tools.Bench(era=MAINLINE if era == "6" else LINUX_24, reachable=sec(30))
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    bench.send(1, eth0, "10.0.0.2", sec(10))
    bench.request(eth0, PEER, "10.0.0.2", "10.0.0.1", sec(10))
    entry = bench.entry(eth0, "10.0.0.2")
    bench.reply(eth0, PEER, "10.0.0.2", sec(20))
    assert (entry.used, entry.confirmed) == (used, sec(20))


def test_an_entry_used_after_its_proof_stays_so(bench, eth0):
    bench.send(1, eth0, "10.0.0.2", sec(10))
    bench.reply(eth0, PEER, "10.0.0.2", sec(10))
    bench.run(sec(45))
    bench.send(2, eth0, "10.0.0.2", sec(45))
    entry = bench.entry(eth0, "10.0.0.2")
    assert (entry.used, entry.confirmed) == (sec(45), sec(10))


# Proxies


class Proxies:
    """A proxy table whose every draw is `raw` and whose due frames are noted."""

    def __init__(self, era, raw):
        self.raw, self.done, self.timers = raw, [], Timers()
        self.table = ProxyTable(era=era, timers=self.timers, rng=self, redo=self.redo)

    def redo(self, frame, at):
        self.done.append((at, frame.uid))

    def getrandbits(self, k):
        return self.raw

    def wait(self, dev, uid, now):
        return self.table.enqueue(Delayed(-1, dev, b"", 0, b"", uid), now=now)


def test_proxies_are_listed_by_device_and_go_with_their_own(bench, eth0):
    """pneigh_lookup(), pneigh_delete(), pneigh_ifdown()."""
    eth1 = bench.device("eth1", OTHER, "10.0.1.1/24")
    table = Proxies(MAINLINE, 0).table
    for dev, ip in ((eth1, 7), (eth0, 9), (eth0, 7), (eth0, 9)):
        table.add(dev, ip)
    assert table.entries() == [(eth0, 9), (eth0, 7), (eth1, 7)]
    assert (eth0.ifindex, 7) in table
    assert (eth1.ifindex, 9) not in table
    assert table.delete(eth0, 7)
    assert not table.delete(eth0, 7)
    table.flush(eth0)
    assert table.entries() == [(eth1, 7)]


@pytest.mark.parametrize(
    ("era", "raw", "now", "at"),
    [
        (MAINLINE, 0, 5_000_000_001, 5_000_000_001), (MAINLINE, 100, 5_000_000_001, 5_400_000_001),
        (MAINLINE, 199, 0, 796_000_000), (MAINLINE, 200, 0, 0), (LINUX_24, 0, 5_000_000_001, 5_010_000_000),
        (LINUX_24, 1, 5_000_000_001, 5_010_000_000), (LINUX_24, 79, 5_009_999_999, 5_790_000_000),
    ],
)  # fmt: skip
def test_a_proxys_answer_waits_a_part_of_proxy_delay(eth0, era, raw, now, at):
    """pneigh_enqueue(): jiffies + net_random() % proxy_delay, 800 ms; never in the tick that asked."""
    proxies = Proxies(era, raw)
    assert proxies.wait(eth0, 1, now)
    assert proxies.timers.next() == at
    proxies.timers.run(at)
    assert proxies.done == [(at, 1)]
    assert proxies.table.held == 0
    assert proxies.timers.next() is None


def test_the_earliest_answer_sets_the_timer_and_all_that_are_due_go_in_order(eth0):
    proxies = Proxies(MAINLINE, 100)
    for uid, raw in ((1, 100), (2, 50), (3, 150), (4, 50)):
        proxies.raw = raw
        proxies.wait(eth0, uid, 0)
    seen = []
    while (at := proxies.timers.next()) is not None:
        proxies.timers.run(at)
        seen.append((at, [uid for _, uid in proxies.done]))
    assert seen == [(ms(200), [2, 4]), (ms(400), [2, 4, 1]), (ms(600), [2, 4, 1, 3])]


@pytest.mark.parametrize(("era", "own", "others"), [(MAINLINE, 2, 2), (LINUX_24, 2, 0)])
def test_more_than_proxy_qlen_do_not_wait_a_device_or_in_2_4_in_all(bench, eth0, era, own, others):
    """pneigh_enqueue(): "if (qlen > NEIGH_VAR(p, PROXY_QLEN))"; tbl->proxy_queue.qlen in 2.4."""
    eth1 = bench.device("eth1", OTHER, "10.0.1.1/24")
    proxies = Proxies(era, 100)
    for dev in (eth0, eth1):
        dev.neigh.proxy_qlen = 1
    assert [proxies.wait(eth0, uid, 0) for uid in range(4)] == [True] * own + [False] * (4 - own)
    assert [proxies.wait(eth1, uid, 0) for uid in range(4)] == [True] * others + [False] * (4 - others)
    assert proxies.table.held == own + others


def test_what_waits_for_a_device_is_given_back_and_the_timer_with_the_last(bench, eth0):
    """pneigh_queue_purge()."""
    eth1 = bench.device("eth1", OTHER, "10.0.1.1/24")
    proxies = Proxies(MAINLINE, 100)
    for dev, uid in ((eth0, 1), (eth1, 2), (eth0, 3)):
        proxies.wait(dev, uid, 0)
    assert [frame.uid for frame in proxies.table.purge(eth0)] == [1, 3]
    assert (proxies.table.held, proxies.timers.next()) == (1, ms(400))
    assert [frame.uid for frame in proxies.table.purge(None)] == [2]
    assert (proxies.table.held, proxies.timers.next()) == (0, None)
    assert proxies.table.purge(None) == []


# What a timer, an update and the scan make of an entry's age

R, D = 30_000_000_000, 5_000_000_000
TIMERS = [
    # (era, state, confirmed, used, probes, now, event)
    ("6", 2, 0, 0, 0, R, 3), ("6", 2, 0, R + 1 - D, 0, R + 1, 4), ("6", 2, 0, R - D, 0, R + 1, 5),
    ("6", 8, 0, 0, 0, D, 3), ("6", 8, 0, 0, 0, D + 1, 5), ("6", 16, 0, 0, 2, R, 6), ("6", 16, 0, 0, 3, R, 7),
    ("6", 1, 0, 0, 5, R, 6), ("6", 1, 0, 0, 6, R, 7), ("2.4", 8, 0, 0, 0, R - 1, 3), ("2.4", 8, 0, 0, 0, R, 5),
    ("2.4", 16, 0, 0, 0, R - 1, 3), ("2.4", 16, 0, 0, 5, R, 6), ("2.4", 16, 0, 0, 6, R, 7),
    ("2.4", 1, 0, 0, 5, 1, 6), ("2.4", 1, 0, 0, 6, 1, 7),
]  # fmt: skip


@pytest.mark.parametrize(("era", "state", "confirmed", "used", "probes", "now", "event"), TIMERS)
def test_what_a_timer_finds(eth0, era, state, confirmed, used, probes, now, event):
    """neigh_timer_handler(): 3 fresh, 4 used, 5 expired, 6 one more probe, 7 none left; 2.4 compares strictly."""
    entry = SimpleNamespace(parms=eth0.neigh, state=state, confirmed=confirmed, used=used, probes=probes)
    assert nud.COLUMNS[era].timer_event(entry, now) == event


@pytest.mark.parametrize(
    ("state", "age", "event"),
    [(2, R, None), (2, R + 1, 9), (4, R - 1, 10), (4, R, None), (8, R - 1, 10), (16, R - 1, 10), (1, 0, None),
    (32, 0, None),
     (128, 0, None), (4, R + 1, None)],
)  # fmt: skip
def test_what_2_4_settles_before_an_update(eth0, state, age, event):
    """neigh_sync(); mainline looks at no age."""
    entry = SimpleNamespace(parms=eth0.neigh, state=state, confirmed=100)
    assert nud.COLUMNS["2.4"].sync_event(entry, 100 + age) == event
    assert nud.COLUMNS["6"].sync_event(entry, 100 + age) is None


def test_without_probes_of_its_own_a_doubted_entry_fails_unasked(eth0):
    """neigh_max_probes(): ucast + app + (PROBE: mcast_resolicit, else mcast_solicit); one sum in 2.4."""
    parms = eth0.neigh
    parms.ucast_solicit = 0
    entry = SimpleNamespace(parms=parms, state=8, confirmed=0, used=0, probes=0)
    assert nud.COLUMNS["6"].timer_event(entry, D + 1) == 7
    assert nud.COLUMNS["2.4"].timer_event(entry, R) == 5
    parms.mcast_solicit = 0
    assert nud.COLUMNS["2.4"].timer_event(entry, R) == 7
    parms.mcast_resolicit = 1
    assert nud.COLUMNS["6"].timer_event(entry, D + 1) == 5
    parms.mcast_resolicit, parms.app_solicit = 0, 1
    assert nud.COLUMNS["6"].timer_event(entry, D + 1) == 5
    assert nud.send_event(0, parms) == nud.send_event(32, parms) == 0
    parms.app_solicit = 0
    assert nud.send_event(0, parms) == nud.send_event(32, parms) == 1
    assert nud.send_event(4, parms) == 0
