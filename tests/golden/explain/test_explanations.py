"""The life of packets as `netsim explain` tells it, pinned as text: numbers of frames become letters, in their order.

Packet 1 of a masqueraded flow under linux-2.4-routes picks its path by credit and its address at POST_ROUTING; packet 2
is routed in PRE_ROUTING by that address. Source: seed section 7.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netsim.observe.explain.facts import as_json
from netsim.observe.explain.text import told
from netsim.scenario.explanation import explain_decision, explain_neigh, explain_packet
from netsim.scenario.load import load

HERE = Path(__file__).parent
FILE = HERE / "two-packets.yaml"
FRAME = re.compile(r"\bframe (\d+)")


def readable(text: str) -> str:
    """Give frames letters, and paths no machine."""
    letters: dict[str, str] = {}
    text = text.replace(f"{FILE.parents[3]}/", "")
    return FRAME.sub(lambda m: "frame " + letters.setdefault(m[1], chr(ord("A") + len(letters))), text)


@pytest.fixture(scope="module")
def scenario():
    return load(FILE)


@pytest.mark.parametrize("number", [1, 2])
def test_the_life_of_a_packet(scenario, golden, number):
    life = explain_packet(scenario, flow="flow", number=number)
    golden(readable(told(life)), HERE / f"packet-{number}.txt")


def test_packet_2_is_routed_by_its_masquerade_address_and_the_seeds_section_is_cited(scenario):
    life = explain_packet(scenario, flow="flow", number=2)
    (route,) = (f for stage in life.stages if stage.node == "router" for f in stage.facts if f.kind == "route")
    assert route.data["lsrc"] == "10.0.1.2"
    assert (route.data["src"], route.data["rule"], route.data["table"]) == ("192.168.0.3", 20, "20")
    assert "PRE_ROUTING as if it came from 10.0.1.2 (not 192.168.0.3)" in route.lines[0]
    assert "section 7" in route.lines[1]


def test_packet_1_has_no_such_address_yet(scenario):
    life = explain_packet(scenario, flow="flow", number=1)
    (route,) = (f for stage in life.stages if stage.node == "router" for f in stage.facts if f.kind == "route")
    assert (route.data["lsrc"], route.data["rule"]) == ("", 100)
    assert [each.gateway for each in route.data["candidates"]] == ["10.0.1.1", "10.0.2.1"]


def test_the_places_are_those_of_the_files(scenario):
    life = explain_packet(scenario, flow="flow", number=1)
    facts = [f for stage in life.stages if stage.node == "router" for f in stage.facts]
    lines = (HERE.parents[2] / "topologies" / "two-isps.yaml").read_text().splitlines()
    (nat,) = (f for f in facts if f.kind == "rule" and f.data["table"] == "nat")
    (place,) = nat.places
    assert lines[place.line - 1].strip() == place.text
    assert place.path.startswith("topology.nodes.router.run[")
    (forward,) = (f for f in facts if f.kind == "rule" and f.data["table"] == "filter")
    assert (Path(forward.places[0].file).name, forward.places[0].path) == ("two-packets.yaml", "run.router[0]")


def test_nat_and_checksums_are_told_by_number(scenario):
    life = explain_packet(scenario, flow="flow", number=2)
    facts = {f.kind: f for stage in life.stages if stage.node == "router" for f in stage.facts}
    assert facts["nat"].data["before"] == "192.168.0.3:4000>203.0.113.10:80"
    assert facts["nat"].data["after"] == "10.0.1.2:4000>203.0.113.10:80"
    assert facts["checksum"].lines[-1] == "a full sum agrees"
    assert facts["header"].text == "ttl 64 -> 63"


def test_the_packet_to_nobody_ends_with_a_reason(scenario, golden):
    life = explain_packet(scenario, flow="nobody")
    golden(readable(told(life)), HERE / "nobody.txt")
    assert life.endings[0].kind == "dropped"


def test_a_frame_anywhere_on_the_way_names_the_same_packet(scenario):
    life = explain_packet(scenario, flow="flow", number=2)
    frames = [stage.frame for stage in life.stages if stage.frame]
    assert [explain_packet(scenario, uid=frame).frame for frame in frames] == [life.frame] * len(frames)


def test_explanations_are_json(scenario):
    life = as_json(explain_packet(scenario, flow="flow", number=2))
    assert json.loads(json.dumps(life)) == life
    assert life["complete"] is True
    assert [stage["node"] for stage in life["stages"]] == ["h1", "router", "isp1", "world"]
    assert life["stages"][0]["t"] == 2.0


def test_the_story_of_a_neighbour(scenario, golden):
    golden(told(explain_neigh(scenario, "router", "10.0.1.1", "wan0")), HERE / "neigh.txt")


def test_a_decision_with_a_choice(scenario, golden):
    golden(readable(told(explain_decision(scenario, node="router"))), HERE / "decision.txt")
