"""RFC 1071 and RFC 1624 with the vectors of the Linux behaviour notes, section 5.9."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.wire import checksum as cs

HEADER = bytes.fromhex("4500005400004000400169f0c0a8000108080808")


def test_header_of_the_notes_has_checksum_69f0():
    assert cs.checksum(HEADER[:10] + b"\0\0" + HEADER[12:]) == 0x69F0
    assert cs.is_valid(HEADER)


def test_new_source_gives_1e98():
    assert cs.update32(0x69F0, parse_ip("192.168.0.1"), parse_ip("10.0.2.2")) == 0x1E98


def test_rfc_1071_example():
    """RFC 1071 section 3: words 0001 f203 f4f5 f6f7 sum to ddf2."""
    assert cs.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


def test_odd_last_octet_counts_as_high_half():
    assert cs.checksum(b"\x01\x02\x03") == cs.checksum(b"\x01\x02\x03\x00")


@pytest.mark.parametrize(
    ("data", "check"),
    [
        pytest.param(b"", 0xFFFF, id="nothing sums to 0000"),
        pytest.param(b"\0\0\0\0", 0xFFFF, id="zeros sum to 0000"),
        pytest.param(b"\xff\xff", 0x0000, id="FFFF"),
        pytest.param(b"\xff\xff\xff\xff", 0x0000, id="twice FFFF folds to FFFF"),
        pytest.param(b"\x80\x00\x7f\xff", 0x0000, id="8000 + 7FFF"),
        pytest.param(b"\x00\x01", 0xFFFE, id="0001"),
    ],
)
def test_the_two_faces_of_zero(data, check):
    assert cs.checksum(data) == check


@pytest.mark.parametrize(
    ("check", "old", "new", "result"),
    [
        pytest.param(0xDD2F, 0x5555, 0x3285, 0x0000, id="RFC 1624 section 4: equation 2 would give FFFF"),
        pytest.param(0x0000, 0x1234, 0x1234, 0x0000, id="unchanged word under 0000 stays 0000 (erratum 4782)"),
        pytest.param(0x0000, 0x0000, 0x0000, 0x0000, id="unchanged zero under 0000"),
        pytest.param(0xFFFF, 0x1234, 0x1234, 0x0000, id="old FFFF becomes 0000"),
        pytest.param(0x0000, 0x0000, 0xFFFF, 0x0000, id="0000 to FFFF is no change"),
        pytest.param(0x1234, 0xFFFF, 0x0000, 0x1234, id="FFFF to 0000 is no change"),
    ],
)
def test_equation_3(check, old, new, result):
    assert cs.update16(check, old, new) == result
    assert cs.update32(check, old, new) == result
    assert cs.apply(check, cs.delta32(old, new)) == result


def test_16_bit_form_alone_leaves_ffff_when_ffff_goes_to_0000():
    """csum_replace2() adds three zeros there, csum_replace4() never does."""
    assert cs.update16(0xFFFF, 0xFFFF, 0x0000) == 0xFFFF
    assert cs.update32(0xFFFF, 0xFFFF, 0x0000) == 0x0000


@pytest.mark.parametrize(
    ("check", "result"), [(0xFEFF, 0x0000), (0xFF00, 0x0001), (0x69F0, 0x6AF0), (0xFFFF, 0x0100), (0xFEFE, 0xFFFE)]
)
def test_ttl_step(check, result):
    """Notes 5.9: 0xFEFF -> 0x0000, 0xFF00 -> 0x0001, 0x69F0 -> 0x6AF0."""
    assert cs.ttl_decremented(check) == result


def test_joined_deltas_do_what_they_do_in_turn():
    address = cs.delta32(parse_ip("192.168.0.3"), parse_ip("10.0.1.2"))
    port = cs.delta32(4000, 1025)
    assert cs.apply(0x1234, cs.join(address, port)) == cs.apply(cs.apply(0x1234, address), port)


def test_join_of_nothing_changes_nothing():
    assert cs.apply(0x1234, cs.join()) == 0x1234


def test_pseudo_header_continues_a_sum():
    datagram = bytes.fromhex("0fa0005000080000")
    start = cs.pseudo_header(parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), 17, 8)
    words = [0xC0A8, 0x0003, 0xCB00, 0x710A, 17, 8, 0x0FA0, 0x0050, 0x0008, 0]
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert cs.checksum(datagram, start) == total ^ 0xFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        pytest.param(b"123456789", 0xE3069283, id="the check value of CRC-32C"),
        pytest.param(bytes(32), 0x8A9136AA, id="RFC 3720 B.4: 32 zeros"),
        pytest.param(b"\xff" * 32, 0x62A8AB43, id="RFC 3720 B.4: 32 ones"),
        pytest.param(bytes(range(32)), 0x46DD794E, id="RFC 3720 B.4: ascending"),
    ],
)
def test_crc32c(data, crc):
    assert cs.crc32c(data) == crc
