"""The acknowledgement of a segment: what leaves the queue, what is measured, how the window moves, what goes out again.

Source: tcp_ack(), tcp_ack_update_window(), tcp_ack_update_rtt(), tcp_ack_probe(), tcp_replace_ts_recent(),
tcp_cong_control() (net/ipv4/tcp_input.c, 6.x); RFC 9293 section 3.10.7.4; linux-kernel 1.5.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp import sack
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.options import paws_ok, timestamp
from netsim.stack.sockets.tcp.recovery import REXMIT_NEW, REXMIT_NONE
from netsim.stack.sockets.tcp.reno import CA_OPEN, TCP_REORDERING
from netsim.stack.sockets.tcp.segment import Segment
from netsim.stack.sockets.tcp.sent import Delivered
from netsim.stack.sockets.tcp.socket import TIMER_NONE, TIMER_PROBE0, TcpSocket
from netsim.trace.records import TcpSample
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire.tcp import TCPHDR_SYN

ACK_OK = 1
ACK_OLD = 0
ACK_TOO_OLD = -1
ACK_UNSENT = -2


class AckInput:
    """Works on the acknowledgement of segments in every state that has one."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def process(self, sock: TcpSocket, seg: Segment, *, now: Ns) -> int:
        """Take the acknowledgement of a segment that lies in the window: ACK_OK, or why not. Mirrors tcp_ack()."""
        prior_una = sock.snd_una
        ack = seg.ack
        if ack < prior_una:
            return self._old(sock, seg, now=now)
        if ack > sock.snd_nxt:
            return ACK_UNSENT
        rtx = sock.rtx
        told = Delivered(prior_una)
        advanced = ack > prior_una
        if advanced:
            sock.retransmits = 0
        self._replace_ts_recent(sock, seg, now)
        window_moved = self._update_window(sock, seg)
        sock.snd_una = ack
        packets, sacked_before = rtx.packets_out, rtx.sacked_out
        sacked_to = rtx.sacked_to(prior_una)
        if seg.sack and sock.options.sack:
            sack.tag(sock, seg, told, prior_una, now)
        sock.soft_error = None
        sock.probes_out = 0
        sock.last_heard_at = now
        not_dup = seg.end != seg.seq or window_moved
        if not packets:
            self._without_queue(sock, seg, told, advanced=advanced, not_dup=not_dup, now=now)
            return ACK_OK
        rtx.acknowledge(
            ack, now, told, sock.rtt.min_us, sack=sock.options.sack, echoed_ms=self._echoed_ms(sock, seg, now)
        )
        delayed = told.lone and not sacked_before and ack - prior_una < sock.mss and not told.sacked
        self._measure(sock, seg, told, delayed=delayed, now=now)
        if told.acked:
            if not sock.options.sack:
                told.delivered += max(told.acked - rtx.sacked_out, 1)
                rtx.add_reno_sacks(1 - told.acked, told.acked)
                if told.retrans_acked:
                    told.orig_end = -1  # the others may have waited behind the hole: they prove nothing
            else:
                if 0 <= told.first_seq < sacked_to:
                    rtx.rack.overtaken(told.first_seq, rtx.sacked_to(ack), sock.mss)  # an original filled the hole
                if rtx.sacked_out:
                    rtx.forget_blocks(ack)
        rtx.rack.learn(told.prior, rtx.delivered)
        self._congestion(sock, seg, told, advanced=advanced, not_dup=not_dup or told.acked > 0, now=now)
        return ACK_OK

    def _without_queue(
        self, sock: TcpSocket, seg: Segment, told: Delivered, *, advanced: bool, not_dup: bool, now: Ns
    ) -> None:  # fmt: skip
        """Work on an ACK with nothing under way: a late duplicate, news of the window. Source: tcp_ack(), no_queue."""
        if told.duplicate:
            self._ctx.recovery.alert(
                sock, told, advanced=advanced, duplicate=False, tsecr=self._tsecr(sock, seg), now=now
            )
        self._window_opened(sock, now)
        self._probe_acked(sock, seg, told, plain=not (advanced or not_dup or told.sacked))

    def _probe_acked(self, sock: TcpSocket, seg: Segment, told: Delivered, *, plain: bool) -> None:
        if sock.tlp_high_seq:
            self._ctx.recovery.tail_probe_acked(sock, ack=seg.ack, twice=told.probe_twice, plain_duplicate=plain)

    def _old(self, sock: TcpSocket, seg: Segment, *, now: Ns) -> int:
        """Take what an acknowledgement of the past still tells: its SACK blocks."""
        if sock.snd_una - seg.ack > min(sock.max_window, sock.octets_acked):
            return ACK_TOO_OLD
        if seg.sack and sock.options.sack:
            told = Delivered()
            sack.tag(sock, seg, told, sock.snd_una, now)
            again, _ = self._ctx.recovery.alert(
                sock, told, advanced=False, duplicate=False, tsecr=self._tsecr(sock, seg), now=now
            )
            self._again(sock, again, now)
        return ACK_OLD

    @staticmethod
    def _tsecr(sock: TcpSocket, seg: Segment) -> int:
        return seg.tsecr if sock.options.timestamps and seg.tsval >= 0 and seg.tsecr else -1

    @classmethod
    def _echoed_ms(cls, sock: TcpSocket, seg: Segment, now: Ns) -> int:
        """Return the millisecond of the stamp that a segment echoes, -1 without one."""
        tsecr = cls._tsecr(sock, seg)
        if tsecr < 0:
            return -1
        ago = (timestamp(now, sock.ts_offset) - tsecr) & 0xFFFFFFFF
        return now // NS_PER_MS - ago if ago < 0x80000000 else -1

    @staticmethod
    def _replace_ts_recent(sock: TcpSocket, seg: Segment, now: Ns) -> None:
        """Remember the stamp to echo, of segments that begin at or before the last ACK. RFC 7323 section 4.3.

        An older one, which a bare ACK may bring, is not. Mirrors tcp_replace_ts_recent().
        """
        if seg.tsval < 0 or not sock.options.timestamps or seg.seq > sock.rcv.rcv_wup:
            return
        if paws_ok(sock.ts_recent, sock.ts_recent_at, seg.tsval, 0, now):
            sock.ts_recent = seg.tsval
            sock.ts_recent_at = now

    def _update_window(self, sock: TcpSocket, seg: Segment) -> bool:
        """Take the peer's window from a segment newer than the last, True; the same again is news, too.

        Mirrors tcp_ack_update_window(), FLAG_WIN_UPDATE.
        """
        window = seg.window
        if not seg.flags & TCPHDR_SYN:
            window <<= sock.options.snd_wscale
        if not (
            seg.ack > sock.snd_una
            or seg.seq > sock.snd_wl1
            or (seg.seq == sock.snd_wl1 and (window > sock.snd_wnd or not window))
        ):
            return False
        sock.snd_wl1 = seg.seq
        sock.snd_wnd = window
        if window > sock.max_window:
            sock.max_window = window
            self._ctx.output.sync_mss(sock)
        return True

    def _window_opened(self, sock: TcpSocket, now: Ns) -> None:
        """Stop or go on probing a closed window. Mirrors tcp_ack_probe()."""
        if not sock.unsent_octets and sock.fin_queued == sock.fin_sent:
            return
        if sock.snd_nxt + min(sock.unsent_octets, sock.mss) <= sock.window_end and sock.snd_wnd:
            sock.backoff = 0
            sock.probes_at = -1
            if sock.rtx_kind == TIMER_PROBE0:
                sock.rtx_alarm.off()
                sock.rtx_kind = TIMER_NONE
        else:
            self._ctx.output.arm(sock, TIMER_PROBE0, self._ctx.clock.probe_delay(sock, now), now=now)

    def _measure(self, sock: TcpSocket, seg: Segment, told: Delivered, *, delayed: bool, now: Ns) -> None:
        """Take a round trip measure. Mirrors tcp_ack_update_rtt(): transmissions before echoed stamps.

        Karn: an ACK that covers a retransmission measures nothing without timestamps. The peer may have `delayed` it.
        """
        rtt = -1
        shortest = -1
        if told.first_at >= 0 and not told.retrans_acked:
            rtt = (now - told.first_at) // NS_PER_US
            shortest = (now - told.last_at) // NS_PER_US
        if told.sack_at >= 0:
            shortest = (now - told.last_sack_at) // NS_PER_US
            if rtt < 0:
                rtt = (now - told.sack_at) // NS_PER_US
        if rtt < 0 and told.acked and self._tsecr(sock, seg) >= 0:
            ms = (timestamp(now, sock.ts_offset) - seg.tsecr) & 0xFFFFFFFF
            if ms < 0x80000000:
                rtt = shortest = max(ms, 1) * (NS_PER_MS // NS_PER_US)
        if rtt < 0:
            return
        delay = shortest if shortest >= 0 else rtt
        sock.rtt.note_min(delay, now, delayed=delayed)
        sock.rtt.measured(rtt, sock.snd_una, sock.snd_nxt)
        sock.cc.measured(delay, sock.rtt.srtt8_us, sock.mss, sock.snd_una, sock.snd_nxt, now)
        sock.backoff = 0

    def _congestion(
        self, sock: TcpSocket, seg: Segment, told: Delivered, *, advanced: bool, not_dup: bool, now: Ns
    ) -> None:  # fmt: skip
        """Do what the ACK asks of loss recovery, the alarm, the window and the neighbour."""
        ctx = self._ctx
        rtx = sock.rtx
        cc = sock.cc
        self._probe_acked(sock, seg, told, plain=not (advanced or not_dup or told.sacked))
        set_timer = told.acked > 0 or self._sacked_older(sock, told)
        again = REXMIT_NONE
        lost_before = rtx.lost_ever
        if told.sacked or not not_dup or cc.state != CA_OPEN:
            duplicate = not (advanced or not_dup or told.duplicate)
            again, alarmed = ctx.recovery.alert(
                sock, told, advanced=advanced, duplicate=duplicate, tsecr=self._tsecr(sock, seg), now=now
            )
            set_timer = set_timer and not alarmed
        if set_timer and not ctx.probes.schedule(sock, now=now, advancing=True):
            ctx.output.rearm(sock, now=now)
        if told.acked or told.sacked or not not_dup:
            # "TCP ACK that makes forward progress": the next packet sent confirms the neighbour.
            sock.confirm = True
        if cc.reducing:
            cc.reduce(told.delivered, rtx.lost_ever - lost_before, rtx.in_flight, una_advanced=advanced)
        elif told.acked or (told.sacked and rtx.rack.reordering > TCP_REORDERING):  # tcp_may_raise_cwnd()
            cc.grow(told.delivered, now)
        self._again(sock, again, now)
        if TcpSample in ctx.outbox.wants:
            ctx.sample(sock, "ack", now)

    def _again(self, sock: TcpSocket, again: int, now: Ns) -> None:
        """Send what recovery asks for: lost segments, or new ones to put a time-out to the test.

        Mirrors tcp_xmit_recovery().
        """
        if again == REXMIT_NEW:
            self._ctx.output.push(sock, now=now, nagle=False)
            if sock.snd_nxt > sock.cc.high_seq:
                return
            sock.cc.frto = False
        if again != REXMIT_NONE:
            self._ctx.output.retransmit_lost(sock, now=now)

    @staticmethod
    def _sacked_older(sock: TcpSocket, told: Delivered) -> bool:
        """Tell whether what was newly sacked went out before the oldest segment last did: the time-out starts again.

        Source: tcp_clean_rtx_queue(), "Do not re-arm RTO if the sack RTT is measured from data sent after when the
        head was last (re)transmitted".
        """
        first = sock.rtx.first()
        return first is not None and told.sack_at >= 0 and told.sack_at < first.sent_at
