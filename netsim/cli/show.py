"""`netsim show`: what a command prints on a node at some instant of a scenario."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netsim.cli.options import Json, Seed, Settings, duration, settings


def show(
    file: Annotated[str, typer.Argument(help="Scenario file.", metavar="FILE")],
    node: Annotated[str, typer.Argument(help="Node.", metavar="NODE")],
    command: Annotated[str, typer.Argument(help="Linux command line.", metavar="COMMAND")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="60s", help="Instant; default: the end.", show_default=False)
    ] = None,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Run a scenario up to an instant and show what a command prints on a node there.

    Example: netsim show scenarios/dead-gateway.yaml router "ip neigh" --at 70s
    """
    from netsim.scenario.load import load

    scenario, instant = load(file, settings=settings(set_, seed)), duration(at, "--at")
    from netsim.scenario.runner import answer_at  # simpy and the stack only once the file is right

    answer = answer_at(scenario, node, command, at=instant)
    if json:
        from json import dumps

        typer.echo(
            dumps({"node": node, "line": command, "rc": answer.rc, "stdout": answer.stdout, "stderr": answer.stderr})
        )
    else:
        sys.stdout.write(answer.stdout)
        sys.stderr.write(answer.stderr)
    raise typer.Exit(0 if answer.rc == 0 else 1)
