"""A segment arrives: finding its socket, judging it, and what each state does with it.

Order, as RFC 9293 section 3.10.7.4 and Linux have it: timestamps (PAWS), sequence numbers, RST, SYN, then the
acknowledgement (ack.py), the octets (data.py), and last what is now to be sent. A method that judges returns the reason
for which the segment ends, "" when it ends well.
Source: tcp_v4_rcv(), tcp_validate_incoming(), tcp_rcv_established(), tcp_rcv_state_process(),
tcp_rcv_synsent_state_process() (6.x); RFC 5961 (challenge ACKs), RFC 7323 section 5 (PAWS).
"""

from __future__ import annotations

from netsim.stack.errno import ECONNREFUSED, ECONNRESET, EPIPE
from netsim.stack.skb import PACKET_HOST, Skb
from netsim.stack.sockets.tcp import sndbuf
from netsim.stack.sockets.tcp.ack import ACK_OK, ACK_OLD, ACK_TOO_OLD
from netsim.stack.sockets.tcp.context import TCP_TIMEWAIT_LEN, TcpContext
from netsim.stack.sockets.tcp.data import DataInput
from netsim.stack.sockets.tcp.listen import HalfOpen, Handshakes
from netsim.stack.sockets.tcp.options import read, timestamp
from netsim.stack.sockets.tcp.reno import TCP_INIT_CWND
from netsim.stack.sockets.tcp.reset import Stateless
from netsim.stack.sockets.tcp.segment import Segment, checksum_ok, parse
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.stack.sockets.tcp.state import (
    ACK_OF_FIN,
    ACK_OF_SYN,
    SIMULTANEOUS_SYN,
    SYN_ACK,
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT1,
    TCP_LAST_ACK,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_TIME_WAIT,
    move,
)
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire import drop
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN

TCP_INVALID_RATELIMIT: Ns = 500 * NS_PER_MS
TCP_PAWS_WINDOW = 1
"""How much older a stamp may be, in ms."""
TCP_PAWS_24DAYS: Ns = 60 * 60 * 24 * 24 * 1_000_000_000
_CONTROL = TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN


