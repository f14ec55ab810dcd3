"""What a run found out, as one value: JSON both ways, the exit status, and figures from it alone.

Source: design/scenario-format.md, "Result".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from netsim.errors import ConfigError, Problem
from netsim.files import LONGEST_OF_OURS, Unreadable, read_bytes

if TYPE_CHECKING:
    from netsim.observe.plot import Figure

SCHEMA = "netsim-result/1"

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_BUG = 3
EXIT_SKIPPED = 4

Json = dict[str, Any]  # Any: JSON values

_SHAPES: Mapping[str, type | tuple[type, ...]] = MappingProxyType({
    "scenario": str, "seed": int, "duration_s": (int, float), "digest": str, "expect": list, "events": list,
    "flows": dict, "gateways": dict, "neigh": list, "nat": list, "commands": list, "drops": dict, "ledger": dict,
    "packet_hops": int, "wall_s": (int, float), "plots": dict, "ended_s": (int, float),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expectation's outcome: `why` is a sentence with the numbers, `measured` the numbers alone."""

    name: str
    passed: bool
    measured: Json = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run's outcome. Lists are in time order; times are seconds, as in the JSON.

    `plots` holds the data of each plot by name, beyond the contract's fields, so that a saved run can be drawn.
    `ended_s` is the instant at which a run ended before its time, None for a whole one: the result is partial then, and
    no expectation was judged.
    """

    scenario: str
    seed: int
    duration_s: float
    passed: bool
    digest: str
    expect: tuple[Verdict, ...] = ()
    events: tuple[Json, ...] = ()
    flows: Mapping[str, Json] = field(default_factory=dict)
    gateways: Mapping[str, Json] = field(default_factory=dict)
    neigh: tuple[Json, ...] = ()
    nat: tuple[Json, ...] = ()
    commands: tuple[Json, ...] = ()
    drops: Mapping[str, int] = field(default_factory=dict)
    ledger: Mapping[str, int] = field(default_factory=dict)
    packet_hops: int = 0
    wall_s: float = 0.0
    plots: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON values
    ended_s: float | None = None

    @property
    def exit_code(self) -> int:
        """0 when every expectation held, else 1."""
        return EXIT_OK if self.passed else EXIT_FAILED

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The expectations that did not hold."""
        return tuple(verdict for verdict in self.expect if not verdict.passed)

    def __getitem__(self, name: str) -> Verdict:
        """Return one expectation's verdict by its name. Raises KeyError."""
        for verdict in self.expect:
            if verdict.name == name:
                return verdict
        raise KeyError(name)

    def to_dict(self) -> Json:
        """Return the value that `netsim run --json` prints."""
        out: Json = {
            "schema": SCHEMA, "scenario": self.scenario, "seed": self.seed, "duration_s": self.duration_s,
            "passed": self.passed, "digest": self.digest,
            "expect": [
                {"name": v.name, "passed": v.passed, "measured": dict(v.measured), "why": v.why} for v in self.expect
            ],
            "events": list(self.events), "flows": dict(self.flows), "gateways": dict(self.gateways),
            "neigh": list(self.neigh), "nat": list(self.nat), "commands": list(self.commands),
            "drops": dict(self.drops),
            "ledger": dict(self.ledger), "packet_hops": self.packet_hops, "wall_s": self.wall_s,
        }  # fmt: skip
        if self.ended_s is not None:
            out |= {"partial": True, "ended_s": self.ended_s}
        if self.plots:
            out["plots"] = dict(self.plots)
        return out

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the result as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:  # Any: JSON values
        """Read back what `to_dict` made. Raises ValueError, KeyError or TypeError for what is none."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {data.get('schema')}, not {SCHEMA}")
        for key, shape in _SHAPES.items():
            if key in data and not isinstance(data[key], shape):
                raise TypeError(f"{key}: {data[key]!r:.60} is not what stands there")
        verdicts = tuple(
            Verdict(name=v["name"], passed=v["passed"], measured=v["measured"], why=v["why"]) for v in data["expect"]
        )
        return cls(
            scenario=data["scenario"], seed=data["seed"], duration_s=data["duration_s"], passed=data["passed"],
            digest=data["digest"], expect=verdicts, events=tuple(data["events"]), flows=data["flows"],
            gateways=data["gateways"], neigh=tuple(data["neigh"]), nat=tuple(data["nat"]),
            commands=tuple(data["commands"]), drops=data["drops"], ledger=data["ledger"],
            packet_hops=data["packet_hops"], wall_s=data["wall_s"], plots=data.get("plots", {}),
            ended_s=data.get("ended_s"),
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read `result.json`, or the folder that holds it. Raises ConfigError."""
        file = Path(path)
        file = file / "result.json" if file.is_dir() else file
        try:
            data = json.loads(read_bytes(file, LONGEST_OF_OURS))
            if not isinstance(data, dict):
                raise ConfigError(
                    Problem(str(file), 0, 0, "", "holds several results or none", "choose one FILE to run")
                )
            return cls.from_dict(data)
        except OSError as error:
            raise ConfigError(Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror}")) from error
        except Unreadable as error:
            raise ConfigError(Problem(str(file), 0, 0, "", str(error))) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(Problem(str(file), 0, 0, "", f"not a result of netsim run: {error}")) from error

    def plot(self, name: str = "gateways") -> Figure:
        """Draw one of the plots from this value alone, as a matplotlib Figure. Raises ConfigError for another name."""
        from netsim.scenario.plots import PLOTS

        draw: Callable[[Result], Figure] | None = PLOTS.get(name)
        if draw is None:
            raise ConfigError(Problem("plot", 0, 0, "", f'no plot "{name}"', f"there are: {', '.join(PLOTS)}"))
        return draw(self)

    def timing(self) -> Json:
        """Return detection, failover and recovery times in seconds, by expectation: plain data for snapshots."""
        out: Json = {}
        for verdict in self.expect:
            if "at_s" in verdict.measured:
                out[verdict.name] = verdict.measured["at_s"]
        return out


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit status of several runs: 1 if any expectation failed."""
    return max((result.exit_code for result in results), default=EXIT_OK)
