"""Whatever becomes of a file's values, it is a scenario or a topology or is refused in words: never a bug of netsim."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest

from netsim.errors import ConfigError
from netsim.scenario.load import load, load_topology
from netsim.scenario.located import plain
from netsim.scenario.reader import read_file
from netsim.scenario.suspicions import suspicions
from netsim.topology.graph import GraphError
from netsim.topology.importers import load_graph, write_topology
from netsim.topology.planning import plan

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TRIES = 400
SCENARIOS = ("contract/verbs-control", "dead-gateway", "detection-time", "kernel/arp-accept", "zoo/wrong-arp")
VALUES = [
    None, True, 0, -1, 3, 2**70, 1.5, 1e308, "", "x", "0", "10.0.0.1/24", "10.0.0.1", "a:eth0", ":", "1s", "100%",
    ">= 5", "..", "5s..1s", "1e400", "\u00e9", "\x7f", "2" * 5000, [], {}, [[]], [{}], {"": 1}, {"a": {"b": {}}},
    ["a", "a"], "ip addr", "iptables -A", "${", "'", "a\nb", "all", "linux-6", "lo", "averyveryverylongname", "[", "*",
    "&a", "!!x", "0x10", "NaN", ".inf",
]  # fmt: skip


def tree_of(name):
    path = ROOT / "scenarios" / f"{name}.yaml"
    tree = plain(read_file(path, name))
    if isinstance(tree["topology"], str):
        tree["topology"] = plain(read_file(path.parent / tree["topology"], name))
    return tree


def places(tree):
    """Yield each value below the top as its container and key."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(inner):
        yield tree, key
        yield from places(value)


def changed(tree, draw):
    """Return a copy in which some values are others, gone, another's, or have another name."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 2, 3))):
        everywhere = list(places(tree))
        if not everywhere:
            break
        (container, key), (other, its) = draw.choice(everywhere), draw.choice(everywhere)
        match draw.randrange(6):
            case 0 | 1 | 2:
                container[key] = copy.deepcopy(draw.choice(VALUES))
            case 3:
                del container[key]
            case 4:
                container[key] = copy.deepcopy(other[its])
            case _ if isinstance(container, dict):
                container[str(draw.choice(VALUES))[:50]] = container.pop(key)
            case _:
                container.insert(0, copy.deepcopy(container[key]))
    return tree


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_one_or_is_refused(tmp_path, name):
    tree, draw, path = tree_of(name), random.Random(name), tmp_path / "x.yaml"
    refused = 0
    for _ in range(TRIES):
        path.write_text(json.dumps(changed(tree, draw)), encoding="utf-8")
        try:
            suspicions(load(path))
        except ConfigError as error:
            refused += bool(str(error))
    assert TRIES / 2 < refused < TRIES


@pytest.mark.parametrize("name", ["two-isps", "multi-wan"])
def test_a_graph_is_a_topology_or_a_map_or_is_refused(tmp_path, name):
    path, draw = tmp_path / "x.json", random.Random(name)
    write_topology(load_topology(ROOT / "topologies" / f"{name}.yaml"), path)
    graph = json.loads(path.read_text())
    refused = unplanned = 0
    for _ in range(TRIES):
        path.write_text(json.dumps(changed(graph, draw)), encoding="utf-8")
        try:
            load_topology(path)
        except ConfigError as error:
            refused += bool(str(error))
        try:
            plan(load_graph(path))
        except GraphError as error:
            unplanned += bool(str(error))
    assert TRIES / 10 < refused < TRIES
    assert TRIES / 10 < unplanned < TRIES
