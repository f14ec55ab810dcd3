"""The source of ARP requests through whole boxes: route-patches 11, cases 37 and 38 (seed section 3)."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.dst import Refused
from netsim.stack.errno import ENETUNREACH
from netsim.stack.requests import Bind, Send, Socket
from netsim.units import sec


@pytest.fixture
def sh(wire):
    """Run command lines on a box of the wire; all must succeed."""

    def lines(name: str, text: str) -> str:
        out = []
        for line in filter(None, map(str.strip, text.splitlines())):
            result = run(wire.boxes[name], line, now=wire.at)
            assert result.rc == 0, (line, result)
            out.append(result.stdout)
        wire.settle()
        return "".join(out)

    return lines


def say(wire, name: str, to: str, source: str = "") -> None:
    """Send one UDP datagram, from an address if one is given."""
    fd = wire.do(name, Socket(kind="udp"))
    if source:
        wire.do(name, Bind(fd=fd, addr=parse_ip(source)))
    wire.ask(name, Send(fd=fd, payload=b"x", addr=parse_ip(to), port=9))


def asked(wire, name: str) -> list[str]:
    """Return who a box's ARP requests said they were from."""
    return [line.split(" tell ")[1].split(",")[0] for line in wire.sent(name) if line.startswith("ARP who-has")]


@pytest.mark.parametrize(
    ("kernel", "teller"), [("linux-2.4-routes", "11.0.0.1"), ("linux-2.4", "10.0.0.1"), ("linux-2.2", "10.0.0.1")]
)
def test_a_probe_is_from_the_source_of_the_targets_route(wire, sh, kernel, teller):
    """Case 37, after W. Tarreau (2003). Given a default route with `src 10.0.0.1` via 11.0.0.2, and a route to
    11.0.0.2 with `src 11.0.0.1`, when a packet leaves by the default route, then the patched kernel asks for the
    gateway as 11.0.0.1; the unpatched one as 10.0.0.1, the packet's own source."""
    wire.box("r", kernel, eth0="net 11.0.0.1/24")
    sh(
        "r",
        """ip addr add 10.0.0.1/32 dev lo
               ip route add 11.0.0.2 dev eth0 src 11.0.0.1
               ip route add default via 11.0.0.2 src 10.0.0.1""",
    )
    wire.at = sec(10)
    say(wire, "r", "198.51.100.1")
    assert asked(wire, "r") == [teller]


def test_no_route_to_the_target_on_the_device_means_no_probe(wire, sh):
    """Case 37, second half. Given a device that is down, when the probe's source is looked up bound to it, then there
    is none (on an up device the target counts as on-link, C7). What the neighbour then does without a probe is in
    neigh/test_arp.py."""
    box = wire.box("r", "linux-2.4-routes", eth0="net 11.0.0.1/24")
    dev = box.interfaces.named("eth0")
    sh("r", "ip route add default via 11.0.0.2")
    assert not isinstance(box.router.output(parse_ip("203.0.113.2"), now=wire.at, oif=dev), Refused)
    sh("r", "ip link set eth0 down")
    refused = box.router.output(parse_ip("11.0.0.2"), now=wire.at, oif=dev)
    assert isinstance(refused, Refused)
    assert refused.errno == ENETUNREACH


@pytest.mark.parametrize(("kernel", "learnt"), [("linux-2.4-routes", "10.0.0.2"), ("linux-2.4", "10.0.0.1")])
def test_a_peer_never_learns_one_devices_address_behind_the_others_mac(wire, sh, kernel, learnt):
    """Case 38. Given two devices on one medium, a source bound to eth0's 10.0.0.1, and the route via eth1, when a
    packet goes to the peer, then the patched kernel's request by eth1 tells eth1's own address; the unpatched one's
    tells 10.0.0.1, and the peer learns that behind eth1's MAC."""
    wire.box("r", kernel, eth0="net 10.0.0.1/24", eth1="net 10.0.0.2/24")
    wire.box("p", eth0="net 10.0.0.9/24")
    fd = wire.do("p", Socket(kind="udp"))
    wire.do("p", Bind(fd=fd, port=9))
    sh("r", "ip route add 10.0.0.9 dev eth1 src 10.0.0.2")
    wire.at = sec(10)
    say(wire, "r", "10.0.0.9", "10.0.0.1")
    assert asked(wire, "r") == [learnt]
    eth1 = "02:00:00:00:01:02"
    assert f"{learnt} dev eth0 lladdr {eth1}" in sh("p", "ip neigh show")
