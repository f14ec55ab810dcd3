"""The IPv4 header: constants, the builder, readers, options, and writes that keep its checksum right.

Source: RFC 791; include/uapi/linux/ip.h, include/net/ip.h; ip_rcv_core(), net/ipv4/ip_input.c (6.x).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from netsim.addr import Ip
from netsim.wire import drop
from netsim.wire.checksum import checksum, ttl_decremented, update16
from netsim.wire.octets import Octets, Truncated, need

IP_HLEN = 20
IP_MAX_HLEN = 60
IP_MAX_LEN = 65535
IPDEFTTL = 64

IPPROTO_ICMP = 1
IPPROTO_IGMP = 2
IPPROTO_IPIP = 4
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_DCCP = 33
IPPROTO_GRE = 47
IPPROTO_ESP = 50
IPPROTO_SCTP = 132
IPPROTO_UDPLITE = 136
IPPROTO_RAW = 255

IP_CE = 0x8000
IP_DF = 0x4000
IP_MF = 0x2000
IP_OFFSET = 0x1FFF
"""The fragment offset's bits, in units of eight octets."""

IPTOS_TOS_MASK = 0x1E
IPTOS_RT_MASK = 0x1C
IPTOS_PREC_MASK = 0xE0
IPTOS_LOWDELAY = 0x10
IPTOS_THROUGHPUT = 0x08
IPTOS_RELIABILITY = 0x04
IPTOS_MINCOST = 0x02
IPTOS_PREC_INTERNETCONTROL = 0xC0

IPOPT_END = 0
IPOPT_NOOP = 1
IPOPT_RR = 7
IPOPT_TIMESTAMP = 68
IPOPT_SEC = 130
IPOPT_LSRR = 131
IPOPT_CIPSO = 134
IPOPT_SID = 136
IPOPT_SSRR = 137
IPOPT_RA = 148

_HEADER = Struct("!BBHHHBBHII")
_ADDRESSES = Struct("!II")


class Ipv4Header(NamedTuple):
    """The fixed 20 octets. `ihl` is in octets (20 to 60), `frag_off` the 16-bit word with IP_DF and IP_MF."""

    version: int
    ihl: int
    tos: int
    tot_len: int
    id: int
    frag_off: int
    ttl: int
    protocol: int
    check: int
    saddr: Ip
    daddr: Ip

    @property
    def is_fragment(self) -> bool:
        """Whether this is a piece of a larger packet (ip_is_fragment)."""
        return bool(self.frag_off & (IP_MF | IP_OFFSET))

    @property
    def offset(self) -> int:
        """Where a fragment's payload belongs, in octets."""
        return (self.frag_off & IP_OFFSET) * 8


class IpOption(NamedTuple):
    """One option: `kind` IPOPT_*, `data` what follows the length octet, `at` its offset from the first option octet."""

    kind: int
    data: bytes
    at: int


def build_ipv4(
    src: Ip,
    dst: Ip,
    proto: int,
    payload_len: int,
    *,
    ttl: int = IPDEFTTL,
    tos: int = 0,
    ident: int = 0,
    frag_off: int = 0,
    options: bytes = b"",
) -> bytes:
    """Return a header with its checksum for `payload_len` octets; `options` are filled with IPOPT_END to whole words.

    Raises ValueError when the options or the packet are longer than the fields can say.
    """
    if options:
        options = options.ljust((len(options) + 3) & ~3, b"\0")
    hlen = IP_HLEN + len(options)
    length = hlen + payload_len
    if hlen > IP_MAX_HLEN or length > IP_MAX_LEN:
        raise ValueError(f"an IPv4 header of {hlen} octets in a packet of {length} cannot be written")
    version_ihl = 0x40 | hlen >> 2
    total = (version_ihl + ttl << 8) + tos + length + ident + frag_off + proto + src + dst
    if options:
        total += int.from_bytes(options, "big")
    check = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    return _HEADER.pack(version_ihl, tos, length, ident, frag_off, ttl, proto, check, src, dst) + options


def parse_ipv4(data: Octets, offset: int = 0) -> Ipv4Header:
    """Read the fixed header as it stands: nothing is checked but that 20 octets are there. Raises Truncated."""
    need(data, offset, IP_HLEN, "IPv4 header")
    first, tos, length, ident, frag_off, ttl, proto, check, src, dst = _HEADER.unpack_from(data, offset)
    return Ipv4Header(first >> 4, (first & 15) * 4, tos, length, ident, frag_off, ttl, proto, check, src, dst)


