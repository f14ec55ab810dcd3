"""What things weigh: octets of the Python heap a node, neighbour, route, connection and record."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping

from worlds import chain, lone, pairs

from netsim import Lab
from netsim.trace.bus import Bus
from netsim.trace.records import FrameSent, Record
from netsim.units import NS_PER_S, us


def grown(act: Callable[[], object]) -> int:
    """Return by how many octets the heap is larger after `act`, whose answer is kept."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = act()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return after - before


def neighbours(count: int) -> int:
    """Fill a neighbour table."""
    lab = Lab(lone())
    box = lab["a"]
    box.sh(f"sysctl -w net.ipv4.neigh.default.gc_thresh3={2 * count}")
    lines = [f"ip neigh add 10.1.{n >> 8}.{n & 255} lladdr 02:00:00:00:00:01 dev eth0" for n in range(count)]
    return grown(lambda: [box.sh(line).rc for line in lines].count(0))


def routes(count: int) -> int:
    """Fill a routing table."""
    box = Lab(lone())["a"]
    lines = [f"ip route add 20.{n >> 8}.{n & 255}.0/24 via 10.0.0.2" for n in range(count)]
    return grown(lambda: [box.sh(line).rc for line in lines].count(0))


def connections(count: int) -> int:
    """Let `count` flows pass the chain's NAT router: three boxes track nothing, one does."""
    lab = Lab(chain())
    lab.flow("warm", source="h", to="s:9", count=5, every=us(100), size=72)
    lab.run(until=NS_PER_S)
    for at in range(0, count, 1000):
        lab.flow(f"f{at}", source="h", to=f"s:{10 + at // 1000}", start=NS_PER_S, every=us(100), count=1, flows=1000)
    return grown(lambda: lab.run(until=2 * NS_PER_S))


def records(count: int) -> int:
    """Keep a record of each frame sent, and its frame."""
    kept: list[Record] = []

    def watch(bus: Bus) -> None:
        bus.subscribe((FrameSent,), kept.append)

    lab = Lab(chain(), bus_ready=watch)
    lab.flow("load", source="h", to="s:9", count=count // 4, every=us(100), size=72)
    return grown(lambda: lab.run(until=NS_PER_S))


def weights() -> Mapping[str, float]:
    """Return octets a thing."""
    return {
        "node": grown(lambda: Lab(pairs(200))) / 200,
        "neighbour": neighbours(2000) / 2000,
        "route": routes(5000) / 5000,
        "connection (sockets, tracking, NAT)": connections(5000) / 5000,
        "record with its frame": records(4000) / 4000,
    }
