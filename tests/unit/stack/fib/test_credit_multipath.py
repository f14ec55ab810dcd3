"""The credit scheduler of 2.4 with the patch's suspect paths: route-patches 4 and 11 (28 to 32), C10."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

A, B = "wan0 via 10.0.1.1", "wan1 via 10.0.2.1"


def multipath(box, a: int = 1, b: int = 1):
    box.sh(f"ip route add default nexthop via 10.0.1.1 dev wan0 weight {a} nexthop via 10.0.2.1 dev wan1 weight {b}")
    return box


def test_equal_weights_strictly_alternate(isps):
    """Case 28. Ten new flows at weights 1:1."""
    multipath(isps)
    isps.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    assert all(one != other for one, other in pairwise(isps.flows(10)))


def test_each_round_gives_every_path_its_weight(isps):
    """Case 28. Weights 2:3: every five picks are two and three, whatever the clock says."""
    multipath(isps, 2, 3)
    isps.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    for round_ in range(4):
        picks = []
        for number in range(5):
            isps.now += 37_000_000
            picks.append(isps.send(f"198.18.{round_}.{number + 1}"))
        assert Counter(picks) == {A: 2, B: 3}


def test_a_cold_start_uses_the_first_path_alone_until_the_second_is_pinged(isps):
    """Case 29. No pings: 50 flows all by path 0; one ping to the second gateway: they balance."""
    multipath(isps)
    isps.neigh(wan0="10.0.1.1 none", wan1="10.0.2.1 none")
    assert isps.send("198.18.9.1") == A
    isps.neigh(wan0="10.0.1.1 reachable")
    assert set(isps.flows(50)) == {A}
    isps.neigh(wan1="10.0.2.1 reachable")
    assert Counter(isps.flows(50)) == {A: 25, B: 25}


def test_a_path_without_arp_takes_everything_until_the_other_is_known(isps):
    """Case 30. NOARP plus unknown ARP path: all NOARP; the ARP path valid: balanced by weight."""
    isps.device("tun0", "10.0.9.1/24", kind="tun")
    isps.sh("ip route add default nexthop via 10.0.1.1 dev wan0 nexthop dev tun0")
    isps.neigh(wan0="10.0.1.1 none")
    assert set(isps.flows(10)) == {"tun0"}
    isps.neigh(wan0="10.0.1.1 reachable")
    assert Counter(isps.flows(10)) == {A: 5, "tun0": 5}


def test_a_suspect_second_path_sends_all_flows_to_the_first(isps):
    """Case 31. Path 1 failed with credit left: all flows to path 0."""
    multipath(isps)
    isps.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    assert isps.send("198.18.9.1") == A
    isps.neigh(wan1="10.0.2.1 failed")
    assert set(isps.flows(10)) == {A}


@pytest.mark.parametrize(("quirk", "way"), [(True, A), (False, B)])
def test_leftover_credit_of_a_suspect_first_path_is_a_profile_field(make_box, quirk, way):
    """Case 31. Path 0 failed with credit left and path 1 spent: with the patch's bug path 0 takes all, else path 1."""
    box = multipath(make_box(leftover_credit=quirk).two_isps(), 2, 1)
    box.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    assert box.send("198.18.9.1") == A
    box.neigh(wan0="10.0.1.1 failed")
    assert box.send("198.18.9.2") == B
    assert [path.credit for path in box.table()[0].nexthops] == [1, 0]
    assert set(box.flows(6)) == {way}


def test_all_paths_unknown_is_no_routing_error(isps):
    """Case 32. All paths X: the first path that is not dead is un-suspected and used."""
    multipath(isps)
    isps.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 failed")
    assert isps.send() == A
    assert isps.paths() == ["10.0.1.1 wan0, 10.0.2.1 wan1 suspect"]


def test_a_dead_path_gives_its_credit_back_at_once(isps):
    """Route-patches 4: the unspent credit of a path that dies leaves the total, and the others refill."""
    multipath(isps, 1, 1)
    isps.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    assert isps.send("198.18.9.1") == A
    isps.sh("ip link set wan1 down")
    assert set(isps.flows(5)) == {A}


def test_the_stock_kernel_looks_at_dead_alone(make_box):
    """Unpatched 2.4 balances whatever the neighbours say."""
    box = multipath(make_box("linux-2.4").two_isps())
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    assert Counter(box.flows(10)) == {A: 5, B: 5}


@pytest.mark.parametrize(("kernel", "by_path"), [("linux-2.4-routes", B), ("linux-2.4", B)])
def test_a_bound_lookup_takes_the_path_of_its_device_and_spends_nothing(make_box, kernel, by_path):
    """Route-patches 4: with oif the credits are only compared."""
    box = multipath(make_box(kernel).two_isps())
    box.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 reachable")
    assert [box.send(oif="wan1") for _ in range(3)] == [by_path] * 3
    assert [path.credit for path in box.table()[0].nexthops] == [0, 0]
