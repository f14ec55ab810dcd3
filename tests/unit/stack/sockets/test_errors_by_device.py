"""ICMP errors and sockets bound to a device: they hear what comes in there.

Source: __udp4_lib_err(), ping_lookup(), raw_v4_match(): all look the socket up by the device that the error came in by;
case defaults-only-slash-zero, where the flow that is bound to eth0 hears nothing of its dead gateway.
"""

from __future__ import annotations

import random

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink, Send, Socket, TakeErrors
from netsim.units import sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.icmp import build_query, build_time_exceeded
from netsim.wire.ipv4 import build_ipv4

MAC, GATEWAY_MAC = bytes.fromhex("020000000101"), bytes.fromhex("020000000102")
HERE, GATEWAY, FAR = parse_ip("10.0.1.2"), parse_ip("10.0.1.1"), parse_ip("203.0.113.10")
KINDS = [("udp", 0, b"abc"), ("ping", 0, b"abc"), ("raw", 1, build_query(8, 99, 1, b"abc"))]


@pytest.fixture
def box():
    box = Netns("h1", profile("linux-6"), random.Random(1))
    box.request(NewLink(name="eth0", kind="ether", mac=MAC), now=0)
    run(
        box,
        "ip link set lo up; ip addr add 10.0.1.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.1.1",
        now=0,
    )
    return box


def send(box, kind, protocol, payload, dev):
    fd = box.request(Socket(kind=kind, protocol=protocol, recverr=True, dev=dev), now=0)
    box.request(Send(fd=fd, payload=payload, addr=FAR, port=9), now=0)
    return fd


def errors(box, fd):
    return [each.offender for each in box.request(TakeErrors(fd=fd), now=sec(10))]


@pytest.mark.parametrize(("kind", "protocol", "payload"), KINDS, ids=[kind for kind, _, _ in KINDS])
@pytest.mark.parametrize(("dev", "heard"), [("", [HERE]), ("eth0", [])], ids=["unbound", "bound to eth0"])
def test_a_dead_gateway_is_told_on_lo(box, kind, protocol, payload, dev, heard):
    fd = send(box, kind, protocol, payload, dev)
    for second in range(1, 6):
        box.tick(now=sec(second))
    assert errors(box, fd) == heard


@pytest.mark.parametrize(("kind", "protocol", "payload"), KINDS, ids=[kind for kind, _, _ in KINDS])
@pytest.mark.parametrize("dev", ["", "eth0"], ids=["unbound", "bound to eth0"])
def test_what_a_gateway_says_comes_in_by_its_device(box, kind, protocol, payload, dev):
    run(box, "ip neigh add 10.0.1.1 lladdr 02:00:00:00:01:02 dev eth0", now=0)
    fd = send(box, kind, protocol, payload, dev)
    message = build_time_exceeded(0, box.outbox.frames[-1].octets[14:])
    packet = build_ipv4(GATEWAY, HERE, 1, len(message)) + message
    box.receive("eth0", Frame(build_ether(MAC, GATEWAY_MAC, 0x0800) + packet, 1), now=sec(1))
    assert errors(box, fd) == [GATEWAY]
