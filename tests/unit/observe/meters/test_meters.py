"""Meters from literal records with literal times."""

from __future__ import annotations

import pytest

from netsim.addr import Prefix, parse_ip
from netsim.errors import InternalError
from netsim.observe.capture import Points
from netsim.observe.meters.checksums import ChecksumWatch
from netsim.observe.meters.drops import DropMeter
from netsim.observe.meters.egress import Egress, EgressMeter, connection_text
from netsim.observe.meters.flows import FlowMeter
from netsim.observe.meters.gateways import Gateway, GatewayMeter
from netsim.observe.meters.latency import DISTINCT, Latencies
from netsim.observe.meters.ledger import Ledger
from netsim.observe.meters.neigh import Interval, NeighKey, NeighTimeline
from netsim.observe.metrics import Metrics
from netsim.trace.bus import Bus
from netsim.trace.records import (
    CommandRun,
    ConnectionEvent,
    Consumed,
    Dropped,
    FlowDelivered,
    FlowSent,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    NatMapped,
    NeighChange,
    WorldEvent,
)  # fmt: skip
from netsim.units import ms, sec
from netsim.wire.ether import ETH_P_ARP, build_ether
from netsim.wire.frame import Frame
from netsim.wire.icmp import ICMP_ECHO, build_query
from netsim.wire.ipv4 import IPPROTO_ICMP, IPPROTO_UDP, build_ipv4
from netsim.wire.udp import build_udp

WAN0, WORLD = parse_ip("10.0.1.2"), parse_ip("203.0.113.10")
ROUTER = bytes.fromhex("020000000102")
ISP1 = bytes.fromhex("020000000201")
ISP2 = bytes.fromhex("020000000301")
GATEWAYS = [Gateway(name="isp1", dev="eth0", mac=ISP1), Gateway(name="isp2", dev="eth0", mac=ISP2)]


def udp(dst_mac: bytes, src_mac: bytes, payload: int = 72, sport: int = 4000) -> bytes:
    """An Ethernet frame with a UDP datagram in 28 + payload octets of IP."""
    data = build_udp(WAN0, WORLD, sport, 80, bytes(payload))
    ip = build_ipv4(WAN0, WORLD, IPPROTO_UDP, len(data))
    return build_ether(dst_mac, src_mac) + ip + data


def publish(bus: Bus, *records: object) -> None:
    for record in records:
        bus.publish(record)  # type: ignore[arg-type]  # literal records of several types


def to_isp1(t: int, uid: int, payload: int = 72) -> FrameSent:
    return FrameSent(t, "router", "wan0", Frame(udp(ISP1, ROUTER, payload), uid))


# -- gateways


def test_bytes_towards_and_from_a_gateway_are_ip_lengths_in_bins_of_sending_time() -> None:
    bus = Bus()
    meter = GatewayMeter(bus, GATEWAYS, ms(500))
    publish(bus, to_isp1(0, 1), to_isp1(ms(499), 2), to_isp1(ms(500), 3, 172))
    publish(bus, FrameSent(ms(1200), "isp1", "eth0", Frame(udp(ROUTER, ISP1), 4)))
    assert meter.as_result()["isp1"] == {"tx_packets": 3, "tx_bytes": 400, "rx_packets": 1, "rx_bytes": 100}
    assert (meter.totals["isp1"].tx_bins, meter.totals["isp1"].rx_bins) == ([200, 200], [0, 0, 100])
    assert meter.as_result()["isp2"]["tx_packets"] == 0


def test_arp_and_foreign_frames_do_not_count() -> None:
    bus = Bus()
    gateway = Gateway(name="isp1", dev="eth0", mac=ISP1, peers=frozenset({("router", "wan0")}))
    meter = GatewayMeter(bus, [gateway], ms(500))
    arp = build_ether(ISP1, ROUTER, ETH_P_ARP) + bytes(28)
    publish(bus, FrameSent(0, "router", "wan0", Frame(arp, 1)))
    publish(bus, FrameSent(0, "other", "eth7", Frame(udp(ISP1, ROUTER), 2)))
    publish(bus, FrameSent(0, "isp1", "eth1", Frame(udp(ROUTER, ISP1), 3)))
    assert meter.as_result()["isp1"] == {"tx_packets": 0, "tx_bytes": 0, "rx_packets": 0, "rx_bytes": 0}


