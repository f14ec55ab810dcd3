"""Is a segment of a connection acceptable: its stamp, its numbers, its RST or SYN; and what answers one that is not.

Source: tcp_validate_incoming(), tcp_sequence(), tcp_paws_check(), tcp_disordered_ack_check(), tcp_send_challenge_ack(),
tcp_send_dupack() (net/ipv4/tcp_input.c, 6.17 and later); RFC 5961 (challenge ACKs), RFC 7323 section 5 (PAWS).
"""

from __future__ import annotations

from netsim.stack.errno import ECONNREFUSED, ECONNRESET, EPIPE
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.data import DataInput
from netsim.stack.sockets.tcp.options import paws_ok
from netsim.stack.sockets.tcp.segment import Segment
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.stack.sockets.tcp.state import TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK, TCP_SYN_RECV, TCP_SYN_SENT
from netsim.units import NS_PER_MS, Ns
from netsim.wire import drop
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN

TCP_INVALID_RATELIMIT: Ns = 500 * NS_PER_MS
TCP_PAWS_WINDOW = 1
"""How much older a stamp may be, in ms."""


class Acceptance:
    """Judges segments of a box's connections."""

    def __init__(self, ctx: TcpContext, data: DataInput) -> None:
        self._ctx = ctx
        self._data = data

    def judge(self, sock: TcpSocket, seg: Segment, now: Ns) -> tuple[bool, str]:
        """Judge stamp, sequence, RST and SYN: whether to go on, else why it ends. Mirrors tcp_validate_incoming()."""
        rcv = sock.rcv
        flags = seg.flags
        stale = "" if flags & TCPHDR_RST else self._stale(sock, seg, now)
        reason = stale or self._misplaced(sock, seg)
        if reason and flags & TCPHDR_SYN and not flags & TCPHDR_RST:
            self.challenge(sock, now)
            return False, drop.TCP_INVALID_SYN
        if reason and not flags & TCPHDR_RST:
            if reason != drop.TCP_RFC7323_PAWS_ACK:
                self._duplicate(sock, seg, now)
            return False, reason
        if reason and not self._reset_after_fin(sock, seg):
            return False, reason
        if flags & TCPHDR_RST:
            right = max((block[1] for block in rcv.sacks), default=rcv.rcv_nxt)
            if seg.seq in (rcv.rcv_nxt, right) or self._reset_after_fin(sock, seg):
                self.reset(sock)
                return False, ""
            # RFC 5961 section 3.2: a RST inside the window that does not fit exactly is challenged.
            self.challenge(sock, now)
            return False, drop.TCP_RESET
        if flags & TCPHDR_SYN and not self._simultaneous_ack(sock, seg):
            self.challenge(sock, now)
            return False, drop.TCP_INVALID_SYN
        return True, ""

    @staticmethod
    def _misplaced(sock: TcpSocket, seg: Segment) -> str:
        """Return why a segment's numbers are not acceptable; one may end beyond the window if nothing waits unread.

        A FIN may always lie there. Mirrors tcp_sequence().
        """
        rcv = sock.rcv
        if seg.end < rcv.rcv_wup:
            return drop.TCP_OLD_SEQUENCE
        limit = rcv.rcv_nxt + rcv.window
        if seg.end - bool(seg.flags & TCPHDR_FIN) <= limit:
            return ""
        if seg.seq > limit:
            return drop.TCP_INVALID_SEQUENCE
        return drop.TCP_INVALID_END_SEQUENCE if rcv.queued else ""

    @staticmethod
    def _simultaneous_ack(sock: TcpSocket, seg: Segment) -> bool:
        """Tell whether this is the SYN-ACK that ends a simultaneous open. Source: tcp_validate_incoming(), step 4."""
        return (
            sock.state == TCP_SYN_RECV and bool(seg.flags & TCPHDR_ACK) and seg.seq + 1 == sock.rcv.rcv_nxt == seg.end
            and seg.ack == sock.snd_nxt
        )  # fmt: skip

    @staticmethod
    def _stale(sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """Return why the stamp is too old; a bare ACK that tells nothing may be out of order by one time-out.

        Mirrors tcp_paws_check(), tcp_disordered_ack_check().
        """
        if not sock.options.timestamps or seg.tsval < 0:
            return ""
        if paws_ok(sock.ts_recent, sock.ts_recent_at, seg.tsval, TCP_PAWS_WINDOW, now):
            return ""
        if seg.seq != seg.end or not seg.flags & TCPHDR_ACK:
            return drop.TCP_RFC7323_PAWS
        if seg.seq < sock.rcv.rcv_nxt:
            return drop.TCP_RFC7323_PAWS_ACK
        behind = (sock.ts_recent - seg.tsval) & 0xFFFFFFFF
        window = seg.window << sock.options.snd_wscale
        news = seg.seq > sock.snd_wl1 or window > sock.snd_wnd or not window
        if seg.seq > sock.rcv.rcv_nxt or seg.ack != sock.snd_una or news:
            return drop.TCP_RFC7323_PAWS
        return drop.TCP_RFC7323_PAWS if 5 * behind * NS_PER_MS > 6 * sock.rtt.rto else ""

    @staticmethod
    def _reset_after_fin(sock: TcpSocket, seg: Segment) -> bool:
        """Mirrors tcp_reset_check(): a RST numbered as if our peer's FIN had not been sent."""
        return seg.seq == sock.rcv.rcv_nxt - 1 and sock.state in (TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_CLOSING)

    def limited(self, sock: TcpSocket, seg: Segment | None, now: Ns) -> bool:
        """Tell whether an answer to a bare segment must wait. Mirrors tcp_oow_rate_limited()."""
        if seg is not None and seg.payload and not seg.flags & TCPHDR_SYN:
            return False
        if sock.last_oow_at >= 0 and now - sock.last_oow_at < TCP_INVALID_RATELIMIT:
            return True
        sock.last_oow_at = now
        return False

    def challenge(self, sock: TcpSocket, now: Ns) -> None:
        """Answer something suspicious with the truth. Mirrors tcp_send_challenge_ack(); RFC 5961."""
        if not self.limited(sock, None, now):
            self._ctx.output.send_ack(sock, now=now)

    def _duplicate(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Answer a segment outside the window. Mirrors tcp_send_dupack()."""
        if self.limited(sock, seg, now):
            return
        if seg.end != seg.seq and seg.seq < sock.rcv.rcv_nxt:
            self._data.quick(sock)
            if sock.options.sack:
                sock.rcv.dsack = (seg.seq, min(seg.end, sock.rcv.rcv_nxt))
        self._ctx.output.send_ack(sock, now=now)

    def reset(self, sock: TcpSocket) -> None:
        """End a connection that the peer reset. Mirrors tcp_reset()."""
        errno = {TCP_SYN_SENT: ECONNREFUSED, TCP_CLOSE_WAIT: EPIPE}.get(sock.state, ECONNRESET)
        self._ctx.fail(sock, self._ctx.error(sock, errno))
