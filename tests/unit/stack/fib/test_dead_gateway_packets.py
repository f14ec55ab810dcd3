"""Packets over a gateway that never answers, through a whole patched 2.4 box: route-patches 11, cases 32 and 35.

lan0 192.168.0.1/24 [r] wan0 10.0.1.2/24 --- (nobody at 10.0.1.1)
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from netsim.addr import ip_str, parse_ip
from netsim.trace.records import Dropped
from netsim.wire.ether import ETH_HLEN
from netsim.wire.frame import Frame
from netsim.wire.icmp import ICMP_DEST_UNREACH
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.udp import build_udp

HOST, WORLD = parse_ip("192.168.0.3"), parse_ip("8.8.8.8")
MAC = bytes.fromhex("020000000003")
ICMP_HOST_UNREACH = 1


class Line:
    """A box and a host on its lan0 that sends UDP packets; `errors` are (seconds, type, code) of what comes back."""

    def __init__(self, box):
        self.box = box
        self.uid = 0
        self.errors: list[tuple[float, int, int]] = []
        self.requests: list[float] = []

    def send(self) -> None:
        self.uid += 1
        payload = build_udp(HOST, WORLD, 4000, 9, b"x")
        packet = build_ipv4(HOST, WORLD, IPPROTO_UDP, len(payload)) + payload
        mac = self.box.net.interfaces.named("lan0").mac
        self.box.net.receive("lan0", Frame(mac + MAC + b"\x08\x00" + packet, self.uid), now=self.box.now)
        self.collect()

    def collect(self) -> None:
        for out in self.box.net.outbox.frames:
            at = self.box.now / 1e9
            if out.dev == "wan0" and out.octets[12:14] == b"\x08\x06":
                self.requests.append(at)
            if out.dev == "lan0" and out.octets[12:14] == b"\x08\x00":
                icmp = out.octets[ETH_HLEN + 20 :]
                self.errors.append((at, icmp[0], icmp[1]))
        self.box.net.outbox.frames.clear()

    def run_to(self, seconds: float) -> None:
        """Move the clock deadline by deadline."""
        target = round(seconds * 1e9)
        while (deadline := self.box.net.next_deadline()) is not None and deadline <= target:
            self.box.now = deadline
            self.box.net.tick(now=deadline)
            self.collect()
        self.box.now = target


@pytest.fixture
def line(make_box):
    box = make_box(wants={Dropped}).two_isps()
    box.sh(f"""ip route add default via 10.0.1.1 dev wan0
               ip neigh add {ip_str(HOST)} lladdr 02:00:00:00:00:03 dev lan0 nud permanent""")
    made = Line(box)
    made.run_to(60)
    box.net.outbox.records.clear()
    return made


def test_three_packets_wait_and_each_earns_host_unreachable_after_three_seconds(line):
    """Case 32: requests at 0, 1, 2 s; at 3 s what waits, three packets at most, is answered; older ones went."""
    for _ in range(5):
        line.send()
    line.run_to(64)
    assert line.requests == [60.0, 61.0, 62.0]
    assert line.errors == [(63.0, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH)] * 3
    ends = {(drop.uid, drop.reason) for drop in line.box.net.outbox.records if isinstance(drop, Dropped)}
    assert ends == {(uid, "NEIGH_QUEUEFULL" if uid < 3 else "NEIGH_FAILED") for uid in range(1, 6)}


def test_a_packet_that_waited_in_vain_ends_once(line):
    """Architecture 6: each frame that ends anywhere ends in one named reason."""
    line.send()
    line.run_to(64)
    ends = [(drop.uid, drop.reason) for drop in line.box.net.outbox.records if isinstance(drop, Dropped)]
    assert ends == [(1, "NEIGH_FAILED")]


def test_a_busy_flow_asks_again_and_again_by_the_same_path(line):
    """Case 35: after the failure the cached route still serves; each round of three seconds ends in an error."""
    line.box.cached = True
    for second in range(60, 80):
        line.run_to(second)
        line.send()
        assert line.box.forward() == "wan0 via 10.0.1.1"
    rounds = sorted({at for at, _, _ in line.errors})
    assert rounds[0] == 63.0
    assert all(later - earlier >= 3 for earlier, later in pairwise(rounds))
    assert len(rounds) >= 5
