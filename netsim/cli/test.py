"""`netsim test`: run every scenario below some folders, one line an expectation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Run every scenario file below the paths and print a line an expectation; sentences only for what failed.

    Where GITHUB_ACTIONS is set, what failed is annotated at its line of the file.

    Example: netsim test scenarios --junit report.xml
    """
    import os
    from pathlib import Path

    from netsim.cli.output import progress
    from netsim.cli.tally import write_junit
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.load import load_all
    from netsim.scenario.result import exit_code

    files = _files(paths or ["scenarios"])
    if not files:
        raise ConfigError(Problem(" ".join(paths or ["scenarios"]), 0, 0, "", "no scenario files here"))
    scenarios = load_all(files, settings=settings(None, seed))
    runs: list[Run] = []
    with progress(f"{len(files)} scenarios") as bar:

        def tell(run: Run) -> None:
            runs.append(run)
            if bar is not None:
                bar(len(runs) / len(files))
            if not json:
                _print(run)

        _each(files, scenarios, min(jobs or os.cpu_count() or 1, len(files)), tell)
    if junit is not None:
        try:
            write_junit(Path(junit), runs)
        except OSError as error:
            raise ConfigError(Problem(junit, 0, 0, "", f"cannot be written: {error.strerror}")) from error
    if json:
        from json import dumps

        typer.echo(dumps([run.result.to_dict() for run in runs], indent=2, ensure_ascii=False))
    raise typer.Exit(exit_code([run.result for run in runs]))


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


def _each(files: Sequence[Path], scenarios: Sequence[Scenario], jobs: int, tell: Callable[[Run], None]) -> None:
    """Run each file here or in `jobs` processes; tell of it as soon as those before it in the files' order are told."""
    if jobs == 1:
        for file, scenario in zip(files, scenarios, strict=True):
            tell(_run(file, scenario))
        return
    from netsim.sweep.workers import processes, run_each

    ready: dict[int, Run] = {}
    turn = 0

    def keep(number: int, run: Run) -> None:
        nonlocal turn
        ready[number] = run
        while turn in ready:
            tell(ready.pop(turn))
            turn += 1

    run_each(lambda: processes(jobs), _run, dict(enumerate(zip(files, scenarios, strict=True))), keep)


def _run(file: Path, scenario: Scenario) -> Run:
    from netsim.cli.tally import Run, lines_of
    from netsim.scenario.runner import run_scenario  # simpy and the stack only once the files are right

    return Run(str(file), run_scenario(scenario), lines_of(scenario))
