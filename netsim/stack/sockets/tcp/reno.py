"""How much may be in flight: slow start, congestion avoidance, and the proportional reduction of a recovery.

Theory. `cwnd` counts segments. Below `ssthresh` it grows by each segment acknowledged, above it by one a window. A loss
halves it: at once after a time-out (to one segment in flight), by degrees in a recovery, where each ACK lets out so
much that the flight ends at `ssthresh` when the recovery ends (PRR). It grows only while it is what holds the sender
back. Everything that moves cwnd and ssthresh is in this file; cubic.py replaces the growth and the threshold alone.
Source: RFC 5681, 6582, 6937; tcp_reno_cong_avoid(), tcp_slow_start() (tcp_cong.c), tcp_cwnd_reduction(),
tcp_init_cwnd_reduction(), tcp_enter_loss() (tcp_input.c), tcp_cwnd_validate() (tcp_output.c), 6.x.
"""

from __future__ import annotations

from netsim.units import Ns

TCP_INIT_CWND = 10
TCP_INFINITE_SSTHRESH = 0x7FFFFFFF
TCP_REORDERING = 3
"""Duplicate ACKs that mean a loss. Source: net.ipv4.tcp_reordering."""

CA_OPEN = 0
CA_DISORDER = 1
CA_CWR = 2
CA_RECOVERY = 3
CA_LOSS = 4


