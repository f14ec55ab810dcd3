"""The box from outside: frames, requests, carriers and ticks in; frames, records and wake-ups out."""

from __future__ import annotations

import pytest

from netsim.addr import Prefix, parse_ip
from netsim.errors import SimulationError
from netsim.stack.errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, Refusal
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_INET_PRE_ROUTING
from netsim.stack.requests import (
    Bind,
    Connect,
    DelAddr,
    DelLink,
    DumpAddrs,
    NewAddr,
    NewRoute,
    NexthopSpec,
    Receive,
    Send,
    SetLink,
    SetSysctl,
    Socket,
    TakeErrors,
)
from netsim.trace.records import Consumed, Dropped, NeighChange
from netsim.units import ms, sec
from netsim.wire.frame import Frame

A, B = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")


@pytest.fixture
def pair(wire):
    """Two hosts on one segment: a 10.0.0.1, b 10.0.0.2."""
    wire.box("a", eth0="lan 10.0.0.1/24")
    wire.box("b", eth0="lan 10.0.0.2/24")
    return wire


@pytest.fixture
def routed(wire):
    """h 10.1.0.2 -- r -- s 10.2.0.2, with default routes."""
    wire.box("h", eth0="left 10.1.0.2/24")
    wire.box("r", eth0="left 10.1.0.1/24", eth1="right 10.2.0.1/24")
    wire.box("s", eth0="right 10.2.0.2/24")
    wire.do("r", SetSysctl(key="net.ipv4.ip_forward", value="1"))
    for name, gateway in (("h", "10.1.0.1"), ("s", "10.2.0.1")):
        hop = NexthopSpec(via=parse_ip(gateway))
        wire.do(name, NewRoute(flags=0x600, dst=Prefix(0, 0), nexthops=(hop,)))
    return wire


def ping(wire, name, to, *, payload=b"x" * 16):
    fd = wire.do(name, Socket(kind="ping", recverr=True))
    wire.ask(name, Send(fd=fd, payload=payload, addr=parse_ip(to)))
    return fd


def test_a_ping_resolves_its_neighbour_and_comes_back(pair):
    fd = ping(pair, "a", "10.0.0.2")
    (reply,) = pair.do("a", Receive(fd=fd))
    assert (reply.src, reply.ttl) == (B, 64)
    assert [line.split(",")[0] for line in pair.sent()] == [
        "ARP who-has 10.0.0.2 tell 10.0.0.1",
        "ARP reply 10.0.0.2 is-at 02:00:00:00:02:01",
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request",
        "IP 10.0.0.2 > 10.0.0.1: ICMP echo reply",
    ]


def test_a_ping_to_ourselves_never_touches_a_wire(pair):
    fd = ping(pair, "a", "10.0.0.1")
    assert len(pair.do("a", Receive(fd=fd))) == 1
    fd = ping(pair, "a", "127.0.0.1")
    assert len(pair.do("a", Receive(fd=fd))) == 1
    assert pair.sent() == []


def test_a_router_takes_one_from_the_ttl_and_mends_the_checksum(routed):
    fd = ping(routed, "h", "10.2.0.2")
    (reply,) = routed.do("h", Receive(fd=fd))
    assert reply.ttl == 63
    assert routed.records(Dropped) == []


def test_a_datagram_to_a_closed_port_comes_back_as_an_error_to_a_connected_socket(pair):
    fd = pair.do("a", Socket(kind="udp"))
    pair.do("a", Connect(fd=fd, addr=B, port=9))
    pair.do("a", Send(fd=fd, payload=b"hello"))
    (error,) = pair.do("a", TakeErrors(fd=fd))
    assert (error.errno, error.offender, error.dst, error.dport) == (ECONNREFUSED, B, B, 9)
    assert [r.reason for r in pair.records(Dropped)] == ["NO_SOCKET"]


def test_an_unconnected_socket_hears_of_errors_only_when_it_asked(pair):
    """Source: observed-linux 2, "UDP errors appear only on connected sockets or with IP_RECVERR"."""
    for recverr, errors in ((False, 0), (True, 1)):
        fd = pair.do("a", Socket(kind="udp", recverr=recverr))
        pair.do("a", Send(fd=fd, payload=b"hello", addr=B, port=9))
        assert len(pair.do("a", TakeErrors(fd=fd))) == errors


