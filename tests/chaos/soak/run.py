"""Run a recipe or a kept case and say what broke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.lab import Lab
from netsim.scenario.load import from_dict
from netsim.scenario.model import Scenario
from netsim.scenario.runner import build_lab, digest_of, run_scenario
from netsim.sim.clock import EXPECTATION
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from soak.recipe import Recipe
from soak.scenario import as_scenario
from soak.watch import Watch

MUST_HOLD = ("checksums", "repeatable", "must hold")
"""How the names begin of verdicts that no storm excuses; the others are only evaluated."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    digest: str
    hops: int
    problems: tuple[str, ...]


def run_recipe(recipe: Recipe) -> Outcome:
    """Run a recipe's lab under the watch, and once more for its digest."""
    data, uplinks = as_scenario(recipe)
    return run_case(data, uplinks)


def run_case(data: Mapping[str, Any], uplinks: Mapping[tuple[str, str], str] | None = None) -> Outcome:
    """Run a scenario's dict. What raises is a failure by itself."""
    scenario = from_dict(data, name="chaos")
    kernels = {name: node.kernel for name, node in scenario.effective_topology().nodes.items()}
    watches: list[Watch] = []

    def make(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None]) -> Lab:
        def ready(bus: Bus) -> None:
            bus_ready(bus)
            watches.append(Watch(bus, kernels, uplinks or {}))

        lab = build_lab(scenario, topology, ready)
        lab.env.at(scenario.duration, lambda: watches[0].ask(lab), EXPECTATION + 1)
        return lab

    result = run_scenario(scenario, make_lab=make)
    problems = list(watches[0].problems)
    problems += [f"{verdict.name}: {verdict.why}" for verdict in result.failed if verdict.name.startswith(MUST_HOLD)]
    return Outcome(result.digest, result.packet_hops, tuple(problems))


def digest_of_recipe(recipe: Recipe) -> str:
    """Return the digest of a recipe's lab, run without anybody watching."""
    return digest_of(from_dict(as_scenario(recipe)[0], name="chaos"))
