"""The progress bar: on a terminal only, never in a line with what is printed."""

from __future__ import annotations

import io
import sys

import pytest

from netsim.cli.output import aside, progress
from netsim.units import sec


class Terminal(io.StringIO):
    """Standard error as a terminal; standard output writes to it too."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_a_bar_tells_the_virtual_time_and_goes_when_all_is_done(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("two [isps]", sec(60)) as bar:
        bar(0.5)
        bar._bar.refresh()
        assert "30 of 60 s, " in terminal.getvalue()
        assert "two [isps]" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is erased


def test_what_is_printed_meanwhile_stands_in_a_line_of_its_own(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("two") as bar:
        bar(0.5)
        with aside(bar):
            print("a verdict", file=terminal)
        bar(0.75)
    before, after = terminal.getvalue().split("a verdict\n")
    assert before.endswith("\x1b[2K")
    assert "two" in after


def test_in_a_pipe_there_is_no_bar(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress("two") as bar, aside(bar):
        assert bar is None
    assert pipe.getvalue() == ""
