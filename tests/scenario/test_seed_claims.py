"""The README's table of the seed document's claims is what the scenarios do."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _claims() -> ModuleType:
    """Load the table's maker, which stands beside this file and is no package."""
    spec = importlib.util.spec_from_file_location("seed_claims", Path(__file__).with_name("seed_claims.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["seed_claims"] = module
    spec.loader.exec_module(module)
    return module


claims = _claims()
ROWS = [(kernel, scenario) for kernel, rows in claims.CLAIMS.items() for scenario in rows]


def printed(kernel: str) -> list[str]:
    """Return the lines of a kernel's table as the README has them."""
    found = claims.block(kernel).search(claims.README.read_text())
    assert found is not None, f"the README has no table for {kernel}"
    lines: list[str] = found[2].splitlines()
    return lines


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "scenario"), ROWS, ids=[f"{kernel}-{scenario}" for kernel, scenario in ROWS])
def test_a_claim_holds_where_the_readme_says_so(kernel: str, scenario: str) -> None:
    """Run the scenario under each column's patches. To write the table anew: python tests/scenario/seed_claims.py."""
    assert claims.row(scenario, kernel) in printed(kernel)


@pytest.mark.parametrize("kernel", claims.COLUMNS)
def test_the_table_has_a_row_for_each_claim_and_no_other(kernel: str) -> None:
    lines = printed(kernel)
    assert len(lines) == 2 + len(claims.CLAIMS[kernel])
    assert all(any(f"scenarios/seed/{scenario}.yaml" in line for line in lines) for scenario in claims.CLAIMS[kernel])


def test_every_scenario_of_the_seed_stands_in_the_table_or_shows_a_failure() -> None:
    """A file whose name says what it goes without is the off half of a pair."""
    listed = {scenario for rows in claims.CLAIMS.values() for scenario in rows}
    files = {path.stem for path in (claims.ROOT / "scenarios" / "seed").glob("*.yaml")}
    others = {name for name in files - listed if "without" not in name and "stock" not in name}
    assert others == set()
    assert listed <= files
