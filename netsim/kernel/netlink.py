"""The little of netlink that watching needs: neighbour dumps, one route question, conntrack events.

Source: include/uapi/linux/{netlink,rtnetlink,neighbour}.h, linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from types import MappingProxyType

from netsim.addr import Ip, ip_str, mac_str
from netsim.errors import SimulationError

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
NLM_F_REQUEST = 1
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLMSG_ERROR = 2
NLMSG_DONE = 3
RTM_NEWROUTE = 24
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28
RTM_GETNEIGH = 30
NDA_DST = 1
NDA_LLADDR = 2
RTA_DST = 1
RTA_OIF = 4
RTA_PREFSRC = 7
RTA_MARK = 16
RTA_IP_PROTO = 27
RTA_SPORT = 28
RTA_DPORT = 29
RTN_MULTICAST = 5
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NFNLGRP_CONNTRACK_NEW = 1
NFNLGRP_CONNTRACK_UPDATE = 2
NFNLGRP_CONNTRACK_DESTROY = 3
IPCTNL_MSG_CT_NEW = 0x100
IPCTNL_MSG_CT_DELETE = 0x102
CTA_TUPLE_ORIG = 1
CTA_TUPLE_REPLY = 2
CTA_STATUS = 3
CTA_TUPLE_IP = 1
CTA_TUPLE_PROTO = 2
CTA_IP_V4_SRC = 1
CTA_IP_V4_DST = 2
CTA_PROTO_NUM = 1
CTA_PROTO_SRC_PORT = 2
CTA_PROTO_DST_PORT = 3
CTA_PROTO_ICMP_ID = 4
NLA_TYPE_MASK = 0x3FFF

NUD_NAMES = MappingProxyType({
    0: "NONE", 1: "INCOMPLETE", 2: "REACHABLE", 4: "STALE", 8: "DELAY", 16: "PROBE", 32: "FAILED", 64: "NOARP",
    128: "PERMANENT",
})  # fmt: skip

_HEADER = Struct("=IHHII")
_NDMSG = Struct("=BxxxiHBB")
_RTMSG = Struct("=BBBBBBBBI")
_ATTR = Struct("=HH")
_U32 = Struct("=I")
_NFGENMSG = 4
"""Length of struct nfgenmsg, which comes before the attributes of a message of netfilter's."""
_BIG16 = Struct("!H")

