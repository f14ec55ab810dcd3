"""Lines of a log and the page of a report."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from netsim.observe.plot.gateways import GatewaysData, draw_gateways
from netsim.observe.plot.style import save
from netsim.observe.plot.values import Mark
from netsim.observe.report import LIST_LIMIT, report_html
from netsim.observe.textlog import QUIET, TextLog, format_record
from netsim.trace.bus import Bus
from netsim.trace.records import (
    RECORD_TYPES,
    CommandRun,
    ConnectionEvent,
    ConntrackEvent,
    Consumed,
    Dropped,
    FlowDelivered,
    FlowError,
    FlowSent,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    HookVerdict,
    NatMapped,
    NeighChange,
    Record,
    RouteEvent,
    RouteLookup,
    TcpSample,
    Tracked,
    WorldEvent,
)  # fmt: skip
from netsim.units import ms, sec
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.udp import build_udp

UDP = build_udp(0xC0A80003, 0xCB00710A, 4000, 80, bytes(100))
IP = build_ipv4(0xC0A80003, 0xCB00710A, IPPROTO_UDP, len(UDP)) + UDP
OCTETS = build_ether(bytes.fromhex("020000000201"), bytes.fromhex("020000000102")) + IP
SUMMARY = "IP 192.168.0.3.4000 > 203.0.113.10.80: UDP, length 100"
T = sec(60) + 1

LINES: list[tuple[Record, str]] = [
    (FrameSent(T, "router", "wan0", Frame(OCTETS, 1)), f"router:wan0 Out {SUMMARY}"),
    (FrameDelivered(T, "router", "lan0", Frame(IP, 1, link_header=False), "x"), f"router:lan0 In  {SUMMARY}"),
    (FrameCopied(T, "lan", Frame(OCTETS, 2, 1)), f"lan copy {SUMMARY}"),
    (Dropped(T, "router", "wan0", "NEIGH_FAILED", 1, IP, "10.0.1.1"),
     f"router:wan0 drop NEIGH_FAILED (10.0.1.1): {SUMMARY}"),
    (Dropped(T, "wan0", "", "LINK_LOSS", 1, OCTETS), f"wan0 drop LINK_LOSS: {SUMMARY}"),
    (Dropped(T, "wan0", "", "LINK_LOSS", 1, b""), "wan0 drop LINK_LOSS"),
    (Consumed(T, "router", "lan0", 1), "router:lan0 end of packet"),
    (
        NeighChange(T, "router", "wan0", "10.0.1.1", "DELAY", "PROBE", "02:00:00:00:02:01", "timer"),
        "router neigh 10.0.1.1 dev wan0 lladdr 02:00:00:00:02:01 DELAY -> PROBE (timer)",
    ),
    (
        RouteLookup(T, "router", "input", "203.0.113.10", "192.168.0.3", "lan0", "", 0, 20, "100",
                    "default via 10.0.1.1", "10.0.1.1", "wan0", (), 0, 0, "the only one alive"),
        "router route input 192.168.0.3 -> 203.0.113.10: table 100: default via 10.0.1.1 (the only one alive)",
    ),
    (
        HookVerdict(T, "router", "PREROUTING", "nat", "PREROUTING", 0, "policy ACCEPT", "ACCEPT", 1),
        "router PREROUTING nat PREROUTING policy: policy ACCEPT -> ACCEPT",
    ),
    (NatMapped(T, "router", "udp", "a:1>b:2", "b:2>c:3"), "router nat udp a:1>b:2 reply b:2>c:3"),
    (ConntrackEvent(T, "router", "NEW", " udp 17 30 src=a"), "router conntrack [NEW] udp 17 30 src=a"),
    (Tracked(T, "router", 7, mapped=True, gone=False), "router connection 7 with NAT tracked"),
    (Tracked(T, "router", 8, mapped=False, gone=True), "router connection 8 gone"),
    (RouteEvent(T, "router", "Deleted", "default via 10.0.1.1", False),
     "router route Deleted default via 10.0.1.1 (no message)"),
    (CommandRun(T, "router", "ip rule", 0, "0:\tx\n1:\ty\n", ""), "router# ip rule\n    0:\tx\n    1:\ty"),
    (CommandRun(T, "router", "ip x", 1, "", "Object unknown\n"), "router# ip x  [rc 1]\n    Object unknown"),
    (WorldEvent(T, "isp1-dies", "silence", "isp1"), "--- silence isp1 (isp1-dies)"),
    (FlowSent(T, "web", "h1", 3, 100), "h1 flow web #3 sent 100"),
    (FlowDelivered(T, "web", "world", 3, 100, ms(12)), "world flow web #3 delivered 100 after 12ms"),
    (FlowError(T, "web", "h1", 3, "EHOSTUNREACH", "192.168.0.1"), "h1 flow web #3 error EHOSTUNREACH from 192.168.0.1"),
    (ConnectionEvent(T, "dl", "h1", 1, "reset", "a:1>b:80"), "h1 flow dl #1 reset a:1>b:80"),
    (
        TcpSample(T, "h1", "a:1>b:80", "ack", 14600, 65535, 2920, ms(200), ms(12)),
        "h1 tcp a:1>b:80 ack: cwnd 14600 ssthresh 65535 flight 2920 rto 200ms srtt 12ms",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("record", "line"), LINES, ids=[line[:40] for _, line in LINES])
def test_a_record_is_one_line_with_its_time(record: Record, line: str) -> None:
    assert format_record(record) == f"60.000000001 {line}"


def test_every_record_type_has_a_line() -> None:
    assert {type(record) for record, _ in LINES} == set(RECORD_TYPES)


def test_a_log_leaves_decisions_and_copies_out_unless_asked() -> None:
    bus, lines = Bus(), list[str]()
    TextLog(bus, lines.append)
    assert not bus.wanted & {*QUIET, RouteLookup, HookVerdict}
    bus.publish(WorldEvent(sec(1), "", "cut", "wan0"))
    assert lines == ["1.000000000 --- cut wan0\n"]
    asked = Bus()
    TextLog(asked, lines.append, [RouteLookup])
    assert asked.wanted == {RouteLookup}


# -- report

CHANGE = {"t": 0.0, "node": "router", "dev": "wan0", "dst": "10.0.1.1", "from": "PROBE", "to": "FAILED"}
RESULT = {
    "schema": "netsim-result/1", "scenario": "dead <gateway>", "seed": 7, "duration_s": 240.0, "passed": False,
    "digest": "ab12",
    "expect": [
        {"name": "found & moved", "passed": True, "measured": {"at_s": 36.0}, "why": "36 s is inside 3s..54s"},
        {"name": "no loss", "passed": False, "measured": {"lost": 3}, "why": "3 lost, 0 wanted"},
    ],
    "events": [{"t": 60.0, "id": "isp1-dies", "verb": "silence", "target": "isp1"}],
    "flows": {"web": {"sent": 10, "delivered": 7, "lost": 3, "longest_gap_s": 4.004,
                      "latency_s": {"p50": 0.026, "p95": 0.029, "max": 0.029},
                      "connections": {"opened": 0, "completed": 0, "reset": 0, "timed_out": 0}}},
    "gateways": {"isp1": {"tx_packets": 1, "tx_bytes": 3000, "rx_packets": 2, "rx_bytes": 1},
                 "isp2": {"tx_bytes": 1000}},
    "neigh": [CHANGE] * (LIST_LIMIT + 2),
    "nat": [{"t": 0.0, "node": "router", "proto": "udp", "original": "a:1>b:2", "reply": "b:2>c:3"}],
    "commands": [{"t": 1.0, "node": "router", "line": "ip rule", "rc": 2, "stdout": "", "stderr": "<no>"}],
    "drops": {"NEIGH_FAILED": 3}, "ledger": {"sent": 5, "delivered": 4, "dropped": 1, "in_flight": 0}, "packet_hops": 4,
}  # fmt: skip
SVG = (
    '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg width="10pt" height="5pt" viewBox="0 0 10 5">'
    '<defs><path id="p1"/></defs><use xlink:href="#p1"/><g clip-path="url(#p1)"/></svg>\n'
)


class Balance(HTMLParser):
    """Holds the open elements; any end tag that does not close the last one fails."""

    VOID = frozenset({"meta", "path", "use", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_is_one_balanced_page_that_needs_nothing_else() -> None:
    page = report_html(RESULT, [("Gateways", SVG), ("Timeline", SVG)])
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.urls == ["#f0-p1", "#f1-p1"]
    assert "<script" not in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "prefers-color-scheme: dark" in page


def test_a_report_escapes_what_the_run_said() -> None:
    page = report_html(RESULT)
    assert "dead &lt;gateway&gt;" in page
    assert "found &amp; moved" in page
    assert "<pre>&lt;no&gt;</pre>" in page


def test_a_report_shows_verdicts_numbers_and_counts_what_it_leaves_out() -> None:
    page = report_html(RESULT)
    assert '<td class="good">holds</td><td>found &amp; moved</td>' in page
    assert '<td class="bad">fails</td><td>no loss</td>' in page
    assert '<td class="num bad">3</td><td class="num">4.004</td><td class="num">26</td>' in page
    assert '<td class="num">75.0 %</td>' in page
    assert "and 2 more" in page
    assert "Frames on the wires: 5 sent, 4 delivered, 1 dropped, 0 in flight." in page


def test_an_inline_figure_has_ids_of_its_own_and_no_size() -> None:
    page = report_html({"scenario": "x"}, [("A", SVG), ("B", SVG)])
    assert page.count('<svg viewBox="0 0 10 5" role="img">') == 2
    assert 'id="f0-p1"' in page
    assert "url(#f1-p1)" in page


@pytest.mark.slow
def test_a_plot_of_ours_goes_in_whole_and_well_formed() -> None:
    data = GatewaysData(
        title="x", subtitle=(), duration=1.0, bin_width=0.5, gateways=(), marks=(Mark(t=0.5, title="m"),)
    )
    out = io.BytesIO()
    save(draw_gateways(data), out, "svg")
    page = report_html({}, [("Gateways", out.getvalue().decode())])
    svg = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    ids = [element.get("id") for element in svg.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 5
    assert all(str(each).startswith("f0-") for each in ids)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page))
    assert {a or b for a, b in used} <= set(ids)


def test_a_report_of_an_empty_result_is_still_a_page() -> None:
    assert report_html({}).startswith("<!doctype html>")
