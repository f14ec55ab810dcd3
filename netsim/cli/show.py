"""`netsim show`: what a command prints on a node at some instant of a scenario."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netsim.cli.options import Json, Seed, Settings, instant, settings


def show(
    file: Annotated[str, typer.Argument(help="Scenario or topology file.", metavar="FILE")],
    node: Annotated[str, typer.Argument(help="Node.", metavar="NODE")],
    command: Annotated[str, typer.Argument(help="Linux command line.", metavar="COMMAND")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="60s", help="Instant; default: the end.", show_default=False)
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Tell each routing decision that the command asks for.")] = False,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Show what a command prints on a node at an instant of a run.

    Example: netsim show scenarios/dead-gateway.yaml router "ip neigh" --at 70s

    Example: netsim show scenarios/dead-gateway.yaml router "ip route get 203.0.113.10" --at 70s --why
    """
    from netsim.scenario.load import load

    scenario = load(file, settings=settings(set_, seed), kind="any")
    when = instant(at, "--at", scenario.duration)
    from netsim.cli.output import progress
    from netsim.observe.explain.facts import Fact, as_json
    from netsim.scenario.expect import Answer
    from netsim.scenario.explanation import answer_and_why  # simpy and the stack only once the file is right
    from netsim.scenario.runner import answer_at
    from netsim.shell.tool import CommandResult

    reasons: list[Fact] = []
    answer: Answer | CommandResult
    with progress(scenario.name, scenario.duration if when is None else when) as bar:
        if why:
            answer, reasons = answer_and_why(scenario, node, command, at=when, progress=bar)
        else:
            answer = answer_at(scenario, node, command, at=when, progress=bar)
    if json:
        from json import dumps

        told = {"node": node, "line": command, "rc": answer.rc, "stdout": answer.stdout, "stderr": answer.stderr}
        typer.echo(dumps({**told, "why": as_json(reasons)} if why else told))
    else:
        sys.stdout.write(answer.stdout)
        sys.stderr.write(answer.stderr)
        if why:
            from netsim.observe.explain.text import fact_lines

            lines = [line for fact in reasons for line in fact_lines(fact, indent=0)]
            typer.echo("\n".join(lines or ["no routing decision was made for it"]))
    raise typer.Exit(0 if answer.rc == 0 else 1)
