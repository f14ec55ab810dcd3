"""What cannot be compared is skipped with its reason, never passed."""

from __future__ import annotations

import pytest

from netsim.oracle.obstacles import obstacles
from netsim.oracle.referee import comparable
from netsim.scenario.load import from_dict


def scenario(**more):
    topology = {
        "nodes": {"a": {"addr": {"eth0": "10.0.0.1/24"}}, "b": {"addr": {"eth0": "10.0.0.2/24"}}},
        "links": {"lan": {"ends": ["a:eth0", "b:eth0"]}},
    }
    for key, value in more.pop("link", {}).items():
        topology["links"]["lan"][key] = value
    for key, value in more.pop("node", {}).items():
        topology["nodes"]["a"][key] = value
    return from_dict({"name": "x", "duration": "1s", "topology": topology, **more})


def test_a_plain_scenario_has_no_obstacle():
    assert obstacles(scenario(link={"delay": "5ms", "rate": "1Mbit"})) == ()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"node": {"kernel": "linux-2.4"}}, "a is linux-2.4, and only linux-6 can be compared with a running kernel"),
        ({"kernel": {"b": "linux-2.2"}}, "b is linux-2.2, and only linux-6 can be compared with a running kernel"),
        ({"link": {"loss": "1%"}}, "link lan has loss, which is chance: two runs need not agree"),
        (
            {"events": [{"at": "1s", "id": "bad", "impair": {"link": "lan", "corrupt": "1%"}}]},
            "event bad brings corrupt, which is chance: two runs need not agree",
        ),
        (
            {"node": {"interfaces": {"ppp0": {"kind": "ppp"}}}},
            "a:ppp0 is a ppp interface, and the referee makes ethernet ones only",
        ),
    ],
)
def test_an_obstacle_is_named(given, reason):
    assert obstacles(scenario(**given)) == (reason,)


def test_what_only_an_emulator_can_be_asked_for_is_left_out():
    given = scenario(expect=[{"name": "same", "repeatable": True}])
    assert comparable(given).expect == ()
