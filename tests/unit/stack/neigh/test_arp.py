"""ARP policy on mainline: whom a probe names, whom we answer, what we learn, what we stand in for.

10.0.1.1 (...:02) --- eth0 10.0.1.2/24, 10.0.1.3/24 (secondary), 10.0.9.2/24 | box | eth1 10.0.2.2/24
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack.nud_states import NAMES, NUD_STALE
from netsim.stack.profile.neigh import LINUX_24, LINUX_24_35
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import DelNeigh, DumpNeighs, NewAddr, NewNeigh
from netsim.trace.records import Consumed, Dropped
from netsim.units import ms, sec
from netsim.wire.arp import ARPOP_REPLY, ARPOP_REQUEST, build_arp, parse_arp
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame

PEER, OTHER, OURS = "02:00:00:00:00:02", "02:00:00:00:00:99", "02:00:00:00:00:01"
ALL = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"
GATEWAY = "10.0.1.1"


@pytest.fixture
def eth0(bench):
    dev = bench.device("eth0", OURS, "10.0.1.2/24", "10.0.1.3/24", "10.0.9.2/24")
    far = bench.device("eth1", "02:00:00:00:00:11", "10.0.2.2/24")
    bench.address(bench.interfaces.lo, "192.0.2.1/32")
    bench.run(sec(10))
    assert far.ifindex == 3
    return dev


def answers(bench):
    return [event[5:] for event in bench.take() if event[0] == "arp" and event[2] == 2]


def state(bench, dev, ip):
    entry = bench.entry(dev, ip)
    return None if entry is None else (NAMES[entry.state], entry.lladdr.hex(":"))


# Whom a probe names


@pytest.mark.parametrize(
    ("source", "announced"),
    [
        ("10.0.1.2", ("10.0.1.2", "10.0.1.2", "10.0.1.2")),
        ("10.0.1.3", ("10.0.1.3", "10.0.1.3", "10.0.1.2")),
        ("10.0.9.2", ("10.0.9.2", "10.0.1.2", "10.0.1.2")),
        ("10.0.2.2", ("10.0.2.2", "10.0.1.2", "10.0.1.2")),
        ("192.0.2.1", ("192.0.2.1", "10.0.1.2", "10.0.1.2")),
        ("198.51.100.7", ("10.0.1.2", "10.0.1.2", "10.0.1.2")),
    ],
)
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("where", ["all", "eth0"])
def test_arp_announce_chooses_the_sender_of_a_probe(bench, eth0, source, announced, level, where):
    """observed-linux 9, "Sender address of requests"."""
    bench.sysctl.set(f"net.ipv4.conf.{where}.arp_announce", str(level))
    bench.send(1, eth0, GATEWAY, src=source)
    assert bench.take() == [("arp", "eth0", 1, ALL, OURS, announced[level], NOBODY, GATEWAY)]


def test_the_newest_packet_lends_a_repeated_probe_its_source(bench, eth0):
    """linux-kernel 1.6: mainline looks at the tail of the queue."""
    bench.send(1, eth0, GATEWAY, src="10.0.1.2")
    bench.send(2, eth0, GATEWAY, src="10.0.1.3")
    bench.run(sec(11))
    assert [event[5] for event in bench.take()] == ["10.0.1.2", "10.0.1.3"]


def test_a_unicast_probe_goes_to_the_known_address_with_zeros_as_target(bench, eth0):
    """observed-linux 1.4."""
    bench.request(eth0, PEER, GATEWAY, "10.0.1.2")
    bench.send(1, eth0, GATEWAY, src="10.0.1.3")
    bench.take()
    bench.run(sec(15))
    assert bench.take() == [("arp", "eth0", 1, PEER, OURS, "10.0.1.2", NOBODY, GATEWAY)]


@pytest.mark.parametrize(("source", "sent"), [("10.0.1.3", "10.0.1.3"), (None, None)])
def test_arp_prefsrc_asks_the_routes_and_stays_silent_without_an_answer(bench_tools, source, sent):
    """route-patches 5: output route to the target, source 0, by the probe's device; none: no probe, FAILED at 3 s."""
    bench = bench_tools.Bench(era=LINUX_24, patches=Patches(arp_prefsrc=True))
    dev = bench.device("eth0", OURS, "10.0.1.2/24", "10.0.1.3/24")
    bench.routing.outroutes.append((parse_ip(GATEWAY), 32, source and parse_ip(source), dev))
    bench.send(1, dev, GATEWAY, sec(10), src="10.0.1.2")
    assert [event[5] for event in bench.take()] == ([sent] if sent else [])
    assert bench.routing.asked == [(parse_ip(GATEWAY), 0, dev)]
    bench.run(sec(13))
    assert bench.moves()[-1] == (sec(13), "INCOMPLETE", "FAILED")


