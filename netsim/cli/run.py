"""`netsim run`: run scenarios and print their verdicts."""

from __future__ import annotations

import typer

from netsim.cli.options import Files, Json, Out, Seed, Settings, settings


def run(files: Files, out: Out = None, seed: Seed = None, json: Json = False, set_: Settings = None) -> None:
    """Run scenarios and judge their expectations.

    Example: netsim run scenarios/dead-gateway.yaml --seed 9 --out results
    """
    from pathlib import Path

    from netsim.cli.output import progress, summary, verdict_lines, warning_lines
    from netsim.scenario.load import load_all
    from netsim.scenario.result import exit_code

    scenarios = load_all(files, settings=settings(set_, seed))
    from netsim.scenario.runner import run_scenario  # simpy and the stack only once the files are right

    results = []
    for file, scenario in zip(files, scenarios, strict=True):
        folder = None if out is None else Path(out) / Path(file).stem if len(files) > 1 else Path(out)
        with progress(scenario.name, scenario.duration) as bar:
            result = run_scenario(scenario, out=folder, progress=bar)
        results.append(result)
        if not json:
            for verdict in result.expect:
                typer.echo("\n".join(verdict_lines(verdict)))
            for line in warning_lines(result):
                typer.echo(line)
            typer.echo(summary(result))
    if json:
        from json import dumps

        values = [result.to_dict() for result in results]
        typer.echo(dumps(values if len(values) > 1 else values[0], indent=2, ensure_ascii=False))
    raise typer.Exit(exit_code(results))
