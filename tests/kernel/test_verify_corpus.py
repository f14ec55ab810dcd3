"""The corpus of scenarios/kernel: the emulator does what the running kernel does, record by record.

Also a test of the referee itself: a difference that is there is found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.errors import Skipped
from netsim.kernel.probe import require
from netsim.oracle.batch import verify_file

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
CORPUS = sorted((Path(__file__).parents[2] / "scenarios" / "kernel").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _kernel():
    try:
        require()
    except Skipped as skipped:
        pytest.skip(str(skipped))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_emulator_does_what_this_kernel_does(file):
    outcome = verify_file(str(file), {})
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert [dict(each) for each in outcome.differences] == []
    assert outcome.agree > 0


def test_a_difference_is_found_and_told_with_its_line(tmp_path):
    """The two sides draw their own hash seeds here, so that 64 flows cannot all take the same ways."""
    file = tmp_path / "unseeded.yaml"
    text = (CORPUS[0].parent / "multipath-seeded.yaml").read_text()
    file.write_text(text.replace("        sysctl -w net.ipv4.fib_multipath_hash_seed=12345\n", ""))
    outcome = verify_file(str(file), {})
    frames = [each for each in outcome.differences if each["aspect"] == "frames"]
    assert frames
    assert all(each["where"].partition(":")[0] in "rab" for each in frames)
