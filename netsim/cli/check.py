"""`netsim check`: every mistake of scenario and topology files at once, and what merely looks like one."""

from __future__ import annotations

import typer

from netsim.cli.options import Files, Json, Settings, settings


def check(files: Files, json: Json = False, set_: Settings = None) -> None:
    """Check scenario and topology files without running them; warnings do not fail.

    Example: netsim check scenarios/*.yaml
    """
    from dataclasses import asdict

    from netsim.errors import ConfigError, Problem
    from netsim.scenario.load import load
    from netsim.scenario.suspicions import suspicions

    chosen = settings(set_)
    found, failed = [], False
    warnings: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    for file in files:
        try:
            scenario = load(file, settings=chosen, kind="any")
            from netsim.scenario.runner import rehearse  # simpy and the stack only once the file is right

            rehearse(scenario)
            warnings, problems = suspicions(scenario), ()
        except ConfigError as error:
            warnings, problems = (), error.problems
        failed |= bool(problems)
        found.append({"file": file, "errors": [asdict(p) for p in problems], "warnings": [asdict(p) for p in warnings]})
        if json:
            continue
        for problem in problems:
            typer.echo(str(problem))
        for warning in warnings:
            typer.echo(str(warning).replace(": ", ": warning: ", 1))
        if not problems:
            count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
            typer.echo(f"{file}: ok" + (f", {count}" if warnings else ""))
    if json:
        from json import dumps

        typer.echo(dumps(found if len(found) > 1 else found[0], indent=2, ensure_ascii=False))
    raise typer.Exit(2 if failed else 0)
