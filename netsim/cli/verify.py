"""`netsim verify`: the same scenarios on the running kernel and in the emulator, compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Files, Json, Seed, Settings, settings

if TYPE_CHECKING:
    from netsim.oracle.batch import Memory, Outcome

RECORDED = "recorded"
"""The folder beside scenario files that may hold what a kernel did with them."""


def verify(
    files: Files,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many scenarios run side by side.")] = 2,
    record: Annotated[
        str | None, typer.Option("--record", metavar="DIR", help="Keep what the kernel did.", show_default=False)
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="DIR", help="Compare with kept recordings; needs no root.",
                     show_default=False),
    ] = None,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:  # fmt: skip
    """Compare the emulator with the running kernel. Runs scenarios on both, prints what agrees and what differs.

    Needs root, or recordings; nothing outside its own namespaces is touched. Exit status: 0 nothing differs, 1
    something does, 4 skipped, with the reason.

    Example: netsim verify scenarios/dead-gateway.yaml --set duration=30s --set traffic.web.every=1s
    """
    from netsim.cli.output import aside, progress, rows, talk
    from netsim.oracle.batch import Memory, verify_all
    from netsim.scenario.load import load_all

    memory = Memory(record=_folder(record), against=_folder(against))
    _check(files, memory)
    chosen = settings(set_, seed)
    scenarios = load_all(files, settings=chosen)
    if memory.against is None:
        _need_kernel(files)
        seconds = sum(scenario.duration for scenario in scenarios) / 1e9 / min(jobs, len(files))
        talk(f"on this kernel in real time: about {seconds:.0f} s")
    with progress(f"{len(files)} scenarios") as bar:
        told = 0

        def tell(line: str) -> None:
            nonlocal told
            told += 1
            if bar is not None:
                bar(told / len(files))
            with aside(bar):
                talk(line)

        outcomes = verify_all(files, settings=chosen, jobs=jobs, told=tell, memory=memory)
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


def _folder(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _check(files: list[str], memory: Memory) -> None:
    """Raise ConfigError where the options do not go together."""
    from netsim.errors import ConfigError, Problem
    from netsim.files import expect_writable

    if memory.record is not None and memory.against is not None:
        raise ConfigError(Problem("--against", 0, 0, "", "a recording is no kernel to record", "drop --record"))
    stems = [Path(file).stem for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice and (memory.record or memory.against):
        raise ConfigError(Problem("--record", 0, 0, "", f"two files are named {twice[0]}", "recordings go by name"))
    if memory.record is not None:
        try:
            memory.record.mkdir(parents=True, exist_ok=True)
            expect_writable(memory.record / stems[0])
        except OSError as error:
            what = f"{memory.record} cannot be written: {error.strerror}"
            raise ConfigError(Problem("--record", 0, 0, "", what)) from error


def _need_kernel(files: list[str]) -> None:
    """Raise Exit with 4, and say why in a line, where no kernel can be asked."""
    from netsim.cli.output import talk
    from netsim.errors import Skipped
    from netsim.kernel.probe import require

    try:
        require()
    except Skipped as skipped:
        kept = Path(files[0]).parent / RECORDED
        hint = f" (its answers are kept: --against {kept})" if kept.is_dir() else ""
        talk(f"netsim: {skipped}{hint}")
        raise typer.Exit(skipped.exit_code) from skipped


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
