"""Change addresses, ports and ids of a packet in place, as NAT does, and keep its checksums as right as they were.

An incremental update preserves an error: what came in damaged goes out damaged, and the receiver drops it.
Payload changes need `resum`, which sums in full; an ICMP error's quoted packet is rewritten at its `offset`, and the
whole message summed afresh (icmp.resum_icmp).

Source: RFC 1624 equation 3; RFC 3022 section 4.2; nf_nat_ipv4_manip_pkt() and l4proto_manip_pkt(),
net/netfilter/nf_nat_proto.c (6.x); linux-kernel 5.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

from netsim.addr import Ip
from netsim.wire.checksum import apply, checksum, crc32c, pseudo_header
from netsim.wire.icmp import ICMP_HLEN, QUERY_TYPES, resum_icmp
from netsim.wire.ipv4 import (
    IP_HLEN,
    IP_MF,
    IP_OFFSET,
    IPPROTO_DCCP,
    IPPROTO_GRE,
    IPPROTO_ICMP,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    header_len,
    parse_ipv4,
    resum_header,
)
from netsim.wire.octets import need
from netsim.wire.tcp import TCP_HLEN
from netsim.wire.udp import CSUM_MANGLED_0, UDP_HLEN

_TRANSPORT: Mapping[int, tuple[int, int]] = MappingProxyType(
    {IPPROTO_TCP: (16, 20), IPPROTO_UDP: (6, 8), IPPROTO_UDPLITE: (6, 8), IPPROTO_DCCP: (6, 12)}
)
"""Where the checksum over the pseudo header stands, and how much of the header must be there for it to be updated."""

_LEAST = 8
"""So much of a transport header NAT needs: what RFC 792 has every error quote. Less: nf_nat gives up and drops."""

_SCTP_HLEN = 12

_ADDRESSES = Struct("!II")
_PORTS = Struct("!HH")
_U16 = Struct("!H")


def rewrite_ipv4(
    packet: bytearray,
    *,
    saddr: Ip | None = None,
    daddr: Ip | None = None,
    sport: int | None = None,
    dport: int | None = None,
    icmp_id: int | None = None,
    offset: int = 0,
    mangled_0: int = CSUM_MANGLED_0,
) -> bool:
    """Rewrite what is given, in place; None leaves a field alone.

    Ports count for TCP, UDP, UDP-Lite, DCCP and SCTP, `icmp_id` for ICMP queries; for other protocols they are passed
    over. A later fragment has no transport header: its addresses alone change. `offset` is where the IP header begins
    (a packet quoted in an ICMP error; the ICMP checksum around it is the caller's). `mangled_0` is what a UDP checksum
    that comes out as 0000 is stored as: FFFF today, 0000 in 2.4 (there "udp_checksum_became_zero" in the recordings).

    Returns False, with nothing changed, when the packet is too short for its own headers: Linux drops it then.
    """
    hlen = (packet[offset] & 15) * 4 if len(packet) > offset else 0
    at = offset + hlen
    if hlen < IP_HLEN or len(packet) < at:
        return False
    change = 0
    moved = saddr is not None or daddr is not None
    if moved:
        old_saddr, old_daddr = _ADDRESSES.unpack_from(packet, offset + 12)
        if saddr is None:
            saddr = old_saddr
        if daddr is None:
            daddr = old_daddr
        change = saddr - old_saddr + daddr - old_daddr
    if not (packet[offset + 6] & 0x1F or packet[offset + 7]):
        proto = packet[offset + 9]
        if proto in _TRANSPORT:
            if not _rewrite_ports(packet, at, proto, sport, dport, moved, change, mangled_0):
                return False
        elif not _rewrite_other(packet, at, proto, sport, dport, icmp_id):
            return False
    if moved:
        # An address that stays what it was is an update too: it turns a checksum of FFFF into 0000, as in the kernel.
        check = apply(packet[offset + 10] << 8 | packet[offset + 11], change % 0xFFFF or 0xFFFF)
        _U16.pack_into(packet, offset + 10, check)
        _ADDRESSES.pack_into(packet, offset + 12, saddr, daddr)
    return True


def _rewrite_ports(
    packet: bytearray,
    at: int,
    proto: int,
    sport: int | None,
    dport: int | None,
    moved: bool,
    change: int,
    mangled_0: int,
) -> bool:
    """Write ports and update the checksum over them and the pseudo header, which was `moved` by `change`.

    Source: tcp_manip_pkt(), udp_manip_pkt(), __udp_manip_pkt(), dccp_manip_pkt().
    """
    have = len(packet) - at
    if have < _LEAST:
        return False
    if sport is not None or dport is not None:
        old_sport, old_dport = _PORTS.unpack_from(packet, at)
        if sport is None:
            sport = old_sport
        if dport is None:
            dport = old_dport
        change += sport - old_sport + dport - old_dport
        moved = True
        _PORTS.pack_into(packet, at, sport, dport)
    field, least = _TRANSPORT[proto]
    if have < least or not moved:
        return True
    check_at = at + field
    check = packet[check_at] << 8 | packet[check_at + 1]
    if proto == IPPROTO_UDP and not check:
        return True
    check -= change % 0xFFFF or 0xFFFF  # checksum.apply(), written out: this is the hot line of NAT
    if check < 0:
        check += 0xFFFF
    if not check and proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        check = mangled_0
    packet[check_at] = check >> 8
    packet[check_at + 1] = check & 0xFF
    return True


def _rewrite_other(
    packet: bytearray, at: int, proto: int, sport: int | None, dport: int | None, icmp_id: int | None
) -> bool:
    """Write an ICMP query's id (no pseudo header), or SCTP ports with a fresh CRC; pass other protocols unmodified.

    Source: icmp_manip_pkt(), sctp_manip_pkt(), gre_manip_pkt().
    """
    if proto not in (IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_GRE):
        return True
    have = len(packet) - at
    if have < _LEAST:
        return False
    if proto == IPPROTO_ICMP and icmp_id is not None and packet[at] in QUERY_TYPES:
        patch16(packet, at + 4, at + 2, icmp_id)
    elif proto == IPPROTO_SCTP:
        if sport is not None:
            _U16.pack_into(packet, at, sport)
        if dport is not None:
            _U16.pack_into(packet, at + 2, dport)
        if have >= _SCTP_HLEN:
            packet[at + 8 : at + 12] = b"\0\0\0\0"
            packet[at + 8 : at + 12] = crc32c(packet[at:]).to_bytes(4, "little")
    return True


def patch16(packet: bytearray, at: int, check_at: int, value: int) -> None:
    """Write a 16-bit word and update the checksum at `check_at`. Source: inet_proto_csum_replace2()."""
    change = value - (packet[at] << 8 | packet[at + 1])
    _U16.pack_into(packet, at, value)
    _U16.pack_into(packet, check_at, apply(packet[check_at] << 8 | packet[check_at + 1], change % 0xFFFF or 0xFFFF))


def patch32(packet: bytearray, at: int, check_at: int, value: int) -> None:
    """Write a 32-bit word on an even offset (a sequence number, a SACK edge) and update the checksum at `check_at`.

    An odd offset, where TCP options without NOPs may put an edge, gives a wrong sum, as it does in the kernel.
    Source: inet_proto_csum_replace4(), nf_ct_seq_adjust().
    """
    change = value - int.from_bytes(packet[at : at + 4], "big")
    packet[at : at + 4] = value.to_bytes(4, "big")
    _U16.pack_into(packet, check_at, apply(packet[check_at] << 8 | packet[check_at + 1], change % 0xFFFF or 0xFFFF))


def resum(packet: bytearray) -> None:
    """Set total length, UDP length and every checksum of a whole packet by what it now holds.

    For a payload that a helper mangled. A UDP checksum of 0 stays 0; a fragment's transport header is left alone.
    Raises Truncated when a header is not all there.
    Source: __nf_nat_mangle_tcp_packet(), nf_nat_mangle_udp_packet(); linux-kernel 5.9.
    """
    need(packet, 0, max(IP_HLEN, header_len(packet)), "IPv4 header")
    _U16.pack_into(packet, 2, len(packet))
    resum_header(packet)
    header = parse_ipv4(packet)
    at = header.ihl
    if header.frag_off & (IP_MF | IP_OFFSET):
        return
    size = len(packet) - at
    if header.protocol == IPPROTO_ICMP:
        need(packet, at, ICMP_HLEN, "ICMP header")
        resum_icmp(packet, at)
    elif header.protocol == IPPROTO_UDP:
        need(packet, at, UDP_HLEN, "UDP header")
        _U16.pack_into(packet, at + 4, size)
        if packet[at + 6] or packet[at + 7]:
            _resum_transport(packet, at, 6, pseudo_header(header.saddr, header.daddr, IPPROTO_UDP, size))
            if not (packet[at + 6] or packet[at + 7]):
                _U16.pack_into(packet, at + 6, CSUM_MANGLED_0)
    elif header.protocol == IPPROTO_TCP:
        need(packet, at, TCP_HLEN, "TCP header")
        _resum_transport(packet, at, 16, pseudo_header(header.saddr, header.daddr, IPPROTO_TCP, size))


def _resum_transport(packet: bytearray, at: int, field: int, start: int) -> None:
    _U16.pack_into(packet, at + field, 0)
    _U16.pack_into(packet, at + field, checksum(packet[at:], start))
