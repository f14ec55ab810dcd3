"""What happens when an alarm of a socket fires: time-outs, probes, delayed acknowledgements, keep-alive, giving up.

Theory. A connection gives up not after a count but after the time that so many time-outs would take from 200 ms on
(`model_timeout`), counted from the first retransmission since it last made progress; a SYN after its count. What it
then reports is the soft error that an ICMP message left, or ETIMEDOUT.
Source: net/ipv4/tcp_timer.c tcp_retransmit_timer(), tcp_write_timeout(), tcp_model_timeout(), tcp_probe_timer(),
tcp_keepalive_timer(), tcp_delack_timer_handler(); tcp_orphan_retries() (6.x); RFC 6298, RFC 9293 section 3.8.
"""

from __future__ import annotations

from netsim.stack.errno import ETIMEDOUT
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.rtt import TCP_RTO_MAX, TCP_RTO_MIN, TCP_TIMEOUT_INIT, TCP_TIMEOUT_MIN
from netsim.stack.sockets.tcp.sent import Sent
from netsim.stack.sockets.tcp.socket import (
    TCP_ATO_MIN,
    TIMER_LOSS_PROBE,
    TIMER_NONE,
    TIMER_PROBE0,
    TIMER_REORDER,
    TIMER_RETRANS,
    TcpSocket,
)
from netsim.stack.sockets.tcp.state import (
    TCP_CLOSE,
    TCP_FIN_WAIT2,
    TCP_LISTEN,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_TIME_WAIT,
)
from netsim.units import Ns

TCP_ORPHAN_RETRIES = 8


