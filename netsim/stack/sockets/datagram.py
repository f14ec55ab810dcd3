"""UDP, raw and ping sockets: one class, since they differ only in what they put before the payload and what they match.

Source: net/ipv4/udp.c udp_sendmsg(), __udp4_lib_lookup(), __udp4_lib_err(); net/ipv4/raw.c; net/ipv4/ping.c.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import Refused, Route
from netsim.stack.errno import EDESTADDRREQ, EMSGSIZE, EWOULDBLOCK, Refusal
from netsim.stack.ports import Rng, Routing
from netsim.stack.requests import Datagram, Send, SocketError
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_UDP, Skb
from netsim.stack.sockets.ports import Confirmation, Memory, Sender
from netsim.units import Ns
from netsim.wire.icmp import build_query, parse_icmp
from netsim.wire.udp import build_udp

SOCKET_BUFFER = 212_992
"""rmem_default and wmem_default in octets of truesize."""
MAX_UDP_PAYLOAD = 65_507


class DatagramSocket:
    """One socket. `kind` is "udp", "raw" or "ping"; `port` is the echo id of a ping socket.

    `dev` binds to a device; `peer` (0, 0) is unconnected. Packets that wait for a neighbour stay charged to `waiting`.
    """

    __slots__ = (
        "addr", "broadcast", "cached", "dev", "df", "errors", "fd", "ident", "kind", "last_source", "mark", "peer",
        "peer_port", "port", "protocol", "queue", "queued_octets", "recverr", "sequence", "tos", "ttl", "waiting",
        "ways",
    )  # fmt: skip

    def __init__(self, fd: int, kind: str, protocol: int, rng: Rng) -> None:
        self.fd = fd
        self.kind = kind
        self.protocol = protocol
        self.addr: Ip = 0
        self.port = 0
        self.peer: Ip = 0
        self.peer_port = 0
        self.dev: Device | None = None
        self.ttl = 0
        self.tos = 0
        self.mark = 0
        self.df = True
        self.recverr = False
        self.broadcast = False
        self.ident = rng.getrandbits(16)
        self.sequence = 0
        self.last_source: Ip = 0
        self.queue: list[Datagram] = []
        self.queued_octets = 0
        self.errors: list[SocketError] = []
        self.cached: Route | None = None
        self.waiting: list[Skb] = []
        self.ways: dict[tuple[Ip, int, Ip], Any] = {}  # the memory's: how datagrams to a destination leave

    def route(self, routing: Routing, daddr: Ip, dport: int, *, now: Ns, src: Ip = 0) -> Route | Refused:
        """Return the way to a destination; a connected socket keeps its answer until the FIB's generation moves.

        Source: sk_dst_check(), udp_sendmsg(); linux-kernel note 2.8, "Sockets keep the chosen route".
        """
        cached = self.cached
        if cached is not None and daddr == self.peer and not src:
            if cached.generation == routing.generation and not (cached.expires and cached.expires <= now):
                return cached
            self.cached = None
        answer = routing.output(
            daddr, now=now, saddr=src or self.addr, tos=self.tos & 0x1C, oif=self.dev, mark=self.mark,
            proto=self.protocol, sport=self.port if self.kind == "udp" else 0, dport=dport,
        )  # fmt: skip
        if self.peer and daddr == self.peer and not src and isinstance(answer, Route):
            self.cached = answer
        return answer

    def send(
        self, req: Send, *, routing: Routing, sender: Sender, neigh: Confirmation, memory: Memory, now: Ns
    ) -> int | Refusal:
        """Send one datagram; the caller has bound the socket. Mirrors udp_sendmsg()."""
        if memory.emit(self, req, now):
            return len(req.payload)
        daddr = req.addr or self.peer
        dport = req.port or self.peer_port
        if not daddr:
            return Refusal(EDESTADDRREQ)
        if len(req.payload) > MAX_UDP_PAYLOAD:
            return Refusal(EMSGSIZE)
        self.waiting = [skb for skb in self.waiting if skb.queued]
        if sum(skb.truesize for skb in self.waiting) >= SOCKET_BUFFER:
            return Refusal(EWOULDBLOCK)
        route = self.route(routing, daddr, dport, now=now, src=req.src)
        if isinstance(route, Refused):
            return Refusal(route.errno)
        saddr = self.last_source = req.src or self.addr or route.src
        message = self._message(req.payload, saddr, daddr, dport)
        mtu = min(route.mtu or route.dev.mtu, route.dev.mtu)
        self.ident = (self.ident + 1) & 0xFFFF
        skb = sender.build(
            route, saddr, daddr, self.protocol, message,
            tos=self.tos, ttl=self.ttl, df=self.df and len(message) + 20 <= mtu, ident=self.ident, parent=req.parent,
        )  # fmt: skip
        skb.mark = self.mark
        skb.sock = self
        if route.steady:
            skb.trail = memory.watch_out(self, req)
        refused = sender.send(skb, now=now)
        if refused:
            return Refusal(refused)
        if skb.queued:
            self.waiting.append(skb)
        if req.confirm:
            neigh.confirm(route.dev, route.nexthop(daddr), now=now)
        return len(req.payload)

    def _message(self, payload: bytes, saddr: Ip, daddr: Ip, dport: int) -> bytes:
        """Put the transport header before a payload; a ping socket numbers its echoes."""
        if self.kind == "udp":
            return build_udp(saddr, daddr, self.port, dport, payload)
        if self.kind == "ping":
            self.sequence = (self.sequence + 1) & 0xFFFF
            return build_query(8, self.port, self.sequence, payload)
        return payload

    def matches(self, skb: Skb) -> int:
        """Score a received datagram: -1 not ours, else the more the better. Mirrors compute_score()."""
        score = 0
        if self.addr:
            if skb.daddr != self.addr:
                return -1
            score += 4
        if self.peer:
            if skb.saddr != self.peer:
                return -1
            score += 4
        if self.peer_port:
            if skb.sport != self.peer_port:
                return -1
            score += 4
        if self.dev is not None:
            if skb.dev is not self.dev:
                return -1
            score += 4
        return score

    def sent(self, saddr: Ip, daddr: Ip) -> bool:
        """Tell whether a quoted packet between these addresses can be this socket's."""
        return (not self.addr or self.addr == saddr) and (not self.peer or self.peer == daddr)

    def enqueue(self, datagram: Datagram, truesize: int) -> bool:
        """File a received datagram; False when the receive buffer is full."""
        if self.queued_octets + truesize > SOCKET_BUFFER:
            return False
        self.queue.append(datagram)
        self.queued_octets += truesize
        return True

    def take(self) -> tuple[Datagram, ...]:
        """Hand out everything that waits."""
        taken = tuple(self.queue)
        self.queue.clear()
        self.queued_octets = 0
        return taken


def as_datagram(skb: Skb) -> Datagram:
    """Turn a delivered packet into what recvmsg() gives: UDP without its header, anything else from its header on."""
    at = skb.ihl + (8 if skb.proto == IPPROTO_UDP else 0)
    return Datagram(
        payload=bytes(skb.data[at:]),
        src=skb.saddr,
        sport=skb.sport,
        dst=skb.daddr,
        dport=skb.dport,
        ttl=skb.data[8],
        tos=skb.tos,
        dev=skb.dev.name if skb.dev is not None else "",
        uid=skb.uid,
    )


def echo_ident(message: bytes | bytearray, at: int) -> int:
    """Return the id of an echo message."""
    return parse_icmp(message, at).id


PROTOCOL_OF = MappingProxyType({"udp": IPPROTO_UDP, "ping": IPPROTO_ICMP})
