"""Who wins among alternative routes: seed section 2, "alternative routes"; route-patches 3 and 11 (1 to 6, 17 to 27).

R reachable, V valid but unconfirmed (stale), X unknown or failed; A goes by wan0, B by wan1.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

A, B = "wan0 via 10.0.1.1", "wan1 via 10.0.2.1"
STATES = {"R": "reachable", "V": "stale", "X": "failed"}


@pytest.fixture
def pair(isps):
    """Return the two-ISP box with A and B as alternative default routes."""
    isps.sh("""ip route append default via 10.0.1.1 dev wan0
               ip route append default via 10.0.2.1 dev wan1""")
    return isps


def set_states(box, a: str, b: str) -> None:
    box.neigh(wan0=f"10.0.1.1 {STATES[a]}")
    box.neigh(wan1=f"10.0.2.1 {STATES[b]}")


# Tables and rules


def test_add_refuses_an_alternative_and_append_makes_one(isps):
    """Case 1. `add` of a second default of the same metric: EEXIST; `append` succeeds; appended again: EEXIST."""
    isps.sh("ip route add default via 10.0.1.1 dev wan0")
    assert isps.refused("ip route add default via 10.0.2.1 dev wan1") == "RTNETLINK answers: File exists"
    isps.sh("ip route append default via 10.0.2.1 dev wan1")
    assert isps.refused("ip route append default via 10.0.2.1 dev wan1") == "RTNETLINK answers: File exists"
    assert isps.paths() == ["10.0.1.1 wan0", "10.0.2.1 wan1"]


def test_prepend_and_the_old_route_command_go_first_and_replace_takes_the_first(isps):
    """Case 2. append A, append B, prepend C: C A B; then SIOCADDRT D: D C A B; then replace E: E C A B."""
    isps.sh("""ip route append default via 10.0.1.10 dev wan0
               ip route append default via 10.0.1.11 dev wan0
               ip route prepend default via 10.0.1.12 dev wan0""")
    assert [path.split(".")[3] for path in isps.paths()] == ["12 wan0", "10 wan0", "11 wan0"]
    isps.sh("route add default gw 10.0.1.13")
    assert [path.split(".")[3] for path in isps.paths()] == ["13 wan0", "12 wan0", "10 wan0", "11 wan0"]
    isps.sh("ip route replace default via 10.0.1.14 dev wan0")
    assert [path.split(".")[3] for path in isps.paths()] == ["14 wan0", "12 wan0", "10 wan0", "11 wan0"]


def test_another_metric_is_no_alternative(isps):
    """Case 3. Given A metric 0 with a failed gateway, B metric 1 is never chosen; A's device down: B is."""
    isps.sh("""ip route add default via 10.0.1.1 dev wan0 proto static
               ip route add default via 10.0.2.1 dev wan1 metric 1""")
    set_states(isps, "X", "R")
    assert set(isps.flows(10)) == {A}
    isps.sh("ip link set wan0 down")
    assert isps.send() == B


def test_a_packet_without_source_does_not_match_a_source_rule(isps):
    """Case 4."""
    isps.sh("""ip route add default via 10.0.1.1 dev wan0 table 20
               ip rule add from 10.0.1.0/24 table 20 prio 20""")
    assert isps.send() == "ENETUNREACH"
    assert isps.send(src="10.0.1.2") == A


def test_dead_falls_to_the_shorter_prefix_and_suspect_does_not(isps):
    """Case 5. Given 172.16.0.0/24 all dead and 172.16.0.0/12 alive: the /12; suspect instead of dead: the /24."""
    isps.sh("""ip route add 172.16.0.0/24 via 10.0.1.1 dev wan0 proto static
               ip route add 172.16.0.0/12 via 10.0.2.1 dev wan1""")
    set_states(isps, "X", "R")
    assert isps.send("172.16.0.5") == A
    isps.sh("ip link set wan0 down")
    assert isps.send("172.16.0.5") == B


def test_equal_multipath_routes_share_credits_across_tables_and_memories_are_their_own(isps):
    """Case 6. Spending a credit in table 20 shows in table 200; the choice remembered in one does not."""
    for table in (20, 200):
        isps.sh(f"""ip route add default table {table} nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1
                    ip route append 172.16.0.0/12 table {table} via 10.0.1.1 dev wan0
                    ip route append 172.16.0.0/12 table {table} via 10.0.2.1 dev wan1""")
    isps.sh("ip rule add table 20 prio 20")
    set_states(isps, "R", "R")
    isps.send("8.8.8.8")
    isps.send("172.16.0.1")
    spent = {table: isps.table(table) for table in (20, 200)}
    for routes in spent.values():
        assert sorted(path.credit for path in routes[-1].nexthops) == [0, 1]
    assert [route.memory for route in spent[20][:-1]] == [0, -1]
    assert [route.memory for route in spent[200][:-1]] == [-1, -1]


