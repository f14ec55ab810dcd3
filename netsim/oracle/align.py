"""Two sequences of steps side by side: which step of the one is which of the other.

An alignment with the fewest steps left over, and among those the one whose pairs lie closest in time: a sequence that
repeats itself (a neighbour that fails again and again) is not shifted by one round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from netsim.units import NS_PER_S, Ns

LARGE = 1_000_000
"""Above so many comparisons a coarser alignment must do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence: when, and in words."""

    t: Ns
    words: str


Pair = tuple[int | None, int | None]


def align(ours: Sequence[Step], theirs: Sequence[Step]) -> list[Pair]:
    """Return pairs of indices in order; None stands for a step that the other side does not have."""
    if len(ours) * len(theirs) > LARGE:
        return _coarsely(ours, theirs)
    return _finely(ours, theirs)


def _cost(a: Step, b: Step) -> float:
    """Return what it costs to pair two steps of the same words: less than to leave both over, unless far apart."""
    return min(1.9, abs(a.t - b.t) / NS_PER_S)


def _finely(ours: Sequence[Step], theirs: Sequence[Step]) -> list[Pair]:
    rows, columns = len(ours), len(theirs)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i == rows or j == columns:
                best[i][j] = float(rows - i + columns - j)
                continue
            least = 1 + min(best[i + 1][j], best[i][j + 1])
            if ours[i].words == theirs[j].words:
                least = min(least, _cost(ours[i], theirs[j]) + best[i + 1][j + 1])
            best[i][j] = least
    out: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        if ours[i].words == theirs[j].words and best[i][j] == _cost(ours[i], theirs[j]) + best[i + 1][j + 1]:
            out.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == 1 + best[i + 1][j]:
            out.append((i, None))
            i += 1
        else:
            out.append((None, j))
            j += 1
    return [*out, *((k, None) for k in range(i, rows)), *((None, k) for k in range(j, columns))]


def _coarsely(ours: Sequence[Step], theirs: Sequence[Step]) -> list[Pair]:
    out: list[Pair] = []
    matcher = SequenceMatcher(None, [s.words for s in ours], [s.words for s in theirs], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            out += zip(range(i1, i2), range(j1, j2), strict=True)
        else:
            out += [(i, None) for i in range(i1, i2)]
            out += [(None, j) for j in range(j1, j2)]
    return out
