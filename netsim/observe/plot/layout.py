"""Where the boxes of a topology drawing stand: layers from the world to the hosts, few crossings. Plain arithmetic.

A link with three or more ends (or a hub or switch by kind) is a bus and takes a layer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SWEEPS = 8


@dataclass(slots=True)
class Graph:
    """An undirected graph of names, in the order they were added."""

    neighbours: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """Add a vertex."""
        self.neighbours.setdefault(name, [])

    def join(self, a: str, b: str) -> None:
        """Add an edge; parallel ones count once."""
        if b not in self.neighbours[a]:
            self.neighbours[a].append(b)
            self.neighbours[b].append(a)

    def distances(self, root: str) -> dict[str, int]:
        """Return the number of edges from `root` to each vertex it reaches."""
        out = {root: 0}
        queue = [root]
        for name in queue:
            for other in self.neighbours[name]:
                if other not in out:
                    out[other] = out[name] + 1
                    queue.append(other)
        return out


def assign_layers(graph: Graph) -> list[list[str]]:
    """Return the layers from left (hosts) to right (world): distances from the vertex that lies opposite most others.

    Of each component the root is a vertex of greatest eccentricity, and among those the one with most vertices at the
    far end. Components share the layers, one below the other.
    """
    layer: dict[str, int] = {}
    for name in graph.neighbours:
        if name in layer:
            continue
        best: dict[str, int] = {}
        best_key = (-1, -1)
        for root in graph.distances(name):
            distances = graph.distances(root)
            depth = max(distances.values())
            key = (depth, sum(1 for d in distances.values() if d == depth))
            if key > best_key:
                best, best_key = distances, key
        depth = best_key[0]
        layer.update({vertex: depth - distance for vertex, distance in best.items()})
    count = max(layer.values(), default=-1) + 1
    return [[name for name in graph.neighbours if layer[name] == index] for index in range(count)]


def order_layers(layers: Sequence[Sequence[str]], graph: Graph) -> list[list[str]]:
    """Reorder each layer by the mean position of its neighbours, forth and back, to spare crossings."""
    out = [list(names) for names in layers]
    for sweep in range(SWEEPS):
        indices = range(len(out)) if sweep % 2 == 0 else range(len(out) - 1, -1, -1)
        place = _places(out)
        for index in indices:
            out[index].sort(key=lambda name: _mean(graph.neighbours[name], place, place[name]))
            place.update(_places([out[index]]))
    return out


def _places(layers: Sequence[Sequence[str]]) -> dict[str, float]:
    return {name: (at + 0.5) / len(names) for names in layers for at, name in enumerate(names)}


def _mean(neighbours: Sequence[str], place: Mapping[str, float], own: float) -> float:
    return sum(place[name] for name in neighbours) / len(neighbours) if neighbours else own


def stack(heights: Sequence[float], gap: float, middle: float) -> list[float]:
    """Return the centres of boxes of these heights, one below the other around `middle`."""
    total = sum(heights) + gap * (len(heights) - 1)
    centres: list[float] = []
    at = middle - total / 2
    for height in heights:
        centres.append(at + height / 2)
        at += height + gap
    return centres
