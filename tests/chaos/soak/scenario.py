"""A recipe as a scenario: what a file would hold, so that every found failure can be kept and rerun as a file."""

from __future__ import annotations

from typing import Any

from soak.network import network
from soak.recipe import Recipe
from soak.storm import events, traffic


def as_scenario(recipe: Recipe) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the scenario's dict, and which source may leave by which uplink."""
    net = network(recipe)
    flows = traffic(recipe, net)
    first = next(iter(flows))
    node, devices = next(iter(net.devices.items()))
    topology = {
        "nodes": {name: {key: value for key, value in spec.items() if value or key == "patches"}
                  for name, spec in net.nodes.items()},
        "links": net.links,
    }  # fmt: skip
    return {
        "seed": recipe.taste & 0xFFFF,
        "duration": f"{recipe.seconds}s",
        "topology": topology,
        "traffic": flows,
        "events": events(recipe, net, list(flows)),
        "expect": [
            {"name": "a flow", "flow": first, "delivered": ">= 0%"},
            {"name": "a capture", "capture": f"{node}:{devices[0]}", "filter": "ip and udp", "count": ">= 0"},
            {"name": "drops", "drops": {"NEIGH_FAILED": ">= 0"}},
            {"name": "a command", "run": "ip route", "node": node, "at": f"{recipe.seconds}s"},
            *([{"name": "repeatable", "repeatable": True}] if recipe.taste & 1 else []),
        ],
    }, net.uplinks
