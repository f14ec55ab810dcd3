"""What a loss does: duplicate ACKs, SACKs, recovery, time-outs, and taking it all back when nothing was lost.

Theory. An ACK that looks odd (a duplicate, one with SACK blocks, any outside the open state) comes here. Losses are
found by time (RACK) with SACK, by three duplicate ACKs without; a found loss enters recovery, an acknowledgement of all
that was sent then leaves it. A time-out enters loss: everything old counts as lost and goes out again in slow start. If
the first ACK after a retransmission echoes a stamp from before it, the original had arrived: window and threshold are
taken back. So they are if, after a time-out, the first ACK that advances is answered with new data (F-RTO) and what was
sent before the time-out is acknowledged without having been sent again, or if duplicate SACKs show each retransmission
to have been needless. Source: tcp_fastretrans_alert(),
tcp_process_loss(), tcp_newreno_mark_lost(), tcp_add_reno_sack(), tcp_packet_delayed(), tcp_enter_loss(),
tcp_simple_retransmit(), tcp_try_undo_dsack() (tcp_input.c), tcp_recovery.c (6.x); RFC 6582, 6675, 8985, 3522, 5682,
3708.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.options import timestamp
from netsim.stack.sockets.tcp.probes import TCP_TIMEOUT_MIN_US
from netsim.stack.sockets.tcp.rack import TCP_RACK_RECOVERY_THRESH
from netsim.stack.sockets.tcp.reno import (
    CA_CWR,
    CA_DISORDER,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    TCP_REORDERING,
)
from netsim.stack.sockets.tcp.sent import Delivered
from netsim.stack.sockets.tcp.socket import TIMER_REORDER, TIMER_RETRANS, TcpSocket
from netsim.units import NS_PER_MS, NS_PER_US, Ns

REXMIT_NONE = 0
REXMIT_LOST = 1
REXMIT_NEW = 2
"""What an ACK lets go out again: nothing, what is lost, or new data (include/net/tcp.h has these as an enum)."""


class Recovery:
    """Loss recovery of a box's connections."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def alert(
        self, sock: TcpSocket, told: Delivered, *, advanced: bool, duplicate: bool, tsecr: int, now: Ns
    ) -> tuple[int, bool]:
        """Work on an ACK that is not plain progress; returns what to send (REXMIT) and whether RACK set the alarm.

        `duplicate`: a bare ACK that repeats the last one. `tsecr` is -1 without timestamps.
        """
        cc = sock.cc
        rtx = sock.rtx
        sack = sock.options.sack
        if not rtx.packets_out and rtx.sacked_out:
            rtx.sacked_out = 0
        first = rtx.first()
        if advanced and first is not None and first.sacked:
            # The peer has dropped what it sacked: give it half a round trip. Mirrors tcp_check_sack_reneging().
            delay = max((sock.rtt.srtt8_us >> 4) * NS_PER_US, 10 * NS_PER_MS)
            self._ctx.output.arm(sock, TIMER_RETRANS, delay, now=now)
            return REXMIT_NONE, True
        if cc.state == CA_OPEN:
            sock.retrans_at = -1
        elif sock.snd_una >= cc.high_seq:
            if cc.state == CA_CWR:
                if sock.snd_una != cc.high_seq:
                    cc.end_reduction()
                    cc.state = CA_OPEN
            elif cc.state == CA_RECOVERY:
                if not sack:
                    rtx.sacked_out = 0
                if self._leave(sock, tsecr):
                    return REXMIT_NONE, False
        if cc.state == CA_RECOVERY:
            if not advanced:
                if not sack:
                    self._reno_sacks(sock, told, advanced=False, duplicate=duplicate)
            elif cc.undo and self._delayed(sock, tsecr):
                rtx.rack.overtaken(told.prior_una, rtx.sacked_to(sock.snd_una), sock.mss)
                if rtx.retrans_out:
                    return REXMIT_NONE, False  # an original filled the hole: retransmit no more, wait
                self._settle_stamp(sock)
                self._take_back(sock, unmark=True)
                self._keep_open(sock)
            if self._undo_needless(sock):
                self._try_to_open(sock)
        elif cc.state == CA_LOSS:
            again = self._in_loss(sock, told, advanced=advanced, duplicate=duplicate, tsecr=tsecr)
            retransmitted = rtx.retrans_out
            _, alarmed = self._identify(sock, advanced=advanced, now=now)
            if cc.state != CA_OPEN and (not sack or rtx.retrans_out >= retransmitted):
                return again, alarmed
        elif not sack:
            self._reno_sacks(sock, told, advanced=advanced, duplicate=duplicate)
        if cc.state <= CA_DISORDER:
            self._undo_needless(sock)
        _, alarmed = self._identify(sock, advanced=advanced, now=now)
        if cc.state != CA_RECOVERY:
            if not rtx.lost_out:
                self._try_to_open(sock)
                return REXMIT_NONE, alarmed
            self._enter_recovery(sock, now)
        return REXMIT_LOST, alarmed

    def _enter_recovery(self, sock: TcpSocket, now: Ns) -> None:
        self._settle_stamp(sock)
        self._init_undo(sock)
        sock.cc.start_reduction(CA_RECOVERY, sock.snd_nxt)
        sock.tlp_high_seq = 0
        self._ctx.sample(sock, "recovery", now)

    @staticmethod
    def _init_undo(sock: TcpSocket) -> None:
        """Begin to watch whether the reduction is a mistake; a probe of the tail under way counts, too."""
        sock.cc.init_undo(sock.snd_una, sock.rtx.retrans_out + bool(sock.tlp_high_seq and sock.tlp_retrans))

    @staticmethod
    def _settle_stamp(sock: TcpSocket) -> None:
        """Forget when the first retransmission was, once none is under way: the next trouble counts from itself.

        Mirrors tcp_retrans_stamp_cleanup().
        """
        if not sock.rtx.retransmitting:
            sock.retrans_at = -1

    def _try_to_open(self, sock: TcpSocket) -> None:
        """Settle between open and disorder. Mirrors tcp_try_to_open()."""
        self._settle_stamp(sock)
        if sock.cc.state != CA_CWR:
            self._keep_open(sock)

    @staticmethod
    def _keep_open(sock: TcpSocket) -> None:
        """Be open unless something is out of order or was sent again. Mirrors tcp_try_keep_open()."""
        cc, rtx = sock.cc, sock.rtx
        state = CA_DISORDER if rtx.sacked_out or rtx.lost_out or rtx.retransmitting else CA_OPEN
        if cc.state != state:
            cc.state = state
            cc.high_seq = sock.snd_nxt

    @staticmethod
    def _reno_sacks(sock: TcpSocket, told: Delivered, *, advanced: bool, duplicate: bool) -> None:
        """Feed the counters from duplicate ACKs. Mirrors tcp_add_reno_sack(), tcp_remove_reno_sacks()."""
        rtx = sock.rtx
        if advanced:
            if sock.cc.state != CA_RECOVERY:
                rtx.sacked_out = 0
        elif duplicate:
            told.delivered += max(0, rtx.add_reno_sacks(1))

    def _identify(self, sock: TcpSocket, *, advanced: bool, now: Ns) -> tuple[int, bool]:
        """Mark what this ACK shows to be lost; returns how many and whether the alarm waits for reordering.

        Mirrors tcp_identify_packet_loss().
        """
        rtx = sock.rtx
        first = rtx.first()
        if first is None:
            return 0, False
        if not sock.options.sack:
            state = sock.cc.state
            if (state < CA_RECOVERY and rtx.sacked_out >= rtx.rack.reordering) or (state == CA_RECOVERY and advanced):
                before = rtx.lost_out
                if not first.lost:
                    rtx.mark_lost(first)
                return rtx.lost_out - before, False
            return 0, False
        if not rtx.rack.advanced:
            return 0, False
        rtx.rack.advanced = False
        found, wait = rtx.detect_loss(now, self._reordering_window(sock))
        if wait:
            self._ctx.output.arm(sock, TIMER_REORDER, min(wait + TCP_TIMEOUT_MIN_US, sock.rtt.rto), now=now)
        return found, bool(wait)

    @staticmethod
    def _reordering_window(sock: TcpSocket) -> Ns:
        rtx, rtt = sock.rtx, sock.rtt
        return rtx.rack.window(rtt.min_us, rtt.srtt8_us, sock.cc.state, rtx.sacked_out)

    # Leaving, and taking back

    def _may_undo(self, sock: TcpSocket, tsecr: int) -> bool:
        """Mirrors tcp_may_undo()."""
        return sock.cc.undo and (not sock.cc.undo_retrans or self._delayed(sock, tsecr))

    @staticmethod
    def _delayed(sock: TcpSocket, tsecr: int) -> bool:
        """Tell whether the ACK echoes a stamp older than the first retransmission, or there was none.

        Mirrors tcp_packet_delayed().
        """
        if sock.retrans_at < 0:
            return sock.options.sack or sock.snd_una < sock.cc.high_seq
        return tsecr >= 0 and bool((tsecr - timestamp(sock.retrans_at, sock.ts_offset)) & 0x80000000)

    def _undo_needless(self, sock: TcpSocket) -> bool:
        """Take a reduction back whose retransmissions all came twice. Mirrors tcp_try_undo_dsack()."""
        if not sock.cc.undo or sock.cc.undo_retrans:
            return False
        rack = sock.rtx.rack
        rack.persist = min(TCP_RACK_RECOVERY_THRESH, rack.persist + 1)
        self._take_back(sock, unmark=False)
        return True

    @staticmethod
    def _take_back(sock: TcpSocket, *, unmark: bool) -> None:
        """Undo a reduction, `unmark` the losses that led to it. Mirrors tcp_undo_cwnd_reduction()."""
        if unmark:
            sock.rtx.unmark_lost()
        sock.rtx.rack.advanced = True  # "Force RACK to re-exam losses"
        sock.cc.take_back()

    def _leave(self, sock: TcpSocket, tsecr: int) -> bool:
        """Leave recovery or loss, all of it acknowledged; True holds the state. Mirrors tcp_try_undo_recovery()."""
        cc = sock.cc
        if self._may_undo(sock, tsecr):
            self._take_back(sock, unmark=False)
        elif sock.rtx.rack.persist:
            sock.rtx.rack.persist -= 1
        if self._held(sock):
            return True
        if cc.state == CA_RECOVERY:
            cc.end_reduction()
        cc.state = CA_OPEN
        return False

    def _in_loss(self, sock: TcpSocket, told: Delivered, *, advanced: bool, duplicate: bool, tsecr: int) -> int:
        """Work on an ACK after a time-out; returns what to send. Mirrors tcp_process_loss()."""
        cc = sock.cc
        if advanced and self._may_undo(sock, tsecr):
            self._was_spurious(sock, proven=False)
            return REXMIT_NONE
        recovered = sock.snd_una >= cc.high_seq
        if cc.frto:
            if 0 <= told.orig_end <= cc.high_seq:
                self._was_spurious(sock, proven=True)
                return REXMIT_NONE
            if sock.snd_nxt > cc.high_seq:
                if told.sacked or duplicate:
                    cc.frto = False  # the new data came before the old: the loss was real
            elif advanced and not recovered:
                cc.high_seq = sock.snd_nxt
                if sock.unsent_octets and sock.window_end > sock.snd_nxt:
                    return REXMIT_NEW
                cc.frto = False
        if recovered:
            self._leave(sock, tsecr)
            return REXMIT_NONE
        if not sock.options.sack:
            if sock.snd_nxt > cc.high_seq and duplicate:
                self._reno_sacks(sock, told, advanced=False, duplicate=True)
            elif advanced:
                sock.rtx.sacked_out = 0
        return REXMIT_LOST

    def _was_spurious(self, sock: TcpSocket, *, proven: bool) -> None:
        """Take a time-out back; the state opens with SACK, or if F-RTO has `proven` it. Mirrors tcp_try_undo_loss()."""
        self._take_back(sock, unmark=True)
        sock.retransmits = 0
        if self._held(sock):
            return
        if proven or sock.options.sack:
            sock.cc.state = CA_OPEN

    def _held(self, sock: TcpSocket) -> bool:
        """Hold the state until something above is acknowledged: RFC 6582, false fast retransmits.

        Mirrors tcp_is_non_sack_preventing_reopen().
        """
        if sock.snd_una != sock.cc.high_seq or sock.options.sack:
            return False
        self._settle_stamp(sock)
        return True

    # Time-outs

    def enter_loss(self, sock: TcpSocket, now: Ns) -> None:
        """Count everything old as lost, the window is one segment. Mirrors tcp_enter_loss()."""
        cc = sock.cc
        cc.frto = bool(self._ctx.sysctl.ipv4.tcp_frto) and (cc.state < CA_RECOVERY or sock.retransmits > 0)
        first = cc.state <= CA_DISORDER or sock.snd_una >= cc.high_seq or (cc.state == CA_LOSS and not sock.retransmits)
        sock.rtx.mark_all_lost(now, sack=sock.options.sack)
        if first:
            self._init_undo(sock)
        if cc.state <= CA_DISORDER and sock.rtx.sacked_out >= TCP_REORDERING:
            sock.rtx.rack.reordering = min(sock.rtx.rack.reordering, TCP_REORDERING)  # it was over-estimated
        cc.lose(sock.rtx.in_flight, sock.snd_nxt, now, first=first)
        sock.tlp_high_seq = 0
        self._ctx.sample(sock, "timeout", now)

    def reorder_timeout(self, sock: TcpSocket, now: Ns) -> None:
        """Look again for losses after the reordering window. Mirrors tcp_rack_reo_timeout()."""
        rtx = sock.rtx
        before = rtx.in_flight
        found, _ = rtx.detect_loss(now, self._reordering_window(sock))
        if rtx.in_flight != before:
            if sock.cc.state != CA_RECOVERY:
                self._enter_recovery(sock, now)
                sock.cc.reduce(1, found, rtx.in_flight, una_advanced=False)
            self._ctx.output.retransmit_lost(sock, now=now)
        if sock.rtx_kind != TIMER_RETRANS:
            self._ctx.output.rearm(sock, now=now)

    def tail_probe_acked(self, sock: TcpSocket, *, ack: int, twice: bool, plain_duplicate: bool) -> None:
        """Judge what became of a tail loss probe. Mirrors tcp_process_tlp_ack().

        An ACK beyond a probe that was a retransmission says that the tail had been lost: the window is halved. Not if
        it tells that the probe came `twice`.
        """
        if ack < sock.tlp_high_seq:
            return
        if not sock.tlp_retrans or twice:
            sock.tlp_high_seq = 0
        elif ack > sock.tlp_high_seq:
            cc = sock.cc
            sock.tlp_high_seq = 0
            cc.start_reduction(CA_CWR, sock.snd_nxt)
            cc.end_reduction()
            self._keep_open(sock)
        elif plain_duplicate:
            sock.tlp_high_seq = 0

    def narrowed(self, sock: TcpSocket, now: Ns) -> None:
        """Send again, in smaller pieces, what the path did not take. Mirrors tcp_simple_retransmit()."""
        if not sock.rtx.mark_long_lost(sock.mss):
            return
        sock.cc.lose_without_congestion(sock.snd_nxt, now)
        self._ctx.output.retransmit_lost(sock, now=now)
