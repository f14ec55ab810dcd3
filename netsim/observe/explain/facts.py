"""What an explanation is made of: facts in order of time, each with its place in the scenario where it has one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Protocol

from netsim.trace.records import HookVerdict, RouteLookup
from netsim.units import NS_PER_S, Ns, seconds


def clock(t: Ns) -> str:
    """Print an instant as a person reads a clock: seconds, to the microsecond where there is one."""
    text = f"{t // NS_PER_S}.{t % NS_PER_S // 1000:06d}".rstrip("0").rstrip(".")
    return f"{text}s"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person wrote something: file, line, the path in the file, and the command line itself."""

    file: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(slots=True)
class Fact:
    """One thing that happened to a packet: `kind` for programs, `text` for people, `lines` what belongs below it."""

    t: Ns
    kind: str
    text: str
    lines: list[str] = field(default_factory=list)
    places: tuple[Place, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)  # Any: JSON values by kind


@dataclass(slots=True)
class Stage:
    """A packet inside one node (or, before its first frame, where it was made)."""

    t: Ns
    node: str
    dev: str
    frame: int
    summary: str
    facts: list[Fact] = field(default_factory=list)


@dataclass(slots=True)
class Life:
    """A packet from its making to its end; `bystanders` saw a copy that was not for them."""

    frame: int
    summary: str
    stages: list[Stage] = field(default_factory=list)
    endings: list[Fact] = field(default_factory=list)
    bystanders: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = False


class Places(Protocol):
    """Where a scenario says what: asked by what records name."""

    def rule(self, verdict: HookVerdict) -> tuple[Place, ...]:
        """Return the lines that made a netfilter rule."""
        ...

    def policy_rule(self, node: str, preference: int) -> tuple[Place, ...]:
        """Return the lines that made a policy rule."""
        ...

    def route(self, lookup: RouteLookup) -> tuple[Place, ...]:
        """Return the lines that made the routes a lookup found."""
        ...


class Nowhere:
    """Places of a world that no file describes."""

    def rule(self, verdict: HookVerdict) -> tuple[Place, ...]:
        """Return nothing."""
        return ()

    def policy_rule(self, node: str, preference: int) -> tuple[Place, ...]:
        """Return nothing."""
        return ()

    def route(self, lookup: RouteLookup) -> tuple[Place, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Wire:
    """What is known of a link in one direction: `rate` in bits a second, 0 for none; `delay` in Ns."""

    rate: int = 0
    delay: Ns = 0


def as_json(value: Any) -> Any:  # Any: a fact, a life or a part of one; JSON values
    """Turn an explanation into JSON values; instants become seconds, as in results."""
    if is_dataclass(value) and not isinstance(value, type):
        out: dict[str, Any] = {}
        for each in fields(value):
            part = getattr(value, each.name)
            out[each.name] = seconds(part) if each.type == "Ns" else as_json(part)
        return out
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(part) for part in value]
    return value
