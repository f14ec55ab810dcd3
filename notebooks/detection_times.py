# %% [markdown]
# # How long until a dead gateway is noticed
#
# A router has two providers. One falls silent behind a live cable. How long do new connections still go there, when does
# a busy old one move, and what do keep-alive pings and timers change? Each question is asked over many seeds, because
# the answer depends on when the neighbour was last confirmed and on how long the kernel believes it (a draw).
#
#     python notebooks/detection_times.py --seeds 200 --out notebooks
#
# Only netsim's public interface is used. The bounds are sums of the kernels' timers, worked out beside the figures.

# %%
from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from netsim import Lab, ms, sec
from netsim.topology.model import Topology
from netsim.trace.records import FlowDelivered, FlowSent, NeighChange

ADDRESSES = 320
"""Places in the world: 2.2 and 2.4 remember a route by the two addresses, so that a new flow needs a new one."""
SPACING = ms(500)
LIMIT = 900

KERNELS = ("linux-2.4", "linux-2.4-routes", "linux-6")

# %% [markdown]
# ## The network and the timers
#
# `tuned` believes a neighbour for 5 s instead of 30 and asks after 1 s instead of 5. The old kernel also has to look:
# it does so every 30 s, and nothing else helps before that interval is shortened.


# %%
def timers(kernel: str, **knobs: int) -> dict[str, int]:
    """Return sysctls for a kernel from `believe` (s), `ask` (s) and `look` (s, the old kernel's scan)."""
    out = {}
    if "believe" in knobs:
        old = kernel.startswith("linux-2.")
        name, unit = ("base_reachable_time", 1) if old else ("base_reachable_time_ms", 1000)
        out[f"net.ipv4.neigh.default.{name}"] = knobs["believe"] * unit
    if "ask" in knobs:
        out["net.ipv4.neigh.default.delay_first_probe_time"] = knobs["ask"]
    if "look" in knobs:
        out["net.ipv4.neigh.default.gc_interval"] = knobs["look"]
    return out


DEFAULT: Mapping[str, int] = {}
TUNED: Mapping[str, int] = {"believe": 5, "ask": 1, "look": 5}


def network(kernel: str, knobs: Mapping[str, int]) -> Topology:
    """Build host, router, two providers and a world of many addresses."""
    world = [f"198.51.{100 + n // 200}.{1 + n % 200}/32" for n in range(ADDRESSES)]
    back = "ip route add 192.168.0.0/24 via 10.{n}.0.1"
    return Topology.model_validate({
        "nodes": {
            "h1": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
            "router": {
                "kernel": kernel, "sysctl": {"net.ipv4.ip_forward": 1, **timers(kernel, **knobs)},
                "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24", "wan1": "10.0.2.2/24"},
                "run": "ip route append default via 10.0.1.1 dev wan0\nip route append default via 10.0.2.1 dev wan1\n",
            },
            "isp1": {"addr": {"eth0": "10.0.1.1/24", "eth1": "10.1.0.2/24"}, "default": "10.1.0.1"},
            "isp2": {"addr": {"eth0": "10.0.2.1/24", "eth1": "10.2.0.2/24"}, "default": "10.2.0.1"},
            "world": {
                "addr": {"eth0": "10.1.0.1/24", "eth1": "10.2.0.1/24", "lo": world}, "run": back.format(n=1).replace(
                    "via 10.1.0.1", "via 10.1.0.2"),
            },
        },
        "links": {
            "lan": {"ends": ["h1:eth0", "router:lan0"]}, "up1": {"ends": ["router:wan0", "isp1:eth0"]},
            "up2": {"ends": ["router:wan1", "isp2:eth0"]}, "far1": {"ends": ["isp1:eth1", "world:eth0"]},
            "far2": {"ends": ["isp2:eth1", "world:eth1"]},
        },
    })  # fmt: skip


# %% [markdown]
# ## One run
#
# The silence begins at a random instant between 90 and 150 s. `busy` is one old flow that goes on all the time, `fresh`
# makes a new flow to a new address every half second. What counts is what arrives.


# %%
@dataclass(frozen=True)
class Situation:
    """A row of the table: who sends, who pings whom, how the provider ends."""

    title: str
    bound: str
    ping: tuple[str, ...] = ()
    every: int = 3
    traffic: bool = True
    verb: str = "silence"
    target: str = "isp1"
    kernels: tuple[str, ...] = KERNELS
    limit: int = 130


@dataclass
class Outcome:
    """Seconds from the silence on; None: not within the limit."""

    failed: float | None = None
    avoided: float | None = None
    moved: float | None = None
    recovered: float | None = None


