"""Random packets through a masquerading router, and through the running kernel's: the same octets, the same tables.

After each packet what was forwarded is compared octet by octet, and the whole of `conntrack -L` line by line,
time-outs to two seconds (the kernel's clock is real). Seeds are fixed.
"""

from __future__ import annotations

import random
import re
import time

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.errors import Skipped
from netsim.kernel.box import KernelBox
from netsim.kernel.fabric import Fabric
from netsim.kernel.probe import require
from netsim.kernel.reactor import Reactor
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewAddr, NewLink, SetLink
from netsim.wire.frame import Frame
from netsim.wire.icmp import build_icmp
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import build_options, build_tcp
from netsim.wire.udp import build_udp

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

PEER = parse_mac("02:00:00:00:00:99")
DEVICES = {"lan0": ("02:00:00:00:01:01", "192.168.0.1"), "wan0": ("02:00:00:00:01:02", "10.0.1.2")}
SET_UP = """
    sysctl -w net.ipv4.ip_forward=1
    sysctl -w net.ipv4.conf.all.send_redirects=0
    sysctl -w net.ipv4.conf.lan0.send_redirects=0
    sysctl -w net.ipv4.conf.wan0.send_redirects=0
    ip link set lo up
    ip route add default via 10.0.1.1
    ip neigh add 192.168.0.50 lladdr 02:00:00:00:00:99 dev lan0 nud permanent
    ip neigh add 10.0.1.1 lladdr 02:00:00:00:00:99 dev wan0 nud permanent
    iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE
"""
HOST, SERVER, OUTSIDE, PROVIDER = "192.168.0.50", "203.0.113.10", "10.0.1.2", "10.0.1.1"
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
M32 = 0xFFFFFFFF


class Twins:
    """The emulated router and the real one, set up alike."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.fabric = Fabric(self.reactor)
        self.out: list[tuple[str, bytes]] = []
        self.real = KernelBox("r", fabric=self.fabric, reactor=self.reactor, wants=set(), came=self._came)
        self.ours = Netns("r", profile("linux-6"), random.Random(1))
        self.start = time.monotonic_ns()
        for box in (self.ours, self.real):
            for dev, (mac, address) in DEVICES.items():
                box.request(NewLink(name=dev, mac=parse_mac(mac)), now=0)
                box.request(NewAddr(dev=dev, local=parse_ip(address), plen=24), now=0)
                box.request(SetLink(dev=dev, up=True), now=0)
        for line in filter(None, map(str.strip, SET_UP.splitlines())):
            assert run(self.ours, line, now=0).rc == 0, line
            assert self.real.set_up(line).rc == 0, line

    def close(self) -> None:
        """Let every namespace go."""
        self.real.close()
        self.fabric.close()
        self.reactor.close()

    @property
    def now(self) -> int:
        return time.monotonic_ns() - self.start

    def tracked(self) -> list:
        """Return the live connections of ours."""
        return [ct for ct in self.ours.netfilter.conntrack if ct.timeout > self.now]

    def _came(self, stamp, box, frame) -> None:
        if frame.octets[12:14] == b"\x08\x00":
            self.out.append((frame.dev, frame.octets[14:]))

    def step(self, packet: bytes, dev: str) -> list[str]:
        """Let a packet arrive at both; return how they differ."""
        frame = parse_mac(DEVICES[dev][0]) + PEER + b"\x08\x00" + packet
        self.out.clear()
        self.real.receive(dev, Frame(frame, 1), now=0)
        real_lines = self._listing(self.real.set_up("conntrack -L 2>/dev/null").stdout)
        self.reactor.poll(1_000_000)
        outbox = self.ours.outbox
        outbox.frames.clear()
        self.ours.receive(dev, Frame(frame, 1), now=self.now)
        our_lines = self._listing(run(self.ours, "conntrack -L", now=self.now).stdout)
        real = [octets for out, octets in self.out if out != dev]
        ours = [bytes(each.octets[14:]) for each in outbox.frames if each.dev != dev]
        found = []
        if [octets[: len(ours[0])] if ours else octets for octets in real] != ours:
            found.append(f"forwarded: {[each.hex() for each in real]}, ours {[each.hex() for each in ours]}")
        for line in real_lines.keys() | our_lines.keys():
            left = real_lines.get(line), our_lines.get(line)
            if None in left and max(filter(None, left), default=0) > 2:
                found.append(f"{'ours' if left[0] is None else 'the real one'} only: {line}")
            elif None not in left and abs(left[0] - left[1]) > 2:
                found.append(f"{line}: {left[0]} s left, ours {left[1]} s")
        return found

    @staticmethod
    def _listing(text: str) -> dict[str, int]:
        """Return the lines of a listing without their time-outs, and those."""
        lines = {}
        for line in text.splitlines():
            said = re.match(r"(\S+ +\d+) (\d+)( .*)", line)
            if said is not None:
                lines[said[1] + said[3]] = int(said[2])
        return dict(sorted(lines.items()))


@pytest.fixture
def twins():
    try:
        require()
    except Skipped as skipped:
        pytest.skip(str(skipped))
    made = Twins()
    yield made
    made.close()


def ip(src: str, dst: str, proto: int, body: bytes) -> bytes:
    return build_ipv4(parse_ip(src), parse_ip(dst), proto, len(body)) + body


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes, *, checksum: bool = True) -> bytes:
    return ip(src, dst, 17, build_udp(parse_ip(src), parse_ip(dst), sport, dport, payload, checksum=checksum))


class Segments:
    """Segments near what a connection expects, most of them right, some by a little or by far not."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.anew()

    def anew(self) -> None:
        """Begin another connection."""
        self.port = self.rnd.randrange(2000, 60000)
        self.next = {"c": self.rnd.getrandbits(32), "s": self.rnd.getrandbits(32)}
        self.phase = 0

    def draw(self, twins: Twins) -> tuple[bytes, str]:
        """Return a packet and where it comes in."""
        rnd = self.rnd
        if rnd.random() < 0.03:
            self.anew()
        side = rnd.choice("cs")
        flags = rnd.choice(("S", "SA", "A", "A", "A", "PA", "PA", "FA", "R", "RA", "F", "", "SFA"))
        if self.phase < 3 and rnd.random() < 0.8:
            side, flags = (("c", "S"), ("s", "SA"), ("c", "A"))[self.phase]
            self.phase += 1
        known = any(ct.tuple_orig.sport == self.port for ct in twins.tracked())
        if side == "s" and not known:
            side, flags = "c", rnd.choice(("S", "A"))
        peer = "s" if side == "c" else "c"
        off = rnd.choice([0] * 8 + [1, -1, 100, -100, 5000, -5000, 8192, 8193, 70000, -70000, 1 << 30])
        seq = self.next[side] + off & M32
        acks = "A" in flags or rnd.random() < 0.3
        ack = self.next[peer] + rnd.choice([0] * 10 + [1, -1, 100, -70000, 70000, -66001]) & M32 if acks else 0
        payload = bytes(rnd.randrange(0, 40)) if "P" in flags else b""
        window = rnd.choice([8192] * 6 + [0, 1, 65535, 512])
        if off == 0:
            self.next[side] = self.next[side] + len(payload) + ("S" in flags) + ("F" in flags) & M32
        ends = (HOST, self.port, SERVER, 80) if side == "c" else (SERVER, 80, OUTSIDE, self.port)
        body = build_tcp(
            parse_ip(ends[0]), parse_ip(ends[2]), ends[1], ends[3], seq, ack, sum(FLAGS[f] for f in flags), window,
            payload, self._options(flags, ack),
        )  # fmt: skip
        return ip(ends[0], ends[2], 6, body), "lan0" if side == "c" else "wan0"

    def _options(self, flags: str, ack: int) -> bytes:
        rnd = self.rnd
        if "S" in flags:
            wide = build_options(mss=1460, sack_permitted=True, wscale=rnd.choice([0, 3, 7]))
            return rnd.choice([b"", build_options(mss=1460), wide])
        if rnd.random() < 0.1:
            return build_options(sack=[(ack + 50 & M32, ack + 90 & M32)])
        return build_options(timestamp=(1, 2)) if rnd.random() < 0.1 else b""


