"""The journal of a sweep: what is finished stands in a file, line by line, and is not run again.

A line belongs to a scenario as it is, settings included, to a seed, and to netsim as it is: after any change of the
file or of the program it counts no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import netsim
from netsim.errors import ConfigError, Problem
from netsim.files import LONGEST_OF_OURS, Unreadable, read_bytes
from netsim.scenario.model import Scenario
from netsim.sweep.grid import Job

NAME = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run is remembered for; plain data that travels between processes."""

    number: int
    point: int
    seed: int
    passed: bool
    digest: str
    failed: tuple[str, ...]
    measures: Mapping[str, float | None]
    flows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def program() -> str:
    """Return a name for netsim itself that changes with any of its modules: a checkout's version stands still."""
    found = blake2b(digest_size=8)
    for folder in map(Path, netsim.__path__):
        for file in sorted(each for each in folder.rglob("*") if each.suffix in {".py", ".so"}):
            found.update(f"{file.relative_to(folder)}\0".encode() + blake2b(file.read_bytes()).digest())
    return found.hexdigest()


def fingerprint(scenario: Scenario, made_by: str = "") -> str:
    """Return a name for a scenario that changes with anything in it but the seed, and with the program it is for."""
    whole = scenario.model_copy(update={"seed": 0}).model_dump_json(by_alias=True)
    return blake2b(f"{made_by}\0{whole}".encode(), digest_size=8).hexdigest()


class Journal:
    """Finished runs of some scenarios, one a point; `folder` None keeps nothing."""

    def __init__(self, folder: Path | None, scenarios: Sequence[Scenario]) -> None:
        """Read what an earlier sweep left, and make sure that more can be written. Raises ConfigError."""
        self._names: list[str] = []
        self._path: Path | None = None
        self._known: dict[tuple[str, int], Outcome] = {}
        if folder is None:
            return
        made_by = program()
        self._names = [fingerprint(scenario, made_by) for scenario in scenarios]
        self._path = folder / NAME
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            whole = read_bytes(self._path, LONGEST_OF_OURS) if self._path.exists() else b""
            with self._path.open("ab") as file:
                if whole and not whole.endswith(b"\n"):
                    file.write(b"\n")  # a kill cut the last line in two: the next one is not to be part of it
        for line in whole.split(b"\n"):
            self._take(line)

    def _take(self, line: bytes) -> None:
        """Take one line; what a kill cut in two, a hand changed or another version wrote is no run."""
        try:
            entry = json.loads(line)
            if entry["sum"] != _sum(entry["outcome"]):
                return
            outcome = Outcome(**{**entry["outcome"], "failed": tuple(entry["outcome"]["failed"])})
            self._known[entry["scenario"], outcome.seed] = outcome
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def finished(self, job: Job) -> Outcome | None:
        """Return what a job came to in an earlier sweep, as this sweep's job."""
        if self._path is None:
            return None
        known = self._known.get((self._names[job.point], job.seed))
        return None if known is None else replace(known, number=job.number, point=job.point)

    def note(self, outcome: Outcome) -> None:
        """Write a finished run down. Raises ConfigError."""
        if self._path is None:
            return
        fields = asdict(outcome)
        entry = {"scenario": self._names[outcome.point], "sum": _sum(fields), "outcome": fields}
        with _told(self._path.parent), self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")


def _sum(fields: Mapping[str, Any]) -> str:  # Any: JSON values
    """Return the checksum of an outcome, the same before it is written and after it is read."""
    return blake2b(json.dumps(fields).encode(), digest_size=8).hexdigest()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell what the folder does not let happen as a mistake in --out."""
    try:
        yield
    except OSError as error:
        raise ConfigError(Problem("--out", 0, 0, "", f"{folder} cannot be written: {error.strerror}")) from error
    except Unreadable as error:
        raise ConfigError(Problem("--out", 0, 0, "", f"{folder / NAME} {error}")) from error
