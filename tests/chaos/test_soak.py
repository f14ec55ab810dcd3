"""Labs that nobody would draw, in storms that nobody would wish for: what must always hold, holds.

A few run with every test run; `pytest tests/chaos --chaos 2000` runs that many, `--chaos-seed N` other ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as reseed
from soak.recipe import recipes
from soak.run import run_case, run_recipe

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
FEW = 25


def test_no_lab_breaks(request):
    """No exception, balanced books, right checksums, falling TTLs, neighbours that move by the table, one digest."""
    count = request.config.getoption("--chaos")
    seed = request.config.getoption("--chaos-seed")
    tally = {"labs": 0, "hops": 0, "events": 0}

    @settings(
        max_examples=count or FEW, derandomize=seed is None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink), print_blob=False, deadline=None,
    )  # fmt: skip
    @given(recipes())
    def soak(recipe):
        outcome = run_recipe(recipe)
        tally["labs"] += 1
        tally["hops"] += outcome.hops
        tally["events"] += len(recipe.events)
        assert not outcome.problems

    if seed is not None:
        soak = reseed(seed)(soak)
    soak()
    print(f"\n{tally['labs']} labs, {tally['events']} events, {tally['hops']} packet hops")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_once_broke_does_not_break_again(path):
    """Each case is a scenario that the soak found, shrunk by hypothesis and by hand."""
    assert not run_case(yaml.safe_load(path.read_text(encoding="utf-8"))).problems
