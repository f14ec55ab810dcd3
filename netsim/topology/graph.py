"""A topology as a networkx graph, both ways, with the attributes of the file format.

Boxes are graph nodes. A cable is an edge; a hub or switch is a graph node with `kind` and an edge to each of its ends.
Edges carry the link's `name`, its settings, and `ends`: the interfaces at both sides. A graph that names no interfaces
gets eth0, eth1, ... in the order of its edges, so `networkx.path_graph(5)` is a topology too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from netsim.errors import ConfigError, Problem
from netsim.topology.model import Link, Node, Topology
from netsim.units import NS_PER_MS, NS_PER_S, NS_PER_US

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = "nx.Graph[Any]"

MEDIA = frozenset({"hub", "switch"})
NODE_KEYS = tuple(Node.model_fields)
LINK_KEYS = tuple(name for name in Link.model_fields if name != "ends")


class GraphError(ValueError):
    """A graph that is no topology."""


def to_graph(topology: Topology) -> nx.MultiGraph[Any]:
    """Return the topology as a MultiGraph; values are as files write them, only what was given."""
    import networkx as nx

    graph: nx.MultiGraph[Any] = nx.MultiGraph(name=topology.name)
    if topology.about:
        graph.graph["about"] = topology.about
    data = as_file(topology)
    for name, node in data["nodes"].items():
        graph.add_node(name, **node)
    for name, link in data["links"].items():
        settings = {key: value for key, value in link.items() if key != "ends"}
        if topology.links[name].is_cable:
            a, b = link["ends"]
            graph.add_edge(_node(a), _node(b), key=name, name=name, ends=[a, b], **settings)
            continue
        hub = name if name not in topology.nodes else f"link-{name}"
        graph.add_node(hub, name=name, **{"kind": "hub", **settings})
        for end in link["ends"]:
            graph.add_edge(hub, _node(end), key=end, ends=[end])
    return graph


def from_graph(graph: Graph) -> Topology:
    """Build a topology from any networkx graph. Raises ConfigError for one that is none."""
    from pydantic import ValidationError

    try:
        return Topology.model_validate(to_dict(graph))
    except GraphError as error:
        raise ConfigError(Problem("<graph>", 0, 0, "", str(error))) from error
    except ValidationError as error:
        problems = []
        for each in error.errors(include_url=False):
            path = ".".join(str(step) for step in each["loc"])
            context = each.get("ctx", {})
            problems.append(Problem("<graph>", 0, 0, path, context.get("what", each["msg"]), context.get("hint", "")))
        raise ConfigError(*problems) from error


def to_dict(graph: Graph) -> dict[str, Any]:  # Any: a topology as its file has it
    """Return what the topology file of this graph would hold. Raises GraphError.

    Attributes that the format does not know (positions, colours, countries of map collections) are left aside.
    """
    names = {node: str(node) for node in graph.nodes}
    nodes: dict[str, Any] = {}
    hubs: dict[Any, tuple[str, dict[str, Any]]] = {}
    for node, given in graph.nodes(data=True):
        if str(given.get("kind")) in MEDIA:
            settings = {key: given[key] for key in LINK_KEYS if key in given}
            hubs[node] = (str(given.get("name", node)), {"ends": [], **settings})
        else:
            nodes[names[node]] = {key: given[key] for key in NODE_KEYS if given.get(key) is not None}
    links: dict[str, Any] = {}
    used = _used_devices(graph, nodes)
    links.update(hubs.values())
    for i, (a, b, given) in enumerate(_edges(graph), 1):
        if a in hubs and b in hubs:
            raise GraphError(f"{names[a]} and {names[b]} are both hubs: join them into one")
        ends = _ends(given, [n for n in (a, b) if n not in hubs], names, used)
        if a in hubs or b in hubs:
            hubs[a if a in hubs else b][1]["ends"] += ends
            continue
        name = str(given.get("name") or _edge_name(names[a], names[b], i, links))
        if name in links:
            raise GraphError(f"two links are named {name}")
        links[name] = {"ends": ends, **{key: given[key] for key in LINK_KEYS if given.get(key) is not None}}
    out: dict[str, Any] = {"nodes": nodes, "links": links}
    for key in ("name", "about"):
        if graph.graph.get(key):
            out[key] = str(graph.graph[key])
    return out


def as_file(topology: Topology) -> dict[str, Any]:  # Any: values as YAML has them
    """Return the topology as its file would write it: only what was given, quantities as text."""
    nodes = {}
    for name, node in topology.nodes.items():
        nodes[name] = {key: _file_value(key, value) for key, value in node.model_dump(exclude_unset=True).items()}
    links = {}
    for name, link in topology.links.items():
        links[name] = {key: _file_value(key, value) for key, value in link.model_dump(exclude_unset=True).items()}
    out: dict[str, Any] = {"nodes": nodes, "links": links}
    for key in ("name", "about"):
        if getattr(topology, key):
            out = {key: getattr(topology, key), **out}
    return out


def _file_value(key: str, value: Any) -> Any:  # Any: values as YAML has them
    if value is None:
        return None
    if key in {"delay", "jitter"}:
        return quantity(value, (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US), ("ns", 1)))
    if key == "rate":
        return quantity(value, (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 1000), ("bit", 1)))
    if key in {"loss", "corrupt", "duplicate", "reorder"}:
        return f"{value * 100:.10g}%"
    if isinstance(value, dict):
        return {name: _file_value(name, item) for name, item in value.items()}
    if key not in {"ends", "patches"} and isinstance(value, tuple) and len(value) == 1:
        return value[0]
    return list(value) if isinstance(value, tuple) else value


def quantity(value: int, units: tuple[tuple[str, int], ...]) -> str:
    """Print a whole quantity in the largest unit that divides it."""
    unit, factor = (
        next((unit, factor) for unit, factor in units if value % factor == 0 and value) if value else units[-2]
    )
    return f"{value // factor}{unit}"


def _node(end: str) -> str:
    return end.partition(":")[0]


def _edges(graph: Graph) -> list[tuple[Any, Any, dict[str, Any]]]:
    """Return the edges in order; of a directed graph's two opposite edges only the first."""
    out, seen = [], set()
    for a, b, given in graph.edges(data=True):
        if graph.is_directed() and not graph.is_multigraph():
            if (b, a) in seen:
                continue
            seen.add((a, b))
        out.append((a, b, given))
    return out


