"""Public maps become networks: names, addresses, delays, and ways around that do not come back."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from netsim.topology.graph import GraphError
from netsim.topology.importers import load_graph
from netsim.topology.model import Topology
from netsim.topology.planning import plan
from netsim.topology.yaml_text import to_yaml
from netsim.units import ms

PUBLIC = sorted((Path(__file__).parents[3] / "topologies/public").glob("*.graphml"))


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_the_topologies_of_public_maps_are_what_the_command_makes(path):
    text = to_yaml(Topology.model_validate(plan(load_graph(path))))
    first, _, rest = path.with_suffix(".yaml").read_text().partition("\n")
    assert first.startswith("# Made by: netsim topo plan topologies/public/")
    rest, _, schema = rest.removesuffix("\n").rpartition("\n")  # for editors; the command does not know where it is
    assert schema.startswith("# yaml-language-server: $schema=")
    assert f"{rest}\n" == text


def square():
    """Return four places on a ring, the last side long: a-b-c-d of 1, 1, 1 and d-a of 1 ms each without positions."""
    graph = nx.Graph()
    graph.add_nodes_from([(0, {"label": "A b"}), (1, {"label": "A b"}), (2, {"label": "3rd"}), (3, {})])
    graph.add_edges_from([(0, 1, {"LinkSpeedRaw": "2000000.0"}), (1, 2), (2, 3), (3, 0)])
    return graph


def test_places_are_named_and_addressed_in_order():
    made = plan(square())
    assert list(made["nodes"]) == ["a-b", "a-b-2", "n3rd", "n3"]
    assert made["nodes"]["a-b"]["addr"] == {"lo": "10.255.0.1/32", "eth0": "10.0.0.1/30", "eth1": "10.0.0.5/30"}
    assert made["links"]["a-b-a-b-2"] == {"ends": ["a-b:eth0", "a-b-2:eth0"], "delay": "1ms", "rate": "2Mbit"}


def test_an_alternate_never_leads_back():
    """RFC 5286, inequality 1. On a ring of four there is one towards the opposite corner, none towards a neighbour."""
    lines = plan(square())["nodes"]["a-b"]["run"].splitlines()
    assert lines == [
        "ip route add 10.255.0.2/32 via 10.0.0.2 src 10.255.0.1 metric 10",
        "ip route add 10.255.0.3/32 via 10.0.0.2 src 10.255.0.1 metric 10",
        "ip route add 10.255.0.3/32 via 10.0.0.6 src 10.255.0.1 metric 20",
        "ip route add 10.255.0.4/32 via 10.0.0.6 src 10.255.0.1 metric 10",
    ]


def test_delays_are_those_of_light_in_glass():
    """Seattle to Denver: 1,640 km by the great circle, 8.2 ms."""
    graph = nx.Graph()
    graph.add_node(0, label="Seattle", Latitude=47.61, Longitude=-122.33)
    graph.add_node(1, label="Denver", Latitude=39.74, Longitude=-104.99)
    graph.add_edge(0, 1)
    link = Topology.model_validate(plan(graph)).links["seattle-denver"]
    assert link.delay == pytest.approx(ms(8), abs=300_000)


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([], "the graph is in several parts"),
        ([(0, 0)], "the graph is in several parts"),
        ([(0, 1)], "in several parts"),
    ],
)
def test_what_cannot_be_planned_is_told(edges, said):
    graph = nx.Graph()
    graph.add_nodes_from([0, 1, 2])
    graph.add_edges_from(edges)
    with pytest.raises(GraphError, match=said):
        plan(graph)


def test_parallel_lines_count_once():
    graph = nx.MultiGraph([(0, 1), (0, 1), (1, 2)])
    assert list(plan(graph)["links"]) == ["n0-n1", "n1-n2"]


def test_lines_whose_names_would_be_one_stay_two():
    graph = nx.Graph([("a", "b-c"), ("a-b", "c"), ("c", "a"), ("a", "b")])
    made = plan(graph)
    assert list(made["links"]) == ["a-b-c", "a-c", "a-b", "a-b-c-2"]
    assert made["links"]["a-b-c-2"]["ends"] == ["a-b:eth0", "c:eth1"]


def test_a_place_called_like_another_ones_number_keeps_its_own():
    graph = nx.path_graph(4)
    nx.set_node_attributes(graph, dict(enumerate(["x", "x-2", "x", "x"])), "label")
    assert list(plan(graph)["nodes"]) == ["x", "x-2", "x-3", "x-4"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("inf", "line n0-n1: LinkSpeedRaw: inf is not a number"), (float("nan"), "LinkSpeedRaw: nan is not a number"),
        ("-5", "line n0-n1: LinkSpeedRaw: -5 is no rate"), ("fast", "LinkSpeedRaw: fast is not a number"),
    ],
)  # fmt: skip
def test_a_rate_that_is_none_is_told(value, said):
    graph = nx.Graph()
    graph.add_edge(0, 1, LinkSpeedRaw=value)
    with pytest.raises(GraphError, match=said):
        plan(graph)


@pytest.mark.parametrize(
    ("latitude", "longitude", "said"),
    [
        (float("nan"), 0, "place n1: Latitude: nan is not a number"), (0, "east", "Longitude: east is not a number"),
        (91, 0, "place n1: 91, 0 is nowhere on Earth"), (0, -181.5, "place n1: 0, -181.5 is nowhere on Earth"),
    ],
)  # fmt: skip
def test_a_position_that_is_none_is_told(latitude, longitude, said):
    graph = nx.path_graph(2)
    graph.add_node(0, Latitude=1, Longitude=1)
    graph.add_node(1, Latitude=latitude, Longitude=longitude)
    with pytest.raises(GraphError, match=said):
        plan(graph)


def test_a_map_too_large_for_static_routes_is_told():
    with pytest.raises(GraphError, match="301 places are more than a static plan is for \\(300\\)"):
        plan(nx.path_graph(301))
