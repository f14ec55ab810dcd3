"""What a sweep found: for each point and measure, the quantiles over the seeds; as rows, JSON, CSV and CDF plots."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

from netsim.errors import ConfigError, Problem
from netsim.files import write_text
from netsim.observe.plot.cdf import CdfData, Curve
from netsim.scenario.model import Scenario
from netsim.scenario.values import Bound
from netsim.sweep.grid import label
from netsim.sweep.journal import Outcome
from netsim.units import NS_PER_S

SCHEMA = "netsim-sweep/1"
_PICTURES = (".svg", ".png")
_LONGEST_NAME = 100
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of settings and its runs."""

    settings: tuple[tuple[str, str], ...]
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> int:
        """How many of its runs held every expectation."""
        return sum(outcome.passed for outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All of it. `bounds` are the scenario's own of each measure, in seconds (low, high), None where open."""

    scenario: str
    points: tuple[Point, ...]
    runs: int
    first_seed: int
    partial: bool
    bounds: Mapping[str, tuple[float | None, float | None]]

    @property
    def passed(self) -> bool:
        """Whether every run held every expectation."""
        return not self.partial and all(point.passed == len(point.outcomes) for point in self.points)

    def measures(self) -> list[str]:
        """Return the names of what was timed, in the scenario's order."""
        names = (name for point in self.points for outcome in point.outcomes for name in outcome.measures)
        return list(dict.fromkeys(names))

    def statistics(self, point: Point, measure: str) -> dict[str, Any]:  # Any: numbers or None
        """Return count, never, min, quantiles and max of one measure at one point, in seconds."""
        values = sorted(v for o in point.outcomes if (v := o.measures.get(measure)) is not None)
        out: dict[str, Any] = {"count": len(point.outcomes), "never": len(point.outcomes) - len(values)}
        out["min"] = values[0] if values else None
        for share in QUANTILES:
            out[f"p{round(share * 100)}"] = quantile(values, share) if values else None
        out["max"] = values[-1] if values else None
        return out

    def to_dict(self) -> dict[str, Any]:  # Any: JSON values
        """Return the value that `netsim sweep --json` prints."""
        return {
            "schema": SCHEMA, "scenario": self.scenario, "runs": self.runs, "first_seed": self.first_seed,
            "partial": self.partial, "passed": self.passed, "bounds": {k: list(v) for k, v in self.bounds.items()},
            "points": [
                {
                    "settings": dict(point.settings), "passed": point.passed,
                    "measures": {name: self.statistics(point, name) for name in self.measures()},
                    "runs": [_run(outcome) for outcome in point.outcomes],
                }
                for point in self.points
            ],
        }  # fmt: skip

    def rows(self) -> Iterator[list[str]]:
        """Yield the table that a person reads: a block a measure, a line a point."""
        for measure in self.measures():
            low, high = self.bounds.get(measure, (None, None))
            yield [measure, "runs", "held", "never", "min", *(f"p{round(q * 100)}" for q in QUANTILES), "max"]
            for point in self.points:
                numbers = self.statistics(point, measure)
                shown = [numbers["min"], *(numbers[f"p{round(q * 100)}"] for q in QUANTILES), numbers["max"]]
                held = sum(measure not in outcome.failed for outcome in point.outcomes)
                yield [
                    f"  {label(point.settings)}", str(numbers["count"]), str(held), str(numbers["never"] or ""),
                    *("-" if value is None else f"{value:.3f}s" for value in shown),
                ]  # fmt: skip
            if low is not None or high is not None:
                yield [f"  expected {_bound(low)}..{_bound(high)}"]

    def failures(self, file: str) -> Iterator[str]:
        """Yield a line a run that failed, with the command that repeats it."""
        for point in self.points:
            given = "".join(f" --set {shlex.quote(f'{key}={value}')}" for key, value in point.settings)
            for outcome in point.outcomes:
                if not outcome.passed:
                    names = ", ".join(outcome.failed) or "a check of the run itself"
                    yield f"failed: {names}; again: netsim run {file} --seed {outcome.seed}{given}"

    def curves(self, measure: str) -> CdfData:
        """Return the data of one measure's CDF plot."""
        curves = tuple(
            Curve(
                name=label(point.settings), total=len(point.outcomes),
                values=tuple(sorted(v for o in point.outcomes if (v := o.measures.get(measure)) is not None)),
            )
            for point in self.points
        )  # fmt: skip
        low, high = self.bounds.get(measure, (None, None))
        seeds = f"{self.runs} seeds from {self.first_seed}" + (", partial" if self.partial else "")
        return CdfData(title=measure, subtitle=(self.scenario, seeds), curves=curves, low=low, high=high)


def _run(outcome: Outcome) -> dict[str, Any]:  # Any: JSON values
    out = asdict(outcome)
    del out["point"]
    return out


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}s"


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, between neighbours in proportion (as numpy's default does)."""
    at = share * (len(values) - 1)
    below = int(at)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (at - below)


def bounds_of(scenario: Scenario) -> dict[str, tuple[float | None, float | None]]:
    """Return what each timed expectation of a scenario allows, in seconds."""
    out: dict[str, tuple[float | None, float | None]] = {}
    for expect in scenario.expect:
        within = getattr(expect, "within", None)
        if isinstance(within, Bound):
            out[expect.name] = (_seconds(within.low), _seconds(within.high))
    return out


def _seconds(value: float) -> float | None:
    return value / NS_PER_S if isfinite(value) else None


def write(sweep: Sweep, folder: Path) -> list[Path]:
    """Write sweep.json, runs.csv and a CDF plot a measure into a folder; return the files. Raises ConfigError.

    Plots of an earlier sweep are taken away.
    """
    from netsim.observe.plot.cdf import draw_cdf
    from netsim.observe.plot.style import save

    files = [folder / "sweep.json", folder / "runs.csv"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(files[0], json.dumps(sweep.to_dict(), indent=2, ensure_ascii=False) + "\n")
        write_text(files[1], _table(sweep))
        for name, measure in _file_names(sweep.measures()).items():
            figure = draw_cdf(sweep.curves(measure))
            for suffix in _PICTURES:
                files.append(folder / f"{name}{suffix}")
                save(figure, files[-1])
        for stale in {each for suffix in _PICTURES for each in folder.glob(f"cdf-*{suffix}")} - set(files):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(Problem("--out", 0, 0, "", f"{folder} cannot be written: {error.strerror}")) from error
    return files


def _table(sweep: Sweep) -> str:
    """Return the runs as CSV, one a row."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_keys(sweep), "seed", "passed", *sweep.measures()])
    for point in sweep.points:
        for outcome in point.outcomes:
            measured = [outcome.measures.get(name) for name in sweep.measures()]
            writer.writerow([*(v for _, v in point.settings), outcome.seed, outcome.passed, *measured])
    return text.getvalue()


def _keys(sweep: Sweep) -> list[str]:
    return [key for key, _ in sweep.points[0].settings] if sweep.points else []


def _file_names(measures: Sequence[str]) -> dict[str, str]:
    """Return a name for each measure's plots: letters and digits of it, a number behind where another has the same."""
    names: dict[str, str] = {}
    for measure in measures:
        plain = "cdf-" + re.sub(r"[^A-Za-z0-9]", "-", measure)[:_LONGEST_NAME].strip("-")
        numbered = (f"{plain}-{number}" for number in count(2))
        names[plain if plain not in names else next(each for each in numbered if each not in names)] = measure
    return names
