"""How long the wire floor's daily work takes: `python tests/benchmarks/bench_wire.py`. Not collected as a test.

The budget of a forwarded packet through the whole stack is 8 us; the wire's part of it is the line "forward hop".
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from netsim.addr import parse_ip
from netsim.wire import arp, checksum, icmp, ipv4, tcp, udp
from netsim.wire.rewrite import rewrite_ipv4
from netsim.wire.summary import summary
from netsim.wire.verify import verify

INSIDE, WORLD, OUTSIDE = parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), parse_ip("10.0.1.2")
MAC = bytes.fromhex("020000000101")
ROUNDS = 50_000


def packet(proto: int, segment: bytes) -> bytes:
    return ipv4.build_ipv4(INSIDE, WORLD, proto, len(segment)) + segment


SMALL = packet(ipv4.IPPROTO_UDP, udp.build_udp(INSIDE, WORLD, 4000, 80, b"x" * 100))
LARGE = packet(ipv4.IPPROTO_UDP, udp.build_udp(INSIDE, WORLD, 4000, 80, b"x" * 1472))
SYN = packet(
    ipv4.IPPROTO_TCP,
    tcp.build_tcp(INSIDE, WORLD, 4000, 80, 1, 0, 2, 64240, b"", tcp.build_options(mss=1460, wscale=7)),
)
ECHO = packet(ipv4.IPPROTO_ICMP, icmp.build_query(icmp.ICMP_ECHO, 1, 2, b"x" * 56))


def hop(octets: bytearray) -> None:
    ipv4.decrement_ttl(octets)
    octets[8] = 64  # the same octets serve again; their checksum drifts, which costs the same
    rewrite_ipv4(octets, saddr=OUTSIDE, sport=1025)


def measure(name: str, work: Callable[[], object]) -> None:
    best = min(timeit.repeat(work, number=ROUNDS, repeat=5)) / ROUNDS * 1e6
    print(f"{name:42s} {best:7.2f} us")


def main() -> None:
    small, syn, echo = bytearray(SMALL), bytearray(SYN), bytearray(ECHO)
    measure("copy of 128 octets", lambda: bytearray(SMALL))
    measure("ttl", lambda: ipv4.decrement_ttl(small) or small.__setitem__(8, 64))
    measure("rewrite source and port, UDP", lambda: rewrite_ipv4(small, saddr=OUTSIDE, sport=1025))
    measure("rewrite source and port, TCP", lambda: rewrite_ipv4(syn, saddr=OUTSIDE, sport=1025))
    measure("rewrite source and id, ICMP", lambda: rewrite_ipv4(echo, saddr=OUTSIDE, icmp_id=7))
    measure("forward hop: ttl and rewrite, UDP", lambda: hop(small))
    measure("forward hop: ttl and rewrite, TCP", lambda: hop(syn))
    measure("checksum of 20 octets", lambda: checksum.checksum(SMALL[:20]))
    measure("checksum of 1500 octets", lambda: checksum.checksum(LARGE))
    measure("header_error", lambda: ipv4.header_error(SMALL))
    measure("verify 128 octets", lambda: verify(SMALL))
    measure("verify 1500 octets", lambda: verify(LARGE))
    measure("build_ipv4", lambda: ipv4.build_ipv4(INSIDE, WORLD, 17, 108))
    measure("build_udp of 100 octets", lambda: udp.build_udp(INSIDE, WORLD, 4000, 80, b"x" * 100))
    measure("build_tcp", lambda: tcp.build_tcp(INSIDE, WORLD, 4000, 80, 1, 2, 16, 65535))
    measure("build_request (ARP)", lambda: arp.build_request(MAC, INSIDE, WORLD))
    measure("parse_ipv4", lambda: ipv4.parse_ipv4(SMALL))
    measure("parse_tcp", lambda: tcp.parse_tcp(SYN, 20))
    measure("summary", lambda: summary(SYN, link_header=False))


if __name__ == "__main__":
    main()
