"""TCP: flags, the builder, the reader, and options as Linux lays them out.

Source: RFC 9293; RFC 7323 (window scale, timestamps); RFC 2018 (SACK); include/net/tcp.h; tcp_options_write() and
tcp_parse_options() (6.x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from netsim.addr import Ip
from netsim.wire.ipv4 import IPPROTO_TCP
from netsim.wire.octets import Octets, Truncated, need

TCP_HLEN = 20
TCP_MAX_HLEN = 60
MAX_TCP_OPTION_SPACE = 40

TCPHDR_FIN = 0x01
TCPHDR_SYN = 0x02
TCPHDR_RST = 0x04
TCPHDR_PSH = 0x08
TCPHDR_ACK = 0x10
TCPHDR_URG = 0x20
TCPHDR_ECE = 0x40
TCPHDR_CWR = 0x80

TCPOPT_EOL = 0
TCPOPT_NOP = 1
TCPOPT_MSS = 2
TCPOPT_WINDOW = 3
TCPOPT_SACK_PERM = 4
TCPOPT_SACK = 5
TCPOPT_TIMESTAMP = 8
TCPOPT_MD5SIG = 19

TCPOLEN_MSS = 4
TCPOLEN_WINDOW = 3
TCPOLEN_SACK_PERM = 2
TCPOLEN_TIMESTAMP = 10
TCPOLEN_SACK_BASE = 2
TCPOLEN_SACK_PERBLOCK = 8

TCP_MAX_WSCALE = 14

_HEADER = Struct("!HHIIBBHHH")
_PAIR = Struct("!II")


class TcpHeader(NamedTuple):
    """The fixed 20 octets. `doff` is the header's length in octets; the four reserved bits are not kept."""

    sport: int
    dport: int
    seq: int
    ack: int
    doff: int
    flags: int
    window: int
    check: int
    urg_ptr: int


class TcpOption(NamedTuple):
    """One option: `kind` TCPOPT_*, `data` what follows the length octet, `at` its offset from the first octet."""

    kind: int
    data: bytes
    at: int


class TcpOptions(NamedTuple):
    """What the stack reads from options. None means absent; `sack` holds (left, right) edges."""

    mss: int | None = None
    wscale: int | None = None
    sack_permitted: bool = False
    timestamp: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()


def before(seq1: int, seq2: int) -> bool:
    """Tell whether `seq1` lies before `seq2` modulo 2**32. Source: before(), include/net/tcp.h."""
    return bool((seq1 - seq2) & 0x80000000)


def after(seq1: int, seq2: int) -> bool:
    """Tell whether `seq1` lies after `seq2` modulo 2**32."""
    return bool((seq2 - seq1) & 0x80000000)


def build_tcp(
    src: Ip,
    dst: Ip,
    sport: int,
    dport: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    payload: bytes = b"",
    options: bytes = b"",
    urg_ptr: int = 0,
) -> bytes:
    """Return header, options (filled with TCPOPT_EOL to whole words) and payload, with the checksum.

    Raises ValueError for more than 40 octets of options.
    """
    if options:
        options = options.ljust((len(options) + 3) & ~3, b"\0")
    doff = TCP_HLEN + len(options)
    if doff > TCP_MAX_HLEN:
        raise ValueError(f"a TCP header of {doff} octets cannot be written")
    total = int.from_bytes(payload, "big")
    if len(payload) & 1:
        total <<= 8
    total += src + dst + IPPROTO_TCP + doff + len(payload)
    total += sport + dport + seq + ack + (doff << 10 | flags) + window + urg_ptr
    if options:
        total += int.from_bytes(options, "big")
    check = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    return _HEADER.pack(sport, dport, seq, ack, doff << 2, flags, window, check, urg_ptr) + options + payload


