"""The journal of a sweep: what is finished stands in a file, line by line, and is not run again.

A line belongs to a scenario as it is, settings included, and to a seed: after any change of the file it counts no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.scenario.model import Scenario
from netsim.sweep.grid import Job

if TYPE_CHECKING:
    from netsim.sweep.engine import Outcome

NAME = "journal.jsonl"


def fingerprint(scenario: Scenario) -> str:
    """Return a name for a scenario that changes with anything in it but the seed."""
    whole = scenario.model_copy(update={"seed": 0}).model_dump_json(by_alias=True)
    return blake2b(whole.encode(), digest_size=8).hexdigest()


class Journal:
    """Finished runs of some scenarios, one a point; `folder` None keeps nothing."""

    def __init__(self, folder: Path | None, scenarios: Sequence[Scenario]) -> None:
        """Read what an earlier sweep left. Raises OSError."""
        self._names = [fingerprint(scenario) for scenario in scenarios]
        self._path = None if folder is None else folder / NAME
        self._known: dict[tuple[str, int], Mapping[str, Any]] = {}  # Any: an outcome's fields
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        """Take one line; one that a kill cut in two is no run."""
        try:
            entry = json.loads(line)
            self._known[entry["scenario"], entry["outcome"]["seed"]] = entry["outcome"]
        except (ValueError, KeyError, TypeError):
            return

    def finished(self, job: Job) -> Outcome | None:
        """Return what a job came to in an earlier sweep, as this sweep's job."""
        from netsim.sweep.engine import Outcome

        known = self._known.get((self._names[job.point], job.seed))
        if known is None:
            return None
        return Outcome(**{**known, "number": job.number, "point": job.point, "failed": tuple(known["failed"])})

    def note(self, outcome: Outcome) -> None:
        """Write a finished run down. Raises OSError."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"scenario": self._names[outcome.point], "outcome": asdict(outcome)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
