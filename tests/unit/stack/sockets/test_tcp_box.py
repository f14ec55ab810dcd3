"""TCP inside a whole box: ARP failures, loopback, forwarding routers, the neighbours it keeps alive."""

from __future__ import annotations

import pytest

from netsim.addr import Prefix, parse_ip
from netsim.stack.errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, Refusal
from netsim.stack.requests import (
    Accept,
    Bind,
    Close,
    Connect,
    Listen,
    NewRoute,
    NexthopSpec,
    Receive,
    Send,
    SetSysctl,
    Shutdown,
    Socket,
    SocketName,
    TakeErrors,
)
from netsim.trace.records import Consumed, Dropped, FrameSent, NeighChange
from netsim.units import ms, sec
from netsim.wire.verify import verify

A, B = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")


@pytest.fixture
def pair(wire):
    wire.box("a", eth0="lan 10.0.0.1/24")
    wire.box("b", eth0="lan 10.0.0.2/24")
    return wire


def listen(wire, name, port=80):
    fd = wire.do(name, Socket(kind="tcp"))
    wire.do(name, Bind(fd=fd, port=port))
    wire.do(name, Listen(fd=fd))
    return fd


def connect(wire, name, addr, port=80):
    fd = wire.do(name, Socket(kind="tcp"))
    wire.do(name, Connect(fd=fd, addr=addr, port=port))
    return fd


def test_a_conversation_from_connect_to_close(pair):
    server = listen(pair, "b")
    fd = connect(pair, "a", B)
    child = pair.do("b", Accept(fd=server))
    assert pair.do("b", SocketName(fd=child))[:2] == (B, 80)
    assert pair.do("a", Send(fd=fd, payload=b"question")) == 8
    assert pair.do("b", Receive(fd=child)) == b"question"
    pair.do("b", Send(fd=child, payload=b"answer"))
    assert pair.do("a", Receive(fd=fd)) == b"answer"
    pair.do("a", Shutdown(fd=fd))
    assert pair.do("b", Receive(fd=child)) == b""
    pair.do("b", Close(fd=child))
    assert pair.do("a", Receive(fd=fd)) == b""
    pair.do("a", Close(fd=fd))
    pair.run(sec(70))
    assert [event for name, each, event in pair.wakes if (name, each) == ("a", fd)] == [
        "connected", "readable", "readable", "closed",
    ]  # fmt: skip
    received = [r.uid for r in pair.records(Consumed)]
    assert len(received) == len(set(received)) == len([r for r in pair.log if isinstance(r, FrameSent)])
    assert all(verify(r.frame.octets[14:]) == "" for r in pair.records(FrameSent) if r.frame.octets[12:14] == b"\x08\0")


def test_an_unresolvable_host_fails_a_connect_at_the_first_arp_failure(pair):
    """observed-linux 2: SYN at 0, 1.01, 2.03, fails with EHOSTUNREACH at 3.06 (three requests, a second apart)."""
    fd = connect(pair, "a", parse_ip("10.0.0.99"))
    pair.run(sec("2.9"))
    assert pair.do("a", TakeErrors(fd=fd)) == ()
    pair.run(sec("3.2"))
    errors = pair.do("a", TakeErrors(fd=fd))
    assert [(error.errno, error.offender) for error in errors] == [(EHOSTUNREACH, A)]
    assert {r.reason for r in pair.records(Dropped)} == {"NEIGH_FAILED"}
    assert len({r.octets for r in pair.records(Dropped)}) == 3
    pair.run(sec(100))
    assert len({r.octets for r in pair.records(Dropped)}) == 3


def test_a_connection_to_oneself_runs_over_lo(pair):
    server = listen(pair, "a", 8080)
    fd = connect(pair, "a", A, 8080)
    child = pair.do("a", Accept(fd=server))
    taken = pair.do("a", Send(fd=fd, payload=bytes(200_000)))
    got = 0
    for _ in range(100):
        data = pair.ask("a", Receive(fd=child))
        got += 0 if isinstance(data, Refusal) else len(data)
        pair.run(pair.at + ms(10))
    assert got == taken >= 60_000
    assert not pair.records(FrameSent)


def test_a_closed_port_refuses(pair):
    fd = connect(pair, "a", B, 81)
    assert [error.errno for error in pair.do("a", TakeErrors(fd=fd))] == [ECONNREFUSED]


def test_no_route_is_a_refusal_of_connect(pair):
    fd = pair.do("a", Socket(kind="tcp"))
    assert pair.ask("a", Connect(fd=fd, addr=parse_ip("192.0.2.1"), port=80)) == Refusal(ENETUNREACH)


def test_tcp_progress_keeps_its_neighbour_reachable_without_arp(pair):
    """observed-linux 1.3, r7: TCP echo every 0.3 s, one ARP request in 20 s."""
    server = listen(pair, "b")
    fd = connect(pair, "a", B)
    child = pair.do("b", Accept(fd=server))
    pair.do("a", SetSysctl(key="net.ipv4.neigh.eth0.base_reachable_time_ms", value="1000"))
    pair.do("b", SetSysctl(key="net.ipv4.neigh.eth0.base_reachable_time_ms", value="1000"))
    for step in range(1, 66):
        pair.run(step * ms(300))
        pair.do("a", Send(fd=fd, payload=b"ping"))
        pair.do("b", Send(fd=child, payload=pair.do("b", Receive(fd=child))))
        pair.do("a", Receive(fd=fd))
    assert len([line for line in pair.sent() if "who-has" in line]) == 1
    assert {r.new for r in pair.records(NeighChange) if r.node == "a"} <= {"INCOMPLETE", "REACHABLE"}


def test_a_router_forwards_it_and_a_narrow_link_is_found(wire):
    """h 10.1.0.2 -- r -- s 10.2.0.2; the right link takes 1200 octets: ICMP 3/4 narrows the sender's segments."""
    wire.box("h", eth0="left 10.1.0.2/24")
    wire.box("r", eth0="left 10.1.0.1/24", eth1="right 10.2.0.1/24")
    wire.box("s", eth0="right 10.2.0.2/24")
    wire.do("r", SetSysctl(key="net.ipv4.ip_forward", value="1"))
    for name, gateway in (("h", "10.1.0.1"), ("s", "10.2.0.1")):
        hop = NexthopSpec(via=parse_ip(gateway))
        wire.do(name, NewRoute(flags=0x600, dst=Prefix(0, 0), nexthops=(hop,)))
    wire.boxes["r"].interfaces.set_link(wire.boxes["r"].interfaces.named("eth1"), mtu=1200)
    server = listen(wire, "s")
    fd = connect(wire, "h", parse_ip("10.2.0.2"))
    child = wire.do("s", Accept(fd=server))
    wire.do("h", Send(fd=fd, payload=bytes(10_000)))
    wire.run(sec(2))
    assert wire.do("s", Receive(fd=child)) == bytes(10_000)
    assert {r.reason for r in wire.records(Dropped)} == {"PKT_TOO_BIG"}
    sizes = [len(r.frame.octets) - 14 for r in wire.records(FrameSent) if r.node == "s" or r.dev == "eth1"]
    assert max(sizes) == 1200
