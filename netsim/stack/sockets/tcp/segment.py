"""A received segment as the input side looks at it, with sequence numbers that never wrap.

Theory. The wire has 32 bits of sequence; a socket counts octets in plain ints, which never wrap, so that order is `<`,
distance is `-` and a sorted list can be bisected. `unwrap` finds the count nearest to a known one; only reading and
writing a header know of 32 bits.
Source: RFC 9293 section 3.4; before(), after() (include/net/tcp.h), whose "nearest" this is.
"""

from __future__ import annotations

from struct import Struct

from netsim.stack.skb import Skb
from netsim.stack.sockets.tcp.options import read
from netsim.wire.ipv4 import IPPROTO_TCP
from netsim.wire.tcp import TCP_HLEN, TCPHDR_FIN, TCPHDR_SYN

_HEADER = Struct("!IIBBHHH")


def unwrap(value: int, near: int) -> int:
    """Return the count congruent to `value` modulo 2**32 that is nearest to `near`."""
    distance = (value - near) & 0xFFFFFFFF
    return near + (distance - 0x100000000 if distance & 0x80000000 else distance)


class Segment:
    """One received segment. `seq` and `ack` are as on the wire until `place` puts them into a socket's counts.

    `end` is `seq` plus payload, SYN and FIN; `tsval` is -1 without a timestamp.
    """

    __slots__ = ("ack", "end", "flags", "options", "payload", "sack", "seq", "skb", "tsecr", "tsval", "window")

    def __init__(self, skb: Skb, seq: int, ack: int, flags: int, window: int, payload: bytes, options: bytes) -> None:
        self.skb = skb
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.window = window
        self.payload = payload
        self.options = options
        self.end = seq + len(payload) + (1 if flags & TCPHDR_SYN else 0) + (1 if flags & TCPHDR_FIN else 0)
        found = read(options)
        self.tsval, self.tsecr = found.timestamp or (-1, 0)
        self.sack = found.sack

    def place(self, rcv_nxt: int, snd_una: int) -> None:
        """Put sequence and acknowledgement numbers into a socket's counts."""
        length = self.end - self.seq
        self.seq = unwrap(self.seq, rcv_nxt)
        self.end = self.seq + length
        self.ack = unwrap(self.ack, snd_una)


def parse(skb: Skb) -> Segment | None:
    """Read a segment, None when its header lies about its own length."""
    data = skb.data
    at = skb.ihl
    if len(data) < at + TCP_HLEN:
        return None
    seq, ack, doff, flags, window, _, _ = _HEADER.unpack_from(data, at + 4)
    start = at + (doff >> 4) * 4
    if start < at + TCP_HLEN or start > len(data):
        return None
    return Segment(skb, seq, ack, flags, window, bytes(data[start:]), bytes(data[at + TCP_HLEN : start]))


def checksum_ok(skb: Skb) -> bool:
    """Sum a segment with its pseudo header. Source: tcp_v4_checksum_init(), checksum.py's theory."""
    segment = skb.data[skb.ihl :]
    total = int.from_bytes(segment, "big")
    if len(segment) & 1:
        total <<= 8
    return (total + skb.saddr + skb.daddr + IPPROTO_TCP + len(segment)) % 0xFFFF == 0
