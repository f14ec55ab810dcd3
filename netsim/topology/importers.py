"""Graph files: GraphML, GML and node-link JSON, as networkx writes them, into and out of topologies.

GraphML and GML hold flat values only, so addresses, sysctls and interfaces travel as JSON text in them.
Source: design/scenario-format.md, "A GraphML, GML or node-link JSON file written by networkx with the same attributes
is accepted wherever a topology file is"; design/dependencies.md row 5b for Topology Zoo files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from netsim.files import LONGEST, Unreadable, read_bytes, write_bytes
from netsim.topology.graph import GraphError, to_dict, to_graph
from netsim.topology.model import Topology

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = "nx.Graph[Any]"

__all__ = ["GraphError", "load_graph", "read_graph", "write_topology"]

_STRUCTURED = frozenset({"addr", "sysctl", "interfaces", "patches", "ends", "a_to_b", "b_to_a"})


def read_graph(path: Path) -> dict[str, Any]:  # Any: a topology as its YAML file would have it
    """Read the topology in a graph file. Raises GraphError in words."""
    graph = load_graph(path)
    _unpack(graph)
    return to_dict(graph)


def load_graph(path: Path) -> Graph:
    """Read a graph file by its suffix, as it is. Raises GraphError in words."""
    import networkx as nx

    try:
        text = read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise GraphError(f"cannot be read: {error.strerror}") from error
    except (Unreadable, UnicodeDecodeError) as error:
        raise GraphError(str(error)) from error
    suffix = path.suffix.lower()
    try:
        if suffix == ".graphml":
            if "<!DOCTYPE" in text or "<!ENTITY" in text:
                raise GraphError("a GraphML file has no document type: entities would unfold")
            graph = nx.parse_graphml(text)
        elif suffix == ".gml":
            graph = _parse_gml(text)
        elif suffix == ".json":
            graph = _parse_node_link(text)
        else:
            raise GraphError(f"{suffix} is not a graph file; there are: .graphml, .gml, .json")
    except GraphError:
        raise
    except Exception as error:  # networkx and its XML parser raise whatever they meet in a file that is not theirs
        raise GraphError(f"not a {suffix[1:]} file: {error}") from error
    return graph


def write_topology(topology: Topology, path: Path) -> None:
    """Write a topology as YAML or a graph, by the file's suffix. Raises OSError.

    GraphError for another suffix, and for a topology that would be too long a file to be read again.
    """
    write_bytes(path, octets_of(topology, path.suffix.lower()))


def octets_of(topology: Topology, suffix: str) -> bytes:
    """Return the file of a topology. Raises GraphError."""
    import networkx as nx

    from netsim.topology.yaml_text import to_yaml

    graph = to_graph(topology)
    if suffix in {".yaml", ".yml"}:
        text = to_yaml(topology)
    elif suffix == ".json":
        text = json.dumps(nx.node_link_data(graph, edges="edges"), indent=2) + "\n"
    elif suffix == ".graphml":
        text = "\n".join(nx.generate_graphml(_packed(graph))) + "\n"
    elif suffix == ".gml":
        text = "\n".join(nx.generate_gml(_packed(graph))) + "\n"
    else:
        raise GraphError(f'"{suffix}" is no suffix of a topology file; there are: .yaml, .graphml, .gml, .json')
    octets = text.encode()
    if len(octets) > LONGEST:
        raise GraphError(f"it would be {len(octets):,} octets long, and no file of netsim has more than {LONGEST:,}")
    return octets


def _parse_gml(text: str) -> Graph:
    """Parse GML; Topology Zoo's files repeat edges and labels without saying so."""
    import networkx as nx

    if "multigraph" not in text:
        text = re.sub(r"graph\s*\[", "graph [\n  multigraph 1", text, count=1)
    try:
        return nx.parse_gml(text)
    except nx.NetworkXError as error:
        if "label" not in str(error):
            raise
        return nx.parse_gml(text, label="id")


def _parse_node_link(text: str) -> Graph:
    import networkx as nx

    data = json.loads(text)
    if not isinstance(data, dict) or "nodes" not in data:
        raise GraphError("not node-link JSON: it has no nodes")
    edges = "edges" if "edges" in data else "links"
    if not isinstance(data.get("graph", {}), dict):
        raise GraphError('not node-link JSON: "graph" is not a mapping')
    return nx.node_link_graph(data, edges=edges)


def _parts(graph: Graph) -> list[dict[str, Any]]:
    return [
        graph.graph,
        *(given for _, given in graph.nodes(data=True)),
        *(given for _, _, given in graph.edges(data=True)),
    ]


def _packed(graph: Graph) -> Graph:
    """Make flat values of those that GraphML and GML cannot hold."""
    for given in _parts(graph):
        for key, value in list(given.items()):
            if value is None:
                del given[key]
            elif isinstance(value, (dict, list, tuple)):
                given[key] = json.dumps(value)
    return graph


def _unpack(graph: Graph) -> None:
    for given in _parts(graph):
        for key in _STRUCTURED & set(given):
            value = given[key]
            if isinstance(value, str) and value[:1] in "[{":
                try:
                    given[key] = json.loads(value)
                except json.JSONDecodeError as error:
                    raise GraphError(f"attribute {key} is not JSON: {error}") from error
            elif isinstance(value, str) and key == "ends":
                given[key] = value.replace(",", " ").split()
        if given.get("gateway") in (0, 1):  # GML has no booleans
            given["gateway"] = bool(given["gateway"])
