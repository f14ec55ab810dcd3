"""What was sent and is not acknowledged: the retransmission queue, its SACK marks, and who counts as lost.

Theory. Each segment (sent.py) carries marks and the instant of its last transmission; four counters
follow the marks, and packets in flight = packets_out - sacked_out - lost_out + retrans_out. Loss is judged by time
(rack.py). Without SACK the counters are fed by duplicate ACKs (recovery.py does that) and the first segment is the
lost one. Source: tcp_clean_rtx_queue(), tcp_sacktag_one(), tcp_mark_skb_lost(), tcp_timeout_mark_lost() (tcp_input.c),
tcp_rack_detect_loss() (tcp_recovery.c, 6.x); RFC 2018, 8985.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from heapq import heappop, heappush

from netsim.stack.sockets.tcp.rack import TCP_MAX_REORDERING, Rack
from netsim.stack.sockets.tcp.sent import Delivered, Sent
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire.tcp import TCPHDR_FIN, TCPHDR_PSH

_COMPACT = 512


def _seq(sent: Sent) -> int:
    return sent.seq


class RtxQueue:
    """The queue of one connection, in order of sequence numbers.

    `delivered`, `lost_ever` and `duplicates` count what ever was delivered, found lost, and said to have come twice.
    """

    __slots__ = (
        "_blocks", "_by_time", "_head", "_lost", "_marks", "_order", "_sacked_to", "_segments", "delivered",
        "duplicates", "lost_ever", "lost_out", "packets_out", "rack", "retrans_out", "sacked_out", "skbs",
    )  # fmt: skip

    def __init__(self) -> None:
        self._segments: list[Sent] = []
        self._head = 0
        self._by_time: deque[tuple[int, Sent]] = deque()
        self._order = 0
        self._lost: list[tuple[int, int, Sent]] = []
        self._marks = 0
        self._blocks: dict[int, int] = {}
        self.packets_out = self.sacked_out = self.lost_out = self.retrans_out = 0
        self.lost_ever = 0
        self.skbs = 0
        self._sacked_to = 0
        self.delivered = 1
        self.duplicates = 0
        self.rack = Rack()

    @property
    def in_flight(self) -> int:
        """Segments believed to be in the network. Source: tcp_packets_in_flight()."""
        return self.packets_out - self.sacked_out - self.lost_out + self.retrans_out

    def add_reno_sacks(self, count: int, acked: int = 0) -> int:
        """Count duplicate ACKs (or, negative, forget some) as sacked; the oldest segment never is. Returns the change.

        More than can be are a sign of reordering. Source: tcp_add_reno_sack(), tcp_remove_reno_sacks(),
        tcp_check_reno_reordering(), tcp_limit_reno_sacked().
        """
        before = self.sacked_out
        most = self.packets_out - min(max(self.lost_out, 1), self.packets_out)
        self.sacked_out = max(0, before + count)
        if self.sacked_out > most:
            self.sacked_out = most
            self.rack.reordering = min(self.packets_out + acked, TCP_MAX_REORDERING)
            self.rack.reord_seen += 1
        return self.sacked_out - before

    def sacked_to(self, una: int) -> int:
        """Return where the highest sacked segment ends. Mirrors tcp_highest_sack_seq()."""
        return max(una, self._sacked_to) if self.sacked_out else una

    @property
    def retransmitting(self) -> bool:
        """Whether something that waits was sent again, as far as the oldest tells. Mirrors tcp_any_retrans_done()."""
        first = self.first()
        return self.retrans_out > 0 or (first is not None and first.ever)

    def first(self) -> Sent | None:
        """Return the oldest segment, None when all is acknowledged."""
        return self._segments[self._head] if self._head < len(self._segments) else None

    def last(self) -> Sent | None:
        """Return the newest segment."""
        return self._segments[-1] if self._head < len(self._segments) else None

    def push(self, sent: Sent) -> None:
        """Take in a segment sent for the first time."""
        self._segments.append(sent)
        self._in_order(sent)
        self.packets_out += 1

    def end_skb(self) -> None:
        """Note that the newest segment is the last of its skb, which lives until that one is acknowledged."""
        self._segments[-1].ends_skb = True
        self.skbs += 1

    def _in_order(self, sent: Sent) -> None:
        self._order += 1
        sent.order = self._order
        sent.prior = self.delivered
        self._by_time.append((sent.order, sent))

    def resent(self, sent: Sent, now: Ns, *, counted: bool = True) -> None:
        """Note a retransmission; a tail loss probe is not `counted`, its original still is in flight."""
        sent.sent_at = now
        sent.ever = True
        if counted and not sent.retrans:
            sent.retrans = True
            self.retrans_out += 1
        self._in_order(sent)

    def split(self, sent: Sent, size: int) -> None:
        """Cut a segment after `size` octets, the path has become narrower. Mirrors tcp_fragment()."""
        at = bisect_left(self._segments, sent.seq, self._head, key=_seq)
        rest = Sent(sent.seq + size, sent.end, sent.flags, sent.payload[size:], sent.sent_at)
        rest.sacked, rest.lost, rest.retrans, rest.ever = sent.sacked, sent.lost, sent.retrans, sent.ever
        rest.ends_skb, sent.ends_skb = sent.ends_skb, True
        self.skbs += 1
        sent.payload = sent.payload[:size]
        sent.end = sent.seq + size
        sent.flags &= ~(TCPHDR_FIN | TCPHDR_PSH)
        self._segments.insert(at + 1, rest)
        self._in_order(rest)
        self.packets_out += 1
        self.sacked_out += rest.sacked
        self.lost_out += rest.lost
        self.retrans_out += rest.retrans
        if rest.lost and not rest.retrans:
            self._file_lost(rest)

    def trim(self, sent: Sent, una: int) -> None:
        """Cut acknowledged octets off the oldest segment before it is sent again. Mirrors tcp_trim_head()."""
        if sent.seq < una < sent.end:
            sent.payload = sent.payload[una - sent.seq :]
            sent.seq = una

    def join(self, sent: Sent, space: int, window_end: int) -> None:
        """Fill a short segment that goes out again with those behind it, up to `space` octets, the FIN included.

        One that left in an skb with others is not taken. Mirrors tcp_retrans_try_collapse().
        """
        segments = self._segments
        at = end = bisect_left(segments, sent.seq, self._head, key=_seq) + 1
        space -= len(sent.payload)
        pieces = [sent.payload]
        while sent.ends_skb and end < len(segments):
            other = segments[end]
            space -= len(other.payload)
            if not other.ends_skb or other.sacked or space < 0 or other.end > window_end:
                break
            pieces.append(other.payload)
            sent.end = other.end
            sent.flags |= other.flags
            sent.ever |= other.ever
            self._let_go(other)
            end += 1
        if end > at:
            sent.payload = b"".join(pieces)
            del segments[at:end]

    def _let_go(self, sent: Sent) -> None:
        """Forget a segment whose octets another one has now. Mirrors tcp_adjust_pcount()."""
        sent.acked = True
        self.packets_out -= 1
        self.skbs -= 1
        self.lost_out -= sent.lost
        self.retrans_out -= sent.retrans

    # What an ACK does

    def acknowledge(
        self, una: int, now: Ns, told: Delivered, min_us: int, *, sack: bool, echoed_ms: int = -1
    ) -> None:  # fmt: skip
        """Let go of everything below `una`. Mirrors tcp_clean_rtx_queue().

        `echoed_ms`, unless -1, is the millisecond whose stamp the ACK echoes: what was sent again later than that had
        come before (tcp_skb_spurious_retrans()).
        """
        segments = self._segments
        head = self._head
        size = len(segments)
        while head < size:
            sent = segments[head]
            if sent.end > una:
                break
            head += 1
            sent.acked = True
            if sent.ever:
                told.retrans_acked = True
                if sent.retrans:
                    self.retrans_out -= 1
            elif not sent.sacked:
                told.last_at = sent.sent_at
                if told.first_at < 0:
                    told.first_at = sent.sent_at
                    told.original(sent.end)
                    told.first_seq = sent.seq
            if sent.sacked:
                self.sacked_out -= 1
            elif sack:
                told.delivered += 1
                self.delivered += 1
                told.arrived(sent)
                if not (sent.ever and -1 < echoed_ms < sent.sent_at // NS_PER_MS):
                    self._advance(sent, now, min_us)
            if sent.lost:
                self.lost_out -= 1
            if sent.ends_skb:
                self.skbs -= 1
            told.acked += 1
            told.lone = told.acked == 1 and sent.prior + 1 == self.delivered
        self.packets_out -= told.acked
        if head > _COMPACT:
            del segments[:head]
            head = 0
        self._head = head
        if head == len(segments):
            self._by_time.clear()
            self._blocks.clear()
            self._lost.clear()

    def sack(self, left: int, right: int, now: Ns, told: Delivered, min_us: int) -> None:
        """Mark whole segments inside a SACK block; what is known is not walked again. Mirrors tcp_sacktag_walk()."""
        known = self._blocks.get(left, right + 1)
        start = known if known <= right else left
        self._blocks[left] = right
        segments = self._segments
        at = bisect_left(segments, start, self._head, key=_seq)
        if at > self._head and segments[at - 1].end > start and segments[at - 1].seq >= left:
            at -= 1  # the block ended inside this one
        while at < len(segments):
            sent = segments[at]
            if sent.end > right:
                break
            at += 1
            if not sent.sacked:
                self._sack_one(sent, now, told, min_us)

    def _sack_one(self, sent: Sent, now: Ns, told: Delivered, min_us: int) -> None:
        self._advance(sent, now, min_us)
        told.arrived(sent)
        if not sent.ever:
            if sent.seq < self._sacked_to and self.sacked_out:
                told.overtaken(sent.seq)
            told.original(sent.end)
            if told.sack_at < 0:
                told.sack_at = sent.sent_at
            told.last_sack_at = sent.sent_at
        if sent.lost:
            sent.lost = False
            self.lost_out -= 1
            if sent.retrans:  # of what did not count as lost, the retransmission still is in flight
                sent.retrans = False
                self.retrans_out -= 1
        sent.sacked = True
        self._sacked_to = max(self._sacked_to, sent.end)
        self.sacked_out += 1
        self.delivered += 1
        told.sacked += 1
        told.delivered += 1

    def arrived_twice(self, left: int, right: int, marker: int, told: Delivered) -> int:
        """Return how many retransmitted segments lie in a duplicate SACK and end beyond `marker`.

        Source: tcp_sacktag_one(), "Account D-SACK for retransmitted packet".
        """
        count = 0
        for sent in self._inside(left, right):
            if sent.ever:
                count += sent.end > marker
                if sent.sacked:
                    told.overtaken(sent.seq)
        return count

    def clear_retransmissions(self, left: int, right: int) -> None:
        """Believe no more that retransmissions in a duplicate SACK are under way. Source: tcp_sacktag_one()."""
        for sent in self._inside(left, right):
            if sent.retrans:
                sent.retrans = False
                self.retrans_out -= 1

    def _inside(self, left: int, right: int) -> list[Sent]:
        at = bisect_left(self._segments, left, self._head, key=_seq)
        found = []
        while at < len(self._segments) and self._segments[at].end <= right:
            found.append(self._segments[at])
            at += 1
        return found

    def forget_blocks(self, una: int) -> None:
        """Drop remembered SACK blocks that lie below `una`."""
        self._blocks = {left: right for left, right in self._blocks.items() if right > una}

    # Who is lost

    def _advance(self, sent: Sent, now: Ns, min_us: int) -> None:
        """Remember the latest transmission that was delivered. Mirrors tcp_rack_advance()."""
        rtt = now - sent.sent_at
        if sent.ever and rtt < min_us * NS_PER_US:
            return  # the ACK was for the first transmission
        self.rack.advance(sent.order, rtt)

    def detect_loss(self, now: Ns, window: Ns) -> tuple[int, Ns]:
        """Mark what is lost by RACK; returns how many, and after which time to look again (0: no need).

        Mirrors tcp_rack_detect_loss().
        """
        by_time = self._by_time
        rack = self.rack
        found = 0
        longest = 0
        waiting = []
        while by_time and by_time[0][0] < rack.order:
            order, sent = by_time.popleft()
            if sent.acked or sent.sacked or sent.order != order or (sent.lost and not sent.retrans):
                continue
            remaining = rack.rtt + window - (now - sent.sent_at)
            if remaining > 0:
                waiting.append((order, sent))
                longest = max(longest, remaining)
            else:
                self.mark_lost(sent)
                found += 1
        by_time.extendleft(reversed(waiting))
        return found, longest

    def mark_lost(self, sent: Sent) -> None:
        """Count one segment as lost, or its retransmission as lost again. Mirrors tcp_mark_skb_lost()."""
        if sent.sacked:
            return
        if sent.lost:
            if not sent.retrans:
                return
            sent.retrans = False
            self.retrans_out -= 1
        else:
            sent.lost = True
            self.lost_out += 1
        self.lost_ever += 1
        if not sent.retrans:
            self._file_lost(sent)

    def _file_lost(self, sent: Sent) -> None:
        self._marks += 1
        heappush(self._lost, (sent.seq, self._marks, sent))

    def mark_all_lost(self, now: Ns, *, sack: bool) -> None:
        """Mark what a time-out makes lost: all not sent within the last round trip. Mirrors tcp_timeout_mark_lost().

        A peer that sacked the oldest segment and does not acknowledge it has reneged: its SACKs count no more.
        """
        live = self._segments[self._head :]
        if not live:
            return
        reneged = live[0].sacked
        if reneged:
            self._blocks.clear()
            self._sacked_to = 0
        if reneged or not sack:
            self.sacked_out = 0
        for sent in live:
            if reneged:
                sent.sacked = False
            elif sack and sent is not live[0] and self.rack.rtt > now - sent.sent_at:
                continue
            self.mark_lost(sent)

    def mark_long_lost(self, size: int) -> int:
        """Mark every segment of more than `size` octets; returns how many. Mirrors tcp_simple_retransmit()."""
        before = self.lost_out
        for sent in self._segments[self._head :]:
            if len(sent.payload) > size:
                self.mark_lost(sent)
        return self.lost_out - before

    def unmark_lost(self) -> None:
        """Take every loss mark back: the time-out or recovery was a mistake. Mirrors tcp_undo_cwnd_reduction()."""
        for sent in self._segments[self._head :]:
            if sent.lost:
                sent.lost = False
        self.lost_out = 0
        self._lost.clear()

    def next_lost(self) -> Sent | None:
        """Return the lowest lost segment that was not retransmitted since, None when there is none."""
        lost = self._lost
        while lost:
            seq, _, sent = lost[0]
            if sent.lost and not sent.retrans and not sent.sacked and not sent.acked and sent.seq >= seq:
                return sent
            heappop(lost)
        return None