def parse_tcp(data: Octets, offset: int = 0) -> TcpHeader:
    """Read the fixed header at `offset` as it stands; `doff` may lie. Raises Truncated."""
    need(data, offset, TCP_HLEN, "TCP header")
    sport, dport, seq, ack, doff, flags, window, check, urg_ptr = _HEADER.unpack_from(data, offset)
    return TcpHeader(sport, dport, seq, ack, (doff >> 4) * 4, flags, window, check, urg_ptr)


def option_octets(data: Octets, offset: int = 0) -> bytes:
    """Return what stands between the fixed header and the payload. Raises Truncated."""
    need(data, offset, TCP_HLEN, "TCP header")
    doff = (data[offset + 12] >> 4) * 4
    need(data, offset, max(doff, TCP_HLEN), "TCP header")
    return bytes(data[offset + TCP_HLEN : offset + doff])


def build_options(
    *,
    mss: int | None = None,
    timestamp: tuple[int, int] | None = None,
    sack_permitted: bool = False,
    wscale: int | None = None,
    sack: Sequence[tuple[int, int]] = (),
) -> bytes:
    """Return options in the order and with the filling of Linux: MSS, SACK-permitted and timestamp, window scale, SACK.

    Source: tcp_options_write(). A SYN with all of the first four takes 20 octets.
    """
    out = b""
    if mss is not None:
        out += b"\x02\x04" + mss.to_bytes(2, "big")
    if timestamp is not None:
        out += (b"\x04\x02" if sack_permitted else b"\x01\x01") + b"\x08\x0a" + _PAIR.pack(*timestamp)
    elif sack_permitted:
        out += b"\x01\x01\x04\x02"
    if wscale is not None:
        out += b"\x01\x03\x03" + wscale.to_bytes(1, "big")
    if sack:
        out += bytes((TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK, TCPOLEN_SACK_BASE + TCPOLEN_SACK_PERBLOCK * len(sack)))
        out += b"".join(_PAIR.pack(left, right) for left, right in sack)
    return out


def iter_options(options: Octets) -> Iterator[TcpOption]:
    """Walk the options up to TCPOPT_EOL. Raises Truncated where a length octet is missing, below 2 or too large."""
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == TCPOPT_EOL:
            return
        if kind == TCPOPT_NOP:
            yield TcpOption(kind, b"", at)
            at += 1
            continue
        need(options, at, 2, f"TCP option {kind}")
        length = options[at + 1]
        if length < 2:
            raise Truncated(f"TCP option {kind}", 2, length)
        need(options, at, length, f"TCP option {kind}")
        yield TcpOption(kind, bytes(options[at + 2 : at + length]), at)
        at += length


def parse_options(options: Octets) -> TcpOptions:
    """Read what the stack uses; options of a wrong size are passed over, and a broken one ends the walk. Never raises.

    Not era-dependent and not state-dependent: whether an option may come outside a SYN is the caller's question.
    Source: tcp_parse_options(); a window scale above 14 counts as 14 (RFC 7323 section 2.3).
    """
    mss = wscale = timestamp = None
    sack_permitted = False
    sack: tuple[tuple[int, int], ...] = ()
    try:
        for kind, data, _ in iter_options(options):
            if kind == TCPOPT_MSS and len(data) == TCPOLEN_MSS - 2:
                mss = int.from_bytes(data, "big")
            elif kind == TCPOPT_WINDOW and len(data) == TCPOLEN_WINDOW - 2:
                wscale = min(data[0], TCP_MAX_WSCALE)
            elif kind == TCPOPT_SACK_PERM and not data:
                sack_permitted = True
            elif kind == TCPOPT_TIMESTAMP and len(data) == TCPOLEN_TIMESTAMP - 2:
                timestamp = _PAIR.unpack(data)
            elif kind == TCPOPT_SACK and data and len(data) % TCPOLEN_SACK_PERBLOCK == 0:
                sack = tuple(_PAIR.iter_unpack(data))
    except Truncated:
        # "don't parse partial options": what was read before it counts.
        pass
    return TcpOptions(mss, wscale, sack_permitted, timestamp, sack)
