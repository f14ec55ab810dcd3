"""Captures from literal records."""

from __future__ import annotations

import io
from struct import unpack_from

import pytest

from netsim.errors import SimulationError
from netsim.observe.capture import HOLD, HOLD_FRAMES, Capture, CaptureCount, Points, resolve_points
from netsim.observe.filter import compile_filter
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameDelivered, FrameSent, NatMapped, RouteLookup
from netsim.units import ms, sec
from netsim.wire.frame import Frame

OCTETS = bytes.fromhex(
    "020000000102 020000000201 0800 4500001c0001000040110000c0a80003cb00710a 0fa0005000080000".replace(" ", "")
)
LINKS = {"lan": [("h1", "eth0"), ("h2", "eth0"), ("router", "lan0")], "wan": [("router", "wan0"), ("isp1", "eth0")]}
ALL = Points(frozenset(), everything=True)


def sent(t: int, point: str, uid: int, parent: int = 0) -> FrameSent:
    node, dev = point.split(":")
    return FrameSent(t, node, dev, Frame(OCTETS, uid, parent))


def delivered(t: int, point: str, uid: int, parent: int = 0, link: str = "lan") -> FrameDelivered:
    node, dev = point.split(":")
    return FrameDelivered(t, node, dev, Frame(OCTETS, uid, parent), link)


def publish(bus: Bus, *records: object) -> None:
    for record in records:
        bus.publish(record)  # type: ignore[arg-type]  # literal records of several types


def test_points_are_interfaces_links_and_all() -> None:
    points = resolve_points(["router:lan0", "wan"], LINKS)
    assert points.interfaces == {("router", "lan0"), ("router", "wan0"), ("isp1", "eth0")}
    assert not points.everything
    assert resolve_points(["all"], LINKS).everything


def test_a_point_that_names_nothing_is_refused() -> None:
    with pytest.raises(SimulationError, match='"wan7" is no capture point: NODE:IFACE, a link or all'):
        resolve_points(["wan7"], LINKS)


def test_frames_are_seen_out_where_sent_and_in_where_delivered() -> None:
    bus = Bus()
    capture = Capture(bus, resolve_points(["lan"], LINKS))
    publish(bus, sent(1, "h1:eth0", 1), delivered(5, "router:lan0", 1), sent(5, "router:wan0", 2, 1))
    assert [(c.t, c.node, c.dev, c.direction, c.frame.uid) for c in capture.frames] == [
        (1, "h1", "eth0", "out", 1),
        (5, "router", "lan0", "in", 1),
    ]


def test_a_drop_is_told_at_the_box_that_dropped() -> None:
    bus = Bus()
    capture = Capture(bus, ALL)
    publish(bus, sent(1, "h1:eth0", 1), delivered(5, "router:lan0", 1))
    publish(bus, Dropped(sec(3), "router", "wan0", "NEIGH_FAILED", 1, OCTETS[14:], "10.0.1.1"))
    assert [c.comments for c in capture.frames] == [(), ("dropped by router wan0: NEIGH_FAILED (10.0.1.1)",)]


def test_a_loss_on_the_wire_is_told_where_the_frame_was_sent() -> None:
    bus = Bus()
    capture = Capture(bus, ALL)
    publish(bus, sent(1, "h1:eth0", 1), Dropped(2, "lan", "", "LINK_LOSS", 1, OCTETS))
    assert [c.comments for c in capture.frames] == [("dropped by lan: LINK_LOSS",)]


def test_translation_and_route_explain_the_packet_that_came_and_the_one_that_goes() -> None:
    bus = Bus()
    capture = Capture(bus, ALL)
    why = "rule 20, table 100: 10.0.1.1 is REACHABLE"
    route = RouteLookup(
        5, "router", "input", "203.0.113.10", "192.168.0.3", "lan0", "", 0, 20, "100", "default via 10.0.1.1 dev wan0",
        "10.0.1.1", "wan0", (), 0, 0, why, 1,
    )  # fmt: skip
    nat = NatMapped(5, "router", "udp", "192.168.0.3:4000>203.0.113.10:80", "203.0.113.10:80>10.0.1.2:4000", 1)
    publish(bus, delivered(5, "router:lan0", 1), route, nat, sent(5, "router:wan0", 2, 1), sent(6, "isp1:eth1", 3, 2))
    expected = (
        "route default via 10.0.1.1 dev wan0: " + why,
        "nat udp 192.168.0.3:4000>203.0.113.10:80 -> 203.0.113.10:80>10.0.1.2:4000",
    )
    assert [c.comments for c in capture.frames] == [expected, expected, ()]


def test_lookups_are_asked_for_only_when_wanted() -> None:
    bus = Bus()
    Capture(bus, ALL, lookups=False)
    assert RouteLookup not in bus.wanted