# Whom we answer


@pytest.mark.parametrize(
    ("level", "same", "elsewhere", "foreign_asker", "probe"),
    [
        (0, True, True, True, True), (1, True, False, True, True), (2, True, False, False, True),
        (3, True, True, True, True), (4, True, True, True, True), (8, False, False, False, False),
    ],
)  # fmt: skip
def test_arp_ignore_decides_whom_we_answer(bench, eth0, level, same, elsewhere, foreign_asker, probe):
    """observed-linux 9, "Which requests are answered"."""
    eth0.conf.arp_ignore = level
    for asker, target, answered in (
        (GATEWAY, "10.0.1.2", same), (GATEWAY, "10.0.2.2", elsewhere), ("10.55.0.1", "10.0.1.2", foreign_asker),
        ("0.0.0.0", "10.0.1.2", probe),
    ):  # fmt: skip
        bench.request(eth0, PEER, asker, target)
        assert answers(bench) == ([(target, PEER, asker)] if answered else []), (asker, target)
        assert bench.table.exists(eth0, parse_ip(asker)) == (answered and asker != "0.0.0.0")
        bench.table.device_down(eth0, now=bench.now)


def test_arp_ignore_3_hides_addresses_of_scope_host(bench, eth0):
    eth0.conf.arp_ignore = 3
    bench.address(bench.interfaces.lo, "192.0.2.9/32", scope=254)
    bench.request(eth0, PEER, GATEWAY, "192.0.2.9")
    assert answers(bench) == []
    bench.request(eth0, PEER, GATEWAY, "192.0.2.1")
    assert answers(bench) == [("192.0.2.1", PEER, GATEWAY)]


def test_arp_filter_answers_only_where_the_way_back_leaves(bench, eth0):
    bench.sysctl.conf_all.arp_filter = 1
    bench.request(eth0, PEER, "10.0.2.50", "10.0.1.2")
    bench.request(eth0, PEER, "10.55.0.1", "10.0.1.2")
    assert answers(bench) == []
    bench.request(eth0, PEER, GATEWAY, "10.0.2.2")
    assert answers(bench) == [("10.0.2.2", PEER, GATEWAY)]


def test_2_4_learns_before_it_asks_policy(bench_tools):
    """kernel-2.4-neighbour, file 7: the sender of an ignored request is learnt all the same."""
    bench = bench_tools.Bench(era=LINUX_24)
    dev = bench.device("eth0", OURS, "10.0.1.2/24")
    dev.conf.arp_ignore = 8
    bench.request(dev, PEER, GATEWAY, "10.0.1.2", sec(1))
    assert answers(bench) == []
    assert state(bench, dev, GATEWAY) == ("STALE", PEER)


@pytest.mark.parametrize(
    ("era", "tha", "tpa"), [(LINUX_24, OURS, "10.0.1.2"), (LINUX_24_35, PEER, "0.0.0.0")], ids=["2.4.20", "2.4.35"]
)
def test_a_conflict_probe_gets_the_era_s_target(bench_tools, era, tha, tpa):
    """corrections, row 17."""
    bench = bench_tools.Bench(era=era)
    dev = bench.device("eth0", OURS, "10.0.1.2/24")
    bench.request(dev, PEER, "0.0.0.0", "10.0.1.2", sec(1))
    assert bench.take() == [("arp", "eth0", 2, PEER, OURS, "10.0.1.2", tha, tpa)]


