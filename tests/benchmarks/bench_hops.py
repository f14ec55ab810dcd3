"""What netsim costs: packet-hops a second beside ns.py, many flows, large worlds, an ARP storm, starting up.

    python tests/benchmarks/bench_hops.py [--quick] [--json FILE]

Rates are of CPU time, the best of rounds that take turns with ns.py, so that a busy machine slows both alike: the ratio
is the result, absolute figures only illustrate. ns.py (PyPI `ns.py`) runs as many Port + Wire elements, without
headers, routing, ARP or NAT. Prints a table and one JSON line.

    h -- nat -- r1 -- r2 -- s        the way of all packets here: masquerading, two plain routers, idle cables
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netsim import Lab
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import RECORD_TYPES
from netsim.units import NS_PER_S, ms, us

HOPS = 4
HELP = "import runpy, sys; sys.argv = ['netsim', '--help']; runpy.run_module('netsim', run_name='__main__')"


def chain() -> Topology:
    """Return h -- nat -- r1 -- r2 -- s on idle cables of infinite rate."""
    nodes = {
        "h": {"addr": {"eth0": ["192.168.0.3/24"]}, "default": "192.168.0.1"},
        "nat": {
            "addr": {"lan0": ["192.168.0.1/24"], "wan0": ["10.0.1.2/24"]},
            "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        },
        "r1": {"addr": {"eth0": ["10.0.1.1/24"], "eth1": ["10.0.2.1/24"]}, "default": "10.0.2.2"},
        "r2": {
            "addr": {"eth0": ["10.0.2.2/24"], "eth1": ["10.0.3.1/24"]},
            "run": "ip route add 10.0.1.0/24 via 10.0.2.1",
        },
        "s": {"addr": {"eth0": ["10.0.3.2/24"]}, "default": "10.0.3.1"},
    }
    links = {
        "a": {"ends": ["h:eth0", "nat:lan0"]}, "b": {"ends": ["nat:wan0", "r1:eth0"]},
        "c": {"ends": ["r1:eth1", "r2:eth0"]}, "d": {"ends": ["r2:eth1", "s:eth0"]},
    }  # fmt: skip
    return Topology.model_validate({"nodes": nodes, "links": links})


def line_of(nodes: int) -> Topology:
    """Return pairs of hosts, each pair on a cable: a large world in which every node is at work."""
    names = [f"n{number}" for number in range(nodes)]
    made = {
        name: {"addr": {"eth0": f"10.{number // 2 // 250}.{number // 2 % 250}.{number % 2 + 1}/24"}}
        for number, name in enumerate(names)
    }
    links = {f"c{at}": {"ends": [f"{names[at]}:eth0", f"{names[at + 1]}:eth0"]} for at in range(0, nodes, 2)}
    return Topology.model_validate({"nodes": made, "links": links})


def hub_of(hosts: int) -> Topology:
    """Return hosts on one hub."""
    nodes = {f"n{number}": {"addr": {"eth0": f"10.0.0.{number + 1}/24"}} for number in range(hosts)}
    links = {"hub": {"ends": [f"{name}:eth0" for name in nodes], "kind": "hub"}}
    return Topology.model_validate({"nodes": nodes, "links": links})


def timed(lab: Lab, until: int) -> float:
    """Run a lab and return packet-hops a second of CPU time."""
    began, hops = time.process_time(), lab.world.hops
    lab.run(until=until)
    return (lab.world.hops - hops) / (time.process_time() - began)


def netsim_rate(datagrams: int, size: int, *, traced: bool = False, flows: int = 1) -> tuple[float, int, int]:
    """Return packet-hops a second of the chain, hops, and simpy events; flows send one after the other."""

    def subscribe(bus: Bus) -> None:
        if traced:
            bus.subscribe(RECORD_TYPES, lambda record: None)

    lab = Lab(chain(), bus_ready=subscribe)
    for at in range(0, flows, 1000):
        lab.flow(
            f"load{at}", source="h", to=f"s:{9 + at // 1000}", start=us(at) // 10, every=us(100) * flows,
            count=max(1, datagrams // flows), size=size, flows=min(1000, flows - at),
        )  # fmt: skip
    rate = timed(lab, datagrams * us(100) + NS_PER_S)
    return rate, lab.world.hops, lab.env.events_run


def nspy_rate(packets: int, size: int) -> float | None:
    """Return the same for ns.py's elements, None where it is not installed."""
    try:
        import simpy
        from ns.packet.dist_generator import DistPacketGenerator
        from ns.packet.sink import PacketSink
        from ns.port.port import Port
        from ns.port.wire import Wire
    except ImportError:
        return None
    env = simpy.Environment()
    source = DistPacketGenerator(env, "load", lambda: 1e-4, lambda: size, finish=packets * 1e-4)
    sink = PacketSink(env, rec_flow_ids=False)
    out = source
    for _ in range(HOPS):
        port = Port(env, 1e12)
        wire = Wire(env, lambda: 1e-6)
        out.out = port
        port.out = wire
        out = wire
    out.out = sink
    began = time.process_time()
    env.run(until=packets * 1e-4 + 1)
    return source.packets_sent * HOPS / (time.process_time() - began)


