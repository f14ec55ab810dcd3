"""`netsim sweep`: a scenario over many seeds and settings, and how what was timed is distributed."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import Json, Out, Seed, Settings, settings


def sweep(
    file: Annotated[str, typer.Argument(help="Scenario file.", metavar="FILE")],
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=a,b,c", help="Values to compare; several make a grid.", show_default=False),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="Runs of each point, a seed each.")] = 10,
    seed: Seed = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes; default: one a processor.", show_default=False),
    ] = None,
    scheduler: Annotated[
        str, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler: tcp://host:8786.")
    ] = "",
    out: Out = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Run a scenario over seeds and settings. Prints quantiles of what its expectations timed.

    Seeds count up from --seed or the file's. With --out, runs that an earlier sweep finished there are not run again.
    Exit 0 when every expectation held in every run.

    Example: netsim sweep scenarios/detection-time.yaml --vary kernel.router=linux-2.4,linux-6 --runs 20 --out sweep
    """
    from pathlib import Path

    from netsim.cli.output import INTERRUPTED, progress, rows, talk
    from netsim.errors import ConfigError
    from netsim.scenario.load import load
    from netsim.sweep.grid import jobs, parse_axis, points

    base = settings(set_)
    axes = [parse_axis(each) for each in vary or ()]
    problems, scenarios = [], []
    for point in points(axes):  # every point is checked before anything is run
        try:
            scenarios.append(load(file, settings={**base, **dict(point)}))
        except ConfigError as error:
            problems += [each for each in error.problems if each not in problems]
    if problems:
        raise ConfigError(*problems)
    from netsim.scenario.runner import rehearse
    from netsim.sweep.engine import run_all
    from netsim.sweep.journal import Journal
    from netsim.sweep.summary import Point, Sweep, bounds_of, write

    for scenario in scenarios:
        rehearse(scenario)
    loaded = scenarios[0]
    first = loaded.seed if seed is None else seed
    work = jobs(axes, runs, first)
    journal = Journal(None if out is None else Path(out), scenarios)
    with progress(f"{loaded.name}: {len(work)} runs") as bar:
        tell = None if bar is None else lambda finished, total: bar(finished / total)
        outcomes, whole = run_all(scenarios, work, workers=workers, scheduler=scheduler, done=tell, journal=journal)
    found = Sweep(
        scenario=loaded.name, runs=runs, first_seed=first, partial=not whole, bounds=bounds_of(loaded),
        points=tuple(
            Point(settings_, tuple(each for each in outcomes if each.point == number))
            for number, settings_ in enumerate(points(axes))
        ),
    )  # fmt: skip
    if out is not None:
        for path in write(found, Path(out)):
            talk(str(path))
    if json:
        from json import dumps

        typer.echo(dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        rows(list(found.rows()))
        for line in found.failures(file):
            typer.echo(line)
        held = sum(point.passed for point in found.points)
        typer.echo(f"{loaded.name}: every expectation held in {held} of {len(outcomes)} runs")
    if not whole:
        talk(f"netsim: interrupted after {len(outcomes)} of {len(work)} runs: these are partial results")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if found.passed else 1)
