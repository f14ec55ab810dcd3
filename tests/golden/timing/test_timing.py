"""How a team keeps its router script's timing under test: bounds say what must hold, a snapshot that nothing moved.

`pytest --snapshot-update` accepts new times; the diff of __snapshots__ then shows a reviewer which moved by how much.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.pytest_plugin import netsim  # noqa: F401  # the fixture, where the plug-in is not installed

SCENARIO = Path(__file__).parents[3] / "scenarios" / "detection-time.yaml"


@pytest.mark.slow
def test_detection_and_failover_take_as_long_as_before(netsim, snapshot):  # noqa: F811  # the fixture, as everywhere
    assert netsim(SCENARIO).timing() == snapshot


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_so_they_do_for_other_seeds(netsim, snapshot, seed):  # noqa: F811
    result = netsim(SCENARIO, seed=seed)
    assert result.passed
    assert result.timing() == snapshot
