"""Frames that nobody sends by accident, at every interface of a host, a router and a NAT router, on every kernel.

No exception, one named end for each, right checksums on every answer, nothing held for ever, and memory as before.
`pytest tests/unit/stack/hostile -m slow` takes 105,000 frames, `--hostile 1000000` as many as one likes.
"""

from __future__ import annotations

import random
import resource

import pytest
from hostile_kit.frames import Attacker, scapy_fuzz
from hostile_kit.victims import KERNEL_NAMES, ROLES, Victim

FEW = 250
MANY = 7000
PAUSES = (0, 1, 1000, 10_000_000, 300_000_000)


def attack(kernel: str, role: str, count: int, fuzzed: list[bytes], seed: int = 0) -> Victim:
    """Attack a box with so many frames, let it come to rest, and return it."""
    rng = random.Random(f"{kernel} {role} {seed}")
    victim, attacker = Victim(kernel, role), Attacker(rng)
    attacker.learn(fuzzed)
    victim.overheard = attacker.hear
    for number in range(count):
        dev = rng.choice(victim.devices)
        victim.take(dev, attacker.frame(dev))
        if number % 16 == 0:
            victim.wait(rng.choice(PAUSES))
        if number % 64 == 0:
            victim.read()
    assert victim.balanced()
    victim.drain()
    assert victim.open == set(), "after all time-outs nothing waits any more"
    assert victim.box.held() == 0
    return victim


@pytest.fixture(scope="module")
def fuzzed() -> list[bytes]:
    return scapy_fuzz(120, 1)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kernel", KERNEL_NAMES)
def test_every_hostile_frame_has_one_named_end(kernel, role, fuzzed):
    victim = attack(kernel, role, FEW, fuzzed)
    assert victim.consumed + victim.forwarded + sum(victim.drops.values()) >= FEW


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kernel", KERNEL_NAMES)
def test_a_hundred_thousand_hostile_frames(kernel, role, fuzzed, request):
    """15 boxes times 7,000, or `--hostile N` in all."""
    count = request.config.getoption("--hostile") // (len(KERNEL_NAMES) * len(ROLES)) or MANY
    attack(kernel, role, 500, fuzzed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attack(kernel, role, count, fuzzed, seed=1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
