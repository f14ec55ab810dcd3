"""Explanations from literal records: what carries a packet on, what changed in it, why a neighbour failed."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.observe.explain.births import Births
from netsim.observe.explain.change import change, ends_of
from netsim.observe.explain.facts import Place, clock
from netsim.observe.explain.neigh import NeighFollower
from netsim.observe.explain.packet import PacketFollower
from netsim.observe.explain.text import told
from netsim.observe.filter import compile_filter
from netsim.trace.bus import Bus
from netsim.trace.records import (
    Consumed,
    Dropped,
    FlowSent,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    NeighChange,
    WorldEvent,
)
from netsim.units import ms, sec
from netsim.wire.arp import ARPOP_REPLY, ARPOP_REQUEST, build_arp
from netsim.wire.ether import ETH_P_ARP, build_ether
from netsim.wire.frame import Frame
from netsim.wire.icmp import ICMP_DEST_UNREACH, build_icmp
from netsim.wire.ipv4 import IPPROTO_ICMP, IPPROTO_UDP, build_ipv4
from netsim.wire.rewrite import rewrite_ipv4
from netsim.wire.udp import build_udp

A, B, EVERYONE = parse_mac("02:00:00:00:01:01"), parse_mac("02:00:00:00:02:01"), b"\xff" * 6


def datagram(src="10.0.0.1", dst="10.0.0.2", sport=4000, dport=80) -> bytes:
    source, dest = parse_ip(src), parse_ip(dst)
    udp = build_udp(source, dest, sport, dport, b"hello")
    return build_ipv4(source, dest, IPPROTO_UDP, len(udp)) + udp


def frame(uid: int, parent: int = 0, packet: bytes | None = None) -> Frame:
    return Frame(build_ether(B, A) + (packet or datagram()), uid, parent)


def arp(uid: int, op: int, spa: str, tpa: str, to: bytes = EVERYONE, sha: bytes = A, parent: int = 0) -> Frame:
    octets = build_arp(op, sha, parse_ip(spa), bytes(6), parse_ip(tpa))
    return Frame(build_ether(to, sha, ETH_P_ARP) + octets, uid, parent)


@pytest.mark.parametrize(("value", "text"), [(0, "0s"), (1_000_168_080, "1.000168s"), (sec(60), "60s")])
def test_instants_are_told_to_the_microsecond(value, text):
    assert clock(value) == text


def test_a_place_is_file_and_line():
    assert str(Place("a.yaml", 3, "run[0]", "ip link")) == "a.yaml:3"


# What changed


def test_an_untouched_packet_has_no_change():
    assert change(datagram(), datagram()) is None


def test_a_translation_is_told_with_each_word_of_each_checksum():
    before = datagram()
    after = bytearray(before)
    rewrite_ipv4(after, saddr=parse_ip("192.0.2.9"), sport=1025)
    found = change(before, bytes(after))
    assert found is not None
    assert (found.before, found.after) == ("10.0.0.1:4000>10.0.0.2:80", "192.0.2.9:1025>10.0.0.2:80")
    ip, udp, agrees = found.checksums
    assert "source 0a00 -> c000, source 0001 -> 0209" in ip
    assert "source port 0fa0 -> 0401" in udp
    assert agrees == "a full sum agrees"
    assert "summed afresh" not in ip + udp


def test_a_wrong_checksum_is_named():
    after = bytearray(datagram())
    after[8] -= 1  # the TTL, and no checksum mended
    found = change(datagram(), bytes(after))
    assert found is not None
    assert found.checksums[-1].startswith("a full sum disagrees: ")


def test_an_echo_has_its_id_for_both_ports():
    echo = build_icmp(8, 0, 77 << 16 | 1)
    assert str(ends_of(build_ipv4(1, 2, IPPROTO_ICMP, len(echo)) + echo)) == "0.0.0.1:77>0.0.0.2:77"


# Which frame is which packet


def births(bus: Bus, **wanted) -> Births:
    return Births(bus, **wanted)


def test_a_forwarded_frame_is_the_same_packet_and_an_answer_is_another():
    bus = Bus()
    second = births(bus, number=2)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(FrameDelivered(5, "r", "lan0", frame(1), "lan"))
    bus.publish(FrameSent(5, "r", "wan0", frame(2, 1), 1))
    bus.publish(FrameDelivered(9, "w", "eth0", frame(2, 1), "wan"))
    assert second.found is None
    bus.publish(Consumed(9, "w", "eth0", 2))
    bus.publish(FrameSent(9, "w", "eth0", frame(3, 2)))
    assert second.found is not None
    assert second.found.frame.uid == 3


def test_an_icmp_error_is_another_packet():
    bus = Bus()
    second = births(bus, number=2)
    error = build_icmp(ICMP_DEST_UNREACH, 0, 0, datagram())
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(FrameSent(5, "r", "lan0", frame(2, 1, build_ipv4(1, 2, IPPROTO_ICMP, len(error)) + error)))
    assert second.found is not None


def test_an_icmp_error_that_is_forwarded_stays_one_packet():
    bus = Bus()
    second = births(bus, number=2)
    error = build_icmp(ICMP_DEST_UNREACH, 0, 0, datagram())
    packet = build_ipv4(1, 2, IPPROTO_ICMP, len(error)) + error
    bus.publish(FrameSent(0, "w", "eth0", frame(1, packet=packet)))
    bus.publish(FrameCopied(0, "hub", frame(2, 1, packet)))
    bus.publish(FrameSent(5, "r", "lan0", frame(3, 2, packet), 2))
    assert (second.count, second.found) == (1, None)


def test_a_frame_anywhere_leads_to_the_first_one():
    bus = Bus()
    found = births(bus, uid=3)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(FrameCopied(0, "lan", frame(2, 1)))
    bus.publish(FrameSent(5, "r", "wan0", frame(3, 2), 2))
    assert found.found is not None
    assert found.found.frame.uid == 1


def test_a_flows_first_packet_is_found_though_the_flow_is_told_after_it():
    bus = Bus()
    found = births(bus, flow="web")
    bus.publish(FrameSent(0, "h1", "eth0", frame(1, packet=datagram(sport=9))))
    bus.publish(FrameSent(0, "h1", "eth0", frame(2)))
    bus.publish(FlowSent(0, "web", "h1", 0, 5, "10.0.0.1:4000>10.0.0.2:80"))
    assert found.found is not None
    assert found.found.frame.uid == 2


def test_arp_is_no_packet_unless_the_filter_asks_for_it():
    bus = Bus()
    any_packet, asked = births(bus), births(bus, matching=compile_filter("arp"))
    bus.publish(FrameSent(0, "h1", "eth0", arp(1, ARPOP_REQUEST, "10.0.0.1", "10.0.0.2")))
    assert any_packet.found is None
    assert asked.found is not None


# Following


def test_a_packet_that_dies_on_the_wire_says_so():
    bus = Bus()
    follower = PacketFollower(bus, 1)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(Dropped(0, "lan", "", "LINK_LOSS", 1, b""))
    assert follower.life.complete
    assert "dropped by lan: LINK_LOSS: the link lost it" in told(follower.life)


def test_a_wait_for_a_neighbour_is_told_with_its_changes():
    bus = Bus()
    follower = PacketFollower(bus, 1)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(FrameDelivered(ms(1), "r", "lan0", frame(1), "lan"))
    bus.publish(NeighChange(ms(1), "r", "wan0", "10.0.0.2", "NONE", "INCOMPLETE", "", "packet to send"))
    bus.publish(NeighChange(ms(4), "r", "wan0", "10.0.0.2", "INCOMPLETE", "REACHABLE", "", "ARP reply"))
    bus.publish(FrameSent(ms(4), "r", "wan0", frame(2, 1), 1))
    (wait,) = (fact for fact in follower.life.stages[1].facts if fact.kind == "wait")
    assert wait.text == "waits 3ms for the MAC of 10.0.0.2"
    assert wait.lines == [
        "0.001s 10.0.0.2 NONE -> INCOMPLETE: packet to send", "0.004s 10.0.0.2 INCOMPLETE -> REACHABLE: ARP reply",
    ]  # fmt: skip


def test_a_packet_under_way_at_the_end_says_so():
    bus = Bus()
    follower = PacketFollower(bus, 1)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    assert not follower.life.complete
    assert "is still under way when the run ends" in told(follower.life)


def test_bystanders_of_a_hub_end_nothing():
    bus = Bus()
    follower = PacketFollower(bus, 1)
    bus.publish(FrameSent(0, "h1", "eth0", frame(1)))
    bus.publish(FrameCopied(0, "lan", frame(2, 1)))
    bus.publish(FrameDelivered(1, "h2", "eth0", frame(2, 1), "lan"))
    bus.publish(Dropped(1, "h2", "eth0", "OTHERHOST", 2, b""))
    assert (follower.life.bystanders, follower.life.endings, follower.life.complete) == (["h2"], [], False)
    bus.publish(FrameDelivered(1, "r", "lan0", frame(1), "lan"))
    bus.publish(Consumed(1, "r", "lan0", 1))
    assert follower.life.complete
    assert [stage.node for stage in follower.life.stages] == ["h1", "r"]


# Neighbours


def test_a_failed_neighbour_names_its_probes_and_who_swallowed_them():
    bus = Bus()
    follower = NeighFollower(bus, "r", "10.0.1.1", "wan0")
    bus.publish(WorldEvent(sec(1), "", "silence", "isp1"))
    bus.publish(NeighChange(sec(2), "r", "wan0", "10.0.1.1", "DELAY", "PROBE", "", "timer, not confirmed"))
    for number in range(3):
        at = sec(2 + number)
        bus.publish(FrameSent(at, "r", "wan0", arp(number + 1, ARPOP_REQUEST, "10.0.1.2", "10.0.1.1", B)))
        bus.publish(Dropped(at, "isp1", "eth0", "NODE_SILENT", number + 1, b""))
    bus.publish(NeighChange(sec(5), "r", "wan0", "10.0.1.1", "PROBE", "FAILED", "", "timer, probes exhausted"))
    story = follower.conclude()
    assert story.why == (
        "FAILED since 5s: timer, probes exhausted; 3 probes at 2s, 3s, 4s without an answer, "
        "dropped by isp1: NODE_SILENT"
    )
    assert [fact.kind for fact in story.facts] == ["event", "state", "probe", "probe", "probe", "state"]


def test_an_answer_names_the_probe_it_answers():
    bus = Bus()
    follower = NeighFollower(bus, "r", "10.0.1.1", "wan0")
    bus.publish(NeighChange(0, "r", "wan0", "10.0.1.1", "NONE", "INCOMPLETE", "", "packet to send"))
    bus.publish(FrameSent(0, "r", "wan0", arp(1, ARPOP_REQUEST, "10.0.1.2", "10.0.1.1")))
    reply = arp(2, ARPOP_REPLY, "10.0.1.1", "10.0.1.2", A, B, parent=1)
    bus.publish(FrameDelivered(ms(10), "r", "wan0", reply, "wan0"))
    heard = follower.story.facts[-1]
    assert heard.text == "ARP reply heard: 10.0.1.1 is at 02:00:00:00:02:01, 10ms after probe 1"


def test_a_neighbour_nobody_asked_for_has_no_entry():
    assert NeighFollower(Bus(), "r", "10.0.1.1", "wan0").conclude().why.startswith("nothing was ever sent to 10.0.1.1")
