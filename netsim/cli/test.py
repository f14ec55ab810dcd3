"""`netsim test`: run every scenario below some folders, one line an expectation."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import Json, Seed, settings


def run_folders(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders; default: scenarios.", metavar="PATHS", show_default=False),
    ] = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Run every scenario file below the paths and print a line an expectation; sentences only for what failed.

    Example: netsim test scenarios
    """
    from pathlib import Path

    from netsim.cli.output import summary, verdict_lines
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.load import load_all
    from netsim.scenario.result import exit_code

    files: list[Path] = []
    for path in [Path(each) for each in paths or ["scenarios"]]:
        files += sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(Problem(" ".join(paths or ["scenarios"]), 0, 0, "", "no scenario files here"))
    scenarios = load_all(files, settings=settings(None, seed))
    from netsim.scenario.runner import run_scenario  # simpy and the stack only once the files are right

    results = []
    for scenario in scenarios:
        result = run_scenario(scenario)
        results.append(result)
        if json:
            continue
        for verdict in result.expect:
            lines = list(verdict_lines(verdict))
            typer.echo("\n".join(lines[:1] if verdict.passed else lines))
        typer.echo(summary(result))
    if json:
        from json import dumps

        typer.echo(dumps([result.to_dict() for result in results], indent=2, ensure_ascii=False))
    raise typer.Exit(exit_code(results))
