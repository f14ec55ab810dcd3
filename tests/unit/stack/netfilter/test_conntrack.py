"""The table: birth, states of packets, life, expiry, eviction and what listeners hear.

Source: linux-kernel 5.3, 5.4.
"""

from __future__ import annotations

import pytest

from netsim.stack.netfilter.ct_requests import (
    ConntrackFilter,
    CountConntrack,
    DeleteConntrack,
    FlushConntrack,
    SetConntrackMark,
)
from netsim.stack.netfilter.status import (
    IP_CT_ESTABLISHED,
    IP_CT_ESTABLISHED_REPLY,
    IP_CT_NEW,
    IP_CT_RELATED,
    IP_CT_RELATED_REPLY,
    IPS_ASSURED,
)
from netsim.stack.skb import Skb
from netsim.units import ms, sec


def out(kit, router, now, host=3, port=6000):
    return router.receive(kit.udp(f"192.168.0.{host}", port, "203.0.113.10", 53), "lan0", now)


def back(kit, router, now, port=6000):
    return router.receive(kit.udp("203.0.113.10", 53, "10.0.1.2", port), "wan0", now)


def test_a_packets_place_is_new_then_established_both_ways(kit, router):
    assert out(kit, router, sec(1)).ctinfo == IP_CT_NEW
    assert out(kit, router, sec(1)).ctinfo == IP_CT_NEW
    assert back(kit, router, sec(1)).ctinfo == IP_CT_ESTABLISHED_REPLY
    assert out(kit, router, sec(1)).ctinfo == IP_CT_ESTABLISHED


def test_a_dropped_first_packet_leaves_nothing(kit, router):
    router.nf.register(2, 0, lambda skb, indev, outdev, now: 0)
    assert out(kit, router, sec(1)) == "FORWARD"
    assert router.nf.request(CountConntrack(), now=sec(1)) == 0


def test_expiry_is_exact_and_the_count_learns_of_it_at_a_look(kit, router):
    out(kit, router, sec(1))
    assert len(router.listing(sec(31) - 1)) == 1
    assert router.nf.request(CountConntrack(), now=sec(31)) == 1
    assert router.listing(sec(31)) == []
    assert router.nf.request(CountConntrack(), now=sec(31)) == 0


def test_udp_becomes_a_stream_after_two_seconds_of_both_ways(kit, router):
    """linux-kernel 5.4: 30 s and not ASSURED while younger than 2 s, then 120 s."""
    out(kit, router, sec(1))
    back(kit, router, sec(1))
    entry = next(iter(router.nf.conntrack))
    out(kit, router, sec(3))
    assert (entry.timeout, entry.status & IPS_ASSURED) == (sec(33), 0)
    out(kit, router, sec(3) + 1)
    assert (entry.timeout, entry.status & IPS_ASSURED) == (sec(123) + 1, IPS_ASSURED)


def test_udp_without_a_reply_never_becomes_a_stream(kit, router):
    for now in range(1, 20):
        out(kit, router, sec(now))
    assert next(iter(router.nf.conntrack)).timeout == sec(19 + 30)


def test_a_changed_timeout_counts_from_the_next_packet(kit, router):
    out(kit, router, sec(1))
    router.sysctl.set("net.netfilter.nf_conntrack_udp_timeout", "7")
    assert router.listing(sec(2))[0].split()[2] == "29"
    out(kit, router, sec(2))
    assert router.listing(sec(2))[0].split()[2] == "7"


def test_an_error_about_a_flow_is_related_and_renews_nothing(kit, router):
    sent = out(kit, router, sec(1))
    error = b"\x03\x01\0\0\0\0\0\0" + bytes(sent.data)
    entry = next(iter(router.nf.conntrack))
    before = entry.timeout
    message = kit.ip("10.0.1.1", "10.0.1.2", 1, resummed(error))
    got = router.receive(message, "wan0", sec(5))
    assert (got.ct, got.ctinfo) == (entry, IP_CT_RELATED_REPLY)
    assert entry.timeout == before


def test_an_error_that_goes_to_somebody_else_is_invalid(kit, router):
    """linux-kernel 5.6: the outer destination must be the entry's address for that direction."""
    sent = out(kit, router, sec(1))
    error = b"\x03\x01\0\0\0\0\0\0" + bytes(sent.data)
    got = router.receive(kit.ip("10.0.1.1", "192.168.0.9", 1, resummed(error)), "wan0", sec(2))
    assert got.ct is None


def test_what_the_box_makes_because_of_a_packet_rides_on_its_connection(kit, router):
    sent, got = out(kit, router, sec(1)), back(kit, router, sec(1))
    for old, place in ((sent, IP_CT_RELATED_REPLY), (got, IP_CT_RELATED)):
        new = Skb(bytearray(kit.udp("10.0.1.2", 1, "203.0.113.10", 2)))
        router.nf.attach(new, old)
        assert (new.ct, new.ctinfo) == (old.ct, place)


