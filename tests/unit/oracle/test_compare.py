"""Two runs held against each other, as records made by hand."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from netsim.oracle.compare import Run, compare
from netsim.scenario.load import from_dict
from netsim.scenario.result import Result, Verdict
from netsim.trace.records import CommandRun, FlowDelivered, FlowSent, FrameSent, NatMapped, NeighChange
from netsim.units import ms, sec
from netsim.wire.frame import Frame

SCENARIO = from_dict({
    "name": "x",
    "duration": "10s",
    "topology": {
        "nodes": {"a": {"addr": {"eth0": "10.0.0.1/24"}}, "b": {"addr": {"eth0": "10.0.0.2/24"}}},
        "links": {"lan": {"ends": ["a:eth0", "b:eth0"]}},
    },
    "traffic": {"web": {"from": "a", "to": "b"}},
})  # fmt: skip


def run(*records, passed=True):
    result = Result(
        scenario="x", seed=1, duration_s=10, passed=passed, digest="", expect=(Verdict(name="e", passed=passed),)
    )
    return Run(result=result, records=records)


def datagram(t, port, ident=1):
    octets = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
                   / IP(src="10.0.0.1", dst="10.0.0.2", id=ident) / UDP(sport=port, dport=9))  # fmt: skip
    return FrameSent(t, "a", "eth0", Frame(octets, 1))


def sent(port):
    return FlowSent(0, "web", "a", 0, 100, f"10.0.0.1:{port}>10.0.0.2:9")


def neigh(t, old, new):
    return NeighChange(t, "a", "eth0", "10.0.0.2", old, new, "", "")


def test_runs_that_differ_only_in_what_the_kernel_draws_agree():
    kernel = run(sent(40000), datagram(ms(1), 40000, 7))
    emulator = run(sent(50000), datagram(0, 50000, 9))
    out = compare(SCENARIO, kernel, emulator)
    assert out.differences == []
    assert out.agree == {"flows": 1, "frames": 1, "instants": 1, "expectations": 1, "nat": 0}


def test_a_frame_of_one_side_only_is_told_with_both_sides():
    (difference,) = compare(SCENARIO, run(datagram(sec(1), 9)), run()).differences
    assert (difference.aspect, difference.where) == ("frames", "a:eth0 udp 10.0.0.1:9 10.0.0.2:9")
    assert difference.kernel.endswith("(at 1.000 s)")
    assert difference.emulator == ""
    assert "stack/ipv4" in difference.rule


def test_what_one_side_did_just_before_the_end_is_no_difference():
    assert compare(SCENARIO, run(datagram(sec("9.9"), 9)), run()).differences == []


def test_a_frame_far_too_late_is_a_difference_of_instants():
    (difference,) = compare(SCENARIO, run(datagram(sec(2), 9)), run(datagram(sec("1.5"), 9))).differences
    assert (difference.aspect, difference.kernel, difference.emulator) == ("instants", "at 2.000 s", "at 1.500 s")


def test_a_state_too_short_to_be_seen_may_be_missing():
    emulator = run(neigh(0, "NONE", "INCOMPLETE"), neigh(ms(5), "INCOMPLETE", "REACHABLE"))
    assert compare(SCENARIO, run(neigh(ms(6), "NONE", "REACHABLE")), emulator).differences == []


def test_a_state_long_enough_to_be_seen_may_not():
    emulator = run(neigh(0, "NONE", "INCOMPLETE"), neigh(sec(1), "INCOMPLETE", "REACHABLE"))
    (difference,) = compare(SCENARIO, run(neigh(sec(1), "NONE", "REACHABLE")), emulator).differences
    assert (difference.aspect, difference.emulator) == ("neighbours", "INCOMPLETE (at 0.000 s)")


def test_translations_are_compared_as_sets():
    one = NatMapped(0, "r", "udp", "10.0.0.1:9>10.0.0.2:9", "10.0.0.2:9>10.9.0.1:9")
    two = NatMapped(0, "r", "udp", "10.0.0.3:9>10.0.0.2:9", "10.0.0.2:9>10.9.0.1:21")
    assert compare(SCENARIO, run(one, two), run(two, one)).agree["nat"] == 2
    assert [d.aspect for d in compare(SCENARIO, run(one), run(two)).differences] == ["nat", "nat"]


@pytest.mark.parametrize(("rc", "out", "differ"), [(0, "a\n", 0), (1, "a\n", 1), (0, "b\n", 1)])
def test_a_commands_answer_is_its_status_and_both_outputs(rc, out, differ):
    kernel = run(CommandRun(0, "a", "ip route", 0, "a\n", ""))
    emulator = run(CommandRun(0, "a", "ip route", rc, out, ""))
    assert len(compare(SCENARIO, kernel, emulator).differences) == differ


def test_a_unit_that_arrived_on_one_side_only_is_a_difference_of_the_flow():
    arrived = FlowDelivered(sec(1), "web", "b", 0, 100, 0)
    (difference,) = compare(SCENARIO, run(arrived), run()).differences
    assert (difference.aspect, difference.where) == ("flows", "web")


def test_verdicts_must_be_the_same():
    (difference,) = compare(SCENARIO, run(passed=True), run(passed=False)).differences
    assert difference.aspect == "expectations"


def test_an_entry_too_short_lived_to_be_seen_may_be_missing_with_its_end():
    emulator = run(neigh(sec(3), "NONE", "FAILED"), neigh(sec(3), "FAILED", "NONE"))
    assert compare(SCENARIO, run(), emulator).differences == []
    emulator = run(neigh(sec(2), "NONE", "STALE"), neigh(sec(3), "STALE", "NONE"))
    assert len(compare(SCENARIO, run(), emulator).differences) == 2


def test_an_entry_of_a_box_that_came_back_is_another_one_though_its_state_is_the_same():
    """The kernel's is seen every 5 ms, so that one side may have seen INCOMPLETE in between and the other not."""
    lost = neigh(sec(1), "NONE", "REACHABLE")
    emulator = run(lost, neigh(sec(3), "NONE", "INCOMPLETE"), neigh(sec(3) + ms(1), "INCOMPLETE", "REACHABLE"))
    assert compare(SCENARIO, run(lost, neigh(sec(3) + ms(4), "NONE", "REACHABLE")), emulator).differences == []
    (difference,) = compare(SCENARIO, run(lost), emulator).differences
    assert (difference.aspect, difference.kernel, difference.emulator) == ("neighbours", "", "REACHABLE (at 3.001 s)")
