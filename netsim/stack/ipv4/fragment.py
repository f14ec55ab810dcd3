"""Fragments: splitting a packet for a small MTU, and putting one together again within its time.

Source: RFC 791 section 3.2; net/ipv4/ip_output.c ip_do_fragment(), ip_fragment.c, inet_fragment.c (6.x: an overlap that
is not an exact duplicate discards the whole queue).
"""

from __future__ import annotations

from collections.abc import Iterator

from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.skb import Skb
from netsim.stack.timers import Timer
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED
from netsim.wire.ipv4 import resum_header

MAX_PACKET = 65535
LOCAL_USER = -1
"""Who reassembles for local delivery; hooks use their own number (IP_DEFRAG_LOCAL_DELIVER)."""
IPOPT_COPY = 0x80
QUEUE_OCTETS = 256
"""What an incomplete packet takes beside its pieces (struct ipq, rounded)."""


def fragment(packet: bytearray, mtu: int) -> Iterator[bytearray]:
    """Yield the pieces of a packet for `mtu` octets; options without the copied flag stay on the first alone."""
    ihl = (packet[0] & 15) * 4
    flags = packet[6] << 8 | packet[7]
    base, more = (flags & 0x1FFF) * 8, flags & 0x2000
    keep = flags & 0xC000
    room = (mtu - ihl) & ~7
    payload = memoryview(packet)[ihl:]
    later = _later_header(packet, ihl)
    offset = 0
    while offset < len(payload):
        chunk = payload[offset : offset + room]
        last = offset + len(chunk) >= len(payload)
        piece = bytearray(packet[:ihl] if offset == 0 else later)
        piece += chunk
        field = keep | (base + offset) >> 3 | (more if last else 0x2000)
        piece[2:4] = len(piece).to_bytes(2, "big")
        piece[6:8] = field.to_bytes(2, "big")
        resum_header(piece)
        yield piece
        offset += len(chunk)


def _later_header(packet: bytearray, ihl: int) -> bytearray:
    """Return the header of later pieces: same length, options without the copied flag turned into no-operations."""
    header = bytearray(packet[:ihl])
    at = 20
    while at < ihl:
        kind = header[at]
        if kind == 0:
            break
        length = 1 if kind == 1 else header[at + 1] if at + 1 < ihl else 0
        if length < 1 or at + length > ihl:
            break
        if not kind & IPOPT_COPY:
            header[at : at + length] = b"\x01" * length
        at += length
    return header


class _Queue:
    """The pieces of one packet so far, by offset; the first frame's uid is answered for until the packet is whole."""

    __slots__ = ("biggest", "pieces", "received", "timer", "total")

    def __init__(self, timer: Timer) -> None:
        self.pieces: dict[int, Skb] = {}
        self.total = -1
        self.received = 0
        self.biggest = 0
        self.timer = timer


