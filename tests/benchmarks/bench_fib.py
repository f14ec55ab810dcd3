"""How long the FIB's daily work takes: `python tests/benchmarks/bench_fib.py`. Not collected as a test.

A box has 50 tables with one rule each; the columns are for 100 and for 100,000 routes in them. A lookup among many may
cost at most twice one among few (tests/unit/stack/fib/test_scale.py holds it in Python calls).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from netsim.addr import Prefix, parse_ip
from netsim.stack.fib.flow import FlowKey
from netsim.stack.netns import Netns
from netsim.stack.profile import KERNELS, profile
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NewAddr,
    NewLink,
    NewRoute,
    NewRule,
    NexthopSpec,
    RuleSpec,
    SetLink,
    SetSysctl,
)
from netsim.stack.skb import IPPROTO_UDP, Skb
from netsim.wire.ipv4 import build_ipv4

TABLES = 50
COUNTS = (100, 100_000)
WORLD = parse_ip("20.0.0.0")
HOST = parse_ip("10.0.0.9")


def make_box(kernel: str) -> Netns:
    box = Netns("r", profile(kernel), random.Random(1))
    box.request(SetLink(dev="lo", up=True), now=0)
    for number in range(2):
        box.request(NewLink(name=f"eth{number}"), now=0)
        box.request(NewAddr(dev=f"eth{number}", local=parse_ip(f"10.0.{number}.2"), plen=24), now=0)
        box.request(SetLink(dev=f"eth{number}", up=True), now=0)
    box.request(SetSysctl(key="net.ipv4.ip_forward", value="1"), now=0)
    return box


def add_routes(box: Netns, count: int) -> None:
    for number in range(count):
        dst = Prefix(WORLD + number // TABLES * 256, 24)
        path = NexthopSpec(via=parse_ip(f"10.0.{number % 2}.{3 + number % 200}"), dev=f"eth{number % 2}")
        table = 100 + number % TABLES
        request = NewRoute(flags=NLM_F_CREATE | NLM_F_EXCL, dst=dst, table=table, nexthops=(path,))
        box.request(request, now=0)


def add_rules(box: Netns) -> None:
    for number in range(TABLES):
        src = Prefix(parse_ip(f"172.16.{number}.0"), 24)
        box.request(NewRule(rule=RuleSpec(priority=1000 + number, src=src, table=100 + number)), now=0)


def per_call(action: Callable[[int], object], rounds: int) -> float:
    """Return microseconds a call."""
    start = time.perf_counter()
    for number in range(rounds):
        action(number)
    return (time.perf_counter() - start) / rounds * 1e6


def measure(kernel: str, count: int) -> dict[str, float]:
    """Return each line's microseconds."""
    box = make_box(kernel)
    lines = {"add a route": per_call(lambda _: add_routes(box, count), 1) / count}
    add_rules(box)
    dev = box.interfaces.named("eth0")
    spread = max(count // TABLES, 1)
    keys = [
        FlowKey(WORLD + number % spread * 256 + 1, parse_ip(f"172.16.{number % TABLES}.5"), 0, 0, dev.ifindex)
        for number in range(1000)
    ]
    lines["ask by 50 rules"] = per_call(lambda number: box.fib.ask(keys[number % 1000]), 20_000)
    skb = Skb(bytearray(build_ipv4(HOST, WORLD + 1, IPPROTO_UDP, 8) + bytes(8)), dev)
    lines["input of a known flow"] = per_call(
        lambda _: box.router.input(WORLD + 1, HOST, 0, dev, now=0, skb=skb), 100_000
    )
    lines["output, unbound"] = per_call(lambda _: box.router.output(parse_ip("10.0.0.9"), now=0), 20_000)
    lines["add an address"] = per_call(
        lambda number: box.request(NewAddr(dev="eth0", local=parse_ip(f"10.7.{number}.1"), plen=24), now=0), 50
    )
    lines["a device goes down"] = per_call(lambda _: box.request(SetLink(dev="eth1", up=False), now=0), 1)
    return lines


def main() -> None:
    for kernel in KERNELS:
        few, many = (measure(kernel, count) for count in COUNTS)
        print(f"{kernel:24} {'us, 100 routes':>16} {'us, 100,000':>16}")
        for name, value in few.items():
            print(f"  {name:22} {value:16.2f} {many[name]:16.2f}")


if __name__ == "__main__":
    main()
