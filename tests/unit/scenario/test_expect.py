"""Every kind of expectation over literal values: holds, fails, and the sentence it says."""

import pytest

from netsim.scenario.expect import (
    Answer,
    FlowWindow,
    NeighStep,
    NewConnection,
    judge_capture,
    judge_command,
    judge_drops,
    judge_failover,
    judge_flow,
    judge_neigh,
    judge_repeatable,
    judge_share,
)
from netsim.scenario.expectations import KINDS, kind_of
from netsim.scenario.subset import difference
from netsim.scenario.values import parse_bound, parse_share_bound, parse_window
from netsim.units import ms, sec


def make(**keys):
    keys = {key.rstrip("_"): value for key, value in {"name": "n", **keys}.items()}
    return KINDS[kind_of(keys)].model_validate(keys)


@pytest.mark.parametrize(
    ("text", "unit", "inside", "outside"),
    [
        ("<= 54s", "duration", (0, sec(54)), (sec(54) + 1,)),
        ("8s..53s", "duration", (sec(8), sec(53)), (sec(8) - 1, sec(53) + 1)),
        (">= 99%", "share", (0.99, 1.0), (0.9899,)), ("0", "count", (0,), (1,)), (">= 10", "count", (10, 11), (9,)),
        ("< 10", "count", (9,), (10,)), ("> 1s", "duration", (sec(1) + 1,), (sec(1),)), ("== 3", "count", (3,), (2, 4)),
        ("2..4", "count", (2, 4), (1, 5)), ("100%", "share", (1.0,), (0.999,)),
        ("0..5s", "duration", (0,), (sec(5) + 1,)),
    ],
)  # fmt: skip
def test_bounds_include_their_ends(text, unit, inside, outside):
    bound = parse_bound(text, unit)
    assert all(bound.holds(value) for value in inside)
    assert not any(bound.holds(value) for value in outside)


