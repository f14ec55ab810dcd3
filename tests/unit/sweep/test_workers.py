"""Worker processes end with the one who asked, however that ends, and never with a signal that was for the parent."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netsim.errors import SimulationError
from netsim.sweep.workers import processes, run_each

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
HOUR = 3600
PARENT = """\
import os, time
from netsim.sweep.workers import processes

if __name__ == "__main__":
    with processes(2) as pool:
        pids = {pool.submit(os.getpid).result()}
        pool.submit(time.sleep, 3600)
        while len(pids) < 2:
            pids.add(pool.submit(os.getpid).result())
        pool.submit(time.sleep, 3600)
        print(*pids, flush=True)
        time.sleep(3600)
"""


def collect(tasks, function=operator.call, workers=2):
    answers = {}
    run_each(lambda: processes(workers), function, tasks, answers.__setitem__)
    return answers


def test_each_answer_comes_with_its_number():
    assert collect({7: (4, 2), 9: (5, 3)}, operator.sub) == {7: 2, 9: 2}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_ends_what_is_in_hand_at_once(error):
    started = time.monotonic()

    def leave(number, answer):
        raise error

    with pytest.raises(error):
        run_each(lambda: processes(2), time.sleep, {0: (HOUR,), 1: (0.1,)}, leave)
    assert time.monotonic() - started < 20
    assert not multiprocessing.active_children()


def test_a_signal_to_a_worker_is_not_its_to_obey():
    def poke(number, pid):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)

    run_each(lambda: processes(1), os.getpid, {0: (), 1: ()}, poke)


def test_workers_that_die_again_and_again_are_told_and_the_others_not_waited_for():
    started = time.monotonic()
    with pytest.raises(SimulationError, match="workers die before they finish a run"):
        collect({0: (os._exit, 1), 1: (time.sleep, HOUR)})
    assert time.monotonic() - started < 20


def test_a_killed_parent_takes_its_workers_along(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "parent.py"], cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if alive(pid)]


def alive(pid):
    """Tell whether a process runs; one that ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
