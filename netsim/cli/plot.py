"""`netsim plot`: the figures of a finished run, or of a scenario that is run for them."""

from __future__ import annotations

from typing import Annotated

import typer

from netsim.cli.options import Seed, Settings, settings


def plot(
    source: Annotated[
        str, typer.Argument(help="Folder of a run, a result.json, or a scenario file.", metavar="DIR-or-FILE")
    ],
    plots: Annotated[
        list[str] | None,
        typer.Option("--plot", help="Which plots; default: those of the scenario.", show_default=False),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="DIR", help="Where to; default: the run's folder, else here.", show_default=False
        ),
    ] = None,
    seed: Seed = None,
    set_: Settings = None,
) -> None:
    """Draw the plots of a run as SVG and PNG. Prints the files' names.

    Example: netsim plot scenarios/dead-gateway.yaml --out figures
    """
    from pathlib import Path

    from netsim.cli.output import progress
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.plots import save_plots
    from netsim.scenario.result import Result

    path = Path(source)
    if path.suffix in {".yaml", ".yml"}:
        from netsim.scenario.load import load
        from netsim.scenario.runner import run_scenario

        given = [*(set_ or ()), *([f"observe.plot=[{', '.join(plots)}]"] if plots else ())]
        scenario = load(source, settings=settings(given, seed))
        with progress(scenario.name, scenario.duration) as bar:
            result = run_scenario(scenario, progress=bar)
        folder = Path(out or ".")
    else:
        result = Result.load(path)
        folder = Path(out) if out else path if path.is_dir() else path.parent
    try:
        with progress("drawing"):
            files = save_plots(result, folder, tuple(plots or ()))
    except OSError as error:
        raise ConfigError(Problem("--out", 0, 0, "", f"{folder} cannot be written: {error.strerror}")) from error
    for file in files:
        typer.echo(str(file))
