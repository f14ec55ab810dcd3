"""Mainline's choice among alternative defaults and among multipath paths, against recorded choices of a real 6.18.

The recordings are facts: for each packet the states of the gateways' neighbours and the gateway it went to, or the flow
and the path it took. Linux-kernel notes 2.6, 2.7; observed-linux 3.2, 4.1.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from netsim.addr import parse_ip
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import build_ipv4

DATA = Path(__file__).parents[3] / "data" / "fib-linux-6"
A, B = "eth0 via 10.0.0.1", "eth1 via 10.0.1.1"


def load(name: str):
    with gzip.open(DATA / f"{name}.json.gz", "rt") as file:
        return json.load(file)


@pytest.mark.parametrize("lab", "ABCFHJ")
def test_every_recorded_packet_took_the_gateway_we_choose(make_box, lab):
    """Lab d2: the rule may miss a packet only beside a state change, where the polled state is not the kernel's."""
    rows = load("alternatives-d2")[lab]
    box = make_box("linux-6")
    count = len(rows[0][0])
    for number in range(count):
        box.device(f"eth{number}", f"10.0.{number}.2/24")
        box.sh(f"ip route append default via 10.0.{number}.1 dev eth{number}")
    known: list[str | None] = [None] * count
    missed = []
    for at, (states, gateway, beside_a_change) in enumerate(rows):
        for number, state in enumerate(states):
            if state != known[number]:
                box.neigh(**{f"eth{number}": f"10.0.{number}.1 {'none' if state is None else state.lower()}"})
                known[number] = state
        chosen = int(box.send()[3])
        if chosen != gateway:
            missed.append((at, states, gateway, chosen))
            assert beside_a_change
            box.net.fib.lookup.tables[254].leaf(0, 0)[0].last = gateway
    assert len(missed) <= 2


@pytest.fixture
def pair(make_box):
    """Return a linux-6 box with two alternative defaults."""
    box = make_box("linux-6")
    for number in range(2):
        box.device(f"eth{number}", f"10.0.{number}.2/24")
        box.sh(f"ip route append default via 10.0.{number}.1 dev eth{number}")
    return box


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        ("none", "none", "AAAA"), ("reachable", "reachable", "AAAA"), ("stale", "stale", "ABAB"),
        ("permanent", "none", "ABAB"), ("failed", "stale", "BBBB"), ("failed", "failed", "AAB"),
    ],
)  # fmt: skip
def test_consecutive_lookups_go_round_as_observed(pair, first, second, want):
    """Linux-kernel note 2.6, "Consequences"."""
    pair.neigh(eth0=f"10.0.0.1 {first}", eth1=f"10.0.1.1 {second}")
    got = "".join("A" if pair.send() == A else "B" for _ in want)
    if want == "AAB":
        got = "".join("A" if pair.send() == A else "B" for _ in range(9))
        assert got in ("AABAABAAB", "ABAABAABA", "BAABAABAA")
    else:
        assert got == want


@pytest.mark.parametrize(
    "change",
    ["ip route replace default via 10.0.1.1 dev eth1 metric 5", "ip route add 8.0.0.0/8 via 10.0.0.1"],
    ids=["another metric", "a longer prefix"],
)
def test_only_defaults_of_one_metric_are_alternatives(make_box, change):
    """Observed-linux 3.2, first point."""
    box = make_box("linux-6")
    for number in range(2):
        box.device(f"eth{number}", f"10.0.{number}.2/24")
    box.sh("ip route add default via 10.0.0.1 dev eth0")
    box.sh(change)
    box.neigh(eth0="10.0.0.1 failed", eth1="10.0.1.1 reachable")
    assert [box.send() for _ in range(4)] == [A] * 4


def test_forwarded_packets_and_bound_ones_take_the_first(pair):
    """Observed-linux 3.2: labs D and G."""
    pair.device("lan0", "192.168.0.1/24")
    pair.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    pair.neigh(eth0="10.0.0.1 failed", eth1="10.0.1.1 reachable")
    assert [pair.forward(f"8.8.8.{number}") for number in range(1, 4)] == [A] * 3
    assert [pair.send(oif="eth0") for _ in range(3)] == [A] * 3


def test_route_get_advances_the_memory_as_a_packet_does(pair):
    """Observed-linux 3.2, f1."""
    pair.neigh(eth0="10.0.0.1 stale", eth1="10.0.1.1 stale")
    got = [pair.sh("ip route get 8.8.8.8").split()[2] for _ in range(4)]
    assert got == ["10.0.0.1", "10.0.1.1", "10.0.0.1", "10.0.1.1"]


# Multipath


@pytest.fixture
def multi(make_box):
    """Return a router: lan0, and two paths by eth1 10.0.1.1 and eth2 10.0.2.1, hash seed 1234."""
    box = make_box("linux-6")
    box.device("lan0", "192.168.0.1/24")
    box.device("eth1", "10.0.1.2/24")
    box.device("eth2", "10.0.2.2/24")
    box.sh("""echo 1 > /proc/sys/net/ipv4/ip_forward
              sysctl -w net.ipv4.fib_multipath_hash_seed=1234""")
    return box


