"""One bus of records: sinks subscribe by type, a type nobody wants costs one dict lookup and no object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netsim.trace.records import Record

Interface = tuple[str, str]
"""(node, device)."""
Sink = Callable[[Any], None]  # a sink takes the record types it subscribed to; the bus holds it under those alone


class Bus:
    """Carries records from boxes, links and applications to sinks, in order, at once.

    `wanted` is a live set of the types somebody subscribed to: producers test membership before they build a record.
    Sinks run synchronously and must not change the world.
    """

    def __init__(self) -> None:
        self.wanted: set[type] = set()
        self._sinks: dict[type, list[Sink]] = {}
        self._at: dict[type, dict[Interface, list[Sink]]] = {}

    def subscribe(self, types: Iterable[type], sink: Sink) -> None:
        """Call `sink(record)` for each record of these types from now on."""
        for cls in types:
            self._sinks.setdefault(cls, []).append(sink)
            self.wanted.add(cls)

    def subscribe_at(self, types: Iterable[type], interfaces: Iterable[Interface], sink: Sink) -> None:
        """Call `sink(record)` for each record of these types, which name a node and a device, at some interfaces.

        However many listen so, a record at another interface costs one look-up.
        """
        interfaces = tuple(interfaces)
        for cls in types:
            table = self._at.get(cls)
            if table is None:
                table = self._at[cls] = {}
                self.subscribe((cls,), _dispatcher(table))
            for interface in interfaces:
                table.setdefault(interface, []).append(sink)

    def sinks_of(self, cls: type) -> list[Sink]:
        """Return the live list of a type's sinks, for who publishes a record a frame: an empty one asks for none."""
        return self._sinks.setdefault(cls, [])

    def publish(self, record: Record) -> None:
        """Hand a record to the sinks of its type."""
        for sink in self._sinks.get(record.__class__, ()):
            sink(record)


def _dispatcher(table: dict[Interface, list[Sink]]) -> Sink:
    """Return a sink that hands records to those who listen at their interface."""

    def dispatch(record: Any) -> None:  # Any: a record with a node and a device
        for sink in table.get((record.node, record.dev), ()):
            sink(record)

    return dispatch