def datagram(rnd: random.Random, twins: Twins) -> tuple[bytes, str]:
    """Return a packet of UDP, ICMP or another protocol, or an ICMP error about one, and where it comes in.

    UDP comes from outside only as an answer: else its entry could take a port, which NAT replaces by a drawn one.
    """
    port, sport, ident = rnd.choice([53, 5000]), rnd.choice([6000, 6001]), rnd.choice([7, 8])
    kind = rnd.randrange(6)
    known = any(ct.tuple_orig[:4] == (parse_ip(HOST), sport, parse_ip(SERVER), port) for ct in twins.tracked())
    if kind == 1 and not known:
        kind = 0
    if kind == 1:
        return udp(SERVER, port, OUTSIDE, sport, b"r", checksum=rnd.random() < 0.8), "wan0"
    if kind == 0:
        return udp(HOST, sport, SERVER, port, b"q", checksum=rnd.random() < 0.8), "lan0"
    if kind == 2:
        query = rnd.choice([8, 8, 13, 15, 17, 0, 14, 9, 30])
        return ip(HOST, SERVER, 1, build_icmp(query, 0, ident << 16 | 1, b"x")), "lan0"
    if kind == 3:
        return ip(SERVER, OUTSIDE, 1, build_icmp(rnd.choice([0, 0, 14, 16, 18, 8]), 0, ident << 16 | 1, b"x")), "wan0"
    if kind == 4:
        return ip(HOST, SERVER, rnd.choice([47, 99, 50, 41, 136]), bytes(rnd.randrange(0, 30))), "lan0"
    about = rnd.choice([
        udp(OUTSIDE, sport, SERVER, port, b"q"), ip(OUTSIDE, SERVER, 1, build_icmp(8, 0, 7 << 16 | 1, b"x")),
        ip(OUTSIDE, SERVER, 47, bytes(12)),
    ])[: rnd.choice([28, 26, 24, 20, 19, 60])]  # fmt: skip
    error, code = rnd.choice([(3, 1), (3, 3), (11, 0), (5, 1), (4, 0), (12, 0)])
    body = bytearray(build_icmp(error, code, 0, about))
    if rnd.random() < 0.1:
        body[-1] ^= 1
    return ip(PROVIDER, rnd.choice([OUTSIDE, OUTSIDE, HOST]), 1, bytes(body)), "wan0"


@pytest.mark.parametrize("seed", [1, 2])
def test_random_segments_move_connections_as_the_kernel_moves_them(twins, seed):
    segments = Segments(seed)
    for number in range(250):
        packet, dev = segments.draw(twins)
        assert twins.step(packet, dev) == [], (number, dev, packet.hex())


@pytest.mark.parametrize("seed", [1, 2])
def test_random_datagrams_and_errors_are_tracked_as_the_kernel_tracks_them(twins, seed):
    rnd = random.Random(seed)
    for number in range(250):
        packet, dev = datagram(rnd, twins)
        assert twins.step(packet, dev) == [], (number, dev, packet.hex())
