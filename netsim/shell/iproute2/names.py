"""Numbers and their names as /etc/iproute2 and iproute2's own tables have them, each in both directions.

An unknown number prints as a number and reads back. Source: iproute2 6.1 lib/rt_names.c, ip/rtm_map.c, etc/iproute2/*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from netsim.stack import dst

Reader: TypeAlias = Callable[[str], int]
"""Reads one name or number. Raises ValueError."""

TABLES: Mapping[int, str] = MappingProxyType({255: "local", 254: "main", 253: "default", 0: "unspec"})
PROTOCOLS: Mapping[int, str] = MappingProxyType({
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 99: "openr",
    186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
})  # fmt: skip
SCOPES: Mapping[int, str] = MappingProxyType({0: "global", 255: "nowhere", 254: "host", 253: "link", 200: "site"})
DSFIELDS: Mapping[int, str] = MappingProxyType({
    0x00: "default", 0x28: "AF11", 0x30: "AF12", 0x38: "AF13", 0x48: "AF21", 0x50: "AF22", 0x58: "AF23", 0x68: "AF31",
    0x70: "AF32", 0x78: "AF33", 0x88: "AF41", 0x90: "AF42", 0x98: "AF43", 0x20: "CS1", 0x40: "CS2", 0x60: "CS3",
    0x80: "CS4", 0xA0: "CS5", 0xC0: "CS6", 0xE0: "CS7", 0xB8: "EF",
})  # fmt: skip
TYPES: Mapping[int, str] = MappingProxyType({
    dst.RTN_UNSPEC: "none", dst.RTN_UNICAST: "unicast", dst.RTN_LOCAL: "local", dst.RTN_BROADCAST: "broadcast",
    dst.RTN_ANYCAST: "anycast", dst.RTN_MULTICAST: "multicast", dst.RTN_BLACKHOLE: "blackhole",
    dst.RTN_UNREACHABLE: "unreachable", dst.RTN_PROHIBIT: "prohibit", dst.RTN_THROW: "throw", dst.RTN_NAT: "nat",
    11: "xresolve",
})  # fmt: skip
IP_PROTOCOLS: Mapping[int, str] = MappingProxyType({
    1: "icmp", 2: "igmp", 4: "ipencap", 6: "tcp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 89: "ospf",
    132: "sctp", 136: "udplite",
})  # fmt: skip
NUD_STATES: Mapping[int, str] = MappingProxyType({
    0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY", 0x10: "PROBE", 0x20: "FAILED", 0x40: "NOARP",
    0x80: "PERMANENT",
})  # fmt: skip

_TYPE_PREFIXES = (
    ("broadcast", dst.RTN_BROADCAST), ("anycast", dst.RTN_ANYCAST), ("multicast", dst.RTN_MULTICAST),
    ("prohibit", dst.RTN_PROHIBIT), ("unreachable", dst.RTN_UNREACHABLE), ("blackhole", dst.RTN_BLACKHOLE),
    ("xresolve", 11), ("unicast", dst.RTN_UNICAST),
)  # fmt: skip


def c_number(text: str, base: int = 0) -> int:
    """Read a number as strtoul does: base 0 takes 0x.. and 0.. for what they are. Raises ValueError."""
    body = text.removeprefix("+")
    hexadecimal = body[:2].lower() == "0x"
    if base == 16 or (base == 0 and hexadecimal):
        base = 16
        body = body[2:] if hexadecimal else body
    elif base == 0:
        base = 8 if body.startswith("0") and len(body) > 1 else 10
    if not body.isascii() or not body.isalnum():
        raise ValueError(f"{text!r} is not a number")
    try:
        return int(body, base)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _number_of(text: str, names: Mapping[int, str], highest: int, base: int = 0) -> int:
    for number, name in names.items():
        if name == text:
            return number
    number = c_number(text, base)
    if number > highest:
        raise ValueError(f"{text!r} is above {highest}")
    return number


def table_number(text: str) -> int:
    """Mirror rtnl_rttable_a2n(). Raises ValueError."""
    return _number_of(text, TABLES, 0xFFFFFFFF)


def protocol_number(text: str) -> int:
    """Mirror rtnl_rtprot_a2n(). Raises ValueError."""
    return _number_of(text, PROTOCOLS, 255)


def scope_number(text: str) -> int:
    """Mirror rtnl_rtscope_a2n(). Raises ValueError."""
    return _number_of(text, SCOPES, 255)


def dsfield_number(text: str) -> int:
    """Mirror rtnl_dsfield_a2n(): a number is hexadecimal with or without 0x. Raises ValueError."""
    return _number_of(text, DSFIELDS, 255, base=16)


def type_number(text: str) -> int:
    """Mirror rtnl_rtntype_a2n(): most types may be abbreviated, the first that fits in its order. Raises ValueError."""
    if text in ("local", "nat"):
        return dst.RTN_LOCAL if text == "local" else dst.RTN_NAT
    if text in ("brd", "throw"):
        return dst.RTN_BROADCAST if text == "brd" else dst.RTN_THROW
    if text:
        for name, number in _TYPE_PREFIXES:
            if name.startswith(text):
                return number
    number = c_number(text)
    if number > 255:
        raise ValueError(f"{text!r} is no route type")
    return number


def ip_protocol_number(text: str) -> int:
    """Mirror inet_proto_a2n(). Raises ValueError."""
    return _number_of(text, IP_PROTOCOLS, 255)


def table_name(number: int) -> str:
    """Print a table's id."""
    return TABLES.get(number, str(number))


def protocol_name(number: int) -> str:
    """Print who installed a route."""
    return PROTOCOLS.get(number, str(number))


def scope_name(number: int) -> str:
    """Print a scope."""
    return SCOPES.get(number, str(number))


def dsfield_name(number: int) -> str:
    """Print a TOS, in two hexadecimal digits where it has no name."""
    return DSFIELDS.get(number, f"0x{number:02x}")


def type_name(number: int) -> str:
    """Print a route type."""
    return TYPES.get(number, str(number))


def ip_protocol_name(number: int) -> str:
    """Print an IP protocol (unknown ones as iproute2 does)."""
    return IP_PROTOCOLS.get(number, f"ipproto-{number}")