def test_a_source_of_another_gateways_subnet_is_told() -> None:
    """Issue: "SNAT's danger with two gateways on one device detected and reported"."""
    bus = Bus()
    isp2 = Gateway(name="isp2", dev="eth0", mac=ISP2, others=((Prefix(parse_ip("10.0.1.0"), 24), "isp1"),))
    meter = GatewayMeter(bus, [GATEWAYS[0], isp2], ms(500))
    publish(bus, to_isp1(0, 1), FrameSent(ms(250), "router", "wan0", Frame(udp(ISP2, ROUTER), 2)))
    publish(bus, FrameSent(ms(300), "router", "wan0", Frame(udp(ISP2, ROUTER), 3)))
    assert "foreign" not in meter.as_result()["isp1"]
    assert meter.as_result()["isp2"]["foreign"] == {"isp1": {"packets": 2, "first_s": 0.25, "src": "10.0.1.2"}}


def test_what_a_silent_gateway_does_not_take_is_lost_at_its_sending_time() -> None:
    bus = Bus()
    meter = GatewayMeter(bus, GATEWAYS, sec(1))
    publish(bus, to_isp1(ms(900), 1), FrameDelivered(ms(1010), "isp1", "eth0", Frame(udp(ISP1, ROUTER), 1), "wan0"))
    publish(bus, to_isp1(ms(1990), 2), Dropped(ms(2000), "isp1", "eth0", "NODE_SILENT", 2, b""))
    publish(bus, to_isp1(ms(2500), 3))
    totals = meter.totals["isp1"]
    assert (totals.tx_bytes, totals.lost_bytes, totals.lost_packets, meter.in_flight) == (300, 100, 1, 1)
    assert totals.lost_bins == [0, 100]
    assert totals.outages == [(ms(1010), -1)]
    publish(bus, FrameDelivered(ms(2600), "isp1", "eth0", Frame(b"", 3), "wan0"))
    assert (totals.outages, meter.in_flight) == ([(ms(1010), ms(2600))], 0)


def test_behind_a_hub_only_the_copy_at_the_gateway_decides() -> None:
    bus = Bus()
    meter = GatewayMeter(bus, GATEWAYS, sec(1))
    octets = udp(ISP1, ROUTER)
    publish(bus, to_isp1(0, 1), FrameCopied(1, "lan", Frame(octets, 2, 1)), FrameCopied(1, "lan", Frame(octets, 3, 1)))
    publish(
        bus, FrameDelivered(5, "h1", "eth0", Frame(octets, 1), "lan"), Dropped(5, "h2", "eth0", "LINK_DOWN", 2, b"")
    )
    assert (meter.totals["isp1"].lost_packets, meter.in_flight) == (0, 1)
    publish(bus, FrameDelivered(6, "isp1", "eth0", Frame(octets, 3, 1), "lan"))
    assert (meter.totals["isp1"].lost_packets, meter.in_flight) == (0, 0)
    publish(bus, to_isp1(7, 11), FrameCopied(7, "lan", Frame(octets, 12, 11)))
    publish(
        bus,
        Dropped(8, "isp1", "eth0", "NODE_SILENT", 12, b""),
        FrameDelivered(8, "h1", "eth0", Frame(octets, 11), "lan"),
    )
    assert (meter.totals["isp1"].lost_packets, meter.in_flight) == (1, 0)


def test_a_share_window_is_exact_at_its_ends() -> None:
    bus = Bus()
    meter = GatewayMeter(bus, GATEWAYS, sec(10))
    window = meter.watch(sec(1), sec(2))
    publish(bus, to_isp1(sec(1) - 1, 1), to_isp1(sec(1), 2), to_isp1(sec(2) - 1, 3), to_isp1(sec(2), 4))
    publish(bus, FrameSent(sec(1), "router", "wan1", Frame(udp(ISP2, ROUTER), 5)))
    assert window.tx_bytes == {"isp1": 200, "isp2": 100}
    assert window.share("isp1") == pytest.approx(2 / 3)
    assert meter.watch(0, 1).share("isp1") == 0.0


# -- flows


def unit(t: int, seq: int, flow: str = "web") -> FlowSent:
    return FlowSent(t, flow, "h1", seq, 100)


def arrival(t: int, seq: int, latency: int, flow: str = "web") -> FlowDelivered:
    return FlowDelivered(t, flow, "world", seq, 100, latency)