@pytest.mark.parametrize(
    ("weights", "bounds"),
    [
        ((1, 1), [1073741823, 2147483647]), ((1, 2), [715827882, 2147483647]), ((3, 1), [1610612735, 2147483647]),
        ((1, 1, 1), [715827882, 1431655764, 2147483647]),
    ],
)  # fmt: skip
def test_each_path_has_its_share_of_the_hash(multi, weights, bounds):
    """Linux-kernel note 2.7, the vectors; a path that is down takes no part."""
    multi.device("eth3", "10.0.3.2/24")
    paths = " ".join(f"nexthop via 10.0.{at}.1 weight {weight}" for at, weight in enumerate(weights, 1))
    multi.sh(f"ip route add default {paths}")
    (route,) = multi.net.fib.lookup.tables[254].leaf(0, 0)
    assert [path.bound for path in route.info.nexthops] == bounds
    multi.sh("ip link set eth1 down")
    assert route.info.nexthops[0].bound == -1
    assert route.info.nexthops[-1].bound == 2147483647


def path_of(box, src: str, dst: str, sport: int, dport: int) -> str:
    """Return the device by which a UDP packet from the LAN is forwarded."""
    udp = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(4)
    skb = Skb(bytearray(build_ipv4(parse_ip(src), parse_ip(dst), 17, len(udp)) + udp))
    lan = box.net.interfaces.named("lan0")
    return box.net.router.input(parse_ip(dst), parse_ip(src), 0, lan, now=0, skb=skb).dev.name


PHASES = sorted({row[0] for row in load("multipath-e1")["choices"]})


@pytest.mark.parametrize("phase", PHASES)
def test_every_recorded_flow_took_the_path_we_choose(multi, phase):
    """Case e1: 448 flows, policies 0 and 1, forwarded and local, weights 1:1 and 3:1."""
    first = 3 if phase.endswith("3:1") else 1
    multi.sh(f"""sysctl -w net.ipv4.fib_multipath_hash_policy={int("policy 1" in phase)}
                 ip route add default nexthop via 10.0.1.1 weight {first} nexthop via 10.0.2.1""")
    for name, src, dst, sport, dport, path in load("multipath-e1")["choices"]:
        if name != phase:
            continue
        if "local" in phase:
            found = multi.net.router.output(parse_ip(dst), now=0, proto=17, sport=sport, dport=dport)
            dev = found.dev.name
        else:
            dev = path_of(multi, src, dst, sport, dport)
        assert dev == f"eth{path + 1}", (src, dst, sport)


def test_weights_and_liveness_move_only_the_flows_they_must(multi):
    """Linux-kernel note 2.7: a flow keeps its path while weights and liveness stay; a dead path's flows move."""
    multi.sh("ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1")
    flows = [(f"8.8.{number}.1", 7000 + number) for number in range(64)]
    before = [path_of(multi, "192.168.0.3", dst, port, 9) for dst, port in flows]
    assert set(Counter(before)) == {"eth1", "eth2"}
    assert [path_of(multi, "192.168.0.3", dst, port, 9) for dst, port in flows] == before
    multi.sh("ip link set eth1 down")
    assert {path_of(multi, "192.168.0.3", dst, port, 9) for dst, port in flows} == {"eth2"}
    multi.sh("ip link set eth1 up")
    assert [path_of(multi, "192.168.0.3", dst, port, 9) for dst, port in flows] == before


@pytest.mark.parametrize(
    ("state", "devices"),
    [("failed", {"eth2"}), ("incomplete", {"eth2"}), ("stale", {"eth1", "eth2"}), ("none", {"eth1", "eth2"})],
)
def test_use_neigh_passes_over_gateways_that_are_known_to_fail(multi, state, devices):
    """Observed-linux 4.1, use_neigh: unusable only if the neighbour exists and is not valid."""
    multi.sh("""sysctl -w net.ipv4.fib_multipath_use_neigh=1
                ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1""")
    multi.neigh(eth1=f"10.0.1.1 {state}", eth2="10.0.2.1 reachable")
    assert {path_of(multi, "192.168.0.3", f"8.8.{number}.1", 7000, 9) for number in range(64)} == devices


def test_a_bound_source_prefers_the_path_it_belongs_to(multi):
    """Observed-linux 4.1: 32 of 32 each way."""
    multi.sh("ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1")
    for src, way in (("10.0.1.2", "eth1 via 10.0.1.1"), ("10.0.2.2", "eth2 via 10.0.2.1")):
        assert {multi.send(f"8.8.{number}.1", src=src) for number in range(32)} == {way}
    assert len({multi.send(f"8.8.{number}.1", src="192.168.0.1") for number in range(32)}) == 2
