# %% [markdown]
# # How long until a dead gateway is noticed
#
# A router has two providers. One falls silent behind a live cable. How long do new connections still go there, when
# does a busy old one move, and what do keep-alive pings and timers change? Each question is asked over many seeds,
# because the answer depends on when the neighbour was last confirmed and on how long the kernel believes it (a draw).
#
#     python notebooks/detection_times.py --seeds 200 --out notebooks
#
# Only netsim's public interface is used. The bounds are sums of the kernels' timers, worked out beside the figures.

# %%
from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from netsim import Lab, ms, sec
from netsim.topology.model import Topology
from netsim.trace.records import FlowDelivered, FlowSent, NeighChange

ADDRESSES = 140
"""Places in the world: 2.2 and 2.4 remember a route by the two addresses, so that a new flow needs a new one."""
SPACING = sec(1)
LIMIT = 900

KERNELS = ("linux-2.4", "linux-2.4-routes", "linux-6")
ALIKE = ("linux-2.4-routes", "linux-6")
"""Where no route is asked for, the patched 2.4 and the stock one do the same."""

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


# %% [markdown]
# The old kernels choose among two default routes. Today's does so for its own traffic only; for what it forwards, the
# counterpart is one multipath route with `fib_multipath_use_neigh`.

# %%
ALTERNATIVES = """
    ip route append default via 10.0.1.1 dev wan0
    ip route append default via 10.0.2.1 dev wan1
"""
MULTIPATH = """
    sysctl -w net.ipv4.fib_multipath_use_neigh=1 net.ipv4.fib_multipath_hash_policy=1
    ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1
"""


def places(count: int) -> list[str]:
    """Return addresses of the world."""
    return [f"198.51.100.{1 + n}" for n in range(count)]


