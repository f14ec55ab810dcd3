"""What the masquerading router of two providers must do, measured on whole labs.

         world            isp1 falls silent; the router pings each gateway every 3 s
        /     \\
     isp1     isp2
        \\wan0 wan1/
          router
            |lan0
         h1-+-h2

Source: seed document, section 2; linux-kernel.md 1.2 to 1.4 and observed-linux 1 for the bounds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.lab import Lab
from netsim.scenario.load import load_topology
from netsim.trace.records import FlowDelivered, FlowSent, FrameSent, NeighChange
from netsim.units import sec
from netsim.wire.arp import ARPOP_REQUEST

TWO_ISPS = Path(__file__).parents[2] / "topologies" / "two-isps.yaml"
DIES = sec(60)
ARP, BROADCAST = b"\x08\x06", b"\xff" * 6


@pytest.mark.parametrize(("without_rule_10", "back"), [(False, 2), (True, 0)])
def test_the_reply_of_a_masqueraded_ping_needs_table_main_before_the_other_rules(without_rule_10, back):
    """Without `ip rule add prio 10 table main` the reply leaves by rule 200 again instead of reaching lan0: 0 of 2."""
    run = {"router": "ip rule del prio 10"} if without_rule_10 else {}
    with Lab.from_topology(load_topology(TWO_ISPS), run=run) as lab:
        seen = []
        lab.bus.subscribe((FlowSent, FlowDelivered), seen.append)
        lab.flow("ping", source="h1", to="world", kind="ping", every=sec(1), count=2)
        lab.run(until=sec(5))
    assert len([r for r in seen if isinstance(r, FlowSent)]) == 2
    assert len([r for r in seen if isinstance(r, FlowDelivered)]) == back


def silenced(seed):
    """Return what the router's entry of 10.0.1.1 does after isp1 falls silent, and the requests it sends for it."""
    changes, requests = [], []

    def note(record):
        octets = record.frame.octets
        asks = octets[12:14] == ARP and octets[20:22] == ARPOP_REQUEST.to_bytes(2)
        if (record.node, record.dev) == ("router", "wan0") and asks and record.t > DIES:
            requests.append((record.t, octets[:6]))

    with Lab.from_topology(load_topology(TWO_ISPS), seed=seed) as lab:
        lab.bus.subscribe((FrameSent,), note)
        lab.bus.subscribe((NeighChange,), lambda r: changes.append(r) if r.dst == "10.0.1.1" else None)
        for number in (1, 2):
            lab.flow(f"check{number}", source="router", to=f"10.0.{number}.1", kind="ping", every=sec(3))
        lab.event("silence", "isp1", at=DIES)
        lab.run(until=DIES + sec(60))
    return changes, requests


@pytest.mark.slow
def test_over_100_seeds_a_silent_gateway_is_probed_three_times_and_fails_within_the_bounds():
    """REACHABLE 15..45 s, STALE until the next ping (3 s), DELAY 5 s, PROBE 3 s; requests 1 s apart, to its own MAC."""
    detected = []
    for seed in range(1, 101):
        changes, requests = silenced(seed)
        failed = next(r.t for r in changes if r.new == "FAILED")
        way = {r.new: r for r in changes if r.t <= failed}  # the last time each state was entered
        probe = way["PROBE"].t
        assert [t for t, _ in requests if t <= failed] == [probe, probe + sec(1), probe + sec(2)], seed
        assert {mac for t, mac in requests if t <= failed} == {bytes.fromhex("020000000201")}, seed
        assert failed == probe + sec(3), seed
        assert probe == way["DELAY"].t + sec(5), seed
        reachable = way["REACHABLE"].t
        assert reachable < DIES, seed
        left = way["STALE"].t if "STALE" in way and way["STALE"].t > reachable else way["DELAY"].t
        assert sec(15) <= left - reachable <= sec(45), seed
        assert 0 <= way["DELAY"].t - left <= sec(3), seed
        detected.append(failed - DIES)
        later = [(t, mac) for t, mac in requests if t > failed]
        assert later, seed
        assert {mac for _, mac in later} == {BROADCAST}, seed
    assert sec(3) <= min(detected)
    assert max(detected) <= sec(45 + 3 + 5 + 3)
    assert len(set(detected)) >= 10  # the seed decides when, on the grid of the pings
