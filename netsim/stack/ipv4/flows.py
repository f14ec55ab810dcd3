"""What is remembered of one flow: how its packets came through the box the whole way, said so that it can be repeated.

Values only; memory.py decides when they are made, when they hold and when they are forgotten.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from netsim.stack.device import Device
from netsim.stack.netfilter.ct_tcp import is_plain_ack
from netsim.stack.outbox import Wake
from netsim.units import Ns
from netsim.wire.checksum import delta32, join
from netsim.wire.ether import ETH_HLEN
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IP_HLEN, IPPROTO_TCP, IPPROTO_UDP

if TYPE_CHECKING:
    from netsim.stack.neigh.entry import Neighbour
    from netsim.stack.netfilter.ct_tcp import TcpTracker
    from netsim.stack.sockets.datagram import DatagramSocket

FIELDS = Struct("!16sHHH2sH12sHH")
"""A frame's first 42 octets: Ethernet header with version and tos, length, id, fragment word, ttl with protocol, header
checksum, addresses with ports, UDP length and checksum (of TCP the sequence number). What is no key stands alone."""

SHORTEST = ETH_HLEN + IP_HLEN + 8
TCP_AT = ETH_HLEN + IP_HLEN
_TCP_FLAGS_AT = TCP_AT + 13
_TCP_SUM_AT = TCP_AT + 16
_TCP_SHORTEST = TCP_AT + 20
_PLAIN_HEADER = 0x45

Fields = tuple[bytes, int, int, int, bytes, int, bytes, int, int]
Key = tuple[bytes, int, bytes, bytes]
"""Ethernet header with version and tos, fragment word, ttl with protocol, addresses with ports."""


class Trail:
    """What a packet carries that goes the whole way while the box watches, so that the next one need not.

    `frame` is what came in by `device`, None for a packet of the socket `sender`; `taker` the socket that got it.
    Whoever does to the packet what its successors cannot have done by rote sets `skb.trail = None`.
    """

    __slots__ = ("device", "frame", "key", "sender", "taker")

    def __init__(
        self, key: Any, device: str = "", frame: Frame | None = None, sender: DatagramSocket | None = None
    ) -> None:
        self.key = key
        self.device = device
        self.frame = frame
        self.sender = sender
        self.taker: DatagramSocket | None = None


class Flow:
    """How the packets of one key go. `taker` is the socket they end in; None: they leave by `out` to `neigh`.

    `limit` is the longest frame that goes so, in octets. `ct` is their connection, None where none is tracked, in
    `ct_status` (a packet that finds another moves it) and renewed for `ct_timeout` (-1: not at all); `ct_at` is the
    place of their counters. `tcp` tracks the segments of a TCP connection, and renews it. `header` is the link header's
    very object: neigh makes a new one whenever anything changes.
    """

    __slots__ = (
        "ct", "ct_at", "ct_status", "ct_timeout", "dev", "ends", "head", "head_delta", "header", "last", "limit",
        "neigh", "out", "pseudo", "sockets_at", "sum_delta", "taker", "tcp", "translated", "udp", "wake", "words",
    )  # fmt: skip

    def __init__(self, key: Key, dev: Device) -> None:
        head, fragment, last, ends = key
        self.dev = dev
        self.udp = last[1] == IPPROTO_UDP
        self.words = _sum(head[ETH_HLEN:]) + fragment + _sum(last) + _sum(ends[:8])
        self.pseudo = _sum(ends) + last[1]
        self.ct: Any = None  # netfilter's Conntrack
        self.ct_status = 0
        self.ct_timeout: Ns = -1
        self.ct_at = 0
        self.tcp: TcpTracker | None = None
        self.limit = 0
        self.taker: DatagramSocket | None = None
        self.wake: Wake | None = None
        self.sockets_at = 0
        self.translated = False
        self.head = head
        self.head_delta = 0
        self.last = last
        self.ends = ends
        self.sum_delta = 0
        self.out = dev
        self.neigh: Neighbour | None = None
        self.header: bytes | None = None

    def leads(self, key: Key, out: Device, neigh: Neighbour, header: bytes, octets: bytes) -> None:
        """Go out as the frame `octets` did: its TTL, addresses and ports against those that came in."""
        _, _, last, ends = key
        self.out, self.neigh, self.header = out, neigh, header
        self.head, _, _, _, self.last, _, self.ends, _, _ = FIELDS.unpack_from(octets)
        self.translated = ends != self.ends
        self.sum_delta = join(*(delta32(_word(ends, at), _word(self.ends, at)) for at in range(0, 12, 4)))
        # The header's sum has the TTL's word and the addresses.
        self.head_delta = join(
            delta32(_sum(last), _sum(self.last)),
            *(delta32(_word(ends, at), _word(self.ends, at)) for at in (0, 4)),
        )

    def intact(self, fields: Fields, octets: bytes) -> bool:
        """Tell whether header, UDP's length and the checksum, TCP's where it is tracked, are what a receiver takes."""
        _, length, ident, _, _, check, _, size, total = fields
        if (self.words + length + ident + check) % 0xFFFF:
            return False
        if self.tcp is not None:
            payload = int.from_bytes(octets[SHORTEST:], "big")
            words = self.pseudo + length - IP_HLEN + size + total  # the latter two are TCP's sequence number
            return not ((payload << 8 if length & 1 else payload) + words) % 0xFFFF
        if not self.udp:
            return True
        if size != length - IP_HLEN:
            return False
        if not total:
            return True
        payload = int.from_bytes(octets[SHORTEST:], "big")
        return not ((payload << 8 if size & 1 else payload) + self.pseudo + size + size + total) % 0xFFFF

    def rewritten(self, fields: Fields, octets: bytes) -> bytes:
        """Return the frame that goes out for the one that came in; b"" when its UDP checksum needs the era's say.

        Every change is a constant of the flow, so it moves each checksum by a constant, too (wire/checksum.py).
        """
        _, length, ident, fragment, _, check, _, size, total = fields
        check = (check - self.head_delta) % 0xFFFF
        if self.translated and not self.udp:
            at = _TCP_SUM_AT
            tcp_sum = ((octets[at] << 8 | octets[at + 1]) - self.sum_delta) % 0xFFFF
            return (
                FIELDS.pack(self.head, length, ident, fragment, self.last, check, self.ends, size, total)
                + octets[SHORTEST:at] + tcp_sum.to_bytes(2, "big") + octets[at + 2 :]
            )  # fmt: skip
        if self.translated and total:  # 0: sent without a checksum, and so it stays
            total = (total - self.sum_delta) % 0xFFFF
            if not total:
                return b""
        return (
            FIELDS.pack(self.head, length, ident, fragment, self.last, check, self.ends, size, total)
            + octets[SHORTEST:]
        )


class Way:
    """How the datagrams of one socket to one destination leave: everything of the frame but what each has of its own.

    `limit` is the longest payload that goes so; `source` is what the socket shows as the address it last sent from.
    `epoch` is the memory's when it was learnt: another one means that the ground moved.
    """

    __slots__ = (
        "ends", "epoch", "fragment", "head", "header", "last", "limit", "neigh", "out", "pseudo", "source", "words",
    )  # fmt: skip

    def __init__(self, octets: bytes, out: Device, neigh: Neighbour, header: bytes, limit: int, epoch: int) -> None:
        self.head, _, _, self.fragment, self.last, _, self.ends, _, _ = FIELDS.unpack_from(octets)
        self.words = _sum(self.head[ETH_HLEN:]) + self.fragment + _sum(self.last) + _sum(self.ends[:8])
        self.pseudo = _sum(self.ends) + IPPROTO_UDP
        self.source = _word(self.ends, 0)
        self.out = out
        self.neigh = neigh
        self.header = header
        self.limit = limit
        self.epoch = epoch

    def frame(self, payload: bytes, ident: int) -> bytes:
        """Return the frame of a datagram."""
        size = len(payload) + 8
        length = size + IP_HLEN
        check = 0xFFFF - ((self.words + length + ident) % 0xFFFF or 0xFFFF)
        total = int.from_bytes(payload, "big")
        if size & 1:
            total <<= 8
        # As build_udp(): the pseudo header counts the length a second time.
        total = 0xFFFF - ((total + self.pseudo + size + size) % 0xFFFF or 0xFFFF) or 0xFFFF
        return FIELDS.pack(self.head, length, ident, self.fragment, self.last, check, self.ends, size, total) + payload


def key_of(frame: Frame) -> Key | None:
    """Return what a frame's flow is known by; None for a packet whose like is never remembered.

    Remembered are undamaged UDP and TCP packets that are whole, without options, and as long as their frame.
    """
    octets = frame.octets
    if frame.bad or len(octets) < SHORTEST or octets[ETH_HLEN] != _PLAIN_HEADER:
        return None
    head, length, _, fragment, last, _, ends, _, _ = FIELDS.unpack_from(octets)
    if last[1] not in (IPPROTO_UDP, IPPROTO_TCP) or fragment & 0x3FFF or len(octets) != length + ETH_HLEN:
        return None
    return head, fragment, last, ends


def is_plain_tcp(octets: bytes) -> bool:
    """Tell whether a TCP frame without IP options may go by rote where connections are tracked."""
    return len(octets) >= _TCP_SHORTEST and is_plain_ack(octets[_TCP_FLAGS_AT])


def _word(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 4], "big")


def _sum(octets: bytes) -> int:
    """Return the partial sum of an even number of octets, unfolded."""
    return int.from_bytes(octets, "big")
