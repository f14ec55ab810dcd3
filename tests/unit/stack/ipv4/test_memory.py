"""The flow memory: what is remembered, what lets go of it, and that a repetition writes what the whole way would.

h 10.1.0.2 -- r -- s 10.2.0.2
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.addr import Prefix, parse_ip
from netsim.shell.dispatch import run as run_shell
from netsim.stack.ipv4.flows import FIELDS, SHORTEST, Flow, key_of
from netsim.stack.ipv4.memory import FlowMemory
from netsim.stack.requests import Bind, Close, NewRoute, NexthopSpec, Receive, Send, SetSysctl, Socket
from netsim.stack.sockets.datagram import SOCKET_BUFFER
from netsim.trace.records import Consumed, Dropped
from netsim.units import sec
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import build_ipv4, decrement_ttl
from netsim.wire.rewrite import rewrite_ipv4
from netsim.wire.tcp import build_tcp
from netsim.wire.udp import build_udp
from netsim.wire.verify import verify

S = parse_ip("10.2.0.2")


class Road:
    """h sends datagrams to s through r; `rote` says for each received IP frame who repeated it."""

    def __init__(self, wire, monkeypatch) -> None:
        self.wire = wire
        wire.box("h", eth0="left 10.1.0.2/24")
        wire.box("r", eth0="left 10.1.0.1/24", eth1="right 10.2.0.1/24")
        wire.box("s", eth0="right 10.2.0.2/24")
        wire.do("r", SetSysctl(key="net.ipv4.ip_forward", value="1"))
        for name, gateway in (("h", "10.1.0.1"), ("s", "10.2.0.1")):
            wire.do(name, NewRoute(flags=0x600, dst=Prefix(0, 0), nexthops=(NexthopSpec(via=parse_ip(gateway)),)))
        self.out = wire.do("h", Socket(kind="udp"))
        self.into = wire.do("s", Socket(kind="udp"))
        wire.do("s", Bind(fd=self.into, port=9))
        self.rote: list[tuple[str, bool]] = []
        self.last: dict[str, Frame] = {}
        names = {id(box.memory): name for name, box in wire.boxes.items()}
        repeat = FlowMemory.repeat

        def spy(memory, device, frame, now):
            answer = repeat(memory, device, frame, now)
            if frame.octets[12:14] == b"\x08\x00":
                self.rote.append((names[id(memory)], answer))
                self.last[names[id(memory)]] = frame
            return answer

        monkeypatch.setattr(FlowMemory, "repeat", spy)

    def send(self, size: int = 40) -> list[str]:
        """Send a datagram; return the names of the boxes that passed it on or took it by rote."""
        self.rote.clear()
        self.wire.do("h", Send(fd=self.out, payload=bytes(size), addr=S, port=9))
        return [name for name, by_rote in self.rote if by_rote]

    def sh(self, name: str, line: str) -> None:
        result = run_shell(self.wire.boxes[name], line, now=self.wire.at)
        assert result.rc == 0, result.stderr
        self.wire.settle()

    def again(self, name: str, dev: str, octets: bytes) -> str:
        """Let a changed copy of the last frame arrive; return the reason it was dropped for, "" if none."""
        before = len(self.wire.records(Dropped))
        self.wire.boxes[name].receive(dev, Frame(octets, 10_000), now=self.wire.at)
        self.wire.settle()
        return "".join(record.reason for record in self.wire.records(Dropped)[before:])


@pytest.fixture
def road(wire, monkeypatch):
    return Road(wire, monkeypatch)


@pytest.fixture
def trodden(road):
    """The road after its first datagrams: r and s know the flow."""
    for _ in range(4):
        road.send()
    assert road.send() == ["r", "s"]
    return road


def test_the_third_datagram_of_a_flow_goes_by_rote(road):
    """The first resolves neighbours and is waited for, the second is watched."""
    assert [road.send() for _ in range(4)] == [[], [], ["r", "s"], ["r", "s"]]
    assert len(road.wire.do("s", Receive(fd=road.into))) == 4


def test_counters_and_records_are_those_of_the_whole_way(trodden):
    wire = trodden.wire
    eth0, eth1 = (wire.boxes["r"].interfaces.named(name) for name in ("eth0", "eth1"))
    before = eth0.rx_packets, eth0.rx_bytes, eth1.tx_packets, eth1.tx_bytes, len(wire.records(Consumed))
    trodden.send(size=100)
    after = eth0.rx_packets, eth0.rx_bytes, eth1.tx_packets, eth1.tx_bytes, len(wire.records(Consumed))
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 142, 1, 142, 1]


@pytest.mark.parametrize("line", [
    "ip route add 10.9.0.0/16 via 10.2.0.2", "ip rule add to 10.9.0.0/16 table 77", "ip addr add 10.8.0.1/24 dev eth1",
    "ip link set eth1 mtu 1400", "sysctl -w net.ipv4.conf.all.rp_filter=0", "iptables -A FORWARD -j ACCEPT",
    "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
])  # fmt: skip
def test_all_is_forgotten_when_the_ground_moves(trodden, line):
    trodden.sh("r", line)
    assert "r" not in trodden.send()


def test_a_rule_that_may_look_at_packets_keeps_them_from_going_by_rote(trodden):
    trodden.sh("r", "iptables -A FORWARD -p udp -j ACCEPT")
    assert [trodden.send() for _ in range(4)][-1] == ["s"]
    trodden.sh("r", "iptables -F FORWARD")
    trodden.sh("r", "iptables -X")
    assert [trodden.send() for _ in range(4)][-1] == ["r", "s"]


def test_a_neighbour_that_is_stale_is_not_sent_to_by_rote(trodden):
    trodden.sh("r", "ip neigh change 10.2.0.2 dev eth1 nud stale")
    assert trodden.send() == ["s"]


def test_a_masqueraded_connection_lives_on_by_rote_and_dies_in_time(road):
    road.sh("r", "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE")
    for _ in range(4):
        road.send()
    assert road.send() == ["r", "s"]
    road.wire.run(sec(20))
    road.send()
    road.wire.run(sec(40))  # 30 s after the last but one, 20 s after the last
    ct = next(iter(road.wire.boxes["r"].netfilter.conntrack))
    assert sec(50) == ct.timeout
    road.wire.run(sec(51))
    assert "r" not in road.send()


def test_a_socket_that_goes_is_not_delivered_to_by_rote(trodden):
    trodden.wire.do("s", Close(fd=trodden.into))
    assert trodden.send() == ["r"]
    assert trodden.wire.records(Dropped)[-1].reason == "NO_SOCKET"


def test_a_full_socket_drops_as_ever(trodden):
    for _ in range(SOCKET_BUFFER // 832):
        trodden.send()
    assert trodden.wire.records(Dropped)[-1].reason == "SOCKET_RCVBUFF"


@pytest.mark.parametrize(("at", "reason"), [(24, "IP_CSUM"), (18, "IP_CSUM"), (41, ""), (60, "")])
def test_a_damaged_frame_of_a_known_flow_is_judged_by_the_whole_way(trodden, at, reason):
    """A router looks at the header alone; the id and the checksums are no part of the key."""
    octets = bytearray(trodden.last["r"].octets)
    octets[at] ^= 1
    dropped = trodden.again("r", "eth0", bytes(octets))
    assert dropped == (reason or "UDP_CSUM")
    assert trodden.rote[-1][1] is False


def test_padding_and_a_short_frame_go_the_whole_way(trodden):
    octets = trodden.last["r"].octets
    assert trodden.again("r", "eth0", octets + b"\0\0") == ""
    assert trodden.again("r", "eth0", octets[:-1]) == "PKT_TOO_SMALL"


def test_a_box_told_not_to_remember_does_not(road):
    for box in road.wire.boxes.values():
        box.memory.on = False
    assert [road.send() for _ in range(5)] == [[]] * 5


ports = st.integers(0, 0xFFFF)
addresses = st.integers(0x01000000, 0xDFFFFFFF)


@given(
    ends=st.tuples(addresses, addresses, ports, ports), new=st.tuples(addresses, addresses, ports, ports),
    ident=ports, ttl=st.integers(2, 255), payload=st.binary(max_size=40), summed=st.booleans(),
)  # fmt: skip
def test_a_repetition_writes_what_the_whole_way_writes(ends, new, ident, ttl, payload, summed):
    """As decrement_ttl() and both sides of manip_packet(), bit for bit; 0000 is left to the era (wire/rewrite.py)."""
    src, dst, sport, dport = ends
    segment = build_udp(src, dst, sport, dport, payload, checksum=summed)
    link = bytes(12) + b"\x08\x00"
    packet = build_ipv4(src, dst, 17, len(segment), ttl=ttl, ident=ident) + segment
    frame = Frame(link + packet, 1)
    whole = bytearray(packet)
    decrement_ttl(whole)
    rewrite_ipv4(whole, saddr=new[0], sport=new[2])
    rewrite_ipv4(whole, daddr=new[1], dport=new[3])
    key = key_of(frame)
    flow = Flow(key, None)
    flow.leads(key, None, None, link, bytes(link + whole))
    fields = FIELDS.unpack_from(frame.octets)
    assert flow.intact(fields, frame.octets)
    made = flow.rewritten(fields, frame.octets)
    assert made in (link + whole, b"")
    assert made or whole[26:28] in (b"\0\0", b"\xff\xff")
    assert not verify(whole)
    assert len(made) in (0, SHORTEST + len(payload))


@given(
    ends=st.tuples(addresses, addresses, ports, ports), new=st.tuples(addresses, addresses, ports, ports),
    seq=st.integers(0, 0xFFFFFFFF), ttl=st.integers(2, 255), payload=st.binary(max_size=40),
    damaged=st.integers(0, 59),
)  # fmt: skip
def test_a_tracked_segment_by_rote_is_written_as_the_whole_way_writes_it(ends, new, seq, ttl, payload, damaged):
    """And one with a bit turned over anywhere behind what the key holds is not taken for sound."""
    src, dst, sport, dport = ends
    segment = build_tcp(src, dst, sport, dport, seq, 7, 0x18, 500, payload=payload)
    link = bytes(12) + b"\x08\x00"
    packet = build_ipv4(src, dst, 6, len(segment), ttl=ttl) + segment
    frame = Frame(link + packet, 1)
    whole = bytearray(packet)
    decrement_ttl(whole)
    rewrite_ipv4(whole, saddr=new[0], sport=new[2])
    rewrite_ipv4(whole, daddr=new[1], dport=new[3])
    key = key_of(frame)
    flow = Flow(key, None)
    flow.tcp = object()
    flow.leads(key, None, None, link, bytes(link + whole))
    fields = FIELDS.unpack_from(frame.octets)
    assert flow.intact(fields, frame.octets)
    assert flow.rewritten(fields, frame.octets) == link + whole
    octets = bytearray(frame.octets)
    at = 38 + damaged
    if at < len(octets):
        octets[at] ^= 0x10
        assert not flow.intact(FIELDS.unpack_from(octets), octets)
