"""Sweeps: the same results from any number of workers, in any order; statistics, files, and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from netsim.cli import main
from netsim.observe.plot.cdf import CdfData, Curve, draw_cdf, limit, steps
from netsim.scenario.load import load
from netsim.sweep import engine
from netsim.sweep.grid import jobs
from netsim.sweep.summary import Point, Sweep, bounds_of, quantile, write

FILE = """\
name: tiny
seed: 3
duration: 70s
topology:
  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}
  links: {wire: {ends: [a:eth0, b:eth0], delay: 1ms}}
traffic: {w: {from: a, to: b, kind: ping, every: 1s}}
events: [{at: 10s, id: dies, silence: b}]
expect:
  - {name: detected, neigh: a 10.0.0.2 dev eth0, state: FAILED, after: dies, within: 3s..54s}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "x.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return "x.yaml"


@pytest.fixture
def cli(file, capsys):
    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main(["sweep", file, *args])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return run


def outcome(number: int, value: float | None, *, point: int = 0, passed: bool = True) -> engine.Outcome:
    return engine.Outcome(number, point, number, passed, "d", () if passed else ("detected",), {"detected": value})


def sweep(*values: float | None) -> Sweep:
    outcomes = tuple(outcome(i, value, passed=value is not None) for i, value in enumerate(values))
    return Sweep(
        scenario="tiny", points=(Point((("a", "1"),), outcomes),), runs=len(values), first_seed=0, partial=False,
        bounds={"detected": (3.0, 54.0)},
    )  # fmt: skip


def test_results_do_not_depend_on_the_order_of_the_work(file):
    work = jobs([], runs=3, first_seed=3)
    scenario = load(file)
    forward, whole = engine.run_all([scenario], work, workers=1)
    backward, _ = engine.run_all([scenario], work[::-1], workers=1)
    assert whole
    assert forward == backward[::-1]
    assert len({each.digest for each in forward}) == 3


@pytest.mark.slow
def test_processes_answer_what_this_one_does(file):
    work = jobs([], runs=3, first_seed=3)
    assert engine.run_all([load(file)], work, workers=2) == engine.run_all([load(file)], work, workers=1)


def test_ctrl_c_keeps_what_is_finished(file):
    def interrupt(finished, total):
        raise KeyboardInterrupt

    outcomes, whole = engine.run_all([load(file)], jobs([], runs=3, first_seed=3), workers=1, done=interrupt)
    assert (len(outcomes), whole) == (1, False)


@pytest.mark.parametrize(("share", "value"), [(0, 1.0), (0.5, 2.5), (1, 4.0), (0.25, 1.75)])
def test_quantiles_lie_between_neighbours_in_proportion(share, value):
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == value


def test_what_never_happened_counts_as_never_and_in_no_quantile():
    found = sweep(10.0, None, 20.0)
    numbers = found.statistics(found.points[0], "detected")
    assert (numbers["count"], numbers["never"], numbers["min"], numbers["p50"], numbers["max"]) == (3, 1, 10, 15, 20)
    assert not found.passed


def test_bounds_are_the_scenarios(file):
    assert bounds_of(load(file)) == {"detected": (3.0, 54.0)}


def test_a_cdf_ends_at_the_share_that_ever_saw_it():
    data = sweep(10.0, None, 20.0, 30.0).curves("detected")
    times, shares = steps(data.curves[0])
    assert times == (0.0, 10.0, 20.0, 30.0)
    assert shares == (0.0, 25.0, 50.0, 75.0)
    assert (data.low, data.high) == (3.0, 54.0)
    assert limit(data) > 54


@pytest.mark.slow
def test_the_picture_has_each_curve_and_each_bound():
    curves = (Curve(name="one", total=2, values=(1.0, 2.0)), Curve(name="none", total=2, values=()))
    figure = draw_cdf(CdfData(title="t", subtitle=("s",), curves=curves, low=0.5))
    lines = {line.get_gid(): line for axes in figure.axes for line in axes.lines}
    assert list(lines["cdf-0"].get_ydata()) == [0, 50, 100, 100]
    assert list(lines["cdf-1"].get_ydata()) == [0, 0]
    texts = [text.get_text() for text in figure.texts]
    assert "none: never in 2 runs" in texts


def test_the_command_prints_a_table(cli):
    code, out, err = cli("--runs", "2", "--workers", "1")
    head, row, bound, last = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == ["detected", "runs", "held", "never", "min", "p5", "p25", "p50", "p75", "p95", "max"]
    assert row.split()[:4] == ["as", "written", "2", "2"]
    assert bound == "  expected 3s..54s"
    assert last == "tiny: every expectation held in 2 of 2 runs"


@pytest.mark.slow
def test_json_and_files_hold_every_run(cli, tmp_path):
    code, out, err = cli("--runs", "2", "--workers", "1", "--json", "--out", "o", "--vary", "kernel.a=linux-6")
    found = json.loads(out)
    assert code == 0
    assert (found["schema"], found["first_seed"], found["partial"]) == ("netsim-sweep/1", 3, False)
    assert [run["seed"] for run in found["points"][0]["runs"]] == [3, 4]
    assert json.loads((tmp_path / "o" / "sweep.json").read_text()) == found
    rows = list(csv.DictReader((tmp_path / "o" / "runs.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["3", "4"]
    assert rows[0]["kernel.a"] == "linux-6"
    assert "cdf-detected.svg" in err


@pytest.mark.slow
def test_each_measure_has_its_plots_and_those_of_an_earlier_sweep_go(tmp_path):
    for name in ("cdf-old.svg", "cdf-notes.txt"):
        (tmp_path / name).write_text("")
    names = ("a b", "a-b", "x" * 300)
    run = engine.Outcome(0, 0, 1, True, "d", (), dict.fromkeys(names, 1.0))
    write(replace(sweep(), points=(Point((), (run,)),), bounds={}), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("cdf*")) == [
        "cdf-a-b-2.png", "cdf-a-b-2.svg", "cdf-a-b.png", "cdf-a-b.svg", "cdf-notes.txt",
        f"cdf-{'x' * 100}.png", f"cdf-{'x' * 100}.svg",
    ]  # fmt: skip


def test_a_broken_expectation_is_status_1(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(FILE.replace("3s..54s", "1s..2s"))
    code, out, _ = cli("--runs", "1", "--workers", "1")
    assert code == 1
    assert out.endswith("tiny: every expectation held in 0 of 1 runs\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--vary", "seed"), "--vary: seed: not KEY=a,b,c"),
        (("--vary", "kernel.a=linux-6,linux-7"), 'linux-7'),
        (("--vary", "kernel.x=linux-6"), "kernel.x"),
        (("--runs", "0"), ""),
        (("--out", "x.yaml"), "--out: x.yaml cannot be written: File exists\n"),
    ],
)  # fmt: skip
def test_every_point_is_checked_before_anything_is_run(cli, args, said):
    code, out, err = cli("--workers", "1", *args)
    assert (code, out) == (2, "")
    assert said in err
