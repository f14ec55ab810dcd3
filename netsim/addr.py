"""IPv4 and MAC addresses as the stack holds them: an int of 32 bits, six octets.

ipaddress objects cost 1 to 3 us each to make and compare; a lookup key of ints costs 0.1 us. Text exists at the edges.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

Ip: TypeAlias = int
Mac: TypeAlias = bytes

ANY: Ip = 0
LOOPBACK: Ip = 0x7F000001
LIMITED_BROADCAST: Ip = 0xFFFFFFFF
BROADCAST_MAC: Mac = b"\xff" * 6
ZERO_MAC: Mac = bytes(6)

MASKS: tuple[int, ...] = tuple((0xFFFFFFFF << (32 - n)) & 0xFFFFFFFF for n in range(33))
"""MASKS[24] is 0xFFFFFF00."""

_QUAD = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


def parse_ip(text: str) -> Ip:
    """Read a dotted quad. Raises ValueError for anything else, "10.1" and "010.0.0.1" included."""
    match = _QUAD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an IPv4 address")
    a, b, c, d = (int(octet) for octet in match.groups())
    if max(a, b, c, d) > 255:
        raise ValueError(f"{text!r} is not an IPv4 address")
    return a << 24 | b << 16 | c << 8 | d


def ip_str(ip: Ip) -> str:
    """Print an address as a dotted quad."""
    return f"{ip >> 24}.{ip >> 16 & 255}.{ip >> 8 & 255}.{ip & 255}"


def parse_mac(text: str) -> Mac:
    """Read "02:00:00:00:01:02". Raises ValueError."""
    if _MAC.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a MAC address")
    return bytes(int(part, 16) for part in text.split(":"))


def mac_str(mac: Mac) -> str:
    """Print a MAC address in lower case with colons."""
    return mac.hex(":")


class Prefix(NamedTuple):
    """An address and a length; host bits are kept as given (rules keep them, routes refuse them)."""

    addr: Ip
    plen: int

    def __str__(self) -> str:
        return f"{ip_str(self.addr)}/{self.plen}"

    @property
    def network(self) -> Prefix:
        """The same prefix with host bits cleared."""
        return Prefix(self.addr & MASKS[self.plen], self.plen)

    def holds(self, ip: Ip) -> bool:
        """Tell whether `ip` lies inside."""
        return not (self.addr ^ ip) & MASKS[self.plen]


def parse_prefix(text: str) -> Prefix:
    """Read "10.0.0.0/8", or a bare address as /32. Raises ValueError."""
    quad, slash, length = text.partition("/")
    if slash and not (length.isascii() and length.isdigit() and int(length) <= 32):
        raise ValueError(f"{text!r} is not an IPv4 prefix")
    return Prefix(parse_ip(quad), int(length) if slash else 32)


def is_multicast(ip: Ip) -> bool:
    """Tell whether `ip` is in 224.0.0.0/4."""
    return ip >> 28 == 0xE


def is_loopback(ip: Ip) -> bool:
    """Tell whether `ip` is in 127.0.0.0/8."""
    return ip >> 24 == 127


def is_zeronet(ip: Ip) -> bool:
    """Tell whether `ip` is in 0.0.0.0/8."""
    return ip >> 24 == 0


def multicast_mac(ip: Ip) -> Mac:
    """Return 01:00:5e and the low 23 bits. Source: RFC 1112 section 6.4."""
    return b"\x01\x00\x5e" + (ip & 0x7FFFFF).to_bytes(3, "big")
