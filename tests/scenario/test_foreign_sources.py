"""Sources that went to the wrong gateway are told without being asked for, and only where that happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim import run
from netsim.cli.output import warning_lines

SEED = Path(__file__).parents[2] / "scenarios" / "seed"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("snat-without-device", 1), ("snat-two-gateways-one-device", 1), ("snat-with-device", 0)],
)
def test_the_seeds_danger_of_snat_is_reported(name, wrong):
    """Seed section 7: "the using of SNAT rules with multiple gateways on same output device is dangerous"."""
    lines = list(warning_lines(run(SEED / f"{name}.yaml")))
    assert len(lines) == wrong
    assert all("with a source of isp1's went to isp2 (the first at " in line for line in lines)
