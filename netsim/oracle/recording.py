"""What a kernel did with a scenario, kept: to be compared again where no kernel can be asked.

One file a scenario, gzipped JSON of one line: the result, the records that are compared, what the kernel drew for its
timers, and which kernel and tools these were. It belongs to one wording of its scenario: another has another
fingerprint, and comments make no difference.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netsim.errors import ConfigError, Problem, Skipped
from netsim.files import write_bytes
from netsim.kernel.ticks import Ticks
from netsim.oracle.compare import Run
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result
from netsim.trace.records import as_json, from_json
from netsim.units import Ns

SCHEMA: Final = "netsim-recording/1"
SUFFIX: Final = ".json.gz"
_VERSIONS: Final = (("ip", "-V"), ("iptables", "-V"), ("conntrack", "-V"), ("ping", "-V"), ("sysctl", "-V"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What the kernel chose by itself: reachable times in ms by (node, device), where its ticks stood (None unknown).

    `late` is how far the process that was the wires was behind at worst.
    """

    reachable: Mapping[tuple[str, str], int]
    ticks: Ticks | None
    late: Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The kernel's side of a comparison. `tools` are the versions of what the command lines ran."""

    kernel: str
    tools: Mapping[str, str]
    fingerprint: str
    draws: Draws
    run: Run

    def to_dict(self) -> dict[str, Any]:  # Any: JSON values
        """Return what the file holds."""
        ticks = self.draws.ticks
        return {
            "schema": SCHEMA, "kernel": self.kernel, "tools": dict(self.tools), "fingerprint": self.fingerprint,
            "reachable_ms": [[node, dev, value] for (node, dev), value in self.draws.reachable.items()],
            "ticks": None if ticks is None else [ticks.tick, ticks.count, ticks.at], "late": self.draws.late,
            "result": self.run.result.to_dict(), "records": [as_json(record) for record in self.run.records],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recording:  # Any: JSON values
        """Read back what `to_dict` made. Raises KeyError, ValueError, TypeError or AttributeError for anything else."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"{data['schema']} is not {SCHEMA}")
        draws = Draws(
            reachable={(node, dev): int(value) for node, dev, value in data["reachable_ms"]},
            ticks=None if data["ticks"] is None else _ticks(*map(int, data["ticks"])),
            late=int(data["late"]),
        )
        run = Run(result=Result.from_dict(data["result"]), records=[from_json(each) for each in data["records"]])
        return cls(
            kernel=data["kernel"], tools=data["tools"], fingerprint=data["fingerprint"], draws=draws, run=run,
        )  # fmt: skip


def _ticks(tick: int, count: int, at: int) -> Ticks:
    return Ticks(tick=tick, count=count, at=at)


def fingerprint(scenario: Scenario) -> str:
    """Return what two wordings of a scenario have in common exactly when they ask the same of a kernel.

    What is drawn and listed of a run is no part of that, nor which nodes another command takes for real ones.
    """
    asked = (
        scenario.model_dump(mode="json", exclude_defaults=True, exclude={"topology", "about", "live", "observe"}),
        scenario.effective_topology().model_dump(mode="json", exclude_defaults=True),
    )
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def this_kernel() -> str:
    """Return the running kernel's release."""
    return os.uname().release


def versions() -> dict[str, str]:
    """Return what each tool says of its version, without those that are not installed."""
    out: dict[str, str] = {}
    for tool, option in _VERSIONS:
        if shutil.which(tool) is not None:
            said = subprocess.run([tool, option], capture_output=True, text=True, check=False)
            out[tool] = (said.stdout or said.stderr).strip().splitlines()[0]
    return out


def save(recording: Recording, folder: Path, stem: str) -> Path:
    """Write a recording into a folder, which is made. The same recording is the same octets. Raises ConfigError."""
    file = folder / f"{stem}{SUFFIX}"
    text = json.dumps(recording.to_dict(), ensure_ascii=False, separators=(",", ":"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(file, gzip.compress(text.encode(), mtime=0))
    except OSError as error:
        raise ConfigError(Problem(str(file), 0, 0, "--record", f"cannot be written: {error.strerror}")) from error
    return file


def load_recording(folder: Path, stem: str, scenario: Scenario) -> Recording:
    """Read the recording of a scenario.

    Raises Skipped where there is none, or one of another wording of the scenario; ConfigError for a file that is none.
    """
    file = folder / f"{stem}{SUFFIX}"
    try:
        recording = Recording.from_dict(json.loads(gzip.decompress(file.read_bytes())))
    except FileNotFoundError as error:
        raise Skipped(f"no recording {file}: make one as root with verify --record") from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(Problem(str(file), 0, 0, "--against", f"no recording of netsim verify: {error}")) from error
    if recording.fingerprint != fingerprint(scenario):
        raise Skipped(f"{file} was recorded of another wording of the scenario: record it again")
    return recording
