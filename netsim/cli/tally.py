"""Verdicts for machines: JUnit's XML, and the annotations that GitHub shows at the line of the scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from netsim.files import write_text
from netsim.scenario.located import Seq
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result


@dataclass(frozen=True, slots=True)
class Run:
    """One file's result, and the line of each of its expectations (0 where it has none)."""

    file: str
    result: Result
    lines: tuple[int, ...]

    def line(self, number: int) -> int:
        """Return the line of a verdict; those beyond the expectations are of the file as a whole."""
        return self.lines[number] if number < len(self.lines) else 0


def lines_of(scenario: Scenario) -> tuple[int, ...]:
    """Return the line of each expectation."""
    found = None if scenario.origin is None else scenario.origin.get("expect")
    return tuple(item.mark.line for item in found.items) if isinstance(found, Seq) else ()


def write_junit(path: Path, runs: Sequence[Run]) -> None:
    """Write one test suite a file and one test case an expectation. Raises OSError."""
    out = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for run in runs:
        verdicts, failed = run.result.expect, len(run.result.failed)
        out.append(
            f"  <testsuite name={quoteattr(run.file)} tests={quoteattr(str(len(verdicts)))} "
            f'failures="{failed}" errors="0" time="{run.result.wall_s:.3f}">'
        )
        for number, verdict in enumerate(verdicts):
            place = f"file={quoteattr(run.file)} line={quoteattr(str(run.line(number)))}"
            head = f"    <testcase classname={quoteattr(run.result.scenario)} name={quoteattr(verdict.name)} {place}"
            if verdict.passed:
                out.append(f"{head}/>")
            else:
                where = f"{run.file}:{run.line(number)}: {verdict.why}"
                out.append(f"{head}><failure message={quoteattr(verdict.why)}>{escape(where)}</failure></testcase>")
        out.append("  </testsuite>")
    out.append("</testsuites>")
    write_text(path, "\n".join(out) + "\n")


def annotate(run: Run) -> list[str]:
    """Return a workflow command for each expectation that failed.

    Source: GitHub's "Workflow commands", error: line breaks and percent signs are escaped, commas in properties too.
    """
    return [
        f"::error file={_property(run.file)},line={run.line(number)},title={_property(verdict.name)}"
        f"::{_data(verdict.why or verdict.name)}"
        for number, verdict in enumerate(run.result.expect) if not verdict.passed
    ]  # fmt: skip


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
