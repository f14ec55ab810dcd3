"""How long a whole 2.4 router takes to notice a silent gateway, against 300 recorded runs of 2.4's own neighbour code.

h1 sends a packet through the router every 0.1 s; the gateway falls silent 600 to 1,200 s
after boot. The spec's referee asks for a Kolmogorov-Smirnov p above 0.05 over 300 seeds.
"""

from __future__ import annotations

import gzip
import json
import random
from math import exp, sqrt
from pathlib import Path
from statistics import median

import pytest

from netsim import Lab, sec
from netsim.topology.model import Topology
from netsim.trace.records import NeighChange
from netsim.units import ms

DATA = Path(__file__).parents[1] / "data" / "neigh-2.4" / "9_dead_gateway_distribution.json.gz"
NET = Topology.model_validate({
    "nodes": {
        "h1": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
        "router": {
            "kernel": "linux-2.4", "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.0.1/24"}, "default": "10.0.0.2",
        },
        "gw": {"addr": {"eth0": "10.0.0.2/24", "lo": "198.51.100.1/32"}},
    },
    "links": {"lan": {"ends": ["h1:eth0", "router:lan0"]}, "wan": {"ends": ["router:wan0", "gw:eth0"]}},
})  # fmt: skip


def seconds_to_failed(seed: int) -> float:
    """Return one run's seconds from silence to FAILED."""
    rng = random.Random(f"silence/{seed}")
    silent = sec(600) + rng.randrange(0, 60_000) * ms(10)
    found: list[int] = []

    def note(change: NeighChange) -> None:
        if (change.node, change.dev, change.new) == ("router", "wan0", "FAILED"):
            found.append(change.t)

    with Lab.from_topology(NET, seed=seed) as lab:
        lab.bus.subscribe((NeighChange,), note)
        start = silent - sec(120) - rng.randrange(0, 6000) * ms(10)  # any place in the cycles of 30 and 60 s
        lab.flow("web", source="h1", to="198.51.100.1:9", every=ms(100), start=start, size=64)
        lab.event("silence", "gw", at=silent)
        while not found:
            assert lab.now < silent + sec(300)
            lab.run(until=max(lab.now, silent) + sec(5))
    return (found[0] - silent) / 1e9


def distance(ours: list[float], theirs: list[float]) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples."""
    return max(
        abs(sum(x <= point for x in ours) / len(ours) - sum(x <= point for x in theirs) / len(theirs))
        for point in {*ours, *theirs}
    )


def p_value(far: float, size: int) -> float:
    """Return the asymptotic two-sample p of two samples of one size."""
    argument = far * sqrt(size / 2)
    return 2 * sum((-1) ** (k - 1) * exp(-2 * k * k * argument * argument) for k in range(1, 101))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_whole_2_4_router_notices_a_silent_gateway_as_recorded(counted):
    """kernel-2.4-neighbour/9, forwarded traffic: median and extremes side by side, p > 0.05."""
    with gzip.open(DATA, "rt") as lines:
        theirs = [run["to_failed"] for run in json.load(lines)["2.4.17/forwarded"]["runs"]]
    ours = [seconds_to_failed(seed) for seed in range(len(theirs))]
    p = p_value(distance(ours, theirs), len(theirs))
    for name, times in (("recorded", theirs), ("netsim", ours)):
        counted(f"dead gateway, {name:8} min {min(times):6.2f}  median {median(times):6.2f}  max {max(times):6.2f} s")
    counted(f"dead gateway, Kolmogorov-Smirnov p = {p:.3f} over {len(ours)} seeds")
    assert p > 0.05