def comments_of(data: bytes) -> list[bytes]:
    at, found = 0, []
    while at < len(data):
        kind, total = unpack_from("<II", data, at)
        if kind == 6:
            length = unpack_from("<I", data, at + 20)[0]
            found.append(data[at + 28 + (length + 3) // 4 * 4 : at + total - 4])
        at += total
    return found


def test_a_streaming_capture_writes_late_drops_and_keeps_nothing() -> None:
    bus, out = Bus(), io.BytesIO()
    capture = Capture(bus, ALL, file=out)
    publish(bus, delivered(0, "router:lan0", 1), Dropped(sec(3), "router", "wan0", "NEIGH_FAILED", 1, b""))
    assert comments_of(out.getvalue()) == []
    publish(bus, sent(HOLD + 1, "h1:eth0", 2))
    assert len(comments_of(out.getvalue())) == 1
    assert b"NEIGH_FAILED" in comments_of(out.getvalue())[0]
    capture.close()
    assert len(comments_of(out.getvalue())) == 2
    assert (capture.frames, capture.count) == ([], 2)


def test_a_streaming_capture_holds_a_bounded_number_of_frames() -> None:
    bus, out = Bus(), io.BytesIO()
    Capture(bus, ALL, file=out)
    written = []
    for uid in range(1, HOLD_FRAMES + 2):
        bus.publish(sent(uid, "h1:eth0", uid))
        written.append(len(comments_of(out.getvalue())) if uid >= HOLD_FRAMES else 0)
    assert written[-2:] == [0, HOLD_FRAMES // 2]  # full, and then the older half goes


def test_what_explains_a_frame_finds_it_wherever_it_was_seen_while_others_come_and_go() -> None:
    bus, out = Bus(), io.BytesIO()
    capture = Capture(bus, ALL, file=out)
    publish(bus, sent(0, "h1:eth0", 1), delivered(1, "router:lan0", 1))
    publish(bus, Dropped(2, "h2", "", "UNKNOWN", 7, b""))  # asks for a frame that nobody saw: all are filed
    publish(bus, delivered(3, "h3:eth0", 1), delivered(sec(5), "h2:eth0", 2), delivered(sec(5), "h2:eth0", 3))
    publish(bus, Dropped(sec(5), "h2", "eth0", "TOO_LATE", 1, b""), Dropped(sec(5), "h2", "eth0", "IN_TIME", 2, b""))
    capture.close()
    comments = comments_of(out.getvalue())
    assert [b"TOO_LATE" in comment for comment in comments] == [False] * 5
    assert [b"IN_TIME" in comment for comment in comments] == [False, False, False, True, False]


def test_a_kept_capture_and_a_streamed_one_write_the_same_octets() -> None:
    bus, streamed, kept = Bus(), io.BytesIO(), io.BytesIO()
    stream = Capture(bus, ALL, file=streamed, describe=lambda node, dev: f"{dev} of {node}")
    keep = Capture(bus, ALL, describe=lambda node, dev: f"{dev} of {node}")
    publish(
        bus, sent(1, "h1:eth0", 1), delivered(2, "router:lan0", 1), Dropped(2, "router", "", "IP_INNOROUTES", 1, b"")
    )
    stream.close()
    keep.write(kept)
    assert streamed.getvalue() == kept.getvalue() != b""


def test_a_capture_may_filter() -> None:
    bus = Bus()
    capture = Capture(bus, ALL, matching=compile_filter("port 81"))
    publish(bus, sent(1, "h1:eth0", 1))
    assert (capture.count, capture.frames) == (0, [])


def test_a_count_at_an_interface_takes_both_directions_inside_its_window() -> None:
    bus = Bus()
    count = CaptureCount(bus, resolve_points(["router:lan0"], LINKS), compile_filter("udp"), start=ms(10), stop=ms(20))
    publish(
        bus, delivered(ms(9), "router:lan0", 1), delivered(ms(10), "router:lan0", 2), sent(ms(19), "router:lan0", 3)
    )
    publish(bus, delivered(ms(20), "router:lan0", 4), delivered(ms(15), "h2:eth0", 5))
    assert (count.count, [(c.t, c.direction) for c in count.first]) == (2, [(ms(10), "in"), (ms(19), "out")])


def test_a_count_at_a_link_takes_each_frame_once() -> None:
    bus = Bus()
    count = CaptureCount(bus, resolve_points(["lan"], LINKS), compile_filter("udp"), link=True)
    publish(bus, sent(1, "h1:eth0", 1), delivered(2, "router:lan0", 1), delivered(2, "h2:eth0", 7, 1))
    publish(bus, delivered(3, "h2:eth0", 9, link=""))
    assert count.count == 2
