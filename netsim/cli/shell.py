"""`netsim shell`: an interactive console inside a paused run."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import Seed, Settings, duration, settings


def shell(
    file: Annotated[str, typer.Argument(help="Scenario or topology file.", metavar="FILE")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="60s", help="Instant to begin at; default: 0s.", show_default=False)
    ] = None,
    seed: Seed = None,
    set_: Settings = None,
) -> None:
    """Look into a run at an instant. Type Linux commands on its nodes, let time pass, break things.

    Reads commands from standard input when that is no terminal; the exit status is then the last command's.

    Example: netsim shell scenarios/dead-gateway.yaml --at 70s

    Example: echo "ip neigh; run 30s; ip neigh" | netsim shell scenarios/dead-gateway.yaml
    """
    import sys

    from netsim.scenario.load import load

    scenario, instant = load(file, settings=settings(set_, seed), kind="any"), duration(at, "--at") or 0
    from netsim.cli.console import Console  # simpy and the stack only once the file is right
    from netsim.cli.output import progress

    with progress(scenario.name, instant) as bar:
        console = Console(scenario, instant, progress=bar)
    try:
        console.interact()
    finally:
        console.close()
    raise typer.Exit(0 if sys.stdin.isatty() else console.status)
