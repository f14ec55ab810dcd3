"""`netsim verify`: the same scenarios on the running kernel and in the emulator, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Files, Json, Seed, Settings, settings

if TYPE_CHECKING:
    from netsim.oracle.batch import Outcome


def verify(
    files: Files,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many scenarios run side by side.")] = 2,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Run scenarios on the running kernel too, in real time, and print what agrees and what differs.

    Needs root; nothing outside its own namespaces is touched. Exit status: 0 nothing differs, 1 something does,
    4 skipped, with the reason.

    Example: netsim verify scenarios/dead-gateway.yaml --set duration=30s --set traffic.web.every=1s
    """
    from netsim.cli.output import rows, talk
    from netsim.errors import Skipped
    from netsim.kernel.probe import require
    from netsim.oracle.batch import verify_all
    from netsim.scenario.load import load_all

    chosen = settings(set_, seed)
    scenarios = load_all(files, settings=chosen)
    try:
        require()
    except Skipped as skipped:
        talk(f"netsim: {skipped}")
        raise typer.Exit(skipped.exit_code) from skipped
    seconds = sum(scenario.duration for scenario in scenarios) / 1e9 / min(jobs, len(files))
    talk(f"on this kernel in real time: about {seconds:.0f} s")
    outcomes = verify_all(files, settings=chosen, jobs=jobs, told=talk)
    if json:
        from json import dumps

        values = [outcome.to_dict() for outcome in outcomes]
        typer.echo(dumps(values if len(values) > 1 else values[0], indent=2, ensure_ascii=False))
    else:
        table = [["CASE", "COMPARED", "AGREE", "DIFFER"], *(_row(outcome) for outcome in outcomes)]
        for outcome in outcomes:
            typer.echo("\n".join(_differences(outcome)), nl=bool(outcome.differences))
        rows(table)
    raise typer.Exit(max(outcome.exit_code for outcome in outcomes) if not _any_differ(outcomes) else 1)


def _any_differ(outcomes: list[Outcome]) -> bool:
    return any(outcome.differences for outcome in outcomes)


def _row(outcome: Outcome) -> list[str]:
    if outcome.skipped:
        return [outcome.name, "skipped", outcome.skipped]
    return [outcome.name, str(outcome.compared), str(outcome.agree), str(len(outcome.differences)), *outcome.remarks]


def _differences(outcome: Outcome) -> list[str]:
    """Tell each difference: both sides, the line of the scenario, the likely rule."""
    out = []
    for each in outcome.differences:
        out.append(f"{outcome.name}: {each['aspect']} at {each['t']:.3f} s: {each['where']}")
        for side in ("kernel", "emulator"):
            first, *more = (each[side] or "(nothing)").splitlines()
            out.append(f"    {side + ':':<10} {first}")
            out += [f"{'':15} {line}" for line in more]
        if each["line"]:
            out.append(f"    see        {each['line']}")
        out.append(f"    likely     {each['rule']}")
    return out
