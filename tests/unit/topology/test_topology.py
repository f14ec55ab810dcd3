"""The topology model, its ports, its graph both ways, graph files and generators."""

import networkx as nx
import pytest
from pydantic import ValidationError

from netsim.errors import ConfigError
from netsim.topology.generate import chain, n_isps, star_lan, two_isps
from netsim.topology.graph import as_file, from_graph, to_graph
from netsim.topology.importers import GraphError, read_graph, write_topology
from netsim.topology.model import Topology
from netsim.topology.ports import default_mac, first_address, forwards, ports_of

FULL = {
    "name": "full",
    "about": "everything at once",
    "nodes": {
        "r": {
            "kernel": "linux-2.4", "patches": ["static_routes", "alt_routes"], "gateway": True,
            "sysctl": {"net.ipv4.ip_forward": 1, "net.ipv4.conf.eth0.rp_filter": "2"},
            "addr": {"lo": "203.0.113.10/32", "eth0": ["10.0.0.1/24", "10.0.0.2/24"]}, "default": "10.0.0.254",
            "run": "ip rule add prio 10 table main\nip link show\n",
            "interfaces": {"ppp0": {"kind": "ppp", "mac": "02:00:00:00:01:02", "mtu": 1492, "up": False}},
        },
        "a": {}, "b": {}, "isp1": {},
    },
    "links": {
        "c": {"ends": ["r:eth0", "a:eth0"], "rate": "10Mbit", "delay": "5ms", "jitter": "1ms", "loss": "0.1%",
              "corrupt": "0.01%", "duplicate": "0%", "reorder": "0%", "queue": 100, "b_to_a": {"rate": "512kbit"}},
        "p": {"ends": ["r:ppp0", "b:ppp0"]},
        "lan": {"ends": ["r:eth1", "a:eth1", "b:eth1"], "rate": "100Mbit", "delay": "50us"},
        "s": {"ends": ["r:eth2", "b:eth2"], "kind": "switch", "delay": "0ms"},
    },
}  # fmt: skip


def test_a_file_of_everything_becomes_frozen_values_in_nanoseconds_bits_and_fractions():
    topology = Topology.model_validate(FULL)
    link = topology.links["c"]
    assert (link.rate, link.delay, link.jitter, link.loss, link.corrupt) == (10**7, 5_000_000, 1_000_000, 0.001, 0.0001)
    assert (link.direction(0).rate, link.direction(1).rate, link.direction(1).delay) == (10**7, 512_000, 5_000_000)
    assert topology.nodes["r"].sysctl == {"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0.rp_filter": "2"}
    assert topology.nodes["r"].addr["eth0"] == ("10.0.0.1/24", "10.0.0.2/24")
    assert topology.gateways == ("r", "isp1")
    with pytest.raises(ValidationError):
        topology.name = "other"


def test_ports_are_numbered_by_addr_then_interfaces_then_links():
    ports = ports_of(Topology.model_validate(FULL))
    assert [(p.name, p.mac, p.link) for p in ports["r"]] == [
        ("eth0", "02:00:00:00:01:01", "c"), ("ppp0", "02:00:00:00:01:02", "p"),
        ("eth1", "02:00:00:00:01:03", "lan"), ("eth2", "02:00:00:00:01:04", "s"),
    ]  # fmt: skip
    assert [p.mac for p in ports["a"]] == ["02:00:00:00:02:01", "02:00:00:00:02:02"]
    assert (ports["r"][0].up, ports["r"][1].up, ports["r"][1].mtu) == (True, False, 1492)


def test_default_macs_hold_the_node_in_32_bits_and_the_port_in_8():
    assert default_mac(1, 2) == "02:00:00:00:01:02"
    assert default_mac(70_000, 255) == "02:00:01:11:70:ff"
    assert default_mac(1, 256) != default_mac(1, 0)


@pytest.mark.parametrize(
    ("node", "answer"),
    [
        ({"addr": {"eth0": "10.0.0.1/24"}}, False),
        ({"addr": {"eth0": "10.0.0.1/24", "lo": "10.9.9.9/32"}}, False),
        ({"addr": {"eth0": "10.0.0.1/24", "eth1": "10.0.1.1/24"}}, True),
        ({"addr": {"eth0": "10.0.0.1/24", "eth1": "10.0.1.1/24"}, "sysctl": {"net.ipv4.ip_forward": 0}}, False),
        ({"addr": {"eth0": "10.0.0.1/24"}, "sysctl": {"net.ipv4.ip_forward": 1}}, True),
        ({"addr": {"eth0": "10.0.0.1/24", "ppp0": "10.0.1.1/32"}, "interfaces": {"ppp0": {"kind": "ppp"}}}, False),
    ],
)
def test_a_node_with_two_addressed_ethernet_devices_forwards_unless_it_says_otherwise(node, answer):
    assert forwards(Topology.model_validate({"nodes": {"r": node}}).nodes["r"]) is answer