Attributes = dict[int, bytes]


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Cut what a netlink socket gave into (type, flags, body)."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, flags, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes, at: int = 0) -> Attributes:
    """Read attributes by type; flags for nesting and byte order are left out of the type."""
    out: Attributes = {}
    while at + _ATTR.size <= len(data):
        length, kind = _ATTR.unpack_from(data, at)
        if length < _ATTR.size:
            break
        out[kind & NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return out


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return _ATTR.pack(length, kind) + value + bytes(-length & 3)


def _request(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of the kernel's table."""

    ifindex: int
    dst: str
    state: str
    lladdr: str


def dump_neighbours(sock: socket.socket) -> list[Neighbour]:
    """Return the IPv4 neighbours of the socket's namespace, without those of multicast and broadcast."""
    sock.send(_request(RTM_GETNEIGH, NLM_F_DUMP, _NDMSG.pack(socket.AF_INET, 0, 0, 0, 0)))
    out: list[Neighbour] = []
    while True:
        for kind, _, body in messages(sock.recv(1 << 16)):
            if kind == NLMSG_DONE:
                return out
            if kind == NLMSG_ERROR:
                raise SimulationError("the kernel refused to list its neighbours")
            if kind != RTM_NEWNEIGH:
                continue
            _, ifindex, state, _, route_type = _NDMSG.unpack_from(body)
            given = attributes(body, _NDMSG.size)
            if NDA_DST in given and route_type != RTN_MULTICAST and state != 64:
                mac = given.get(NDA_LLADDR, b"")
                text = mac_str(mac) if mac else ""
                out.append(Neighbour(ifindex, ip_str(int.from_bytes(given[NDA_DST], "big")), NUD_NAMES[state], text))


def source_towards(
    sock: socket.socket, dst: Ip, *, proto: int, sport: int, dport: int, oif: int = 0, mark: int = 0, tos: int = 0
) -> Ip:
    """Return the source address that the kernel would give a packet of this flow, 0 when there is no route."""
    body = _RTMSG.pack(socket.AF_INET, 32, 0, tos, 0, 0, 0, 0, 0)
    body += _attribute(RTA_DST, dst.to_bytes(4, "big")) + _attribute(RTA_IP_PROTO, bytes([proto]))
    if sport:
        body += _attribute(RTA_SPORT, _BIG16.pack(sport))
    if dport:
        body += _attribute(RTA_DPORT, _BIG16.pack(dport))
    if oif:
        body += _attribute(RTA_OIF, _U32.pack(oif))
    if mark:
        body += _attribute(RTA_MARK, _U32.pack(mark))
    sock.send(_request(RTM_GETROUTE, 0, body))
    for kind, _, answer in messages(sock.recv(1 << 16)):
        if kind == RTM_NEWROUTE:
            source = attributes(answer, _RTMSG.size).get(RTA_PREFSRC, b"")
            return int.from_bytes(source, "big")
    return 0


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a connection as conntrack has it; for icmp both ports are the id."""

    proto: int
    src: str
    sport: int
    dst: str
    dport: int

    def __str__(self) -> str:
        return f"{self.src}:{self.sport}>{self.dst}:{self.dport}"


@dataclass(frozen=True, slots=True)
class Connection:
    """A conntrack event: NEW, UPDATE or DESTROY, with both tuples and the status bits (0 where not told)."""

    event: str
    orig: Tuple
    reply: Tuple
    status: int

    @property
    def translated(self) -> bool:
        """Whether the reply is not simply the original turned round."""
        o, r = self.orig, self.reply
        return (o.src, o.sport, o.dst, o.dport) != (r.dst, r.dport, r.src, r.sport)


def subscribe_conntrack(sock: socket.socket) -> None:
    """Ask for every conntrack event of the socket's namespace.

    The socket is bound first: an unbound one has the kernel's own port id, 0, and is taken for the sender.
    """
    sock.bind((0, 0))
    for group in (NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY):
        sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)


def read_connections(data: bytes) -> Iterator[Connection]:
    """Read the events in what a conntrack socket gave. NEW and UPDATE share a message type and differ by flags."""
    for kind, flags, body in messages(data):
        if kind not in (IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_DELETE):
            continue
        given = attributes(body, _NFGENMSG)
        if CTA_TUPLE_ORIG in given and CTA_TUPLE_REPLY in given:
            anew = flags & (NLM_F_CREATE | NLM_F_EXCL)
            event = "DESTROY" if kind == IPCTNL_MSG_CT_DELETE else "NEW" if anew else "UPDATE"
            status = int.from_bytes(given.get(CTA_STATUS, b""), "big")
            yield Connection(event, _tuple(given[CTA_TUPLE_ORIG]), _tuple(given[CTA_TUPLE_REPLY]), status)


def _tuple(data: bytes) -> Tuple:
    parts = attributes(data)
    ip, proto = attributes(parts.get(CTA_TUPLE_IP, b"")), attributes(parts.get(CTA_TUPLE_PROTO, b""))

    def number(kind: int) -> int:
        return int.from_bytes(proto.get(kind, b""), "big")

    ident = number(CTA_PROTO_ICMP_ID)
    return Tuple(
        number(CTA_PROTO_NUM),
        ip_str(int.from_bytes(ip.get(CTA_IP_V4_SRC, b""), "big")), number(CTA_PROTO_SRC_PORT) or ident,
        ip_str(int.from_bytes(ip.get(CTA_IP_V4_DST, b""), "big")), number(CTA_PROTO_DST_PORT) or ident,
    )  # fmt: skip