class Reno:
    """The sender's window and its state. Sequence numbers are the socket's counts.

    `high_seq` is what was sent when a state was entered: the state ends once it is acknowledged. `undo` tells that the
    reduction, begun when `undo_una` was unacknowledged, may still prove a mistake; `undo_retrans` counts the
    retransmissions since that are not known to be needless (-1: there was none), `prior_cwnd` and `prior_ssthresh` are
    what it would be taken back to. `frto` tells
    that a time-out is on trial: the next ACKs show whether it was spurious (RFC 5682).
    """

    __slots__ = (
        "_limited", "_max_packets_out", "_usage_seq", "cwnd", "cwnd_cnt", "frto", "high_seq", "prior_cwnd",
        "prior_ssthresh", "prr_delivered", "prr_out", "ssthresh", "state", "undo", "undo_retrans", "undo_una",
    )  # fmt: skip

    def __init__(self) -> None:
        self.cwnd = TCP_INIT_CWND
        self.ssthresh = TCP_INFINITE_SSTHRESH
        self.state = CA_OPEN
        self.cwnd_cnt = 0
        self.high_seq = 0
        self.prior_cwnd = self.prior_ssthresh = 0
        self.prr_delivered = self.prr_out = 0
        self.undo = self.frto = False
        self.undo_una = 0
        self.undo_retrans = -1
        self._max_packets_out = 0
        self._usage_seq = 0
        self._limited = False

    def begin(self, cwnd: int) -> None:
        """Start with the connection: what the handshake's time-outs did to window and threshold is forgotten.

        Source: tcp_init_metrics(), "ssthresh may have been reduced unnecessarily during 3WHS".
        """
        self.cwnd = cwnd
        self.ssthresh = TCP_INFINITE_SSTHRESH
        self.state = CA_OPEN
        self.undo = False

    @property
    def slow_start(self) -> bool:
        """Whether the window is below the threshold."""
        return self.cwnd < self.ssthresh

    @property
    def reducing(self) -> bool:
        """Whether ACKs shrink the window (CWR, recovery)."""
        return self.state in (CA_CWR, CA_RECOVERY)

    def validate(self, limited: bool, packets_out: int, snd_una: int, snd_nxt: int) -> None:
        """Note after sending whether the window was the limit. Mirrors tcp_cwnd_validate(); RFC 7661."""
        if snd_una >= self._usage_seq or limited or (not self._limited and packets_out > self._max_packets_out):
            self._limited = limited
            self._max_packets_out = packets_out
            self._usage_seq = snd_nxt

    def grow(self, acked: int, now: Ns) -> None:
        """Grow for `acked` segments delivered. Mirrors tcp_reno_cong_avoid(), tcp_slow_start()."""
        if not (self._limited or (self.slow_start and self.cwnd < 2 * self._max_packets_out)):
            return
        if self.slow_start:
            cwnd = min(self.cwnd + acked, self.ssthresh)
            acked -= cwnd - self.cwnd
            self.cwnd = cwnd
            if not acked:
                return
        self._avoid(acked, now)

    def _avoid(self, acked: int, now: Ns) -> None:
        """Grow above the threshold by one a window."""
        self._additive(self.cwnd, acked)

    def _additive(self, each: int, acked: int) -> None:
        """Grow by one for `each` segments acknowledged. Mirrors tcp_cong_avoid_ai()."""
        if self.cwnd_cnt >= each:
            self.cwnd_cnt = 0
            self.cwnd += 1
        self.cwnd_cnt += acked
        if self.cwnd_cnt >= each:
            steps = self.cwnd_cnt // each
            self.cwnd_cnt -= steps * each
            self.cwnd += steps

    def measured(self, rtt_us: int, srtt8_us: int, mss: int, snd_una: int, snd_nxt: int, now: Ns) -> None:
        """Take a round trip measure: nothing to this algorithm."""

    def woke(self, last_sent_at: Ns, now: Ns) -> None:
        """Note that data goes out after a silence with nothing in flight: nothing to this algorithm."""

    def _threshold(self) -> int:
        """Return the window after a loss. Mirrors tcp_reno_ssthresh()."""
        return max(self.cwnd >> 1, 2)

    def _current_ssthresh(self) -> int:
        """Source: tcp_current_ssthresh()."""
        return self.ssthresh if self.reducing else max(self.ssthresh, (self.cwnd >> 1) + (self.cwnd >> 2))

    def init_undo(self, snd_una: int, retransmitted: int) -> None:
        """Begin to watch whether a reduction was a mistake. Mirrors tcp_init_undo()."""
        self.undo = True
        self.undo_una = snd_una
        self.undo_retrans = retransmitted or -1

    def sent_again(self) -> None:
        """Count a retransmission. Source: tcp_retransmit_skb()."""
        self.undo_retrans = max(self.undo_retrans, 0) + 1

    def found_needless(self, count: int) -> None:
        """Count retransmissions that a duplicate SACK shows to have been needless."""
        if self.undo and self.undo_retrans > 0:
            self.undo_retrans = max(0, self.undo_retrans - count)

    def start_reduction(self, state: int, snd_nxt: int) -> None:
        """Enter CWR or recovery: the threshold is half the window. Only a recovery is ever taken back.

        Mirrors tcp_init_cwnd_reduction(), tcp_enter_recovery().
        """
        if state == CA_RECOVERY:
            self.prior_ssthresh = 0 if self.reducing else self._current_ssthresh()
        if not self.reducing:
            self.prior_cwnd = self.cwnd
            self.high_seq = snd_nxt
            self.cwnd_cnt = 0
            self.prr_delivered = self.prr_out = 0
            self.ssthresh = self._threshold()
        self.state = state

    def reduce(self, delivered: int, newly_lost: int, in_flight: int, *, una_advanced: bool) -> None:
        """Let one ACK of a recovery release its part. Mirrors tcp_cwnd_reduction(); RFC 6937."""
        if delivered <= 0 or not self.prior_cwnd:
            return
        self.prr_delivered += delivered
        delta = self.ssthresh - in_flight
        if delta < 0:
            share = (self.ssthresh * self.prr_delivered + self.prior_cwnd - 1) // self.prior_cwnd
            release = share - self.prr_out
        else:
            release = max(self.prr_delivered - self.prr_out, delivered)
            if una_advanced and not newly_lost:
                release += 1
            release = min(delta, release)
        self.cwnd = in_flight + max(release, 0 if self.prr_out else 1)

    def end_reduction(self) -> None:
        """Leave CWR or recovery at the threshold. Mirrors tcp_end_cwnd_reduction()."""
        if self.ssthresh < TCP_INFINITE_SSTHRESH and (self.undo or self.state == CA_CWR):
            self.cwnd = self.ssthresh

    def lose(self, in_flight: int, snd_nxt: int, now: Ns, *, first: bool) -> None:
        """Enter loss after a time-out; `first` when this flight was not reduced yet. Mirrors tcp_enter_loss()."""
        if first:
            self.prior_ssthresh = self._current_ssthresh()
            self.prior_cwnd = self.cwnd
            self.ssthresh = self._threshold()
        self.cwnd = in_flight + 1
        self.cwnd_cnt = 0
        self.state = CA_LOSS
        self.high_seq = snd_nxt

    def lose_without_congestion(self, snd_nxt: int, now: Ns) -> None:
        """Enter loss with the window as it is: the path narrowed. Mirrors tcp_non_congestion_loss_retransmit()."""
        if self.state != CA_LOSS:
            self.high_seq = snd_nxt
            self.ssthresh = self._current_ssthresh()
            self.prior_ssthresh = 0
            self.undo = False
            self.state = CA_LOSS

    def take_back(self) -> None:
        """Undo the last reduction: nothing had been lost. Mirrors tcp_undo_cwnd_reduction()."""
        if self.prior_ssthresh:
            self.cwnd = max(self.cwnd, self.prior_cwnd)
            self.ssthresh = max(self.ssthresh, self.prior_ssthresh)
        self.undo = False

    def restart(self, idle_rtos: int) -> None:
        """Halve the window once for each time-out of idleness, not below the initial. Mirrors tcp_cwnd_restart()."""
        self.ssthresh = self._current_ssthresh()
        floor = min(TCP_INIT_CWND, self.cwnd)
        self.cwnd = max(self.cwnd >> min(idle_rtos, 31), floor)
