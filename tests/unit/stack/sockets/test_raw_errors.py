"""ICMP errors and raw sockets: all of the quoted protocol hear of them. Source: raw_icmp_error(), cases f1 and f2a."""

import random

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import Bind, NewLink, Send, Socket, TakeErrors
from netsim.units import sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.icmp import build_query, build_time_exceeded
from netsim.wire.ipv4 import build_ipv4

MAC, GATEWAY_MAC = bytes.fromhex("020000000101"), bytes.fromhex("020000000102")
HERE, GATEWAY, FAR = parse_ip("10.0.1.2"), parse_ip("10.0.1.1"), parse_ip("203.0.113.10")


@pytest.fixture
def box():
    box = Netns("h1", profile("linux-6"), random.Random(1))
    box.request(NewLink(name="eth0", kind="ether", mac=MAC), now=0)
    run(
        box,
        "ip link set lo up; ip addr add 10.0.1.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.1.1",
        now=0,
    )
    run(box, "ip neigh add 10.0.1.1 lladdr 02:00:00:00:01:02 dev eth0", now=0)
    return box


def ttl_exceeded(box):
    """Let the gateway answer what was sent last."""
    quoted = box.outbox.frames[-1].octets[14:]
    message = build_time_exceeded(0, quoted)
    packet = build_ipv4(GATEWAY, HERE, 1, len(message)) + message
    box.receive("eth0", Frame(build_ether(MAC, GATEWAY_MAC, 0x0800) + packet, 1), now=sec(1))


def test_a_raw_socket_with_recverr_hears_of_an_error_about_its_echo(box):
    fd, deaf = (box.request(Socket(kind="raw", protocol=1, recverr=on), now=0) for on in (True, False))
    box.request(Send(fd=fd, payload=build_query(8, 99, 1, b"abc"), addr=FAR), now=0)
    ttl_exceeded(box)
    (error,) = box.request(TakeErrors(fd=fd), now=sec(1))
    assert (error.icmp_type, error.icmp_code, error.offender, error.dst) == (11, 0, GATEWAY, FAR)
    assert box.request(TakeErrors(fd=deaf), now=sec(1)) == ()


def test_a_raw_socket_of_another_protocol_or_address_does_not(box):
    other = box.request(Socket(kind="raw", protocol=99, recverr=True), now=0)
    bound = box.request(Socket(kind="raw", protocol=1, recverr=True), now=0)
    box.request(Bind(fd=bound, addr=parse_ip("127.0.0.1")), now=0)
    fd = box.request(Socket(kind="raw", protocol=1), now=0)
    box.request(Send(fd=fd, payload=build_query(8, 99, 1, b"abc"), addr=FAR), now=0)
    ttl_exceeded(box)
    assert box.request(TakeErrors(fd=other), now=sec(1)) == box.request(TakeErrors(fd=bound), now=sec(1)) == ()
