"""The compiled build (NETSIM_COMPILE=1) against pure Python: the same runs to the same digests, the same unit tests.

One build serves all: a copy of the project, compiled in place without optimisation, which changes no meaning.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WANTED = ("mypyc", "setuptools", "hatchling")
RUNS = ("dead-gateway.yaml", "cold-start-use-neigh.yaml", "seed/*.yaml", "multiwan/*.yaml")
ROOMS = ("wire", "trace", "stack", "sim")
STAND_INS = (
    "stack/ipv4/test_memory.py",  # replaces a method of FlowMemory
    "stack/netfilter/test_tables_traverse.py",  # its connection table only counts
    "stack/netfilter/test_targets_actions.py",  # so does its
    "stack/fib/test_cache_collectors.py",  # routes without a device
    "stack/fib/test_choice_details.py",  # devices and neighbours of a name and a state
    "stack/fib/test_multipath_hash.py",  # likewise
    "stack/neigh/test_collector.py",  # entries that only count, draws that are written down
    "stack/neigh/test_machine_details.py",  # entries of the fields that are asked for
    "stack/netfilter/test_helper_details.py",  # services of its own
    "stack/netfilter/test_klog.py",  # none
    "stack/netfilter/test_port_searches.py",  # tables in which ports are taken
    "stack/netfilter/test_tracking_details.py",  # no services
)
"""Tests that put something else in the place of a class: compiled code takes the class itself, and nothing else."""


def missing() -> str:
    """Return what a build needs and this machine has not, "" if it has all."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        return f"no C compiler ({compiler})"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        return "no Python.h"
    lacking = [name for name in WANTED if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a tree of the project, whose netsim comes first."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def compiled(tmp_path):
    """Return a copy of the project whose hot rooms are compiled."""
    tree = tmp_path / "project"
    for name in ("netsim", "tests", "scenarios", "topologies", ".build"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    build = (
        "import sys; sys.path.insert(0, '.build'); from pathlib import Path; from hatch_build import compile_into; "
        "compile_into(Path.cwd(), Path.cwd() / 'built', '0')"
    )
    done = run(tree, "-c", build)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(tree / "built" / "lib", tree, dirs_exist_ok=True)
    shutil.rmtree(tree / "built")
    return tree


def test_the_compiled_build_does_what_pure_python_does(compiled, counted):
    """One test, so that workers side by side do not build twice."""
    doctor_says_which_one_runs(compiled)
    files = scenarios_come_to_the_same_digests(compiled)
    counted(f"compiled against pure Python: {files} scenarios, digests equal; {the_stack_s_own_tests_pass(compiled)}")


def doctor_says_which_one_runs(compiled):
    said = {
        tree: next(each["said"] for each in json.loads(run(tree, "-m", "netsim", "doctor", "--json").stdout)["checks"]
                   if each["what"] == "engine")
        for tree in (ROOT, compiled)
    }  # fmt: skip
    assert said[compiled] == "compiled with mypyc"
    assert said[ROOT].startswith("pure Python")


def scenarios_come_to_the_same_digests(compiled):
    files = sorted(str(path.relative_to(ROOT)) for pattern in RUNS for path in (ROOT / "scenarios").glob(pattern))
    told = [run(tree, "-m", "netsim", "run", *files, "--json") for tree in (ROOT, compiled)]
    assert told[0].returncode == told[1].returncode == 0, told[1].stderr
    pure, native = ({each["scenario"]: each["digest"] for each in json.loads(each.stdout)} for each in told)
    assert len(pure) == len(files)
    assert pure == native
    return len(files)


def the_stack_s_own_tests_pass(compiled):
    ignored = [f"--ignore=tests/unit/{name}" for name in STAND_INS]
    rooms = [f"tests/unit/{room}" for room in ROOMS]
    registered = bool(importlib.metadata.entry_points(group="pytest11", name="netsim"))  # and twice is once too often
    plugin = [] if registered else ["-p", "netsim.pytest_plugin"]
    done = run(compiled, "-m", "pytest", "-q", *plugin, "-p", "no:cacheprovider", *ignored, *rooms)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout.strip().splitlines()[-1]
