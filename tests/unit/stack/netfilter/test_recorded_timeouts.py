"""The real kernel's conntrack, frame by frame: case m1 (6.18), frames injected on both sides of a masquerading router.

Source: linux-cases/m1_conntrack_timeouts. Frames, listings and events are the recording's; event order among entries of
one flush is the hash table's and is not compared.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from netsim.stack.netfilter.ct_requests import FlushConntrack
from netsim.units import sec

CASE = json.loads(
    gzip.decompress((Path(__file__).parents[3] / "data/netfilter/m1_conntrack_timeouts.json.gz").read_bytes())
)


def octets(kit, op) -> bytes:
    args, payload = op["args"], op["payload"].encode()
    if op["proto"] == "tcp":
        return kit.tcp(
            op["src"], int(args["sport"]), op["dst"], int(args["dport"]), args["flags"], int(args["seq"]),
            int(args["ack"]), payload, int(args["window"]),
        )  # fmt: skip
    if op["proto"] == "udp":
        return kit.udp(op["src"], int(args["sport"]), op["dst"], int(args["dport"]), payload)
    return kit.icmp(op["src"], op["dst"], int(args["type"]), int(args["id"]), payload)


def test_lists_and_events_equal_the_real_kernels_after_each_frame(kit, router):
    router.add_address("lan0", "192.168.0.2")
    events = []
    for op in CASE:
        now = sec(op["t"])
        if op["op"] == "frame":
            router.receive(octets(kit, op), op["dev"], now)
        elif op["op"] == "flush":
            router.nf.request(FlushConntrack(), now=now)
        elif op["op"] == "list":
            assert sorted(op["lines"]) == sorted(router.listing(now)), op["t"]
        events += router.events()
    recorded = [op["line"] for op in CASE if op["op"] == "event"]
    assert sorted(recorded) == sorted(f"[{line.replace(' ', '] ', 1)}" for line in events)
