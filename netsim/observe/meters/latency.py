"""Percentiles of latencies in bounded memory."""

from __future__ import annotations

from netsim.units import Ns

DISTINCT = 65_536
"""How many different values are kept exactly; beyond, values are rounded to one part in 1024 (never down)."""


class Latencies:
    """Counts values; nearest-rank percentiles are exact up to DISTINCT different ones."""

    __slots__ = ("_counts", "_rounded", "maximum", "total")

    def __init__(self) -> None:
        self._counts: dict[Ns, int] = {}
        self._rounded = False
        self.total = 0
        self.maximum: Ns = 0

    def add(self, value: Ns) -> None:
        """Count one value."""
        key = _round_up(value) if self._rounded else value
        self._counts[key] = self._counts.get(key, 0) + 1
        self.total += 1
        self.maximum = max(self.maximum, value)
        if len(self._counts) > DISTINCT and not self._rounded:
            self._coarsen()

    def percentile(self, percent: int) -> Ns:
        """Return the smallest value that `percent` of them do not exceed (nearest rank); 0 when there are none."""
        rank = -(-self.total * percent // 100)
        seen = 0
        for value in sorted(self._counts):
            seen += self._counts[value]
            if seen >= rank:
                return min(value, self.maximum)
        return 0

    def _coarsen(self) -> None:
        self._rounded = True
        counts: dict[Ns, int] = {}
        for value, count in self._counts.items():
            key = _round_up(value)
            counts[key] = counts.get(key, 0) + count
        self._counts = counts


def _round_up(value: Ns) -> Ns:
    """Round to eleven significant bits, upwards, so that no bound is met by rounding alone."""
    shift = max(0, value.bit_length() - 11)
    return (value + (1 << shift) - 1) >> shift << shift
