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
    """Compare two results field by field. Exit 0 when the runs were alike, 1 when they differ.

    Of two folders, the first record in which their traces part is named too: what happened there is where to look.

    Example: netsim diff results/seed-7 results/seed-8
    """
    from netsim.scenario.differences import differences, first_parting
    from netsim.scenario.result import Result

    found = differences(Result.load(one), Result.load(other))
    parting = first_parting(one, other)
    if json:
        from json import dumps

        told = {"alike": not found, "differences": found, "first_record": parting}
        typer.echo(dumps(told, indent=2, ensure_ascii=False))
    else:
        if parting is not None:
            typer.echo(f"the traces part at record {parting['number']}:")
            typer.echo(f"  A {parting['a']}\n  B {parting['b']}")
        typer.echo("\n".join(found) if found else "no difference")
    raise typer.Exit(1 if found else 0)
