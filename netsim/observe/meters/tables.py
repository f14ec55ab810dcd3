"""The books of the boxes' tables: what was made is there, or its removal was recorded.

Neighbours, routes, connections and NAT mappings: each is counted in and out by the records alone, and at the end of a
run the boxes' tables must hold what the records leave, no more and no less. What a crash takes, it takes whole.

Source: design/architecture.md section 6, "Drops have names"; the same for what a table loses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netsim.errors import InternalError
from netsim.observe.meters.neigh import NONE
from netsim.trace.bus import Bus
from netsim.trace.holdings import Holdings
from netsim.trace.records import NeighChange, RouteEvent, Tracked, WorldEvent

_SHOWN = 5


class _Books:
    """What the records say that one box holds."""

    __slots__ = ("connections", "mapped", "neighbours", "routes")

    def __init__(self) -> None:
        self.neighbours: set[tuple[str, str]] = set()
        self.routes = 0
        self.connections: set[int] = set()
        self.mapped: set[int] = set()


class TableBooks:
    """Follows the entries of all boxes. Memory: a number for each that is there."""

    def __init__(self, bus: Bus) -> None:
        self._boxes: dict[str, _Books] = {}
        bus.subscribe((NeighChange,), self._neigh)
        bus.subscribe((RouteEvent,), self._route)
        bus.subscribe((Tracked,), self._tracked)
        bus.subscribe((WorldEvent,), self._event)

    def check(self, boxes: Mapping[str, Holdings] | None) -> None:
        """Compare with what the boxes say that they hold (None: they do not tell).

        Raises InternalError when an entry came or went unrecorded.
        """
        for node, held in (boxes or {}).items():
            books = self._boxes.get(node, _Books())
            _compare(node, "neighbours", books.neighbours, held.neighbours)
            _compare(node, "connections", books.connections, held.connections)
            _compare(node, "NAT mappings", books.mapped, held.mapped)
            if books.routes != held.routes:
                raise InternalError(f"{node} holds {held.routes} routes, and its records leave {books.routes}")

    def _of(self, node: str) -> _Books:
        books = self._boxes.get(node)
        if books is None:
            books = self._boxes[node] = _Books()
        return books

    def _neigh(self, r: NeighChange) -> None:
        entries = self._of(r.node).neighbours
        (entries.discard if r.new == NONE else entries.add)((r.dev, r.dst))

    def _route(self, r: RouteEvent) -> None:
        self._of(r.node).routes += {"new": 1, "deleted": -1, "replaced": 0}[r.event]

    def _tracked(self, r: Tracked) -> None:
        books = self._of(r.node)
        for entries in (books.connections, books.mapped) if r.mapped else (books.connections,):
            if (r.serial in entries) is not r.gone:
                how = "went twice, or never came" if r.gone else "came twice"
                raise InternalError(f"connection {r.serial} of {r.node} {how}")
            (entries.remove if r.gone else entries.add)(r.serial)

    def _event(self, r: WorldEvent) -> None:
        if r.verb == "crash":
            self._boxes.pop(r.target, None)


def _compare(node: str, kind: str, recorded: Iterable[Any], held: Iterable[Any]) -> None:  # Any: an entry's name
    """Raise InternalError, with a few of them, unless the records leave just what is held."""
    recorded, held = set(recorded), set(held)
    for names, fault in ((recorded - held, "went"), (held - recorded, "came")):
        if names:
            few = ", ".join(str(name) for name in sorted(names)[:_SHOWN])
            raise InternalError(f"{len(names)} {kind} of {node} {fault} without a record: {few}")
