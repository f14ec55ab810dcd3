"""RACK: loss is a matter of time. What was delivered last, how long that took, how much later others may still come.

Theory. A segment counts as lost once one sent after it was delivered, and the round trip of that one and a reordering
window have passed since it left. The window is nothing while no reordering was seen and three segments were sacked or a
recovery runs; else a quarter of the shortest round trip, times `steps`: one more for each round trip in which duplicate
SACKs show that waiting had been too short, one again after sixteen recoveries without.
Source: tcp_rack_advance(), tcp_rack_reo_wnd(), tcp_rack_update_reo_wnd(), tcp_check_sack_reordering()
(net/ipv4/tcp_input.c, tcp_recovery.c, 6.x); RFC 8985 section 6.2.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.reno import CA_RECOVERY, TCP_REORDERING
from netsim.units import NS_PER_US, Ns

TCP_RACK_RECOVERY_THRESH = 16
"""For how many recoveries a wider window is kept."""
MOST_STEPS = 0xFF
TCP_MAX_REORDERING = 300
"""Source: net.ipv4.tcp_max_reordering."""


class Rack:
    """What the latest delivered transmission was: its number and round trip. Counts of `delivered` are the queue's.

    `advanced` tells that there is something new to judge by; `duplicate_seen` that a duplicate SACK came after
    reordering had been seen, `reord_seen` times. `reordering` is how many segments it reached over, and how many
    duplicate ACKs mean a loss where there is no SACK.
    """

    __slots__ = (
        "_last_delivered", "advanced", "duplicate_seen", "order", "persist", "reord_seen", "reordering", "rtt", "steps",
    )  # fmt: skip

    def __init__(self) -> None:
        self.order = 0
        self.rtt: Ns = 0
        self.advanced = False
        self.reord_seen = 0
        self.reordering = TCP_REORDERING
        self.duplicate_seen = False
        self.steps = 1
        self.persist = 0
        self._last_delivered = 0

    def advance(self, order: int, rtt: Ns) -> None:
        """Note a delivered transmission: its number, and how long it took."""
        self.advanced = True
        self.rtt = rtt
        self.order = max(self.order, order)

    def window(self, min_us: int, srtt8_us: int, state: int, sacked_out: int) -> Ns:
        """Return how much later than its successors a segment may come."""
        if not self.reord_seen and (state >= CA_RECOVERY or sacked_out >= self.reordering):
            return 0
        return min((min_us >> 2) * self.steps, srtt8_us >> 3) * NS_PER_US

    def overtaken(self, low: int, high: int, mss: int) -> None:
        """Note that an original at `low` came after others up to `high`. Mirrors tcp_check_sack_reordering()."""
        if low >= high:
            return
        segments = -(-(high - low) // mss)
        if segments > self.reordering:
            self.reordering = min(segments, TCP_MAX_REORDERING)
        self.reord_seen += 1

    def learn(self, prior_delivered: int, delivered: int) -> None:
        """Widen or narrow the window, once a round trip; `prior_delivered` is the count when the latest was sent."""
        if prior_delivered < 0:
            return
        if prior_delivered < self._last_delivered:
            self.duplicate_seen = False
        if self.duplicate_seen:
            self.steps = min(MOST_STEPS, self.steps + 1)
            self.duplicate_seen = False
            self._last_delivered = delivered
            self.persist = TCP_RACK_RECOVERY_THRESH
        elif not self.persist:
            self.steps = 1
