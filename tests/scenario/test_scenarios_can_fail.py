"""A scenario that passes whatever happens proves nothing: without its failure, or its cure, each must fail.

The failure is taken out by putting a command that does nothing in the place of every event; where a scenario has no
events, a setting is changed. Source: issue 3, "each with expectations that fail without the behaviour".
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.scenario.actions import Event
from netsim.scenario.load import load
from netsim.scenario.runner import run_scenario

FOLDER = Path(__file__).parents[2] / "scenarios"
EVENTFUL = sorted([*(FOLDER / "zoo").glob("*.yaml"), *(FOLDER / "contract").glob("verbs-*.yaml")])

SETTINGS = [
    ("zoo/cable-cut", {"sysctl.router": "{net.ipv4.fib_multipath_use_neigh: 0}"}, "nothing is lost during the cut"),
    ("zoo/flapping", {"sysctl.router": "{net.ipv4.fib_multipath_use_neigh: 0}"},
     "the first uplink carries less during the flapping"),
    ("zoo/gateway-silent-tuned", {"sysctl.router": "{}"}, "the gateway is found dead"),
    ("zoo/one-way-loss", {"topology.links.wire.a_to_b": "{loss: 0%}"}, "half arrives one way"),
    ("zoo/mtu-black-hole", {"topology.nodes.r1.run": "ip route add 203.0.113.0/24 via 198.51.100.2",
                            "topology.nodes.r2.run": "ip route add 192.0.2.0/24 via 198.51.100.1"},
     "a large page never comes"),
    ("zoo/mtu-clamped", {"topology.nodes.r1.run": "ip route add 203.0.113.0/24 via 198.51.100.2"},
     "nothing is too big"),
    ("zoo/duplicate-address", {"topology.nodes.thief.addr.eth0": "192.168.0.4/24"}, "h1 hears nothing any more"),
    ("cold-start-use-neigh", {"sysctl.router": "{net.ipv4.fib_multipath_use_neigh: 0}"},
     "some of the first connections are reset"),
    ("contract/link-kinds", {"topology.links.hub.kind": "switch"}, "and everybody hears it"),
    ("contract/link-kinds", {"topology.links.switch.kind": "hub"}, "and keeps it from the others"),
    ("contract/devices", {"topology.nodes.a.interfaces.eth0.mtu": "1500"}, "and cuts to the MTU of the file"),
]  # fmt: skip


@pytest.mark.parametrize("path", EVENTFUL, ids=lambda path: path.stem)
def test_without_its_events_a_scenario_fails(path: Path) -> None:
    scenario = load(path)
    if not scenario.events:
        pytest.skip("has no events; its setting is changed below")
    node = next(iter(scenario.topology.nodes))
    calm: tuple[Event, ...] = tuple(
        Event(at=f"{event.at}ns", id_=event.id, run={node: "true"}) for event in scenario.events
    )
    result = run_scenario(scenario.model_copy(update={"events": calm}))
    assert result.failed


@pytest.mark.parametrize(("name", "settings", "expectation"), SETTINGS, ids=[row[0] for row in SETTINGS])
def test_without_its_cause_an_expectation_fails(name: str, settings: dict[str, str], expectation: str) -> None:
    result = run_scenario(load(FOLDER / f"{name}.yaml", settings=settings))
    assert expectation in [verdict.name for verdict in result.failed]
