"""Neighbour lives on mainline with literal times: resolution, expiry, probing, the queue, devices, collection.

peer 10.0.0.2 (...:02) --- eth0 10.0.0.1/24 (...:01) of the box
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import DUMMY, IFF_NOARP, IFF_POINTOPOINT, PPP
from netsim.stack.nud_states import NUD_FAILED, NUD_NONE, NUD_REACHABLE
from netsim.stack.profile.neigh import LINUX_24
from netsim.stack.requests import NewNeigh
from netsim.trace.records import Consumed, Dropped
from netsim.units import ms, sec

PEER, OTHER, OURS = "02:00:00:00:00:02", "02:00:00:00:00:99", "02:00:00:00:00:01"
ALL = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"


def who_has(tpa, dst=ALL, spa="10.0.0.1", dev="eth0"):
    return ("arp", dev, 1, dst, OURS, spa, NOBODY, tpa)


@pytest.fixture
def eth0(bench):
    return bench.device("eth0", OURS, "10.0.0.1/24")


def known(bench, eth0, at=0):
    """Let the box resolve the peer at an instant."""
    bench.send(1, eth0, "10.0.0.2", at)
    bench.reply(eth0, PEER, "10.0.0.2", at)
    bench.take()
    bench.outbox.records.clear()
    return bench.entry(eth0, "10.0.0.2")


# Resolution


def test_three_broadcasts_a_second_apart_then_failure(bench, eth0):
    """observed-linux 1.3: broadcasts at 0, 1, 2 s, FAILED at 3 s, each queued packet reported in order."""
    for number, at in ((1, sec(10)), (2, sec(10.5)), (3, sec(12))):
        bench.send(number, eth0, "10.0.0.2", at)
    assert bench.take() == [who_has("10.0.0.2")] * 3
    bench.run(sec(13) - 1)
    assert bench.take() == []
    bench.run(sec(13))
    assert bench.take() == [
        ("unreach", 1), ("drop", 1, "NEIGH_FAILED"), ("unreach", 2), ("drop", 2, "NEIGH_FAILED"),
        ("unreach", 3), ("drop", 3, "NEIGH_FAILED"),
    ]  # fmt: skip
    assert bench.changes() == [
        (sec(10), "NONE", "INCOMPLETE", "", "packet to send"),
        (sec(13), "INCOMPLETE", "FAILED", "", "timer, probes exhausted"),
    ]


def test_after_failure_the_next_packet_asks_again_at_once(bench, eth0):
    """linux-kernel 1.3: "After FAILED there is no hold-down"."""
    bench.send(1, eth0, "10.0.0.2", sec(10))
    bench.run(sec(13))
    bench.take()
    bench.send(2, eth0, "10.0.0.2", sec(13))
    assert bench.take() == [who_has("10.0.0.2")]
    assert bench.entry(eth0, "10.0.0.2").probes == 4


def test_a_reply_sends_what_waits_oldest_first(bench, eth0):
    for number in (1, 2, 3):
        bench.send(number, eth0, "10.0.0.2", sec(10))
    bench.take()
    bench.reply(eth0, PEER, "10.0.0.2", sec(10.4))
    assert bench.take() == [("tx", 1, "eth0", PEER), ("tx", 2, "eth0", PEER), ("tx", 3, "eth0", PEER)]
    assert bench.moves()[-1] == (sec(10.4), "INCOMPLETE", "REACHABLE")


def test_a_request_from_the_peer_ends_resolution_in_delay(bench, eth0):
    """observed-linux 1.3: the queue goes by the slow path, so STALE becomes DELAY at once."""
    bench.send(1, eth0, "10.0.0.2", sec(10))
    bench.request(eth0, PEER, "10.0.0.2", "10.0.0.1", sec(10.4))
    assert bench.moves() == [
        (sec(10), "NONE", "INCOMPLETE"), (sec(10.4), "INCOMPLETE", "STALE"), (sec(10.4), "STALE", "DELAY"),
    ]  # fmt: skip


def test_without_any_probe_allowed_the_packet_ends_in_silence(bench, eth0):
    """b1 r4: mcast_solicit 0: FAILED at once, no ARP, no error."""
    eth0.neigh.mcast_solicit = 0
    bench.send(1, eth0, "10.0.0.2", sec(10))
    assert bench.take() == [("drop", 1, "NEIGH_FAILED")]
    assert bench.moves() == [(sec(10), "NONE", "FAILED")]


def test_application_probes_come_first_and_leave_the_wire_alone(bench, eth0):
    """b1 r5: app_solicit 2: two intervals of silence, three broadcasts, FAILED after five."""
    eth0.neigh.app_solicit = 2
    bench.send(1, eth0, "10.0.0.2", sec(10))
    bench.run(sec(12) - 1)
    assert bench.take() == []
    bench.run(sec(15) - 1)
    assert bench.take() == [who_has("10.0.0.2")] * 3
    bench.run(sec(15))
    assert bench.moves()[-1] == (sec(15), "INCOMPLETE", "FAILED")


# From REACHABLE to FAILED


def test_a_steadily_used_dead_gateway_fails_eight_seconds_after_its_first_use_as_stale(bench, eth0):
    """Case a1 with reachable_time 30: STALE at 30.01 (the floor of a timer), DELAY, three unicast probes, FAILED."""
    known(bench, eth0, 0)
    for number in range(2, 40):
        bench.send(number, eth0, "10.0.0.2", sec(number - 1))
    bench.run(sec(39))
    assert bench.changes() == [
        (sec(30) + ms(10), "REACHABLE", "STALE", PEER, "timer, not confirmed"),
        (sec(31), "STALE", "DELAY", PEER, "packet to send"),
        (sec(36), "DELAY", "PROBE", PEER, "timer, not confirmed"),
        (sec(39), "PROBE", "FAILED", "", "timer, probes exhausted"),
    ]
    log = bench.take()
    assert [e for e in log if e[0] == "arp"] == [who_has("10.0.0.2", PEER)] * 3
    assert [e[1] for e in log if e[0] == "tx"] == list(range(2, 40))  # all lost at the dead peer, none refused
    assert not [e for e in log if e[0] in ("drop", "unreach")]


def test_traffic_to_a_reachable_entry_refreshes_nothing(bench, eth0):
    """observed-linux 1.3: "traffic to a REACHABLE entry does not refresh used nor confirmed"."""
    entry = known(bench, eth0, 0)
    for second in range(1, 30):
        bench.send(second, eth0, "10.0.0.2", sec(second))
    assert (entry.used, entry.confirmed) == (0, 0)


def test_a_reachable_time_below_the_probe_delay_never_ends_in_stale(bench, eth0):
    """b1 r6: with reachable 2 s and delay 5 s the entry cycles REACHABLE, DELAY, REACHABLE without any traffic."""
    eth0.neigh.reachable_time = sec(2)
    known(bench, eth0, 0)
    bench.run(sec(2) + ms(10))
    assert bench.moves() == [(sec(2) + ms(10), "REACHABLE", "DELAY")]
    bench.run(sec(7) + ms(10))
    assert bench.take() == [who_has("10.0.0.2", PEER)]
    bench.reply(eth0, PEER, "10.0.0.2", sec(7.02))
    bench.run(sec(9.04))
    assert bench.moves()[-2:] == [(sec(7.02), "PROBE", "REACHABLE"), (sec(9.03), "REACHABLE", "DELAY")]


def test_a_confirmation_during_delay_ends_it_without_a_probe(bench, eth0):
    """linux-kernel 1.5: upper-layer proof alone moves nothing; the DELAY timer looks at it."""
    known(bench, eth0, 0)
    bench.send(2, eth0, "10.0.0.2", sec(40))
    bench.table.confirm(eth0, parse_ip("10.0.0.2"), now=sec(43))
    bench.run(sec(45))
    assert bench.moves()[-1] == (sec(45), "DELAY", "REACHABLE")
    bench.run(sec(73.02))
    assert bench.moves()[-1] == (sec(73.01), "REACHABLE", "STALE")


def test_a_late_confirmation_keeps_a_reachable_entry_so(bench, eth0):
    known(bench, eth0, 0)
    bench.table.confirm(eth0, parse_ip("10.0.0.2"), now=sec(20))
    bench.run(sec(50))
    assert bench.moves() == []
    bench.run(sec(50) + ms(10))
    assert bench.moves() == [(sec(50) + ms(10), "REACHABLE", "STALE")]


def test_without_unicast_probes_a_doubted_peer_fails_unasked(bench, eth0):
    """b1 r3: ucast_solicit 0: DELAY to FAILED directly, though the peer is alive."""
    eth0.neigh.ucast_solicit = 0
    known(bench, eth0, 0)
    bench.send(2, eth0, "10.0.0.2", sec(40))
    bench.take()
    bench.run(sec(45))
    assert bench.moves()[-1] == (sec(45), "DELAY", "FAILED")
    assert bench.take() == []


def test_mcast_resolicit_broadcasts_before_giving_up(bench, eth0):
    """b1 r2: one unicast, two broadcasts, still PROBE, then FAILED."""
    eth0.neigh.ucast_solicit, eth0.neigh.mcast_resolicit = 1, 2
    known(bench, eth0, 0)
    bench.send(2, eth0, "10.0.0.2", sec(40))
    bench.take()
    bench.run(sec(48))
    assert bench.take() == [who_has("10.0.0.2", PEER), who_has("10.0.0.2"), who_has("10.0.0.2")]
    assert bench.moves()[-1] == (sec(48), "PROBE", "FAILED")


# The unresolved queue


def test_the_queue_holds_256_small_packets_and_drops_the_oldest(bench, eth0):
    """c1: 400 small packets, d144 to d399 delivered."""
    for number in range(400):
        bench.send(number, eth0, "10.0.0.2", sec(1), payload=bytes(80))
    assert [e for e in bench.take() if e[0] == "drop"] == [("drop", n, "NEIGH_QUEUEFULL") for n in range(144)]
    bench.reply(eth0, PEER, "10.0.0.2")
    assert [e[1] for e in bench.take()] == list(range(144, 400))


def test_the_queue_holds_92_big_packets(bench, eth0):
    """c1: 400 packets of 1,400 octets, d308 to d399 delivered."""
    for number in range(400):
        bench.send(number, eth0, "10.0.0.2", sec(1), payload=bytes(1400))
    bench.take()
    bench.reply(eth0, PEER, "10.0.0.2")
    assert [e[1] for e in bench.take()] == list(range(308, 400))


def test_unres_qlen_is_a_view_of_the_octets(bench, eth0):
    """c1: 3 is stored as 6270 octets and 5 small packets still pass; 212992 reads back as 101; 0 keeps one packet."""
    key = "net.ipv4.neigh.eth0.unres_qlen"
    assert (bench.sysctl.get(key), bench.sysctl.get(key + "_bytes")) == ("101", "212992")
    bench.sysctl.set(key, "3")
    assert bench.sysctl.get(key + "_bytes") == "6270"
    for number in range(5):
        bench.send(number, eth0, "10.0.0.2", sec(1))
    assert len(bench.entry(eth0, "10.0.0.2").queue) == 5
    bench.sysctl.set(key, "0")
    bench.send(9, eth0, "10.0.0.2")
    assert [w.skb for w in bench.entry(eth0, "10.0.0.2").queue][-1].data[5] == 9
    assert len(bench.entry(eth0, "10.0.0.2").queue) == 1


def test_held_counts_the_received_packets_that_wait(bench, eth0):
    bench.send(1, eth0, "10.0.0.2", sec(1), uid=0)
    bench.send(2, eth0, "10.0.0.2", sec(1), uid=41)
    assert bench.table.held() == 1
    bench.reply(eth0, PEER, "10.0.0.2")
    assert bench.table.held() == 0


# Reachable times


def test_a_device_draws_its_reachable_time_when_it_appears_and_at_each_write(bench_tools):
    """observed-linux 1.2: uniform in [0.5, 1.5) base, at once at every write, even of the same value."""
    bench = bench_tools.Bench(raw=[0, 7499, 3750])
    dev = bench.device("eth0")
    assert bench.sysctl.neigh_default.reachable_time == sec(15)
    assert dev.neigh.reachable_time == sec("44.996")
    bench.sysctl.set("net.ipv4.neigh.eth0.base_reachable_time_ms", "30000")
    assert dev.neigh.reachable_time == sec(30)
    assert bench.sysctl.neigh_default.reachable_time == sec(15)


def test_reachable_times_spread_over_the_whole_range(bench_tools):
    """observed-linux 1.2: 300 devices: minimum 15.1, maximum 44.99, mean 30.46 s."""
    bench = bench_tools.Bench()
    drawn = [bench.device(f"e{n}", f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}").neigh.reachable_time for n in range(300)]
    assert all(sec(15) <= each < sec(45) for each in drawn)
    assert min(drawn) < sec(16)
    assert max(drawn) > sec(44)
    assert sec(29) < sum(drawn) / 300 < sec(32)


def test_reachable_times_are_drawn_anew_by_the_periodic_work(bench_tools):
    """The stamp starts 20 table draws in the future; the work runs a draw after boot, then each 15 s."""
    bench = bench_tools.Bench(raw=[0, 0])  # table draw 15 s: stamp 300 s, due after 600 s, work at 15, 30 ... 615 s
    dev = bench.device("eth0")
    bench.run(sec(615) - 1)
    assert dev.neigh.reachable_time == sec(15)
    bench.run(sec(615))
    drawn = dev.neigh.reachable_time
    assert drawn != sec(15)
    bench.run(sec(930) - 1)
    assert dev.neigh.reachable_time == drawn
    bench.run(sec(930))
    assert dev.neigh.reachable_time != drawn


def test_an_idle_box_is_not_kept_busy(bench_tools):
    """Passes that could do nothing are not armed."""
    bench = bench_tools.Bench()
    bench.device("eth0", OURS, "10.0.0.1/24")
    woken = 0
    while bench.timers.next() <= sec(3600):
        bench.run(bench.timers.next())
        woken += 1
    assert woken <= 12


# Kinds of devices and addresses


def test_multicast_and_broadcast_need_no_resolution(bench, eth0):
    bench.send(1, eth0, "224.0.0.9", sec(1))
    bench.send(2, eth0, "10.0.0.255", sec(1))
    assert bench.take() == [("tx", 1, "eth0", "01:00:5e:00:00:09"), ("tx", 2, "eth0", ALL)]
    assert bench.moves() == [(sec(1), "NONE", "NOARP")] * 2


def test_a_device_without_link_header_sends_bare_packets_by_one_entry(bench):
    """linux-kernel 1.7: the key of a point-to-point device is 0.0.0.0."""
    ppp = bench.device("ppp0", OURS, "10.9.0.1/32", kind=PPP)
    sent = []
    bench.transmit = lambda dev, octets, **keys: sent.append(bytes(octets))
    first = bench.send(1, ppp, "10.9.0.2", sec(1))
    second = bench.send(2, ppp, "10.9.0.3", sec(1))
    assert sent == [bytes(first.data), bytes(second.data)]
    assert [entry.ip for entry in bench.table.snapshot()] == [0]
    assert bench.table.state(ppp, parse_ip("10.9.0.2")) == NUD_NONE


def test_a_noarp_device_sends_to_its_own_address(bench):
    dummy = bench.device("dummy0", OURS, "10.9.0.1/24", kind=DUMMY)
    assert dummy.flags & IFF_NOARP
    bench.send(1, dummy, "10.9.0.2", sec(1))
    assert bench.take() == [("tx", 1, "dummy0", OURS)]


def test_an_ethernet_point_to_point_link_broadcasts(bench):
    dev = bench.device("eth0", OURS, "10.9.0.1/24")
    dev.flags |= IFF_POINTOPOINT
    bench.send(1, dev, "10.9.0.2", sec(1))
    assert bench.take() == [("tx", 1, "eth0", ALL)]


def test_a_device_without_ipv4_makes_no_entries(bench, eth0):
    eth0.has_ip = False
    bench.send(1, eth0, "10.0.0.2", sec(1))
    assert bench.take() == [("drop", 1, "NEIGH_CREATEFAIL")]


# Device events


def test_device_down_flushes_everything_in_silence(bench, eth0):
    """linux-kernel 1.8: permanent entries too, no ICMP; observed-linux 8."""
    bench.send(1, eth0, "10.0.0.2", sec(1))
    bench.table.new(NewNeigh(dev="eth0", dst=parse_ip("10.0.0.3"), lladdr=bytes(6)), now=sec(1))
    bench.take()
    bench.table.device_down(eth0, now=sec(2))
    assert bench.take() == [("drop", 1, "QUEUE_PURGE")]
    assert bench.table.snapshot() == []
    assert bench.changes()[-2:] == [
        (sec(2), "INCOMPLETE", "NONE", "", "device down"), (sec(2), "PERMANENT", "NONE", "", "device down"),
    ]  # fmt: skip
    bench.run(sec(10))
    assert bench.take() == []


def test_carrier_loss_spares_permanent_entries(bench, eth0):
    known(bench, eth0, 0)
    bench.table.new(NewNeigh(dev="eth0", dst=parse_ip("10.0.0.3"), lladdr=bytes(6)), now=sec(1))
    bench.table.carrier_lost(eth0, now=sec(2))
    assert [entry.ip for entry in bench.table.snapshot()] == [parse_ip("10.0.0.3")]


@pytest.mark.parametrize("where", ["all", "eth0"])
def test_arp_evict_nocarrier_off_keeps_the_entries(bench, eth0, where):
    known(bench, eth0, 0)
    bench.sysctl.set(f"net.ipv4.conf.{where}.arp_evict_nocarrier", "0")
    bench.table.carrier_lost(eth0, now=sec(2))
    assert bench.table.state(eth0, parse_ip("10.0.0.2")) == NUD_REACHABLE


def test_a_new_mac_flushes_and_with_arp_notify_announces(bench, eth0):
    """observed-linux 9: one gratuitous request an address when the MAC changes."""
    known(bench, eth0, 0)
    bench.address(eth0, "10.0.5.1/24")
    eth0.conf.arp_notify = 1
    bench.table.mac_changed(eth0, now=sec(2))
    assert bench.table.snapshot() == []
    assert bench.take() == [who_has("10.0.0.1"), who_has("10.0.5.1", spa="10.0.5.1")]


def test_arp_notify_is_off_by_default(bench, eth0):
    bench.table.device_up(eth0, now=sec(2))
    assert bench.take() == []
    bench.table.notify_peers(eth0, now=sec(2))
    assert bench.take() == [who_has("10.0.0.1")]


def test_noarp_toggled_flushes(bench, eth0):
    known(bench, eth0, 0)
    bench.table.noarp_changed(eth0, now=sec(2))
    assert bench.table.snapshot() == []


def test_generation_moves_with_validity_and_existence_only(bench, eth0):
    start = bench.table.generation
    bench.send(1, eth0, "10.0.0.2", sec(1))
    assert bench.table.generation == start + 1
    bench.reply(eth0, PEER, "10.0.0.2")
    assert bench.table.generation == start + 2
    bench.send(2, eth0, "10.0.0.2", sec(40))
    assert bench.table.generation == start + 2
    bench.run(sec(48))
    assert bench.table.state(eth0, parse_ip("10.0.0.2")) == NUD_FAILED
    assert bench.table.generation == start + 3
    bench.table.device_down(eth0, now=sec(49))
    assert bench.table.generation == start + 4


# Collection


def fill(bench, eth0, count, at):
    """Make entries learnt from requests, so STALE."""
    for n in range(count):
        bench.request(eth0, f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}", f"10.0.{1 + n // 200}.{1 + n % 200}",
                      "10.0.0.1", at)  # fmt: skip


def test_below_gc_thresh1_nothing_is_ever_collected(bench, eth0):
    """linux-kernel 7, item 6."""
    fill(bench, eth0, 127, sec(1))
    bench.run(sec(3600))
    assert len(bench.table) == 127


def test_from_gc_thresh1_on_idle_entries_go_with_the_next_periodic_work(bench_tools):
    bench = bench_tools.Bench(raw=[3750])  # first work at 30 s, then each 15 s
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    fill(bench, eth0, 128, sec(40))
    bench.run(sec(105) - 1)
    assert len(bench.table) == 128
    bench.run(sec(105))  # idle for 65 s
    assert len(bench.table) == 0


def test_a_lowered_threshold_takes_hold_with_the_next_periodic_work(bench_tools):
    """The work keeps its 15 s beat through the runs that had nothing to do."""
    bench = bench_tools.Bench(raw=[3750])
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    fill(bench, eth0, 3, sec(40))
    bench.run(sec(1000))
    bench.sysctl.set("net.ipv4.neigh.default.gc_thresh1", "1")
    bench.run(sec(1005) - 1)
    assert len(bench.table) == 3
    bench.run(sec(1005))
    assert len(bench.table) == 0
    assert bench.moves()[-1] == (sec(1005), "STALE", "NONE")


def test_a_full_table_gives_up_what_is_old_and_refuses_when_nothing_is(bench, eth0):
    """linux-kernel 1.4: at gc_thresh3 forced; entries updated in the last 5 s are spared."""
    fill(bench, eth0, 1024, sec(1))
    bench.send(1, eth0, "10.0.0.2", sec(2))
    assert [e for e in bench.take() if e[0] != "arp"] == [("drop", 1, "NEIGH_CREATEFAIL")]
    bench.send(2, eth0, "10.0.0.2", sec(6.001))
    assert len(bench.table) == 513  # 512 went, down to gc_thresh2, and one came


# Records of ARP frames


def test_a_processed_request_is_consumed_and_a_bad_one_dropped(bench, eth0):
    bench.request(eth0, PEER, "10.0.0.2", "10.0.0.1", sec(1))
    bench.request(eth0, PEER, "10.0.0.2", "127.0.0.1", sec(1))
    bench.arp(eth0, 3, PEER, "10.0.0.2", "10.0.0.1")
    bench.table.receive_arp(eth0, b"short", 0, b"", now=sec(1), uid=9)
    ends = [r for r in bench.outbox.records if isinstance(r, Consumed | Dropped)]
    assert [getattr(r, "detail", "consumed") for r in ends] == [
        "consumed", "arp: target is multicast or loopback", "arp: operation 3", "arp: truncated",
    ]  # fmt: skip


def test_2_2_and_2_4_forget_their_route_s_grip_when_the_route_leaves(bench_tools):
    """kernel-2.4-neighbour, file 5: a cached route keeps its neighbour from the scan."""
    from netsim.stack.dst import RTN_UNICAST, Route

    bench = bench_tools.Bench(era=LINUX_24, raw=[1500, 1500])  # scans at 60, 90, 120 s ...
    eth0 = bench.device("eth0", OURS, "10.0.0.1/24")
    route = Route(RTN_UNICAST, eth0, 0, 0, 0, 0)
    bench.run(sec(1))
    assert bench.table.hold(route, parse_ip("10.0.0.2"), now=sec(1))
    bench.send(1, eth0, "10.0.0.2", route=route)
    bench.reply(eth0, PEER, "10.0.0.2")
    bench.run(sec(200))
    assert bench.table.exists(eth0, parse_ip("10.0.0.2"))
    bench.table.release(route)
    bench.run(sec(210))
    assert not bench.table.exists(eth0, parse_ip("10.0.0.2"))
