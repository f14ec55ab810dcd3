"""Timeline, topology and ladder from literal data; plot data from literal records."""

from __future__ import annotations

import io

import pytest

from netsim.observe.filter import compile_filter
from netsim.observe.meters.gateways import Gateway
from netsim.observe.metrics import Metrics
from netsim.observe.plot import layout, style
from netsim.observe.plot.from_metrics import gateways_data, timeline_data
from netsim.observe.plot.ladder import Ladder, Step, mermaid, text_ladder
from netsim.observe.plot.timeline import FlowSeries, TimelineData, draw_timeline, outages, strip
from netsim.observe.plot.topology import GATEWAY, HOST, ROUTER, draw_topology, topology_data
from netsim.observe.plot.values import Mark, Span, Stretch
from netsim.trace.bus import Bus
from netsim.trace.records import (
    Dropped,
    FlowDelivered,
    FlowSent,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    NeighChange,
    WorldEvent,
)  # fmt: skip
from netsim.units import ms, sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.udp import build_udp

ROUTER_MAC, ISP1 = bytes.fromhex("020000000102"), bytes.fromhex("020000000201")
SRC, DST = 0xC0A80003, 0xCB00710A
UDP = build_udp(SRC, DST, 4000, 80, bytes(72))
OCTETS = build_ether(ISP1, ROUTER_MAC) + build_ipv4(SRC, DST, IPPROTO_UDP, len(UDP)) + UDP


def publish(bus: Bus, *records: object) -> None:
    for record in records:
        bus.publish(record)  # type: ignore[arg-type]  # literal records of several types


# -- from records


def run_of_a_dead_gateway() -> Metrics:
    bus = Bus()
    gateway = Gateway(name="isp1", dev="eth0", mac=ISP1, address="10.0.1.1")
    metrics = Metrics(bus, gateways=[gateway], bin_width=sec(1))

    def neigh(t: int, old: str, new: str) -> NeighChange:
        return NeighChange(t, "router", "wan0", "10.0.1.1", old, new, "", "")

    publish(bus, neigh(0, "NONE", "REACHABLE"))
    for uid in range(1, 10):
        t = sec(uid - 1)
        publish(bus, FrameSent(t, "router", "wan0", Frame(OCTETS, uid)), FlowSent(t, "web", "h1", uid, 72))
        if 3 <= uid <= 5:
            publish(bus, Dropped(t + ms(5), "isp1", "eth0", "NODE_SILENT", uid, OCTETS))
        else:
            publish(bus, FrameDelivered(t + ms(5), "isp1", "eth0", Frame(OCTETS, uid), "wan0"))
            publish(bus, FlowDelivered(t + ms(9), "web", "world", uid, 72, ms(9)))
        if uid == 2:
            publish(bus, WorldEvent(ms(1500), "isp1-dies", "silence", "isp1"))
        if uid == 4:
            publish(bus, neigh(ms(3500), "PROBE", "FAILED"))
        if uid == 5:
            publish(bus, WorldEvent(ms(4500), "", "revive", "isp1"), neigh(ms(4600), "FAILED", "REACHABLE"))
    return metrics


def test_a_run_gives_the_gateways_plot_with_its_detection_and_recovery() -> None:
    data = gateways_data(run_of_a_dead_gateway(), end=sec(9), title="x", subtitle=["y"])
    assert data.gateways[0].passed == (100, 100, 0, 0, 0, 100, 100, 100, 100)
    assert data.gateways[0].lost == (0, 0, 100, 100, 100)
    assert data.marks == (
        Mark(t=1.5, title="isp1 dies", note="carrier stays up", tone="bad"),
        Mark(t=4.5, title="revive isp1", note="in use again 0.5 s later", tone="good"),
    )
    assert data.spans == (Span(start=1.5, stop=3.5, label="detection 2.0 s"),)
    assert [(b.left, b.right, b.series) for b in data.bands] == [("10.0.1.1", "wan0", 0)]
    assert data.bands[0].stretches[1] == Stretch(start=3.5, stop=4.6, state="FAILED")


def test_a_link_may_stand_for_its_gateway() -> None:
    bus = Bus()
    metrics = Metrics(bus, gateways=[Gateway(name="isp1", dev="eth0", mac=ISP1, address="10.0.1.1")])
    publish(
        bus, WorldEvent(sec(1), "", "cut", "wan0"), NeighChange(sec(2), "r", "wan0", "10.0.1.1", "X", "FAILED", "", "")
    )
    assert gateways_data(metrics, end=sec(9), title="").spans == ()
    found = gateways_data(metrics, end=sec(9), title="", targets={"wan0": "isp1"})
    assert found.spans == (Span(start=1.0, stop=2.0, label="detection 1.0 s"),)


