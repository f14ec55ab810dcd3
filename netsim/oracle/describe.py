"""Frames in words that mean the same in two runs: what the kernel draws by itself is replaced by what it stands for.

Ports that nobody chose become the flow and unit that used them, echo ids likewise; TCP sequence numbers count from the
connection's first. Left out are IP ids, TCP timestamps, windows and their scale (a matter of the machine's memory), the
PSH flag (the kernel sets it at the end of each segmentation burst, whose size follows the pacing rate), and the instant
of sending inside a payload's stamp.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from struct import Struct

from netsim.addr import ip_str, mac_str
from netsim.trace.records import ConnectionEvent, FlowSent, NatMapped, Record
from netsim.units import Ns

_IP = Struct("!BBHHHBBH4s4s")
_PORTS = Struct("!HH")
_TCP = Struct("!HHIIBBHHH")
_FLAGS = ("F", "S", "R", "", "A", "U", "E", "C")
_ERRORS = (3, 4, 5, 11, 12)
_STAMP_TIME = slice(8, 16)
_NUMBERS = re.compile(r"\b(sport|dport|id)=(\d+)")


def _dotted(octets: bytes) -> str:
    return ip_str(int.from_bytes(octets, "big"))


def ends(conn: str) -> tuple[str, int, str, int]:
    """Cut "src:port>dst:port"."""
    left, _, right = conn.partition(">")
    src, _, sport = left.rpartition(":")
    dst, _, dport = right.rpartition(":")
    return src, int(sport or 0), dst, int(dport or 0)


class Roles:
    """What each port that nobody chose stands for. `chosen` are the numbers that the scenario names.

    A number may be drawn twice in a run: the role is that of its latest user. One that no flow tells of is named by
    the order of appearance.
    """

    def __init__(self, records: Iterable[Record], chosen: frozenset[int]) -> None:
        self._chosen = chosen
        self._users: dict[int, tuple[list[Ns], list[str]]] = {}
        self._unknown: dict[int, str] = {}
        for record in records:
            if isinstance(record, (FlowSent, ConnectionEvent)) and record.conn:
                _, sport, _, _ = ends(record.conn)
                self._use(sport, record.t, f"{record.flow}.{record.seq}")
            elif isinstance(record, NatMapped):
                self._translated(record)

    def _use(self, port: int, t: Ns, role: str) -> None:
        times, roles = self._users.setdefault(port, ([], []))
        if roles and roles[-1].partition(".")[0] == role.partition(".")[0]:
            return  # a further unit of the same flow from the same socket
        times.append(t)
        roles.append(role)

    def _translated(self, record: NatMapped) -> None:
        _, sport, _, _ = ends(record.original)
        _, _, _, new = ends(record.reply)
        if new != sport and new not in self._chosen:
            self._use(new, record.t, f"nat({self.port(sport, record.t)}).0")

    def port(self, number: int, t: Ns, *, always: bool = False) -> str:
        """Return what a port stands for; `always` also asks for numbers below 1024 and chosen ones (echo ids)."""
        if not always and (number < 1024 or number in self._chosen):
            return str(number)
        users = self._users.get(number)
        if users is not None:
            at = bisect_right(users[0], t) - 1
            return f"<{users[1][max(at, 0)]}>"
        return self._unknown.setdefault(number, f"<e{len(self._unknown) + 1}>")

    def text(self, text: str, t: Ns) -> str:
        """Replace the ports and ids in what conntrack prints."""
        return _NUMBERS.sub(lambda m: f"{m[1]}={self.port(int(m[2]), t, always=m[1] == 'id')}", text)


class Describer:
    """Turns the frames of one run into (conversation, words). Feed it every frame in order: it learns first numbers."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._first: dict[tuple[str, str], int] = {}

    def frame(self, octets: bytes, t: Ns) -> tuple[str, str]:
        """Return whom a frame is between, and what it says."""
        kind = int.from_bytes(octets[12:14], "big")
        if kind == 0x0806:
            return self._arp(octets)
        to = f" to {mac_str(octets[:6])}"
        if kind != 0x0800:
            return f"ethertype {kind:#06x}", octets[14:].hex() + to
        conversation, words = self._ip(octets[14:], t)
        return conversation, words + to

    @staticmethod
    def _arp(octets: bytes) -> tuple[str, str]:
        op = int.from_bytes(octets[20:22], "big")
        sha, spa, tha, tpa = octets[22:28], octets[28:32], octets[32:38], octets[38:42]
        who = " ".join(sorted((_dotted(spa), _dotted(tpa))))
        words = f"arp {op} {mac_str(sha)} {_dotted(spa)} asks {mac_str(tha)} {_dotted(tpa)} to {mac_str(octets[:6])}"
        return f"arp {who}", words

    def _ip(self, packet: bytes, t: Ns, *, quoted: bool = False) -> tuple[str, str]:
        first, tos, length, _, frag, ttl, proto, _, src, dst = _IP.unpack_from(packet)
        start = (first & 15) * 4
        source, target = _dotted(src), _dotted(dst)
        head = f"ttl {ttl} tos {tos:#x} len {length}{' DF' if frag & 0x4000 else ''}"
        payload = packet[start:length] if not quoted else packet[start:]
        if frag & 0x3FFF:
            return f"{proto} {source} {target} fragments", f"{source} > {target} frag {frag & 0x3FFF:#x} {head}"
        if proto == 17 and len(payload) >= 8:
            return self._udp(source, target, payload, head, t, quoted)
        if proto == 6 and len(payload) >= 8:
            return self._tcp(source, target, payload, head, t, quoted)
        if proto == 1 and len(payload) >= 8:
            return self._icmp(source, target, payload, head, t)
        return f"{proto} {source} {target}", f"{source} > {target} proto {proto} {head} {payload.hex()}"

    def _pair(self, name: str, source: str, target: str, payload: bytes, t: Ns) -> tuple[str, str, str]:
        sport, dport = _PORTS.unpack_from(payload)
        a, b = f"{source}:{self._roles.port(sport, t)}", f"{target}:{self._roles.port(dport, t)}"
        return f"{name} {' '.join(sorted((a, b)))}", a, b

    def _udp(self, source: str, target: str, data: bytes, head: str, t: Ns, quoted: bool) -> tuple[str, str]:
        conversation, a, b = self._pair("udp", source, target, data, t)
        body = "" if quoted else f" {_unstamped(data[8:]).hex()}"
        return conversation, f"{a} > {b} udp {head}{body}"

    def _tcp(self, source: str, target: str, data: bytes, head: str, t: Ns, quoted: bool) -> tuple[str, str]:
        conversation, a, b = self._pair("tcp", source, target, data, t)
        if len(data) < _TCP.size:
            return conversation, f"{a} > {b} tcp {head}"
        _, _, seq, ack, offset, flags, _, _, _ = _TCP.unpack_from(data)
        names = "".join(name for bit, name in enumerate(_FLAGS) if flags >> bit & 1)
        if flags & 2:
            self._first[a, b] = seq
        relative = (seq - self._first.setdefault((a, b), seq)) & 0xFFFFFFFF
        acked = (ack - self._first.setdefault((b, a), ack)) & 0xFFFFFFFF if flags & 16 else 0
        start = (offset >> 4) * 4
        options = "" if quoted else f" opt {_option_names(data[_TCP.size : start])}"
        size = "" if quoted else f" data {len(data) - start}"
        return conversation, f"{a} > {b} tcp {names} seq {relative} ack {acked}{options}{size} {head}"

    def _icmp(self, source: str, target: str, data: bytes, head: str, t: Ns) -> tuple[str, str]:
        kind, code = data[0], data[1]
        who = " ".join(sorted((source, target)))
        if kind in (0, 8):
            ident, seq = _PORTS.unpack_from(data, 4)
            role = self._roles.port(ident, t, always=True)
            words = f"{source} > {target} icmp {kind} id {role} seq {seq} {head} {_unstamped(data[8:]).hex()}"
            return f"icmp {who} {role}", words
        words = f"{source} > {target} icmp {kind}/{code} {head}"
        if kind in _ERRORS and len(data) >= 28:
            _, inner = self._ip(data[8:], t, quoted=True)
            words += f" about 0x{data[4:8].hex()} [{inner}] quoted {len(data) - 8}"
        return f"icmp {who} {kind}/{code}", words


def _unstamped(payload: bytes) -> bytes:
    """Take the instant of sending out of a payload that may carry it."""
    if len(payload) < 16:
        return payload
    out = bytearray(payload)
    out[_STAMP_TIME] = bytes(8)
    return bytes(out[:32])


def _option_names(data: bytes) -> str:
    """List TCP options; mss and SACK blocks with their values."""
    out: list[str] = []
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            break
        if kind == 1:
            out.append("nop")
            at += 1
            continue
        length = max(2, data[at + 1] if at + 1 < len(data) else 2)
        names = {2: f"mss {int.from_bytes(data[at + 2 : at + 4], 'big')}", 3: "wscale", 4: "sackOK", 5: "sack", 8: "ts"}
        out.append(names.get(kind, f"opt{kind}"))
        at += length
    return ",".join(out) or "-"
