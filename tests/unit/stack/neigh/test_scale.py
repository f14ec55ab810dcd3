"""What a packet and a timer cost does not grow with the neighbour table. Counted in calls, which repeat exactly.

    sender 10.0.0.2 --- eth0 [router] eth1 --- 172.16.0.0/16, some of it in the neighbour table

Architecture section 7: "cost a packet-hop must stay flat from 10 to 100,000 routes, connections and neighbours".
"""

from __future__ import annotations

import gc
import random
import sys

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack.netns import Netns
from netsim.stack.nud_states import NUD_PERMANENT, NUD_REACHABLE
from netsim.stack.profile import profile
from netsim.stack.requests import NewAddr, NewLink, NewNeigh, SetLink, SetSysctl
from netsim.units import sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.udp import build_udp

SENDER, ROUTER = parse_mac("02:00:00:00:00:01"), parse_mac("02:00:00:00:00:02")
SOURCE, FIRST = parse_ip("10.0.0.2"), parse_ip("172.16.1.0")


def filled(kernel: str, count: int, state: int) -> Netns:
    """Return a router with `count` neighbours on eth1 that have all been found at one instant."""
    box = Netns("r", profile(kernel), random.Random(1))
    for key in ("gc_thresh1", "gc_thresh2", "gc_thresh3"):
        box.request(SetSysctl(key=f"net.ipv4.neigh.default.{key}", value="100000"), now=0)
    box.request(SetSysctl(key="net.ipv4.ip_forward", value="1"), now=0)
    for dev, local, plen in (("eth0", "10.0.0.1", 24), ("eth1", "172.16.0.1", 16)):
        box.request(NewLink(name=dev, mac=ROUTER), now=0)
        box.request(NewAddr(dev=dev, local=parse_ip(local), plen=plen), now=0)
        box.request(SetLink(dev=dev, up=True), now=0)
    for number in range(count):
        mac = b"\x02\x01" + number.to_bytes(4, "big")
        box.request(NewNeigh(dev="eth1", dst=FIRST + number, lladdr=mac, state=state), now=0)
    box.request(NewNeigh(dev="eth0", dst=SOURCE, lladdr=SENDER, state=NUD_PERMANENT), now=0)
    box.outbox.frames.clear()
    return box


def calls(action) -> int:
    """Count the calls that an action makes."""
    count = 0

    def profiler(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # hypothesis listens to each collection, before and after: four calls that are not the packet's
    sys.setprofile(profiler)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def forward(box: Netns, sport: int) -> int:
    """Return the calls for the first packet of a flow through the router, which must come out at eth1."""
    payload = build_udp(SOURCE, FIRST + 3, sport, 9, b"x" * 64)
    octets = build_ether(ROUTER, SENDER) + build_ipv4(SOURCE, FIRST + 3, IPPROTO_UDP, len(payload)) + payload
    count = calls(lambda: box.receive("eth0", Frame(octets, sport), now=sec(1)))
    assert [each.dev for each in box.outbox.frames] == ["eth1"]
    box.outbox.frames.clear()
    return count


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4", "linux-2.4-routes"])
def test_ten_thousand_neighbours_do_not_slow_a_packet(kernel):
    small, big = (filled(kernel, count, NUD_PERMANENT) for count in (10, 10_000))
    assert forward(big, 4000) == forward(small, 4000)
    assert forward(big, 4001) == forward(small, 4001)


@pytest.mark.slow
def test_ten_thousand_running_timers_do_not_slow_a_packet():
    """Ten thousand REACHABLE entries, each with a deadline ahead."""
    small, big = (filled("linux-6", count, NUD_REACHABLE) for count in (10, 10_000))
    assert big.next_deadline() is not None
    assert forward(big, 4000) <= forward(small, 4000) + 20
