"""ICMP: types and codes, builders, the reader. Source: RFC 792, RFC 1191, RFC 1812; include/uapi/linux/icmp.h."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

from netsim.addr import Ip
from netsim.wire.checksum import checksum
from netsim.wire.octets import Octets, need

ICMP_HLEN = 8

ICMP_ECHOREPLY = 0
ICMP_DEST_UNREACH = 3
ICMP_SOURCE_QUENCH = 4
ICMP_REDIRECT = 5
ICMP_ECHO = 8
ICMP_TIME_EXCEEDED = 11
ICMP_PARAMETERPROB = 12
ICMP_TIMESTAMP = 13
ICMP_TIMESTAMPREPLY = 14
ICMP_INFO_REQUEST = 15
ICMP_INFO_REPLY = 16
ICMP_ADDRESS = 17
ICMP_ADDRESSREPLY = 18
NR_ICMP_TYPES = 18

ICMP_NET_UNREACH = 0
ICMP_HOST_UNREACH = 1
ICMP_PROT_UNREACH = 2
ICMP_PORT_UNREACH = 3
ICMP_FRAG_NEEDED = 4
ICMP_SR_FAILED = 5
ICMP_NET_UNKNOWN = 6
ICMP_HOST_UNKNOWN = 7
ICMP_HOST_ISOLATED = 8
ICMP_NET_ANO = 9
ICMP_HOST_ANO = 10
ICMP_NET_UNR_TOS = 11
ICMP_HOST_UNR_TOS = 12
ICMP_PKT_FILTERED = 13
ICMP_PREC_VIOLATION = 14
ICMP_PREC_CUTOFF = 15

ICMP_REDIR_NET = 0
ICMP_REDIR_HOST = 1
ICMP_REDIR_NETTOS = 2
ICMP_REDIR_HOSTTOS = 3

ICMP_EXC_TTL = 0
ICMP_EXC_FRAGTIME = 1

ERROR_TYPES: frozenset[int] = frozenset(
    {ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB}
)
"""Types that quote the packet they are about (icmp_pointers[].error, nf_conntrack_icmpv4_error())."""

REPLY_TYPE: Mapping[int, int] = MappingProxyType(
    {
        ICMP_ECHO: ICMP_ECHOREPLY,
        ICMP_TIMESTAMP: ICMP_TIMESTAMPREPLY,
        ICMP_INFO_REQUEST: ICMP_INFO_REPLY,
        ICMP_ADDRESS: ICMP_ADDRESSREPLY,
    }
)
"""Request to reply; the id is kept. Source: linux-kernel 5.6, invmap[]."""

QUERY_TYPES: frozenset[int] = frozenset(REPLY_TYPE) | frozenset(REPLY_TYPE.values())
"""Types that carry an id and a sequence number."""

_HEADER = Struct("!BBHHH")
_ERROR = Struct("!BBHI")


class IcmpHeader(NamedTuple):
    """The eight octets of a query: `id` and `seq` are the two halves of what an error calls `rest`."""

    type: int
    code: int
    check: int
    id: int
    seq: int

    @property
    def rest(self) -> int:
        """The second word whole: a redirect's gateway, a parameter problem's pointer in the highest octet."""
        return self.id << 16 | self.seq

    @property
    def mtu(self) -> int:
        """The next hop's MTU of a fragmentation-needed error (RFC 1191)."""
        return self.seq

    @property
    def is_error(self) -> bool:
        """Whether a quoted packet follows."""
        return self.type in ERROR_TYPES


def build_icmp(icmp_type: int, code: int, rest: int, payload: bytes = b"") -> bytes:
    """Return a whole message with its checksum; `rest` is the second word, `payload` what follows it."""
    total = int.from_bytes(payload, "big")
    if len(payload) & 1:
        total <<= 8
    total += (icmp_type << 8 | code) + rest
    check = 0xFFFF - (total % 0xFFFF or 0xFFFF) if total else 0xFFFF
    return _ERROR.pack(icmp_type, code, check, rest) + payload


def build_query(icmp_type: int, ident: int, seq: int, payload: bytes = b"") -> bytes:
    """Return an echo, timestamp, information or address-mask message."""
    return build_icmp(icmp_type, 0, ident << 16 | seq, payload)


def build_dest_unreach(code: int, quoted: bytes, mtu: int = 0) -> bytes:
    """Return a destination-unreachable error that quotes `quoted`; `mtu` is for ICMP_FRAG_NEEDED."""
    return build_icmp(ICMP_DEST_UNREACH, code, mtu, quoted)


def build_time_exceeded(code: int, quoted: bytes) -> bytes:
    """Return a time-exceeded error that quotes `quoted`."""
    return build_icmp(ICMP_TIME_EXCEEDED, code, 0, quoted)


def build_redirect(code: int, gateway: Ip, quoted: bytes) -> bytes:
    """Return a redirect to `gateway` that quotes `quoted`."""
    return build_icmp(ICMP_REDIRECT, code, gateway, quoted)


def build_parameter_problem(pointer: int, quoted: bytes, code: int = 0) -> bytes:
    """Return a parameter-problem error; `pointer` is the offset of the octet at fault."""
    return build_icmp(ICMP_PARAMETERPROB, code, pointer << 24, quoted)


def build_source_quench(quoted: bytes) -> bytes:
    """Return a source quench that quotes `quoted` (no Linux sends one; NAT translates them)."""
    return build_icmp(ICMP_SOURCE_QUENCH, 0, 0, quoted)


def parse_icmp(data: Octets, offset: int = 0) -> IcmpHeader:
    """Read the eight octets at `offset`. Raises Truncated."""
    need(data, offset, ICMP_HLEN, "ICMP header")
    return IcmpHeader._make(_HEADER.unpack_from(data, offset))


def resum_icmp(packet: bytearray, at: int) -> None:
    """Compute the checksum of the message that runs from `at` to the end of `packet`. Raises Truncated.

    Source: nf_nat_icmp_reply_translation(), which sums the whole after it changed the quoted packet.
    """
    need(packet, at, ICMP_HLEN, "ICMP header")
    packet[at + 2 : at + 4] = b"\0\0"
    packet[at + 2 : at + 4] = checksum(packet[at:]).to_bytes(2, "big")
