"""How far behind the real clock a world was when it acted: a distribution in little memory.

Buckets are an eighth of an octave wide, so a quantile is right to within a tenth.
"""

from __future__ import annotations

from netsim.units import NS_PER_MS, NS_PER_S, Ns

_STEPS = 8


class Lateness:
    """Counts how late things were done.

    `bound` None allows everything; `exceeded` is a sentence once the world was further behind than it allows: what it
    measures from then on would be a lie.
    """

    def __init__(self, bound: Ns | None = None) -> None:
        self.bound = bound
        self.count = 0
        self.most: Ns = 0
        self.exceeded = ""
        self._buckets: dict[int, int] = {}

    def note(self, late: Ns, now: Ns) -> None:
        """Count one act that was due `late` ns before `now`."""
        late = max(late, 0)
        self.count += 1
        self.most = max(self.most, late)
        bucket = _bucket(late)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if self.bound is not None and late > self.bound and not self.exceeded:
            self.exceeded = (
                f"{late / NS_PER_MS:.1f} ms behind the clock at {now / NS_PER_S:.3f} s, and "
                f"{self.bound / NS_PER_MS:g} ms are allowed: the machine is too slow or too busy for this run"
            )

    def quantile(self, share: float) -> Ns:
        """Return what `share` of all acts were not later than, 0 when nothing was done."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper(bucket), self.most)
        return 0

    def __str__(self) -> str:
        p50, p99 = self.quantile(0.5) / NS_PER_MS, self.quantile(0.99) / NS_PER_MS
        return f"lateness p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {self.most / NS_PER_MS:.2f} ms"


def _bucket(late: Ns) -> int:
    """Return the octave's bits and the eighth of it, as one number that grows with `late`."""
    if not late:
        return 0
    octave = late.bit_length()
    eighth = (late * 2 * _STEPS >> octave) - _STEPS
    return octave * _STEPS + eighth


def _upper(bucket: int) -> Ns:
    octave, step = divmod(bucket, _STEPS)
    return (1 << octave) * (_STEPS + step + 1) // (2 * _STEPS) if bucket else 0