def test_a_flow_counts_sent_delivered_lost_gap_and_latency() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"])
    for seq in range(10):
        publish(bus, unit(sec(seq), seq))
        if seq not in (3, 4, 5):
            publish(bus, arrival(sec(seq) + ms(20 + seq), seq, ms(20 + seq)))
    result = meter.as_result(sec(10))["web"]
    assert result == {
        "sent": 10, "delivered": 7, "lost": 3, "longest_gap_s": 4.004,
        "latency_s": {"p50": 0.026, "p95": 0.029, "max": 0.029},
        "connections": {"opened": 0, "completed": 0, "reset": 0, "timed_out": 0},
    }  # fmt: skip
    assert meter.whole["web"].gap(sec(10)) == (sec("4.004"), sec("2.022"))


def test_a_unit_under_way_at_the_end_is_neither_delivered_nor_lost() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"])
    publish(bus, unit(0, 0), arrival(ms(50), 0, ms(50)), unit(sec(1), 1), unit(sec(2), 2))
    assert meter.as_result(sec(2) + ms(10))["web"]["lost"] == 1
    assert meter.under_way(meter.whole["web"], sec(2) + ms(10)) == 1
    assert meter.as_result(sec(2) + ms(50))["web"]["lost"] == 2


def test_a_duplicate_is_no_second_delivery_and_hides_no_loss() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"])
    publish(bus, unit(0, 0), unit(1, 1), arrival(5, 0, 5), arrival(6, 0, 6))
    assert (meter.whole["web"].delivered, meter.whole["web"].duplicates, meter.lost(meter.whole["web"], sec(1))) == (
        1,
        1,
        1,
    )


def test_units_of_several_senders_may_have_the_same_numbers() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"])
    publish(bus, unit(0, 0), unit(2, 0), arrival(5, 0, 3), arrival(6, 0, 6))
    assert (meter.whole["web"].delivered, meter.whole["web"].duplicates) == (2, 0)


def test_over_loopback_a_unit_may_arrive_before_it_is_told_as_sent() -> None:
    bus = Bus()
    meter = FlowMeter(bus)
    publish(bus, arrival(5, 0, 0), unit(5, 0))
    assert (meter.as_result(sec(1))["web"]["delivered"], meter.as_result(sec(1))["web"]["lost"]) == (1, 0)


def test_a_window_counts_by_sending_time_and_its_ends_count_as_deliveries() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"])
    window = meter.watch("web", sec(10), sec(20))
    publish(bus, unit(sec(9), 0), arrival(sec(10), 0, sec(1)))
    publish(bus, unit(sec(13), 1), arrival(sec(14), 1, sec(1)), unit(sec("19.5"), 2), arrival(sec("20.5"), 2, sec(1)))
    assert (window.sent, window.delivered) == (2, 2)
    assert window.gap(sec(30)) == (sec(6), sec(14))
    assert meter.watch("web", sec(25), sec(28)).gap(sec(30)) == (sec(3), sec(25))


def test_a_window_without_deliveries_is_one_gap() -> None:
    window = FlowMeter(Bus(), ["web"]).watch("web", sec(5), sec(9))
    assert window.gap(sec(60)) == (sec(4), sec(5))
    assert window.gap(sec(8)) == (sec(3), sec(5))


def test_a_flow_with_its_own_span_has_no_gap_before_it_starts() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"], spans={"web": (sec(30), sec(40))})
    publish(bus, unit(sec(30), 0), arrival(sec(31), 0, sec(1)))
    assert meter.as_result(sec(100))["web"]["longest_gap_s"] == 9.0


def test_a_flow_of_connections_counts_connections() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["dl"])
    for seq, events in enumerate(
        [["opened", "established", "completed"], ["opened", "reset"], ["opened", "timed_out"], ["opened"]]
    ):
        publish(bus, FlowSent(sec(seq), "dl", "h1", seq, 1000))
        publish(bus, *[ConnectionEvent(sec(seq), "dl", "h1", seq, event, "c") for event in events])
    result = meter.as_result(sec(10))["dl"]
    assert (result["sent"], result["delivered"], result["lost"]) == (4, 1, 2)
    assert result["connections"] == {"opened": 4, "completed": 1, "reset": 1, "timed_out": 1}


