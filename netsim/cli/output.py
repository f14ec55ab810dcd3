"""How commands speak: aligned rows, verdict lines, a progress bar on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from netsim.errors import printable
from netsim.scenario.result import Result, Verdict
from netsim.units import NS_PER_S, Ns

if TYPE_CHECKING:
    from rich.progress import Progress

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it; 143 after SIGTERM."""
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
    yield printable(f"TEST: {verdict.name}".ljust(_WIDTH) + f" {mark}")
    for line in printable(verdict.why).splitlines():
        yield f"      {line}"


def warning_lines(result: Result) -> Iterator[str]:
    """Return what no expectation asked about and everybody wants to know: sources that went to the wrong gateway."""
    for name, gateway in result.gateways.items():
        for owner, found in gateway.get("foreign", {}).items():
            count = f"{found['packets']} packets" if found["packets"] > 1 else "1 packet"
            when = f"the first at {found['first_s']:g} s from {found['src']}"
            yield f"warning: {count} with a source of {owner}'s went to {name} ({when})"


def tell(result: Result) -> None:
    """Print a run's verdicts, warnings and last line."""
    for verdict in result.expect:
        print("\n".join(verdict_lines(verdict)))
    for line in warning_lines(result):
        print(line)
    print(summary(result))


def summary(result: Result) -> str:
    """Return a run's last line."""
    total, failed = len(result.expect), len(result.failed)
    head = f"{result.scenario}: "
    if result.ended_s is not None:
        head += f"ended at {result.ended_s:g} s, nothing was judged"
    elif not total:
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
    return f"{printable(head)} (seed {result.seed}, {result.duration_s:g} s of virtual time, {speed})"


class Bar:
    """A progress bar on standard error: until it is told how much is done it only shows life."""

    def __init__(self, bar: Progress, title: str, duration: Ns) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None, reached="")
        self._duration = duration
        self._started = monotonic()

    def __call__(self, fraction: float) -> None:
        """Move it to the fraction done."""
        said = f"{100 * fraction:.0f}%"
        if self._duration:
            now = self._duration * fraction / NS_PER_S
            speed = now / max(monotonic() - self._started, 1e-3)
            said = f"{now:.0f} of {self._duration / NS_PER_S:g} s, {speed:.0f} times real time"
        self._bar.update(self._task, total=1.0, completed=fraction, reached=said)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar off the screen while something is printed: the terminal may show standard output too."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()


@contextmanager
def progress(title: str, duration: Ns = 0) -> Iterator[Bar | None]:
    """Show a bar while work goes on, when standard error is a terminal.

    With the `duration` of a run it also tells the virtual time reached and how many times faster than life it passes.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    name, reached = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[reached]}")
    columns = (name, BarColumn(), reached, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        yield Bar(bar, title, duration)


def aside(bar: Bar | None) -> AbstractContextManager[None]:
    """Return what to print in while there may be a bar."""
    return nullcontext() if bar is None else bar.aside()