def _used_devices(graph: Graph, nodes: Mapping[str, Any]) -> dict[str, set[str]]:
    used = {name: {*_keys(node.get("interfaces"))} for name, node in nodes.items()}
    for _, _, given in graph.edges(data=True):
        for end in _given_ends(given):
            name, _, dev = str(end).partition(":")
            used.setdefault(name, set()).add(dev)
    return used


def _keys(value: Any) -> list[str]:  # Any: an attribute of a graph
    return [str(key) for key in value] if isinstance(value, Mapping) else []


def _given_ends(given: Mapping[str, Any]) -> list[str]:
    """Return the interfaces that an edge names. Raises GraphError."""
    ends = given.get("ends") or ()
    if not isinstance(ends, (list, tuple)):
        raise GraphError(f"the ends of an edge are a list, not {ends}")
    return [str(end) for end in ends]


def _ends(given: Mapping[str, Any], nodes: list[Any], names: Mapping[Any, str], used: dict[str, set[str]]) -> list[str]:
    """Return the interfaces of an edge, those given or the next free ethN of each node."""
    if ends := _given_ends(given):
        if sorted(_node(end) for end in ends) != sorted(names[node] for node in nodes):
            between = " and ".join(names[node] for node in nodes)
            raise GraphError(f"the edge at {between} has the ends {', '.join(ends)}")
        return ends
    ends = []
    for node in nodes:
        taken = used.setdefault(names[node], set())
        dev = next(f"eth{n}" for n in range(len(taken) + 1) if f"eth{n}" not in taken)
        taken.add(dev)
        ends.append(f"{names[node]}:{dev}")
    return ends


def _edge_name(a: str, b: str, number: int, links: Mapping[str, Any]) -> str:
    name = f"{a}-{b}"
    return name if name not in links else f"{name}-{number}"