def test_a_bound_socket_receives_what_is_sent_to_it(pair):
    server = pair.do("b", Socket(kind="udp"))
    pair.do("b", Bind(fd=server, port=5000))
    client = pair.do("a", Socket(kind="udp"))
    pair.do("a", Send(fd=client, payload=b"one", addr=B, port=5000))
    (datagram,) = pair.do("b", Receive(fd=server))
    assert (datagram.payload, datagram.src, datagram.dst, datagram.dport) == (b"one", A, B, 5000)
    assert ("b", server, "readable") in pair.wakes
    assert len(pair.records(Consumed)) == 3, "two ARP frames and the datagram"


def test_an_unresolvable_neighbour_costs_three_probes_and_three_seconds(routed):
    """Source: linux-kernel 1.3; the sender behind the router hears host unreachable from the router."""
    fd = ping(routed, "h", "10.2.0.77")
    start = routed.at
    routed.run(start + sec(10))
    (error,) = routed.do("h", TakeErrors(fd=fd))
    assert (error.errno, error.offender) == (EHOSTUNREACH, parse_ip("10.1.0.1"))
    changes = [(r.t - start, r.new) for r in routed.records(NeighChange) if r.dst == "10.2.0.77"]
    assert changes == [(0, "INCOMPLETE"), (sec(3), "FAILED")]
    assert sum("who-has 10.2.0.77" in line for line in routed.sent()) == 3


def test_no_route_is_an_errno_for_a_local_sender(pair):
    fd = pair.do("a", Socket(kind="udp"))
    answer = pair.ask("a", Send(fd=fd, payload=b"x", addr=parse_ip("192.0.2.1"), port=9))
    assert isinstance(answer, Refusal)
    assert answer.errno == ENETUNREACH


def test_a_large_datagram_travels_in_fragments_and_arrives_whole(routed):
    server = routed.do("s", Socket(kind="udp"))
    routed.do("s", Bind(fd=server, port=5000))
    client = routed.do("h", Socket(kind="udp"))
    payload = bytes(range(256)) * 16
    routed.do("h", Send(fd=client, payload=payload, addr=parse_ip("10.2.0.2"), port=5000))
    (datagram,) = routed.do("s", Receive(fd=server))
    assert datagram.payload == payload
    assert sum("10.2.0.2" in line and line.startswith("IP ") for line in routed.sent("h")) == 3


def test_a_lost_fragment_costs_thirty_seconds_and_a_message(routed):
    frames = []
    server = routed.do("s", Socket(kind="udp"))
    routed.do("s", Bind(fd=server, port=5000))
    client = routed.do("h", Socket(kind="udp", recverr=True))
    ping(routed, "h", "10.2.0.2")
    routed.cut.add("right")
    routed.do("h", Send(fd=client, payload=bytes(2000), addr=parse_ip("10.2.0.2"), port=5000))
    frames = [r.frame for r in routed.log if getattr(r, "node", "") == "r" and getattr(r, "dev", "") == "eth1"
              and hasattr(r, "frame")][-2:]  # fmt: skip
    routed.cut.clear()
    start = routed.at
    routed.boxes["s"].receive("eth0", Frame(frames[0].octets, 900, 0), now=routed.at)
    routed.run(start + sec(31))
    lost = [r for r in routed.records(Dropped) if r.reason == "FRAG_REASM_TIMEOUT"]
    assert [(r.node, r.t - start, r.uid) for r in lost] == [("s", sec(30), 900)]
    (error,) = routed.do("h", TakeErrors(fd=client))
    assert (error.icmp_type, error.icmp_code) == (11, 1)


