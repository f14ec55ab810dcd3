"""A plan for a bare graph: names, addresses, delays, and routes with a way around each broken link.

Public maps of networks (Topology Zoo, SNDlib) are places and lines. Here each place becomes a router with an address of
its own on lo, each line a cable with a /30, as long as light takes for the distance where the map has positions. Routes
are static: to every router the shortest way, and behind it, with a worse metric, over a neighbour whose own shortest
way does not come back (a loop-free alternate). A cable that is cut takes its routes away at both ends, and the
alternates are used at once, without a routing protocol. Source: RFC 5286 section 3.1, inequality 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from netsim.topology.graph import GraphError, quantity
from netsim.units import NS_PER_MS, NS_PER_S, NS_PER_US, Ns

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = "nx.Graph[Any]"

SETTINGS: Mapping[str, int] = MappingProxyType({
    "net.ipv4.ip_forward": 1, "net.ipv4.conf.default.ignore_routes_with_linkdown": 1,
})  # fmt: skip
"""Without the second Linux goes on using a route whose cable is cut."""
PRIMARY, ALTERNATE = 10, 20
"""Metrics of the two routes to a router."""
_EARTH_KM = 6371.0
_NS_PER_KM = 5000
"""Light in glass: 5 us a kilometre."""
_UNKNOWN: Ns = NS_PER_MS
"""The delay of a cable between places without positions."""
_MOST_ROUTERS = 2000
_UNITS = (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US), ("ns", 1))


def plan(graph: Graph) -> dict[str, Any]:  # Any: a topology as its file has it
    """Return a topology for the places and lines of a graph. Raises GraphError.

    Parallel lines count once, the shortest of them.
    """
    import networkx as nx

    names = _names(graph)
    if len(names) > _MOST_ROUTERS:
        raise GraphError(f"{len(names)} places are more than a static plan is for ({_MOST_ROUTERS})")
    net: Graph = nx.Graph()
    net.add_nodes_from(names.values())
    for a, b, given in graph.edges(data=True):
        if a == b:
            continue
        delay = _delay(graph.nodes[a], graph.nodes[b])
        known = net.get_edge_data(names[a], names[b])
        if known is None or delay < known["delay"]:
            net.add_edge(names[a], names[b], delay=delay, **_rate(given))
    if net.number_of_nodes() < 2 or not nx.is_connected(net):
        raise GraphError("the graph is in several parts: no route leads from one to another")
    return _topology(graph, net)


def _topology(graph: Graph, net: Graph) -> dict[str, Any]:  # Any: a topology as its file has it
    own = {name: f"10.255.{number >> 8}.{number & 255}" for number, name in enumerate(net.nodes, 1)}
    nodes: dict[str, Any] = {name: {"addr": {"lo": f"{address}/32"}} for name, address in own.items()}
    links: dict[str, Any] = {}
    hops: dict[tuple[str, str], str] = {}
    for number, (a, b, given) in enumerate(net.edges(data=True)):
        base = 4 * number
        ends = []
        for place, name, other in ((1, a, b), (2, b, a)):
            dev = f"eth{len(nodes[name]['addr']) - 1}"
            address = f"10.{base >> 16}.{base >> 8 & 255}.{base & 255 | place}"
            nodes[name]["addr"][dev] = f"{address}/30"
            hops[other, name] = address
            ends.append(f"{name}:{dev}")
        rate = {"rate": given["rate"]} if "rate" in given else {}
        links[f"{a}-{b}"] = {"ends": ends, "delay": quantity(given["delay"], _UNITS), **rate}
    for name, lines in _routes(net, own, hops).items():
        nodes[name] |= {"sysctl": dict(SETTINGS), "run": "".join(f"{line}\n" for line in lines)}
    said = {key: str(graph.graph[key]) for key in ("name", "about") if graph.graph.get(key)}
    return {**said, "nodes": nodes, "links": links}


def _routes(net: Graph, own: Mapping[str, str], hops: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
    """Return each router's command lines: to every other one the shortest way, and an alternate where there is one."""
    import networkx as nx

    far = dict(nx.all_pairs_dijkstra_path_length(net, weight="delay"))
    lines: dict[str, list[str]] = {name: [] for name in net.nodes}
    for source, target in ((s, t) for s in net.nodes for t in net.nodes if s != t):
        ways = sorted((net.edges[source, each]["delay"] + far[each][target], each) for each in net.neighbors(source))
        chosen = [ways[0][1]]
        chosen += [
            each for _, each in ways[1:] if far[each][target] < far[each][source] + far[source][target]
        ][:1]  # fmt: skip
        for metric, via in zip((PRIMARY, ALTERNATE), chosen, strict=False):
            route = f"{own[target]}/32 via {hops[source, via]} src {own[source]} metric {metric}"
            lines[source].append(f"ip route add {route}")
    return lines


def _names(graph: Graph) -> dict[Any, str]:  # Any: whatever the graph's nodes are
    """Return a name for each place: its label in plain letters, or what the graph calls it."""
    names: dict[Any, str] = {}
    for node, given in graph.nodes(data=True):
        text = re.sub(r"[^a-z0-9]+", "-", str(given.get("label") or given.get("name") or node).lower()).strip("-")
        name = text if text and text[0].isalpha() else f"n{text or len(names)}"
        number = 2
        while name in names.values():
            name = f"{name.rpartition('-')[0] if number > 2 else name}-{number}"
            number += 1
        names[node] = name
    return names


def _delay(a: Mapping[str, Any], b: Mapping[str, Any]) -> Ns:
    """Return how long light takes between two places, by the great circle, in whole tenths of a millisecond."""
    try:
        lat1, lon1, lat2, lon2 = (math.radians(float(p[key])) for p in (a, b) for key in ("Latitude", "Longitude"))
    except (KeyError, TypeError, ValueError):
        return _UNKNOWN
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    kilometres = 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
    tenth = NS_PER_MS // 10
    return max(1, round(kilometres * _NS_PER_KM / tenth)) * tenth


def _rate(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the rate that a map of the Topology Zoo says, in bits a second."""
    try:
        bits = int(float(given["LinkSpeedRaw"]))
    except (KeyError, TypeError, ValueError):
        return {}
    return {"rate": quantity(bits, (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 1000), ("bit", 1)))} if bits else {}
