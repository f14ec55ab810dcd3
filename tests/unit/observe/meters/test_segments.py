"""Octets acknowledged and segments sent again, from literal frames."""

from __future__ import annotations

from netsim.addr import parse_ip
from netsim.observe.meters.segments import SegmentMeter
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, FrameSent, NatMapped
from netsim.units import Ns, ms, sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_TCP, build_ipv4
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, build_tcp

MAC = bytes(5) + b"\x01"
HOST, WORLD, NATTED = parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), parse_ip("10.0.1.2")
ACK, SYN = TCPHDR_ACK, TCPHDR_SYN


class Wire:
    """A meter, and what a host and a server behind one translation say."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.meter = SegmentMeter(self.bus, streams=("web",), bin_width=sec(1))

    def host(self, t: Ns, seq: int, ack: int, flags: int, size: int = 0, through: int = 0) -> None:
        self._say(t, (HOST, 40001, WORLD, 80), seq, ack, flags, size, through)

    def server(self, t: Ns, seq: int, ack: int, flags: int, size: int = 0) -> None:
        self._say(t, (WORLD, 80, NATTED, 40001), seq, ack, flags, size, 0)

    def _say(
        self, t: Ns, ends: tuple[int, int, int, int], seq: int, ack: int, flags: int, size: int, through: int
    ) -> None:
        src, sport, dst, dport = ends
        tcp = build_tcp(src, dst, sport, dport, seq, ack, flags, 1000, payload=bytes(size))
        octets = build_ether(MAC, MAC) + build_ipv4(src, dst, IPPROTO_TCP, len(tcp)) + tcp
        self.bus.publish(FrameSent(t, "x", "eth0", Frame(octets, 1), through))

    def connect(self, isn: int = 100) -> None:
        self.host(0, isn, 0, SYN)
        self.bus.publish(ConnectionEvent(0, "web", "h1", 1, "opened", "192.168.0.3:40001>203.0.113.10:80"))
        self.bus.publish(
            NatMapped(1, "r", "tcp", "192.168.0.3:40001>203.0.113.10:80", "203.0.113.10:80>10.0.1.2:40001")
        )
        self.server(ms(10), isn + 400 & 0xFFFFFFFF, isn + 1 & 0xFFFFFFFF, SYN | ACK)
        self.host(ms(20), isn + 1 & 0xFFFFFFFF, isn + 401 & 0xFFFFFFFF, ACK)


def test_octets_count_when_either_end_acknowledges_them_and_the_handshake_counts_none() -> None:
    wire = Wire()
    wire.connect()
    assert wire.meter.octets == {"web": []}
    wire.host(ms(30), 101, 501, ACK, 60)
    wire.server(ms(40), 501, 161, ACK, 1000)
    wire.server(ms(41), 1501, 161, ACK, 1000)
    wire.host(ms(2050), 161, 2501, ACK)
    wire.host(ms(2051), 161, 2501, ACK)
    assert wire.meter.octets == {"web": [60, 0, 2000]}
    assert wire.meter.again == {"web": []}


def test_a_segment_below_the_edge_was_sent_again_by_the_host_or_by_a_translated_server() -> None:
    wire = Wire()
    wire.connect()
    wire.host(ms(30), 101, 501, ACK, 60)
    wire.host(ms(230), 101, 501, ACK, 60)
    wire.server(ms(240), 501, 161, ACK, 1000)
    wire.server(ms(1240), 501, 161, ACK, 1000)
    wire.server(ms(1250), 1501, 161, ACK | TCPHDR_FIN, 0)
    wire.server(ms(3250), 1501, 161, ACK | TCPHDR_FIN, 0)
    assert wire.meter.again == {"web": [1, 1, 0, 1]}


def test_a_syn_sent_again_counts_and_a_new_connection_of_the_same_ports_does_not() -> None:
    wire = Wire()
    wire.connect()
    wire.host(sec(1), 100, 0, SYN)
    assert wire.meter.again == {"web": [0, 1]}
    wire.connect(isn=7)
    wire.host(sec(2), 8, 408, ACK, 60)
    assert wire.meter.again == {"web": [0, 1]}


def test_numbers_wrap_and_forwarded_frames_and_resets_tell_nothing() -> None:
    wire = Wire()
    wire.connect(isn=0xFFFFFFF0)
    wire.host(ms(30), 0xFFFFFFF1, 385, ACK, 60)
    wire.host(ms(31), 0xFFFFFFF1, 385, ACK, 60, through=9)
    wire.server(ms(40), 385, 45, ACK)
    wire.server(ms(50), 0, 0, TCPHDR_RST | ACK)
    assert wire.meter.again == {"web": []}
    assert wire.meter.octets == {"web": [60]}
    wire.host(ms(60), 0xFFFFFFF1, 385, ACK, 60)
    assert wire.meter.again == {"web": [1]}


def test_a_connection_no_flow_names_is_nobodys() -> None:
    wire = Wire()
    for t in (0, 1):
        wire.host(t, 100, 0, SYN)
    assert (wire.meter.octets, wire.meter.again) == ({"web": []}, {"web": []})
