"""TCP connection tracking: the state table, and everything that moves a tracked connection's state.

Theory. A segment's kind (RST before SYN before FIN before ACK) and direction choose a row of the table; the old state
chooses the column. IG lets the segment pass and changes nothing, IV makes it INVALID. Exceptions around the table: a
SYN that reopens a closed connection kills the entry and starts again; a RST must fit what the peer acknowledged; then
the windows judge (ct_window.py). Everything that moves `TcpTrack.state` in kernel 6 is in this file.
Source: tcp_conntracks[], nf_conntrack_tcp_packet(), tcp_new(), tcp_error(), nf_tcp_handle_invalid(),
net/netfilter/nf_conntrack_proto_tcp.c (6.x); linux-kernel 5.5.
"""

from __future__ import annotations

from netsim.errors import InternalError
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.ct_proto import INVALID, UNCOUNTED, transport_sum_is_bad
from netsim.stack.netfilter.ct_window import (
    IP_CT_EXP_CHALLENGE_ACK,
    IP_CT_TCP_FLAG_BE_LIBERAL,
    IP_CT_TCP_FLAG_CLOSE_INIT,
    IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED,
    IP_CT_TCP_FLAG_MAXACK_SET,
    IP_CT_TCP_FLAG_SACK_PERM,
    IP_CT_TCP_FLAG_WINDOW_SCALE,
    IP_CT_TCP_SIMULTANEOUS_OPEN,
    NFCT_TCP_ACCEPT,
    NFCT_TCP_IGNORE,
    TCP_ACK_SET,
    TCP_CONNTRACK_SYN_RECV,
    TCP_CONNTRACK_SYN_SENT,
    TCP_FIN_SET,
    TCP_RST_SET,
    TCP_SYN_SET,
    TCP_SYNACK_SET,
    U32,
    Seen,
    Segment,
    TcpTrack,
    in_window,
    read_segment,
)
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_INET_PRE_ROUTING, Services
from netsim.stack.netfilter.status import (
    IP_CT_IS_REPLY,
    IPCT_ASSURED,
    IPCT_PROTOINFO,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
)
from netsim.stack.skb import Skb
from netsim.units import NS_PER_S, Ns
from netsim.wire.tcp import before

NF_REPEAT = 4
REPEAT = -NF_REPEAT
"""A closed connection is being opened again: look up once more, the old entry is gone."""

TCP_CONNTRACK_NONE = NO = 0
SS = TCP_CONNTRACK_SYN_SENT
SR = TCP_CONNTRACK_SYN_RECV
TCP_CONNTRACK_ESTABLISHED = ES = 3
TCP_CONNTRACK_FIN_WAIT = FW = 4
TCP_CONNTRACK_CLOSE_WAIT = CW = 5
TCP_CONNTRACK_LAST_ACK = LA = 6
TCP_CONNTRACK_TIME_WAIT = TW = 7
TCP_CONNTRACK_CLOSE = CL = 8
TCP_CONNTRACK_SYN_SENT2 = S2 = 9
TCP_CONNTRACK_MAX = IV = 10
TCP_CONNTRACK_IGNORE = IG = 11

TCP_CONNTRACKS = (
    (  # original      NO  SS  SR  ES  FW  CW  LA  TW  CL  S2
        (SS, SS, IG, IG, IG, IG, IG, SS, SS, S2),  # SYN
        (IV, IV, SR, IV, IV, IV, IV, IV, IV, SR),  # SYN+ACK
        (IV, IV, FW, FW, LA, LA, LA, TW, CL, IV),  # FIN
        (ES, IV, ES, ES, CW, CW, TW, TW, CL, IV),  # ACK
        (IV, CL, CL, CL, CL, CL, CL, CL, CL, CL),  # RST
        (IV,) * 10,  # none of them
    ),
    (  # reply         NO  SS  SR  ES  FW  CW  LA  TW  CL  S2
        (IV, S2, IV, IV, IV, IV, IV, SS, IV, S2),  # SYN
        (IV, SR, IG, IG, IG, IG, IG, IG, IG, SR),  # SYN+ACK
        (IV, IV, FW, FW, LA, LA, LA, TW, CL, IV),  # FIN
        (IV, IG, SR, ES, CW, CW, TW, TW, CL, IG),  # ACK
        (IV, CL, CL, CL, CL, CL, CL, CL, CL, CL),  # RST
        (IV,) * 10,  # none of them
    ),
)
"""TCP_CONNTRACKS[direction][segment index][old state] -> new state, IV or IG."""

VALID_FLAGS = frozenset({0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30})
"""Flag combinations that exist, ECE, CWR and PSH aside. Source: tcp_valid_flags[]."""

