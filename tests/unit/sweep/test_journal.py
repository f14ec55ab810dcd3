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

from netsim.scenario.load import load
from netsim.sweep import engine
from netsim.sweep.grid import jobs
from netsim.sweep.journal import NAME, Journal, fingerprint

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
    engine.run_all([scenario], jobs([], 2, 1), workers=1, journal=Journal(tmp_path, [scenario]))
    assert seeds == [2]
    assert all(json.loads(line) for line in text.splitlines())


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
        while not (tmp_path / "out" / NAME).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signum)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert b"these are partial results" in said
    assert (tmp_path / "out" / NAME).read_text()
