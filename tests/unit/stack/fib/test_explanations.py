"""Every decision can be told: RouteLookup records, and `ip route get` with a reason."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.requests import GetRoute
from netsim.trace.records import RouteLookup


@pytest.fixture
def told(make_box):
    """Return a function: make a box with two alternative defaults and given gateway states, and its records."""

    def make(kernel: str, wan0: str, wan1: str, multipath: bool = False):
        box = make_box(kernel, wants={RouteLookup}).two_isps()
        if multipath:
            box.sh("ip route add default nexthop via 10.0.1.1 dev wan0 weight 2 nexthop via 10.0.2.1 dev wan1")
        else:
            box.sh("""ip route append default via 10.0.1.1 dev wan0
                      ip route append default via 10.0.2.1 dev wan1""")
        box.neigh(wan0=f"10.0.1.1 {wan0}", wan1=f"10.0.2.1 {wan1}")
        box.net.outbox.records.clear()
        return box

    return make


def last_record(box) -> RouteLookup:
    return [record for record in box.net.outbox.records if isinstance(record, RouteLookup)][-1]


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4", "linux-2.4-routes", "linux-2.2-routes"])
def test_a_record_names_the_candidates_their_neighbours_and_the_winner(told, kernel):
    """Given A failed and B reachable: both were judged, B is alive and remembered."""
    box = told(kernel, "failed", "reachable")
    assert box.send() == "wan1 via 10.0.2.1"
    record = last_record(box)
    assert (record.kind, record.dst, record.rule, record.table) == ("output", "8.8.8.8", 32766, "main")
    assert (record.gateway, record.dev, record.error) == ("10.0.2.1", "wan1", "")
    assert [(each.gateway, each.neigh) for each in record.candidates] == [
        ("10.0.1.1", "FAILED"), ("10.0.2.1", "REACHABLE"),
    ]  # fmt: skip
    assert record.candidates[1].verdict == "alive"
    assert record.candidates[0].verdict != "alive"
    assert (record.memory_before, record.memory_after) == (-1, 1)
    assert record.why


def test_a_record_of_a_multipath_choice_shows_weights_and_credits(told):
    box = told("linux-2.4-routes", "reachable", "failed", multipath=True)
    box.send()
    record = last_record(box)
    assert [each.weight for each in record.candidates[:2]] == [2, 1]
    assert {each.flags for each in record.candidates if each.gateway == "10.0.2.1"} == {"suspect"}
    assert record.gateway == "10.0.1.1"
    assert record.why


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4-routes"])
def test_a_record_of_a_failure_says_which_rule_ended_it(told, kernel):
    box = told(kernel, "reachable", "reachable")
    box.sh("ip rule add prohibit to 9.0.0.0/8 prio 77")
    box.send("9.9.9.9")
    record = last_record(box)
    assert record.rule == 77
    assert record.gateway == ""
    assert record.error == ("EACCES" if kernel == "linux-6" else "ENETUNREACH")
    assert "77" in record.why


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4-routes"])
def test_a_remembered_answer_is_no_new_decision(told, kernel):
    """Input answers come from the memo (6) or the route cache (2.4): one record, however many packets."""
    box = told(kernel, "reachable", "reachable")
    box.cached = True
    for _ in range(5):
        box.forward()
    inputs = [each for each in box.net.outbox.records if isinstance(each, RouteLookup) and each.kind == "input"]
    assert len(inputs) == 1


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4-routes"])
def test_a_box_that_nobody_watches_tells_nothing_and_decides_alike(make_box, told, kernel):
    watched = told(kernel, "stale", "stale")
    quiet = make_box(kernel).two_isps()
    quiet.sh("""ip route append default via 10.0.1.1 dev wan0
                ip route append default via 10.0.2.1 dev wan1""")
    quiet.neigh(wan0="10.0.1.1 stale", wan1="10.0.2.1 stale")
    assert quiet.flows(6) == watched.flows(6)
    assert quiet.net.outbox.records == []


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4-routes"])
def test_route_get_gives_its_reasons_when_asked(told, kernel):
    """GetRoute(why=True) is a real lookup with a sentence for each fact."""
    box = told(kernel, "failed", "reachable")
    answer = box.net.request(GetRoute(dst=parse_ip("8.8.8.8"), why=True), now=box.now)
    lines = answer.why.splitlines()
    assert lines[0].startswith("rule 32766, table main, default: 2 entries")
    assert "0: via 10.0.1.1 dev wan0 neighbour FAILED" in answer.why
    assert "1: via 10.0.2.1 dev wan1 neighbour REACHABLE" in answer.why
    assert "last choice -1 -> 1" in answer.why
    assert box.net.request(GetRoute(dst=parse_ip("8.8.4.4")), now=box.now).why == ""
