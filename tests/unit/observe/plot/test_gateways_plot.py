"""The gateways plot: its numbers, its artists' data, its octets. Never its pixels."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from netsim.observe.plot import style, timeaxis
from netsim.observe.plot.gateways import GatewaysData, GatewaySeries, draw_gateways, layers, spread
from netsim.observe.plot.values import Band, Mark, Span, Stretch, from_json, to_json

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


def sample(**changes: object) -> GatewaysData:
    values: dict[str, object] = {
        "title": "isp1 dies",
        "subtitle": ("scenarios/x.yaml, seed 7", "kernel linux-6"),
        "duration": 4.0,
        "bin_width": 1.0,
        "gateways": (
            GatewaySeries(name="isp1", passed=(125_000, 0, 0, 250_000), lost=(0, 125_000)),
            GatewaySeries(name="isp2", passed=(250_000, 250_000, 500_000), lost=()),
        ),
        "marks": (
            Mark(t=1.0, title="isp1 dies", note="carrier stays up", tone="bad"),
            Mark(t=3.0, title="isp1 returns", tone="good"),
        ),
        "spans": (Span(start=1.0, stop=2.0, label="detection 1.0 s"),),
        "bands": (
            Band(left="10.0.1.1", right="wan0", series=0, stretches=(
                Stretch(start=0, stop=2, state="REACHABLE"), Stretch(start=2, stop=3, state="FAILED"),
                Stretch(start=3, stop=4, state="NONE"),
            )),
        ),
    }  # fmt: skip
    return GatewaysData(**(values | changes))  # type: ignore[arg-type]  # the values are those of the fields


def artists(figure: Figure) -> dict[str, list[Artist]]:
    found: dict[str, list[Artist]] = {}
    for artist in figure.findobj():
        if artist.get_gid():
            found.setdefault(str(artist.get_gid()), []).append(artist)
    return found


def texts(figure: Figure) -> set[str]:
    from matplotlib.text import Text

    return {artist.get_text() for artist in figure.findobj(Text) if artist.get_text()}


def test_octets_become_rates_stacked_from_the_first_gateway_with_losses_on_top() -> None:
    stack = layers(sample())
    assert (stack.edges, stack.unit, stack.top) == ((0, 1, 2, 3, 4), "Mbit", 4.0)
    assert stack.passed == ((1.0, 0.0, 0.0, 2.0), (2.0, 2.0, 4.0, 0.0))
    assert stack.lost == (0.0, 1.0, 0.0, 0.0)


def test_a_last_bin_that_is_cut_short_is_scaled_to_its_width() -> None:
    stack = layers(sample(duration=3.5))
    assert stack.edges == (0, 1, 2, 3, 3.5)
    assert stack.passed[0][3] == 4.0


def test_bins_narrower_than_a_pixel_are_joined_and_no_octet_is_lost() -> None:
    octets = tuple(range(7200))
    data = sample(
        duration=3600.0, bin_width=0.5, gateways=(GatewaySeries(name="isp1", passed=octets, lost=()),), bands=()
    )
    stack = layers(data)
    assert len(stack.lost) == 1200 <= style.RIGHT - style.LEFT
    scale = {"bit": 1, "kbit": 1e3, "Mbit": 1e6}[stack.unit]
    total = (
        sum(rate * scale * (b - a) for rate, a, b in zip(stack.passed[0], stack.edges, stack.edges[1:], strict=False))
        / 8
    )
    assert total == pytest.approx(sum(octets))
    assert "3 s bins" in " ".join(texts(draw_gateways(data)))


@pytest.mark.parametrize(
    ("octets", "unit"), [(1, "bit"), (1_000, "kbit"), (1_000_000, "Mbit"), (1_000_000_000, "Gbit"), (0, "bit")]
)
def test_the_unit_follows_the_greatest_rate(octets: int, unit: str) -> None:
    assert layers(sample(gateways=(GatewaySeries(name="a", passed=(octets,), lost=()),))).unit == unit


@pytest.mark.slow
def test_artists_hold_the_layers() -> None:
    found = artists(draw_gateways(sample()))
    isp2 = found["passed-isp2"][0].get_data()  # type: ignore[attr-defined]  # a StepPatch
    assert np.allclose(isp2.values, [3, 2, 4, 2])
    assert np.allclose(isp2.baseline, [1, 0, 0, 2])
    lost = found["lost-hatch"][0]
    assert np.allclose(lost.get_data().values, [3, 3, 4, 2])  # type: ignore[attr-defined]
    assert lost.get_hatch() == "////"  # type: ignore[attr-defined]
    assert [round(float(line.get_xdata()[0]) * style.WIDTH) for line in found["mark"]] == [  # type: ignore[attr-defined]
        round(timeaxis.x_pixel(1, 4)),
        round(timeaxis.x_pixel(3, 4)),
    ]
    assert len(found["band-0"][0].get_paths()) == 2  # type: ignore[attr-defined]  # NONE is not drawn


@pytest.mark.slow
def test_everything_is_named_where_it_stands() -> None:
    said = texts(draw_gateways(sample()))
    assert {
        "isp1",
        "isp2",
        "10.0.1.1",
        "wan0",
        "detection 1.0 s",
        "isp1 dies",
        "carrier stays up",
        "isp1 returns",
    } <= said
    assert {
        "Mbit/s through the router",
        "simulated time (s)",
        "REACHABLE",
        "FAILED",
        "lost: sent to a dead gateway",
    } <= said
    assert "scenarios/x.yaml, seed 7   ·   kernel linux-6   ·   1 s bins" in said
    assert "PROBE" not in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_two_drawings_of_the_same_data_are_the_same_octets(kind: str) -> None:
    drawn = []
    for _ in range(2):
        out = io.BytesIO()
        style.save(draw_gateways(sample()), out, kind)
        drawn.append(out.getvalue())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 5000
    assert b"dc:date" not in drawn[0]


def test_data_survives_json() -> None:
    data = sample()
    assert from_json(GatewaysData, json.loads(json.dumps(to_json(data)))) == data


def test_json_of_a_later_version_may_hold_more() -> None:
    assert from_json(Mark, {"t": 1.0, "title": "x", "later": 1}) == Mark(t=1.0, title="x")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 8])
def test_one_and_eight_gateways_are_drawn_without_marks_or_bands(count: int) -> None:
    series = tuple(GatewaySeries(name=f"isp{n}", passed=(1000,) * 10, lost=()) for n in range(count))
    figure = draw_gateways(sample(gateways=series, duration=10.0, marks=(), spans=(), bands=()))
    assert {f"isp{n}" for n in range(count)} <= texts(figure)
    assert "lost: sent to a dead gateway" not in texts(figure)


@pytest.mark.slow
def test_a_run_without_traffic_and_one_without_gateways_are_drawn() -> None:
    silent = (GatewaySeries(name="isp1", passed=(), lost=()),)
    assert "bit/s through the router" in texts(draw_gateways(sample(gateways=silent)))
    assert "bit/s through the router" in texts(draw_gateways(sample(gateways=())))


def test_labels_of_marks_never_touch_and_stay_on_the_sheet() -> None:
    marks = [Mark(t=t, title="isp1 goes down", note="carrier lost") for t in (0, 1, 2, 3, 4, 50, 100)]
    placed = timeaxis.place_marks(marks, 100.0)
    assert [p.row for p in placed] == [0, 1, 2, -1, -1, 0, 0]
    width = style.text_width("isp1 goes down", style.MARK, bold=True)
    assert all(p.center - width / 2 >= 19 and p.center + width / 2 <= style.WIDTH - 19 for p in placed)


def test_overlapping_spans_take_rows_of_their_own() -> None:
    spans = [Span(start=0, stop=40, label="a"), Span(start=10, stop=50, label="b"), Span(start=60, stop=90, label="c")]
    assert timeaxis.span_rows(spans, 100.0) == [0, 1, 0]


def test_states_shorter_than_a_pixel_are_joined_into_the_worst() -> None:
    states = [
        ("REACHABLE", 0, 10),
        ("STALE", 10, 10.1),
        ("FAILED", 10.1, 10.2),
        ("DELAY", 10.2, 10.3),
        ("REACHABLE", 10.3, 20),
    ]
    merged = timeaxis.merge_stretches([Stretch(start=a, stop=b, state=s) for s, a, b in states], 1.0)
    assert [(s.state, s.start, s.stop) for s in merged] == [
        ("REACHABLE", 0, 10), ("FAILED", 10, 10.3), ("REACHABLE", 10.3, 20),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("duration", "last", "label"),
    [(10, "10", "s"), (240, "240", "s"), (3600, "60", "min"), (0.05, "0.05", "s"), (90, "90", "s")],
)
def test_ticks_are_round_and_few(duration: float, last: str, label: str) -> None:
    ticks, names, axis = timeaxis.time_ticks(duration)
    assert (names[0], names[-1], axis) == ("0", last, f"simulated time ({label})")
    assert 2 <= len(ticks) <= 10


def test_labels_at_the_right_are_moved_apart() -> None:
    assert spread([500.0, 498.0, 490.0], 27, 100, 590) == [500.0, 473.0, 446.0]
    assert spread([110.0, 105.0], 27, 100, 590) == [127.0, 100.0] or spread([110.0, 105.0], 27, 100, 590) == [
        110.0,
        83.0,
    ]


def test_a_long_title_is_shortened_to_the_sheet() -> None:
    cut = style.shorten("word " * 100, 300, style.TITLE)
    assert cut.endswith("…")
    assert style.text_width(cut, style.TITLE) <= 300
