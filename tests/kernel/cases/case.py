"""A recorded case: its input, and what the kernel did with it, reduced (see reduce.py for the shape)."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DATA = Path(__file__).parents[2] / "data" / "linux-cases"

SNAPS = {
    "link": ["ip -br link"],
    "addr": ["ip -j addr show", "ip addr show"],
    "neigh": ["ip neigh show", "ip -j neigh show", "ip -s neigh show"],
    "route": ["ip route show table all", "ip -j route show table all"],
    "rmain": ["ip route show"],
    "rule": ["ip rule show", "ip -j rule show"],
    "conntrack": ["conntrack -L -o extended", "conntrack -L"],
    "ctstat": ["conntrack -S", "conntrack -C"],
    "nat": ["iptables -t nat -S", "iptables -t nat -L -n -v"],
    "filter": ["iptables -S"],
    "mangle": ["iptables -t mangle -S"],
    "ntable": ["ip ntable show name arp_cache", "ip -j ntable show name arp_cache"],
}
"""What a snapshot's words stand for; any other word is a command itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A recorded or played packet at an interface: seconds, "out" or "in", link addresses, the recorder's line."""

    t: float
    way: str
    to: str
    line: str
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Case:
    """One case. `at` holds the instants of each timeline action as they happened, `frames` the octets of `frame:`.

    `interval` is the time between two looks at the neighbours."""

    name: str
    nodes: dict[str, Any]
    segments: dict[str, str]
    ifaces: dict[str, dict[str, str]]
    setup: dict[str, list[Any]]
    services: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    duration: float
    at: list[list[float]]
    frames: dict[int, bytes]
    answers: list[dict[str, Any]]
    events: list[dict[str, Any]]
    snapshots: list[dict[str, Any]]
    packets: dict[str, list[Packet]]
    interval: float

    def of(self, *kinds: str, node: str = "") -> list[dict[str, Any]]:
        """Return the recorded events of these kinds."""
        return [e for e in self.events if e["kind"] in kinds and node in ("", e.get("node"))]


@cache
def load(name: str) -> Case:
    """Read a case by the name of its files; nobody changes it."""
    given = yaml.load((DATA / f"{name}.yaml").read_text(), LOADER)
    with gzip.open(DATA / f"{name}.json.gz", "rt") as stream:
        seen = json.load(stream)
    return Case(
        name=name, nodes={node: options or {} for node, options in given["nodes"].items()},
        segments={seg: kind if isinstance(kind, str) else kind["type"] for seg, kind in given["segments"].items()},
        ifaces=given["ifaces"], setup=given.get("setup") or {}, services=given.get("services") or [],
        timeline=given["timeline"], duration=given["duration"], at=seen["at"],
        frames={int(index): bytes.fromhex(octets) for index, octets in seen["frames"].items()},
        answers=seen["setup"], events=seen["events"], snapshots=seen["snapshots"],
        packets={
            iface: [Packet(t=t, way=way, to=to, line=line, more=more) for t, way, to, line, more in rows]
            for iface, rows in seen["packets"].items()
        },
        interval=given.get("observe", {}).get("nudpoll", {}).get("interval", 0.01),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What fit.py found of the recorded machine: where its jiffies stood, and the reachable times it had drawn."""

    phase: int
    reachable: dict[str, int]


def fit(name: str) -> Fit:
    """Return a case's fit."""
    return Fit(**json.loads((DATA / "fits.json").read_text())[name])
