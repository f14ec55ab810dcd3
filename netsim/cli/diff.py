"""`netsim diff`: where two finished runs differ."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import Json


def diff(
    one: Annotated[str, typer.Argument(help="Folder of a run, or its result.json.", metavar="A")],
    other: Annotated[str, typer.Argument(help="Folder of another run, or its result.json.", metavar="B")],
    json: Json = False,
) -> None:
    """Compare two results field by field; exit 0 when the runs were alike, 1 when they differ.

    Example: netsim diff results/seed-7 results/seed-8
    """
    from netsim.scenario.differences import differences
    from netsim.scenario.result import Result

    found = differences(Result.load(one), Result.load(other))
    if json:
        from json import dumps

        typer.echo(dumps({"alike": not found, "differences": found}, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(found) if found else "no difference")
    raise typer.Exit(1 if found else 0)
