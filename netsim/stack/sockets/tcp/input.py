"""A segment arrives: finding its socket, judging it, and what each state does with it.

Order, as RFC 9293 section 3.10.7.4 and Linux have it: timestamps, sequence numbers, RST, SYN (accept.py), then the
acknowledgement (ack.py), the octets (data.py), and last what is now to be sent. A method that judges returns the reason
for which the segment ends, "" when it ends well.
Source: tcp_v4_rcv(), tcp_rcv_established(), tcp_rcv_state_process(), tcp_rcv_synsent_state_process(),
tcp_init_transfer() (6.x).
"""

from __future__ import annotations

from netsim.stack.skb import PACKET_HOST, Skb
from netsim.stack.sockets.tcp import sndbuf
from netsim.stack.sockets.tcp.accept import Acceptance
from netsim.stack.sockets.tcp.ack import ACK_OK, ACK_OLD, ACK_TOO_OLD
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.data import DataInput
from netsim.stack.sockets.tcp.listen import HalfOpen, Handshakes
from netsim.stack.sockets.tcp.options import read, timestamp
from netsim.stack.sockets.tcp.reno import TCP_INIT_CWND
from netsim.stack.sockets.tcp.reset import Stateless
from netsim.stack.sockets.tcp.rtt import TCP_TIMEOUT_MIN
from netsim.stack.sockets.tcp.segment import Segment, checksum_ok, parse
from netsim.stack.sockets.tcp.socket import TIMER_RETRANS, TcpSocket
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
    TCP_FIN_WAIT2,
    TCP_LAST_ACK,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_TIME_WAIT,
    move,
)
from netsim.stack.sockets.tcp.timewait import Resting
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire import drop
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN

_CONTROL = TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN


class TcpInput:
    """The receiving end of a box's TCP."""

    def __init__(
        self, ctx: TcpContext, handshakes: Handshakes, stateless: Stateless, data: DataInput, acceptance: Acceptance,
        resting: Resting,
    ) -> None:  # fmt: skip
        self._ctx = ctx
        self._handshakes = handshakes
        self._stateless = stateless
        self._data = data
        self._acceptance = acceptance
        self._resting = resting

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
            self._stateless.reset(seg, now=now, sock=sock)
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
        if sock.state == TCP_TIME_WAIT or (sock.state == TCP_FIN_WAIT2 and sock.orphan):
            return self._resting.segment(sock, seg, now)
        if not seg.flags & _CONTROL:
            return drop.TCP_FLAGS
        valid, reason = self._acceptance.judge(sock, seg, now)
        if not valid:
            return reason
        if not seg.flags & TCPHDR_ACK:
            return drop.TCP_FLAGS
        result = self._ctx.ack.process(sock, seg, now=now)
        if sock.state == TCP_SYN_RECV:
            if result != ACK_OK:
                self._stateless.reset(seg, now=now, sock=sock)
                return drop.TCP_OLD_ACK
            self._established(sock, seg, now)
        elif result < ACK_OLD:
            if result == ACK_TOO_OLD or sock.state != TCP_ESTABLISHED:
                self._acceptance.challenge(sock, now)
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
                self._stateless.reset(seg, now=now, sock=sock)
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

    # Opening

    def _syn_sent(self, sock: TcpSocket, seg: Segment, now: Ns) -> str:
        """SYN_SENT: SYN-ACK, RST, or the SYN of a simultaneous open. Mirrors tcp_rcv_synsent_state_process()."""
        flags = seg.flags
        seg.place(seg.seq, sock.snd_una)
        if flags & TCPHDR_ACK:
            if not sock.snd_una < seg.ack <= sock.snd_nxt:
                if not sock.retransmits:  # "Previous FIN/ACK or RST/ACK might be ignored": the peer is asked again soon
                    self._ctx.output.arm(sock, TIMER_RETRANS, TCP_TIMEOUT_MIN, now=now)
                self._stateless.reset(seg, now=now, sock=sock)
                return drop.TCP_INVALID_ACK_SEQUENCE
            echo = self._echo(sock, seg)
            first = timestamp(sock.retrans_at, sock.ts_offset)
            if echo and (echo - first) & 0xFFFFFFFF > (timestamp(now, sock.ts_offset) - first) & 0xFFFFFFFF:
                self._stateless.reset(seg, now=now, sock=sock)
                return drop.TCP_RFC7323_PAWS
            if flags & TCPHDR_RST:
                self._acceptance.reset(sock)
                return ""
            if not flags & TCPHDR_SYN:
                return drop.TCP_FLAGS
            self._believe_first_syn(sock, seg)
            self._take_syn(sock, seg, now)
            self._ctx.ack.process(sock, seg, now=now)
            sock.state = move(sock.state, SYN_ACK)
            self._established(sock, seg, now)
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

    @staticmethod
    def _echo(sock: TcpSocket, seg: Segment) -> int:
        """Return the stamp of ours that a segment of the handshake echoes, 0 for none."""
        return seg.tsecr if sock.options.timestamps and seg.tsval >= 0 else 0

    def _believe_first_syn(self, sock: TcpSocket, seg: Segment) -> None:
        """Take the time-outs of a SYN or SYN-ACK for a mistake if the peer echoes the first one's stamp.

        Mirrors tcp_try_undo_spurious_syn().
        """
        if sock.retrans_at >= 0 and self._echo(sock, seg) == timestamp(sock.retrans_at, sock.ts_offset):
            sock.cc.undo = False

    def _take_syn(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Take over what the peer's SYN says: sequence, options."""
        sock.options.agree(read(seg.options))
        sock.ts_recent = seg.tsval if sock.options.timestamps else -1
        sock.ts_recent_at = now
        self._ctx.output.sync_mss(sock)
        options = sock.options
        sock.rcv.start(seg.seq + 1, sock.advmss - options.overhead, sock.mss, options.rcv_wscale, now=now)

    def _established(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Begin the connection proper. Mirrors tcp_finish_connect(), tcp_init_transfer()."""
        ctx = self._ctx
        if sock.state == TCP_SYN_RECV:
            sock.state = move(sock.state, ACK_OF_SYN)
            self._measure_handshake(sock, seg, now)
            self._believe_first_syn(sock, seg)
        sock.retrans_at = -1
        sock.backoff = 0
        sock.confirm = True  # an acknowledged SYN is forward progress: FLAG_SYN_ACKED, sk_dst_confirm()
        # RFC 5681 section 3.1, with Linux's allowance for one retransmission after 1 s, and for mistakes.
        sock.cc.begin(1 if sock.total_retrans > 1 and sock.cc.undo else TCP_INIT_CWND)
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

    def _measure_handshake(self, sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Measure from a SYN-ACK that was sent once, else by the stamp echoed. Mirrors tcp_synack_rtt_meas()."""
        if sock.synack_at >= 0:
            rtt_us = (now - sock.synack_at) // NS_PER_US
        elif self._echo(sock, seg):
            ago = (timestamp(now, sock.ts_offset) - seg.tsecr) & 0xFFFFFFFF
            rtt_us = max(1, ago) * (NS_PER_MS // NS_PER_US) if ago < 0x80000000 else -1
        else:
            rtt_us = -1
        if rtt_us >= 0:
            sock.rtt.note_min(rtt_us, now)
            sock.rtt.measured(rtt_us, sock.snd_una, sock.snd_nxt)

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
            self._resting.wait_for_fin(sock, now)
        return False
