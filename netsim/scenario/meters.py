"""From a scenario to what the meters need to know, and from the meters to the plots' data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.addr import parse_mac, parse_prefix
from netsim.observe.meters.gateways import Gateway
from netsim.observe.metrics import Metrics
from netsim.observe.plot.flows_data import flows_data, latency_data
from netsim.observe.plot.from_metrics import gateways_data, timeline_data
from netsim.observe.plot.values import to_json
from netsim.scenario.model import Scenario
from netsim.topology.graph import as_file
from netsim.topology.model import Topology
from netsim.topology.ports import ports_of
from netsim.units import Ns


def ends_of(topology: Topology) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return each link's ends as (node, device)."""
    out = {}
    for name, link in topology.links.items():
        pairs = [end.partition(":") for end in link.ends]
        out[name] = tuple((node, dev) for node, _, dev in pairs)
    return out


def gateways_of(topology: Topology) -> tuple[Gateway, ...]:
    """Return the gateways as meters know them, each by its first listed interface."""
    ports, ends = ports_of(topology), ends_of(topology)
    firsts = {name: first for name in topology.gateways if (first := next(iter(ports[name]), None)) is not None}
    peers = {
        name: frozenset(end for end in ends.get(first.link, ()) if end != (name, first.name))
        for name, first in firsts.items()
    }
    networks = {name: parse_prefix(first.addresses[0]).network for name, first in firsts.items() if first.addresses}
    out = []
    for name, first in firsts.items():
        near = {node for node, _ in peers[name]}
        others = tuple(
            (network, other)
            for other, network in networks.items()
            if network != networks.get(name) and near & {node for node, _ in peers[other]}
        )
        address = first.addresses[0].partition("/")[0] if first.addresses else ""
        mac = parse_mac(first.mac)
        out.append(Gateway(name=name, dev=first.name, mac=mac, peers=peers[name], address=address, others=others))
    return tuple(out)


def spans_of(scenario: Scenario) -> dict[str, tuple[Ns, Ns]]:
    """Return when each flow is active, the end of the run included."""
    end = scenario.duration + 1
    return {
        name: (flow.start, end if flow.stop is None else min(flow.stop, end)) for name, flow in scenario.traffic.items()
    }


def streams_of(scenario: Scenario) -> tuple[str, ...] | None:
    """Return the flows whose payload counts as TCP acknowledges it; None when no plot asks for segments.

    An ftp session's data go over connections that are not the flow's own: they count when the file is complete.
    """
    if not {"flows", "timeline"} & set(scenario.observe.plot):
        return None
    return tuple(name for name, flow in scenario.traffic.items() if flow.kind in {"tcp", "http"})


def plot_data(scenario: Scenario, topology: Topology, metrics: Metrics) -> dict[str, Any]:  # Any: JSON values
    """Return the data of every plot, and which of them the scenario wants."""
    subtitle = [part for part in (scenario.about, f"seed {scenario.seed}") if part]
    targets, name, end = _targets(topology), scenario.name, scenario.duration
    return {
        "wanted": list(scenario.observe.plot),
        "gateways": to_json(gateways_data(metrics, end=end, title=name, subtitle=subtitle, targets=targets)),
        "timeline": to_json(timeline_data(metrics, end=end, title=name, subtitle=subtitle)),
        "flows": to_json(flows_data(metrics, end=end, title=name, subtitle=subtitle)),
        "latency": to_json(latency_data(metrics, end=end, title=name, subtitle=subtitle)),
        "topology": as_file(topology),
    }


def _targets(topology: Topology) -> Mapping[str, str]:
    """Name the gateway that an event on a link or on a peer's interface concerns."""
    out: dict[str, str] = {}
    for name, ends in ends_of(topology).items():
        gateways = [node for node, _ in ends if topology.is_gateway(node)]
        if len(gateways) == 1:
            out[name] = gateways[0]
            out |= {f"{node}:{dev}": gateways[0] for node, dev in ends}
    return out
