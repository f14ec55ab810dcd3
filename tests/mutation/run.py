"""Whether the tests notice: a seeded sample of mutants of neigh, fib and netfilter, each run against its tests.

    python tests/mutation/run.py [--sample 400] [--seed 1] [--jobs 1] [--only FILE:LINE | --again LOG]

Works on a copy of the checkout. First every test is run once with coverage, which says which tests reach which line and
how long they take; then each mutant is run against the tests that reach its line, the quickest first, until one fails,
and at last against its room's replays of what real kernels did. `--again` takes the survivors that an earlier run of
the same sample printed, and goes on with the replays. Prints the survivors and the share that was killed. A mutant that
runs for ever counts as killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
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
MOST_TESTS = 400
PATIENCE = 240
PYTEST = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-o", "addopts=--import-mode=importlib")


def copy_of(root: Path, target: Path) -> Path:
    """Copy what tests need of a checkout."""
    for name in ("netsim", "tests", "topologies", "scenarios", "pyproject.toml", "README.md", "CHANGELOG.md"):
        source = root / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


def environment(folder: Path) -> dict[str, str]:
    """Return what a run in a copy sees: the copy's netsim, and no octets compiled from another mutant."""
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def reach(folder: Path) -> dict[str, list[str]]:
    """Return the tests that reach each "file:line", the quickest first; "file" has those that reach any of its lines.

    What runs when a file is imported is reached by no test of its own: for it all of the file's are taken.
    """
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
        sys.executable, "-m", "coverage", "run", "--branch", f"--source={','.join(ROOMS)}", "-m", "pytest", *PYTEST,
        "-m", "not slow and not kernel", "-p", "watch", *TESTS,
    ]  # fmt: skip
    subprocess.run([part for part in command if part != "-x"], cwd=folder, env=environment(folder), check=False,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    from coverage import CoverageData

    data = CoverageData(str(folder / ".coverage"))
    data.read()
    took = json.loads(times.read_text())
    found: dict[str, list[str]] = {}
    for file in data.measured_files():
        shown = Path(file).relative_to(folder).as_posix()
        everyone: set[str] = set()
        for line, tests in data.contexts_by_lineno(file).items():
            known = sorted((test for test in tests if test in took), key=took.__getitem__)
            everyone.update(known)
            if known:
                found[f"{shown}:{line}"] = known
        found[shown] = sorted(everyone, key=took.__getitem__)
    return found


def spread(tests: list[str]) -> list[str]:
    """Return the quickest tests, and some of the rest: those that reach a line in passing are many and alike."""
    if len(tests) <= MOST_TESTS:
        return tests
    step = (len(tests) - MOST_TESTS // 2) // (MOST_TESTS // 2) + 1
    return tests[: MOST_TESTS // 2] + tests[MOST_TESTS // 2 :: step]


def judge(mutant: Mutant, folder: Path, tests: list[str]) -> str:
    """Run one mutant against its tests; return what became of it."""
    path = folder / mutant.file
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.apply(original), encoding="utf-8")
    chosen = folder / "chosen.txt"
    chosen.write_text("\n".join(tests))
    room = next(room for room in ROOMS if mutant.file.startswith(room))
    try:
        if (tests and fails(folder, f"@{chosen}")) or fails(folder, "-m", "slow", *REPLAYS[room]):
            return "killed"
    finally:
        path.write_text(original, encoding="utf-8")
    return "survived"


def fails(folder: Path, *what: str) -> bool:
    """Tell whether a test fails, or runs for ever."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *PYTEST, *what], cwd=folder, env=environment(folder),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> None:
    """Sample, run, print."""
    options = argparse.ArgumentParser()
    options.add_argument("--sample", type=int, default=400)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--only", default="")
    options.add_argument("--again", default="")
    given = options.parse_args()
    everything = [
        mutant for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))
        for mutant in mutants_of(path, path.relative_to(ROOT).as_posix())
    ]  # fmt: skip
    sample = sorted(random.Random(given.seed).sample(everything, min(given.sample, len(everything))))
    alive: set[str] = set()
    if given.again:
        lines = Path(given.again).read_text().splitlines()
        alive = {line.removesuffix(": survived") for line in lines if line.endswith(": survived")}
        sample = [each for each in sample if any(line.startswith(f"{each.label}: ") for line in lines)]
    if given.only:
        sample = [each for each in everything if f"{each.file}:{each.line}" == given.only]
    print(f"{len(sample)} of {len(everything)} mutants", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folders = [copy_of(ROOT, Path(place) / str(number)) for number in range(given.jobs)]
        tests = reach(folders[0])
        started = time.monotonic()

        def work(number: int) -> list[tuple[Mutant, str]]:
            out = []
            for mutant in sample[number :: given.jobs]:
                place = f"{mutant.file}:{mutant.line}"
                reaching = [] if mutant.label in alive else tests.get(place) or tests.get(mutant.file, [])
                fate = judge(mutant, folders[number], spread(reaching))
                out.append((mutant, fate))
                if fate != "killed":
                    print(f"{mutant.label}: {fate}", flush=True)
            return out

        with ThreadPoolExecutor(given.jobs) as pool:
            fates = [each for part in pool.map(work, range(given.jobs)) for each in part]
    counts = Counter(fate for _, fate in fates)
    share = counts["killed"] / len(fates)
    print(f"{dict(counts)}: {share:.1%} killed in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
