"""One bus of records: sinks subscribe by type, a type nobody wants costs one dict lookup and no object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netsim.trace.records import Record

Sink = Callable[[Any], None]  # a sink takes the record types it subscribed to; the bus holds it under those alone


class Bus:
    """Carries records from boxes, links and applications to sinks, in order, at once.

    `wanted` is a live set of the types somebody subscribed to: producers test membership before they build a record.
    Sinks run synchronously and must not change the world.
    """

    def __init__(self) -> None:
        self.wanted: set[type] = set()
        self._sinks: dict[type, list[Sink]] = {}

    def subscribe(self, types: Iterable[type], sink: Sink) -> None:
        """Call `sink(record)` for each record of these types from now on."""
        for cls in types:
            self._sinks.setdefault(cls, []).append(sink)
            self.wanted.add(cls)

    def sinks_of(self, cls: type) -> list[Sink]:
        """Return the live list of a type's sinks, for who publishes a record a frame: an empty one asks for none."""
        return self._sinks.setdefault(cls, [])

    def publish(self, record: Record) -> None:
        """Hand a record to the sinks of its type."""
        for sink in self._sinks.get(record.__class__, ()):
            sink(record)
