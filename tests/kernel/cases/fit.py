"""Find what a recording does not tell: where the kernel's jiffies stood, and each device's drawn reachable_time.

python fit.py CASE: prints the JSON line that belongs into tests/data/linux-cases/fits.json. Development tool.

An entry that became REACHABLE by a reply at instant c leaves it when the wheel gets to c + reachable_time. The replies
are in the capture, the leaving lies between two polls: the phase and the times are searched for that miss these windows
least, the phase one for the whole machine. A reachable_time that `ip ntable` printed is taken as printed.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable

from cases.case import Case, load

JIFFY = 4
PHASES = 2048
"""Phases tried, in ms: a grain of the wheel's level for 2 to 16 s is 512 jiffies."""
Row = tuple[str, float, float, float]
"""Interface, when a timer was armed, the earliest and latest instant it fired; all in ms."""


def looked(case: Case) -> float:
    """Return the longest time between two polls, in ms."""
    return 1000 * case.interval + 4


def stays(case: Case) -> list[Row]:
    """Return each REACHABLE period that a timer ended."""
    out = []
    open_: dict[tuple[str, str], float] = {}
    replies = defaultdict(list)
    for iface, packets in case.packets.items():
        for p in packets:
            found = re.match(r"ARP reply (\S+) is-at", p.line)
            if found and p.way == "in":
                replies[iface, found[1]].append(p.t)
    for event in case.of("nud"):
        key = (event["node"], event["ip"])
        iface = f"{event['node']}.{event['dev']}"
        if event["state"] == "REACHABLE":
            near = [t for t in replies[iface, event["ip"]] if event["t"] - 0.05 <= t <= event["t"]]
            if near:
                open_[key] = near[-1]
            else:
                open_.pop(key, None)
        elif event["state"] in ("STALE", "DELAY") and event.get("prev") == "REACHABLE" and key in open_:
            t = event["t"] * 1000
            out.append((iface, open_.pop(key) * 1000, t - looked(case), t))
    return out


def delays(case: Case) -> list[tuple[int, Row]]:
    """Return each DELAY period that ended in a unicast request, with its length in jiffies: both ends are packets."""
    out = []
    for event in case.of("nud"):
        if event["state"] != "DELAY" or event.get("prev") == "REACHABLE":
            continue
        iface, t = f"{event['node']}.{event['dev']}", event["t"]
        sent = [p for p in case.packets.get(iface, ()) if p.way == "out" and p.to == event["lladdr"]]
        first = [p.t for p in sent if t - looked(case) / 1000 <= p.t <= t and "ARP" not in p.line]
        short = f"sysctl -w net.ipv4.neigh.{event['dev']}.delay_first_probe_time=1" in case.setup.get(event["node"], ())
        length = 1.0 if short else 5.0
        asked = [p.t for p in sent if f"who-has {event['ip']} " in p.line and t < p.t < t + 1.2 * length]
        if first and asked:
            out.append((int(length * 250), (iface, first[0] * 1000, asked[0] * 1000 - 4, asked[0] * 1000 + 1)))
    return out


def tries(case: Case) -> list[tuple[int, Row]]:
    """Return each pair of neighbouring broadcast requests for one address, with the jiffies between."""
    out = []
    for iface, packets in case.packets.items():
        node, dev = iface.split(".")
        last: dict[str, float] = {}
        setup = " ".join(line for line in case.setup.get(node, ()) if isinstance(line, str))
        found = re.search(rf"neigh.{dev}.retrans_time_ms=(\d+)", setup)
        length = -(-int(found[1]) // JIFFY) if found else 250
        for p in packets:
            asked = re.match(r"ARP who-has (\S+) tell", p.line)
            if asked and p.way == "out" and "bcast" in p.line:
                before = last.get(asked[1], 0.0)
                if length > 100 and 0 < p.t - before < 1.2:
                    out.append((length, (iface, before * 1000, p.t * 1000 - 4, p.t * 1000 + 1)))
                last[asked[1]] = p.t
    return out


def fires(start: float, length: int, phase: int) -> float:
    """When a timer of `length` jiffies armed at `start` fires. See netsim.kernel.ticks."""
    expires, grain = int((start + phase) // JIFFY) + length, 1
    while length >= 63 * grain:
        grain *= 8
    return (expires // grain + 1) * grain * JIFFY - phase


def printed(case: Case) -> dict[str, int]:
    """Return the reachable times that `ip ntable` printed."""
    out = {}
    for snap in case.snapshots:
        for line, text in snap["data"].items():
            if "ntable" in line and " -j " in line and isinstance(text, str):
                for entry in json.loads(text):
                    if entry.get("dev", "lo") != "lo":
                        out[f"{snap['node']}.{entry['dev']}"] = entry["reachable"]
    return out


def miss(length: int, phase: int, rows: Iterable[Row]) -> float:
    """Return by how many ms a length misses the windows; an outlier (a confirmation by TCP) counts 100 at most."""
    total = 0.0
    for _, start, low, high in rows:
        at = fires(start, length, phase)
        total += min(100.0, max(0.0, low - at, at - high))
    return total


def main(name: str) -> None:
    """Search, and print."""
    case = load(name)
    by_dev = defaultdict(list)
    for row in stays(case):
        by_dev[row[0]].append(row)
    known, asked = printed(case), delays(case) + tries(case)
    best = None
    for phase in range(PHASES):
        total, times = sum(miss(length, phase, (row,)) for length, row in asked), {}
        for iface, rows in by_dev.items():
            if best is not None and total > best[0]:
                break
            if iface in known:
                total += miss(known[iface] // JIFFY, phase, rows)
                continue
            shortest = min(high - start for _, start, _, high in rows)
            lengths = range(int(shortest / 1.14 / JIFFY) - 8, int(shortest / JIFFY) + 2)
            tried = [(miss(n, phase, rows), n) for n in lengths]
            least = min(tried)[0]
            fitting = [n for cost, n in tried if cost == least]
            total += least
            times[iface] = fitting[len(fitting) // 2] * JIFFY
        if best is None or total < best[0]:
            best = (total, phase, times)
    assert best is not None
    print(json.dumps({name: {"phase": best[1], "reachable": {**best[2], **known}}}))
    print(
        f"# {len(asked)} delays and tries, {sum(map(len, by_dev.values()))} stays, missed by {best[0]:.0f} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(sys.argv[1])