def resummed(message: bytes) -> bytes:
    from netsim.wire.icmp import resum_icmp

    data = bytearray(message)
    resum_icmp(data, 0)
    return bytes(data)


def test_events_tell_new_update_and_destroy_with_their_lines(kit, router):
    out(kit, router, sec(1))
    back(kit, router, sec(2))
    router.nf.request(FlushConntrack(), now=sec(3))
    pair = "src=192.168.0.3 dst=203.0.113.10 sport=6000 dport=53"
    reply = "src=203.0.113.10 dst=10.0.1.2 sport=53 dport=6000"
    assert router.events() == [
        f"NEW udp      17 30 {pair} [UNREPLIED] {reply}",
        f"UPDATE udp      17 30 {pair} {reply}",
        f"DESTROY udp      17 29 {pair} {reply}",
    ]


def test_the_scan_tells_the_end_of_what_nobody_looks_at(kit, router):
    """gc_worker(): first 1 s after boot, then every 60 s while little is in the table."""
    out(kit, router, sec(2))
    assert router.timers.next() == sec(61)
    router.timers.run(sec(61))
    assert [event.split()[0] for event in router.events()] == ["NEW", "DESTROY"]
    assert router.timers.next() is None


def test_a_full_table_evicts_what_is_not_assured_near_by_else_drops(kit):
    router = kit.Router()
    router.masquerade()
    conf = router.sysctl.conntrack
    conf.max, conf.buckets = 20, 8
    for port in range(20):
        out(kit, router, sec(1), port=2000 + port)
    assert out(kit, router, sec(1), port=9000) != "PREROUTING"
    assert router.nf.conntrack.stats["early_drop"] >= 1
    for ct in router.nf.conntrack:
        ct.status |= IPS_ASSURED
    conf.max = router.nf.conntrack.count
    dropped = Skb(bytearray(kit.udp("192.168.0.3", 9001, "203.0.113.10", 53)), router.dev("lan0"), 1)
    assert router.nf.run(0, dropped, router.dev("lan0"), None, now=sec(1)) == 0
    assert dropped.drop_detail == "nf_conntrack: table full, dropping packet"


def test_an_empty_looking_neighbourhood_evicts_nothing(kit):
    """Eight buckets of a large table hold nobody: the packet is dropped."""
    router = kit.Router()
    router.masquerade()
    router.sysctl.conntrack.max = 4
    for port in range(4):
        out(kit, router, sec(1), port=2000 + port)
    assert out(kit, router, sec(1), port=9000) == "PREROUTING"


def test_accounting_counts_both_ways(kit, router):
    router.sysctl.conntrack.acct = 1
    out(kit, router, sec(1))
    back(kit, router, sec(1))
    assert "dport=53 packets=1 bytes=29 src=" in router.listing(sec(1))[0]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (ConntrackFilter(), 2), (ConntrackFilter(proto=17), 2), (ConntrackFilter(proto=6), 0),
        (ConntrackFilter(orig_sport=6000), 1), (ConntrackFilter(reply_dport=6001), 1),
        (ConntrackFilter(status_set=IPS_ASSURED), 0), (ConntrackFilter(status_clear=IPS_ASSURED), 2),
        (ConntrackFilter(mark=5), 0),
    ],
)  # fmt: skip
def test_entries_are_deleted_by_what_they_are(kit, router, wanted, count):
    out(kit, router, sec(1), port=6000)
    out(kit, router, sec(1), port=6001)
    assert len(router.nf.request(DeleteConntrack(wanted=wanted), now=sec(1))) == count
    assert router.nf.request(CountConntrack(), now=sec(1)) == 2 - count


def test_a_mark_set_by_hand_shows_and_is_told(kit, router):
    out(kit, router, sec(1))
    router.events()
    assert router.nf.request(SetConntrackMark(wanted=ConntrackFilter(), mark=5), now=sec(1)) == 1
    assert " mark=5 " in router.listing(sec(1))[0]
    assert router.events()[0].endswith(" mark=5")


def test_a_hook_runs_by_priority_then_age_and_can_be_taken_away(kit, router):
    order = []

    def noting(name):
        return lambda skb, indev, outdev, now: order.append(name) or 1

    late, early, same = (router.nf.register(2, p, noting(n)) for p, n in ((5, "late"), (-5, "early"), (5, "same")))
    out(kit, router, sec(1))
    router.nf.unregister(late)
    out(kit, router, sec(1))
    assert order == ["early", "late", "same", "early", "same"]
    router.nf.unregister(early)
    router.nf.unregister(same)
    assert router.nf.idle[2]


def test_tracking_ends_with_the_last_rule_that_needs_it(kit, router):
    out(kit, router, sec(1))
    router.nf.conntrack.put()
    router.nf.conntrack.put()
    assert out(kit, router, ms(1500)).ct is None