def test_what_became_of_a_connection_counts_where_it_was_opened() -> None:
    """design/scenario-format.md: `during a..b` is by sending time."""
    bus = Bus()
    meter = FlowMeter(bus, ["dl"])
    window = meter.watch("dl", sec(0), sec(10))
    publish(
        bus,
        *[ConnectionEvent(t, "dl", "h1", 0, event, "c") for t, event in ((sec(9), "opened"), (sec(12), "completed"))],
    )
    publish(
        bus, *[ConnectionEvent(t, "dl", "h1", 1, event, "c") for t, event in ((sec(11), "opened"), (sec(12), "reset"))]
    )
    assert (window.sent_units, window.delivered_units, window.broken) == (1, 1, 0)


def test_a_flow_is_binned_by_sending_time() -> None:
    bus = Bus()
    meter = FlowMeter(bus, ["web"], bin_width=sec(1))
    publish(bus, unit(ms(900), 0), arrival(ms(1200), 0, ms(300)), unit(ms(2100), 1))
    bins = meter.bins["web"]
    assert (bins.sent, bins.delivered, bins.latency_max) == ([1, 0, 1], [1], [ms(300)])


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_nearest_rank(percent: int, value: int) -> None:
    latencies = Latencies()
    for latency in range(100, 0, -1):
        latencies.add(latency)
    assert latencies.percentile(percent) == value


def test_percentiles_of_nothing_are_zero() -> None:
    assert Latencies().percentile(95) == 0


@pytest.mark.slow
def test_percentiles_stay_bounded_and_never_round_down() -> None:
    latencies = Latencies()
    for latency in range(1_000_000, 1_000_000 + 2 * DISTINCT):
        latencies.add(latency)
    exact = 1_000_000 + DISTINCT - 1
    assert exact <= latencies.percentile(50) <= exact * 1025 // 1024
    assert latencies.percentile(100) == latencies.maximum == 1_000_000 + 2 * DISTINCT - 1
    assert len(latencies._counts) < 4096


# -- neighbours, drops, ledger


def change(t: int, old: str, new: str) -> NeighChange:
    return NeighChange(t, "router", "wan0", "10.0.1.1", old, new, "", "")


KEY = NeighKey("router", "wan0", "10.0.1.1")


def test_a_neighbour_timeline_answers_states_entries_and_intervals() -> None:
    bus = Bus()
    timeline = NeighTimeline(bus)
    publish(bus, change(sec(1), "NONE", "INCOMPLETE"), change(sec(1), "INCOMPLETE", "REACHABLE"))
    publish(bus, change(sec(31), "REACHABLE", "REACHABLE"), change(sec(40), "REACHABLE", "FAILED"))
    assert [timeline.state_at(KEY, t) for t in (0, sec(1), sec(39), sec(40))] == [
        "NONE",
        "REACHABLE",
        "REACHABLE",
        "FAILED",
    ]
    assert timeline.first_entry(KEY, "FAILED", sec(5)) == sec(40)
    assert timeline.first_entry(KEY, "REACHABLE", sec(5)) is None
    assert timeline.intervals(KEY, sec(60)) == [
        Interval(0, sec(1), "NONE"),
        Interval(sec(1), sec(40), "REACHABLE"),
        Interval(sec(40), sec(60), "FAILED"),
    ]
    assert (timeline.keys(), str(KEY)) == ([KEY], "router 10.0.1.1 dev wan0")
    assert timeline.as_result()[0] == {
        "t": 1.0, "node": "router", "dev": "wan0", "dst": "10.0.1.1", "from": "NONE", "to": "INCOMPLETE",
    }  # fmt: skip


def test_drops_are_counted_by_reason_and_in_windows() -> None:
    bus = Bus()
    meter = DropMeter(bus)
    window = meter.watch(sec(1), sec(2))
    for t, reason in ((0, "NEIGH_FAILED"), (sec(1), "NEIGH_FAILED"), (sec(2), "IP_RPFILTER")):
        publish(bus, Dropped(t, "router", "wan0", reason, 0, b""))
    assert list(meter.as_result().items()) == [("IP_RPFILTER", 1), ("NEIGH_FAILED", 2)]
    assert dict(window.reasons) == {"NEIGH_FAILED": 1}


