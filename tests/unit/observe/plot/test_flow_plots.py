"""The flows and latency plots: data from literal records, artists from literal data, the same octets each time."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from netsim.observe.metrics import Metrics
from netsim.observe.plot import strips, style
from netsim.observe.plot.flows import AT_DELIVERY, AT_END, BY_ACK, FlowRate, FlowsData, draw_flows, rates
from netsim.observe.plot.flows_data import flows_data, latency_data
from netsim.observe.plot.latency import Column, FlowLatency, LatencyData, columns, draw_latency, time_text
from netsim.observe.plot.timeline import FlowSeries, TimelineData, draw_timeline, strip
from netsim.observe.plot.values import Mark, from_json, to_json
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, FlowDelivered, FlowSent
from netsim.units import ms, sec

MARKS = (Mark(t=1.0, title="isp1 dies", tone="bad"),)
FLOWS = FlowsData(
    title="x", subtitle=("y",), duration=3.5, bin_width=1.0, marks=MARKS,
    flows=(
        FlowRate(name="web", octets=(1000, 0, 250, 500), counted=BY_ACK, again=(0, 4, 1)),
        FlowRate(name="voice", octets=(100, 0, 100), lost=(0, 2)),
    ),
)  # fmt: skip
LATENCY = LatencyData(
    title="x", subtitle=(), duration=3.0, bin_width=1.0, marks=MARKS,
    flows=(
        FlowLatency(
            name="web", delivered=(1, 0, 2), least=(0.01, 0.0, 0.02), mean=(0.01, 0.0, 0.03),
            greatest=(0.01, 0.0, 0.04), p50=0.02, p95=0.04,
        ),
        FlowLatency(name="dead", delivered=(), least=(), mean=(), greatest=()),
    ),
)  # fmt: skip


def artists(figure: Any, gid: str) -> list[Any]:
    return [artist for artist in figure.findobj() if artist.get_gid() == gid]


def octets_of(figure: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    style.save(figure, buffer, kind)
    return buffer.getvalue()


def metrics_of(streams: tuple[str, ...] | None) -> Metrics:
    bus = Bus()
    metrics = Metrics(bus, flows=["voice", "file"], bin_width=sec(1), streams=streams)
    for seq, latency in enumerate((ms(10), None, ms(30), ms(20))):
        t = sec(seq // 2)
        bus.publish(FlowSent(t, "voice", "h", seq, 100))
        if latency is not None:
            bus.publish(FlowDelivered(t + latency, "voice", "w", seq, 100, latency))
    bus.publish(ConnectionEvent(0, "file", "h", 1, "opened", "a"))
    bus.publish(FlowSent(0, "file", "h", 1, 9, "a"))
    bus.publish(FlowDelivered(ms(2500), "file", "h", 1, 5000, ms(2500), "a"))
    bus.publish(FlowSent(ms(3990), "voice", "h", 4, 100))
    return metrics


def test_payload_counts_when_it_arrives_and_a_unit_under_way_is_not_lost() -> None:
    data = flows_data(metrics_of(None), end=sec(4), title="x")
    assert data.flows == (
        FlowRate(name="voice", octets=(100, 200), counted=AT_DELIVERY, lost=(1,)),
        FlowRate(name="file", octets=(0, 0, 5000), counted=AT_END),
    )
    data = flows_data(metrics_of(("file",)), end=sec(4), title="x")
    assert data.flows[1] == FlowRate(name="file", octets=(), counted=BY_ACK)


def test_latency_is_least_mean_and_greatest_of_each_bin() -> None:
    voice = latency_data(metrics_of(None), end=sec(4), title="x").flows[0]
    assert voice == FlowLatency(
        name="voice", delivered=(1, 2), least=(0.01, 0.02), mean=(0.01, 0.025), greatest=(0.01, 0.03), p50=0.02,
        p95=0.03,
    )  # fmt: skip


@pytest.mark.parametrize("data", [FLOWS, LATENCY], ids=["flows", "latency"])
def test_data_survive_json(data: FlowsData | LatencyData) -> None:
    assert from_json(type(data), json.loads(json.dumps(to_json(data)))) == data


def test_a_last_bin_cut_short_has_its_own_rate() -> None:
    assert rates(FLOWS.flows[0], strips.grid(3.5, 1.0)) == (8000.0, 0.0, 2000.0, 8000.0)


def test_bins_narrower_than_a_pixel_are_joined() -> None:
    cells = strips.grid(2570.0, 1.0)
    assert (cells.factor, len(cells.edges)) == (2, 1286)
    assert cells.sums([1, 2, 3])[:3] == (3, 3, 0)
    flow = FlowLatency(name="w", delivered=(1, 3), least=(0.3, 0.1), mean=(0.3, 0.1), greatest=(0.3, 0.1))
    (column,) = columns(flow, cells)
    assert column == Column(start=0.0, stop=2.0, least=0.1, mean=pytest.approx(0.15), greatest=0.3)  # type: ignore[arg-type]  # compares as a float


def test_the_flows_figure_holds_goodput_losses_and_retransmissions() -> None:
    figure = draw_flows(FLOWS)
    (web,) = artists(figure, "goodput-web")
    assert web.get_data().values.tolist() == [8.0, 0.0, 2.0, 8.0]
    again = artists(figure, "again-web")
    assert [(bar.get_x(), bar.get_height()) for bar in again] == [(1.0, 1.0), (2.0, pytest.approx(0.475))]
    (lost,) = artists(figure, "lost-voice")
    assert (lost.get_x(), lost.get_width(), lost.get_height()) == (1.0, 1.0, 1.0)
    assert artists(figure, "lost-web") == artists(figure, "again-voice") == []
    said = {text.get_text() for text in figure.texts}
    assert {"1.75 kB", "5 again", "2 lost", "kbit/s"} <= said
    assert any("web as acknowledged; voice as delivered" in text for text in said)


def test_the_latency_figure_holds_a_band_and_a_mean_where_something_arrived() -> None:
    figure = draw_latency(LATENCY)
    (band,) = artists(figure, "range-web")
    assert [path.get_extents().bounds[:2] for path in band.get_paths()] == [(0.0, 0.01), (2.0, 0.02)]
    (mean,) = artists(figure, "mean-web")
    assert [segment.tolist() for segment in mean.get_segments()] == [[[0, 0.01], [1, 0.01]], [[2, 0.03], [3, 0.03]]]
    assert {"p50 20 ms", "p95 40 ms", "no delivery"} <= {text.get_text() for text in figure.texts}


def test_latencies_are_written_in_the_unit_they_reach() -> None:
    assert [time_text(value) for value in (1.5, 0.0202, 0.00005, 0.0)] == ["1.5 s", "20.2 ms", "50 us", "0 us"]


def test_the_timeline_marks_segments_sent_again_and_no_outage_past_the_end() -> None:
    flow = FlowSeries(name="web", sent=(1, 1, 1, 1), delivered=(1, 1, 1), latency=(0.1,) * 3, again=(0, 2, 1))
    assert strip(flow, 3.0, 1.0).outages == ()
    figure = draw_timeline(TimelineData(title="", subtitle=(), duration=3.0, bin_width=1.0, flows=(flow,)))
    (ticks,) = artists(figure, "again-web")
    assert [segment[0, 0] for segment in ticks.get_segments()] == [1.5, 2.5]
    assert "3 again" in {text.get_text() for text in figure.texts}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_two_figures_of_the_same_data_are_the_same_octets(kind: str) -> None:
    assert octets_of(draw_flows(FLOWS), kind) == octets_of(draw_flows(FLOWS), kind)
    assert octets_of(draw_latency(LATENCY), kind) == octets_of(draw_latency(LATENCY), kind)


def test_a_run_without_traffic_still_draws() -> None:
    empty: dict[str, Any] = {"title": "", "subtitle": (), "duration": 1.0, "bin_width": 0.5, "flows": ()}
    assert artists(draw_flows(FlowsData(**empty)), "goodput-web") == []
    assert artists(draw_latency(LatencyData(**empty)), "mean-web") == []