@pytest.mark.parametrize("ours", ["10.0.1.2", "10.0.2.2", "192.0.2.1"])
def test_a_conflict_probe_is_answered_for_an_address_of_any_device(wire, ours):
    """Source: arp_process(), inet_addr_type_dev_table(): outside a VRF the local table is asked about no device."""
    wire.box("a", eth0="lan 10.0.1.2/24", eth1="far 10.0.2.2/24")
    wire.do("a", NewAddr(dev="lo", local=parse_ip("192.0.2.1"), plen=32))
    peer = parse_mac(PEER)
    probe = build_arp(ARPOP_REQUEST, peer, 0, parse_mac(NOBODY), parse_ip(ours))
    frame = Frame(build_ether(parse_mac(ALL), peer, 0x0806) + probe, 1)
    wire.boxes["a"].receive("eth0", frame, now=sec(1))
    (answer,) = wire.boxes["a"].outbox.frames
    arp = parse_arp(answer.octets, 14)
    assert (answer.dev, answer.octets[:6], arp.op, arp.spa) == ("eth0", peer, ARPOP_REPLY, parse_ip(ours))
    assert wire.do("a", DumpNeighs()) == ()


def test_a_conflict_probe_for_somebody_else_is_not_answered(wire):
    """Source: arp_process(), inet_addr_type_dev_table() == RTN_LOCAL."""
    wire.box("a", eth0="lan 10.0.1.2/24", eth1="far 10.0.2.2/24")
    probe = build_arp(ARPOP_REQUEST, parse_mac(PEER), 0, parse_mac(NOBODY), parse_ip("10.0.2.3"))
    frame = Frame(build_ether(parse_mac(ALL), parse_mac(PEER), 0x0806) + probe, 1)
    wire.boxes["a"].receive("eth0", frame, now=sec(1))
    assert list(wire.boxes["a"].outbox.frames) == []


def test_frames_for_others_and_on_noarp_devices_are_not_looked_at(bench, eth0):
    bench.arp(eth0, ARPOP_REQUEST, PEER, GATEWAY, "10.0.1.2", to="other")
    assert bench.take() == []
    eth0.flags |= 0x80
    bench.request(eth0, PEER, GATEWAY, "10.0.1.2")
    assert bench.take() == []


def test_drop_gratuitous_arp_ends_announcements(bench, eth0):
    eth0.conf.drop_gratuitous_arp = eth0.conf.arp_accept = 1
    bench.request(eth0, PEER, GATEWAY, GATEWAY)
    assert state(bench, eth0, GATEWAY) is None
    assert [r.detail for r in bench.outbox.records if isinstance(r, Dropped)] == ["arp: gratuitous"]


# What we learn


def hear(bench, dev, what, sha):
    """One of observed-linux 9's packets."""
    if what == "request for us":
        bench.request(dev, sha, GATEWAY, "10.0.1.2")
    elif what == "request for another":
        bench.request(dev, sha, GATEWAY, "10.0.1.77")
    elif what == "gratuitous request":
        bench.request(dev, sha, GATEWAY, GATEWAY)
    elif what == "unicast reply":
        bench.reply(dev, sha, GATEWAY)
    elif what == "broadcast reply, target MAC the sender's":
        bench.arp(dev, ARPOP_REPLY, sha, GATEWAY, GATEWAY, tha=sha, to="bcast")
    else:
        assert what == "broadcast reply, target MAC all ones"
        bench.arp(dev, ARPOP_REPLY, sha, GATEWAY, GATEWAY, tha=ALL, to="bcast")


