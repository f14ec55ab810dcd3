"""Octets arrive and are acknowledged: the receive path, delayed and quick acknowledgements, the FIN of the peer.

Theory. A connection starts by acknowledging every segment (quick mode), then every second full one; a lone segment
waits 40 to 200 ms (`ato`, which follows the pace of arrivals) for company or for data going back. An application that
answers (`pingpong`) carries acknowledgements on its own data. Anything out of order is acknowledged at once.
Source: tcp_data_queue(), tcp_event_data_recv(), tcp_measure_rcv_mss(), __tcp_ack_snd_check(), tcp_fin() (tcp_input.c),
tcp_send_delayed_ack() (tcp_output.c), tcp_cleanup_rbuf() (tcp.c), 6.x; RFC 9293 section 3.10.7.4, RFC 5681 section 4.2.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.options import TCP_MIN_MSS, TCP_MSS_DEFAULT, timestamp
from netsim.stack.sockets.tcp.segment import Segment
from netsim.stack.sockets.tcp.socket import TCP_ATO_MIN, TcpSocket
from netsim.stack.sockets.tcp.state import (
    FIN,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
    move,
)
from netsim.units import NS_PER_MS, Ns
from netsim.wire import drop
from netsim.wire.tcp import TCP_HLEN, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_SYN, TCPHDR_URG

TCP_MAX_QUICKACKS = 16
TCP_DELACK_MIN: Ns = 40 * NS_PER_MS
TCP_DELACK_MAX: Ns = 200 * NS_PER_MS
_REMNANT = TCPHDR_FIN | TCPHDR_URG | TCPHDR_SYN | TCPHDR_PSH


class DataInput:
    """The receiving side of a box's connections."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def queue(self, sock: TcpSocket, seg: Segment, *, now: Ns) -> str:
        """File a segment's octets and FIN; returns why it was dropped, or "". Mirrors tcp_data_queue()."""
        rcv = sock.rcv
        seq, end = seg.seq, seg.end
        if seg.flags & TCPHDR_SYN:
            sock.ack_pending = True  # the SYN-ACK of a simultaneous open
            return ""
        if seq == end:
            return ""
        if sock.options.timestamps and seg.tsval >= 0 and seg.payload:
            rcv.measure(seg.tsecr, timestamp(now, sock.ts_offset), len(seg.payload), now=now)
        else:
            rcv.measure(-1, 0, len(seg.payload), now=now)
        if end <= rcv.rcv_nxt:
            rcv.dsack = (seq, end)
            self._out_of_window(sock)
            return drop.TCP_OLD_DATA
        if seq >= rcv.rcv_nxt + rcv.window:
            self._out_of_window(sock)
            return drop.TCP_OVERWINDOW if rcv.window else drop.TCP_ZEROWINDOW
        if seq <= rcv.rcv_nxt:
            self._in_order(sock, seg, now)
            return ""
        return self._early(sock, seg, now)

    def _out_of_window(self, sock: TcpSocket) -> None:
        self.quick(sock)
        sock.ack_pending = True

    def _in_order(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Queue what is next, and what it makes next. Part of tcp_data_queue()."""
        rcv = sock.rcv
        payload = seg.payload
        ahead = rcv.rcv_nxt - seg.seq
        if ahead:
            rcv.dsack = (seg.seq, rcv.rcv_nxt)
            self.quick(sock)
            payload = payload[ahead:]
        rcv.put(payload)
        if seg.payload:
            self._received(sock, seg, now)
        if seg.flags & TCPHDR_FIN:
            rcv.fin = seg.end - 1
        if rcv.early:
            rcv.drain_early()
            if not rcv.early:
                # RFC 5681 section 4.2: acknowledge at once when a gap is filled.
                sock.ack_now = True
        if payload:
            self._ctx.wake(sock, "readable")
        if rcv.fin == rcv.rcv_nxt:
            self._fin(sock, now)

    def _early(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """Keep what came before its turn; the peer hears of the gap at once. Mirrors tcp_data_queue_ofo()."""
        rcv = sock.rcv
        sock.ack_pending = True
        fin = int(bool(seg.flags & TCPHDR_FIN))
        if fin:
            rcv.fin = seg.end - 1
        if not seg.payload:
            rcv.sack(seg.seq, seg.end)
            return ""
        if not rcv.put_early(seg.seq, seg.payload, fin):
            rcv.dsack = (seg.seq, seg.end)
            return drop.TCP_OFOMERGE
        if sock.options.sack:  # without, a window that moves would hide that the ACK is a repeated one
            rcv.grow(len(seg.payload))
        self._received(sock, seg, now, grow=False)
        if not sock.orphan and sock.fd >= 0:
            rcv.grow_space(rcv.space_copied)
        return ""

    def _received(self, sock: TcpSocket, seg: Segment, now: Ns, *, grow: bool = True) -> None:
        """Adapt to the pace and size of what comes in. Mirrors tcp_event_data_recv()."""
        sock.ack_pending = True
        self._measure_mss(sock, seg)
        rto = sock.rtt.rto
        if not sock.ato:
            self._more_quick(sock)
            sock.ato = TCP_ATO_MIN
        else:
            gap = now - sock.last_data_at
            if gap <= TCP_ATO_MIN // 2:
                sock.ato = (sock.ato >> 1) + TCP_ATO_MIN // 2
            elif gap < sock.ato:
                sock.ato = min((sock.ato >> 1) + gap, rto)
            elif gap > rto:
                self._more_quick(sock)
        sock.last_data_at = now
        if grow:
            sock.rcv.grow(len(seg.payload))

    @staticmethod
    def _measure_mss(sock: TcpSocket, seg: Segment) -> None:
        """Learn the peer's segment size; a short segment is the end of something. Mirrors tcp_measure_rcv_mss()."""
        rcv = sock.rcv
        size = len(seg.payload)
        last, sock.last_size = sock.last_size, 0
        if size >= rcv.rcv_mss:
            rcv.rcv_mss = min(size, rcv.advmss)
            if seg.flags & TCPHDR_PSH:
                sock.ack_pushed = True
            return
        whole = size + TCP_HLEN + len(seg.options)
        if whole >= TCP_MSS_DEFAULT + TCP_HLEN or (whole >= TCP_MIN_MSS + TCP_HLEN and not seg.flags & _REMNANT):
            whole -= TCP_HLEN + sock.options.overhead
            sock.last_size = whole
            if whole == last:
                rcv.rcv_mss = whole
                return
        sock.ack_pushed2 = sock.ack_pushed2 or sock.ack_pushed
        sock.ack_pushed = True

    @staticmethod
    def _more_quick(sock: TcpSocket, most: int = TCP_MAX_QUICKACKS) -> None:
        """Mirrors tcp_incr_quickack()."""
        count = sock.rcv.rcv_wnd // (2 * sock.rcv.rcv_mss) or 2
        sock.quick = max(sock.quick, min(count, most))

    def quick(self, sock: TcpSocket) -> None:
        """Acknowledge every segment for a while. Mirrors tcp_enter_quickack_mode()."""
        self._more_quick(sock)
        sock.pingpong = False
        sock.ato = TCP_ATO_MIN

    def _fin(self, sock: TcpSocket, now: Ns) -> None:
        """Take the peer's FIN, its turn has come. Mirrors tcp_fin()."""
        ctx = self._ctx
        rcv = sock.rcv
        rcv.rcv_nxt += 1
        rcv.fin = None
        rcv.forget_early()
        sock.rcv_shutdown = True
        sock.ack_pending = True
        if sock.state in (TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK):
            return
        sock.state = move(sock.state, FIN)
        if sock.state == TCP_CLOSE_WAIT:
            sock.pingpong = True
        else:
            ctx.output.send_ack(sock, now=now)
        if not sock.orphan:
            ctx.wake(sock, "readable")
        if sock.state == TCP_TIME_WAIT:
            ctx.time_wait(sock, now)

    # Acknowledging

    def acknowledge(self, sock: TcpSocket, now: Ns) -> None:
        """Decide whether an acknowledgement is due, and when. Mirrors __tcp_ack_snd_check()."""
        if not sock.ack_pending:
            return
        rcv = sock.rcv
        two_full = rcv.rcv_nxt - rcv.rcv_wup > rcv.rcv_mss and (
            rcv.rcv_nxt == rcv.copied_seq or self._window(sock) >= rcv.rcv_wnd
        )
        quick = sock.quick > 0 and not sock.pingpong
        if two_full or quick or sock.ack_now or rcv.early or rcv.fin is not None:
            self._ctx.output.send_ack(sock, now=now)
        else:
            self._delay(sock, now)

    @staticmethod
    def _window(sock: TcpSocket) -> int:
        window = sock.rcv.select()
        if sock.rcv.cramped:
            sock.quick = 0
        return window

    def _delay(self, sock: TcpSocket, now: Ns) -> None:
        """Set the delayed acknowledgement, or send it if one is nearly due. Mirrors tcp_send_delayed_ack()."""
        ato = sock.ato
        if ato > TCP_DELACK_MIN:
            most = TCP_DELACK_MAX if sock.pingpong or sock.ack_pushed else 500 * NS_PER_MS
            if sock.rtt.srtt8_us:
                most = min(most, max(sock.rtt.srtt, TCP_DELACK_MIN))
            ato = min(ato, most)
        ato = min(ato, TCP_DELACK_MAX)
        due = sock.ack_alarm.due
        if due is not None:
            if due <= now + (ato >> 2):
                self._ctx.output.send_ack(sock, now=now)
                return
            if due <= now + ato:
                return
        sock.ack_alarm.set(now, ato)

    def after_read(self, sock: TcpSocket, copied: int, now: Ns) -> None:
        """Acknowledge after an application has read, where that is worth it. Mirrors tcp_cleanup_rbuf()."""
        rcv = sock.rcv
        due = False
        if sock.ack_pending:
            emptied = copied > 0 and not rcv.queued and (sock.ack_pushed2 or (sock.ack_pushed and not sock.pingpong))
            due = rcv.rcv_nxt - rcv.rcv_wup > rcv.rcv_mss or emptied
        if copied > 0 and not due and not sock.rcv_shutdown and 2 * rcv.window <= rcv.window_clamp:
            window = self._window(sock)
            due = window > 0 and window >= 2 * rcv.window
        if due:
            self._ctx.output.send_ack(sock, now=now)
