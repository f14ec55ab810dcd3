"""Files verified: against recordings by `netsim verify --against`, and measured again where anything differs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from netsim.cli import main
from netsim.errors import Skipped
from netsim.oracle import batch
from netsim.oracle.compare import Comparison, Difference

FOLDER = Path(__file__).parents[3] / "scenarios" / "kernel"
CASE = FOLDER / "rule-suppress-and-goto.yaml"


def verify(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["verify", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_against_a_recording_no_kernel_is_asked(capsys, monkeypatch):
    monkeypatch.setattr("netsim.oracle.referee.require", lambda: pytest.fail("a kernel was asked"))
    outcome = batch.verify_file(str(CASE), {}, batch.Memory(against=FOLDER / "recorded"))
    assert (outcome.exit_code, outcome.differences) == (0, [])
    assert outcome.remarks[-1].startswith("kernel 6.")


def test_without_a_recording_to_hold_it_against_a_kernel_is_asked(monkeypatch):
    """What the test above leaves out: this is the way to it."""
    asked = []
    monkeypatch.setattr(batch, "_hurry", lambda: None)
    monkeypatch.setattr("netsim.oracle.referee.require", lambda: asked.append(1) or _refuse())
    outcome = batch.verify_file(str(CASE), {})
    assert (asked, outcome.exit_code, outcome.skipped) == ([1], 4, "no kernel here")


def _refuse():
    raise Skipped("no kernel here")


def test_without_a_recording_it_is_a_skip(tmp_path, capsys):
    assert verify(CASE, "--against", tmp_path) == 4
    assert "no recording" in capsys.readouterr().out


def test_a_recording_is_no_kernel_to_record(tmp_path, capsys):
    assert verify(CASE, "--against", tmp_path, "--record", tmp_path) == 2
    assert "--against: a recording is no kernel to record (drop --record)" in capsys.readouterr().err


def test_two_files_of_one_name_cannot_both_be_recorded(tmp_path, capsys):
    other = tmp_path / CASE.name
    other.write_text(CASE.read_text())
    assert verify(CASE, other, "--against", tmp_path) == 2
    assert "two files are named rule-suppress-and-goto (recordings go by name)" in capsys.readouterr().err


def difference(words):
    return Difference(aspect="frames", where=words, t=1.0, kernel="x", emulator="", line="")


@pytest.mark.parametrize("twice", [False, True], ids=["only once", "twice"])
def test_what_differs_is_measured_again_and_said(monkeypatch, twice):
    comparisons = [
        Comparison("x", Counter(), [difference("r:eth0 arp"), difference("r:eth1")]),
        Comparison("x", Counter(frames=3), [difference("r:eth0 arp")] if twice else []),
    ]
    asked = []
    monkeypatch.setattr(batch, "record", asked.append)
    monkeypatch.setattr(batch, "against", lambda _scenario, _recording: comparisons[len(asked) - 1])
    monkeypatch.setattr(batch, "_hurry", lambda: None)
    outcome = batch.verify_file(str(CASE), {})
    assert len(asked) == 2
    assert outcome.remarks == ("measured again: 2 differed, the first r:eth0 arp",)
    assert outcome.exit_code == int(twice)
