"""Whatever stops a run leaves the old files or the new, never half of one; and what there is says that it is partial.

Each case runs the command line in a process of its own. `pytest tests/scenario/test_interruption.py -m slow` is all.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netsim.files import UNFINISHED
from netsim.scenario.result import Result

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONG = """\
name: long
duration: 1h
topology:
  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}
  links: {c: {ends: [a:eth0, b:eth0], delay: 1ms}}
traffic: {talk: {from: a, to: b, every: 10ms}}
expect: [{name: all arrive, flow: talk, delivered: 100%}]
observe: {pcap: [c]}
"""
SHORT = LONG.replace("1h", "5s")


def command(*words):
    return [sys.executable, "-m", "netsim", *map(str, words)]


@pytest.fixture
def start(tmp_path):
    """Start netsim in an empty folder that holds long.yaml and short.yaml."""
    (tmp_path / "long.yaml").write_text(LONG)
    (tmp_path / "short.yaml").write_text(SHORT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def begin(*words, **options):
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(command(*words), cwd=tmp_path, env=environment, text=True, **given)

    return begin


@pytest.fixture
def run(start):
    """Run netsim to its end; return its status and what it said on standard error."""

    def to_the_end(*words):
        process = start(*words, stdout=subprocess.DEVNULL)
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    return to_the_end


def wait_for(path, process):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_a_stopped_run_came_to_is_kept_and_marked(start, tmp_path, signum, status):
    process = start("run", "long.yaml", "--out", "out")
    wait_for(tmp_path / "out" / UNFINISHED / "trace.jsonl", process)
    time.sleep(1)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    (line,) = said.splitlines()
    assert line.startswith("netsim: long interrupted at ")
    assert line.endswith("s; what was there by then is in out, marked as partial")
    result = Result.load(tmp_path / "out")
    assert not result.passed
    assert 0 < result.ended_s < 3600
    assert json.loads((tmp_path / "out/result.json").read_text())["partial"] is True
    assert result.expect[0].why == f"not judged: the run ended at {result.ended_s:g} of 3600 s"
    assert "partial" in (tmp_path / "out/report.html").read_text()
    assert not (tmp_path / "out" / UNFINISHED).exists()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_tests_in_several_processes_stop_when_the_group_is_told_to(start, tmp_path, signum, status):
    (tmp_path / "again.yaml").write_text(LONG)
    words = ("test", "short.yaml", "long.yaml", "again.yaml", "--jobs", "2")
    process = start(*words, start_new_session=True)
    assert process.stdout.readline().startswith("TEST: all arrive")
    os.killpg(process.pid, signum)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (status, "netsim: interrupted\n")


def test_killed_at_any_instant_the_old_files_stay_whole_and_the_next_run_clears_up(start, run, tmp_path):
    """Twelve kills spread over start, run and writing."""
    assert run("run", "short.yaml", "--out", "out") == (0, "")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    draw = random.Random(1)
    for n in range(12):
        process = start("run", "short.yaml", "--out", "out")
        time.sleep(0.15 * n + draw.random() / 10)
        process.kill()
        process.communicate()
        after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
        assert set(after) == set(before)
        Result.load(tmp_path / "out")
        for name in ("result.json", "trace.jsonl", "capture.pcapng", "gateways.svg"):
            same = without_time(after[name]) == without_time(before[name])
            assert same, name
    assert run("run", "short.yaml", "--out", "out") == (0, "")
    assert not (tmp_path / "out" / UNFINISHED).exists()


def without_time(octets):
    """Leave out the one line that differs between equal runs: how long it took."""
    return b"\n".join(line for line in octets.splitlines() if b'"wall_s"' not in line)


def test_a_full_disk_is_one_line_and_status_2_and_leaves_the_old_files(run, tmp_path):
    """RLIMIT_FSIZE stands for the disk: the capture outgrows it."""
    assert run("run", "short.yaml", "--out", "out") == (0, "")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "from netsim.cli import main; main(['run', 'short.yaml', '--out', 'out'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "netsim: cannot write: File too large\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ("run", "short.yaml"), ("run", "short.yaml", "--json"), ("test", "short.yaml"), ("schema",), ("doctor",),
        ("topo", "list", str(ROOT / "topologies")), ("explain", "short.yaml", "--flow", "talk", "--packet", "2"),
        ("show", "short.yaml", "a", "ip addr"),
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_a_full_standard_output_is_told(start, words):
    with Path("/dev/full").open("w") as full:
        process = start(*words, stdout=full)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said == "netsim: cannot write: No space left on device\n"


@pytest.mark.parametrize("words", [("run", "short.yaml"), ("schema",), ("doctor",)], ids=lambda words: words[0])
def test_a_reader_that_goes_away_is_no_failure(start, words):
    process = start(*words)
    process.stdout.close()
    with process:
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")


def test_out_below_another_runs_folder_is_refused(run, tmp_path):
    assert run("run", "short.yaml", "--out", "out") == (0, "")
    code, said = run("run", "short.yaml", "--out", "out/again")
    assert code == 2
    assert said.startswith("--out: out/again lies inside ")
    assert said.endswith("/out, which is another run's folder (choose one beside it)\n")
    assert not (tmp_path / "out/again").exists()
