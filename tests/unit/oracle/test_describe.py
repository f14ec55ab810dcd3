"""Frames in words that mean the same in two runs."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from netsim.oracle.describe import Describer, Roles
from netsim.trace.records import ConnectionEvent, FlowSent, NatMapped

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def told(packet, *records, chosen=frozenset({9, 80}), t=0):
    return Describer(Roles(records, chosen)).frame(bytes(Ether(src=A, dst=B) / packet), t)


def udp_flow(port):
    return FlowSent(0, "web", "h1", 3, 100, f"10.0.0.1:{port}>10.0.0.2:9")


def test_a_port_that_the_kernel_drew_is_the_flow_that_uses_it():
    one = told(IP(src="10.0.0.1", dst="10.0.0.2", id=1) / UDP(sport=40000, dport=9), udp_flow(40000))
    other = told(IP(src="10.0.0.1", dst="10.0.0.2", id=2) / UDP(sport=50000, dport=9), udp_flow(50000))
    assert one == other
    assert one[0] == "udp 10.0.0.1:<web.3> 10.0.0.2:9"


def test_a_port_that_the_scenario_names_stays_a_number():
    conversation, _ = told(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=9), chosen=frozenset({4000, 9}))
    assert conversation == "udp 10.0.0.1:4000 10.0.0.2:9"


def test_a_translated_port_is_named_after_the_one_it_stands_for():
    mapped = NatMapped(5, "r", "udp", "10.0.0.1:40000>10.0.0.2:9", "10.0.0.2:9>10.9.0.1:1025")
    conversation, _ = told(IP(src="10.9.0.1", dst="10.0.0.2") / UDP(sport=1025, dport=9), udp_flow(40000), mapped, t=9)
    assert conversation == "udp 10.0.0.2:9 10.9.0.1:<nat(<web.3>).0>"


def test_a_payload_is_compared_but_for_its_instant_of_sending():
    def stamped(instant, rest=b"x"):
        payload = bytes(8) + instant.to_bytes(8, "big") + rest
        return told(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=9) / payload)

    assert stamped(1) == stamped(2)
    assert stamped(1) != stamped(1, b"y")


def test_tcp_numbers_count_from_the_connections_first():
    def conversation(first):
        port, second = 40000 + first % 100, first // 2
        records = [ConnectionEvent(0, "t", "h1", 0, "opened", f"10.0.0.1:{port}>10.0.0.2:80")]
        describer = Describer(Roles(records, frozenset({80})))
        go, back = IP(src="10.0.0.1", dst="10.0.0.2"), IP(src="10.0.0.2", dst="10.0.0.1")
        frames = [
            go / TCP(sport=port, dport=80, flags="S", seq=first),
            back / TCP(sport=80, dport=port, flags="SA", seq=second, ack=first + 1),
            go / TCP(sport=port, dport=80, flags="PA", seq=first + 1, ack=second + 1) / b"abc",
        ]
        return [describer.frame(bytes(Ether(src=A, dst=B) / frame), 0)[1] for frame in frames]

    assert conversation(1000) == conversation(0xFFFFFFFF - 2000)
    assert " seq 1 ack 1 " in conversation(1000)[2]


def test_an_error_is_described_with_what_it_quotes():
    inner = IP(src="10.0.0.1", dst="10.9.0.1", ttl=1) / UDP(sport=4000, dport=9)
    _, words = told(IP(src="10.0.0.9", dst="10.0.0.1", tos=0xC0) / ICMP(type=11) / inner, chosen=frozenset({4000, 9}))
    assert words.startswith("10.0.0.9 > 10.0.0.1 icmp 11/0 ttl 64 tos 0xc0 len 56 about 0x00000000 [10.0.0.1:4000 > ")


def test_arp_is_told_with_every_address():
    conversation, words = told(ARP(op=1, hwsrc=A, psrc="10.0.0.1", hwdst="00:00:00:00:00:00", pdst="10.0.0.2"))
    assert conversation == "arp 10.0.0.1 10.0.0.2"
    assert words == f"arp 1 {A} 10.0.0.1 asks 00:00:00:00:00:00 10.0.0.2 to {B}"
