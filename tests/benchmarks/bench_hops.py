"""Packet-hops a second: host, NAT router, router, router, host, with the whole stack in the path, beside ns.py.

    python tests/benchmarks/bench_hops.py [DATAGRAMS]

Prints a table and one JSON line. The ratio is the result: absolute figures only illustrate, and machines are noisy.
ns.py (PyPI `ns.py`) runs the same number of Port + Wire elements, without headers, routing, ARP or NAT.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import time

from netsim import Lab
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import RECORD_TYPES
from netsim.units import NS_PER_S, us

HOPS = 4


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


def netsim_rate(datagrams: int, size: int, *, traced: bool = False, flows: int = 1) -> tuple[float, int, int]:
    """Return packet-hops a second of the event loop, hops, and simpy events."""

    def subscribe(bus: Bus) -> None:
        if traced:
            bus.subscribe(RECORD_TYPES, lambda record: None)

    lab = Lab(chain(), bus_ready=subscribe)
    lab.flow("load", kind="udp", source=["h"], to=["s"], start=0, every=us(100), count=datagrams // flows, size=size,
             flows=flows)  # fmt: skip
    began = time.perf_counter()
    lab.run(until=datagrams * us(100) + NS_PER_S)
    return lab.world.hops / (time.perf_counter() - began), lab.world.hops, lab.env.events_run


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
    began = time.perf_counter()
    env.run(until=packets * 1e-4 + 1)
    return source.packets_sent * HOPS / (time.perf_counter() - began)


def main() -> None:
    """Measure, print a table and a JSON line."""
    datagrams = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    random.seed(1)
    rows: dict[str, float] = {}
    for name, size, options in (
        ("udp 72 B", 72, {}), ("udp 1460 B", 1460, {}), ("udp 72 B, 1000 flows", 72, {"flows": 1000}),
        ("udp 72 B, all records", 72, {"traced": True}),
    ):  # fmt: skip
        rows[name] = statistics.median(netsim_rate(datagrams, size, **options)[0] for _ in range(3))
    other = [nspy_rate(datagrams, 72) for _ in range(3)]
    nspy = statistics.median(rate for rate in other if rate is not None) if all(other) else None
    for name, rate in rows.items():
        ratio = f"{rate / nspy:6.2f} x ns.py" if nspy else ""
        print(f"{name:28}{rate:12,.0f} packet-hops/s  {ratio}")
    print(f"{'ns.py Port + Wire':28}{nspy or 0:12,.0f} packet-hops/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"netsim": rows, "nspy": nspy, "datagrams": datagrams, "peak_kb": peak}))


if __name__ == "__main__":
    main()
