"""UDP: the builder and the reader. Source: RFC 768; include/uapi/linux/udp.h."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from netsim.addr import Ip
from netsim.wire.ipv4 import IPPROTO_UDP
from netsim.wire.octets import Octets, need

UDP_HLEN = 8
CSUM_MANGLED_0 = 0xFFFF
"""What a checksum that comes out as 0000 is sent as, because 0000 says "no checksum" (include/net/checksum.h)."""

_HEADER = Struct("!HHHH")


class UdpHeader(NamedTuple):
    """The eight octets; `length` counts header and payload, `check` 0 means none."""

    sport: int
    dport: int
    length: int
    check: int


def build_udp(src: Ip, dst: Ip, sport: int, dport: int, payload: bytes = b"", *, checksum: bool = True) -> bytes:
    """Return header and payload. Without `checksum` the field is 0 (SO_NO_CHECK).

    Raises ValueError for a payload that the length field cannot count.
    """
    length = UDP_HLEN + len(payload)
    if length > 0xFFFF:
        raise ValueError(f"a UDP datagram of {length} octets cannot be written")
    check = 0
    if checksum:
        total = int.from_bytes(payload, "big")
        if length & 1:
            total <<= 8
        # The pseudo header counts the length a second time; the sum is never zero, since the protocol is in it.
        total += src + dst + IPPROTO_UDP + length + length + sport + dport
        check = 0xFFFF - (total % 0xFFFF or 0xFFFF) or CSUM_MANGLED_0
    return _HEADER.pack(sport, dport, length, check) + payload


def parse_udp(data: Octets, offset: int = 0) -> UdpHeader:
    """Read the header at `offset`. Raises Truncated."""
    need(data, offset, UDP_HLEN, "UDP header")
    return UdpHeader._make(_HEADER.unpack_from(data, offset))
