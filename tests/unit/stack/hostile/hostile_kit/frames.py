"""Hostile frames: true ones of every protocol first, then octets changed, addresses stolen, ends cut or stuffed.

Half of what was changed gets right checksums again, so that the damage reaches the layers behind them.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress

from hostile_kit.victims import LAN_MAC, PEER_MAC, WAN_MAC
from netsim.addr import parse_ip, parse_mac
from netsim.wire.arp import build_arp
from netsim.wire.checksum import checksum
from netsim.wire.icmp import build_icmp
from netsim.wire.ipv4 import IP_MF, build_ipv4
from netsim.wire.octets import Truncated
from netsim.wire.rewrite import resum
from netsim.wire.tcp import build_options, build_tcp
from netsim.wire.udp import build_udp

ADDRESSES = tuple(map(parse_ip, (
    "192.168.0.1", "192.168.0.5", "192.168.0.77", "192.168.0.255", "192.168.0.0", "10.0.1.1", "10.0.1.2", "10.0.1.255",
    "10.8.0.1", "10.8.0.9", "203.0.113.10", "203.0.113.11", "255.255.255.255", "0.0.0.0", "127.0.0.1", "127.1.2.3",
    "224.0.0.1", "239.1.2.3", "240.0.0.1", "169.254.1.1",
)))  # fmt: skip
PORTS = (0, 7, 9, 21, 53, 80, 113, 1024, 5000, 8080, 61000, 65535)
MACS = tuple(map(parse_mac, (
    LAN_MAC, WAN_MAC, PEER_MAC, "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "02:66:66:66:66:66", "00:00:00:00:00:00",
)))  # fmt: skip
PLAUSIBLE = {
    dev: (tuple(map(parse_ip, sources)), tuple(map(parse_ip, targets)))
    for dev, sources, targets in (
        ("eth0", ("192.168.0.5", "192.168.0.77"), ("192.168.0.1", "203.0.113.10", "203.0.113.11", "10.0.1.1")),
        ("wan0", ("203.0.113.10", "10.0.1.1"), ("10.0.1.2", "10.0.1.2", "192.168.0.5", "192.168.0.1")),
        ("ppp0", ("10.8.0.9", "203.0.113.11"), ("10.8.0.1", "192.168.0.5", "203.0.113.10")),
    )
}
"""Sources and targets by device that come some way into a box."""
OPTIONS = (
    b"", b"", b"", b"\x01\x01\x01\x00", b"\x83\x07\x04\x0a\x00\x01\x01\x00", b"\x44\x08\x05\x00\x00\x00\x00\x00",
    b"\x07\x07\x04\x00\x00\x00\x00\x00", b"\x94\x04\x00\x00", b"\x89\x03\x04\x00", b"\x83\x00\x00\x00",
    b"\xff\xff\xff\xff",
)  # fmt: skip
JUMBO = 9000


class Attacker:
    """Draws frames for one victim from one stream; `role` decides which MACs hit."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._fuzzed: list[bytes] = []
        self._heard: dict[str, bytes] = {}

    def learn(self, packets: list[bytes]) -> None:
        """Take further packets (scapy's fuzz) to mutate."""
        self._fuzzed += packets

    def frame(self, dev: str) -> bytes:
        """Return the next frame for a device."""
        rng = self.rng
        roll = rng.random()
        if dev == "ppp0":
            return self._mangled(bytearray(self._answer(dev, 0) or self._packet(dev)), 0)
        mac = LAN_MAC if dev == "eth0" else WAN_MAC
        dst = parse_mac(mac) if rng.random() < 0.85 else rng.choice(MACS)
        src = rng.choice(MACS[2:]) if rng.random() < 0.5 else parse_mac(PEER_MAC)
        if roll < 0.15:
            return self._mangled(bytearray(dst + src + b"\x08\x06" + self._arp()), 14)
        if roll < 0.17:
            return bytes(dst + src + rng.randbytes(rng.randrange(0, 60)))[: rng.randrange(0, 74)]
        answer = self._answer(dev, 14)
        if answer and roll < 0.4:
            return self._mangled(bytearray(answer), 14)
        return self._mangled(bytearray(dst + src + b"\x08\x00" + self._packet(dev)), 14)

    def hear(self, dev: str, octets: bytes) -> None:
        """Note what the victim sent: a frame that answers it gets further than any guess."""
        self._heard[dev] = octets

    def _answer(self, dev: str, at: int) -> bytes:
        """Turn the last frame that the victim sent round; b"" where there is none, or it was no IP."""
        heard = self._heard.pop(dev, b"")
        if len(heard) < at + 24 or (at and heard[12:14] != b"\x08\x00"):
            return b""
        link = heard[6:12] + heard[:6] + b"\x08\x00" if at else b""
        ihl = (heard[at] & 15) * 4
        packet = bytearray(heard[at:])
        packet[8] = 64
        packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
        if packet[9] in (6, 17) and len(packet) >= ihl + 8:
            packet[ihl : ihl + 2], packet[ihl + 2 : ihl + 4] = packet[ihl + 2 : ihl + 4], packet[ihl : ihl + 2]
        if packet[9] == 6 and len(packet) >= ihl + 20:
            seq, ack = int.from_bytes(packet[ihl + 4 : ihl + 8], "big"), packet[ihl + 8 : ihl + 12]
            packet[ihl + 4 : ihl + 8] = ack
            packet[ihl + 8 : ihl + 12] = ((seq + self.rng.choice((1, 1, 1, 0, 500))) & 0xFFFFFFFF).to_bytes(4, "big")
            packet[ihl + 13] = self.rng.choice((0x10, 0x10, 0x18, 0x11, 4, 0x12))
            packet += bytes(self.rng.choice((0, 1, 100)))
        with suppress(Truncated):
            resum(packet)
        return bytes(link + packet)

    def _arp(self) -> bytes:
        rng = self.rng
        return build_arp(
            rng.choice((1, 1, 2, 2, 3, 0)),
            rng.choice(MACS),
            rng.choice(ADDRESSES),
            rng.choice(MACS),
            rng.choice(ADDRESSES),
        ) + bytes(rng.choice((0, 18)))

    def _packet(self, dev: str) -> bytes:
        rng = self.rng
        if self._fuzzed and rng.random() < 0.1:
            return rng.choice(self._fuzzed)
        sources, targets = PLAUSIBLE[dev] if rng.random() < 0.7 else (ADDRESSES, ADDRESSES)
        src, dst = rng.choice(sources), rng.choice(targets)
        proto, payload = self._payload(src, dst)
        fragment = 0
        if rng.random() < 0.12:
            fragment = rng.choice((IP_MF, IP_MF | 1, 1, 2, 3, 0x1FFF, IP_MF | 0x1FFE, 0x4000, 185, IP_MF | 185))
        size = rng.choice((None, None, None, 0, 8, 24)) if fragment else None
        payload = payload[:size] if size is not None else payload
        return build_ipv4(
            src, dst, proto, len(payload), tos=rng.choice((0, 0x10, 0xFF)), ident=rng.randrange(8), frag_off=fragment,
            ttl=rng.choice((0, 1, 2, 64, 64, 64, 255)), options=rng.choice(OPTIONS),
        ) + payload  # fmt: skip

    def _payload(self, src: int, dst: int) -> tuple[int, bytes]:
        rng = self.rng
        kind = rng.randrange(10)
        data = bytes(rng.choice((0, 1, 8, 20, 100, 1400, 1472)))
        sport, dport = rng.choice(PORTS), rng.choice(PORTS)
        if kind < 3:
            return 17, build_udp(src, dst, sport, dport, data)
        if kind < 6:
            options = rng.choice(
                (b"", build_options(mss=rng.choice((0, 1, 536, 65535))), b"\x02\x00\x00\x00", b"\xfe" * 8)
            )
            return 6, build_tcp(
                src, dst, sport, dport, rng.getrandbits(32), rng.getrandbits(32),
                rng.choice((2, 2, 0x12, 0x10, 0x18, 4, 0x11, 0, 0x3F, 0x29)), rng.choice((0, 500, 65535)),
                self._speech(dport) or data, options,
            )  # fmt: skip
        if kind < 9:
            return 1, self._icmp(src, dst, data)
        return rng.choice((0, 2, 4, 41, 47, 50, 89, 132, 255)), data

    def _speech(self, port: int) -> bytes:
        """Return what an FTP helper reads, and what it should rather not."""
        if port != 21 or self.rng.random() < 0.5:
            return b""
        return self.rng.choice((
            b"PORT 192,168,0,5,4,1\r\n", b"PORT 1,2,3,4,5,6\r\n", b"PORT 999,1,1,1,1,1\r\n", b"PORT ,,,,,\r\n", b"PORT",
            b"EPRT |1|192.168.0.5|1025|\r\n", b"227 Entering (10,0,1,1,0,9)\r\n", b"229 (|||9|)\r\n", b"\xff" * 40,
        ))  # fmt: skip

    def _icmp(self, src: int, dst: int, data: bytes) -> bytes:
        rng = self.rng
        if rng.random() < 0.4:
            return build_icmp(rng.choice((8, 0, 13, 17, 9, 40)), rng.choice((0, 0, 3)), rng.getrandbits(32), data)
        inner_src = dst if rng.random() < 0.6 else rng.choice(ADDRESSES)
        proto = rng.choice((1, 6, 17, 47))
        inner_dst = rng.choice(ADDRESSES)
        body = {
            1: build_icmp(rng.choice((8, 0, 3)), 0, 1, data[:8]),
            6: build_tcp(inner_src, inner_dst, rng.choice(PORTS), rng.choice(PORTS), 1, 2, 2, 3),
            17: build_udp(inner_src, inner_dst, rng.choice(PORTS), rng.choice(PORTS), data[:8]),
        }.get(proto, data)
        inner = build_ipv4(
            inner_src, inner_dst, proto, len(body) + rng.choice((0, 0, 1000)), options=rng.choice(OPTIONS)
        )
        quoted = (inner + body)[: rng.choice((200, 200, 28, 27, 20, 19, 4, 0))]
        rest = rng.choice((0, 68, 552, 1400, 65535, rng.choice(ADDRESSES), 0x05000000))
        return build_icmp(rng.choice((3, 3, 3, 5, 5, 11, 12, 4)), rng.randrange(0, 16), rest, quoted)

    def _mangled(self, data: bytearray, at: int) -> bytes:
        """Change octets, mend sums now and then, cut the end or stuff it."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.45:
            for _ in range(rng.randrange(1, 5)):
                if len(data) > at:
                    place = at + min(int(rng.expovariate(1 / 20)), len(data) - at - 1)
                    data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            if rng.random() < 0.7:
                self._mend(data, at)
        elif roll < 0.55:
            del data[rng.randrange(0, len(data) + 1) :]
        elif roll < 0.58:
            data += bytes(rng.choice((1, 30, JUMBO)))
        return bytes(data)

    def _mend(self, data: bytearray, at: int) -> None:
        """Put right checksums on a changed packet, as far as it can have any."""
        ihl = (data[at] & 15) * 4 if len(data) > at else 0
        if ihl < 20 or len(data) < at + ihl:
            return
        data[at + 10 : at + 12] = b"\0\0"
        data[at + 10 : at + 12] = checksum(bytes(data[at : at + ihl])).to_bytes(2, "big")
        length = data[at + 2] << 8 | data[at + 3]
        if (
            self.rng.random() < 0.7
            and at + length == len(data)
            and length >= ihl
            and not (data[at + 6] & 0x3F or data[at + 7])
        ):
            packet = bytearray(data[at:])
            with suppress(Truncated):
                resum(packet)
                data[at:] = packet


def scapy_fuzz(count: int, seed: int) -> list[bytes]:
    """Return IP packets that scapy's fuzz() made: every field of every layer at random."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.packet import Raw, fuzz

    random.seed(seed)  # scapy draws from the module's own stream
    made: list[bytes] = []
    makers = (
        lambda: IP(src="192.168.0.5", dst="192.168.0.1") / fuzz(TCP()),
        lambda: fuzz(IP(dst="192.168.0.1")) / UDP() / b"x",
        lambda: IP(src="10.0.1.1", dst="10.0.1.2") / fuzz(ICMP()) / fuzz(IP()) / fuzz(UDP()),
        lambda: fuzz(IP(src="192.168.0.5", dst="203.0.113.10")) / fuzz(ICMP()),
        lambda: IP(src="203.0.113.11", dst="192.168.0.1", options=b"\x07\x04\x04\x00") / fuzz(UDP()),
        lambda: fuzz(IP(src="203.0.113.10", dst="10.0.1.2")) / fuzz(TCP()) / Raw(b"PORT 1,2,3,4,5,6\r\n"),
    )  # fmt: skip
    while len(made) < count:
        try:
            made.append(bytes(makers[len(made) % len(makers)]()))
        except (struct.error, OverflowError, ValueError, TypeError, AttributeError, KeyError):
            # fuzz() draws values that scapy itself cannot write (an option of no length, a name for a number)
            made.append(bytes(IP(dst="192.168.0.1") / UDP()))
    return made
