"""The result value: JSON both ways, exit status, timing."""

import json
from dataclasses import replace

import pytest

from netsim.errors import ConfigError
from netsim.files import LONGEST
from netsim.scenario.plots import save_plots
from netsim.scenario.result import Result, Verdict, exit_code

RESULT = Result(
    scenario="x", seed=7, duration_s=240.0, passed=False, digest="ab",
    expect=(Verdict(name="dead", passed=True, measured={"at_s": 48.2}, why="because"), Verdict(name="no",
    passed=False)),
    events=({"t": 60.0, "id": "dies", "verb": "silence", "target": "isp1"},), drops={"NEIGH_FAILED": 3},
    ledger={"sent": 1, "delivered": 1, "dropped": 0, "in_flight": 0}, packet_hops=1, wall_s=0.5,
)  # fmt: skip


def test_a_result_survives_the_way_through_json(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(RESULT.to_json(indent=2))
    assert Result.load(tmp_path) == RESULT
    assert Result.load(path) == RESULT


def test_a_long_runs_result_is_longer_than_any_file_of_a_person_and_read(tmp_path):
    (tmp_path / "result.json").write_text(RESULT.to_json() + " " * LONGEST)
    assert Result.load(tmp_path) == RESULT


def test_the_json_has_exactly_the_contracts_fields_in_its_order():
    assert list(RESULT.to_dict()) == [
        "schema", "scenario", "seed", "duration_s", "passed", "digest", "expect", "events", "flows", "gateways",
        "neigh",
        "nat", "commands", "drops", "ledger", "packet_hops", "wall_s",
    ]  # fmt: skip
    assert RESULT.to_dict()["schema"] == "netsim-result/1"


def test_exit_status_names_and_timing():
    assert (RESULT.exit_code, exit_code([]), exit_code([RESULT])) == (1, 0, 1)
    assert RESULT["dead"].why == "because"
    assert RESULT.timing() == {"dead": 48.2}
    assert [verdict.name for verdict in RESULT.failed] == ["no"]
    with pytest.raises(KeyError):
        RESULT["other"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a result"),
        ("[]", "holds several results"),
        (
            json.dumps({"schema": "x/1"}),
            "result.json: not a result of netsim run: its schema is x/1, not netsim-result/1",
        ),
        (json.dumps({**RESULT.to_dict(), "flows": 3}), "flows: 3 is not what stands there"),
        (json.dumps({**RESULT.to_dict(), "seed": "a"}), "seed: 'a' is not what stands there"),
        (json.dumps({**RESULT.to_dict(), "plots": []}), r"plots: \[\] is not what stands there"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_words(tmp_path, text, words):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        Result.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        Result.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("plots", "said"),
    [
        ({}, "this result holds no data for the plot gateways"),
        ({"gateways": 3}, "no data for the plot gateways: 3 is no GatewaysData"),
        ({"gateways": {"bogus": 1}}, "no data for the plot gateways: .* missing 5 required"),
        ({"wanted": 3}, "no data for the plot wanted: 3 are no names"),
        ({"wanted": ["topology"], "topology": 5}, "no data for the plot topology: 'int' object"),
        ({"wanted": ["flows"], "flows": {"title": 5}}, "no data for the plot flows: 5 is no str"),
        ({"wanted": ["bogus"]}, 'no plot "bogus"'),
    ],
)
def test_plot_data_that_is_none_is_refused_in_words(tmp_path, plots, said):
    with pytest.raises(ConfigError, match=said):
        save_plots(replace(RESULT, plots=plots), tmp_path)
    assert list(tmp_path.iterdir()) == []