def test_a_run_gives_the_timeline_plot() -> None:
    data = timeline_data(run_of_a_dead_gateway(), end=sec(9), title="x")
    assert data.flows == (
        FlowSeries(
            name="web", sent=(1,) * 9, delivered=(1, 1, 0, 0, 0, 1, 1, 1, 1),
            latency=(0.009, 0.009, 0.0, 0.0, 0.0, 0.009, 0.009, 0.009, 0.009),
        ),
    )  # fmt: skip


# -- timeline


def flow(sent: tuple[int, ...], delivered: tuple[int, ...]) -> FlowSeries:
    return FlowSeries(name="web", sent=sent, delivered=delivered, latency=())


@pytest.mark.parametrize(
    ("sent", "delivered", "expected"),
    [
        ((1, 1, 1), (1, 1, 1), ()),
        ((1, 1, 1, 1), (1, 0, 0, 1), ((0.5, 1.5),)),
        ((1, 0, 1, 1), (0, 0, 0, 1), ((0.0, 1.5),)),
        ((1, 1, 0, 0), (1,), ((0.5, 1.0),)),
        ((0, 0), (), ()),
    ],
)
def test_outages_are_bins_in_which_all_was_lost(
    sent: tuple[int, ...], delivered: tuple[int, ...], expected: tuple[tuple[float, float], ...]
) -> None:
    assert outages(flow(sent, delivered), 0.5) == expected


def test_a_strip_keeps_every_unit_when_bins_are_joined() -> None:
    drawn = strip(flow((1,) * 7200, (1,) * 7000), 3600.0, 0.5)
    assert (len(drawn.sent), sum(drawn.sent), sum(drawn.delivered)) == (1200, 7200, 7000)
    assert drawn.outages == ((3500.0, 3600.0),)


@pytest.mark.slow
def test_the_timeline_plot_is_drawn_twice_the_same() -> None:
    data = TimelineData(
        title="flows", subtitle=("x",), duration=4.0, bin_width=0.5, marks=(Mark(t=1.0, title="cut"),),
        flows=(flow((5,) * 8, (5, 5, 0, 0, 5, 5, 5, 5)),
               FlowSeries(name="p", sent=(1,), delivered=(1,), latency=(0.02,))),
    )  # fmt: skip
    drawn = []
    for _ in range(2):
        out = io.BytesIO()
        style.save(draw_timeline(data), out, "svg")
        drawn.append(out.getvalue())
    assert drawn[0] == drawn[1]
    assert b'id="lost-web"' in drawn[0]
    draw_timeline(TimelineData(title="", subtitle=(), duration=1.0, bin_width=0.5, flows=()))


# -- topology

TWO_ISPS = {
    "nodes": {
        "box3": {"addr": {"eth0": "192.168.0.3/24"}},
        "box4": None,
        "router": {"kernel": "linux-2.4-routes", "addr": {"wan0": ["10.0.1.2/24", "10.0.1.3/24"]}},
        "isp1": {}, "isp2": {},
        "world": {"addr": {"lo": "203.0.113.10/32"}},
    },
    "links": {
        "lan": {"ends": ["box3:eth0", "box4:eth0", "router:lan0"]},
        "wan0": {"ends": ["router:wan0", "isp1:eth0"], "rate": "10Mbit", "delay": "5ms", "loss": "1%"},
        "wan1": {"ends": ["router:wan1", "isp2:eth0"]},
        "up1": {"ends": ["isp1:eth1", "world:eth0"]},
        "up2": {"ends": ["isp2:eth1", "world:eth1"]},
    },
}  # fmt: skip


def test_a_topology_file_tells_roles_addresses_and_links() -> None:
    data = topology_data(TWO_ISPS, title="t")
    assert {n.name: n.role for n in data.nodes} == {
        "box3": HOST, "box4": HOST, "router": ROUTER, "isp1": GATEWAY, "isp2": GATEWAY, "world": ROUTER,
    }  # fmt: skip
    assert {n.name: n.note for n in data.nodes if n.note} == {
        "router": "linux-2.4-routes",
        "world": "lo 203.0.113.10/32",
    }
    assert [(link.kind, link.note) for link in data.links][:2] == [("hub", ""), ("cable", "10Mbit, 5ms, loss 1%")]
    assert [end.address for end in data.links[1].ends] == ["10.0.1.2/24, 10.0.1.3/24", ""]


