"""What all tests share: golden files that one flag rewrites, and quiet hypothesis profiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("netsim", deadline=None, derandomize=True)  # a slow machine is no failure, a run repeats
settings.load_profile("netsim")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files with what the code says now")
    parser.addoption("--chaos", type=int, default=0, metavar="N", help="let the chaos soak run N labs, not a few")
    parser.addoption("--hostile", type=int, default=0, metavar="N", help="send N hostile frames in the slow test")
    parser.addoption("--chaos-seed", type=int, default=None, metavar="N", help="draw other labs than every time")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Path], None]:
    """Compare text with a golden file, or write the file under --update-golden."""

    def compare(text: str, path: Path) -> None:
        __tracebackhide__ = True
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.is_file(), f"no golden file {path.name}: run with --update-golden and read the diff"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell how much a replay compared; the lines stand together at the end of the run, under xdist too."""

    def tell(text: str) -> None:
        record_property("counted", text)

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what `counted` was told."""
    lines = [
        str(text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == "counted"
    ]
    if lines:
        terminalreporter.section("replayed")
        for line in sorted(set(lines)):
            terminalreporter.write_line(line)
