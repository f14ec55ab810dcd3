"""What is finished is not run again, and a killed worker loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from netsim.errors import ConfigError
from netsim.scenario.load import load
from netsim.sweep import engine
from netsim.sweep.grid import jobs
from netsim.sweep.journal import NAME, Journal, fingerprint, program

ROOT = Path(__file__).parents[3]
TEXT = """\
name: j
duration: {duration}
topology:
  nodes: {{a: {{addr: {{eth0: 10.0.0.1/24}}}}, b: {{addr: {{eth0: 10.0.0.2/24}}}}}}
  links: {{c: {{ends: [a:eth0, b:eth0], loss: 1%}}}}
traffic: {{talk: {{from: a, to: b, every: {every}}}}}
"""


@pytest.fixture
def scenario(tmp_path):
    file = tmp_path / "j.yaml"
    file.write_text(TEXT.format(duration="2s", every="100ms"))
    return load(file)


def counted(monkeypatch):
    seeds = []
    run = engine.run_job

    def counting(scenario, job):
        seeds.append(job.seed)
        return run(scenario, job)

    monkeypatch.setattr(engine, "run_job", counting)
    return seeds


def test_a_second_sweep_runs_what_the_first_has_not(scenario, tmp_path, monkeypatch):
    seeds = counted(monkeypatch)
    first, _ = engine.run_all([scenario], jobs([], 3, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    second, whole = engine.run_all([scenario], jobs([], 5, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    assert seeds == [1, 2, 3, 4, 5]
    assert whole
    assert second[:3] == first


def test_another_scenario_is_run_anew_and_another_seed_of_it_is_not_another(scenario, tmp_path):
    other = scenario.model_copy(update={"duration": scenario.duration + 1})
    assert fingerprint(other) != fingerprint(scenario)
    assert fingerprint(scenario.model_copy(update={"seed": 99})) == fingerprint(scenario)


def test_a_line_that_a_kill_cut_in_two_is_no_run(scenario, tmp_path, monkeypatch):
    engine.run_all([scenario], jobs([], 2, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    text = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(text[:-20])
    seeds = counted(monkeypatch)
    for _ in range(2):
        engine.run_all([scenario], jobs([], 3, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    assert seeds == [2, 3]  # the second time nothing is: what was written behind the cut line is whole
    whole, cut, *others = (tmp_path / NAME).read_text().splitlines()
    assert (whole, cut) == (text.splitlines()[0], text.splitlines()[1][:-19])
    assert [json.loads(line)["outcome"]["seed"] for line in others] == [2, 3]


def test_after_a_change_of_netsim_everything_is_run_anew(scenario, tmp_path, monkeypatch):
    engine.run_all([scenario], jobs([], 2, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    monkeypatch.setattr("netsim.sweep.journal.program", lambda: "another")
    seeds = counted(monkeypatch)
    engine.run_all([scenario], jobs([], 2, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    assert seeds == [1, 2]


def test_the_programs_name_changes_with_any_of_its_modules(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "module.py").write_text("a = 1\n")
    monkeypatch.setattr("netsim.__path__", [str(tmp_path)])
    before = program()
    (tmp_path / "notes.txt").write_text("of no account")
    assert program() == before
    (tmp_path / "deep" / "module.py").write_text("a = 2\n")
    assert program() != before


@pytest.mark.parametrize("text", ["an expectation\u2028in two", "caf\u00e9\u0085"])
def test_line_ends_that_only_unicode_knows_end_no_line(scenario, tmp_path, text):
    run = engine.Outcome(0, 0, 1, False, "d", (text,), {text: None})
    Journal(tmp_path, [scenario]).note(run)
    assert Journal(tmp_path, [scenario]).finished(jobs([], 1, 1)[0]) == run


@pytest.mark.parametrize("line", [b"\xff\xfe{}", b"[1]", b"[" * 100_000, b'{"scenario": [], "sum": "", "outcome": []}'])
def test_a_line_that_is_no_run_is_none(scenario, tmp_path, line):
    (tmp_path / NAME).write_bytes(line + b"\n")
    assert Journal(tmp_path, [scenario]).finished(jobs([], 1, 1)[0]) is None


@pytest.mark.parametrize(
    ("good", "bad"), [('"passed": true', '"passed": 17'), ('{"all arrive": 0.5}', "3"), ('"seed": 1', '"seed": 2')]
)
def test_a_line_that_was_changed_is_none(scenario, tmp_path, good, bad):
    Journal(tmp_path, [scenario]).note(engine.Outcome(0, 0, 1, True, "d", (), {"all arrive": 0.5}))
    text = (tmp_path / NAME).read_text()
    assert good in text
    assert Journal(tmp_path, [scenario]).finished(jobs([], 1, 1)[0]) is not None
    (tmp_path / NAME).write_text(text.replace(good, bad))
    assert [Journal(tmp_path, [scenario]).finished(job) for job in jobs([], 2, 1)] == [None, None]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("plain", "plain cannot be written: File exists"),
        ("/proc/x", "/proc/x cannot be written: No such file or directory"),
        ("taken", "taken cannot be written: Is a directory"),
        ("piped", "piped/journal.jsonl is a device or a pipe, not a file"),
    ],
)
def test_a_folder_that_takes_no_journal_is_told_before_anything_is_run(scenario, tmp_path, monkeypatch, out, said):
    monkeypatch.chdir(tmp_path)
    Path("plain").write_text("mine")
    Path("taken", NAME).mkdir(parents=True)
    Path("piped").mkdir()
    os.mkfifo(Path("piped", NAME))
    with pytest.raises(ConfigError) as caught:
        Journal(Path(out), [scenario])
    assert str(caught.value) == f"--out: {said}"
    assert Path("plain").read_text() == "mine"


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path):
    file = tmp_path / "j.yaml"
    file.write_text(TEXT.format(duration="60s", every="10ms"))
    scenario = load(file)
    work = jobs([], 8, 1)
    expected, _ = engine.run_all([scenario], work, workers=1)
    killed = []

    def kill_one():
        while not killed:
            time.sleep(0.05)
            for pid in children(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return

    def once(finished, total):
        if finished == 2:
            threading.Thread(target=kill_one).start()

    outcomes, whole = engine.run_all([scenario], work, workers=2, done=once)
    assert killed
    assert whole
    assert outcomes == expected


def children(pid):
    """Return the worker processes; the pool's resource tracker is not one of them."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        found = [int(each) for each in file.read().split()]
    return [each for each in found if b"spawn_main" in open_cmdline(each)]


def open_cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_sweep_whose_whole_group_is_told_to_stop_ends_and_keeps_what_it_has(tmp_path, signum):
    (tmp_path / "j.yaml").write_text(TEXT.format(duration="60s", every="10ms"))
    command = [sys.executable, "-m", "netsim", "sweep", "j.yaml", "--runs", "500", "--workers", "2", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        journal = tmp_path / "out" / NAME
        while not (journal.exists() and journal.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signum)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert b"these are partial results" in said
    assert (tmp_path / "out" / NAME).read_text()
