"""What netsim costs: packet-hops a second beside its rivals, large worlds, captures, start-up, memory.

    python tests/benchmarks/bench_hops.py [--quick] [--json FILE]

Rates are of CPU time, the median of rounds that take turns with ns.py, so that a busy machine slows both alike: the
ratio is the result, absolute figures only illustrate. Prints a table and one JSON line; what could not be measured here
says why.

    h -- nat -- r1 -- r2 -- s        the way of all packets here: masquerading, two plain routers, idle cables
"""

from __future__ import annotations

import json
import random
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import measure
import rivals
from memory import weights

HELP = "import runpy, sys; sys.argv = ['netsim', '--help']; runpy.run_module('netsim', run_name='__main__')"
STARTS = {"import netsim": "import netsim", "netsim --help": HELP, "an empty interpreter": "pass"}
HOURS = {
    "an hour in which two hosts browse": ("tests/benchmarks/hour.yaml",),
    "an hour of dead-gateway.yaml": ("scenarios/dead-gateway.yaml", "1h"),
}
Rate = float | str


def rows(count: int) -> Mapping[str, Callable[[], Rate]]:
    """Return what is measured in turns, ns.py among it."""
    return {
        "ns.py Port + Wire": lambda: rivals.nspy(count, 72),
        "udp 72 B, 1 flow": lambda: measure.datagrams(count, 72),
        "udp 1460 B, 1 flow": lambda: measure.datagrams(count, 1460),
        "udp 72 B, 10 flows": lambda: measure.datagrams(count, 72, flows=10),
        "udp 72 B, 1,000 flows": lambda: measure.datagrams(max(count, 20_000), 72, flows=1000),
        "1 interface captured": lambda: measure.datagrams(count, 72, watch=measure.capturing("nat:wan0")),
        "all interfaces captured": lambda: measure.datagrams(count, 72, watch=measure.capturing("all")),
        "all records": lambda: measure.datagrams(count, 72, watch=measure.everything),
        "tcp, bulk": lambda: measure.bulk(count * 500),
        "10 nodes": lambda: measure.many_nodes(10, count),
        "1,000 nodes, 10 of them at work": lambda: measure.many_nodes(1000, count, 10),
        "1,000 nodes": lambda: measure.many_nodes(1000, count),
        "arp storm, hub of 100": lambda: measure.arp_storm(100, 2),
    }


def medians(measured: Mapping[str, Callable[[], Rate]], rounds: int) -> dict[str, Rate]:
    """Measure in turns; return each one's median, or why there is none."""
    answers: dict[str, list[Rate]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, act in measured.items():
            answers[name].append(act())
    found: dict[str, Rate] = {}
    for name, rates in answers.items():
        numbers = [rate for rate in rates if isinstance(rate, float)]
        found[name] = median(numbers) if numbers else rates[0]
    return found


def show(rates: Mapping[str, Rate]) -> None:
    """Print one line a rate, with its ratio to ns.py's."""
    base = rates["ns.py Port + Wire"]
    for name, rate in rates.items():
        if isinstance(rate, str):
            print(f"{name:36} not measured: {rate}")
            continue
        ratio = f"{rate / base:6.2f} x ns.py" if isinstance(base, float) else ""
        print(f"{name:36}{1e6 / rate:7.2f} us{rate:12,.0f} packet-hops/s  {ratio}")


def main() -> None:
    """Measure, print a table and a JSON line."""
    quick = "--quick" in sys.argv
    random.seed(1)
    count = 3_000 if quick else 20_000
    rates = medians(rows(count), 3 if quick else 5)
    rates["ns-3, CSMA with ARP"] = rivals.ns3(20_000, 72)
    rates["the kernel, in namespaces (wall)"] = rivals.kernel(50_000, 72)
    if not quick:
        rates["udp 72 B, 50,000 flows"] = measure.datagrams(100_000, 72, flows=50_000)
        rates["10,000 nodes, 10 of them at work"] = measure.many_nodes(10_000, 20_000, 10)
        rates["10,000 nodes"] = measure.many_nodes(10_000, 50_000)
    show(rates)
    starts = {name: measure.start_up(code) for name, code in STARTS.items()}
    for name, seconds in starts.items():
        print(f"{name:36}{seconds * 1e3:7.0f} ms")
    hours = {name: measure.whole_run(*what) for name, what in HOURS.items() if not quick or name.endswith("browse")}
    for name, seconds in hours.items():
        print(f"{name:36}{seconds:7.1f} s of CPU time")
    weighed = weights()
    for name, octets in weighed.items():
        print(f"{'a ' + name:36}{octets:7,.0f} B")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = json.dumps(
        {
            "rates": rates, "start_up_s": starts, "hours_s": hours, "octets": weighed, "datagrams": count,
            "peak_kib": peak,
        }
    )  # fmt: skip
    print(text)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
