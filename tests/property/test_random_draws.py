"""What Linux draws at random, drawn by the emulator: the same distribution, by Kolmogorov and Smirnov.

The samples of a real kernel lie in tests/data/linux-6/drawn-at-random.json: the reachable_time of 300 devices of base
30 s as they appeared, and how long 250 ARP requests for proxied addresses waited with proxy_delay 800 ms.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path

import pytest
from scapy.layers.l2 import ARP, Ether

from netsim.lab import Lab
from netsim.topology.model import Topology
from netsim.trace.records import FrameSent
from netsim.units import NS_PER_MS, ms, sec

SAMPLES = json.loads((Path(__file__).parents[1] / "data" / "linux-6" / "drawn-at-random.json").read_text())
SEEDS = range(1, 201)
SURE = 1.95
"""c(alpha) for alpha 0.001: of a thousand right emulators one would fail, and seeds make it the same every time."""
ROUTER = Topology.model_validate(
    {
        "nodes": {
            "r": {
                "addr": {"eth0": "10.0.0.1/24", "eth1": "10.1.0.1/16"},
                "run": "sysctl -w net.ipv4.conf.eth0.proxy_arp=1\nsysctl -w net.ipv4.neigh.eth0.proxy_qlen=1000",
            },
            "a": {"addr": {"eth0": "10.0.0.2/24"}},
        },
        "links": {"l0": {"ends": ["a:eth0", "r:eth0"]}},
    }
)


def farthest_apart(one: list[float], other: list[float]) -> float:
    """Return the largest distance between the two empirical distributions."""
    one, other = sorted(one), sorted(other)
    return max(
        abs(bisect_right(one, at) / len(one) - bisect_right(other, at) / len(other)) for at in (*one, *other)
    )  # fmt: skip


def allowed(one: list[float], other: list[float]) -> float:
    return SURE * ((len(one) + len(other)) / (len(one) * len(other))) ** 0.5


def reachable_times() -> list[float]:
    out = []
    for seed in SEEDS:
        device = Lab(ROUTER, seed=seed)["r"].node.box.interfaces.named("eth0")
        out.append(device.neigh.reachable_time / NS_PER_MS)
    return out


def proxy_waits() -> list[float]:
    """Ask for 200 proxied addresses, one by one, and return how long each answer took in ms."""
    asked: dict[bytes, int] = {}
    waits = []

    def sent(record: FrameSent) -> None:
        octets = record.frame.octets
        if record.node == "r" and octets[12:14] == b"\x08\x06" and octets[28:32] in asked:
            waits.append((record.t - asked[octets[28:32]]) / NS_PER_MS)

    with Lab(ROUTER, seed=1, bus_ready=lambda bus: bus.subscribe((FrameSent,), sent)) as lab:
        lab.run(ms(50))
        for k in SEEDS:
            target = f"10.1.1.{k}"
            asked[bytes(map(int, target.split(".")))] = lab.now
            request = ARP(op=1, hwsrc="02:00:00:00:09:09", psrc="10.0.0.9", pdst=target)
            lab.inject("r:eth0", bytes(Ether(src="02:00:00:00:09:09", dst="ff:ff:ff:ff:ff:ff") / request))
            lab.run(lab.now + ms(10))
        lab.run(lab.now + sec(2))
    return waits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "recorded"), [(reachable_times, "reachable_ms"), (proxy_waits, "proxy_delay_ms")], ids=["nud", "proxy"]
)
def test_the_emulator_draws_as_the_kernel_does(draw, recorded):
    drawn = draw()
    assert len(drawn) == len(SEEDS)
    assert farthest_apart(drawn, SAMPLES[recorded]) < allowed(drawn, SAMPLES[recorded])


def test_another_distribution_would_be_found():
    """Uniform between one and two times the base, as a wrong reading of the rule would have it."""
    shifted = [each + 5_000 for each in SAMPLES["reachable_ms"]]
    assert farthest_apart(shifted, SAMPLES["reachable_ms"]) > allowed(shifted, SAMPLES["reachable_ms"])