def addresses(data: Octets, offset: int = 0) -> tuple[Ip, Ip]:
    """Return source and destination. Raises Truncated."""
    need(data, offset, IP_HLEN, "IPv4 header")
    saddr, daddr = _ADDRESSES.unpack_from(data, offset + 12)
    return saddr, daddr


def header_len(data: Octets, offset: int = 0) -> int:
    """Return the header's length in octets as its ihl field has it. Raises Truncated."""
    need(data, offset, 1, "IPv4 header")
    return (data[offset] & 15) * 4


def header_error(data: Octets) -> str:
    """Judge a received packet's header: "" or the drop reason, in the kernel's order.

    Octets beyond the total length are a link's padding, which the caller cuts off.
    Source: ip_rcv_core(), net/ipv4/ip_input.c (6.x); RFC 1122 section 3.2.1.
    """
    have = len(data)
    if have < IP_HLEN:
        return drop.IP_INHDR
    hlen = (data[0] & 15) * 4
    if hlen < IP_HLEN or data[0] >> 4 != 4 or have < hlen:
        return drop.IP_INHDR
    # csum_fold() == 0: a multiple of FFFF, and never zero, since the version is in it.
    if int.from_bytes(data[:hlen], "big") % 0xFFFF:
        return drop.IP_CSUM
    length = data[2] << 8 | data[3]
    if have < length:
        return drop.PKT_TOO_SMALL
    return drop.IP_INHDR if length < hlen else ""


def option_octets(data: Octets, offset: int = 0) -> bytes:
    """Return what stands between the fixed header and the payload. Raises Truncated."""
    hlen = header_len(data, offset)
    need(data, offset, max(hlen, IP_HLEN), "IPv4 header")
    return bytes(data[offset + IP_HLEN : offset + hlen])


def iter_options(options: Octets) -> Iterator[IpOption]:
    """Walk the options up to IPOPT_END. Raises Truncated where a length octet is missing, below 2 or too large.

    Source: RFC 791 section 3.1; __ip_options_compile().
    """
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == IPOPT_END:
            return
        if kind == IPOPT_NOOP:
            yield IpOption(kind, b"", at)
            at += 1
            continue
        need(options, at, 2, f"IP option {kind}")
        length = options[at + 1]
        if length < 2:
            raise Truncated(f"IP option {kind}", 2, length)
        need(options, at, length, f"IP option {kind}")
        yield IpOption(kind, bytes(options[at + 2 : at + length]), at)
        at += length


def build_options(*options: tuple[int, bytes]) -> bytes:
    """Return option octets for (kind, data) pairs, unpadded; `iter_options` reads them back."""
    out = bytearray()
    for kind, data in options:
        out.append(kind)
        if kind not in (IPOPT_END, IPOPT_NOOP):
            out.append(len(data) + 2)
            out += data
    return bytes(out)


def decrement_ttl(packet: bytearray, offset: int = 0) -> int:
    """Take one from the TTL, mend the header checksum, return the new TTL. The caller has seen that it is above 1.

    Source: ip_decrease_ttl().
    """
    at = offset + 10
    check = ttl_decremented(packet[at] << 8 | packet[at + 1])
    packet[at] = check >> 8
    packet[at + 1] = check & 0xFF
    ttl = packet[offset + 8] - 1
    packet[offset + 8] = ttl
    return ttl


def set_ttl(packet: bytearray, ttl: int, offset: int = 0) -> None:
    """Write the TTL and mend the header checksum. Source: ttl_tg()."""
    _set16(packet, offset, 8, ttl << 8 | packet[offset + 9])


def set_tos(packet: bytearray, tos: int, offset: int = 0) -> None:
    """Write the TOS octet and mend the header checksum. Source: ipv4_change_dsfield(), ipv4_copy_dscp()."""
    _set16(packet, offset, 0, packet[offset] << 8 | tos)


def _set16(packet: bytearray, offset: int, field: int, value: int) -> None:
    at = offset + field
    old = packet[at] << 8 | packet[at + 1]
    check = update16(packet[offset + 10] << 8 | packet[offset + 11], old, value)
    packet[at : at + 2] = value.to_bytes(2, "big")
    packet[offset + 10 : offset + 12] = check.to_bytes(2, "big")


def resum_header(packet: bytearray, offset: int = 0) -> None:
    """Compute the header checksum in full. Source: ip_send_check()."""
    packet[offset + 10 : offset + 12] = b"\0\0"
    check = checksum(packet[offset : offset + header_len(packet, offset)])
    packet[offset + 10 : offset + 12] = check.to_bytes(2, "big")
