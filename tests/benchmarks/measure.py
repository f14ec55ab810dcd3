"""What netsim carries: packet-hops a second of CPU time, in the worlds of worlds.py."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from worlds import chain, hub_of, pairs

from netsim import Lab
from netsim.observe.capture import Capture, resolve_points
from netsim.scenario.load import load
from netsim.scenario.runner import run_scenario
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import RECORD_TYPES
from netsim.units import NS_PER_S, ms, sec, us

Watch = Callable[[Bus], None]


def timed(lab: Lab, until: int) -> float:
    """Run a lab and return packet-hops a second of CPU time."""
    began, hops = time.process_time(), lab.world.hops
    lab.run(until=until)
    return (lab.world.hops - hops) / (time.process_time() - began)


def everything(bus: Bus) -> None:
    """Subscribe to every type of record."""
    bus.subscribe(RECORD_TYPES, lambda record: None)


def capturing(*points: str) -> Watch:
    """Return a watch that writes a pcapng of some of the chain's interfaces."""
    return lambda bus: (Capture(bus, resolve_points(points, {}), file=io.BytesIO()), None)[1]


def datagrams(count: int, size: int, *, flows: int = 1, watch: Watch | None = None) -> float:
    """Send `count` datagrams through the chain; flows send one after the other."""
    lab = Lab(chain(), bus_ready=watch)
    for at in range(0, flows, 1000):
        lab.flow(
            f"load{at}", source="h", to=f"s:{9 + at // 1000}", start=us(at) // 10, every=us(100) * flows,
            count=max(1, count // flows), size=size, flows=min(1000, flows - at),
        )  # fmt: skip
    return timed(lab, count * us(100) + NS_PER_S)


def bulk(octets: int) -> float:
    """Fetch one object over TCP through the chain, whose cables are 1 ms long and 100 Mbit/s fast."""
    topology = chain().model_dump(by_alias=True, exclude_unset=True)
    links = {name: {**link, "delay": "1ms", "rate": "100Mbit"} for name, link in topology["links"].items()}
    lab = Lab(Topology.model_validate({**topology, "links": links}))
    lab.flow("bulk", source="h", to="s:80", kind="tcp", size=octets)
    return timed(lab, sec(60))


def many_nodes(nodes: int, count: int, at_work: int = 0) -> float:
    """Let `at_work` nodes of so many, by default all, share `count` datagrams."""
    lab = Lab(pairs(nodes))
    at_work = at_work or nodes
    each = max(10, count // (at_work // 2))
    for at in range(0, at_work, 2):
        lab.flow(f"f{at}", source=f"n{at}", to=f"n{at + 1}", every=ms(1), start=us(at), count=each + 5, size=72)
    lab.run(until=ms(5))  # first packets resolve and are watched
    return timed(lab, ms(1) * (each + 6))


def arp_storm(hosts: int, rounds: int) -> float:
    """Let every host on a hub ping its neighbour with an empty neighbour table; return the slowest round."""
    lab = Lab(hub_of(hosts))
    for number in range(hosts):
        lab.flow(f"p{number}", kind="ping", source=f"n{number}", to=f"n{(number + 1) % hosts}", every=ms(100), count=1)
    rate = timed(lab, NS_PER_S)
    for _ in range(rounds - 1):
        for number in range(hosts):
            lab[f"n{number}"].sh("ip neigh flush all")
            lab.event("start", f"p{number}")
        rate = min(rate, timed(lab, lab.now + NS_PER_S))
    return rate


def whole_run(file: str, duration: str = "") -> float:
    """Return the seconds of CPU time that the run of a scenario takes, plots and files left out."""
    settings = {"duration": duration} if duration else {}
    scenario = load(Path(__file__).parents[2] / file, settings=settings)
    began = time.process_time()
    run_scenario(scenario)
    return time.process_time() - began


def start_up(code: str) -> float:
    """Return the seconds that a fresh interpreter takes for `code`, the best of three."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path[1:]])}
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
        best = min(best, time.perf_counter() - began)
    return best