def model_timeout(boundary: int, base: Ns) -> Ns:
    """Return how long `boundary` time-outs take that start at `base` and double up to 120 s.

    15 from 200 ms are 924.6 s. Source: tcp_model_timeout(); Documentation/networking/ip-sysctl.rst, tcp_retries2.
    """
    doublings = (TCP_RTO_MAX // base).bit_length() - 1
    if boundary <= doublings:
        return ((2 << boundary) - 1) * base
    return ((2 << doublings) - 1) * base + (boundary - doublings) * TCP_RTO_MAX


class TcpClock:
    """The handlers behind the alarms of a box's sockets."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def retransmission(self, sock: TcpSocket, now: Ns) -> None:
        """Do what the sender's alarm stood for. Mirrors tcp_write_timer_handler()."""
        kind = sock.rtx_kind
        if kind == TIMER_RETRANS:
            sock.rtx_kind = TIMER_NONE
            self._retransmit(sock, now)
        elif kind == TIMER_LOSS_PROBE:
            self._ctx.probes.loss(sock, now=now)
        elif kind == TIMER_REORDER:
            self._ctx.recovery.reorder_timeout(sock, now)
        elif kind == TIMER_PROBE0:
            sock.rtx_kind = TIMER_NONE
            self._probe(sock, now)

    # Time-outs

    def _retransmit(self, sock: TcpSocket, now: Ns) -> None:
        """Send the oldest segment again and back off. Mirrors tcp_retransmit_timer()."""
        ctx = self._ctx
        first = sock.rtx.first()
        if first is None:
            return
        handshake = sock.state in (TCP_SYN_SENT, TCP_SYN_RECV)
        if not sock.snd_wnd and not sock.orphan and not handshake:
            # The peer shrank its window to nothing: what is sent again now is a probe; only its silence ends this.
            if self._silent_behind_closed_window(sock, first, now):
                ctx.fail(sock, sock.soft_error or ctx.error(sock, ETIMEDOUT))
                return
            ctx.recovery.enter_loss(sock, now)
            ctx.output.retransmit(sock, first, now=now)
            sock.route = None
            sock.backoff += 1
            sock.rtt.back_off()
            ctx.output.arm(sock, TIMER_RETRANS, self._within_user_timeout(sock, now), now=now)
            return
        if self._gives_up(sock, now):
            return
        ctx.recovery.enter_loss(sock, now)
        sock.retransmits += 1
        sock.total_rto += 1
        ctx.output.retransmit(sock, sock.rtx.first() or first, now=now)
        if sock.state != TCP_SYN_SENT or sock.total_rto > ctx.sysctl.ipv4.tcp_syn_linear_timeouts:
            sock.backoff += 1
            sock.rtt.back_off()
        ctx.output.arm(sock, TIMER_RETRANS, self._within_user_timeout(sock, now), now=now)
        if self._timed_out(sock, ctx.sysctl.ipv4.tcp_retries1 + 1, 0, now):
            sock.route = None

    def _gives_up(self, sock: TcpSocket, now: Ns) -> bool:
        """End a connection that was retransmitted for too long. Mirrors tcp_write_timeout()."""
        ctx = self._ctx
        conf = ctx.sysctl.ipv4
        expired = False
        if sock.state in (TCP_SYN_SENT, TCP_SYN_RECV):
            retries = conf.tcp_syn_retries
            most = retries + (conf.tcp_syn_linear_timeouts if sock.state == TCP_SYN_SENT else 0)
            expired = sock.retransmits >= most
        else:
            if self._timed_out(sock, conf.tcp_retries1, 0, now):
                self._doubt_route(sock)
            retries = conf.tcp_retries2
            if sock.orphan:
                retries = self._orphan_retries(sock, alive=sock.rtt.rto < TCP_RTO_MAX)
        if not expired and not self._timed_out(sock, retries, sock.user_timeout, now):
            return False
        ctx.fail(sock, sock.soft_error or ctx.error(sock, ETIMEDOUT))
        return True

    @staticmethod
    def _silent_behind_closed_window(sock: TcpSocket, first: Sent, now: Ns) -> bool:
        """Tell whether a peer with a closed window was silent for 4 minutes. Mirrors tcp_rtx_probe0_timed_out()."""
        again = now - (sock.retrans_at if sock.retrans_at >= 0 else first.sent_at)
        limit = 2 * TCP_RTO_MAX
        if sock.user_timeout:
            if again > sock.user_timeout:
                return True
            limit = min(limit, sock.user_timeout)
        return min(now - sock.last_heard_at, again) > limit

    @staticmethod
    def _doubt_route(sock: TcpSocket) -> None:
        """Let go of a route that ICMP taught about. Mirrors ipv4_negative_advice()."""
        if sock.route is not None and sock.route.expires:
            sock.route = None

    def _orphan_retries(self, sock: TcpSocket, *, alive: bool) -> int:
        """Return how long a closed socket goes on; `alive` until its time-outs are longest.

        Mirrors tcp_orphan_retries().
        """
        retries = self._ctx.sysctl.ipv4.tcp_orphan_retries
        if sock.soft_error is not None and not alive:
            return 0
        return TCP_ORPHAN_RETRIES if not retries and alive else retries

    @staticmethod
    def _timed_out(sock: TcpSocket, boundary: int, timeout: Ns, now: Ns) -> bool:
        """Tell whether the time of `boundary` time-outs, or `timeout`, is over. Mirrors retransmits_timed_out()."""
        if not sock.retransmits:
            return False
        if not timeout:
            handshake = sock.state in (TCP_SYN_SENT, TCP_SYN_RECV)
            timeout = model_timeout(boundary, TCP_TIMEOUT_INIT if handshake else TCP_RTO_MIN)
        return now - sock.retrans_at >= timeout

    @staticmethod
    def _within_user_timeout(sock: TcpSocket, now: Ns) -> Ns:
        """Return the time-out, no longer than what TCP_USER_TIMEOUT leaves. Mirrors tcp_clamp_rto_to_user_timeout()."""
        if not sock.user_timeout:
            return sock.rtt.rto
        return min(sock.rtt.rto, max(1, sock.user_timeout - (now - sock.retrans_at)))

    # A closed window

    @staticmethod
    def probe_delay(sock: TcpSocket, now: Ns) -> Ns:
        """Return the time to the next window probe, within what TCP_USER_TIMEOUT leaves.

        Mirrors tcp_probe0_when(), tcp_clamp_probe0_to_user_timeout().
        """
        base = max(sock.rtt.rto, TCP_RTO_MIN)
        most = (TCP_RTO_MAX // TCP_RTO_MIN).bit_length()
        delay = min(base << min(sock.backoff, most), TCP_RTO_MAX)
        if sock.user_timeout and sock.probes_at >= 0:
            delay = min(delay, max(TCP_TIMEOUT_MIN, sock.user_timeout - (now - sock.probes_at)))
        return delay

    def _probe(self, sock: TcpSocket, now: Ns) -> None:
        """Probe a closed window. Mirrors tcp_probe_timer(), tcp_send_probe0()."""
        ctx = self._ctx
        if sock.rtx.packets_out or not (sock.unsent_octets or sock.fin_queued != sock.fin_sent):
            sock.probes_out = 0
            sock.probes_at = -1
            return
        if sock.probes_at < 0:
            sock.probes_at = now
        most = ctx.sysctl.ipv4.tcp_retries2
        over = sock.user_timeout > 0 and now - sock.probes_at >= sock.user_timeout
        if sock.orphan:
            alive = min(sock.rtt.rto << sock.backoff, TCP_RTO_MAX) < TCP_RTO_MAX
            most = self._orphan_retries(sock, alive=alive)
            over = over or (not alive and sock.backoff >= most)
        if over or sock.probes_out >= most:
            ctx.fail(sock, sock.soft_error or ctx.error(sock, ETIMEDOUT))
            return
        ctx.probes.window(sock, now=now)
        if sock.rtx.packets_out:
            sock.probes_out = sock.backoff = 0
            sock.probes_at = -1
            return
        sock.probes_out += 1
        if sock.backoff < ctx.sysctl.ipv4.tcp_retries2:
            sock.backoff += 1
        ctx.output.arm(sock, TIMER_PROBE0, self.probe_delay(sock, now), now=now)

    # Acknowledgements

    def delayed_ack(self, sock: TcpSocket, now: Ns) -> None:
        """Send the acknowledgement that waited. Mirrors tcp_delack_timer_handler()."""
        if sock.state in (TCP_CLOSE, TCP_LISTEN, TCP_TIME_WAIT) or not sock.ack_pending:
            return
        if sock.pingpong:
            sock.pingpong = False
            sock.ato = TCP_ATO_MIN
        else:
            sock.ato = min(sock.ato << 1, sock.rtt.rto)
        self._ctx.output.send_ack(sock, now=now)

    # Long silences

    def start_keepalive(self, sock: TcpSocket, now: Ns) -> None:
        """Begin to watch an idle connection."""
        sock.keep_alarm.set(now, sock.keepidle or self._ctx.sysctl.ipv4.tcp_keepalive_time)

    def keepalive(self, sock: TcpSocket, now: Ns) -> None:
        """End TIME_WAIT and orphaned FIN_WAIT2, or see whether a silent peer lives. Mirrors tcp_keepalive_timer()."""
        ctx = self._ctx
        if sock.state == TCP_TIME_WAIT or (sock.state == TCP_FIN_WAIT2 and sock.orphan):
            ctx.rest_over(sock)
            return
        if not sock.keepalive or sock.state in (TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT):
            return
        conf = ctx.sysctl.ipv4
        idle = sock.keepidle or conf.tcp_keepalive_time
        if sock.rtx.packets_out or sock.unsent_octets:
            sock.keep_alarm.set(now, idle)
            return
        silent = now - max(sock.last_data_at, sock.last_heard_at)
        if silent < idle:
            sock.keep_alarm.set(now, idle - silent)
            return
        most = sock.keepcnt or conf.tcp_keepalive_probes
        if sock.user_timeout:
            dead = silent >= sock.user_timeout and sock.probes_out > 0
        else:
            dead = sock.probes_out >= most
        if dead:
            ctx.output.send_reset(sock, now=now)
            ctx.fail(sock, sock.soft_error or ctx.error(sock, ETIMEDOUT))
            return
        ctx.probes.window(sock, now=now)  # without a way to the peer, too, it counts as sent
        sock.probes_out += 1
        sock.keep_alarm.set(now, sock.keepintvl or conf.tcp_keepalive_intvl)