def world_rate(nodes: int, datagrams: int) -> float:
    """Return packet-hops a second when `nodes` nodes share `datagrams` datagrams."""
    lab = Lab(line_of(nodes))
    each = max(10, datagrams // (nodes // 2))
    for at in range(0, nodes, 2):
        lab.flow(f"f{at}", source=f"n{at}", to=f"n{at + 1}", every=ms(1), start=us(at), count=each + 5, size=72)
    lab.run(until=ms(5))  # first packets resolve and are watched
    return timed(lab, ms(1) * (each + 6))


def storm_rate(hosts: int, rounds: int) -> float:
    """Return packet-hops a second when every host on a hub pings its neighbour with an empty neighbour table."""
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


def rates(datagrams: int, rounds: int) -> tuple[dict[str, float], float | None]:
    """Measure the chain's rows and ns.py in turns; return the best of each."""
    rows: dict[str, Callable[[], float]] = {
        "udp 72 B, 1 flow": lambda: netsim_rate(datagrams, 72)[0],
        "udp 1460 B, 1 flow": lambda: netsim_rate(datagrams, 1460)[0],
        "udp 72 B, 1 flow, all records": lambda: netsim_rate(datagrams, 72, traced=True)[0],
        "udp 72 B, 10 flows": lambda: netsim_rate(datagrams, 72, flows=10)[0],
        "udp 72 B, 1,000 flows": lambda: netsim_rate(max(datagrams, 20_000), 72, flows=1000)[0],
    }
    best: dict[str, float] = {}
    other: float | None = None
    for _ in range(rounds):
        for name, measure in rows.items():
            best[name] = max(best.get(name, 0.0), measure())
        rate = nspy_rate(datagrams, 72)
        other = rate if other is None or rate is None else max(other, rate)
    return best, other


def main() -> None:
    """Measure, print a table and a JSON line."""
    quick = "--quick" in sys.argv
    random.seed(1)
    datagrams = 3_000 if quick else 20_000
    rows, nspy = rates(datagrams, 2 if quick else 4)
    if not quick:
        rows["udp 72 B, 50,000 flows"] = netsim_rate(100_000, 72, flows=50_000)[0]
    rows["10 nodes"] = world_rate(10, datagrams)
    rows["1,000 nodes"] = world_rate(1000, datagrams)
    rows["arp storm, hub of 100"] = storm_rate(100, 2)
    for name, rate in rows.items():
        ratio = f"{rate / nspy:6.2f} x ns.py" if nspy else ""
        print(f"{name:32}{1e6 / rate:7.2f} us{rate:12,.0f} packet-hops/s  {ratio}")
    print(f"{'ns.py Port + Wire':32}{1e6 / nspy if nspy else 0:7.2f} us{nspy or 0:12,.0f} packet-hops/s")
    starts = {
        "import netsim": start_up("import netsim"),
        "netsim --help": start_up(HELP),
        "an empty interpreter": start_up("pass"),
    }
    for name, seconds in starts.items():
        print(f"{name:32}{seconds * 1e3:7.0f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = json.dumps({"netsim": rows, "nspy": nspy, "start_up_s": starts, "datagrams": datagrams, "peak_kb": peak})
    print(text)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
