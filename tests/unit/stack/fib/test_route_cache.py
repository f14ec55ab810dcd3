"""The route cache of 2.2 and 2.4: what it keeps, and when it forgets. Route-patches 4, 11 (33 to 36), C4 to C6."""

from __future__ import annotations

import pytest

A, B = "wan0 via 10.0.1.1", "wan1 via 10.0.2.1"


@pytest.fixture
def cached(isps):
    """Return a box with a 1:1 multipath default whose cache answers, a minute after set-up."""
    isps.sh("ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1")
    isps.run_to(60)
    isps.neigh(wan0="10.0.1.1 permanent", wan1="10.0.2.1 permanent")
    isps.cached = True
    return isps


def test_a_second_connection_of_two_hosts_takes_the_same_path(cached):
    """Case 33. There are no ports in the key; after the flush it is the next path's turn."""
    first = cached.forward()
    assert [cached.forward() for _ in range(5)] == [first] * 5
    cached.sh("ip route flush cache")
    assert cached.forward() == first
    cached.run_to(62)
    assert cached.forward() == ({A, B} - {first}).pop()


def test_a_route_change_acts_after_two_seconds(cached):
    """Case 34. Given a host route added at 60 s, a cached flow is unchanged until 62 s."""
    first = cached.send()
    other = {A: "via 10.0.2.1 dev wan1", B: "via 10.0.1.1 dev wan0"}[first]
    cached.sh(f"ip route add 8.8.8.8 {other}")
    cached.run_to(61.99)
    assert cached.send() == first
    cached.run_to(62)
    assert cached.send() != first


def test_changes_from_a_process_put_the_flush_off_for_three_seconds_at_most(cached):
    """Case 34. Process-context changes at 0, 1, 2, 3 s: the flush runs exactly at 3 s."""
    first = cached.send()
    other = {A: "via 10.0.2.1 dev wan1", B: "via 10.0.1.1 dev wan0"}[first]
    cached.sh(f"ip route add 8.8.8.8 {other}")
    for second in (1, 2):
        cached.run_to(60 + second)
        assert cached.send() == first
        cached.sh(f"ip route add 10.8.{second}.0/24 via 10.0.1.1 dev wan0")
    cached.run_to(62.99)
    assert cached.send() == first
    cached.run_to(63)
    cached.sh("ip route add 10.8.3.0/24 via 10.0.1.1 dev wan0")
    assert cached.send() != first


def test_a_device_that_goes_down_empties_the_cache_in_the_same_instant(cached):
    """Case 36."""
    first = cached.send()
    cached.sh(f"ip link set {first.split()[0]} down")
    assert cached.send() == ({A, B} - {first}).pop()


def test_neighbour_changes_flush_nothing(cached):
    """Route-patches 4: a busy flow keeps its path though its gateway failed."""
    first = cached.send()
    dev, _, gateway = first.split()
    cached.neigh(**{dev: f"{gateway} failed"})
    assert [cached.send() for _ in range(5)] == [first] * 5


def test_rule_changes_flush_nothing(cached):
    """C4: only a flush by hand makes a new rule felt by cached flows."""
    cached.sh("ip route add default via 10.0.1.9 dev wan0 table 20")
    cached.run_to(70)
    first = cached.send()
    cached.sh("ip rule add table 20 prio 20")
    cached.run_to(80)
    assert cached.send() == first
    cached.sh("ip route flush cache")
    cached.run_to(82)
    assert cached.send() == "wan0 via 10.0.1.9"


def test_an_idle_entry_goes_within_the_sweeps_and_a_busy_one_with_the_secret_at_the_latest(cached):
    """Case 35 and route-patches 4: gc_timeout 300 s idle; the whole cache goes every secret_interval of 600 s."""
    first = cached.forward()
    changed_at = None
    for second in range(61, 1400):
        cached.run_to(second)
        if cached.forward() != first:
            changed_at = second
            break
    assert changed_at is not None
    assert changed_at > 300


def test_failed_input_lookups_are_cached_and_output_ones_are_not(isps):
    """C6: a stored error answers until the flush; a local sender is looked up each time."""
    isps.run_to(60)
    isps.cached = True
    assert isps.forward("8.8.8.8") == "ENETUNREACH"
    assert isps.send("8.8.8.8") == "ENETUNREACH"
    isps.sh("ip route add default via 10.0.1.1 dev wan0")
    assert isps.send("8.8.8.8") == A
    assert isps.forward("8.8.8.8") == "ENETUNREACH"
    isps.run_to(62)
    assert isps.forward("8.8.8.8") == A
