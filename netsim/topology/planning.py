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
from collections.abc import Container, Mapping
from itertools import count
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
_MOST_ROUTERS = 300
"""Each has a line or two for each other one: 13 MB of them."""
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
        delay = _delay(*(_position(names[each], graph.nodes[each]) for each in (a, b)))
        known = net.get_edge_data(names[a], names[b])
        if known is None or delay < known["delay"]:
            net.add_edge(names[a], names[b], delay=delay, rate=_rate(f"{names[a]}-{names[b]}", given))
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
        rate = {"rate": given["rate"]} if given["rate"] else {}
        links[_free(f"{a}-{b}", links)] = {"ends": ends, "delay": quantity(given["delay"], _UNITS), **rate}
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
    taken: set[str] = set()
    for node, given in graph.nodes(data=True):
        text = re.sub(r"[^a-z0-9]+", "-", str(given.get("label") or given.get("name") or node).lower()).strip("-")
        names[node] = _free(text if text and text[0].isalpha() else f"n{text or len(names)}", taken)
        taken.add(names[node])
    return names


def _free(name: str, taken: Container[str]) -> str:
    """Return a name, with a number behind it where it is taken."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _position(name: str, given: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return a place's latitude and longitude in degrees; None where the map has none. Raises GraphError."""
    if "Latitude" not in given or "Longitude" not in given:
        return None
    latitude, longitude = (_number(f"place {name}", key, given[key]) for key in ("Latitude", "Longitude"))
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise GraphError(f"place {name}: {latitude:g}, {longitude:g} is nowhere on Earth")
    return latitude, longitude


def _delay(a: tuple[float, float] | None, b: tuple[float, float] | None) -> Ns:
    """Return how long light takes between two places, by the great circle, in whole tenths of a millisecond."""
    if a is None or b is None:
        return _UNKNOWN
    lat1, lon1, lat2, lon2 = map(math.radians, (*a, *b))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    kilometres = 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
    tenth = NS_PER_MS // 10
    return max(1, round(kilometres * _NS_PER_KM / tenth)) * tenth


def _rate(line: str, given: Mapping[str, Any]) -> str:
    """Return the rate that a map of the Topology Zoo says, "" where it says none. Raises GraphError."""
    said = given.get("LinkSpeedRaw", "")
    bits = 0.0 if said == "" else _number(f"line {line}", "LinkSpeedRaw", said)
    if bits < 0:
        raise GraphError(f"line {line}: LinkSpeedRaw: {said} is no rate")
    whole = int(bits)
    return quantity(whole, (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 1000), ("bit", 1))) if whole else ""


def _number(where: str, key: str, said: object) -> float:
    """Read a number that a map has as one or as text. Raises GraphError."""
    try:
        value = float(str(said))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise GraphError(f"{where}: {key}: {said} is not a number")
    return value
