"""`netsim run`: run scenarios and print their verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from netsim.cli.options import Files, Json, Out, Seed, Settings, settings

if TYPE_CHECKING:
    from netsim.scenario.result import Result


def run(files: Files, out: Out = None, seed: Seed = None, json: Json = False, set_: Settings = None) -> None:
    """Run scenarios and judge their expectations. Ctrl-C keeps what a run came to, marked as partial.

    Example: netsim run scenarios/dead-gateway.yaml --seed 9 --out results
    """
    from pathlib import Path

    from netsim.cli.output import INTERRUPTED, progress, talk, tell
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.load import load_all
    from netsim.scenario.result import exit_code

    stems = [Path(file).stem for file in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None and out is not None:
        hint = "run them one by one, each with a folder"
        raise ConfigError(Problem("--out", 0, 0, "", f"two files would write into {Path(out) / twice}", hint))
    scenarios = load_all(files, settings=settings(set_, seed))
    from netsim.scenario.runner import Interrupted, run_scenario  # simpy and the stack only once the files are right

    results: list[Result] = []
    interrupted = False
    for file, scenario in zip(files, scenarios, strict=True):
        folder = None if out is None else Path(out) / Path(file).stem if len(files) > 1 else Path(out)
        try:
            with progress(scenario.name, scenario.duration) as bar:
                results.append(run_scenario(scenario, out=folder, progress=bar))
        except Interrupted as error:
            results.append(error.result)
            partial = error.result.ended_s is not None
            where = "" if folder is None else f"; what was there by then is in {folder}"
            talk(f"netsim: {error}{where}{', marked as partial' if where and partial else ''}")
            interrupted = True
            if not json and not partial:
                tell(results[-1])
            break
        if not json:
            tell(results[-1])
    if json:
        from json import dumps

        values = [result.to_dict() for result in results]
        typer.echo(dumps(values if len(files) > 1 else values[0], indent=2, ensure_ascii=False))
    raise typer.Exit(INTERRUPTED if interrupted else exit_code(results))
