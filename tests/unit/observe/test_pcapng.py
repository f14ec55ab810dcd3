"""pcapng blocks read back by a reader that knows nothing of the writer, and by tshark."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from struct import unpack_from

import pytest

from netsim.observe.pcapng import DIRECTION_IN, DIRECTION_OUT, LINKTYPE_RAW, PcapngWriter

ARP = bytes.fromhex(
    "ffffffffffff0200000001020806000108000604000102000000010 20a0001020000000000000a000101".replace(" ", "")
)
ICMP = bytes.fromhex("4500001c00010000400163db0a0001020a0001010800f7ff00000000")


def read_blocks(data: bytes) -> list[tuple[int, bytes]]:
    at, blocks = 0, []
    while at < len(data):
        kind, total = unpack_from("<II", data, at)
        assert total % 4 == 0
        assert unpack_from("<I", data, at + total - 4)[0] == total
        blocks.append((kind, data[at + 8 : at + total - 4]))
        at += total
    return blocks


def read_options(data: bytes) -> list[tuple[int, bytes]]:
    at, options = 0, []
    while at < len(data):
        code, length = unpack_from("<HH", data, at)
        if code == 0:
            assert at + 4 == len(data)
            break
        options.append((code, data[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return options


def sample() -> bytes:
    out = io.BytesIO()
    writer = PcapngWriter(out)
    wan0 = writer.interface("router:wan0", "10.0.1.2/24")
    ppp0 = writer.interface("router:ppp0", linktype=LINKTYPE_RAW)
    writer.packet(wan0, 60_000_000_001, ARP, direction=DIRECTION_OUT)
    writer.packet(ppp0, 60_000_000_002, ICMP, direction=DIRECTION_IN, comments=["one", "MASQUERADE a -> b"])
    writer.packet(wan0, 5_000_000_000_000, ARP)
    return out.getvalue()


def test_a_section_begins_with_its_byte_order_and_an_unknown_length() -> None:
    kind, body = read_blocks(sample())[0]
    assert (kind, unpack_from("<IHHq", body)) == (0x0A0D0D0A, (0x1A2B3C4D, 1, 0, -1))
    assert read_options(body[16:]) == [(4, b"netsim")]


def test_interfaces_carry_name_description_link_type_and_nanosecond_resolution() -> None:
    blocks = read_blocks(sample())
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1, 1, 6, 6, 6]
    assert unpack_from("<HHI", blocks[1][1]) == (1, 0, 0)
    assert read_options(blocks[1][1][8:]) == [(2, b"router:wan0"), (3, b"10.0.1.2/24"), (9, b"\x09")]
    assert unpack_from("<H", blocks[2][1])[0] == 101
    assert read_options(blocks[2][1][8:]) == [(2, b"router:ppp0"), (9, b"\x09")]


def test_packets_carry_interface_stamp_octets_direction_and_comments() -> None:
    packets = [body for kind, body in read_blocks(sample()) if kind == 6]
    read = []
    for body in packets:
        interface, high, low, kept, length = unpack_from("<IIIII", body)
        assert kept == length
        read.append((interface, high << 32 | low, body[20 : 20 + kept], read_options(body[20 + (kept + 3) // 4 * 4 :])))
    assert read == [
        (0, 60_000_000_001, ARP, [(2, b"\2\0\0\0")]),
        (1, 60_000_000_002, ICMP, [(1, b"one"), (1, b"MASQUERADE a -> b"), (2, b"\1\0\0\0")]),
        (0, 5_000_000_000_000, ARP, []),
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_names_stamps_directions_and_comments_without_complaint(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(sample())
    fields = [
        "frame.interface_name",
        "frame.time_epoch",
        "frame.packet_flags_direction",
        "frame.comment",
        "_ws.malformed",
    ]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    done = subprocess.run(command + [a for f in fields for a in ("-e", f)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "router:wan0|60.000000001|0x00000002||",
        "router:ppp0|60.000000002|0x00000001|one,MASQUERADE a -> b|",
        "router:wan0|5000.000000000|||",
    ]
    assert "damaged" not in done.stderr
