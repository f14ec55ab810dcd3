"""The corpus of scenarios/kernel against what a kernel did with it once: no root, no kernel, the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.oracle.batch import Memory, verify_file
from netsim.oracle.recording import SUFFIX

FOLDER = Path(__file__).parents[2] / "scenarios" / "kernel"
RECORDED = FOLDER / "recorded"
CORPUS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_emulator_does_what_a_kernel_did(file):
    """A recording that is missing, or of another wording of the case, is a failure here."""
    outcome = verify_file(str(file), {}, Memory(against=RECORDED))
    assert outcome.skipped == ""
    assert [dict(each) for each in outcome.differences] == []
    assert outcome.agree > 0


def test_no_recording_is_left_of_a_case_that_went():
    kept = {file.name.removesuffix(SUFFIX) for file in RECORDED.iterdir()}
    assert kept == {file.stem for file in CORPUS}
