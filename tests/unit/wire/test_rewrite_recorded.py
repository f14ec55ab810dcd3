"""What the conntrack and NAT code of Linux 2.4.27 made of packets, octet for octet.

Each line of the data is a packet as it came in and as it was forwarded. The translation is read off the second one, and
the first must become it: TTL, addresses, ports, ids, quoted packets and every checksum, the UDP ones that became 0000
and those that were wrong on arrival included.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from netsim.wire import icmp, ipv4
from netsim.wire.rewrite import rewrite_ipv4
from netsim.wire.verify import verify, verify_quoted

DATA = Path(__file__).parents[2] / "data/wire/nat-2.4.txt.gz"
PAIRS = [tuple(map(bytes.fromhex, line.split())) for line in gzip.decompress(DATA.read_bytes()).decode().splitlines()]


def u16(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 2], "big")


def translate(work: bytearray, after: bytes, offset: int) -> None:
    saddr, daddr = ipv4.addresses(after, offset)
    at = offset + ipv4.header_len(after, offset)
    done = rewrite_ipv4(
        work, saddr=saddr, daddr=daddr, sport=u16(after, at), dport=u16(after, at + 2), icmp_id=u16(after, at + 4),
        offset=offset, mangled_0=0,
    )  # fmt: skip
    assert done


def forward(before: bytes, after: bytes) -> bytes:
    work = bytearray(before)
    ipv4.decrement_ttl(work)
    at = ipv4.header_len(before)
    if before[9] == ipv4.IPPROTO_ICMP and icmp.parse_icmp(before, at).is_error:
        translate(work, after, at + icmp.ICMP_HLEN)
        icmp.resum_icmp(work, at)
    translate(work, after, 0)
    return bytes(work)


def test_recorded_packets_come_out_as_recorded():
    assert len(PAIRS) > 300
    for before, after in PAIRS:
        assert forward(before, after).hex() == after.hex()


def test_right_stays_right_and_wrong_stays_wrong():
    """The recordings' own remark: "right stays right, wrong stays wrong, UDP 0000 stays 0000"."""
    wrong = 0
    for before, after in PAIRS:
        assert bool(verify(before)) == bool(verify(after))
        assert verify_quoted(before) == verify_quoted(after) == ""
        wrong += bool(verify(after))
    assert wrong == 3