TIMEOUTS = (
    "tcp_timeout_syn_sent", "tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "tcp_timeout_established",
    "tcp_timeout_fin_wait", "tcp_timeout_close_wait", "tcp_timeout_last_ack", "tcp_timeout_time_wait",
    "tcp_timeout_close", "tcp_timeout_syn_sent",
)  # fmt: skip
"""The setting that says how long a state lasts, by state."""

CLOSING = frozenset({FW, LA, TW, CL, CW})
"""States whose ASSURED entries may be evicted, and whose RST needs no check. Source: tcp_can_early_drop()."""


def is_plain_ack(flags: int) -> bool:
    """Tell whether a segment neither begins, ends nor breaks a connection, and acknowledges."""
    return flags & 0x17 == 0x10


class TcpTracker:
    """TCP: the table above, window tracking, and time-outs by state."""

    def __init__(self, services: Services, table: ConntrackTable) -> None:
        self._conf = services.sysctl.conntrack
        self._table = table

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Mirror tcp_can_early_drop()."""
        return ct.tcp is not None and ct.tcp.state in CLOSING

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Mirror nf_conntrack_tcp_packet()."""
        data = skb.data
        at = (data[0] & 15) * 4
        segment = read_segment(data, at)
        if segment is None:
            return INVALID
        if hook == NF_INET_PRE_ROUTING and self._conf.checksum and transport_sum_is_bad(skb, at, len(data) - at):
            return INVALID
        if segment.flags & 0x37 not in VALID_FLAGS:
            return INVALID
        if not ct.status & IPS_CONFIRMED and not self._new(ct, segment):
            return INVALID
        track = ct.tcp
        if track is None:
            raise InternalError(f"a confirmed TCP connection without state: {ct!r}")
        direction = 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0
        old_state = track.state
        new_state = TCP_CONNTRACKS[direction][segment.index][old_state]

        skip_window = False
        if new_state == TCP_CONNTRACK_SYN_SENT or new_state >= TCP_CONNTRACK_MAX:
            if new_state == TCP_CONNTRACK_MAX:
                return INVALID
            if new_state == TCP_CONNTRACK_IGNORE or old_state >= TCP_CONNTRACK_TIME_WAIT:
                if new_state == TCP_CONNTRACK_SYN_SENT and self._reopens(ct, track, direction, now):
                    return REPEAT
                if not self._resyncs(track, direction, segment):
                    self._annotate(track, direction, segment, old_state)
                    return UNCOUNTED
                old_state, new_state = TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_RECV
        elif new_state == TCP_CONNTRACK_TIME_WAIT:
            if self._challenge_ack(track, direction, segment, old_state):
                return UNCOUNTED
        elif new_state == TCP_CONNTRACK_SYN_SENT2:
            track.last_flags |= IP_CT_TCP_SIMULTANEOUS_OPEN
        elif new_state == TCP_CONNTRACK_SYN_RECV:
            if direction and segment.index == TCP_ACK_SET and track.last_flags & IP_CT_TCP_SIMULTANEOUS_OPEN:
                new_state = TCP_CONNTRACK_ESTABLISHED
        elif new_state == TCP_CONNTRACK_CLOSE and segment.index == TCP_RST_SET:
            new_state, skip_window = self._reset(ct, track, direction, segment, old_state)
            if new_state == TCP_CONNTRACK_MAX:
                return INVALID

        if not skip_window:
            ack_offset = ct.seqadj.offset(not direction, segment.ack - 1 & U32) if ct.seqadj is not None else 0
            verdict = in_window(track, direction, segment, bool(self._conf.tcp_be_liberal), ack_offset)
            if verdict == NFCT_TCP_IGNORE:
                return UNCOUNTED
            if verdict != NFCT_TCP_ACCEPT:
                self._handle_invalid(ct, track, direction, segment.index, now)
                return INVALID
        return self._moved(ct, track, direction, segment, old_state, new_state, now, skb)

    def repeat(self, ct: Conntrack, direction: int, octets: bytes, at: int, now: Ns) -> bool:
        """Track the segment at `at` as `packet` would, if only windows and expiry can move, or False: it has to.

        Such is an ACK of an ASSURED connection that is ESTABLISHED and stays so. Its checksum was looked at.
        """
        track = ct.tcp
        if track is None or track.state != TCP_CONNTRACK_ESTABLISHED or not track.seen[direction].td_maxwin:
            return False
        segment = read_segment(octets, at)
        if segment is None or not is_plain_ack(segment.flags):
            return False
        if in_window(track, direction, segment, bool(self._conf.tcp_be_liberal), 0) != NFCT_TCP_ACCEPT:
            return False  # what it learnt it learns again, with the same result
        self._moved(ct, track, direction, segment, TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_ESTABLISHED, now, None)
        return True

    def _new(self, ct: Conntrack, segment: Segment) -> bool:
        """Begin a connection, by a SYN or in its middle; False when it may not. Source: tcp_new()."""
        state = TCP_CONNTRACKS[0][segment.index][TCP_CONNTRACK_NONE]
        if state >= TCP_CONNTRACK_MAX:
            return False
        track = TcpTrack()
        first = track.seen[0]
        first.td_end = segment.end
        first.td_maxwin = segment.win or 1
        if state == TCP_CONNTRACK_SYN_SENT:
            first.td_maxend = first.td_end
            first.read_options(segment.options)
        elif not self._conf.tcp_loose:
            return False
        else:
            first.td_maxend = first.td_end + first.td_maxwin & U32
            # "We assume SACK and liberal window checking to handle window scaling"
            first.flags = track.seen[1].flags = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL
        ct.tcp = track
        return True

    def _reopens(self, ct: Conntrack, track: TcpTrack, direction: int, now: Ns) -> bool:
        """Kill an orderly closed (or reset by this side) connection that a SYN opens again."""
        closed = (track.seen[0].flags | track.seen[1].flags) & IP_CT_TCP_FLAG_CLOSE_INIT
        if closed or (track.last_dir == direction and track.last_index == TCP_RST_SET):
            self._table.kill(ct, now)
            return True
        return False

    def _resyncs(self, track: TcpTrack, direction: int, segment: Segment) -> bool:
        """Take over an ignored SYN that its SYN-ACK proves right: both ends are in sync, we were not."""
        if (
            segment.index != TCP_SYNACK_SET
            or track.last_index != TCP_SYN_SET
            or track.last_dir == direction
            or segment.ack != track.last_end
        ):
            return False
        sender = track.seen[track.last_dir]
        sender.td_end = sender.td_maxend = track.last_end
        sender.td_maxwin = track.last_win or 1
        sender.td_scale = track.last_wscale
        track.last_flags &= ~IP_CT_EXP_CHALLENGE_ACK
        sender.flags = track.last_flags
        answerer = track.seen[direction]
        liberal = answerer.flags & IP_CT_TCP_FLAG_BE_LIBERAL  # a side once picked up stays so (observed, 6.18)
        answerer.clear()
        answerer.flags = liberal
        return True

    def _annotate(self, track: TcpTrack, direction: int, segment: Segment, old_state: int) -> None:
        """Remember an ignored segment: its answer tells whether it was right."""
        track.last_index = segment.index
        track.last_dir = direction
        track.last_seq = segment.seq
        track.last_end = segment.end
        track.last_win = segment.win
        if segment.index == TCP_SYN_SET and not direction:
            seen = Seen()
            seen.read_options(segment.options)
            track.last_wscale = seen.td_scale
            track.last_flags = seen.flags & (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM)
            if old_state == TCP_CONNTRACK_LAST_ACK:
                track.last_flags |= IP_CT_EXP_CHALLENGE_ACK
        if old_state == TCP_CONNTRACK_SYN_SENT and segment.index == TCP_ACK_SET and direction:
            track.last_ack = segment.ack

    def _challenge_ack(self, track: TcpTrack, direction: int, segment: Segment, old_state: int) -> bool:
        """Tell an RFC 5961 challenge ACK from the ACK of the last FIN."""
        if (
            old_state == TCP_CONNTRACK_LAST_ACK
            and segment.index == TCP_ACK_SET
            and track.last_dir != direction
            and track.last_index == TCP_SYN_SET
            and track.last_flags & IP_CT_EXP_CHALLENGE_ACK
        ):
            track.last_flags &= ~IP_CT_EXP_CHALLENGE_ACK
            return True
        return False

    def _reset(
        self, ct: Conntrack, track: TcpTrack, direction: int, segment: Segment, old_state: int
    ) -> tuple[int, bool]:
        """Judge a RST: (new state, whether the windows need not be asked); TCP_CONNTRACK_MAX is INVALID."""
        if old_state in CLOSING:
            return TCP_CONNTRACK_CLOSE, True  # the tuple may have been used again already
        peer = track.seen[not direction]
        established = old_state == TCP_CONNTRACK_ESTABLISHED and bool(ct.status & IPS_ASSURED)
        new_state = TCP_CONNTRACK_CLOSE
        if peer.flags & IP_CT_TCP_FLAG_MAXACK_SET and track.last_index != TCP_SYN_SET:
            if segment.seq == 0 and not established:
                return TCP_CONNTRACK_CLOSE, False  # an answer to a SYN we let go through
            if before(segment.seq, peer.td_maxack) and not self._conf.tcp_ignore_invalid_rst:
                return TCP_CONNTRACK_MAX, False
            if not established or segment.seq == peer.td_maxack:
                return TCP_CONNTRACK_CLOSE, False
            if track.last_index == TCP_ACK_SET and track.last_dir == direction and segment.seq == track.last_end:
                return TCP_CONNTRACK_CLOSE, False  # part of a train: data, then the RST behind it
            # "RST sequence number doesn't match exactly, keep established state to allow a possible challenge ACK."
            new_state = old_state
        # "RST sent to invalid SYN or ACK we had let through": a SYN is answered by the other side (observed, 6.18).
        if track.last_index == TCP_SYN_SET:
            answers = bool(ct.status & IPS_SEEN_REPLY) and track.last_dir != direction
        else:
            answers = track.last_index == TCP_ACK_SET and not ct.status & IPS_ASSURED
        if answers and segment.ack == track.last_end:
            return new_state, True
        if (
            old_state == TCP_CONNTRACK_SYN_SENT
            and track.last_index == TCP_ACK_SET
            and track.last_dir == 1
            and segment.seq == track.last_ack
        ):
            return new_state, True  # "Reset in response to a challenge-ack we let through earlier"
        return new_state, False

    def _moved(
        self, ct: Conntrack, track: TcpTrack, direction: int, segment: Segment, old_state: int, new_state: int, now: Ns,
        skb: Skb | None,
    ) -> int:  # fmt: skip
        """Set the state, and how long it lasts: NF_ACCEPT or, where the packet is not to be counted, UNCOUNTED."""
        index = segment.index
        track.last_index = index
        track.last_dir = direction
        track.state = new_state
        if old_state != new_state:
            if new_state == TCP_CONNTRACK_FIN_WAIT:
                track.seen[direction].flags |= IP_CT_TCP_FLAG_CLOSE_INIT
            ct.events |= IPCT_PROTOINFO
        timeout = self._timeout(track, index, new_state)
        status = ct.status
        if not status & IPS_SEEN_REPLY:
            if index == TCP_RST_SET:
                # "If only reply is a RST, we can consider ourselves not to have an established connection"
                if skb is not None:
                    self._table.account(ct, skb)
                self._table.kill(ct, now)
                return UNCOUNTED
            if index == TCP_SYN_SET and old_state == TCP_CONNTRACK_SYN_SENT:
                return UNCOUNTED  # "do not renew timeout on SYN retransmit"
            if new_state == TCP_CONNTRACK_ESTABLISHED:
                timeout = min(timeout, self._conf.tcp_timeout_unacknowledged)
        elif (
            not status & IPS_ASSURED
            and old_state in (TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_ESTABLISHED)
            and new_state == TCP_CONNTRACK_ESTABLISHED
        ):
            ct.status |= IPS_ASSURED
            ct.events |= IPCT_ASSURED
        self._table.refresh(ct, timeout, now)
        return NF_ACCEPT

    def _timeout(self, track: TcpTrack, index: int, state: int) -> Ns:
        """Return the life of an entry in `state`, capped while retransmissions or unacknowledged data hang."""
        conf = self._conf
        timeout: Ns = getattr(conf, TIMEOUTS[state])
        if track.retrans >= conf.tcp_max_retrans and timeout > conf.tcp_timeout_max_retrans:
            return conf.tcp_timeout_max_retrans
        if index == TCP_RST_SET:
            return conf.tcp_timeout_close
        flags = track.seen[0].flags | track.seen[1].flags
        if flags & IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED and timeout > conf.tcp_timeout_unacknowledged:
            return conf.tcp_timeout_unacknowledged
        if track.last_win == 0 and timeout > conf.tcp_timeout_max_retrans:
            return conf.tcp_timeout_max_retrans
        return timeout

    def _handle_invalid(self, ct: Conntrack, track: TcpTrack, direction: int, index: int, now: Ns) -> None:
        """Shorten an established entry's life when both sides send FIN or RST that we call out of window.

        Source: nf_tcp_handle_invalid().
        """
        if not ct.status & IPS_ASSURED or ct.status & IPS_FIXED_TIMEOUT or index not in (TCP_RST_SET, TCP_FIN_SET):
            return
        if track.last_dir != direction and track.last_index in (TCP_FIN_SET, TCP_RST_SET):
            left = ct.timeout - now
            if left >= 120 * NS_PER_S and left > self._conf.tcp_timeout_unacknowledged:
                ct.timeout = now + self._conf.tcp_timeout_unacknowledged
            return
        track.last_index = index
        track.last_dir = direction
