"""How long 2.4 takes to notice a dead gateway: the recorded distribution of 300 runs, met by 300 of ours.

Early trees (2.4.17) look at a REACHABLE entry every 30 s, late ones (2.4.35) at each hash chain every 15 s; 2.4.32
never notices. A two-sample Kolmogorov-Smirnov distance of 0.16 is the 0.1 percent level for two samples of 300.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from netsim.addr import parse_ip
from netsim.stack.dst import RTN_UNICAST, Route
from netsim.stack.nud_states import NUD_FAILED
from netsim.stack.profile.neigh import LINUX_24, LINUX_24_32, LINUX_24_35
from netsim.stack.skb import Skb
from netsim.units import NS_PER_MS, sec, seconds

DATA = Path(__file__).parents[3] / "data" / "neigh-2.4" / "9_dead_gateway_distribution.json.gz"
ERAS = {"2.4.17": LINUX_24, "2.4.32": LINUX_24_32, "2.4.35": LINUX_24_35}
PEER, OURS = "02:00:00:00:00:02", "02:00:00:00:00:01"
TICK = 10 * NS_PER_MS


def recorded():
    with gzip.open(DATA, "rt") as lines:
        return json.load(lines)


def seconds_to_failed(tools, era, spacing, confirmed, seed):
    """One run: the peer answers ARP until it falls silent between 600 and 1200 s; traffic every `spacing`."""
    rng = random.Random(f"silence/{seed}")
    bench = tools.Bench(era=era, seed=seed)
    dev = bench.device("eth0", OURS, "10.0.0.1/24")
    route = Route(RTN_UNICAST, dev, 0, 0, 0, 0)
    silent_at = sec(600) + rng.randrange(0, 60_000) * TICK
    at = (silent_at - sec(500) if spacing < sec(1) else sec(1)) + rng.randrange(0, spacing // TICK) * TICK
    bench.run(at)
    host = parse_ip("10.0.0.2")
    bench.table.hold(route, host, now=at)
    skb = Skb(tools.build_packet(1, "10.0.0.1", "198.51.100.1"))
    skb.route = route
    while at < silent_at + sec(300):
        while (due := bench.timers.next()) is not None and due <= at:
            bench.run(due)
            answer(bench, dev, due, silent_at)
            if due > silent_at and bench.table.state(dev, host) == NUD_FAILED:
                return seconds(due - silent_at)
        bench.table.output(skb, dev, host, now=at)
        answer(bench, dev, at, silent_at)
        if confirmed and at < silent_at:
            bench.table.confirm(dev, host, now=at)
        at += spacing
    return None


def answer(bench, dev, at, silent_at):
    for event in bench.take():
        if event[0] == "arp" and at < silent_at:
            bench.now = at
            bench.reply(dev, PEER, "10.0.0.2")
            bench.take()


def distance(ours, theirs):
    """The Kolmogorov-Smirnov distance of two samples."""
    points = sorted({*ours, *theirs})
    return max(
        abs(sum(x <= p for x in ours) / len(ours) - sum(x <= p for x in theirs) / len(theirs)) for p in points
    )  # fmt: skip


def times(case):
    """The recorded seconds from silence to FAILED, None where it never came."""
    return case["to_failed"] if "to_failed" in case else [run["to_failed"] for run in case["runs"]]


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(name for name in recorded() if name.split("/")[0] in ERAS))
def test_the_time_to_notice_a_dead_gateway_is_distributed_as_recorded(bench_tools, case):
    """2.4.27's cases are 2.4.17's."""
    era, mode = case.split("/")
    spacing = sec(mode.removeprefix("forwarded_every_").removesuffix("s")) if "every" in mode else sec("0.1")
    theirs = times(recorded()[case])
    ours = [seconds_to_failed(bench_tools, ERAS[era], spacing, mode == "confirmed", n) for n in range(len(theirs))]
    if None in theirs:
        assert {None} == set(theirs) == set(ours)  # 2.4.32 never leaves REACHABLE by time
        return
    far = distance(ours, theirs)
    print(f"{case}: KS distance {far:.3f}; ours {min(ours):.2f} .. {max(ours):.2f}")
    assert far < 0.16