# Selection


TRUTH = [
    ("R", "R", "AAA"), ("R", "V", "AAA"), ("R", "X", "AAA"),
    ("V", "R", "ABA"), ("V", "V", "ABA"), ("V", "X", "AAA"),
    ("X", "R", "BBB"), ("X", "V", "BBB"), ("X", "X", "A**"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "want"), TRUTH, ids=[f"{a}{b}" for a, b, _ in TRUTH])
@pytest.mark.parametrize("kernel", ["linux-2.4-routes", "linux-2.4"])
def test_the_truth_table_of_two_routes(make_box, kernel, a, b, want):
    """Case 17. Three slow lookups from no memory; X X sticks to the last used (patched) or rotates (unpatched)."""
    box = make_box(kernel).two_isps()
    box.sh("""ip route append default via 10.0.1.1 dev wan0
              ip route append default via 10.0.2.1 dev wan1""")
    set_states(box, a, b)
    got = "".join("A" if way == A else "B" for way in box.flows(3))
    assert got == (want if want != "A**" else ("AAA" if kernel == "linux-2.4-routes" else "ABA"))


@pytest.mark.parametrize(
    ("a", "b", "last", "want", "after"),
    [
        ("R", "X", 1, "A", 0), ("R", "V", 1, "A", 0), ("V", "R", 1, "A", 0), ("V", "R", 0, "B", 1),
        ("V", "V", 1, "A", 0), ("V", "X", 1, "A", 0), ("X", "R", 0, "B", 1), ("X", "X", 0, "A", 0),
        ("X", "X", 1, "B", 1),
    ],
)  # fmt: skip
def test_the_truth_table_with_a_memory(pair, a, b, last, want, after):
    """Case 17, the columns "last 0" and "last 1": the memory is brought about by a lookup, then the states are set."""
    set_states(pair, *("RX" if last == 0 else "XR"))
    pair.send("198.18.9.9")
    assert pair.table()[0].memory == last
    set_states(pair, a, b)
    assert pair.send() == {"A": A, "B": B}[want]
    assert pair.table()[0].memory == after


def test_a_failed_gateway_is_not_left_for_an_unknown_one(pair):
    """Case 18. A failed, B without entry, no pings: 100 new flows all go to A; one ping to B: the next is B's."""
    set_states(pair, "R", "X")
    pair.send("198.18.9.9")
    pair.neigh(wan0="10.0.1.1 failed")
    pair.neigh(wan1="10.0.2.1 none")
    assert set(pair.flows(100)) == {A}
    pair.neigh(wan1="10.0.2.1 reachable")
    assert pair.send() == B


def test_two_permanent_gateways_take_turns(pair):
    """Case 19. PERMANENT is valid, never REACHABLE."""
    pair.neigh(wan0="10.0.1.1 permanent")
    pair.neigh(wan1="10.0.2.1 permanent")
    assert pair.flows(4) == [A, B, A, B]


def test_a_stale_first_gateway_shares_until_it_answers(pair):
    """Case 20. A stale, B valid: ten new destinations alternate; A's ARP reply arrives: all to A."""
    set_states(pair, "V", "V")
    assert all(one != other for one, other in pairwise(pair.flows(10)))
    pair.neigh(wan0="10.0.1.1 reachable")
    assert set(pair.flows(10)) == {A}


def test_a_gateway_that_asked_for_us_gets_the_next_flow_and_the_other_the_one_after(pair):
    """Case 21. A recovered by its own ARP request (STALE), last = B and B reachable: A, then B."""
    set_states(pair, "X", "R")
    assert pair.send() == B
    pair.neigh(wan0="10.0.1.1 stale")
    assert pair.flows(2) == [A, B]


def test_positions_count_routes_whose_paths_are_all_dead(isps):
    """Case 22. Of three routes the first all dead: the memory holds 1 or 2."""
    isps.device("wan2", "10.0.3.2/24")
    for number in range(3):
        isps.sh(f"ip route append default via 10.0.{number + 1}.1 dev wan{number} proto static")
    isps.sh("ip link set wan0 down")
    isps.neigh(wan1="10.0.2.1 stale")
    isps.neigh(wan2="10.0.3.1 stale")
    memories = []
    for number in range(4):
        isps.send(f"198.18.0.{number + 1}")
        memories.append(isps.table()[0].memory)
    assert memories == [1, 2, 1, 2]


