"""The round trip time and the retransmission time-out made of it, in microseconds as the kernel keeps them.

Source: RFC 6298; tcp_rtt_estimator(), tcp_set_rto(), tcp_bound_rto(), tcp_update_rtt_min() (net/ipv4/tcp_input.c),
lib/win_minmax.c (6.x).
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.alarm import JIFFY
from netsim.units import NS_PER_S, NS_PER_US, Ns

TCP_TIMEOUT_INIT = 1_000_000_000
"""First time-out of a SYN, in Ns: 1 s. Source: RFC 6298 section 2.1; include/net/tcp.h."""
TCP_TIMEOUT_MIN: Ns = 2 * JIFFY
"""Lower bound of some timers: two jiffies."""
TCP_RTO_MIN = 200_000_000
"""Lower bound of the variance part, in Ns: 200 ms (RFC 6298 asks for 1 s)."""
TCP_RTO_MAX = 120_000_000_000
"""Upper bound in Ns: 120 s."""

TCP_MIN_RTT_WLEN: Ns = 300 * NS_PER_S
"""How long a shortest round trip is remembered. Source: net.ipv4.tcp_min_rtt_wlen."""
NO_RTT = 0xFFFFFFFF

_JIFFY_US = JIFFY // NS_PER_US
_MIN_US = TCP_RTO_MIN // NS_PER_US
_MAX_US = TCP_RTO_MAX // NS_PER_US


class RttEstimator:
    """Smoothed round trip time, its deviation, and the time-out.

    `srtt8_us` is 8 times the smoothed time (0: never measured), `mdev4_us` 4 times the mean deviation, `min_us` the
    shortest time of the last five minutes (NO_RTT: none). `rto_us` is what a timer takes; back-off doubles it until a
    new measure.
    """

    __slots__ = ("_shortest", "mdev4_us", "mdev_max_us", "rto_us", "rtt_seq", "rttvar_us", "srtt8_us")

    def __init__(self) -> None:
        self.srtt8_us = 0
        self.mdev4_us = TCP_TIMEOUT_INIT // NS_PER_US
        self.mdev_max_us = 0
        self.rttvar_us = 0
        self.rtt_seq = 0
        self._shortest = [(0, NO_RTT)] * 3
        self.rto_us = TCP_TIMEOUT_INIT // NS_PER_US

    @property
    def srtt(self) -> Ns:
        """Smoothed round trip time in Ns, 0 when never measured."""
        return (self.srtt8_us >> 3) * NS_PER_US

    @property
    def rto(self) -> Ns:
        """The time-out in Ns."""
        return self.rto_us * NS_PER_US

    def measured(self, rtt_us: int, snd_una: int, snd_nxt: int) -> None:
        """Take one measure and compute the time-out anew. Mirrors tcp_rtt_estimator().

        The deviation's maximum is taken over a window of data (`rtt_seq`), and a shorter time moves it by a finer gain.
        """
        m = rtt_us
        if self.srtt8_us:
            m -= self.srtt8_us >> 3
            self.srtt8_us += m
            if m < 0:
                m = -m - (self.mdev4_us >> 2)
                if m > 0:
                    m >>= 3
            else:
                m -= self.mdev4_us >> 2
            self.mdev4_us += m
            if self.mdev4_us > self.mdev_max_us:
                self.mdev_max_us = self.mdev4_us
                self.rttvar_us = max(self.rttvar_us, self.mdev_max_us)
            if snd_una > self.rtt_seq:
                if self.mdev_max_us < self.rttvar_us:
                    self.rttvar_us -= (self.rttvar_us - self.mdev_max_us) >> 2
                self.rtt_seq = snd_nxt
                self.mdev_max_us = _MIN_US
        else:
            self.srtt8_us = m << 3
            self.mdev4_us = m << 1
            self.rttvar_us = max(self.mdev4_us, _MIN_US)
            self.mdev_max_us = self.rttvar_us
            self.rtt_seq = snd_nxt
        self.srtt8_us = max(1, self.srtt8_us)
        self.set_rto()

    @property
    def min_us(self) -> int:
        """The shortest time of late, NO_RTT when never measured."""
        return self._shortest[0][1]

    def note_min(self, rtt_us: int, now: Ns, *, delayed: bool = False) -> None:
        """Keep the shortest time of the last TCP_MIN_RTT_WLEN, at least 1 us, and the next two shortest after it.

        A longer one that the peer may have `delayed` is left out. Mirrors tcp_update_rtt_min(), minmax_running_min().
        """
        if delayed and rtt_us > self.min_us:
            return
        new = (now, max(1, rtt_us))
        best = self._shortest
        if new[1] <= best[0][1] or now - best[2][0] > TCP_MIN_RTT_WLEN:
            self._shortest = [new] * 3
            return
        if new[1] <= best[1][1]:
            best[1] = best[2] = new
        elif new[1] <= best[2][1]:
            best[2] = new
        age = now - best[0][0]
        if age > TCP_MIN_RTT_WLEN:
            best[:] = [best[1], best[2], new]
            if now - best[0][0] > TCP_MIN_RTT_WLEN:
                best[:] = [best[1], best[2], new]
        elif best[1][0] == best[0][0] and age > TCP_MIN_RTT_WLEN // 4:
            best[1] = best[2] = new
        elif best[2][0] == best[1][0] and age > TCP_MIN_RTT_WLEN // 2:
            best[2] = new

    def set_rto(self) -> None:
        """Compute the time-out from what is known, in whole jiffies, without back-off. Mirrors tcp_set_rto()."""
        jiffies = -(-((self.srtt8_us >> 3) + self.rttvar_us) // _JIFFY_US)
        self.rto_us = min(jiffies * _JIFFY_US, _MAX_US)

    def reset_rto(self) -> None:
        """Go back to the first time-out: nothing was measured yet."""
        self.rto_us = TCP_TIMEOUT_INIT // NS_PER_US

    def back_off(self) -> None:
        """Double the time-out, up to its bound."""
        self.rto_us = min(self.rto_us << 1, _MAX_US)
