"""Route metrics: what a route tells TCP and IP about the way, by RTAX_ number.

Source: uapi/linux/rtnetlink.h (RTAX_), net/ipv4/metrics.c ip_metrics_convert(), fib_semantics.c fib_metrics_match().
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from netsim.stack.errno import EINVAL, Refusal

RTAX_MTU: Final = 2
RTAX_WINDOW: Final = 3
RTAX_RTT: Final = 4
RTAX_RTTVAR: Final = 5
RTAX_SSTHRESH: Final = 6
RTAX_CWND: Final = 7
RTAX_ADVMSS: Final = 8
RTAX_REORDERING: Final = 9
RTAX_HOPLIMIT: Final = 10
RTAX_INITCWND: Final = 11
RTAX_FEATURES: Final = 12
RTAX_RTO_MIN: Final = 13
RTAX_INITRWND: Final = 14
RTAX_QUICKACK: Final = 15
RTAX_CC_ALGO: Final = 16
RTAX_FASTOPEN_NO_COOKIE: Final = 17
RTAX_MAX: Final = 17

RTAX_FEATURE_ECN: Final = 1

_MOST = ((RTAX_MTU, 65535 - 15), (RTAX_ADVMSS, 65535 - 40), (RTAX_HOPLIMIT, 255))
"""What mainline cuts a value to."""
_ALGORITHMS = ("", "reno", "cubic")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Values by RTAX_ number, 0 for none; `locked` has bit 1 << number for those that nothing learned may change.

    `rtt` counts eighths of a millisecond, `rttvar` quarters, as the kernel's estimator does; `congctl` is a name.
    """

    values: tuple[int, ...] = (0,) * (RTAX_MAX + 1)
    locked: int = 0
    congctl: str = ""

    @classmethod
    def of(cls, *pairs: tuple[int, int], locked: int = 0, congctl: str = "") -> Metrics:
        """Return metrics with some values given."""
        values = [0] * (RTAX_MAX + 1)
        for number, value in pairs:
            values[number] = value
        return cls(tuple(values), locked, congctl)

    def __getitem__(self, number: int) -> int:
        return self.values[number]

    def lock(self, number: int) -> bool:
        """Tell whether a value is locked."""
        return bool(self.locked & 1 << number)

    def covers(self, wanted: Metrics, given: tuple[int, ...]) -> bool:
        """Tell whether these have what a deletion names, the same locks among it. Mirrors fib_metrics_match()."""
        if wanted.locked and wanted.locked != self.locked:
            return False
        return all(
            self.congctl == wanted.congctl if number == RTAX_CC_ALGO else self[number] == wanted[number]
            for number in given
        )


NO_METRICS: Final = Metrics()


def converted(metrics: Metrics) -> Metrics | Refusal:
    """Return metrics as mainline takes them, its limits applied. Mirrors ip_metrics_convert()."""
    if metrics is NO_METRICS:
        return metrics
    if metrics.congctl not in _ALGORITHMS:
        return Refusal(EINVAL, "Unknown tcp congestion algorithm")
    values = list(metrics.values)
    for number, most in _MOST:
        values[number] = min(values[number], most)
    return Metrics(tuple(values), metrics.locked, metrics.congctl)
