"""The receiving half of a connection: octets in order, octets that came early, SACK blocks, and the window it offers.

Theory. Space is counted in octets of payload: half of the receive buffer, which is what the kernel's default ratio
makes of it. The window offered starts small (`ssthresh`), opens with each segment received, is never taken back, and is
scaled up to whole units. Dynamic right-sizing doubles the buffer when an application drains more in a round trip than
the time before. Everything that decides what the window field says is in this file.
Source: __tcp_select_window(), tcp_select_window() (tcp_output.c), tcp_data_queue(), tcp_data_queue_ofo(),
tcp_sack_new_ofo_skb(), tcp_rcv_space_adjust(), tcp_rcvbuf_grow(), tcp_grow_window(), tcp_rcv_rtt_update()
(tcp_input.c), 6.18; RFC 2018, 2883.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from netsim.stack.sockets.tcp.options import TCP_MIN_MSS, TCP_MSS_DEFAULT
from netsim.stack.sockets.tcp.reno import TCP_INIT_CWND
from netsim.units import NS_PER_MS, Ns

TCP_RMEM_DEFAULT = 131_072
TCP_RMEM_MAX = 6_291_456
MAX_TCP_WINDOW = 65_535
TCP_NUM_SACKS = 4
TCP_MIN_RCVBUF = 1_152
"""Half of SOCK_MIN_RCVBUF."""


class Early(NamedTuple):
    """Octets that came before their turn. They overlap no other's."""

    seq: int
    end: int
    payload: bytes


def initial_window(space: int, mss: int) -> int:
    """Return the first window: as many whole segments as fit. Source: tcp_select_initial_window()."""
    space = min(space, MAX_TCP_WINDOW)
    return space // mss * mss if space > mss else space