def network(kernel: str, knobs: Mapping[str, int], addresses: int) -> Topology:
    """Build host, router, two providers and a world of so many addresses."""
    return Topology.model_validate({
        "nodes": {
            "h1": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
            "router": {
                "kernel": kernel, "sysctl": {"net.ipv4.ip_forward": 1, **timers(kernel, **knobs)},
                "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24", "wan1": "10.0.2.2/24"},
                "run": MULTIPATH if kernel == "linux-6" else ALTERNATIVES,
            },
            "isp1": {"addr": {"eth0": "10.0.1.1/24", "eth1": "10.1.0.2/24"}, "default": "10.1.0.1"},
            "isp2": {"addr": {"eth0": "10.0.2.1/24", "eth1": "10.2.0.2/24"}, "default": "10.2.0.1"},
            "world": {
                "addr": {"eth0": "10.1.0.1/24", "eth1": "10.2.0.1/24", "lo": [f"{a}/32" for a in places(addresses)]},
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
# makes a new flow to a new address every second. What counts is what arrives.


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
    revived: int | None = None
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
        if record.new == "REACHABLE" and self.revived is not None and self.recovered is None:
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
        return max(
            (t for (name, _), t in self._waiting.items() if name == flow and self.silent <= t < until), default=None
        )


def run(situation: Situation, kernel: str, knobs: Mapping[str, int], seed: int) -> Outcome:
    """Play one seed of a situation."""
    rng = random.Random(f"{situation.title}/{seed}")
    silent = sec(90) + rng.randrange(0, 6000) * ms(10)
    watch = Watch(silent)
    addresses = 1 if not situation.traffic or situation.limit >= LIMIT else ADDRESSES
    with Lab.from_topology(network(kernel, knobs, addresses), seed=seed) as lab:
        lab.bus.subscribe((NeighChange,), watch.change)
        lab.bus.subscribe((FlowSent,), watch.sent)
        lab.bus.subscribe((FlowDelivered,), watch.arrived)
        for gateway in situation.ping:
            start = sec(10) + rng.randrange(0, 300) * ms(10)
            every = sec(situation.every)
            lab.flow(f"check-{gateway}", kind="ping", source="router", to=gateway, every=every, start=start)
        if situation.traffic:
            to = places(addresses)
            lab.flow("busy", source="h1", to=to[0], every=SPACING, start=sec(5), size=64)
            if addresses > 1:
                start = silent - sec(4)
                lab.flow("fresh", source="h1", to=to[1:], every=SPACING, new_flows=True, start=start, size=64)
        lab.event(situation.verb, situation.target, at=silent)
        lab.run(until=silent)
        end = silent + sec(situation.limit)
        while lab.now < end:
            lab.run(until=lab.now + sec(10))
            if watch.failed is not None and situation.limit < LIMIT:
                end = min(end, watch.failed + sec(15))
        outcome = Outcome(failed=since(silent, watch.failed))
        if situation.traffic:
            outcome.avoided = moved(watch, "fresh", silent, lab.now) if addresses > 1 else None
            outcome.moved = moved(watch, "busy", silent, lab.now) if addresses == 1 else None
        if (watch.failed is not None and "10.0.1.1" in situation.ping and addresses > 1) or not situation.traffic:
            watch.revived = lab.now
            lab.event("revive", situation.target)
            while watch.recovered is None and lab.now < watch.revived + sec(80):
                lab.run(until=lab.now + sec(10))
            outcome.recovered = since(watch.revived, watch.recovered)
    return outcome


def since(start: int, instant: int | None) -> float | None:
    """Return seconds between two instants."""
    return None if instant is None else (instant - start) / 1e9


def moved(watch: Watch, flow: str, silent: int, end: int) -> float | None:
    """Return when the first packet was sent after which none was lost; None when even the last ones were."""
    last = watch.last_lost(flow, end)
    if last is None:
        return 0.0
    return None if last >= end - 5 * SPACING else (last + SPACING - silent) / 1e9


# %% [markdown]
# ## The situations

# %%
BOTH = ("10.0.1.1", "10.0.2.1")
SITUATIONS: Mapping[str, Situation] = {
    "traffic": Situation(
        "traffic uses it, only the other gateway is pinged", "2.4: 66 s; 6: 45 + 5 + 3 = 53 s", ping=("10.0.2.1",)
    ),
    "pinged": Situation(
        "traffic uses it, both gateways are pinged every 3 s", "2.4: 45 + 30 + 11 = 86 s; 6: 53 s", ping=BOTH
    ),
    "ping-10": Situation(
        "both pinged every 10 s, no traffic", "2.4: 75 + 10 + 11 = 96 s; 6: 45 + 10 + 8 = 63 s", ping=BOTH, every=10,
        traffic=False, kernels=ALIKE,
    ),
    "ping-60": Situation(
        "both pinged every 60 s, no traffic", "2.4: 75 + 60 + 11 = 146 s; 6: 45 + 60 + 8 = 113 s", ping=BOTH, every=60,
        traffic=False, limit=180, kernels=ALIKE,
    ),
    "unpinged": Situation("traffic uses it, the other gateway is never pinged", "2.4: never; 6: 53 s"),
    "device-down": Situation("the device goes down", "at once", ping=BOTH, verb="down", target="router:wan0", limit=20),
    "cached": Situation(
        "one busy old flow, both gateways pinged", "2.4: until the cached route goes, 600 s", ping=BOTH, limit=LIMIT,
        kernels=("linux-2.4-routes",),
    ),
}  # fmt: skip


KNOBS: Mapping[str, Mapping[str, int]] = {
    "default": {}, "believe": {"believe": 5}, "ask": {"ask": 1}, "look": {"look": 5},
    "believe and look": {"believe": 5, "look": 5}, "tuned": {"believe": 5, "ask": 1, "look": 5},
}  # fmt: skip
"""Timers by name, for the study of single knobs; "believe" is base_reachable_time, "ask" delay_first_probe_time."""


@dataclass(frozen=True)
class Job:
    """One run to do."""

    situation: str
    kernel: str
    knobs: str
    seed: int


def jobs(seeds: int) -> Iterator[Job]:
    """Yield every run: the situations with the default timers and the tuned ones, then single knobs."""
    for name, situation in SITUATIONS.items():
        for kernel in situation.kernels:
            for words in ("default", "tuned"):
                yield from (Job(name, kernel, words, seed) for seed in range(seeds))
    for kernel in ALIKE:
        for words in ("believe", "ask", "look", "believe and look"):
            if kernel != "linux-6" or "look" not in words:
                yield from (Job("pinged", kernel, words, seed) for seed in range(seeds // 2))


def play(job: Job) -> Outcome:
    """Do one run."""
    return run(SITUATIONS[job.situation], job.kernel, KNOBS[job.knobs], job.seed)


Results = dict[tuple[str, str, str], list[Outcome]]


def play_all(seeds: int, workers: int) -> Results:
    """Do all runs; which process did which changes nothing."""
    todo = list(jobs(seeds))
    out: Results = {}
    with ProcessPoolExecutor(workers) as pool:
        for job, outcome in zip(todo, pool.map(play, todo, chunksize=10), strict=True):
            out.setdefault((job.situation, job.kernel, job.knobs), []).append(outcome)
    return out


# %% [markdown]
# ## The table and the picture


# %%
def told(times: list[float | None]) -> str:
    """Say how times are distributed: "28 (9 to 52)" is the median and the extremes; "never" when some never came."""
    seen = sorted(time for time in times if time is not None)
    never = len(times) - len(seen)
    if not seen:
        return "never"
    if seen[-1] == 0:
        return "at once"
    text = f"{median(seen):.0f} ({seen[0]:.0f} to {seen[-1]:.0f})"
    return text if not never else f"{text}, never in {never} of {len(times)}"


def table(results: Results) -> str:
    """Return the table as Markdown."""
    seeds = max(map(len, results.values()))
    lines = [
        f"| what happens (seconds over {seeds} seeds: median, extremes) | kernel | gateway FAILED "
        "| new flows all avoid it | the same, tuned timers | a busy old flow moves | seen again after its return "
        "| bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, situation in SITUATIONS.items():
        for kernel in situation.kernels:
            plain, tuned = results[name, kernel, "default"], results[name, kernel, "tuned"]
            watched = situation.traffic and situation.limit < LIMIT
            key = "avoided" if watched else "moved" if situation.traffic else "failed"
            again = [each.recovered for each in plain]
            cells = [
                situation.title, kernel, told([e.failed for e in plain]) if situation.verb == "silence" else "-",
                told([e.avoided for e in plain]) if watched else "-", told([getattr(e, key) for e in tuned]),
                told([e.moved for e in plain]) if situation.limit >= LIMIT else "-",
                told(again) if any(time is not None for time in again) else "-", situation.bound,
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def knobs(results: Results) -> str:
    """Return what single knobs do to the time until all new flows avoid the gateway, as Markdown."""
    lines = ["| kernel | " + " | ".join(KNOBS) + " |", "|---|" + "---|" * len(KNOBS)]
    for kernel in ALIKE:
        found = (results.get(("pinged", kernel, words)) for words in KNOBS)
        cells = ("-" if each is None else told([e.avoided for e in each]) for each in found)
        lines.append(f"| {kernel} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Draw how many of the runs had noticed after so many seconds, with the bounds as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    colours = {"linux-2.4-routes": "#487fb2", "linux-6": "#e6ac53"}
    rows = (
        ("pinged", "avoided", "traffic: all new flows avoid it", {"linux-2.4-routes": 86, "linux-6": 53}),
        ("ping-10", "failed", "no traffic, pings every 10 s: FAILED", {"linux-2.4-routes": 96, "linux-6": 63}),
    )
    for ax, (name, key, title, bounds) in zip(axes, rows, strict=True):
        for kernel, colour in colours.items():
            for words, style in (("default", "-"), ("tuned", "--")):
                times = sorted(t for e in results[name, kernel, words] if (t := getattr(e, key)) is not None)
                share = [(n + 1) / len(times) for n in range(len(times))]
                ax.step([0, *times], [0, *share], style, color=colour, where="post", label=f"{kernel}, {words}")
            ax.axvline(bounds[kernel], color=colour, linewidth=0.8, linestyle=":")
            ax.text(bounds[kernel], 0.02, f" {bounds[kernel]} s", color=colour, fontsize=8)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("seconds after the silence")
        ax.grid(color="#f1f3f5")
    axes[0].set_ylabel("share of runs")
    axes[0].legend(fontsize=8, loc="center right")
    figure.suptitle("How long until a dead gateway is noticed (dotted: the bound)", fontsize=11)
    figure.savefig(path, dpi=120, metadata={"Software": None})


# %%
def main() -> None:
    """Do all runs, write the picture, print the tables."""
    parser = argparse.ArgumentParser(description="measure how long a dead gateway stays unnoticed")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path())
    asked = parser.parse_args()
    results = play_all(asked.seeds, asked.workers)
    plot(results, asked.out / "detection-times.png")
    print(table(results))
    print()
    print(knobs(results))


if __name__ == "__main__":
    main()