@pytest.mark.parametrize("text", ["54", "fast", "3s..", "54s..3s", ">= ", "-1", "1.5", "99", "=> 3"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(ValueError, match="is not a bound"):
        parse_bound(text, "duration", "share")


def test_tolerances_are_percentage_points_and_include_their_ends():
    bound = parse_share_bound("50% +- 10%")
    assert bound.holds(0.4)
    assert bound.holds(0.6)
    assert not bound.holds(0.39)
    assert parse_share_bound(">= 40%").holds(0.4)


def test_windows_hold_their_begin_and_not_their_end():
    window = parse_window("10s..60s").after(sec(5))
    assert window.holds(sec(15))
    assert not window.holds(sec(65))


def test_share():
    expect = make(during="10s..60s", share={"isp1": "50% +- 10%", "isp2": "50% +- 10%"})
    good = judge_share(expect, {"isp1": 450, "isp2": 550})
    assert (good.passed, good.why) == (True, "isp1 45%, isp2 55% of 1000 bytes")
    bad = judge_share(expect, {"isp1": 300, "isp2": 700})
    assert (bad.passed, bad.measured["share"]) == (False, {"isp1": 0.3, "isp2": 0.7})
    assert bad.why == "isp1 30%, isp2 70% of 1000 bytes; wanted isp1 50% +- 10%, isp2 50% +- 10%"
    assert judge_share(expect, {}).why == "nothing was sent towards any gateway in the window"


STEPS = [
    NeighStep(0, "INCOMPLETE"),
    NeighStep(ms(5), "REACHABLE"),
    NeighStep(sec(62), "STALE"),
    NeighStep(sec(70), "FAILED"),
]


@pytest.mark.parametrize(
    ("keys", "start", "passed", "why"),
    [
        ({"state": "FAILED", "within": "3s..54s", "after": "dies"}, sec(60), True,
        "10.0.1.1 dev wan0 on r becomes FAILED 10s after dies"),
        ({"state": "FAILED", "within": "3s..9s"}, 0, False,
        "10.0.1.1 dev wan0 on r becomes FAILED at 70s, wanted 3s..9s"),
        ({"state": "PROBE", "within": "<= 9s"}, 0, False,
        "10.0.1.1 dev wan0 on r never becomes PROBE; it ends as FAILED"),
        ({"state": "REACHABLE", "within": "<= 9s"}, sec(1), False,
        "10.0.1.1 dev wan0 on r never becomes REACHABLE; it ends as FAILED"),
        ({"state": "STALE", "at": "5s"}, sec(60), True, "10.0.1.1 dev wan0 on r is STALE at 65s"),
        ({"state": "STALE", "at": "80s"}, 0, False, "10.0.1.1 dev wan0 on r is FAILED at 80s, not STALE"),
    ],
)  # fmt: skip
def test_neigh(keys, start, passed, why):
    verdict = judge_neigh(make(neigh="r 10.0.1.1 dev wan0", **keys), STEPS, start=start)
    assert (verdict.passed, verdict.why) == (passed, why)


MADE = [
    NewConnection(sec(t), gateway)
    for t, gateway in [(59, "isp1"), (61, "isp2"), (63, "isp1"), (70, "isp2"), (80, "isp2"), (151, "isp1")]
]


@pytest.mark.parametrize(
    ("until", "within", "passed", "why"),
    [
        (150, "3s..54s", True, "all 2 new connections of web leave towards isp2 from 10s after dies on"),
        (150, "<= 9s", False, "all 2 new connections of web leave towards isp2 from 10s after dies on, wanted <= 9s"),
        (200, "3s..54s", False, "the last new connection of web, at 151s, still leaves towards isp1"),
        (61, "3s..54s", False, "web made no connection between 60s and 61s"),
    ],
)
def test_failover_is_the_instant_from_which_all_new_connections_take_the_other_gateway(until, within, passed, why):
    expect = make(failover={"flow": "web", "from": "isp1", "to": "isp2"}, within=within, after="dies")
    verdict = judge_failover(expect, MADE, start=sec(60), until=sec(until))
    assert (verdict.passed, verdict.why) == (passed, why)
    assert verdict.measured["at_s"] == (10.0 if "10s" in why else None)


@pytest.mark.parametrize(
    ("keys", "window", "passed", "why"),
    [
        ({"delivered": ">= 99%"}, {"sent": 100, "delivered": 99}, True, "web: 99 of 100 delivered (99%)"),
        ({"delivered": ">= 99%"}, {"sent": 100, "delivered": 90}, False,
        "web: 90 of 100 delivered (90%), wanted >= 99%"),
        ({"delivered": ">= 99%"}, {"sent": 101, "delivered": 100, "pending": 1}, True,
        "web: 100 of 100 delivered (100%)"),
        ({"delivered": ">= 99%"}, {}, False, "web: 0 of 0 delivered, wanted >= 99%"),
        ({"lost": 0}, {"sent": 5, "delivered": 5}, True, "web: 0 of 5 lost (0%)"),
        ({"lost": "<= 1%"}, {"sent": 5, "delivered": 3}, False, "web: 2 of 5 lost (40%), wanted <= 1%"),
        ({"longest_gap": "<= 54s"}, {"longest_gap": sec(60)}, False, "web: longest gap 60s, wanted <= 54s"),
        ({"latency": "<= 80ms"}, {"latency_p95": ms(79)}, True, "web: 95% within 79ms"),
        ({"latency": "<= 80ms"}, {}, False, "web: no delivery to measure, wanted <= 80ms"),
        ({"survives": True}, {"connections": 1}, True, "web: the connection survives"),
        ({"survives": True}, {"connections": 1, "broken": "reset at 5s"}, False,
        "web: the connection does not survive: reset at 5s"),
        ({"survives": False}, {"connections": 1, "broken": "reset at 5s"}, True,
        "web: the connection does not survive: reset at 5s"),
        ({"survives": True}, {}, False, "web: the connection does not survive: no connection was open"),
    ],
)  # fmt: skip
def test_flow(keys, window, passed, why):
    verdict = judge_flow(make(flow="web", **keys), FlowWindow(**window))
    assert (verdict.passed, verdict.why) == (passed, why)


def test_capture():
    expect = make(capture="r:wan0", filter="src net 10.0.2.0/24", count=0)
    assert judge_capture(expect, 0).why == '0 packets at r:wan0 match "src net 10.0.2.0/24"'
    bad = judge_capture(expect, 2, "IP 10.0.2.2.1 > 1.1.1.1.80: UDP, length 4")
    assert not bad.passed
    assert bad.why.endswith("wanted 0; the first: IP 10.0.2.2.1 > 1.1.1.1.80: UDP, length 4")


@pytest.mark.parametrize(
    ("keys", "answer", "why"),
    [
        ({"shows": "via 10.0.1.1"}, (0, "default via 10.0.1.1 dev wan0\n", ""), "r: ip route: as expected"),
        ({"shows": ["via", "dev"]}, (0, "via\n", ""), 'r: ip route: does not show "dev"; it printed:\n    via'),
        ({"not_shows": "dead"}, (0, "dead\n", ""), 'r: ip route: shows "dead"; it printed:\n    dead'),
        ({"matches": "^default .* wan[01]$"}, (0, "x\ndefault via y dev wan1\n", ""), "r: ip route: as expected"),
        ({"matches": "z"}, (0, "", ""), "r: ip route: nothing matches z; it printed nothing"),
        ({"json": [{"dst": "default"}]}, (0, '[{"dst": "default", "dev": "wan0"}]', ""), "r: ip route: as expected"),
        ({"json": [{"dst": "x"}]}, (0, '[{"dst": "y"}]', ""),
        "r: ip route: [0].dst is 'y', not 'x'; it printed:\n    [{\"dst\": \"y\"}]"),
        ({"json": []}, (0, "no", ""), "r: ip route: the output is not JSON; it printed:\n    no"),
        ({"rc": 2}, (2, "", ""), "r: ip route: as expected"),
        ({"shows": "a"}, (1, "a", ""), "r: ip route: exit status 1, not 0; it printed:\n    a"),
        ({"stderr": "File exists"}, (2, "", "RTNETLINK answers: File exists\n"), "r: ip route: as expected"),
        ({"stderr": "x"}, (2, "", "y"), 'r: ip route: stderr does not say "x"; it printed:\n    y'),
        ({}, (0, "", ""), "r: ip route: as expected"),
    ],
)  # fmt: skip
def test_command(keys, answer, why):
    verdict = judge_command(make(node="r", at="1s", run="ip route", **keys), Answer(*answer))
    assert (verdict.passed, verdict.why) == (why.endswith("as expected"), why)


def test_drops_and_repeatable():
    good = judge_drops(make(drops={"NEIGH_FAILED": "<= 5", "LINK_LOSS": 0}), {"NEIGH_FAILED": 3})
    assert (good.passed, good.why) == (True, "NEIGH_FAILED 3, LINK_LOSS 0")
    assert judge_drops(make(drops={"NEIGH_FAILED": "<= 5"}), {"NEIGH_FAILED": 6}).why == "NEIGH_FAILED 6, wanted <= 5"
    assert judge_repeatable(make(repeatable=True), "ab", "ab").passed
    assert judge_repeatable(make(repeatable=True), "ab", "cd").why == "the digests differ: ab, then cd"


@pytest.mark.parametrize(
    ("wanted", "given", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""), ({"a": None}, {"b": 2}, ""), ({"a": None}, {"a": 2}, "a is there: 2"),
        ({"a": "*"}, {"a": [1]}, ""), ([2], [1, 2, 3], ""),
        ([3, 1], [1, 2, 3], "the output has no item like number 1 in that place: 1"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b is 2, not 1"), ({"a": 1}, [], "the output is a list, not an object"),
        ([1], {}, "the output is an object, not a list"), (True, 1, "the output is 1, not True"),
        ({"z": 1}, {}, "z is missing"),
    ],
)  # fmt: skip
def test_a_json_value_is_part_of_another(wanted, given, found):
    assert difference(wanted, given) == found