class Receiver:
    """One half, in the socket's counts: `rcv_nxt` is the next octet wanted, `fin` where the FIN stands.

    `rcv_wup` is `rcv_nxt` when the last window was sent, `rcv_wnd` that window. `locked` is an application's own
    rcvbuf. `cramped`: when a window was last chosen, less than half of the room was left.
    """

    __slots__ = (
        "_octets", "_queue", "_queue_at", "advmss", "copied_seq", "cramped", "dsack", "early", "early_octets", "fin",
        "locked", "rcv_mss", "rcv_nxt", "rcv_wnd", "rcv_wup", "rtt", "rtt_seq", "rtt_time", "rtt_tsecr", "sacks",
        "space", "space_copied", "space_seq", "space_time", "ssthresh", "window_clamp", "wscale",
    )  # fmt: skip

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._queue_at = 0
        self._octets = 0
        self.early: list[Early] = []
        self.early_octets = 0
        self.sacks: list[tuple[int, int]] = []
        self.dsack: tuple[int, int] | None = None
        self.fin: int | None = None
        self.rcv_nxt = self.rcv_wup = self.copied_seq = 0
        self.rcv_wnd = 0
        self.space = TCP_RMEM_DEFAULT // 2
        self.locked = self.cramped = False
        self.window_clamp = self.space
        self.ssthresh = 0
        self.wscale = 0
        self.advmss = self.rcv_mss = TCP_MSS_DEFAULT
        self.rtt: Ns = 0
        self.rtt_seq = 0
        self.rtt_time: Ns = 0
        self.rtt_tsecr = -1
        self.space_seq = 0
        self.space_time: Ns = 0
        self.space_copied = 0

    def lock(self, rcvbuf: int) -> None:
        """Take an application's buffer size, which the kernel doubles and halves again. Source: SO_RCVBUF."""
        self.space = max(rcvbuf, TCP_MIN_RCVBUF)
        self.locked = True
        self.window_clamp = min(self.window_clamp, self.space)

    @property
    def queued(self) -> int:
        """Octets in order that the application has not read."""
        return self._octets

    def offer(self, mss: int) -> int:
        """Choose the first window, for a SYN; returns it."""
        self.rcv_wnd = self.ssthresh = initial_window(self.space, mss)
        return self.rcv_wnd

    def start(self, rcv_nxt: int, advmss: int, mss: int, wscale: int, *, now: Ns) -> None:
        """Begin with the peer's first octet. Mirrors tcp_init_buffer_space(), tcp_initialize_rcv_mss().

        `advmss` is what we told the peer, less options; `mss` what we send.
        """
        self.rcv_nxt = self.rcv_wup = self.copied_seq = self.space_seq = rcv_nxt
        self.advmss = advmss
        self.wscale = wscale
        self.rcv_mss = max(TCP_MIN_MSS, min(advmss, mss, self.rcv_wnd // 2, TCP_MSS_DEFAULT))
        self.window_clamp = min(self.space, MAX_TCP_WINDOW << wscale)
        if self.window_clamp > 2 * advmss and self.window_clamp + advmss > self.space:
            self.window_clamp = max(2 * advmss, self.space - advmss)
        self.ssthresh = min(self.ssthresh, self.window_clamp)
        self.space_copied = min(self.ssthresh, self.rcv_wnd, TCP_INIT_CWND * advmss)
        self.space_time = now

    # The window

    @property
    def window(self) -> int:
        """What is left of the window last offered. Source: tcp_receive_window()."""
        return max(0, self.rcv_wup + self.rcv_wnd - self.rcv_nxt)

    def select(self) -> int:
        """Return the window that could be offered now. Mirrors __tcp_select_window()."""
        full = min(self.space, self.window_clamp)
        mss = min(self.rcv_mss, full)
        free = max(0, self.space - self._octets - self.early_octets)
        unit = 1 << self.wscale
        self.cramped = free < full // 2
        if self.cramped:
            rounded = free & ~(unit - 1)
            if rounded < self.space >> 4 or rounded < mss:
                return 0
        free = min(free, self.ssthresh)
        if self.wscale:
            return -(-free // unit) * unit
        window = self.rcv_wnd
        if window <= free - mss or window > free:
            window = free // mss * mss if mss else free
        elif mss == full and free > window + full // 2:
            window = free
        return window

    def advertise(self) -> int:
        """Settle the window for a segment about to leave and return its field. Mirrors tcp_select_window()."""
        offered = self.window
        window = self.select()
        if window < offered:
            unit = 1 << self.wscale
            window = -(-offered // unit) * unit  # never take back what was offered
        if not self.wscale:
            window = min(window, MAX_TCP_WINDOW)
        self.rcv_wnd = window
        self.rcv_wup = self.rcv_nxt
        return min(window >> self.wscale, MAX_TCP_WINDOW)

    def grow(self, octets: int) -> None:
        """Open the window for a segment worth it. Mirrors tcp_grow_window()."""
        room = min(self.window_clamp, self.space) - self.ssthresh
        if octets >= 128 and room > 0:
            self.ssthresh += min(room, 2 * self.advmss)

    # Arrivals

    def put(self, payload: bytes) -> None:
        """Append octets that are next in order."""
        if payload:
            self._queue.append(payload)
            self._octets += len(payload)
            self.rcv_nxt += len(payload)

    def put_early(self, seq: int, payload: bytes, fin: int = 0) -> bool:
        """Keep octets that came early; False when all of them are there already. Mirrors tcp_data_queue_ofo().

        `fin` 1 says that a FIN stands behind them: SACK blocks count it.
        """
        end = seq + len(payload)
        early = self.early
        if not early or seq >= early[-1].end:
            early.append(Early(seq, end, payload))
            self.early_octets += len(payload)
            self.sack(seq, end + fin)
            return True
        at = bisect_right(early, seq, key=_early_seq)
        if at and early[at - 1].end > seq:
            at -= 1
        pieces = []
        left = seq
        while at < len(early) and early[at].seq < end:
            if left < early[at].seq:
                pieces.append(Early(left, early[at].seq, payload[left - seq : early[at].seq - seq]))
            left = max(left, early[at].end)
            at += 1
        if left < end:
            pieces.append(Early(left, end, payload[left - seq :]))
        for piece in pieces:
            early.insert(bisect_right(early, piece.seq, key=_early_seq), piece)
            self.early_octets += piece.end - piece.seq
        if pieces:
            self.sack(seq, end + fin)
        return bool(pieces)

    def sack(self, left: int, right: int) -> None:
        """Put a range in front of the SACK blocks, joined with those it touches. Mirrors tcp_sack_new_ofo_skb()."""
        kept = []
        for block in self.sacks:
            if block[0] <= right and left <= block[1]:
                left, right = min(left, block[0]), max(right, block[1])
            else:
                kept.append(block)
        self.sacks = [(left, right), *kept[: TCP_NUM_SACKS - 1]]

    def drain_early(self) -> bool:
        """Move early octets whose turn has come into the queue; True when any moved. Mirrors tcp_ofo_queue()."""
        early = self.early
        moved = 0
        while moved < len(early) and early[moved].seq <= self.rcv_nxt:
            piece = early[moved]
            moved += 1
            self.early_octets -= piece.end - piece.seq
            if piece.end > self.rcv_nxt:
                self.put(piece.payload[self.rcv_nxt - piece.seq :] if piece.seq < self.rcv_nxt else piece.payload)
        if moved:
            del early[:moved]
            self.sacks = [block for block in self.sacks if block[1] > self.rcv_nxt]
        return bool(moved)

    def forget_early(self) -> None:
        """Drop what came early: the FIN stood before it."""
        self.early.clear()
        self.early_octets = 0
        self.sacks = []

    # The application, and what it teaches

    def take(self, limit: int) -> bytes:
        """Hand out up to `limit` octets (0: all)."""
        if not limit or limit >= self._octets:
            if self._queue_at:
                self._queue[0] = self._queue[0][self._queue_at :]
            taken = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
            self._queue.clear()
            self._queue_at = 0
        else:
            pieces = []
            want = limit
            while want:
                piece = self._queue[0]
                part = piece[self._queue_at : self._queue_at + want]
                pieces.append(part)
                want -= len(part)
                self._queue_at += len(part)
                if self._queue_at == len(piece):
                    self._queue.popleft()
                    self._queue_at = 0
            taken = b"".join(pieces)
        self._octets -= len(taken)
        self.copied_seq += len(taken)
        return taken

    def measure(self, tsecr: int, tsval_now: int, octets: int, *, now: Ns) -> None:
        """Estimate the round trip as a receiver can: from echoed stamps, or (tsecr -1) a window's worth of data.

        Mirrors tcp_rcv_rtt_measure_ts() and tcp_rcv_rtt_measure(); stamps have a grain of 1 ms.
        """
        if tsecr >= 0:
            if tsecr == self.rtt_tsecr or octets < self.rcv_mss:
                return
            self.rtt_tsecr = tsecr
            sample = ((tsval_now - tsecr) & 0xFFFFFFFF) * NS_PER_MS
            if not sample:
                return
            if not self.rtt or sample < self.rtt:
                self.rtt = sample
            elif self.rcv_nxt == self.copied_seq:  # with octets unread it would measure the reader
                self.rtt += (sample - self.rtt) // 8
            return
        if self.rtt_time and self.rcv_nxt < self.rtt_seq:
            return
        if self.rtt_time:
            sample = max(1000, now - self.rtt_time)
            self.rtt = min(self.rtt, sample) if self.rtt else sample
        self.rtt_seq = self.rcv_nxt + self.rcv_wnd
        self.rtt_time = now

    def right_size(self, now: Ns) -> None:
        """Grow the buffer to what the application drains in a round trip. Mirrors tcp_rcv_space_adjust()."""
        if not self.rtt or now - self.space_time < self.rtt:
            return
        copied = self.copied_seq - self.space_seq - self._octets  # what waits unread is no rate
        if copied > self.space_copied:
            self.grow_space(copied)
        self.space_seq = self.copied_seq
        self.space_time = now

    def grow_space(self, copied: int) -> None:
        """Make room for what a sender that doubles its rate sends in two round trips, and for what came early.

        Mirrors tcp_rcvbuf_grow() (6.18).
        """
        before, self.space_copied = self.space_copied, copied
        if self.locked:
            return
        window = 2 * copied
        window += 2 * (window * (copied - before) // before)
        if self.early:
            window += self.early[-1].end - self.rcv_nxt
        space = min(window, TCP_RMEM_MAX // 2)
        if space > self.space:
            self.space = space
            self.window_clamp = min(space, MAX_TCP_WINDOW << self.wscale)


def _early_seq(piece: Early) -> int:
    return piece.seq
