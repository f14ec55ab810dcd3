"""`netsim check`: every mistake of scenario and topology files at once, and what merely looks like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from netsim.cli.options import Files, Json, Settings, settings

if TYPE_CHECKING:
    from netsim.errors import Problem


def check(files: Files, json: Json = False, set_: Settings = None) -> None:
    """Check scenario and topology files without running them. Warnings do not fail.

    Example: netsim check scenarios/*.yaml
    """
    from dataclasses import asdict

    from netsim.cli.output import aside, progress
    from netsim.errors import ConfigError
    from netsim.scenario.load import load
    from netsim.scenario.suspicions import suspicions

    chosen = settings(set_)
    found, failed = [], False
    warnings: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    with progress(f"{len(files)} files" if len(files) > 1 else files[0]) as bar:
        for number, file in enumerate(files, 1):
            try:
                scenario = load(file, settings=chosen, kind="any")
                from netsim.scenario.runner import rehearse  # simpy and the stack only once the file is right

                rehearse(scenario)
                warnings, problems = suspicions(scenario), ()
            except ConfigError as error:
                warnings, problems = (), error.problems
            failed |= bool(problems)
            found.append(
                {"file": file, "errors": [asdict(p) for p in problems], "warnings": [asdict(p) for p in warnings]}
            )
            if bar is not None and len(files) > 1:
                bar(number / len(files))
            if not json:
                with aside(bar):
                    _print(file, problems, warnings)
    if json:
        from json import dumps

        typer.echo(dumps(found if len(found) > 1 else found[0], indent=2, ensure_ascii=False))
    raise typer.Exit(2 if failed else 0)


def _print(file: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    """Print what is wrong and what looks wrong, or that nothing is."""
    for problem in problems:
        typer.echo(str(problem))
    for warning in warnings:
        typer.echo(str(warning).replace(": ", ": warning: ", 1))
    if not problems:
        count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
        typer.echo(f"{file}: ok" + (f", {count}" if warnings else ""))
