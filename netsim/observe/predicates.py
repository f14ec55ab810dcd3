"""What the words of a filter look at in a packet: one closure a test, over octets, after libpcap's generated code.

A test may read past the end of a packet and raise IndexError or struct.error: `Filter.matches` makes that a refusal.

Source: libpcap gencode.c (gen_hostop(), gen_portop(), gen_proto()), 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from types import MappingProxyType
from typing import Any, TypeAlias

from netsim.wire.ether import ETH_P_ARP, ETH_P_IP, ETH_P_RARP
from netsim.wire.ipv4 import IP_OFFSET, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP
from netsim.wire.octets import Octets

_PORT_PROTOCOLS = frozenset({IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})

Test: TypeAlias = Callable[[Octets, int, int], bool]
"""(octets, offset of the network header, ethertype) -> match."""

_Unpack: TypeAlias = Callable[[Any, int], tuple[int, ...]]  # Any: whatever holds octets
U16: _Unpack = Struct("!H").unpack_from
U32: _Unpack = Struct("!I").unpack_from

PROTOCOLS: Mapping[str, int] = MappingProxyType({"icmp": IPPROTO_ICMP, "tcp": IPPROTO_TCP, "udp": IPPROTO_UDP})


def always(_octets: Octets, _offset: int, _ethertype: int) -> bool:
    """Match everything."""
    return True


def both(a: Test, b: Test) -> Test:
    """Match what both match; `b` is not read where `a` fails."""
    return lambda octets, offset, ethertype: a(octets, offset, ethertype) and b(octets, offset, ethertype)


def either(a: Test, b: Test) -> Test:
    """Match what one of the two matches."""
    return lambda octets, offset, ethertype: a(octets, offset, ethertype) or b(octets, offset, ethertype)


def negated(a: Test) -> Test:
    """Match what `a` does not."""
    return lambda octets, offset, ethertype: not a(octets, offset, ethertype)


def protocol_test(name: str) -> Test:
    """Match ip, arp, icmp, tcp or udp."""
    if name == "ip":
        return lambda _octets, _offset, ethertype: ethertype == ETH_P_IP
    if name == "arp":
        return lambda _octets, _offset, ethertype: ethertype == ETH_P_ARP
    number = PROTOCOLS[name]  # every fragment carries the protocol number, so every fragment matches
    return lambda octets, offset, ethertype: ethertype == ETH_P_IP and octets[offset + 9] == number


def address_test(proto: str, direction: str, addr: int, mask: int) -> Test:
    """Compare the addresses of IP (offsets 12, 16) and, without a protocol, those ARP asks and tells (14, 24)."""
    families = {"ip": (ETH_P_IP,), "arp": (ETH_P_ARP,)}.get(proto, (ETH_P_IP, ETH_P_ARP, ETH_P_RARP))

    def test(octets: Octets, offset: int, ethertype: int) -> bool:
        if ethertype not in families:
            return False
        src, dst = (12, 16) if ethertype == ETH_P_IP else (14, 24)
        if direction == "src":
            return U32(octets, offset + src)[0] & mask == addr
        if direction == "dst":
            return U32(octets, offset + dst)[0] & mask == addr
        if direction == "both":
            return U32(octets, offset + src)[0] & mask == addr and U32(octets, offset + dst)[0] & mask == addr
        return U32(octets, offset + src)[0] & mask == addr or U32(octets, offset + dst)[0] & mask == addr

    return test


def port_test(number: int, direction: str, port: int) -> Test:
    """Compare ports of tcp, udp (and sctp, as libpcap); a fragment that is not the first has none."""
    protocols = frozenset({number}) if number else _PORT_PROTOCOLS

    def test(octets: Octets, offset: int, ethertype: int) -> bool:
        if ethertype != ETH_P_IP or octets[offset + 9] not in protocols:
            return False
        if U16(octets, offset + 6)[0] & IP_OFFSET:
            return False
        ports = offset + 4 * (octets[offset] & 15)
        if direction == "src":
            return U16(octets, ports)[0] == port
        if direction == "dst":
            return U16(octets, ports + 2)[0] == port
        if direction == "both":
            return U16(octets, ports)[0] == port and U16(octets, ports + 2)[0] == port
        return U16(octets, ports)[0] == port or U16(octets, ports + 2)[0] == port

    return test
