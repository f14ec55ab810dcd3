"""The scapy view of octets, in and out: the only module of the floors below the simulator that imports scapy.

Importing it costs half a second; everybody imports it inside the function that needs it.

scapy asks the machine it runs on for what a packet leaves open: a route and an interface for an IP source, a MAC by
real ARP, the hour for an ICMP timestamp. Here nothing does: what is left open is zeros (a destination MAC: broadcast),
so that the same packet gives the same octets everywhere, and scapy has no reason to warn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from scapy.error import log_runtime
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from netsim.addr import parse_ip
from netsim.errors import SimulationError
from netsim.wire.ether import ETH_HLEN, ETH_P_IP
from netsim.wire.rewrite import rewrite_ipv4

__all__ = ["ARP", "ICMP", "IP", "TCP", "UDP", "Ether", "Packet", "Raw", "dissect", "rewrite", "to_octets"]

_LOGGING_ERROR = 40
_OPEN_MAC = "00:00:00:00:00:00"
_OPEN_IP = "0.0.0.0"
_TIMESTAMPS = (13, 14)
"""The ICMP types that carry times. Source: RFC 792."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep scapy's remarks on odd packets off standard error while it works; odd packets are daily bread here."""
    level = log_runtime.level
    log_runtime.setLevel(_LOGGING_ERROR)
    try:
        yield
    finally:
        log_runtime.setLevel(level)


def dissect(octets: bytes, link_header: bool = True) -> Packet:
    """Return the scapy packet of a frame, or of an IP packet when `link_header` is False.

    Octets that scapy cannot take apart come back as Raw. `bytes()` of the answer are the octets again.
    """
    with _quiet():
        try:
            packet = Ether(octets) if link_header else IP(octets)
        except struct.error:
            # scapy guards every layer but the first against headers that are cut off.
            return Raw(octets)
        return packet if octets else Raw(b"")


def to_octets(packet: Packet) -> bytes:
    """Build a packet without asking this machine for anything. Its argument is not changed.

    Checksums and lengths that are None are computed, given ones are kept.
    """
    packet = packet.copy()
    layer = packet
    while layer:
        if isinstance(layer, Ether):
            _fill(layer, "src", _OPEN_MAC)
            _fill(layer, "dst", "ff:ff:ff:ff:ff:ff")
        elif isinstance(layer, IP):
            _fill(layer, "src", _OPEN_IP)
            _fill(layer, "dst", _OPEN_IP)
        elif isinstance(layer, ARP):
            for name, value in (("hwsrc", _OPEN_MAC), ("hwdst", _OPEN_MAC), ("psrc", _OPEN_IP), ("pdst", _OPEN_IP)):
                _fill(layer, name, value)
        elif isinstance(layer, ICMP) and layer.type in _TIMESTAMPS:
            for name in ("ts_ori", "ts_rx", "ts_tx"):
                _fill(layer, name, 0)
        layer = layer.payload
    with _quiet():
        return bytes(packet)


def _fill(layer: Packet, name: str, value: str | int) -> None:
    if layer.fields.get(name) is None and layer.overloaded_fields.get(name) is None:
        layer.setfieldval(name, value)


def rewrite(
    packet: Packet,
    *,
    src: str | None = None,
    dst: str | None = None,
    sport: int | None = None,
    dport: int | None = None,
) -> Packet:
    """Return a copy of `packet` with addresses and ports rewritten as NAT does: checksums updated, never recomputed.

    Of an ICMP query `sport` (or `dport`) is the id, as in a connection-tracking tuple. The argument is not changed; a
    checksum that it leaves open (None) is computed first. Raises SimulationError for a packet that is not IPv4, cut off
    or with a port out of range, and ValueError for text that is no address.
    """
    for port in (sport, dport):
        if port is not None and not 0 <= port <= 0xFFFF:
            raise SimulationError(f"{port} is not a port")
    octets = bytearray(to_octets(packet))
    link_header = not isinstance(packet, IP)
    offset = ETH_HLEN if link_header else 0
    if link_header and not (isinstance(packet, Ether) and octets[12:14] == ETH_P_IP.to_bytes(2, "big")):
        raise SimulationError(
            f"rewrite() takes an IPv4 packet, with or without an Ethernet header, not {packet.summary()}"
        )
    done = rewrite_ipv4(
        octets,
        saddr=None if src is None else parse_ip(src),
        daddr=None if dst is None else parse_ip(dst),
        sport=sport,
        dport=dport,
        icmp_id=dport if sport is None else sport,
        offset=offset,
    )
    if not done:
        raise SimulationError(f"the packet is too short for its own headers: {packet.summary()}")
    new = dissect(bytes(octets), link_header=link_header)
    new.time = packet.time
    return new