def test_a_bound_lookup_sees_its_own_device_alone(pair):
    """Case 23. With oif wan1 only wan1's routes count, and the suspect marks of wan0's paths are not written anew."""
    set_states(pair, "X", "R")
    pair.send("198.18.9.9")
    assert pair.paths() == ["10.0.1.1 wan0 suspect", "10.0.2.1 wan1"]
    pair.neigh(wan0="10.0.1.1 reachable")
    assert pair.send(oif="wan1") == B
    assert pair.paths() == ["10.0.1.1 wan0 suspect", "10.0.2.1 wan1"]
    assert pair.send() == A
    assert pair.paths() == ["10.0.1.1 wan0", "10.0.2.1 wan1"]


@pytest.mark.parametrize(("state", "way"), [("failed", "tun0"), ("reachable", A)])
def test_a_device_without_arp_is_alive_at_once(isps, state, way):
    """Case 24. A NOARP tun as second alternative: taken when the first gateway is unknown, not when it is reachable."""
    isps.device("tun0", "10.0.9.1/24", kind="tun")
    isps.sh("""ip route append default via 10.0.1.1 dev wan0
               ip route append default dev tun0 scope global""")
    isps.neigh(wan0=f"10.0.1.1 {state}")
    assert isps.send() == way


def test_direct_alternatives_share_one_memory_among_all_hosts(make_box):
    """Case 25. Host Y valid only on eth1; unknown Z, really on eth0, is tried on eth1 and stuck until it asks us."""
    box = make_box()
    box.device("eth0", "10.5.0.1/24")
    box.device("eth1", "10.5.0.2/24")
    box.neigh(eth1="10.5.0.50 stale")
    assert box.send("10.5.0.50") == "eth1"
    assert box.send("10.5.0.60") == "eth1"
    assert box.send("10.5.0.60") == "eth1"
    box.neigh(eth0="10.5.0.60 stale")
    assert box.send("10.5.0.60") == "eth0"


@pytest.mark.parametrize(("kernel", "forwarded"), [("linux-2.4-routes", [B, B]), ("linux-2.4", [A, A])])
def test_forwarding_chooses_like_output_when_patched(make_box, kernel, forwarded):
    """Case 26. Unpatched forwarding always takes the first."""
    box = make_box(kernel).two_isps()
    box.sh("""ip route append default via 10.0.1.1 dev wan0
              ip route append default via 10.0.2.1 dev wan1""")
    set_states(box, "X", "R")
    assert box.send() == B
    assert [box.forward("8.8.8.8"), box.forward("8.8.4.4")] == forwarded


def test_a_tos_entry_is_for_its_tos_alone(isps):
    """Case 27. A tos 0x10 entry beside a tos 0 entry: a packet of tos 0x08 never gets the first."""
    isps.sh("""ip route add default via 10.0.1.1 dev wan0 tos 0x10
               ip route add default via 10.0.2.1 dev wan1""")
    set_states(isps, "R", "X")
    assert {isps.send(f"198.18.0.{number}", tos=0x08) for number in range(1, 9)} == {B}
    assert isps.send(tos=0x10) == A


def test_the_third_route_of_the_mixed_example_is_no_alternative_of_the_others(isps):
    """C14. `ip` gives `dev wan1` scope link: it is used only when the routes by gateways are gone or dead."""
    isps.sh("""ip route append 172.16.0.0/12 via 10.0.1.1 dev wan0 proto static
               ip route append 172.16.0.0/12 dev wan1""")
    isps.neigh(wan0="10.0.1.1 failed")
    assert isps.send("172.16.0.9") == A
    isps.sh("ip link set wan0 down")
    assert isps.send("172.16.0.9") == "wan1"


def test_the_gateway_key_selects_among_alternatives_even_unbound(pair):
    """C9. An unbound gw key chooses among unipath alternatives; one that nobody has: network unreachable."""
    set_states(pair, "R", "R")
    assert pair.send(gw="10.0.2.1") == B
    assert pair.send(gw="10.0.7.7") == "ENETUNREACH"


def test_an_input_lookup_with_a_local_source_key_follows_that_source(isps):
    """Seed section 5, the lsrc key: rules see the masquerade address and loopback, as if we had sent the packet."""
    isps.sh("""ip route add default via 10.0.1.1 dev wan0
               ip route add default via 10.0.2.1 dev wan1 table 20
               ip rule add from 10.0.2.2 table 20 prio 20""")
    assert isps.forward() == A
    assert isps.forward(lsrc="10.0.2.2") == B
