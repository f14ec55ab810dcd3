"""CUBIC: the window as a cubic function of the time since the last loss, flat where the last loss was; and HyStart.

Theory. After a loss at window W the window falls to 0.7 W and climbs back along C (t - K)^3 + W: fast at first, slowly
around W, then fast again in search of more. K is when W is reached. Where plain AIMD would have grown further (short
paths), its estimate `tcp_cwnd` is followed instead. Slow start ends before a loss does it when the ACKs of one round
come in a train as long as half the shortest round trip, or when the round trips of a round grew by an eighth.
Time is in jiffies and window in segments, as in the kernel's integers. Source: bictcp_update(), cubictcp_cong_avoid(),
cubictcp_recalc_ssthresh(), hystart_update(), cubictcp_acked(), cubictcp_cwnd_event() (net/ipv4/tcp_cubic.c, 6.x);
RFC 9438.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.alarm import JIFFY
from netsim.stack.sockets.tcp.reno import Reno
from netsim.units import NS_PER_S, NS_PER_US, Ns

BICTCP_BETA_SCALE = 1024
BETA = 717
"""Factor of a reduction, of 1024."""
BIC_SCALE = 41
"""The constant C, of 1024: 0.04 a tenth of a second cubed."""
BICTCP_HZ = 10
"""Time in the cubic function is in 1/1024 s."""
CUBE_RTT_SCALE = BIC_SCALE * 10
CUBE_FACTOR = (1 << (10 + 3 * BICTCP_HZ)) // CUBE_RTT_SCALE
BETA_SCALE = 8 * (BICTCP_BETA_SCALE + BETA) // 3 // (BICTCP_BETA_SCALE - BETA)
HZ = NS_PER_S // JIFFY

HYSTART_LOW_WINDOW = 16
HYSTART_MIN_SAMPLES = 8
HYSTART_ACK_DELTA_US = 2000
HYSTART_DELAY_MIN_US = 4000
HYSTART_DELAY_MAX_US = 16000
GSO_MAX_SIZE = 65536
_NO_RTT = 0xFFFFFFFF


def cubic_root(a: int) -> int:
    """Return the cubic root, rounded down. The kernel's table and one Newton step err by less than 0.2 %."""
    if a <= 0:
        return 0
    x = 1 << -(-a.bit_length() // 3)
    while (y := (2 * x + a // (x * x)) // 3) < x:
        x = y
    return x


class Cubic(Reno):
    """The sender's window under CUBIC. Times are jiffies, delays microseconds (0: none measured)."""

    __slots__ = (
        "_ack_cnt", "_cnt", "_curr_rtt", "_delay_min", "_end_seq", "_epoch_start", "_found", "_k", "_last_ack",
        "_last_cwnd", "_last_max_cwnd", "_last_time", "_origin", "_round_start", "_sample_cnt", "_tcp_cwnd",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._end_seq = 0
        self._round_start = self._last_ack = 0
        self._curr_rtt = _NO_RTT
        self._sample_cnt = 0
        self._reset()

    def begin(self, cwnd: int) -> None:
        """Start with the connection: the handshake's round trip is no measure of one with data. See cubictcp_init()."""
        super().begin(cwnd)
        self._reset()

    def _reset(self) -> None:
        """Forget everything. Mirrors bictcp_reset()."""
        self._cnt = 0
        self._last_max_cwnd = self._last_cwnd = self._last_time = 0
        self._origin = self._k = 0
        self._delay_min = 0
        self._epoch_start = 0
        self._ack_cnt = self._tcp_cwnd = 0
        self._found = False

    # Growth

    def _avoid(self, acked: int, now: Ns) -> None:
        """Grow above the threshold. Mirrors cubictcp_cong_avoid()."""
        self._update(acked, now // JIFFY)
        self._additive(self._cnt, acked)

    def _update(self, acked: int, jiffies: int) -> None:
        """Compute after how many acknowledged segments the window grows by one. Mirrors bictcp_update()."""
        cwnd = self.cwnd
        self._ack_cnt += acked
        if self._last_cwnd == cwnd and jiffies - self._last_time <= HZ // 32:
            return
        if not (self._epoch_start and jiffies == self._last_time):
            self._follow_curve(cwnd, acked, jiffies)
        self._befriend(cwnd)

    def _follow_curve(self, cwnd: int, acked: int, jiffies: int) -> None:
        self._last_cwnd = cwnd
        self._last_time = jiffies
        if not self._epoch_start:
            self._epoch_start = jiffies
            self._ack_cnt = acked
            self._tcp_cwnd = cwnd
            beyond = self._last_max_cwnd - cwnd
            self._k = cubic_root(CUBE_FACTOR * beyond) if beyond > 0 else 0
            self._origin = max(self._last_max_cwnd, cwnd)
        elapsed = jiffies - self._epoch_start + -(-self._delay_min * NS_PER_US // JIFFY)
        t = (elapsed << BICTCP_HZ) // HZ
        delta = (CUBE_RTT_SCALE * abs(t - self._k) ** 3) >> (10 + 3 * BICTCP_HZ)
        target = self._origin - delta if t < self._k else self._origin + delta
        self._cnt = cwnd // (target - cwnd) if target > cwnd else 100 * cwnd
        if not self._last_max_cwnd and self._cnt > 20:
            self._cnt = 20  # no loss was seen yet: probe faster

    def _befriend(self, cwnd: int) -> None:
        """Grow at least as fast as AIMD with the same reduction would."""
        step = (cwnd * BETA_SCALE) >> 3
        if self._ack_cnt > step:
            steps = (self._ack_cnt - 1) // step
            self._ack_cnt -= steps * step
            self._tcp_cwnd += steps
        if self._tcp_cwnd > cwnd:
            self._cnt = min(self._cnt, cwnd // (self._tcp_cwnd - cwnd))
        self._cnt = max(self._cnt, 2)

    # Losses

    def _threshold(self) -> int:
        """Return the window after a loss, and remember where it was. Mirrors cubictcp_recalc_ssthresh()."""
        self._epoch_start = 0
        cwnd = self.cwnd
        if cwnd < self._last_max_cwnd:
            self._last_max_cwnd = cwnd * (BICTCP_BETA_SCALE + BETA) // (2 * BICTCP_BETA_SCALE)
        else:
            self._last_max_cwnd = cwnd
        return max(cwnd * BETA // BICTCP_BETA_SCALE, 2)

    def lose(self, in_flight: int, snd_nxt: int, now: Ns, *, first: bool) -> None:
        """Enter loss and begin anew. Mirrors cubictcp_state()."""
        super().lose(in_flight, snd_nxt, now, first=first)
        self._reset()
        self._begin_round(snd_nxt, now // NS_PER_US)

    def lose_without_congestion(self, snd_nxt: int, now: Ns) -> None:
        """Enter loss and begin anew. Mirrors cubictcp_state()."""
        super().lose_without_congestion(snd_nxt, now)
        self._reset()
        self._begin_round(snd_nxt, now // NS_PER_US)

    # Measures and silence

    def measured(self, rtt_us: int, srtt8_us: int, mss: int, snd_una: int, snd_nxt: int, now: Ns) -> None:
        """Keep the shortest round trip and look whether slow start should end. Mirrors cubictcp_acked()."""
        if self._epoch_start and now // JIFFY - self._epoch_start < HZ:
            return  # right after a recovery
        delay = rtt_us or 1
        if not self._delay_min or delay < self._delay_min:
            self._delay_min = delay
        if not self._found and self.slow_start:
            self._hystart(delay, srtt8_us, mss, snd_una, snd_nxt, now // NS_PER_US)

    def _begin_round(self, snd_nxt: int, now_us: int) -> None:
        """Source: bictcp_hystart_reset()."""
        self._round_start = self._last_ack = now_us
        self._end_seq = snd_nxt
        self._curr_rtt = _NO_RTT
        self._sample_cnt = 0

    def _hystart(self, delay: int, srtt8_us: int, mss: int, snd_una: int, snd_nxt: int, now_us: int) -> None:
        """End slow start on a long train of ACKs or on growing round trips. Mirrors hystart_update()."""
        if snd_una > self._end_seq:
            self._begin_round(snd_nxt, now_us)
        if self.cwnd < HYSTART_LOW_WINDOW:
            return
        if now_us - self._last_ack <= HYSTART_ACK_DELTA_US:
            self._last_ack = now_us
            threshold = (self._delay_min + self._burst_us(srtt8_us, mss)) >> 1
            if now_us - self._round_start > threshold:
                self._found = True
                self.ssthresh = self.cwnd
        self._curr_rtt = min(self._curr_rtt, delay)
        if self._sample_cnt < HYSTART_MIN_SAMPLES:
            self._sample_cnt += 1
        elif self._curr_rtt > self._delay_min + min(
            max(self._delay_min >> 3, HYSTART_DELAY_MIN_US), HYSTART_DELAY_MAX_US
        ):
            self._found = True
            self.ssthresh = self.cwnd

    def _burst_us(self, srtt8_us: int, mss: int) -> int:
        """Return how long four of the largest bursts take at the sender's rate. Mirrors hystart_ack_delay()."""
        if not srtt8_us:
            return 0
        ratio = 200 if self.cwnd < self.ssthresh // 2 else 120
        rate = mss * 1_000_000 * 8 * ratio // 100 * self.cwnd // srtt8_us
        return min(1000, GSO_MAX_SIZE * 4 * 1_000_000 // rate) if rate else 0

    def woke(self, last_sent_at: Ns, now: Ns) -> None:
        """Shift the epoch by a silence: the window did not grow in it. Mirrors cubictcp_cwnd_event()."""
        jiffies = now // JIFFY
        if self._epoch_start:
            self._epoch_start = min(self._epoch_start + jiffies - last_sent_at // JIFFY, jiffies)
