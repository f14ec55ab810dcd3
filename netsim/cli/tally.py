"""Verdicts for machines: JUnit's XML, and the annotations that GitHub shows at the line of the scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax import saxutils

from netsim.files import write_text
from netsim.scenario.located import Seq
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped. Source: XML 1.0, production 2."""


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


def write_junit(path: Path, runs: Sequence[Run], unfinished: Sequence[str] = ()) -> None:
    """Write one test suite a file and a test case an expectation, an error for what is unfinished. Raises OSError."""
    out = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for run in runs:
        verdicts, failed = run.result.expect, len(run.result.failed)
        out.append(
            f"  <testsuite name={_quoted(run.file)} tests={_quoted(str(len(verdicts)))} "
            f'failures="{failed}" errors="0" time="{run.result.wall_s:.3f}">'
        )
        for number, verdict in enumerate(verdicts):
            place = f"file={_quoted(run.file)} line={_quoted(str(run.line(number)))}"
            head = f"    <testcase classname={_quoted(run.result.scenario)} name={_quoted(verdict.name)} {place}"
            if verdict.passed:
                out.append(f"{head}/>")
            else:
                where = f"{run.file}:{run.line(number)}: {verdict.why}"
                out.append(f"{head}><failure message={_quoted(verdict.why)}>{_escaped(where)}</failure></testcase>")
        out.append("  </testsuite>")
    for file in unfinished:
        name = _quoted(file)
        out.append(f'  <testsuite name={name} tests="1" failures="0" errors="1">')
        out.append(f'    <testcase classname={name} name="run" file={name}><error message="not finished"/></testcase>')
        out.append("  </testsuite>")
    out.append("</testsuites>")
    write_text(path, "\n".join(out) + "\n")


def _escaped(text: str) -> str:
    """Return text as XML holds it; a character that XML cannot hold as its code in angle brackets."""
    return saxutils.escape(_NO_XML.sub(lambda found: f"<U+{ord(found[0]):04X}>", text))


def _quoted(text: str) -> str:
    return saxutils.quoteattr(_NO_XML.sub(lambda found: f"<U+{ord(found[0]):04X}>", text))


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
