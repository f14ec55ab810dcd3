"""`netsim test`: run every scenario below some folders, one line an expectation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Json, Seed, settings

if TYPE_CHECKING:
    from pathlib import Path

    from netsim.cli.tally import Run
    from netsim.scenario.model import Scenario


def run_folders(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders; default: scenarios.", metavar="PATHS", show_default=False),
    ] = None,
    seed: Seed = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes; default: one a processor.", show_default=False)
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Run every scenario below some folders. Prints a line an expectation, and sentences only for what failed.

    Where GITHUB_ACTIONS is set, what failed is annotated at its line of the file.

    Example: netsim test scenarios --junit report.xml
    """
    import os
    from pathlib import Path

    from netsim.cli.output import aside, progress
    from netsim.errors import ConfigError, Problem
    from netsim.files import expect_writable
    from netsim.scenario.load import load_all
    from netsim.scenario.result import exit_code

    files = _files(paths or ["scenarios"])
    if not files:
        raise ConfigError(Problem(" ".join(paths or ["scenarios"]), 0, 0, "", "no scenario files here"))
    scenarios = load_all(files, settings=settings(None, seed))
    if junit is not None:
        with _writing(junit):
            expect_writable(Path(junit))
    done: dict[int, Run] = {}
    told = 0
    with progress(f"{len(files)} scenarios") as bar:

        def keep(number: int, run: Run) -> None:
            """Print of each file as soon as those before it are printed."""
            nonlocal told
            done[number] = run
            if bar is not None:
                bar(len(done) / len(files))
            with aside(bar):
                while told in done:
                    if not json:
                        _print(done[told])
                    told += 1

        try:
            _each(files, scenarios, min(jobs or os.cpu_count() or 1, len(files)), keep)
        finally:  # an interrupted run has a report too, which says so
            if junit is not None:
                _report(junit, files, done)
    runs = [done[number] for number in range(len(files))]
    if json:
        from json import dumps

        typer.echo(dumps([run.result.to_dict() for run in runs], indent=2, ensure_ascii=False))
    raise typer.Exit(exit_code([run.result for run in runs]))


def _report(junit: str, files: Sequence[Path], done: Mapping[int, Run]) -> None:
    """Write the report of what is done. Raises ConfigError."""
    from pathlib import Path

    from netsim.cli.tally import write_junit

    unfinished = [str(file) for number, file in enumerate(files) if number not in done]
    with _writing(junit):
        write_junit(Path(junit), [done[number] for number in sorted(done)], unfinished)


@contextmanager
def _writing(file: str) -> Iterator[None]:
    from netsim.errors import ConfigError, Problem

    try:
        yield
    except OSError as error:
        raise ConfigError(Problem(file, 0, 0, "", f"cannot be written: {error.strerror}")) from error


def _files(paths: Sequence[str]) -> list[Path]:
    from pathlib import Path

    files: list[Path] = []
    for path in map(Path, paths):
        files += sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    return files


def _print(run: Run) -> None:
    import os

    from netsim.cli.output import summary, verdict_lines
    from netsim.cli.tally import annotate

    for verdict in run.result.expect:
        lines = list(verdict_lines(verdict))
        typer.echo("\n".join(lines[:1] if verdict.passed else lines))
    typer.echo(summary(run.result))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo("\n".join(annotate(run)), nl=not run.result.passed)


def _each(files: Sequence[Path], scenarios: Sequence[Scenario], jobs: int, keep: Callable[[int, Run], None]) -> None:
    """Run each file, here or in `jobs` processes, and hand `keep` its number and what it came to."""
    tasks = dict(enumerate(zip(files, scenarios, strict=True)))
    if jobs == 1:
        for number, task in tasks.items():
            keep(number, _run(*task))
        return
    from netsim.sweep.workers import processes, run_each

    run_each(lambda: processes(jobs), _run, tasks, keep)


def _run(file: Path, scenario: Scenario) -> Run:
    from netsim.cli.tally import Run, lines_of
    from netsim.scenario.runner import run_scenario  # simpy and the stack only once the files are right

    return Run(str(file), run_scenario(scenario), lines_of(scenario))