def test_the_ledger_balances() -> None:
    bus = Bus()
    ledger = Ledger(bus)
    for uid in (1, 2, 3):
        publish(bus, FrameSent(0, "h1", "eth0", Frame(b"", uid)))
    publish(bus, FrameCopied(0, "lan", Frame(b"", 4, 3)), FrameDelivered(1, "r", "lan0", Frame(b"", 1), "lan"))
    publish(bus, Dropped(1, "r", "lan0", "IP_INNOROUTES", 1, b""), Dropped(1, "lan", "", "LINK_LOSS", 2, b""))
    publish(bus, Dropped(1, "h1", "", "IP_OUTNOROUTES", 0, b""), FrameDelivered(2, "r", "lan0", Frame(b"", 9), ""))
    assert ledger.as_result() == {"sent": 4, "delivered": 1, "dropped": 1, "in_flight": 2}
    assert (ledger.packet_hops, ledger.open_uids) == (2, [3, 4])
    ledger.check(2)
    with pytest.raises(InternalError, match=r"2 frames have no end \(uids 3, 4\) but 0 are on a wire"):
        ledger.check(0)
    ledger.check(2, 1)
    with pytest.raises(InternalError, match=r"1 delivered frames have no end \(uids 9 at r\) but boxes hold 0"):
        ledger.check(2, 0)


def test_a_delivered_frame_ends_in_its_box_by_being_consumed_forwarded_or_dropped() -> None:
    bus = Bus()
    ledger = Ledger(bus)
    for uid in (1, 2, 3):
        publish(bus, FrameSent(0, "h1", "eth0", Frame(b"", uid)))
        publish(bus, FrameDelivered(1, "r", "lan0", Frame(b"", uid), "lan"))
    assert ledger.held_uids == [1, 2, 3]
    publish(bus, Consumed(1, "r", "lan0", 1), FrameSent(1, "r", "wan0", Frame(b"", 4, 2), 2))
    publish(bus, Dropped(1, "r", "lan0", "IP_INNOROUTES", 3, b""))
    assert (ledger.consumed, ledger.forwarded, ledger.ended, ledger.held) == (1, 1, 1, 0)
    ledger.check(1, 0)


def test_an_answer_is_no_end_of_the_frame_it_answers() -> None:
    bus = Bus()
    ledger = Ledger(bus)
    publish(bus, FrameSent(0, "h1", "eth0", Frame(b"", 1)), FrameDelivered(1, "r", "lan0", Frame(b"", 1), "lan"))
    publish(bus, FrameSent(1, "r", "lan0", Frame(b"", 2, 1)))
    assert ledger.held_uids == [1]
    publish(bus, Consumed(1, "r", "lan0", 1))
    ledger.check(1, 0)


def test_a_frame_that_ends_twice_is_a_bug() -> None:
    bus = Bus()
    Ledger(bus)
    publish(bus, FrameSent(0, "h1", "eth0", Frame(b"", 1)), FrameDelivered(1, "r", "lan0", Frame(b"", 1), "lan"))
    with pytest.raises(InternalError, match="frame 1 arrived at r:lan0 but was never sent, or ended before"):
        publish(bus, FrameDelivered(1, "r", "lan0", Frame(b"", 1), "lan"))


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (Consumed(2, "r", "lan0", 1), "frame 1 was consumed by r and had its end before"),
        (
            Dropped(2, "r", "lan0", "NO_SOCKET", 1, b""),
            r"frame 1 was dropped by r \(NO_SOCKET\) and had its end before",
        ),
        (FrameSent(2, "r", "wan0", Frame(b"", 2, 1), 1), "frame 1 was forwarded by r and had its end before"),
    ],
)
def test_what_ends_twice_in_a_box_is_a_bug(again, words) -> None:
    bus = Bus()
    Ledger(bus)
    publish(bus, FrameSent(0, "h1", "eth0", Frame(b"", 1)), FrameDelivered(1, "r", "lan0", Frame(b"", 1), "lan"))
    publish(bus, Consumed(1, "r", "lan0", 1))
    with pytest.raises(InternalError, match=words):
        publish(bus, again)


# -- egress, checksums


