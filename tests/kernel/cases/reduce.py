"""Make tests/data/linux-cases from recordings: python reduce.py RECORDINGS_DIR. Development tool, not run by tests.

A recording keeps its set-up answers, events (without `ip monitor`), snapshots, and of each packet the instant, the
direction, the destination MAC, the recorder's one-line text and a few header fields. Two things are worked out:
`at`, when each action of the timeline really happened, and `frames`, the octets behind the scapy expressions.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import yaml

OUT = Path(__file__).parents[2] / "data" / "linux-cases"


class Finder:
    """Looks for what an action left in a recording; each event answers for one action only."""

    def __init__(self, seen):
        self.events = seen["events"]
        self.packets = seen["packets"]
        self.used = set()

    def event(self, near, node, kinds, **facts):
        """Return the instant of the first unused event of the node from `near` on, None if there is none soon."""
        for index, e in enumerate(self.events):
            fits = e.get("node") == node and e["kind"] in kinds and near - 0.02 <= e["t"] < near + 0.6
            if fits and index not in self.used and all(e.get(key, value) == value for key, value in facts.items()):
                self.used.add(index)
                return e["t"]
        return None

    def lines(self, due, node, kind, key, lines):
        """Return the instants of commands that ran one after the other."""
        times = []
        for line in lines if isinstance(lines, list) else [lines]:
            found = self.event(due, node, (kind,), **{key: line})
            due = due if found is None else found
            times.append(due)
        return times

    def packet(self, near, node, text):
        """Return when the node first sent a packet like this."""
        return min(
            (
                p["t"]
                for iface, packets in self.packets.items()
                if iface.startswith(node + ".")
                for p in packets
                if p["dir"] == "out" and near - 0.02 <= p["t"] < near + 0.3 and text in p["s"]
            ),
            default=None,
        )

    def action(self, action):
        """Find when an action happened: the event it left, else the packet it sent, else the instant it was due."""
        due, node = float(action["t"]), action.get("node")
        if "cmd" in action:
            return self.lines(due, node, "cmd", "cmd", action["cmd"])
        if "get" in action:
            return self.lines(due, node, "route_get", "q", action["get"])
        found = None
        if "udp" in action:
            o = action["udp"]
            target = (
                {"dst": o["dst"]} if o.get("connect") else {"dst": f"{o['dst']}:{o['dport']}", "sport": o.get("sport")}
            )
            found = self.event(due, node, ("udp_connect",) if o.get("connect") else ("udp_tx",), **target)
            if found is None:
                found = self.packet(due, node, f"UDP {o.get('sport', '')}>{o['dport']}")
        elif "udp_flows" in action:
            o = action["udp_flows"]
            words = {"udp": f"UDP {o.get('sport', '')}>", "icmp": f"echo-request id {o.get('id', 1)} "}
            found = self.packet(due, node, words.get(o.get("proto", "udp"), f"TCP {o.get('sport', '')}>"))
        elif "snap" not in action:
            kind = next(k for k in VERBS if k in action)
            facts = {"id": action["tcp"].get("id", "c")} if kind == "tcp" else {}
            found = self.event(due, node, (VERBS[kind],), **facts)
            if kind == "ping":
                began = self.packet(due, node, f"> {str(action['ping']).split()[-1]} ttl 64 ICMP echo-request")
                found = found if began is None else began
        return [due if found is None else found]


VERBS = {
    "icmp": "icmp_tx", "ping": "ping_start", "tcp": "tcp_connect", "frame": "frame", "link_down": "link_down",
    "link_up": "link_up", "port_down": "port_down", "port_up": "port_up", "port_block": "port_block",
    "port_unblock": "port_unblock",
}  # fmt: skip
"""Each verb and the kind of event that tells it began."""


def instants(given, seen):
    """Return when each action of the timeline happened, one instant a command."""
    finder = Finder(seen)
    return [[round(t, 6) for t in finder.action(action)] for action in given["timeline"]]


def row(packet):
    more = {}
    ip = packet.get("ip", {})
    if ip.get("frag", 0) & 0x4000:
        more["df"] = 1
    if "inner" in ip:
        more |= {"tos": ip["tos"], "quoted": ip["icmp"]["inner_len"]}
    if "tcp" in ip:
        more |= {"seq": ip["tcp"]["seq"], "ack": ip["tcp"].get("ack"), "win": ip["tcp"].get("win")}
    for part in (ip, ip.get("udp", {}), ip.get("tcp", {}), ip.get("icmp", {})):
        if part.get("csum_ok") is False:
            more["bad"] = 1
    return [packet["t"], packet["dir"], packet["dst_mac"], packet["s"], more]


def frames(given):
    import scapy.all

    names = dict(vars(scapy.all))
    return {
        index: bytes(eval(action["frame"], names)).hex()  # the recorder's own expressions, read from its input
        for index, action in enumerate(given["timeline"])
        if "frame" in action
    }


def main(source):
    for path in sorted(source.glob("*.yaml")):
        given = yaml.safe_load(path.read_text())
        with gzip.open(path.with_suffix(".json.gz"), "rt") as stream:
            seen = json.load(stream)
        kept = {
            "versions": seen["versions"],
            "setup": seen["setup"],
            "at": instants(given, seen),
            "frames": frames(given),
            "events": [e for e in seen["events"] if e["kind"] not in ("monitor", "late", "frame")],
            "snapshots": seen["snapshots"],
            "packets": {iface: [row(p) for p in packets] for iface, packets in seen["packets"].items()},
        }
        shutil.copyfile(path, OUT / path.name)
        text = json.dumps(kept, separators=(",", ":")).encode()
        (OUT / f"{path.stem}.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
