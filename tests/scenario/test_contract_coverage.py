"""Everything a scenario file may say is said by at least one scenario of the library: read from the models themselves.

Source: design/scenario-format.md; a key added to a model without a scenario that uses it fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from netsim.scenario.actions import VERBS, Flap, Impairment
from netsim.scenario.expectations import KINDS
from netsim.scenario.load import load
from netsim.scenario.model import Plot, Scenario, Traffic, TrafficKind
from netsim.topology.fields import Model
from netsim.topology.model import Direction, Interface, InterfaceKind, Kernel, Link, LinkKind, Node, Patch

FOLDER = Path(__file__).parents[2] / "scenarios"


def library() -> list[Scenario]:
    """Load every scenario of the library."""
    return [load(path) for path in sorted(FOLDER.rglob("*.yaml"))]


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    """The library, loaded once."""
    return library()


def said(values: Iterator[Model]) -> set[str]:
    """Return the fields that any of the values was given in its file."""
    return {name for value in values for name in value.model_fields_set}


@pytest.mark.parametrize("kind", get_args(TrafficKind))
def test_every_traffic_kind_has_a_scenario(scenarios: list[Scenario], kind: str) -> None:
    assert any(flow.kind == kind for scenario in scenarios for flow in scenario.traffic.values())


@pytest.mark.parametrize("option", [name for name in Traffic.model_fields if name != "about"])
def test_every_traffic_option_has_a_scenario(scenarios: list[Scenario], option: str) -> None:
    assert option in said(flow for scenario in scenarios for flow in scenario.traffic.values())


@pytest.mark.parametrize("verb", VERBS)
def test_every_event_verb_has_a_scenario(scenarios: list[Scenario], verb: str) -> None:
    assert any(event.verb == verb for scenario in scenarios for event in scenario.events)


@pytest.mark.parametrize("option", Flap.model_fields)
def test_every_flap_option_has_a_scenario(scenarios: list[Scenario], option: str) -> None:
    assert option in said(event.flap for scenario in scenarios for event in scenario.events if event.flap)


def test_an_impairment_takes_what_a_link_takes() -> None:
    assert set(Impairment.model_fields) - {"link"} == set(Direction.model_fields)


@pytest.mark.parametrize("attribute", Link.model_fields)
def test_every_link_attribute_has_a_scenario(scenarios: list[Scenario], attribute: str) -> None:
    assert attribute in said(link for scenario in scenarios for link in scenario.topology.links.values())


@pytest.mark.parametrize("kind", get_args(LinkKind))
def test_every_link_kind_has_a_scenario(scenarios: list[Scenario], kind: str) -> None:
    assert any(link.kind == kind for scenario in scenarios for link in scenario.topology.links.values())


@pytest.mark.parametrize("kind", get_args(InterfaceKind))
def test_every_device_kind_has_a_scenario(scenarios: list[Scenario], kind: str) -> None:
    nodes = [node for scenario in scenarios for node in scenario.topology.nodes.values()]
    assert any(interface.kind == kind for node in nodes for interface in node.interfaces.values())


@pytest.mark.parametrize("attribute", Interface.model_fields)
def test_every_interface_attribute_has_a_scenario(scenarios: list[Scenario], attribute: str) -> None:
    nodes = [node for scenario in scenarios for node in scenario.topology.nodes.values()]
    assert attribute in said(interface for node in nodes for interface in node.interfaces.values())


@pytest.mark.parametrize("attribute", Node.model_fields)
def test_every_node_attribute_has_a_scenario(scenarios: list[Scenario], attribute: str) -> None:
    assert attribute in said(node for scenario in scenarios for node in scenario.topology.nodes.values())


@pytest.mark.parametrize("kernel", get_args(Kernel))
def test_every_kernel_has_a_scenario(scenarios: list[Scenario], kernel: str) -> None:
    nodes = [node for scenario in scenarios for node in scenario.effective_topology().nodes.values()]
    assert any(node.kernel == kernel for node in nodes)


@pytest.mark.parametrize("patch", get_args(Patch))
def test_every_patch_has_a_scenario(scenarios: list[Scenario], patch: str) -> None:
    nodes = [node for scenario in scenarios for node in scenario.effective_topology().nodes.values()]
    assert any(patch in (node.patches or ()) for node in nodes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_expectation_has_a_scenario(scenarios: list[Scenario], kind: str) -> None:
    assert any(expect.kind == kind for scenario in scenarios for expect in scenario.expect)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, model in KINDS.items() for key in model.model_fields if key not in {"about", "name"}],
)
def test_every_key_of_an_expectation_has_a_scenario(scenarios: list[Scenario], kind: str, key: str) -> None:
    if key == "after" and kind in {"repeatable"}:
        pytest.skip("a digest counts from nothing")
    assert key in said(expect for scenario in scenarios for expect in scenario.expect if expect.kind == kind)


@pytest.mark.parametrize("key", Scenario.model_fields)
def test_every_key_of_a_scenario_is_used(scenarios: list[Scenario], key: str) -> None:
    assert key in said(iter(scenarios))


@pytest.mark.parametrize("plot", get_args(Plot))
def test_every_plot_is_asked_for(scenarios: list[Scenario], plot: str) -> None:
    assert any(plot in scenario.observe.plot for scenario in scenarios)


PICTURED = sorted(
    path for path in FOLDER.rglob("*.yaml") if path.parent.name in {FOLDER.name, "contract", "seed", "zoo"}
)
"""Elsewhere, two or three boxes in a row, or a topology file with a picture of its own."""


@pytest.mark.parametrize("path", PICTURED, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_scenario_opens_with_a_picture_and_has_expectations(path: Path) -> None:
    """design/style.md rule 20."""
    text = path.read_text()
    head = text[: text.index("\nname:")]
    assert all(line.startswith("#") for line in head.splitlines() if line)
    assert any(mark in head for mark in (" - ", "---", "===", "==", "/ ", "|", "-+-", "\\")), "a picture of the network"
    assert "expect:" in text
