"""What a box holds at an instant, as its records told it: the other side of the books."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holdings:
    """The entries of a box's tables. Routes have no name of their own and are counted.

    `neighbours` are (device, address), those in state NONE left out: nobody was told of them. `connections` and
    `mapped`, those of them whose addresses NAT changed, are serial numbers.
    """

    neighbours: frozenset[tuple[str, str]]
    routes: int
    connections: frozenset[int]
    mapped: frozenset[int]