def graph(*edges: str) -> layout.Graph:
    out = layout.Graph()
    for edge in edges:
        a, b = edge.split()
        out.add(a)
        out.add(b)
        out.join(a, b)
    return out


def test_layers_run_from_the_hosts_to_the_world() -> None:
    edges = ["box3 lan", "box4 lan", "router lan", "router isp1", "router isp2", "isp1 world", "isp2 world"]
    assert layout.assign_layers(graph(*edges)) == [["box3", "box4"], ["lan"], ["router"], ["isp1", "isp2"], ["world"]]


def test_components_share_the_layers() -> None:
    assert layout.assign_layers(graph("a b", "c d")) == [["b", "d"], ["a", "c"]]


def test_layers_are_ordered_to_spare_crossings() -> None:
    crossed = graph("a x", "b y", "c z")
    assert layout.order_layers([["a", "b", "c"], ["z", "y", "x"]], crossed) == [["c", "b", "a"], ["z", "y", "x"]]


@pytest.mark.slow
def test_the_topology_drawing_shows_every_end_and_repeats() -> None:
    from matplotlib.text import Text

    data = topology_data(TWO_ISPS, title="Two ISPs")
    figure = draw_topology(data)
    said = {artist.get_text() for artist in figure.findobj(Text)}
    assert {"box3", "router", "world", "wan0", "10.0.1.2/24, 10.0.1.3/24", "lan (hub)", "10Mbit, 5ms, loss 1%"} <= said
    drawn = []
    for each in (figure, draw_topology(data)):
        out = io.BytesIO()
        style.save(each, out, "svg")
        drawn.append(out.getvalue())
    assert drawn[0] == drawn[1]


# -- ladder


def test_a_ladder_follows_frames_from_node_to_node() -> None:
    bus = Bus()
    ladder = Ladder(bus, compile_filter("udp"))
    publish(bus, FrameSent(0, "h1", "eth0", Frame(OCTETS, 1)), FrameCopied(0, "lan", Frame(OCTETS, 2, 1)))
    publish(bus, FrameDelivered(ms(1), "router", "lan0", Frame(OCTETS, 1), "lan"))
    publish(bus, FrameDelivered(ms(1), "h2", "eth0", Frame(OCTETS, 2, 1), "lan"))
    publish(
        bus,
        FrameSent(ms(1), "router", "wan0", Frame(OCTETS, 3, 1)),
        Dropped(ms(2), "isp1", "eth0", "NODE_SILENT", 3, b""),
    )
    text = "IP 192.168.0.3.4000 > 203.0.113.10.80: UDP, length 72"
    assert ladder.steps == [
        Step(0, ms(1), "h1", "router", text),
        Step(0, ms(1), "h1", "h2", text),
        Step(ms(1), ms(2), "router", "", text, "NODE_SILENT at isp1"),
    ]


STEPS = [
    Step(sec(60), sec(60), "h1", "router", "request"),
    Step(sec(60), sec(60), "router", "isp1", "request"),
    Step(sec(61), sec(61), "isp1", "router", "reply #1; fine"),
    Step(sec(61), sec(61), "router", "h1", "reply"),
    Step(sec(62), sec(62), "h1", "isp1", "across"),
    Step(sec(63), sec(63), "router", "", "again", "NODE_SILENT at isp1"),
]


def test_a_text_ladder_reads_from_left_to_right() -> None:
    assert text_ladder(STEPS, width=12) == (
        "                h1          router      isp1\n"
        "     60.000000  |---------->|           |  request\n"
        "     60.000000  |           |---------->|  request\n"
        "     61.000000  |           |<----------|  reply #1; fine\n"
        "     61.000000  |<----------|           |  reply\n"
        "     62.000000  |---------------------->|  across\n"
        "     63.000000  |           |-----x     |  again  [NODE_SILENT at isp1]\n"
    )


def test_a_ladder_may_show_some_nodes_only() -> None:
    lines = text_ladder(STEPS, only=["router", "isp1"], width=8).splitlines()
    assert len(lines) == 4
    assert lines[-1] == "     63.000000  |---x   |  again  [NODE_SILENT at isp1]"


def test_mermaid_text_keeps_to_its_grammar() -> None:
    assert mermaid(STEPS[:1] + STEPS[2:3] + STEPS[5:]) == (
        "sequenceDiagram\n"
        "    participant n0 as h1\n"
        "    participant n1 as router\n"
        "    participant n2 as isp1\n"
        "    n0->>n1: 60.000000 request\n"
        "    n2->>n1: 61.000000 reply no. 1, fine\n"
        "    n1-xn1: 63.000000 again (NODE_SILENT at isp1)\n"
    )
