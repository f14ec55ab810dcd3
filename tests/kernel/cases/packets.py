"""A frame in the recorder's words: `10.0.1.2 > 8.8.8.8 ttl 64 UDP 4000>5000 len 8`, `ARP who-has A tell B (bcast)`."""

from __future__ import annotations

from struct import unpack_from
from typing import Any

from netsim.addr import ip_str, mac_str
from netsim.wire.verify import verify

ICMP_NAMES = {
    (0, 0): "echo-reply", (8, 0): "echo-request", (3, 0): "net-unreachable", (3, 1): "host-unreachable",
    (3, 2): "proto-unreachable", (3, 3): "port-unreachable", (3, 4): "frag-needed", (3, 5): "source-route-failed",
    (3, 13): "admin-prohibited", (11, 0): "ttl-exceeded", (5, 0): "redirect-net", (5, 1): "redirect-host",
    (3, 9): "net-prohibited", (3, 10): "host-prohibited",
}  # fmt: skip


def line_of(octets: bytes) -> tuple[str, dict[str, Any]]:
    """Return the line and the further fields that reduce.py keeps."""
    ethertype = octets[12] << 8 | octets[13]
    if ethertype == 0x0806:
        op, = unpack_from("!H", octets, 20)  # fmt: skip
        sha, spa, tpa = octets[22:28], *unpack_from("!I6xI", octets, 28)
        cast = "bcast" if octets[:6] == b"\xff" * 6 else "ucast"
        if op == 1:
            return f"ARP who-has {ip_str(tpa)} tell {ip_str(spa)} ({cast})", {}
        return f"ARP reply {ip_str(spa)} is-at {mac_str(sha)} to {ip_str(tpa)} ({cast})", {}
    if ethertype != 0x0800:
        return f"ethertype 0x{ethertype:04x}", {}
    packet = octets[14:]
    line, more = _ip(packet)
    if verify(packet):
        more["bad"] = 1
    return line, more


def _ip(packet: bytes) -> tuple[str, dict[str, Any]]:
    ihl, fragment = (packet[0] & 15) * 4, packet[6] << 8 | packet[7]
    more: dict[str, Any] = {"df": 1} if fragment & 0x4000 else {}
    source, target = unpack_from("!II", packet, 12)
    if fragment & 0x1FFF:
        what = "frag"
    else:
        what = _transport(packet[9], packet[ihl : packet[2] << 8 | packet[3]], packet[1], more)
    return f"{ip_str(source)} > {ip_str(target)} ttl {packet[8]} {what}", more


def _transport(proto: int, data: bytes, tos: int, more: dict[str, Any]) -> str:
    if proto == 17 and len(data) >= 8:
        sport, dport, length = unpack_from("!HHH", data)
        return f"UDP {sport}>{dport} len {length - 8}"
    if proto == 6 and len(data) >= 8:
        sport, dport, seq = unpack_from("!HHI", data)
        if len(data) < 20:
            return f"TCP {sport}>{dport}"
        ack, offset, bits, win = unpack_from("!IBBH", data, 8)
        more |= {"seq": seq, "ack": ack, "win": win}
        flags = "".join(name for bit, name in enumerate("FSRPAUEC") if bits >> bit & 1)
        return f"TCP {sport}>{dport} [{flags}] len {max(0, len(data) - (offset >> 4) * 4)}"
    if proto == 1 and len(data) >= 8:
        return _icmp(data, tos, more)
    return f"proto {proto}"


def _icmp(data: bytes, tos: int, more: dict[str, Any]) -> str:
    kind, code = data[0], data[1]
    text = f"ICMP {ICMP_NAMES.get((kind, code), f'{kind}/{code}')}"
    if kind in (0, 8):
        ident, number = unpack_from("!HH", data, 4)
        return f"{text} id {ident} seq {number}"
    if kind in (3, 5, 11, 12):
        more |= {"tos": tos, "quoted": len(data) - 8}
        if kind == 5:
            text += f" gw {ip_str(*unpack_from('!I', data, 4))}"
        inner, _ = _ip(data[8:])
        return f"{text} {{ {inner} }}"
    return text