class Reassembly:
    """The incomplete packets of a box, by user (local delivery, conntrack), address pair, id and protocol."""

    def __init__(self, ctx: Ipv4Context) -> None:
        self._ctx = ctx
        self._queues: dict[tuple[int, int, int, int, int], _Queue] = {}
        self._memory = 0
        ctx.sysctl.ipv4.ipfrag_high_thresh = ctx.era.frag_high_thresh

    def held(self) -> int:
        """Count the received frames that wait here."""
        return sum(1 for queue in self._queues.values() for skb in queue.pieces.values() if skb.uid)

    def abandon(self, reason: str, *, now: Ns) -> None:
        """End all that waits here: the box lost power."""
        for key in [*self._queues]:
            self._discard(key, reason, now=now)

    def gather(self, skb: Skb, user: int, *, now: Ns) -> bool:
        """Take a piece; True once `skb` has become the whole packet, False when it was taken away.

        `user` keeps local delivery (LOCAL_USER) and each netfilter hook apart. Frames of pieces that merged into the
        whole are told as consumed; `frag_max` keeps the largest piece's size. Source: ip_defrag().
        """
        ident = skb.data[4] << 8 | skb.data[5]
        key = (user, skb.saddr, skb.daddr, ident, skb.proto)
        queue = self._queues.get(key)
        if self._memory > self._ctx.sysctl.ipv4.ipfrag_high_thresh:
            self._evict(key, now=now)
        if queue is None:
            if self._memory > self._ctx.sysctl.ipv4.ipfrag_high_thresh:
                self._ctx.exit.drop(skb, drop.NOMEM, now=now, detail="fragments take ipfrag_high_thresh")
                return False
            self._memory += QUEUE_OCTETS
            timer = self._ctx.timers.arm(now + self._ctx.sysctl.ipv4.ipfrag_time, lambda at: self._expire(key, now=at))
            queue = self._queues[key] = _Queue(timer)
        reason = self._insert(queue, skb)
        if reason:
            self._ctx.exit.drop(skb, reason, now=now)
            if reason != drop.DUP_FRAG or not self._duplicate(queue, skb):
                self._discard(key, reason, now=now)
            return False
        self._memory += skb.truesize
        if queue.total < 0 or queue.received < queue.total:
            return False
        self._forget(key)
        self._complete(queue, skb, now=now)
        return True

    @staticmethod
    def _duplicate(queue: _Queue, skb: Skb) -> bool:
        """Tell whether an equal piece is here already; a lone repeat does no harm."""
        other = queue.pieces.get(skb.fragment_offset)
        return other is not None and len(other.data) - other.ihl == len(skb.data) - skb.ihl

    @staticmethod
    def _insert(queue: _Queue, skb: Skb) -> str:
        """File a piece; return a drop reason for an odd, overlapping or contradicting one."""
        start = skb.fragment_offset
        size = len(skb.data) - skb.ihl
        more = bool(skb.data[6] & 0x20)
        end = start + size
        if end + skb.ihl > MAX_PACKET:
            return drop.FRAG_TOO_FAR
        if (more and size % 8) or size == 0:
            return drop.IP_INHDR
        if not more:
            if queue.total >= 0 and queue.total != end:
                return drop.IP_INHDR
            if any(at + len(piece.data) - piece.ihl > end for at, piece in queue.pieces.items()):
                return drop.IP_INHDR
        elif queue.total >= 0 and end > queue.total:
            return drop.IP_INHDR
        for at, piece in queue.pieces.items():
            if at < end and start < at + len(piece.data) - piece.ihl:
                return drop.DUP_FRAG
        if not more:
            queue.total = end
        queue.pieces[start] = skb
        queue.received += size
        queue.biggest = max(queue.biggest, len(skb.data))
        return ""

    def _complete(self, queue: _Queue, last: Skb, *, now: Ns) -> None:
        """Turn the last piece into the whole packet: it goes on as the last frame, the others are consumed."""
        first = queue.pieces[0]
        data = bytearray(first.data[: first.ihl])
        for start in sorted(queue.pieces):
            piece = queue.pieces[start]
            data += piece.data[piece.ihl :]
            if piece is not last:
                self._ctx.input.consumed(piece, now=now)
        data[2:4] = len(data).to_bytes(2, "big")
        data[6] &= 0x40
        data[7] = 0
        resum_header(data)
        last.data = data
        last.bad = any(piece.bad for piece in queue.pieces.values())
        last.frag_max = queue.biggest
        last.reload()

    def _discard(self, key: tuple[int, int, int, int, int], reason: str, *, now: Ns) -> None:
        for piece in self._forget(key).pieces.values():
            self._ctx.exit.drop(piece, reason, now=now)

    def _forget(self, key: tuple[int, int, int, int, int]) -> _Queue:
        """Take a queue off the table, its memory with it."""
        queue = self._queues.pop(key)
        queue.timer.cancel()
        self._memory -= QUEUE_OCTETS + sum(piece.truesize for piece in queue.pieces.values())
        return queue

    def _evict(self, spared: tuple[int, int, int, int, int], *, now: Ns) -> None:
        """Give up the oldest packets, where the era does, until the low threshold is met. Mirrors ip_evictor()."""
        low = self._ctx.era.frag_low_thresh
        if low is None:
            return
        for key in [key for key in self._queues if key != spared]:
            if self._memory <= low:
                return
            self._discard(key, drop.NOMEM, now=now)

    def _expire(self, key: tuple[int, int, int, int, int], *, now: Ns) -> None:
        """Give up after ipfrag_time; the sender hears of it when the first piece is here. Mirrors ip_expire()."""
        queue = self._forget(key)
        first = queue.pieces.get(0)
        if first is not None and first.route is not None:
            self._ctx.icmp.send(first, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, now=now)
        for piece in queue.pieces.values():
            self._ctx.exit.drop(piece, drop.FRAG_REASM_TIMEOUT, now=now)
