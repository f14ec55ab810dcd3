"""Judge the checksums and lengths of a whole IP packet, as whoever receives it would.

For captures, expectations and the end of each packet's way, not for a router's fast path: it sums the payload.
Source: linux-kernel 5.9; udp4_csum_init(), tcp_v4_rcv(), icmp_rcv(), nf_ip_checksum() (6.x).
"""

from __future__ import annotations

from netsim.wire.checksum import checksum, crc32c, pseudo_header
from netsim.wire.icmp import ERROR_TYPES, ICMP_HLEN
from netsim.wire.ipv4 import (
    IP_HLEN,
    IPPROTO_ICMP,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    Ipv4Header,
    parse_ipv4,
)
from netsim.wire.octets import Octets
from netsim.wire.tcp import TCP_HLEN
from netsim.wire.udp import CSUM_MANGLED_0, UDP_HLEN

SCTP_HLEN = 12


def verify(packet: Octets) -> str:
    """Return "" for a packet whose lengths and checksums are right, else what is wrong in a few words.

    `packet` begins with the IP header; octets beyond its total length are padding. Of a fragment only the header is
    judged. UDP checksum 0 means none and is right. Protocols other than ICMP, TCP, UDP and SCTP have no checksum here.
    """
    have = len(packet)
    if have < IP_HLEN:
        return f"IP header cut off at {have} octets"
    header = parse_ipv4(packet)
    wrong = _header(packet, header)
    if wrong:
        return wrong
    if have < header.tot_len:
        return f"IP total length {header.tot_len}, but {have} octets"
    if header.is_fragment:
        return ""
    return _transport(packet[header.ihl : header.tot_len], header)


def verify_quoted(packet: Octets) -> str:
    """Judge the packet that an ICMP error quotes: its header, and its checksum when all of it is quoted.

    "" also for a packet that is no ICMP error. Call `verify` first: this trusts the outer header.
    Source: observed-linux 11, "quoted IP, quoted TCP/UDP/ICMP when complete".
    """
    if len(packet) < IP_HLEN or packet[9] != IPPROTO_ICMP:
        return ""
    outer = parse_ipv4(packet)
    at = outer.ihl + ICMP_HLEN
    if outer.is_fragment or len(packet) < at or packet[outer.ihl] not in ERROR_TYPES:
        return ""
    quoted = packet[at : outer.tot_len]
    if len(quoted) < IP_HLEN:
        return f"quoted IP header cut off at {len(quoted)} octets"
    header = parse_ipv4(quoted)
    wrong = _header(quoted, header)
    if not wrong and len(quoted) >= header.tot_len and not header.is_fragment:
        wrong = _transport(quoted[header.ihl : header.tot_len], header)
    return f"quoted {wrong}" if wrong else ""


def _header(packet: Octets, header: Ipv4Header) -> str:
    if header.version != 4:
        return f"IP version {header.version}"
    room = min(len(packet), header.tot_len)
    if header.ihl < IP_HLEN or room < header.ihl:
        return f"IP header length {header.ihl} in {room} octets"
    octets = packet[: header.ihl]
    return _bad("IP", octets, 10) if checksum(octets) else ""


def _transport(segment: Octets, header: Ipv4Header) -> str:
    size = len(segment)
    if header.protocol == IPPROTO_UDP:
        return _udp(segment, header)
    if header.protocol == IPPROTO_TCP:
        doff = (segment[12] >> 4) * 4 if size >= TCP_HLEN else 0
        if doff < TCP_HLEN or doff > size:
            return f"TCP header length {doff} in {size} octets"
        start = pseudo_header(header.saddr, header.daddr, IPPROTO_TCP, size)
        return _bad("TCP", segment, 16, start) if checksum(segment, start) else ""
    if header.protocol == IPPROTO_ICMP:
        if size < ICMP_HLEN:
            return f"ICMP header cut off at {size} octets"
        return _bad("ICMP", segment, 2) if checksum(segment) else ""
    if header.protocol == IPPROTO_SCTP:
        if size < SCTP_HLEN:
            return f"SCTP header cut off at {size} octets"
        want = crc32c(bytes(segment[:8]) + b"\0\0\0\0" + segment[12:])
        got = int.from_bytes(segment[8:12], "little")
        return f"SCTP checksum 0x{got:08x}, should be 0x{want:08x}" if got != want else ""
    return ""


def _udp(segment: Octets, header: Ipv4Header) -> str:
    size = len(segment)
    length = segment[4] << 8 | segment[5] if size >= UDP_HLEN else 0
    if length < UDP_HLEN or length > size:
        return f"UDP length {length} in {size} octets"
    if not (segment[6] or segment[7]):
        return ""
    # udp4_csum_init() sums what the UDP length counts; octets behind it are trimmed.
    segment = segment[:length]
    start = pseudo_header(header.saddr, header.daddr, IPPROTO_UDP, length)
    return _bad("UDP", segment, 6, start) if checksum(segment, start) else ""


def _bad(what: str, data: Octets, at: int, start: int = 0) -> str:
    got = data[at] << 8 | data[at + 1]
    want = checksum(bytes(data[:at]) + b"\0\0" + data[at + 2 :], start)
    if not want and what == "UDP":
        want = CSUM_MANGLED_0
    return f"{what} checksum 0x{got:04x}, should be 0x{want:04x}"