@dataclass
class Watch:
    """What a run's records say."""

    silent: int
    revived: int
    failed: int | None = None
    recovered: int | None = None
    lost: dict[str, list[int]] = field(default_factory=lambda: {"fresh": [], "busy": []})
    _waiting: dict[tuple[str, int], int] = field(default_factory=dict)

    def change(self, record: NeighChange) -> None:
        """Note when the dead gateway's entry fails, and when it is good again."""
        if (record.node, record.dev, record.dst) != ("router", "wan0", "10.0.1.1") or record.t < self.silent:
            return
        if record.new == "FAILED" and self.failed is None:
            self.failed = record.t
        if record.new == "REACHABLE" and record.t > self.revived and self.recovered is None:
            self.recovered = record.t

    def sent(self, record: FlowSent) -> None:
        """Note a packet that is under way."""
        if record.flow in self.lost:
            self._waiting[(record.flow, record.seq)] = record.t

    def arrived(self, record: FlowDelivered) -> None:
        """Forget a packet that came."""
        self._waiting.pop((record.flow, record.seq), None)

    def last_lost(self, flow: str, until: int) -> int | None:
        """Return when the last packet of a flow that never came was sent, before `until`."""
        return max((t for (name, _), t in self._waiting.items() if name == flow and self.silent <= t < until), default=None)


def run(situation: Situation, kernel: str, knobs: Mapping[str, int], seed: int) -> Outcome:
    """Play one seed of a situation."""
    rng = random.Random(f"{situation.title}/{seed}")
    silent = sec(90) + rng.randrange(0, 6000) * ms(10)
    end = silent + sec(situation.limit)
    revived = end if situation.limit < LIMIT else silent + sec(10 * LIMIT)
    watch = Watch(silent, revived)
    topology = network(kernel, knobs)
    with Lab.from_topology(topology, seed=seed) as lab:
        lab.bus.subscribe((NeighChange,), watch.change)
        lab.bus.subscribe((FlowSent,), watch.sent)
        lab.bus.subscribe((FlowDelivered,), watch.arrived)
        for gateway in situation.ping:
            start = sec(1) + rng.randrange(0, 300) * ms(10)
            lab.flow(f"check-{gateway}", kind="ping", source="router", to=gateway, every=sec(situation.every), start=start)
        if situation.traffic:
            places = [f"198.51.{100 + n // 200}.{1 + n % 200}:9" for n in range(ADDRESSES)]
            lab.flow("busy", source="h1", to=places[0], every=SPACING, start=sec(20), size=64)
            if situation.limit < LIMIT:
                lab.flow("fresh", source="h1", to=places[1:], every=SPACING, new_flows=True, start=silent - sec(2), size=64)
        lab.event(situation.verb, situation.target, at=silent)
        lab.run(until=end)
        outcome = Outcome(failed=since(silent, watch.failed))
        if situation.traffic:
            outcome.avoided = moved(watch, "fresh", silent, end) if situation.limit < LIMIT else None
            outcome.moved = moved(watch, "busy", silent, end)
        if situation.limit < LIMIT and situation.ping:
            lab.event("revive" if situation.verb == "silence" else "up", situation.target)
            lab.run(until=end + sec(70))
            outcome.recovered = since(end, watch.recovered)
    return outcome


def since(start: int, instant: int | None) -> float | None:
    """Return seconds between two instants."""
    return None if instant is None else (instant - start) / 1e9


def moved(watch: Watch, flow: str, silent: int, end: int) -> float | None:
    """Return when the first packet was sent after which none was lost; None when the last one still was."""
    last = watch.last_lost(flow, end)
    if last is None:
        return 0.0
    return None if last > end - 3 * SPACING else (last + SPACING - silent) / 1e9


# %% [markdown]
# ## The situations

# %%
BOTH = ("10.0.1.1", "10.0.2.1")
SITUATIONS: Mapping[str, Situation] = {
    "traffic": Situation(
        "traffic uses it, the other gateway is pinged", "2.4: 66 s; 6: 45 + 5 + 3 = 53 s", ping=("10.0.2.1",)
    ),
    "pinged": Situation(
        "traffic uses it, both gateways are pinged every 3 s", "2.4: 45 + 30 + 11 = 86 s; 6: 53 s", ping=BOTH
    ),
    "ping-10": Situation(
        "pings every 10 s, no traffic", "2.4: 75 + 10 + 11 = 96 s; 6: 45 + 10 + 8 = 63 s", ping=BOTH, every=10,
        traffic=False,
    ),
    "ping-60": Situation(
        "pings every 60 s, no traffic", "2.4: 75 + 60 + 11 = 146 s; 6: 45 + 60 + 8 = 113 s", ping=BOTH, every=60,
        traffic=False, limit=180,
    ),
    "unpinged": Situation("the other gateway is never pinged", "2.4: never", limit=300 // 2),
    "device-down": Situation("the device goes down", "at once", ping=BOTH, verb="down", target="router:wan0", limit=20),
    "cached": Situation(
        "one busy old flow, both gateways pinged", "2.4: until the cached route goes", ping=BOTH, limit=LIMIT,
        kernels=("linux-2.4-routes", "linux-6"),
    ),
}  # fmt: skip


def jobs(seeds: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield (situation, kernel, timers, seed)."""
    for name, situation in SITUATIONS.items():
        for kernel in situation.kernels:
            for words in ("default", "tuned"):
                yield from ((name, kernel, words, seed) for seed in range(seeds))


def play(job: tuple[str, str, str, int]) -> dict[str, float | None]:
    """Run one job; the answer is plain data."""
    name, kernel, words, seed = job
    outcome = run(SITUATIONS[name], kernel, DEFAULT if words == "default" else TUNED, seed)
    return vars(outcome)