def test_a_packet_too_big_for_the_next_link_teaches_its_sender_the_path_mtu(routed):
    routed.do("r", SetLink(dev="eth1", mtu=1000))
    client = routed.do("h", Socket(kind="udp", recverr=True))
    for _ in range(2):
        routed.do("h", Send(fd=client, payload=bytes(1400), addr=parse_ip("10.2.0.2"), port=9))
    errors = routed.do("h", TakeErrors(fd=client))
    assert [(each.icmp_type, each.icmp_code) for each in errors][:1] == [(3, 4)]
    assert any("frag" in line or "length" in line for line in routed.sent("r"))
    sizes = [len(r.frame.octets) for r in routed.log if getattr(r, "node", "") == "h" and hasattr(r, "frame")]
    assert max(sizes[-2:]) <= 1014, "the second one left in pieces that fit"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"short", "HDR_TRUNC"),
        (bytes.fromhex("020000000101020000000201 86dd") + bytes(40), "UNHANDLED_PROTO"),
        (bytes.fromhex("020000000101020000000201 0800") + b"\x45" + bytes(19), "IP_CSUM"),
        (bytes.fromhex("020000000101020000000201 0800") + b"\x46", "IP_INHDR"),
        (bytes.fromhex("02000000ffff020000000201 0800") + bytes(20), "OTHERHOST"),
    ],
)  # fmt: skip
def test_a_frame_that_is_nothing_for_us_ends_with_its_reason(pair, octets, reason):
    pair.boxes["a"].receive("eth0", Frame(octets, 77), now=pair.at)
    pair.settle()
    (drop,) = pair.records(Dropped)
    assert (drop.reason, drop.uid) == (reason, 77)


def test_a_device_that_is_down_takes_nothing(pair):
    pair.do("b", SetLink(dev="eth0", up=False))
    ping(pair, "a", "10.0.0.2")
    assert {r.reason for r in pair.records(Dropped) if r.node == "b"} == {"DEV_DOWN"}


def test_a_frame_for_a_device_that_went_while_it_was_under_way_is_dropped(pair):
    pair.do("b", DelLink(dev="eth0"))
    pair.boxes["b"].receive("eth0", Frame(bytes(60), 77), now=pair.at)
    pair.settle()
    assert [(r.reason, r.dev, r.uid) for r in pair.records(Dropped)] == [("DEV_GONE", "eth0", 77)]


def test_addresses_of_a_subnet_follow_their_primary_or_take_its_place(wire):
    """Source: observed-linux 8, "delete primary with secondaries"."""
    for promote, left in ((0, []), (1, ["10.0.0.3"])):
        name = f"p{promote}"
        wire.box(name, eth0="lan 10.0.0.1/24 10.0.0.3/24")
        wire.do(name, SetSysctl(key="net.ipv4.conf.eth0.promote_secondaries", value=str(promote)))
        wire.do(name, DelAddr(dev="eth0", local=A, plen=24))
        addresses = [a for a in wire.do(name, DumpAddrs()) if a.dev == "eth0"]
        assert [(a.local, a.secondary) for a in addresses] == [(parse_ip(text), False) for text in left]


def test_a_refused_address_changes_nothing(pair):
    before = pair.do("a", DumpAddrs())
    refused = pair.ask("a", NewAddr(dev="eth0", local=A, plen=24))
    assert isinstance(refused, Refusal)
    assert refused.message == "ipv4: Address already assigned"
    assert pair.do("a", DumpAddrs()) == before


def test_a_callback_may_not_call_the_box_it_runs_in(pair):
    box = pair.boxes["b"]

    def meddle(skb, indev, outdev, now):
        box.request(DumpAddrs(), now=now)
        return NF_ACCEPT

    box.netfilter.register(NF_INET_PRE_ROUTING, -50, meddle)
    with pytest.raises(SimulationError, match="called the box it runs in"):
        ping(pair, "a", "10.0.0.2")


def test_a_late_tick_gives_every_deadline_its_own_instant(pair):
    pair.cut.add("lan")
    ping(pair, "a", "10.0.0.2")
    pair.boxes["a"].tick(now=sec(60))
    pair.settle()
    failed = [r.t for r in pair.records(NeighChange) if r.new == "FAILED"]
    assert failed[0] == sec(3)


def test_a_frame_first_runs_the_deadlines_before_it(pair):
    pair.cut.add("lan")
    ping(pair, "a", "10.0.0.2")
    pair.boxes["a"].receive("eth0", Frame(b"x" * 20, 50), now=sec(3) + ms(1))
    pair.settle()
    assert [r.t for r in pair.records(NeighChange) if r.new == "FAILED"] == [sec(3)]


def test_a_box_with_nothing_to_do_wants_no_call_soon(pair):
    deadline = pair.boxes["a"].next_deadline()
    assert deadline is None or deadline >= sec(1)
