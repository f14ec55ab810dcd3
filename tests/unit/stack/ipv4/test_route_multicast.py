"""Mainline's answers about groups: the one that every device is in, and all others."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.requests import Bind, Receive, Socket
from netsim.trace.records import Dropped
from netsim.wire.drop import IP_INVALID_DEST
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.udp import build_udp

PEER = parse_ip("10.0.0.2")
PEER_MAC = bytes.fromhex("020000000202")


@pytest.fixture
def box(wire):
    wire.box("a", eth0="lan 10.0.0.1/24", eth1="far 10.0.1.1/24")
    sh(wire, "echo 1 > /proc/sys/net/ipv4/ip_forward; ip route add default via 10.0.1.2")
    return wire


def sh(wire, line):
    return run(wire.boxes["a"], line, now=wire.at)


def hear(wire, group, dport=5000):
    """Let eth0 hear a datagram to a group."""
    daddr = parse_ip(group)
    udp = build_udp(PEER, daddr, 4000, dport, b"all")
    mac = b"\x01\x00\x5e" + (daddr & 0x7FFFFF).to_bytes(3, "big")
    packet = build_ipv4(PEER, daddr, 17, len(udp), ttl=4) + udp
    wire.boxes["a"].receive("eth0", Frame(build_ether(mac, PEER_MAC, 0x0800) + packet, 1), now=wire.at)
    wire.settle()


@pytest.mark.parametrize("group", ["224.0.0.5", "224.0.0.251", "239.1.2.3"])
def test_a_group_that_nobody_joined_is_neither_answered_nor_forwarded(box, group):
    """Source: ip_route_input_rcu(), ip_check_mc_rcu() 0: -EINVAL, so ip_error() never sees the packet."""
    hear(box, group)
    assert [each.reason for each in box.records(Dropped)] == [IP_INVALID_DEST]
    assert box.sent() == []


def test_all_hosts_is_delivered_here(box):
    """Source: ip_mc_up() joins IGMP_ALL_HOSTS; ip_route_input_mc() with RTCF_LOCAL."""
    fd = box.do("a", Socket(kind="udp"))
    box.do("a", Bind(fd=fd, port=5000))
    hear(box, "224.0.0.1")
    (datagram,) = box.do("a", Receive(fd=fd))
    assert (datagram.payload, datagram.src, datagram.dst) == (b"all", PEER, parse_ip("224.0.0.1"))
    assert box.sent() == []


def test_all_hosts_without_a_listener_gets_no_port_unreachable(box):
    """Source: icmp_send(), "No replies to physical multicast/broadcast"."""
    hear(box, "224.0.0.1")
    assert box.sent() == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("224.0.0.1", "multicast 224.0.0.1 dev eth1 src 10.0.1.1 rt_offload_failed uid 0 \n    cache <local,mc> \n"),
        ("224.0.0.5", "multicast 224.0.0.5 dev eth1 src 10.0.1.1 rt_offload_failed uid 0 \n    cache <mc> \n"),
        (
            "224.0.0.1 oif eth0",
            "multicast 224.0.0.1 dev eth0 src 10.0.0.1 rt_offload_failed uid 0 \n    cache <local,mc> \n",
        ),
        (
            "224.0.0.1 from 10.0.0.2 iif eth0",
            "multicast 224.0.0.1 from 10.0.0.2 dev lo rt_offload_failed \n    cache <local,mc> iif eth0 \n",
        ),
    ],
)
def test_ip_route_get_shows_a_group_with_its_flags(box, question, answer):
    """Source: recorded on 6.18; __mkroute_output(). To iproute2 RTCF_MULTICAST is RTM_F_OFFLOAD_FAILED."""
    assert sh(box, f"ip route get {question}").stdout == answer


def test_ip_route_get_refuses_a_group_that_nobody_joined_as_input(box):
    """Source: recorded on 6.18; ip_route_input_rcu()."""
    result = sh(box, "ip route get 224.0.0.5 from 10.0.0.2 iif eth0")
    assert (result.rc, result.stderr) == (2, "RTNETLINK answers: Invalid argument\n")


def test_without_a_route_a_group_is_unreachable(wire):
    """Source: recorded on 6.18: ip_route_output_key_hash_rcu() looks a group up like any destination."""
    wire.box("a", eth0="lan 10.0.0.1/24")
    result = sh(wire, "ip route get 224.0.0.1")
    assert (result.rc, result.stderr) == (2, "RTNETLINK answers: Network is unreachable\n")
