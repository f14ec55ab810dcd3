"""How commands speak: aligned rows, verdict lines, a progress bar on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from netsim.scenario.result import Result, Verdict

_WIDTH = 72


def talk(text: str) -> None:
    """Say something that is not the result."""
    print(text, file=sys.stderr)


def rows(table: Sequence[Sequence[str]], out: TextIO | None = None) -> None:
    """Print plain aligned rows, as `column -t` would: the same on a terminal and in a pipe."""
    if not table:
        return
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(len(row) for row in table))]
    for row in table:
        line = "  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row))
        print(line.rstrip(), file=out or sys.stdout)


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Return a verdict as text: the line, and the sentence below it."""
    mark = "[ OK ]" if verdict.passed else "[FAIL]"
    yield f"TEST: {verdict.name}".ljust(_WIDTH) + f" {mark}"
    for line in verdict.why.splitlines():
        yield f"      {line}"


def summary(result: Result) -> str:
    """Return a run's last line."""
    total, failed = len(result.expect), len(result.failed)
    head = f"{result.scenario}: "
    if not total:
        head += "nothing was expected"
    elif failed:
        head += f"{failed} of {total} expectations failed"
    elif total == 1:
        head += "the expectation holds"
    else:
        head += f"all {total} expectations hold"
    speed = (
        f"{result.packet_hops} packet hops in {result.wall_s:.2f} s"
        if result.wall_s
        else f"{result.packet_hops} packet hops"
    )
    return f"{head} (seed {result.seed}, {result.duration_s:g} s of virtual time, {speed})"


@contextmanager
def progress(title: str) -> Iterator[Callable[[float], None] | None]:
    """Show a bar while a run goes on, when standard error is a terminal; hands out what takes the fraction done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)
