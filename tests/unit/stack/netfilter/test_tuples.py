"""The tuple as text, and the record that shows it."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.requests import Bind, Send, Socket
from netsim.trace.records import NatMapped

A, B = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (CtTuple(A, 7, B, 0x0800, 1), "10.0.0.1:7>10.0.0.2:7"),
        (CtTuple(B, 7, A, 0x0000, 1), "10.0.0.2:7>10.0.0.1:7"),
        (CtTuple(A, 0, B, 0x0800, 1), "10.0.0.1:0>10.0.0.2:0"),
        (CtTuple(A, 6000, B, 53, 17), "10.0.0.1:6000>10.0.0.2:53"),
        (CtTuple(A, 0, B, 0, 47), "10.0.0.1>10.0.0.2"),
    ],
    ids=["echo", "echo reply", "id 0", "udp", "no ports"],
)
def test_a_tuple_shows_ports_and_an_icmp_query_its_id_in_their_place(one, text):
    """Source: nf_nat_l4proto_unique_tuple(): the id is what NAT changes of a query."""
    assert str(one) == text


def test_a_masqueraded_ping_is_recorded_with_its_id_as_port(wire):
    """Source: nf_nat_masquerade_ipv4(), icmp_unique_tuple(): an id that is free stays."""
    wire.box("h", eth0="lan 10.0.0.1/24")
    router = wire.box("r", eth0="lan 10.0.0.254/24", eth1="wan 192.0.2.1/24")
    wire.box("s", eth0="wan 192.0.2.9/24")
    assert run(wire.boxes["h"], "ip route add default via 10.0.0.254", now=0).rc == 0
    line = "echo 1 > /proc/sys/net/ipv4/ip_forward; iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE"
    assert run(router, line, now=0).rc == 0
    fd = wire.do("h", Socket(kind="ping"))
    port = wire.do("h", Bind(fd=fd, port=77))
    wire.do("h", Send(fd=fd, payload=b"x", addr=parse_ip("192.0.2.9")))
    (mapped,) = wire.records(NatMapped)
    assert port == 77
    assert (mapped.node, mapped.proto) == ("r", "icmp")
    assert (mapped.original, mapped.reply) == ("10.0.0.1:77>192.0.2.9:77", "192.0.2.9:77>192.0.2.1:77")
