"""Several scenarios verified side by side, a process each: their namespaces are their own, and end with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from netsim.errors import Skipped
from netsim.oracle.referee import verify
from netsim.scenario.load import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file, as plain data: `skipped` is the reason, "" when it was compared."""

    name: str
    skipped: str = ""
    agreed: Mapping[str, int] = field(default_factory=dict)
    differences: Sequence[Mapping[str, Any]] = ()  # Any: JSON values
    remarks: tuple[str, ...] = ()

    @property
    def agree(self) -> int:
        """How many records agreed."""
        return sum(self.agreed.values())

    @property
    def compared(self) -> int:
        """How many records were held against each other."""
        return self.agree + len(self.differences)

    @property
    def exit_code(self) -> int:
        """0 nothing differs, 1 something does, 4 skipped."""
        if self.skipped:
            return Skipped.exit_code
        return 1 if self.differences else 0

    def to_dict(self) -> dict[str, Any]:  # Any: JSON values
        """Return what `netsim verify --json` prints of a file."""
        return {
            "schema": "netsim-verify/1", "scenario": self.name, "skipped": self.skipped or None,
            "compared": self.compared, "agree": dict(self.agreed), "differ": list(self.differences),
            "remarks": list(self.remarks),
        }  # fmt: skip


def verify_all(
    files: Sequence[str], *, settings: Mapping[str, str], jobs: int, told: Callable[[str], None]
) -> list[Outcome]:
    """Verify files, `jobs` at a time; `told` hears of each as it ends. The files were loaded before: they are right.

    Each file has a fresh process even when there is one job: entering namespaces is a process's own business.
    """
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for outcome in pool.map(partial(verify_file, settings=dict(settings)), files):
            outcomes.append(outcome)
            told(f"{outcome.name}: {outcome.skipped or f'{outcome.agree} of {outcome.compared} agree'}")
    return outcomes


def _hurry() -> None:
    """Be on time: this process is part of every wire."""
    with suppress(OSError):  # a container may forbid it; then the note on lateness tells
        os.nice(-10)


def verify_file(file: str, settings: Mapping[str, str]) -> Outcome:
    """Verify one file."""
    _hurry()
    scenario = load(file, settings=settings)
    name = scenario.name or Path(file).stem
    try:
        comparison = verify(scenario)
    except Skipped as skipped:
        return Outcome(name=name, skipped=str(skipped))
    plain = comparison.to_dict()
    return Outcome(name=name, agreed=plain["agree"], differences=plain["differ"], remarks=tuple(plain["notes"]))
