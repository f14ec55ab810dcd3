"""What FTP's control connection says about data connections: PORT, EPRT, 227 and 229, read and written.

Source: RFC 959 section 4.1.2, RFC 2428; find_pattern(), try_rfc959(), try_rfc1123(), try_eprt(), try_epsv_response(),
net/netfilter/nf_conntrack_ftp.c; nf_nat_ftp_fmt_cmd(), nf_nat_ftp.c (6.x).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.addr import Ip, ip_str

NF_CT_FTP_PORT = 0
NF_CT_FTP_PASV = 1
NF_CT_FTP_EPRT = 2
NF_CT_FTP_EPSV = 3


class Found(NamedTuple):
    """An endpoint in the text: `kind` NF_CT_FTP_*, `addr` 0 where it is not said (EPSV), `at`, `length` its octets."""

    kind: int
    addr: Ip
    port: int
    at: int
    length: int


class Partial(NamedTuple):
    """A command that began but does not end in this segment."""


def _numbers(data: bytes, count: int, sep: int, term: int | None) -> tuple[list[int], int]:
    """Read `count` numbers; the length read, 0 when they are not all there. Source: try_number()."""
    values = [0] * count
    index = 0
    for length, octet in enumerate(data):
        if 0x30 <= octet <= 0x39:
            values[index] = values[index] * 10 + octet - 0x30
        elif octet == sep:
            index += 1
            if index == count:
                return values, 0
        elif term in (octet, None) and index == count - 1:
            return values, length
        else:
            return values, 0
    return values, 0


def _rfc959(data: bytes, term: int | None) -> tuple[Ip, int, int]:
    values, length = _numbers(data, 6, 0x2C, term)
    if not length or max(values) > 255:
        return 0, 0, 0
    a, b, c, d, high, low = values
    return a << 24 | b << 16 | c << 8 | d, high << 8 | low, length


def _port(data: bytes, start: int, delim: int) -> tuple[int, int]:
    """Read a port up to a delimiter: (port, octets up to and with it), zeros if it is not there. Source: get_port()."""
    port = 0
    for at in range(start, len(data)):
        octet = data[at]
        if octet == delim:
            return (port, at + 1) if port else (0, 0)
        if not 0x30 <= octet <= 0x39:
            return 0, 0
        port = port * 10 + octet - 0x30
    return 0, 0


def _is_delim(octet: int) -> bool:
    return 33 <= octet <= 126 and not 0x30 <= octet <= 0x39


def _read_port(data: bytes, at: int) -> Found | None:
    addr, port, length = _rfc959(data[at:], 0x0D)
    return Found(NF_CT_FTP_PORT, addr, port, at, length) if length else None


def _read_eprt(data: bytes, at: int) -> Found | None:
    text = data[at:]
    if len(text) <= 3 or not _is_delim(text[0]) or text[2] != text[0] or text[1] != 0x31:
        return None
    values, length = _numbers(text[3:], 4, 0x2E, text[0])
    if not length or max(values) > 255:
        return None
    port, end = _port(text, 3 + length + 1, text[0])
    a, b, c, d = values
    return Found(NF_CT_FTP_EPRT, a << 24 | b << 16 | c << 8 | d, port, at, end) if end else None


def _read_pasv(data: bytes, at: int) -> Found | None:
    while at < len(data) and not 0x30 <= data[at] <= 0x39:
        at += 1
    addr, port, length = _rfc959(data[at:], None)
    return Found(NF_CT_FTP_PASV, addr, port, at, length) if length else None


def _read_epsv(data: bytes, at: int) -> Found | None:
    text = data[at:]
    if len(text) <= 3 or not _is_delim(text[0]) or text[1] != text[0] or text[2] != text[0]:
        return None
    port, end = _port(text, 3, text[0])
    return Found(NF_CT_FTP_EPSV, 0, port, at, end) if end else None


Reader = Callable[[bytes, int], "Found | None"]
SEARCH: tuple[tuple[tuple[bytes, bytes, Reader], ...], ...] = (
    ((b"PORT", b" ", _read_port), (b"EPRT", b" ", _read_eprt)),
    ((b"227 ", b"", _read_pasv), (b"229 ", b"(", _read_epsv)),
)
"""By direction: the command, the octet to skip to, and who reads the endpoint behind it."""


def search(data: bytes, direction: int) -> Found | Partial | None:
    """Look for an announcement at the start of a segment that begins a line. Source: find_pattern()."""
    for pattern, skip, read in SEARCH[direction]:
        if len(data) <= len(pattern):
            if data.upper() == pattern[: len(data)]:
                return Partial()
            continue
        if data[: len(pattern)].upper() != pattern:
            continue
        at = len(pattern)
        if skip:
            at = data.find(skip, at, len(data) - 1)
            if at < 0:
                return Partial()
            at += 1
        return read(data, at) or Partial()
    return None


def command(kind: int, addr: Ip, port: int) -> bytes:
    """Write an endpoint as its kind does. Source: nf_nat_ftp_fmt_cmd()."""
    if kind in (NF_CT_FTP_PORT, NF_CT_FTP_PASV):
        return f"{ip_str(addr).replace('.', ',')},{port >> 8},{port & 255}".encode()
    if kind == NF_CT_FTP_EPRT:
        return f"|1|{ip_str(addr)}|{port}|".encode()
    return f"|||{port}|".encode()
