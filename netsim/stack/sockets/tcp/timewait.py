"""Connections that rest: TIME_WAIT, and FIN_WAIT2 of a socket that its application has closed.

The kernel keeps a small copy of such a socket, which knows little and answers simply.
Source: tcp_timewait_state_process(), tcp_time_wait() (net/ipv4/tcp_minisocks.c), tcp_v4_timewait_ack() (tcp_ipv4.c),
tcp_fin_time(), 6.x; RFC 9293 section 3.6, RFC 1122 section 4.2.2.13, RFC 1337.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.accept import Acceptance
from netsim.stack.sockets.tcp.context import TCP_TIMEWAIT_LEN, TcpContext
from netsim.stack.sockets.tcp.listen import Handshakes
from netsim.stack.sockets.tcp.options import TCP_PAWS_MSL, paws_ok, timestamp
from netsim.stack.sockets.tcp.reset import Stateless
from netsim.stack.sockets.tcp.segment import Segment
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.stack.sockets.tcp.state import FIN, TCP_FIN_WAIT2, move
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN

_CONTROL = TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN


class Resting:
    """The connections of a box that rest."""

    def __init__(
        self, ctx: TcpContext, handshakes: Handshakes, stateless: Stateless, acceptance: Acceptance
    ) -> None:  # fmt: skip
        self._ctx = ctx
        self._handshakes = handshakes
        self._stateless = stateless
        self._acceptance = acceptance

    def wait_for_fin(self, sock: TcpSocket, now: Ns) -> None:
        """Bound how long an orphan waits in FIN_WAIT2 for the peer's FIN. Mirrors tcp_fin_time()."""
        rto = sock.rtt.rto
        sock.keep_alarm.set(now, max(self._ctx.sysctl.ipv4.tcp_fin_timeout, (rto << 2) - (rto >> 1)))

    def segment(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """Work on a segment of a resting connection. Mirrors tcp_timewait_state_process()."""
        old = sock.options.timestamps and seg.tsval >= 0 and not self._stamp_ok(sock, seg, now)
        if sock.state == TCP_FIN_WAIT2:
            return self._await_fin(sock, seg, now, old=old)
        return self._time_wait(sock, seg, now, old=old)

    def _await_fin(self, sock: TcpSocket, seg: Segment, now: Ns, *, old: bool) -> str:
        """FIN_WAIT2 after close: only the peer's FIN is welcome; octets and SYNs are reset, any RST ends it."""
        flags, rcv = seg.flags, sock.rcv
        edge = rcv.rcv_nxt + rcv.window
        fits = seg.seq == rcv.rcv_nxt or (seg.end > rcv.rcv_nxt and seg.seq < edge) or seg.seq == seg.end == edge
        if old or not fits:
            if not self._acceptance.limited(sock, seg, now):
                self._acknowledge(sock, seg, now)
            return drop.TCP_RFC7323_TW_PAWS if old else drop.TCP_OVERWINDOW
        if flags & TCPHDR_RST:
            self._ctx.rest_over(sock)
            return ""
        strange = flags & TCPHDR_SYN and seg.seq >= rcv.rcv_nxt
        if not strange and (not flags & TCPHDR_ACK or seg.end <= rcv.rcv_nxt or seg.end == seg.seq):
            return ""
        if strange or not flags & TCPHDR_FIN or seg.end != rcv.rcv_nxt + 1:
            self._stateless.reset(seg, now=now, sock=sock)
            self._ctx.rest_over(sock)
            return drop.TCP_ABORT_ON_DATA
        rcv.rcv_nxt = seg.end
        if seg.tsval >= 0:
            sock.ts_recent, sock.ts_recent_at = seg.tsval, now
        sock.state = move(sock.state, FIN)
        self._ctx.time_wait(sock, now)
        self._acknowledge(sock, seg, now)
        return ""

    def _time_wait(self, sock: TcpSocket, seg: Segment, now: Ns, *, old: bool) -> str:
        """TIME_WAIT: repeat the last ACK, let a RST or a newer SYN end it."""
        flags = seg.flags
        rcv = sock.rcv
        if not old and seg.seq == rcv.rcv_nxt and (seg.seq == seg.end or flags & TCPHDR_RST):
            if flags & TCPHDR_RST:
                self._ctx.rest_over(sock)
            else:
                sock.keep_alarm.set(now, TCP_TIMEWAIT_LEN)
                if seg.tsval >= 0:
                    sock.ts_recent, sock.ts_recent_at = seg.tsval, now
            return ""
        newer = seg.seq > rcv.rcv_nxt or (
            seg.tsval >= 0 <= sock.ts_recent and bool((sock.ts_recent - seg.tsval) & 0x80000000)
        )
        if flags & _CONTROL == TCPHDR_SYN and not old and newer:
            listener = self._ctx.demux.listener(seg.skb)
            if listener is not None:
                self._ctx.rest_over(sock)
                return self._handshakes.syn(listener, seg, now=now, isn=sock.snd_nxt + 65535 + 2)
        if flags & TCPHDR_RST:
            return drop.TCP_RESET
        if old or flags & TCPHDR_ACK:
            sock.keep_alarm.set(now, TCP_TIMEWAIT_LEN)
        if not self._acceptance.limited(sock, seg, now):
            self._acknowledge(sock, seg, now)
        return drop.TCP_RFC7323_TW_PAWS if old else drop.TCP_OLD_DATA

    def _acknowledge(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Answer for a socket that is only remembered. Mirrors tcp_v4_timewait_ack()."""
        rcv = sock.rcv
        stamp = (timestamp(now, sock.ts_offset), sock.ts_recent) if sock.ts_recent > 0 else None
        self._stateless.acknowledge(
            seg.skb, sock.snd_nxt, rcv.rcv_nxt, rcv.rcv_wnd >> rcv.wscale, stamp,
            now=now, dev=sock.dev, mark=sock.mark, tos=sock.tos,
        )  # fmt: skip

    @staticmethod
    def _stamp_ok(sock: TcpSocket, seg: Segment, now: Ns) -> bool:
        """Judge a stamp: a RST's only for a minute. Mirrors tcp_paws_reject()."""
        if paws_ok(sock.ts_recent, sock.ts_recent_at, seg.tsval, 0, now):
            return True
        return bool(seg.flags & TCPHDR_RST) and now - sock.ts_recent_at >= TCP_PAWS_MSL