class TcpInput:
    """The receiving end of a box's TCP."""

    def __init__(self, ctx: TcpContext, handshakes: Handshakes, stateless: Stateless, data: DataInput) -> None:
        self._ctx = ctx
        self._handshakes = handshakes
        self._stateless = stateless
        self._data = data

    def deliver(self, skb: Skb, *, now: Ns) -> None:
        """Take one packet from IP. Mirrors tcp_v4_rcv()."""
        ctx = self._ctx
        ctx.cause = skb.parent
        try:
            reason = self._deliver(skb, now)
        finally:
            ctx.cause = 0
        if reason:
            ctx.endings.drop(skb, reason, now=now)
        else:
            ctx.endings.consumed(skb, now=now)

    def _deliver(self, skb: Skb, now: Ns) -> str:
        if skb.pkt_type != PACKET_HOST:
            return drop.OTHERHOST
        seg = parse(skb)
        if seg is None:
            return drop.PKT_TOO_SMALL
        if not checksum_ok(skb):
            return drop.TCP_CSUM
        found = self._ctx.demux.find(skb)
        if isinstance(found, HalfOpen):
            made = self._handshakes.check(found, seg, now=now)
            if isinstance(made, str):
                return made
            reason = self.segment(made, seg, now)
            if made.state == TCP_SYN_RECV:
                self._ctx.fail(made, None)
            return reason
        if found is None:
            listener = self._ctx.demux.listener(skb)
            if listener is not None:
                return self._listen(listener, seg, now)
            self._stateless.reset(seg, now=now)
            return drop.NO_SOCKET
        return self.segment(found, seg, now)

    def _listen(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """LISTEN: a SYN opens, an ACK is reset, anything else is dropped."""
        flags = seg.flags
        if flags & TCPHDR_ACK:
            self._stateless.reset(seg, now=now, dev=sock.dev)
            return drop.TCP_FLAGS
        if flags & TCPHDR_RST:
            return drop.TCP_RESET
        if not flags & TCPHDR_SYN or flags & TCPHDR_FIN:
            return drop.TCP_FLAGS
        return self._handshakes.syn(sock, seg, now=now)

    def segment(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """Work on a segment of a connection. Mirrors tcp_rcv_established() and tcp_rcv_state_process()."""
        if sock.state == TCP_SYN_SENT:
            return self._syn_sent(sock, seg, now)
        seg.place(sock.rcv.rcv_nxt, sock.snd_una)
        if sock.state == TCP_TIME_WAIT:
            return self._time_wait(sock, seg, now)
        if not seg.flags & _CONTROL:
            return drop.TCP_FLAGS
        valid, reason = self._validate(sock, seg, now)
        if not valid:
            return reason
        if not seg.flags & TCPHDR_ACK:
            return drop.TCP_FLAGS
        result = self._ctx.ack.process(sock, seg, now=now)
        if sock.state == TCP_SYN_RECV:
            if result != ACK_OK:
                self._stateless.reset(seg, now=now, dev=sock.dev)
                return drop.TCP_OLD_ACK
            self._established(sock, now)
        elif result < ACK_OLD:
            if result == ACK_TOO_OLD or sock.state != TCP_ESTABLISHED:
                self._challenge(sock, now)
            return drop.TCP_TOO_OLD_ACK if result == ACK_TOO_OLD else drop.TCP_ACK_UNSENT_DATA
        if (
            sock.state in (TCP_FIN_WAIT1, TCP_CLOSING, TCP_LAST_ACK)
            and sock.all_acked
            and self._fin_acked(sock, seg, now)
        ):
            return ""
        return self._octets(sock, seg, now)

    def _octets(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """Work on payload and FIN, then send what is due."""
        reason = ""
        if sock.state in (TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK):
            if seg.seq < sock.rcv.rcv_nxt and seg.end > seg.seq:
                sock.ack_pending = True
        else:
            if sock.orphan and seg.end - bool(seg.flags & TCPHDR_FIN) > max(sock.rcv.rcv_nxt, seg.seq):
                # RFC 1122 4.2.2.13: data for an application that has closed is answered with RST.
                self._stateless.reset(seg, now=now, dev=sock.dev)
                self._ctx.fail(sock, None)
                return drop.TCP_ABORT_ON_DATA
            reason = self._data.queue(sock, seg, now=now)
        if sock.state not in (TCP_CLOSE, TCP_TIME_WAIT):
            self._ctx.output.push(sock, now=now)
            self.space_freed(sock)
            self._data.acknowledge(sock, now)
        return reason

    def space_freed(self, sock: TcpSocket) -> None:
        """Wake a writer that found the buffer full once a third of it is free. Mirrors tcp_check_space()."""
        if not sock.need_space:
            return
        if sock.rtx.in_flight < sock.cc.cwnd:  # with the window full, acknowledgements alone make room
            sndbuf.expand(sock)
        if sndbuf.writeable(sock):
            sock.need_space = False
            self._ctx.wake(sock, "writable")

    # Is it acceptable

    def _validate(self, sock: TcpSocket, seg: Segment, now: Ns) -> tuple[bool, str]:
        """Judge stamp, sequence, RST and SYN. Mirrors tcp_validate_incoming()."""
        rcv = sock.rcv
        flags = seg.flags
        if not flags & TCPHDR_RST and self._paws_rejects(sock, seg, now):
            self._duplicate(sock, seg, now)
            return False, drop.TCP_RFC7323_PAWS
        if seg.end < rcv.rcv_wup or seg.seq > rcv.rcv_nxt + rcv.window:
            if not flags & TCPHDR_RST:
                self._duplicate(sock, seg, now)
                return False, drop.TCP_OLD_SEQUENCE if seg.end < rcv.rcv_wup else drop.TCP_INVALID_SEQUENCE
            if not self._reset_after_fin(sock, seg):
                return False, drop.TCP_INVALID_SEQUENCE
        if flags & TCPHDR_RST:
            right = max((block[1] for block in rcv.sacks), default=rcv.rcv_nxt)
            if seg.seq in (rcv.rcv_nxt, right) or self._reset_after_fin(sock, seg):
                self._reset(sock)
                return False, ""
            # RFC 5961 section 3.2: a RST inside the window that does not fit exactly is challenged.
            self._challenge(sock, now)
            return False, drop.TCP_RESET
        if flags & TCPHDR_SYN and not self._simultaneous_ack(sock, seg):
            self._challenge(sock, now)
            return False, drop.TCP_INVALID_SYN
        return True, ""

    @staticmethod
    def _simultaneous_ack(sock: TcpSocket, seg: Segment) -> bool:
        """Tell whether this is the SYN-ACK that ends a simultaneous open. Source: tcp_validate_incoming(), step 4."""
        return (
            sock.state == TCP_SYN_RECV and bool(seg.flags & TCPHDR_ACK) and seg.seq + 1 == sock.rcv.rcv_nxt == seg.end
        )

    @staticmethod
    def _paws_rejects(sock: TcpSocket, seg: Segment, now: Ns) -> bool:
        """Tell whether the stamp is older than one seen; a bare ACK may be. Mirrors tcp_paws_discard()."""
        if not sock.options.timestamps or seg.tsval < 0 or sock.ts_recent < 0:
            return False
        behind = (sock.ts_recent - seg.tsval) & 0xFFFFFFFF
        if not TCP_PAWS_WINDOW < behind < 0x80000000 or now - sock.ts_recent_at >= TCP_PAWS_24DAYS:
            return False
        bare = seg.seq == seg.end == sock.rcv.rcv_nxt and seg.ack == sock.snd_una
        return not (bare and 5 * behind * NS_PER_MS <= 6 * sock.rtt.rto)

    @staticmethod
    def _reset_after_fin(sock: TcpSocket, seg: Segment) -> bool:
        """Mirrors tcp_reset_check(): a RST numbered as if our peer's FIN had not been sent."""
        return seg.seq == sock.rcv.rcv_nxt - 1 and sock.state in (TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_CLOSING)

    def _limited(self, sock: TcpSocket, seg: Segment | None, now: Ns) -> bool:
        """Tell whether an answer to a bare segment must wait. Mirrors tcp_oow_rate_limited()."""
        if seg is not None and seg.payload and not seg.flags & TCPHDR_SYN:
            return False
        if sock.last_oow_at >= 0 and now - sock.last_oow_at < TCP_INVALID_RATELIMIT:
            return True
        sock.last_oow_at = now
        return False

    def _challenge(self, sock: TcpSocket, now: Ns) -> None:
        """Answer something suspicious with the truth. Mirrors tcp_send_challenge_ack(); RFC 5961."""
        if not self._limited(sock, None, now):
            self._ctx.output.send_ack(sock, now=now)

    def _duplicate(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Answer a segment outside the window. Mirrors tcp_send_dupack()."""
        if self._limited(sock, seg, now):
            return
        if seg.end != seg.seq and seg.seq < sock.rcv.rcv_nxt:
            self._data.quick(sock)
            if sock.options.sack:
                sock.rcv.dsack = (seg.seq, min(seg.end, sock.rcv.rcv_nxt))
        self._ctx.output.send_ack(sock, now=now)

    def _reset(self, sock: TcpSocket) -> None:
        """End a connection that the peer reset. Mirrors tcp_reset()."""
        errno = {TCP_SYN_SENT: ECONNREFUSED, TCP_CLOSE_WAIT: EPIPE}.get(sock.state, ECONNRESET)
        self._ctx.fail(sock, self._ctx.error(sock, errno))

    # Opening

    def _syn_sent(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """SYN_SENT: SYN-ACK, RST, or the SYN of a simultaneous open. Mirrors tcp_rcv_synsent_state_process()."""
        flags = seg.flags
        seg.place(seg.seq, sock.snd_una)
        if flags & TCPHDR_ACK:
            if not sock.snd_una < seg.ack <= sock.snd_nxt:
                self._stateless.reset(seg, now=now, dev=sock.dev)
                return drop.TCP_INVALID_ACK_SEQUENCE
            if flags & TCPHDR_RST:
                self._reset(sock)
                return ""
            if not flags & TCPHDR_SYN:
                return drop.TCP_FLAGS
            self._take_syn(sock, seg, now)
            self._ctx.ack.process(sock, seg, now=now)
            sock.state = move(sock.state, SYN_ACK)
            self._established(sock, now)
            self._ctx.output.send_ack(sock, now=now)
            return ""
        if flags & TCPHDR_RST:
            return drop.TCP_RESET
        if not flags & TCPHDR_SYN:
            return drop.TCP_FLAGS
        self._take_syn(sock, seg, now)
        sock.state = move(sock.state, SIMULTANEOUS_SYN)
        sock.snd_wnd = sock.max_window = seg.window
        sock.snd_wl1 = seg.seq
        syn = sock.rtx.first()
        if syn is not None:
            syn.flags |= TCPHDR_ACK
            self._ctx.output.transmit(sock, syn.seq, syn.flags, b"", now=now)
        return ""

    def _take_syn(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Take over what the peer's SYN says: sequence, options."""
        sock.options.agree(read(seg.options))
        sock.ts_recent = seg.tsval if sock.options.timestamps else -1
        sock.ts_recent_at = now
        self._ctx.output.sync_mss(sock)
        options = sock.options
        sock.rcv.start(seg.seq + 1, sock.advmss - options.overhead, sock.mss, options.rcv_wscale, now=now)

    def _established(self, sock: TcpSocket, now: Ns) -> None:
        """Begin the connection proper. Mirrors tcp_finish_connect(), tcp_init_transfer()."""
        ctx = self._ctx
        if sock.state == TCP_SYN_RECV:
            sock.state = move(sock.state, ACK_OF_SYN)
            if sock.synack_at >= 0:
                rtt_us = (now - sock.synack_at) // NS_PER_US
                sock.rtt.note_min(rtt_us, now)
                sock.rtt.measured(rtt_us, sock.snd_una, sock.snd_nxt)
        sock.retrans_at = -1
        sock.backoff = 0
        sock.confirm = True  # an acknowledged SYN is forward progress: FLAG_SYN_ACKED, sk_dst_confirm()
        # RFC 5681 section 3.1, with Linux's allowance for one retransmission after 1 s.
        sock.cc.begin(1 if sock.total_retrans > 1 else TCP_INIT_CWND)
        sndbuf.expand(sock)
        sock.last_data_at = now
        if sock.keepalive:
            ctx.clock.start_keepalive(sock, now)
        ctx.sample(sock, "established", now)
        parent = sock.parent
        if parent is None:
            ctx.wake(sock, "connected")
        elif parent.listener is not None:
            parent.listener.queue.append(sock)
            ctx.wake(parent, "accepted")

    # Closing

    def _fin_acked(self, sock: TcpSocket, seg: Segment, now: Ns) -> bool:
        """Our FIN is acknowledged; True when the connection is over."""
        ctx = self._ctx
        if sock.state == TCP_LAST_ACK:
            ctx.done(sock, ACK_OF_FIN)
            return True
        sock.state = move(sock.state, ACK_OF_FIN)
        if sock.state == TCP_TIME_WAIT:
            ctx.time_wait(sock, now)
            return True
        sock.confirm = True
        if sock.orphan:
            self.wait_for_fin(sock, now)
        return False

    def wait_for_fin(self, sock: TcpSocket, now: Ns) -> None:
        """Bound how long an orphan waits in FIN_WAIT2 for the peer's FIN. Mirrors tcp_fin_time()."""
        rto = sock.rtt.rto
        sock.keep_alarm.set(now, max(self._ctx.sysctl.ipv4.tcp_fin_timeout, (rto << 2) - (rto >> 1)))

    def _time_wait(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """TIME_WAIT: repeat the last ACK, let a RST or a newer SYN end it. Mirrors tcp_timewait_state_process()."""
        flags = seg.flags
        rcv = sock.rcv
        old = self._paws_rejects(sock, seg, now)
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
        if not self._limited(sock, seg, now):
            stamp = (timestamp(now, sock.ts_offset), max(sock.ts_recent, 0)) if sock.options.timestamps else None
            window = rcv.rcv_wnd >> rcv.wscale
            self._stateless.acknowledge(seg.skb, sock.snd_nxt, rcv.rcv_nxt, window, stamp, now=now, dev=sock.dev)
        return drop.TCP_RFC7323_PAWS if old else drop.TCP_OLD_DATA