HEARD = [  # what, unknown by arp_accept 0, 1; known REACHABLE: same, another MAC inside the lock time, and after it
    ("request for us", "STALE", "STALE", "REACHABLE", "STALE", "STALE"),
    ("request for another", None, None, "REACHABLE", None, "STALE"),
    ("gratuitous request", None, "STALE", "REACHABLE", "STALE", "STALE"),
    ("unicast reply", None, "REACHABLE", "REACHABLE", None, "REACHABLE"),
    ("broadcast reply, target MAC the sender's", None, "STALE", "REACHABLE", "STALE", "STALE"),
    ("broadcast reply, target MAC all ones", None, "STALE", "REACHABLE", None, "STALE"),
]


@pytest.mark.parametrize(("what", "off", "on", "same", "inside", "after"), HEARD)
def test_what_an_unasked_frame_teaches(bench, eth0, what, off, on, same, inside, after):
    """observed-linux 9, case j3; None: nothing is learnt, or the old address stays."""
    for accept, expected in ((0, off), (1, on)):
        eth0.conf.arp_accept = accept
        hear(bench, eth0, what, PEER)
        assert state(bench, eth0, GATEWAY) == (expected and (expected, PEER))
        bench.table.device_down(eth0, now=bench.now)
    eth0.conf.arp_accept = 0
    for sha, later, expected in ((PEER, 0, same), (OTHER, ms(999), inside), (OTHER, ms(1001), after)):
        bench.send(1, eth0, GATEWAY)
        bench.reply(eth0, PEER, GATEWAY)
        bench.run(bench.now + later)
        hear(bench, eth0, what, sha)
        assert state(bench, eth0, GATEWAY) == ((expected, sha) if expected else ("REACHABLE", PEER))
        bench.table.device_down(eth0, now=bench.now)


@pytest.mark.parametrize(("sender", "learnt"), [(GATEWAY, True), ("10.55.0.1", False)])
def test_arp_accept_2_takes_only_senders_of_our_subnets(bench, eth0, sender, learnt):
    eth0.conf.arp_accept = 2
    bench.request(eth0, PEER, sender, sender)
    assert bench.table.exists(eth0, parse_ip(sender)) == learnt


def test_nobody_teaches_us_our_own_address(bench, eth0):
    eth0.conf.arp_accept = 1
    bench.request(eth0, OTHER, "10.0.1.2", "10.0.1.2")
    assert len(bench.table) == 0


def test_a_changed_address_is_doubted_from_the_start(bench, eth0):
    """observed-linux 9: "MAC change sets confirmed back by 2 x base"."""
    bench.send(1, eth0, GATEWAY)
    bench.reply(eth0, PEER, GATEWAY)
    bench.request(eth0, OTHER, GATEWAY, "10.0.1.2")
    (info,) = bench.table.dump(DumpNeighs(), now=bench.now)
    assert (info.state, info.confirmed, info.updated) == (NUD_STALE, sec(60), 0)


# Whom we stand in for


@pytest.fixture
def proxying(bench, eth0):
    far = bench.interfaces.named("eth1")
    bench.routing.inroutes.append((parse_ip("10.0.2.0"), 24, far))
    bench.routing.inroutes.append((parse_ip("10.0.1.0"), 24, eth0))
    eth0.conf.forwarding = eth0.conf.proxy_arp = 1
    return eth0


def test_a_proxy_answers_after_a_random_moment_and_learns_at_once(bench, proxying):
    """proxy_delay 0.8 s; the request is held here meanwhile, and consumed with its answer."""
    bench.rng.raw = [100]  # steps of 4 ms
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert (bench.take(), bench.table.held()) == ([], 1)
    assert state(bench, proxying, GATEWAY) == ("STALE", PEER)
    bench.run(sec(10.4) - 1)
    assert bench.take() == []
    bench.run(sec(10.4))
    assert answers(bench) == [("10.0.2.77", PEER, GATEWAY)]
    assert bench.table.held() == 0
    assert [r.t for r in bench.outbox.records if isinstance(r, Consumed)] == [sec(10.4)]


