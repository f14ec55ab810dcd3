"""Whether the tests notice: a seeded sample of mutants of neigh, fib and netfilter, each run against its tests.

    python tests/mutation/run.py [--sample 400] [--seed 1] [--part 1/1] [--place FOLDER] [--quick]
                                 [--only FILE[:LINE] | --again LOG] [--tests PATH ...]

Works on a copy of the checkout, which `--place` keeps for the next part. First every quick test is run once with
coverage, which says which tests reach which line and how long they take; then each mutant is run against the tests that
reach its line, the quickest first, until one fails, and at last, unless `--quick`, against its room's replays of what
real kernels did. `--again` takes only the survivors that an earlier run printed, wherever their lines have moved;
`--tests` runs those files instead of asking what reaches a line. Prints the survivors, those that change nothing with
the reason (equivalent.toml), and the share that was killed. A mutant that runs for ever counts as killed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

from judge import ROOMS, chosen_for, copy_of, judge, reach
from mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]


def everything() -> list[Mutant]:
    """Return every mutant of the rooms."""
    return [
        mutant for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))
        for mutant in mutants_of(path, path.relative_to(ROOT).as_posix())
    ]  # fmt: skip


def equivalents() -> dict[tuple[str, str, str], str]:
    """Return why a mutant changes nothing that anybody could see, by file, the line's text and the change."""
    kept = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8"))
    return {(each["file"], each["line"], what): each["why"] for each in kept["mutant"] for what in each["what"]}


def text_of(mutant: Mutant) -> str:
    """Return the line that a mutant stands on."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").splitlines()[mutant.line - 1].strip()


def chosen(given: argparse.Namespace) -> list[Mutant]:
    """Return the mutants that the options ask for."""
    if given.only:
        return [each for each in everything() if given.only in (each.file, f"{each.file}:{each.line}")]
    sample = random.Random(given.seed).sample(everything(), given.sample)
    if given.again:
        told = Path(given.again).read_text(encoding="utf-8").splitlines()
        survivors = {line.removesuffix(": survived") for line in told if line.endswith(": survived")}
        sample = [each for each in everything() if each.label in survivors]
    part, parts = (int(each) for each in given.part.split("/"))
    return sorted(sample)[part - 1 :: parts]


def main() -> None:
    """Sample, run, print."""
    options = argparse.ArgumentParser()
    options.add_argument("--sample", type=int, default=400)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--part", default="1/1")
    options.add_argument("--place", default="")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", default="")
    options.add_argument("--again", default="")
    options.add_argument("--tests", nargs="*", default=[])
    given = options.parse_args()
    mutants, reasons = chosen(given), equivalents()
    print(f"{len(mutants)} mutants", flush=True)
    fates: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy_of(ROOT, Path(given.place or temporary).resolve())
        tests = {} if given.tests else reach(folder)
        started = time.monotonic()
        for mutant in mutants:
            fate = judge(mutant, folder, given.tests or chosen_for(mutant, tests), replay=not given.quick)
            why = reasons.get((mutant.file, text_of(mutant), mutant.what)) if fate == "survived" else None
            fates["equivalent" if why else fate] += 1
            if fate != "killed":
                print(f"{mutant.label}: {f'equivalent: {why}' if why else fate}", flush=True)
    killed = fates["killed"] + fates["killed by a replay"]
    share = killed / max(1, len(mutants))
    real = killed / max(1, len(mutants) - fates["equivalent"])
    print(f"{dict(fates)}: {share:.1%} killed, {real:.1%} of those that change anything, "
          f"in {time.monotonic() - started:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
