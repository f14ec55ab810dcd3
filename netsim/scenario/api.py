"""What a notebook calls: run a scenario file, or a scenario, and get its Result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netsim.scenario.load import load
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result


def run(
    source: str | Path | Scenario,
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Result:
    """Run a scenario and judge it; with `out`, write its files there.

    `seed` and `settings` ({"traffic.web.rate": "1Mbit"}) replace what the file says; settings need a file.
    Raises ConfigError with every mistake of the file.
    """
    from netsim.scenario.runner import run_scenario

    if isinstance(source, Scenario):
        scenario = source
        if seed is not None:
            scenario = scenario.model_copy(update={"seed": seed})
    else:
        chosen = dict(settings or {})
        if seed is not None:
            chosen["seed"] = str(seed)
        scenario = load(source, settings=chosen)
    return run_scenario(scenario, out=None if out is None else Path(out))
