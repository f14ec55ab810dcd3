"""What a box did to a packet, from its octets before and after: fields, NAT, and the arithmetic of its checksums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from netsim.addr import ip_str
from netsim.wire.checksum import update16
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.frame import Frame
from netsim.wire.icmp import ERROR_TYPES
from netsim.wire.ipv4 import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Ipv4Header, parse_ipv4
from netsim.wire.octets import Truncated
from netsim.wire.verify import verify

_TRANSPORT = MappingProxyType({IPPROTO_TCP: ("TCP", 16), IPPROTO_UDP: ("UDP", 6)})
"""Name of the protocol and where its checksum stands."""
_PAYLOAD_WORDS = 4
"""So many changed words of a payload are shown; beyond, only their number is said."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Source and destination with ports; of an ICMP query the id stands for both, as conntrack has it."""

    proto: str
    src: str
    dst: str
    sport: int
    dport: int

    def __str__(self) -> str:
        return f"{self.src}:{self.sport}>{self.dst}:{self.dport}"


def ip_packet(frame: Frame) -> bytes | None:
    """Return the IP packet in a frame, without padding; None for any other frame."""
    octets = frame.octets
    if frame.link_header:
        if octets[12:14] != PROTO_IP:
            return None
        octets = octets[ETH_HLEN:]
    try:
        header = parse_ipv4(octets)
    except Truncated:
        return None
    return octets[: header.tot_len]


def ends_of(packet: bytes) -> Ends | None:
    """Return the ends of an IP packet, None where it has no ports (a later fragment, another protocol)."""
    header = parse_ipv4(packet)
    body = packet[header.ihl :]
    source, dest = ip_str(header.saddr), ip_str(header.daddr)
    if header.offset or len(body) < 8:
        return None
    if header.protocol in _TRANSPORT:
        name = _TRANSPORT[header.protocol][0].lower()
        return Ends(name, source, dest, int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big"))
    if header.protocol == IPPROTO_ICMP and body[0] not in ERROR_TYPES:
        ident = int.from_bytes(body[4:6], "big")
        return Ends("icmp", source, dest, ident, ident)
    return None


def is_icmp_error(packet: bytes) -> bool:
    """Tell whether a packet is an ICMP error, made of another packet rather than that packet itself."""
    header = parse_ipv4(packet)
    body = packet[header.ihl :]
    return header.protocol == IPPROTO_ICMP and bool(body) and body[0] in ERROR_TYPES


@dataclass(frozen=True, slots=True)
class Change:
    """The fields that differ, the translation if there is one, and a line for each checksum."""

    fields: tuple[str, ...]
    before: str
    after: str
    checksums: tuple[str, ...]

    @property
    def translated(self) -> bool:
        """Whether an address or a port changed."""
        return self.before != self.after


def change(before: bytes, after: bytes) -> Change | None:
    """Compare a packet before and after a box; None when nothing changed. Not for fragments of different size."""
    if before == after:
        return None
    old, new = parse_ipv4(before), parse_ipv4(after)
    said = [f"{name} {a} -> {b}" for name, a, b in _fields(old, new) if a != b]
    old_ends, new_ends = ends_of(before), ends_of(after)
    lines = list(_header_lines(before, after, old, new)) if old.ihl == new.ihl else []
    if old.tot_len == new.tot_len and old.ihl == new.ihl:
        lines += _transport_lines(before, after, old, new)
    wrong = verify(after)
    if lines:
        lines.append(f"a full sum disagrees: {wrong}" if wrong else "a full sum agrees")
    return Change(tuple(said), str(old_ends or _bare(old)), str(new_ends or _bare(new)), tuple(lines))


def _bare(header: Ipv4Header) -> str:
    return f"{ip_str(header.saddr)}>{ip_str(header.daddr)}"


def _fields(old: Ipv4Header, new: Ipv4Header) -> Iterator[tuple[str, object, object]]:
    yield "ttl", old.ttl, new.ttl
    yield "tos", f"0x{old.tos:02x}", f"0x{new.tos:02x}"
    yield "id", old.id, new.id
    yield "fragment word", f"0x{old.frag_off:04x}", f"0x{new.frag_off:04x}"
    yield "length", old.tot_len, new.tot_len


def _words(octets: bytes) -> list[int]:
    padded = octets + b"\0" * (len(octets) & 1)
    return [int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2)]


def _arithmetic(name: str, check: int, stored: int, pairs: list[tuple[str, int, int]]) -> str:
    """Write the incremental update out: HC' = ~(~HC + ~m + m'), one term a changed word (RFC 1624 equation 3)."""
    result = check
    for _, old, new in pairs:
        result = update16(result, old, new)
    terms = ", ".join(f"{what} {old:04x} -> {new:04x}" for what, old, new in pairs)
    agrees = result == stored or {result, stored} == {0, 0xFFFF}
    tail = "" if agrees else f" (these words alone give {result:04x}: it was summed afresh)"
    return f"{name} checksum {check:04x} -> {stored:04x}: {terms}{tail}"


def _header_lines(before: bytes, after: bytes, old: Ipv4Header, new: Ipv4Header) -> Iterator[str]:
    names = MappingProxyType({
        0: "tos", 1: "length", 2: "id", 3: "fragment", 4: "ttl", 6: "source", 7: "source", 8: "destination",
        9: "destination",
    })  # fmt: skip
    pairs = [
        (names.get(i, "options"), a, b)
        for i, (a, b) in enumerate(zip(_words(before[: old.ihl]), _words(after[: new.ihl]), strict=True))
        if a != b and i != 5  # the checksum itself
    ]
    if pairs:
        yield _arithmetic("IP", old.check, new.check, pairs)


def _transport_lines(before: bytes, after: bytes, old: Ipv4Header, new: Ipv4Header) -> Iterator[str]:
    if old.protocol not in _TRANSPORT or old.offset or len(before) < old.ihl + 8:
        return
    name, at = _TRANSPORT[old.protocol]
    first, second = _words(before[old.ihl :]), _words(after[new.ihl :])
    check, stored = first[at // 2], second[at // 2]
    pseudo = [("source", 12), ("source", 14), ("destination", 16), ("destination", 18)]
    pairs = [
        (what, int.from_bytes(before[o : o + 2], "big"), int.from_bytes(after[o : o + 2], "big"))
        for what, o in pseudo
        if before[o : o + 2] != after[o : o + 2]
    ]
    changed = [i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b and i != at // 2]
    ports = MappingProxyType({0: "source port", 1: "destination port"})
    if not pairs and not changed:
        return
    if check == stored == 0 and name == "UDP":
        yield "UDP checksum 0000: none was given, none is made"
        return
    if len(changed) > _PAYLOAD_WORDS:
        yield f"{name} checksum {check:04x} -> {stored:04x}: {len(changed)} words changed, summed afresh"
        return
    pairs += [(ports.get(i, f"word {i}"), first[i], second[i]) for i in changed]
    yield _arithmetic(name, check, stored, pairs)
