"""Run tests against one mutant: in a copy of the checkout, by a child forked from one that has pytest ready.

Starting Python, pytest and hypothesis anew takes longer than the tests that reach a line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import hypothesis.strategies  # noqa: F401  # what every child would import again
import pytest
from mutants import Mutant

ROOMS = ("netsim/stack/neigh", "netsim/stack/fib", "netsim/stack/netfilter")
TESTS = (
    "tests/unit/stack", "tests/property", "tests/golden", "tests/scenario/test_two_isp_claims.py",
    "tests/unit/shell",
)  # fmt: skip
REPLAYS: Mapping[str, Sequence[str]] = MappingProxyType({
    "netsim/stack/neigh": (
        "tests/unit/stack/neigh/test_replay_24.py", "tests/unit/stack/neigh/test_replay_6.py",
        "tests/unit/stack/neigh/test_dead_gateway_24.py",
    ),
    "netsim/stack/fib": ("tests/unit/stack/fib/test_patched_kernel_vectors.py",),
    "netsim/stack/netfilter": (
        "tests/unit/stack/netfilter/test_recorded_nat24.py", "tests/unit/stack/netfilter/test_nat_mainline.py",
        "tests/unit/stack/netfilter/test_seed_nat_cases.py", "tests/unit/stack/test_recorded_nat24_box.py",
    ),
})  # fmt: skip
COPIED = ("netsim", "tests", "topologies", "scenarios", "pyproject.toml", "README.md", "CHANGELOG.md")
OPTIONS = (
    "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-o",
    "addopts=--import-mode=importlib", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
MOST_TESTS = 200
SECONDS = 60
"""Of processor for the quick tests of a mutant, and four times that for the replays: then it runs for ever."""
MEMORY = 4 << 30


def copy_of(root: Path, target: Path) -> Path:
    """Copy what tests need of a checkout, in place of an older copy, with netsim and its tests compiled.

    Octets are checked against the source's hash: a mutant's file is compiled anew, all others are not.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.rmtree(target / name, ignore_errors=True)
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "netsim"],
        cwd=target, check=True,
    )  # fmt: skip
    return target


def reach(folder: Path) -> dict[str, list[str]]:
    """Return the tests that reach each "file:line", the quickest first; "file" has those that reach any of its lines.

    The answer is kept in the folder, under a digest of the copied sources.
    """
    digest = hashlib.sha256()
    for path in sorted(path for name in ("netsim", "tests") for path in (folder / name).rglob("*.py")):
        digest.update(path.read_bytes())
    kept = folder / f"reach-{digest.hexdigest()[:16]}.json"
    if not kept.exists():
        kept.write_text(json.dumps(_measure(folder)))
    found: dict[str, list[str]] = json.loads(kept.read_text())
    return found


def _measure(folder: Path) -> dict[str, list[str]]:
    """Run every quick test once under coverage."""
    times = folder / "times.json"
    (folder / "watch.py").write_text(
        "import json, pathlib\n"
        "from coverage import Coverage\n"
        "seen = {}\n"
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call' and report.passed:\n"
        "        seen[report.nodeid] = report.duration\n"
        "def pytest_runtest_logstart(nodeid, location):\n"
        "    current = Coverage.current()\n"
        "    current and current.switch_context(nodeid)\n"
        "def pytest_sessionfinish():\n"
        f"    pathlib.Path({str(times)!r}).write_text(json.dumps(seen))\n"
    )
    command = [
        sys.executable, "-m", "coverage", "run", "--branch", f"--source={','.join(ROOMS)}", "-m", "pytest",
        *(part for part in OPTIONS if part != "-x"), "-m", "not slow and not kernel", "-p", "watch", *TESTS,
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, check=False,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    from coverage import CoverageData

    data = CoverageData(str(folder / ".coverage"))
    data.read()
    took = json.loads(times.read_text())
    found: dict[str, list[str]] = {}
    for file in data.measured_files():
        shown = Path(file).relative_to(folder.resolve()).as_posix()
        everyone: set[str] = set()
        for line, tests in data.contexts_by_lineno(file).items():
            known = sorted((test for test in tests if test in took), key=took.__getitem__)
            everyone.update(known)
            if known:
                found[f"{shown}:{line}"] = known
        found[shown] = sorted(everyone, key=took.__getitem__)
    return found


def chosen_for(mutant: Mutant, reached: Mapping[str, list[str]]) -> list[str]:
    """Return the tests for a mutant: all of its room's own that reach its line, and some of the others that do.

    What runs when a file is imported is reached by no test of its own: there it is the room's own tests, all of them,
    and some from elsewhere that reach any line of the file.
    """
    folder = f"tests/unit/stack/{Path(mutant.file).parent.name}"
    place = reached.get(f"{mutant.file}:{mutant.line}", [])
    near = [test for test in place if test.startswith(folder)] if place else [folder]
    return near + spread([test for test in place or reached.get(mutant.file, []) if not test.startswith(folder)])


def spread(tests: list[str]) -> list[str]:
    """Return the quickest tests, and some of the rest: those that reach a line in passing are many and alike."""
    if len(tests) <= MOST_TESTS:
        return tests
    step = (len(tests) - MOST_TESTS // 2) // (MOST_TESTS // 2) + 1
    return tests[: MOST_TESTS // 2] + tests[MOST_TESTS // 2 :: step]


def judge(mutant: Mutant, folder: Path, tests: Sequence[str], *, replay: bool) -> str:
    """Run one mutant against its tests, and then, if asked, its room's replays; return what became of it."""
    path = folder / mutant.file
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.apply(original), encoding="utf-8")
    room = next(room for room in ROOMS if mutant.file.startswith(room))
    try:
        if tests and fails(folder, SECONDS, "-m", "not slow and not kernel", *tests):
            return "killed"
        if replay and fails(folder, 4 * SECONDS, "-m", "slow", *REPLAYS[room]):
            return "killed by a replay"
    finally:
        path.write_text(original, encoding="utf-8")
    return "survived"


def fails(folder: Path, seconds: int, *what: str) -> bool:
    """Tell whether a test fails, or runs for ever.

    Where a mutant changed the name of a case, the case is not found: then its files' tests are run, all of them. If
    these cannot even be collected, it is the mutant's doing too: they were, before it.

    Raises RuntimeError where there was no test to run, which says nothing about the mutant.
    """
    ended = in_a_child(lambda: int(pytest.main([*OPTIONS, *what])), folder, seconds)
    if ended == pytest.ExitCode.USAGE_ERROR:
        files = sorted({part.split("::")[0] for part in what[2:]})
        ended = in_a_child(lambda: int(pytest.main([*OPTIONS, *what[:2], *files])), folder, seconds)
    if ended == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f"pytest ended with {ended} in {folder}: {' '.join(what)[:200]}")
    return ended != pytest.ExitCode.OK


def in_a_child(work: Callable[[], int], folder: Path, seconds: int) -> int:
    """Return the exit status of a forked child that works in the folder; negative is the signal that ended it."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 70
        with contextlib.suppress(BaseException):  # whatever it is, the child ends below and the parent sees 70
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.chdir(folder)
            os.environ["PYTHONPATH"] = str(folder)
            sys.path.insert(0, str(folder))
            warnings.resetwarnings()
            status = work()
        os._exit(status)
    pidfd = os.pidfd_open(child)
    try:
        if not select.select([pidfd], [], [], 5 * seconds)[0]:
            os.killpg(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(pidfd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
