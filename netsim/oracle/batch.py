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
from netsim.oracle.compare import Comparison
from netsim.oracle.recording import Recording, load_recording, save
from netsim.oracle.referee import against, record
from netsim.scenario.load import load
from netsim.scenario.model import Scenario


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where recordings go to (`record`) or come from instead of this kernel (`against`); None: not at all."""

    record: Path | None = None
    against: Path | None = None


NO_MEMORY = Memory()


def verify_all(
    files: Sequence[str], *, settings: Mapping[str, str], jobs: int, told: Callable[[str], None],
    memory: Memory = NO_MEMORY,
) -> list[Outcome]:  # fmt: skip
    """Verify files, `jobs` at a time; `told` hears of each as it ends. The files were loaded before: they are right.

    Each file has a fresh process even when there is one job: entering namespaces is a process's own business.
    """
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for outcome in pool.map(partial(verify_file, settings=dict(settings), memory=memory), files):
            outcomes.append(outcome)
            told(f"{outcome.name}: {outcome.skipped or f'{outcome.agree} of {outcome.compared} agree'}")
    return outcomes


def _hurry() -> None:
    """Be on time: this process is part of every wire."""
    with suppress(OSError):  # a container may forbid it; then the note on lateness tells
        os.nice(-10)


def verify_file(file: str, settings: Mapping[str, str], memory: Memory = NO_MEMORY) -> Outcome:
    """Verify one file. Raises ConfigError for a recording that is none, or cannot be written."""
    scenario = load(file, settings=settings)
    stem = Path(file).stem
    name = scenario.name or stem
    try:
        if memory.against is not None:
            comparison, recording = against(scenario, load_recording(memory.against, stem, scenario)), None
        else:
            _hurry()
            comparison, recording = _measured(scenario)
    except Skipped as skipped:
        return Outcome(name=name, skipped=str(skipped))
    if memory.record is not None and recording is not None:
        save(recording, memory.record, stem)
    plain = comparison.to_dict()
    return Outcome(name=name, agreed=plain["agree"], differences=plain["differ"], remarks=tuple(plain["notes"]))


def _measured(scenario: Scenario) -> tuple[Comparison, Recording]:
    """Ask this kernel; once more where anything differs, which is said. The last answer counts.

    A busy machine is late by milliseconds, which moves frames past timers; what the kernel does otherwise, twice.
    """
    recording = record(scenario)
    first = against(scenario, recording)
    if not first.differences:
        return first, recording
    recording = record(scenario)
    second = against(scenario, recording)
    second.notes.insert(0, f"measured again: {len(first.differences)} differed, the first {first.differences[0].where}")
    return second, recording