def test_a_node_stands_for_its_first_address_on_lo_else_its_first():
    nodes = Topology.model_validate(FULL | {"links": {}}).nodes
    assert first_address(nodes["r"]) == "203.0.113.10"
    assert first_address(nodes["a"]) is None


def test_a_topology_survives_the_way_through_networkx():
    topology = Topology.model_validate(FULL)
    graph = to_graph(topology)
    assert graph.nodes["lan"]["kind"] == "hub"
    assert graph.edges["r", "a", "c"]["rate"] == "10Mbit"
    back = from_graph(graph)
    assert as_file(back)["nodes"] == as_file(topology)["nodes"]
    assert ports_of(back)["r"] == ports_of(topology)["r"] or sorted(p.end for p in ports_of(back)["r"]) == sorted(
        p.end for p in ports_of(topology)["r"]
    )
    assert {name: set(link.ends) for name, link in back.links.items()} == {
        name: set(link.ends) for name, link in topology.links.items()
    }


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".json"])
@pytest.mark.parametrize("make", [lambda: Topology.model_validate(FULL), two_isps, lambda: star_lan(3)])
def test_a_graph_file_holds_everything_the_yaml_file_does(tmp_path, suffix, make):
    topology = make()
    path = tmp_path / f"net{suffix}"
    write_topology(topology, path)
    back = Topology.model_validate(read_graph(path))
    assert as_file(back)["nodes"] == as_file(topology)["nodes"]
    wanted = {name: {**link, "ends": sorted(link["ends"])} for name, link in as_file(topology)["links"].items()}
    given = {name: {**link, "ends": sorted(link["ends"])} for name, link in as_file(back)["links"].items()}
    for name, link in wanted.items():
        assert given[name] == ({"kind": "hub", **link} if name == "lan" else link)


def test_any_plain_networkx_graph_is_a_topology():
    topology = from_graph(nx.path_graph(3))
    assert list(topology.nodes) == ["0", "1", "2"]
    assert {name: link.ends for name, link in topology.links.items()} == {
        "0-1": ("0:eth0", "1:eth0"), "1-2": ("1:eth1", "2:eth0")
    }  # fmt: skip
    assert len(from_graph(nx.DiGraph([("a", "b"), ("b", "a")])).links) == 1
    assert len(from_graph(nx.MultiGraph([("a", "b"), ("a", "b")])).links) == 2


def test_a_graph_that_is_no_topology_is_refused_in_words():
    graph = nx.Graph()
    graph.add_edge("a", "b", ends=["a:eth0", "c:eth0"], rate="fast")
    with pytest.raises(ConfigError, match="the edge at a and b has the ends a:eth0, c:eth0"):
        from_graph(graph)
    graph.edges["a", "b"]["ends"] = ["a:eth0", "b:eth0"]
    with pytest.raises(ConfigError, match='"fast" is not a rate'):
        from_graph(graph)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.graphml", "<graphml", "not a graphml file"), ("x.gml", "graph [", "not a gml file"),
        ("x.json", "[]", "it has no nodes"), ("x.json", "{", "not a json file"),
        ("x.json", '{"nodes": [{"id": 1}], "edges": [], "graph": 3}', '"graph" is not a mapping'),
        ("x.json", '{"nodes": [{"id": 1}], "edges": [{"source": 1, "target": 1, "ends": true}]}', "a list, not True"),
    ],
)  # fmt: skip
def test_a_broken_graph_file_is_refused_in_words(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(GraphError, match=words):
        read_graph(path)


def test_a_nodes_kind_of_any_kind_is_its_fields_to_judge(tmp_path):
    (tmp_path / "x.json").write_text('{"nodes": [{"id": 1, "kind": {}}], "edges": []}')
    assert read_graph(tmp_path / "x.json")["nodes"] == {"1": {}}


def test_a_map_with_repeated_edges_and_labels_is_read(tmp_path):
    """Topology Zoo's GML repeats edges without `multigraph 1` and labels without shame."""
    path = tmp_path / "zoo.gml"
    path.write_text(
        'graph [\n label "Zoo"\n node [ id 0 label "None" Latitude 1.5 ]\n node [ id 1 label "None" ]\n'
        " edge [ source 0 target 1 ]\n edge [ source 0 target 1 ]\n]\n"
    )
    topology = Topology.model_validate(read_graph(path))
    assert list(topology.nodes) == ["0", "1"]
    assert len(topology.links) == 2


def test_generators_give_what_they_are_called():
    assert two_isps().gateways == ("isp1", "isp2")
    assert len(n_isps(8, hosts=5).nodes) == 15
    assert [len(ports) for ports in ports_of(chain(3)).values()] == [1, 2, 2, 2, 1]
    assert len(star_lan(10).links["lan"].ends) == 10
    assert "nexthop via 10.0.3.1 dev wan2" in n_isps(3).nodes["router"].run
    for wrong in (lambda: n_isps(0), lambda: chain(999), lambda: star_lan(1)):
        with pytest.raises(ValueError, match="between"):
            wrong()