def test_a_proxy_answers_a_direct_question_at_once(bench, proxying):
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77", to="us")
    assert answers(bench) == [("10.0.2.77", PEER, GATEWAY)]


def test_without_proxy_delay_every_answer_is_immediate(bench, proxying):
    proxying.neigh.proxy_delay = 0
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert answers(bench) == [("10.0.2.77", PEER, GATEWAY)]


def test_the_earliest_of_several_answers_comes_first(bench, proxying):
    bench.rng.raw = [150, 50]
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    bench.request(proxying, PEER, GATEWAY, "10.0.2.78")
    bench.run(sec(10.2))
    assert answers(bench) == [("10.0.2.78", PEER, GATEWAY)]
    bench.run(sec(10.6))
    assert answers(bench) == [("10.0.2.77", PEER, GATEWAY)]


def test_a_proxy_is_silent_about_its_own_side_and_when_not_forwarding(bench, proxying):
    proxying.neigh.proxy_delay = 0
    bench.request(proxying, PEER, GATEWAY, "10.0.1.77")
    proxying.conf.forwarding = 0
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert answers(bench) == []


@pytest.mark.parametrize(("ours", "theirs", "answered"), [(0, 0, True), (-1, 0, False), (1, 1, False), (1, 2, True),
                                                          (1, -1, False)])  # fmt: skip
def test_medium_id_keeps_a_proxy_off_its_own_medium(bench, proxying, ours, theirs, answered):
    proxying.neigh.proxy_delay = 0
    proxying.conf.medium_id, bench.interfaces.named("eth1").conf.medium_id = ours, theirs
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert bool(answers(bench)) == answered


def test_a_private_vlan_proxy_answers_for_the_same_side(bench, proxying):
    proxying.neigh.proxy_delay = 0
    proxying.conf.proxy_arp, proxying.conf.proxy_arp_pvlan = 0, 1
    bench.request(proxying, PEER, GATEWAY, "10.0.1.77")
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert answers(bench) == [("10.0.1.77", PEER, GATEWAY)]


def test_a_proxy_entry_answers_only_for_addresses_behind_another_device(bench, proxying):
    """observed-linux 9: 10.0.1.200 in the same subnet: no answer; 10.0.2.201: answered."""
    proxying.conf.proxy_arp = proxying.neigh.proxy_delay = 0
    for address in ("10.0.1.200", "10.0.2.201"):
        bench.table.new(NewNeigh(dev="eth0", dst=parse_ip(address), proxy=True), now=bench.now)
        bench.request(proxying, PEER, GATEWAY, address)
    assert answers(bench) == [("10.0.2.201", PEER, GATEWAY)]
    assert [info.dst for info in bench.table.dump(DumpNeighs(proxy=True), now=0)] == [
        parse_ip("10.0.1.200"), parse_ip("10.0.2.201"),
    ]  # fmt: skip
    bench.table.delete(DelNeigh(dev="eth0", dst=parse_ip("10.0.2.201"), proxy=True), now=bench.now)
    bench.request(proxying, PEER, GATEWAY, "10.0.2.201")
    assert answers(bench) == []


def test_a_full_proxy_queue_drops_the_request(bench, proxying):
    proxying.neigh.proxy_qlen = 1
    for _ in range(3):
        bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    assert bench.table.held() == 2  # "greater than" is asked before the new one counts
    assert [r.detail for r in bench.outbox.records if isinstance(r, Dropped)] == ["arp: proxy queue full"]


def test_a_delayed_answer_dies_with_its_device(bench, proxying):
    bench.request(proxying, PEER, GATEWAY, "10.0.2.77")
    bench.table.device_down(proxying, now=bench.now)
    bench.run(sec(12))
    assert (answers(bench), bench.table.held()) == ([], 0)
    assert [r.detail for r in bench.outbox.records if isinstance(r, Dropped)] == ["arp: device down"]
