"""The Internet checksum: full sums, incremental updates as Linux makes them, and SCTP's CRC32c.

Theory. A checksum is the one's complement of a one's-complement sum of 16-bit words; such sums are sums modulo 0xFFFF
in which 0 has two faces, 0000 and FFFF. Because 0x10000 = 1 (mod 0xFFFF), a big-endian integer of any length is as good
as the sum of its words: one division of Python's long integers does the work of the kernel's loop (2.6 us for 1480
octets, where summing words costs 14).

Which face comes out matters, and is settled here once:

- A full sum of octets that are not all zero folds to 0001..FFFF, so its checksum is 0000..FFFE.
- An incremental update (RFC 1624 equation 3, as csum_replace4()) never yields FFFF either: the intermediate value
  is never zero. So an unchanged field under checksum 0000 leaves 0000, and FFFF becomes 0000.
- UDP alone gives 0000 a meaning ("no checksum"): see udp.py and rewrite.py for who stores FFFF instead.

Source: RFC 1071; RFC 1624 section 3 with erratum 4782; include/net/checksum.h (6.x); linux-kernel 5.9.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.wire.octets import Octets

TTL_STEP = 0x0100


def checksum(data: Octets, start: int = 0) -> int:
    """Return the checksum of `data`, continuing from the partial sum `start` (a pseudo header, another part).

    An odd last octet counts as the high half of a word. `start` is any non-negative int congruent to the sum.
    Source: RFC 1071 section 1; csum_partial() and csum_fold().
    """
    total = int.from_bytes(data, "big")
    if len(data) & 1:
        total <<= 8
    total += start
    # A sum of zero words is 0000 and its complement FFFF; any other multiple of FFFF folds to FFFF.
    return 0xFFFF - (total % 0xFFFF or 0xFFFF) if total else 0xFFFF


def is_valid(data: Octets, start: int = 0) -> bool:
    """Tell whether octets that include their checksum field sum to FFFF, as csum_fold() == 0 asks.

    All zeros are not valid: their sum is 0000.
    """
    return checksum(data, start) == 0


def pseudo_header(src: Ip, dst: Ip, proto: int, length: int) -> int:
    """Return the partial sum of a TCP or UDP pseudo header, unfolded. Source: RFC 768, RFC 9293 section 3.1."""
    return src + dst + proto + length


def update16(check: int, old: int, new: int) -> int:
    """Return `check` after a 16-bit word went from `old` to `new`, bit for bit as csum_replace2().

    HC' = ~(~HC + ~m + m'). The one difference from `update32`: the change FFFF -> 0000 under FFFF leaves FFFF.
    Source: RFC 1624 equation 3; csum16_add(), csum16_sub().
    """
    total = (check ^ 0xFFFF) + (old ^ 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16) + new
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF


def update32(check: int, old: int, new: int) -> int:
    """Return `check` after a 32-bit word (an address, a sequence number) went from `old` to `new`.

    Source: csum_replace4(); inet_proto_csum_replace2() and inet_proto_csum_replace4() on software sums.
    """
    return apply(check, (new - old) % 0xFFFF or 0xFFFF)


def delta32(old: int, new: int) -> int:
    """Return what a change of an aligned word (16 or 32 bits) does to a sum, in 1..FFFF, for `apply`."""
    return (new - old) % 0xFFFF or 0xFFFF


def join(*deltas: int) -> int:
    """Return one delta that does what `deltas` do one after the other."""
    return sum(deltas) % 0xFFFF or 0xFFFF


def apply(check: int, delta: int) -> int:
    """Return `check` after a change prepared by `delta32` or `join`.

    A sum that grows by `delta` is a checksum that falls by it, with end-around borrow.
    """
    check -= delta
    return check if check >= 0 else check + 0xFFFF


def ttl_decremented(check: int) -> int:
    """Return an IP header's checksum after its TTL fell by one: + 0x0100, end-around, FFFF written as 0000.

    Source: ip_decrease_ttl(), include/net/ip.h.
    """
    check += TTL_STEP
    return check if check < 0xFFFF else check - 0xFFFF


def _crc32c_row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC32C = tuple(_crc32c_row(value) for value in range(256))


def crc32c(data: Octets) -> int:
    """Return the Castagnoli CRC of `data` as SCTP sends it, least significant octet first.

    Source: RFC 9260 appendix A; sctp_compute_cksum().
    """
    crc = 0xFFFFFFFF
    for octet in data:
        crc = _CRC32C[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
