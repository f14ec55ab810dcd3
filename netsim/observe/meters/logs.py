"""The lists of a result that are kept as they happened: translations, command answers, steps of the timeline."""

from __future__ import annotations

from typing import Any

from netsim.trace.bus import Bus
from netsim.trace.records import CommandRun, NatMapped, WorldEvent
from netsim.units import seconds


class NatLog:
    """Each connection whose address or port changed, once."""

    def __init__(self, bus: Bus) -> None:
        self.mapped: list[NatMapped] = []
        bus.subscribe((NatMapped,), self.mapped.append)

    def as_result(self) -> list[dict[str, Any]]:  # Any: JSON values
        """Return the `nat` part of a result."""
        return [
            {"t": seconds(m.t), "node": m.node, "proto": m.proto, "original": m.original, "reply": m.reply}
            for m in self.mapped
        ]


class CommandLog:
    """Each command line that was run, with its answer."""

    def __init__(self, bus: Bus) -> None:
        self.commands: list[CommandRun] = []
        bus.subscribe((CommandRun,), self.commands.append)

    def as_result(self) -> list[dict[str, Any]]:  # Any: JSON values
        """Return the `commands` part of a result."""
        return [
            {"t": seconds(c.t), "node": c.node, "line": c.line, "rc": c.rc, "stdout": c.stdout, "stderr": c.stderr}
            for c in self.commands
        ]


class EventLog:
    """Each step of the timeline."""

    def __init__(self, bus: Bus) -> None:
        self.events: list[WorldEvent] = []
        bus.subscribe((WorldEvent,), self.events.append)

    def as_result(self) -> list[dict[str, Any]]:  # Any: JSON values
        """Return the `events` part of a result."""
        return [{"t": seconds(e.t), "id": e.id, "verb": e.verb, "target": e.target} for e in self.events]