def test_new_connections_are_followed_through_nat_to_their_gateway() -> None:
    bus = Bus()
    meter = EgressMeter(bus, GATEWAYS)
    for t, sport, mac in ((sec(1), 4000, ISP1), (sec(2), 4001, ISP1), (sec(3), 4002, ISP2), (sec(4), 4000, ISP2)):
        conn = f"192.168.0.3:{sport}>203.0.113.10:80"
        publish(bus, FlowSent(t, "web", "h1", sport, 1, conn))
        publish(bus, NatMapped(t, "router", "udp", conn, f"203.0.113.10:80>10.0.1.2:{sport}", 1))
        publish(bus, FrameSent(t, "router", "wan0", Frame(udp(mac, ROUTER, sport=sport), 2)))
        publish(bus, FrameSent(t + 1, "router", "wan0", Frame(udp(mac, ROUTER, sport=sport), 3)))
    assert meter.of("web")[0] == Egress(sec(1), "192.168.0.3:4000>203.0.113.10:80", "isp1")
    assert [(e.t, e.gateway) for e in meter.of("web")] == [
        (sec(1), "isp1"), (sec(2), "isp1"), (sec(3), "isp2"), (sec(4), "isp2"),
    ]  # fmt: skip
    assert meter.settles("web", "isp2", 0, sec(60)) == sec(3)
    assert meter.settles("web", "isp1", 0, sec(3)) == sec(1)
    assert meter.settles("web", "isp1", 0, sec(60)) is None


@pytest.mark.parametrize(
    ("original", "reply"),
    [
        ("192.168.0.3>203.0.113.10:type=8,id=5", "203.0.113.10>10.0.1.2:type=0,id=9"),
        ("192.168.0.3:5>203.0.113.10:5", "203.0.113.10:9>10.0.1.2:9"),
    ],
)
def test_a_ping_is_followed_by_its_id_even_when_its_source_was_not_chosen(original: str, reply: str) -> None:
    bus = Bus()
    meter = EgressMeter(bus, GATEWAYS)
    echo = build_query(ICMP_ECHO, 9, 1, b"")
    octets = build_ether(ISP2, ROUTER) + build_ipv4(WAN0, WORLD, IPPROTO_ICMP, len(echo)) + echo
    publish(
        bus, FlowSent(1, "ping", "h1", 0, 8, "*:5>203.0.113.10:0"), NatMapped(2, "router", "icmp", original, reply, 1)
    )
    publish(bus, FrameSent(2, "router", "wan1", Frame(octets, 2)))
    assert meter.of("ping") == [Egress(2, "192.168.0.3:5>203.0.113.10:0", "isp2")]


def test_a_connection_reads_as_text() -> None:
    assert connection_text(udp(ISP1, ROUTER), 14) == "10.0.1.2:4000>203.0.113.10:80"
    echo = build_query(ICMP_ECHO, 77, 1, b"x")
    assert connection_text(build_ipv4(1, 2, IPPROTO_ICMP, len(echo)) + echo, 0) == "0.0.0.1:77>0.0.0.2:0"
    assert connection_text(b"\x45", 0) == ""


def test_wrong_checksums_are_reported_unless_made_on_purpose() -> None:
    bus = Bus()
    watch = ChecksumWatch(bus, Points(frozenset({("router", "wan0")})))
    good = udp(ISP1, ROUTER)
    broken = good[:-1] + b"\x01"
    publish(
        bus, FrameSent(0, "router", "wan0", Frame(good, 1)), FrameSent(0, "router", "wan0", Frame(broken, 2, bad=True))
    )
    publish(bus, FrameSent(0, "router", "wan1", Frame(broken, 3)))
    assert watch.count == 0
    publish(bus, FrameSent(0, "router", "wan0", Frame(broken, 4)))
    assert watch.count == 1
    assert watch.described[0].startswith("router:wan0: ")


def test_all_meters_together_give_the_measured_parts_of_a_result() -> None:
    bus = Bus()
    metrics = Metrics(bus, gateways=GATEWAYS, flows=["web"])
    publish(
        bus, to_isp1(0, 1), change(sec(1), "NONE", "INCOMPLETE"), WorldEvent(sec(60), "isp1-dies", "silence", "isp1")
    )
    publish(
        bus, CommandRun(sec(2), "router", "ip route get 10.0.0.1", 2, "", "RTNETLINK answers: Network is unreachable")
    )
    publish(bus, NatMapped(sec(2), "router", "udp", "a:1>b:2", "b:2>c:1", 1))
    result = metrics.as_result(sec(240))
    assert list(result) == [
        "events", "flows", "gateways", "neigh", "nat", "commands", "drops", "ledger", "packet_hops",
    ]  # fmt: skip
    assert result["events"] == [{"t": 60.0, "id": "isp1-dies", "verb": "silence", "target": "isp1"}]
    assert result["nat"] == [{"t": 2.0, "node": "router", "proto": "udp", "original": "a:1>b:2", "reply": "b:2>c:1"}]
    assert result["commands"][0]["rc"] == 2
    assert result["flows"]["web"]["longest_gap_s"] == 240.0
