"""`netsim live`: a scenario in real time, some of its nodes real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Json, Out, Seed, Settings, duration, settings

if TYPE_CHECKING:
    from netsim.live.session import Outcome


def live(
    file: Annotated[str, typer.Argument(help="Scenario file with nodes under live:.", metavar="FILE")],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="Command to run inside a real node; the run ends with it.",
            metavar="[-- COMMAND...]",
            show_default=False,
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--on", metavar="NODE", help="Where COMMAND runs; default: the first.", show_default=False),
    ] = None,
    shell: Annotated[
        str | None, typer.Option("--shell", metavar="NODE", help="Open a shell in a real node.", show_default=False)
    ] = None,
    to_the_end: Annotated[
        bool, typer.Option("--to-the-end", help="Go on to the scenario's end when COMMAND is through, and judge.")
    ] = False,
    max_lateness: Annotated[
        str | None,
        typer.Option(
            "--max-lateness",
            metavar="TIME",
            help="Fail once the emulation is further behind the clock.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Run a scenario in real time, some of its nodes real. live: says which, and whose.

    Needs root for namespaces; nothing outside its own is touched. Exit status: the command's (137 when it outlived the
    scenario and was killed), else as for run; 1 when the emulation was later than allowed, 4 where the machine cannot.

    Example: netsim live scenarios/live/two-isps.yaml -- ping -c 5 world
    """
    from pathlib import Path

    from netsim.cli.output import INTERRUPTED, progress, talk
    from netsim.live.plan import Wish
    from netsim.live.session import run_live
    from netsim.scenario.load import load
    from netsim.scenario.runner import Interrupted

    scenario = load(file, settings=settings(set_, seed))
    argv = _argv(command or [], shell, node)
    wish = Wish(
        argv=argv, node=shell or node or "", to_the_end=to_the_end, bound=duration(max_lateness, "--max-lateness"),
        out=None if out is None else Path(out),
    )  # fmt: skip
    try:
        if argv:
            outcome = run_live(scenario, wish)
        else:
            with progress(scenario.name, scenario.duration) as bar:
                outcome = run_live(scenario, wish, bar)
    except Interrupted as error:
        talk(f"netsim: {error}")
        raise typer.Exit(INTERRUPTED) from None  # with its cause it would be told once more
    judged = to_the_end or not argv
    _tell(outcome, json=json, judged=judged)
    raise typer.Exit(_status(outcome, judged=judged))


def _argv(command: list[str], shell: str | None, node: str | None) -> list[str]:
    """Return what runs in the node. Raises ConfigError where options contradict each other or stand in COMMAND."""
    import os

    from netsim.errors import ConfigError, Problem

    if shell is not None and command:
        raise ConfigError(Problem("--shell", 0, 0, "", f"a shell or {command[0]}, not both", "--on NODE -- COMMAND"))
    if shell is not None and node is not None:
        raise ConfigError(Problem("--shell", 0, 0, "", "says where the shell is", "drop --on"))
    if node is not None and not command:
        raise ConfigError(Problem("--on", 0, 0, "", f"nothing to run on {node}", "--on NODE -- COMMAND"))
    if command and command[0].startswith("-"):
        what = f"{command[0]} is an option, and what stands behind -- is a command"
        raise ConfigError(Problem("COMMAND", 0, 0, "", what, f"netsim live FILE {command[0]} ... -- COMMAND"))
    return command if shell is None else [os.environ.get("SHELL", "sh")]


def _tell(outcome: Outcome, *, json: bool, judged: bool) -> None:
    """Print the verdicts where there are any: what a command of the person's printed stands as it is."""
    from netsim.cli.output import talk, tell

    if json:
        typer.echo(outcome.result.to_json(indent=2))
    elif judged:
        tell(outcome.result)
    talk(f"netsim: {outcome.lateness}")
    for remark in outcome.remarks:
        talk(f"netsim: {remark}")
    if outcome.fault:
        talk(f"netsim: {outcome.fault}")


def _status(outcome: Outcome, *, judged: bool) -> int:
    if outcome.fault:
        return 1
    if outcome.status:
        return outcome.status
    return outcome.result.exit_code if judged else 0
