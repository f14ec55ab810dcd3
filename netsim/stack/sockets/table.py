"""The descriptors of a box: socket requests come in here, received packets find their socket here.

Source: net/ipv4/udp.c __udp4_lib_rcv(), raw.c raw_v4_input(), ping.c ping_rcv(), inet_connection_sock.c for ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from netsim.addr import Ip
from netsim.stack.dst import RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, Refused
from netsim.stack.errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    ENODEV,
    ENOTCONN,
    EOPNOTSUPP,
    EPROTONOSUPPORT,
    Refusal,
)
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox, Wake
from netsim.stack.ports import Rng, Routing
from netsim.stack.requests import (
    DONE,
    Accept,
    Bind,
    Close,
    Connect,
    Datagram,
    Done,
    Listen,
    Receive,
    Send,
    Shutdown,
    Socket,
    SocketError,
    SocketName,
    SocketOption,
    TakeErrors,
)
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.stack.sockets.datagram import PROTOCOL_OF, SOCKET_BUFFER, DatagramSocket, as_datagram, echo_ident
from netsim.stack.sockets.errors import convert
from netsim.stack.sockets.ports import Confirmation, Endings, Errors, Memory, Sender
from netsim.stack.sockets.tcp import Tcp, TcpSocket
from netsim.stack.sysctl import Sysctl
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_PORT_UNREACH
from netsim.wire.verify import verify

AnySocket = DatagramSocket | TcpSocket
Handler = Callable[..., Any]  # each takes its own request type; `answer` looks it up by that type


class Sockets:
    """Every socket of one box, by descriptor and, for UDP and ping, by port.

    `generation` counts changes of who would receive what.
    """

    def __init__(
        self, *, interfaces: Interfaces, sysctl: Sysctl, outbox: Outbox, rng: Rng, routing: Routing, sender: Sender,
        errors: Errors, neigh: Confirmation, endings: Endings, tcp: Tcp, memory: Memory,
    ) -> None:  # fmt: skip
        self._interfaces = interfaces
        self._sysctl = sysctl
        self._outbox = outbox
        self._rng = rng
        self._routing = routing
        self._sender = sender
        self._errors = errors
        self._neigh = neigh
        self._endings = endings
        self._tcp = tcp
        self._memory = memory
        self.generation = 0
        self._sockets: dict[int, AnySocket] = {}
        self._bound: dict[tuple[str, int], list[DatagramSocket]] = {}
        self._raw: dict[int, list[DatagramSocket]] = {}
        self._next_fd = 3
        self.handlers: Mapping[type, Handler] = MappingProxyType({
            Socket: self.open, Bind: self.bind, Connect: self.connect, Listen: self.listen, Accept: self.accept,
            Send: self.send, Receive: self.receive, TakeErrors: self.take_errors, SocketName: self.name,
            Shutdown: self.shutdown, Close: self.close, SocketOption: self.option,
        })  # fmt: skip

    def new_fd(self) -> int:
        """Return a descriptor never used before."""
        fd = self._next_fd
        self._next_fd += 1
        return fd

    # Requests

    def open(self, req: Socket, *, now: Ns) -> int | Refusal:
        """Open a socket."""
        dev = None
        if req.dev:
            dev = self._interfaces.named(req.dev)
            if dev is None:
                return Refusal(ENODEV)
        fd = self.new_fd()
        if req.kind == "tcp":
            self._sockets[fd] = self._tcp.open(fd, req, dev)
            return fd
        if req.kind not in ("udp", "ping", "raw"):
            return Refusal(EPROTONOSUPPORT)
        sock = DatagramSocket(fd, req.kind, PROTOCOL_OF.get(req.kind, req.protocol), self._rng)
        sock.dev, sock.ttl, sock.tos, sock.mark = dev, req.ttl, req.tos, req.mark
        sock.df, sock.recverr = req.df, req.recverr
        self._sockets[fd] = sock
        if req.kind == "raw":
            self._raw.setdefault(req.protocol, []).append(sock)
            self.generation += 1
        return fd

    def bind(self, req: Bind, *, now: Ns) -> int | Refusal:
        """Bind to a local address and port."""
        sock = self._sockets[req.fd]
        if req.addr and not self._sysctl.ipv4.ip_nonlocal_bind:
            kind = self._routing.address_type(req.addr)
            if kind not in (RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST):
                return Refusal(EADDRNOTAVAIL)
        if isinstance(sock, TcpSocket):
            return self._tcp.bind(sock, req.addr, req.port)
        self._rebinds(sock)
        if sock.kind == "raw":
            sock.addr = req.addr
            return 0
        port = req.port or self._free_port(sock.kind, req.addr)
        if port == 0 or self._taken(sock, req.addr, port):
            return Refusal(EADDRINUSE)
        self._unbind(sock)
        sock.addr, sock.port = req.addr, port
        self._bound.setdefault((sock.kind, port), []).append(sock)
        return port

    def _rebinds(self, sock: DatagramSocket) -> None:
        """Note that a socket is about to match and to send otherwise."""
        self.generation += 1
        sock.ways.clear()

    def _taken(self, sock: DatagramSocket, addr: Ip, port: int) -> bool:
        for other in self._bound.get((sock.kind, port), ()):
            same_device = other.dev is None or sock.dev is None or other.dev is sock.dev
            if other is not sock and same_device and (not other.addr or not addr or other.addr == addr):
                return True
        return False

    def _free_port(self, kind: str, addr: Ip) -> int:
        """Draw an ephemeral port and walk on from it; 0 when none is free."""
        low, high = self._sysctl.ipv4.ip_local_port_low, self._sysctl.ipv4.ip_local_port_high
        if kind == "ping":
            low, high = 1, 65535
        start = self._rng.randrange(low, high + 1)
        for step in range(high - low + 1):
            port = low + (start - low + step) % (high - low + 1)
            if all(addr and other.addr and other.addr != addr for other in self._bound.get((kind, port), ())):
                return port
        return 0

    def connect(self, req: Connect, *, now: Ns) -> Done | Refusal:
        """Set the peer; a datagram socket takes its source address from the route, as Linux does."""
        sock = self._sockets[req.fd]
        if isinstance(sock, TcpSocket):
            return self._tcp.connect(sock, req.addr, req.port, now=now)
        if not sock.port and sock.kind != "raw":
            bound = self.bind(Bind(fd=req.fd, addr=sock.addr), now=now)
            if isinstance(bound, Refusal):
                return bound
        route = sock.route(self._routing, req.addr, req.port, now=now)
        if isinstance(route, Refused):
            return Refusal(route.errno)
        if route.kind == RTN_BROADCAST and not sock.broadcast:
            return Refusal(EACCES)
        self._rebinds(sock)
        sock.peer, sock.peer_port = req.addr, req.port
        sock.addr = sock.addr or route.src
        sock.cached = None
        return DONE

    def listen(self, req: Listen, *, now: Ns) -> Done | Refusal:
        """Let a TCP socket accept."""
        sock = self._sockets[req.fd]
        return self._tcp.listen(sock, req.backlog) if isinstance(sock, TcpSocket) else Refusal(EOPNOTSUPP)

    def accept(self, req: Accept, *, now: Ns) -> int | Refusal:
        """Take an established connection; it gets a descriptor of its own."""
        sock = self._sockets[req.fd]
        if not isinstance(sock, TcpSocket):
            return Refusal(EOPNOTSUPP)
        child = self._tcp.accept(sock)
        if child is None:
            return Refusal(EAGAIN)
        child.fd = self.new_fd()
        self._sockets[child.fd] = child
        return child.fd

    def send(self, req: Send, *, now: Ns) -> int | Refusal:
        """Send octets."""
        sock = self._sockets[req.fd]
        if isinstance(sock, TcpSocket):
            self._memory.settled = False
            return self._tcp.send(sock, req.payload, now=now)
        if not sock.port and sock.kind != "raw":
            bound = self.bind(Bind(fd=req.fd, addr=sock.addr), now=now)
            if isinstance(bound, Refusal):
                return bound
        return sock.send(
            req, routing=self._routing, sender=self._sender, neigh=self._neigh, memory=self._memory, now=now
        )

    def receive(self, req: Receive, *, now: Ns) -> tuple[Datagram, ...] | bytes | Refusal:
        """Take what waits."""
        sock = self._sockets[req.fd]
        if isinstance(sock, TcpSocket):
            self._memory.settled = False
            return self._tcp.receive(sock, req.limit, now=now)
        return sock.take()

    def take_errors(self, req: TakeErrors, *, now: Ns) -> tuple[SocketError, ...]:
        """Take queued errors."""
        sock = self._sockets[req.fd]
        taken = tuple(sock.errors)
        sock.errors.clear()
        return taken

    def name(self, req: SocketName, *, now: Ns) -> tuple[Ip, int, Ip, int]:
        """Answer both ends of a socket; an unbound datagram socket names the source it last sent from."""
        sock = self._sockets[req.fd]
        addr = sock.addr or (sock.last_source if isinstance(sock, DatagramSocket) else 0)
        return addr, sock.port, sock.peer, sock.peer_port

    def shutdown(self, req: Shutdown, *, now: Ns) -> Done | Refusal:
        """Send FIN."""
        sock = self._sockets[req.fd]
        return self._tcp.shutdown(sock, now=now) if isinstance(sock, TcpSocket) else Refusal(ENOTCONN)

    def option(self, req: SocketOption, *, now: Ns) -> Done | Refusal:
        """Set an option."""
        sock = self._sockets[req.fd]
        if isinstance(sock, TcpSocket):
            return self._tcp.option(sock, req.name, req.value, now=now)
        if req.name == "broadcast":
            sock.broadcast = bool(req.value)
            return DONE
        return Refusal(EOPNOTSUPP)

    def close(self, req: Close, *, now: Ns) -> Done | Refusal:
        """Close a socket; its descriptor is gone at once."""
        sock = self._sockets.pop(req.fd)
        if isinstance(sock, TcpSocket):
            return self._tcp.close(sock, abort=req.abort, now=now)
        self._rebinds(sock)
        self._unbind(sock)
        if sock.kind == "raw":
            self._raw[sock.protocol].remove(sock)
        return DONE

    def _unbind(self, sock: DatagramSocket) -> None:
        bound = self._bound.get((sock.kind, sock.port))
        if bound and sock in bound:
            bound.remove(sock)
            if not bound:
                del self._bound[sock.kind, sock.port]

    # Deliveries

    def deliver_udp(self, skb: Skb, *, now: Ns) -> bool:
        """Find the socket of a datagram, or answer port unreachable. Mirrors __udp4_lib_rcv()."""
        reason = verify(skb.data)
        if reason:
            ending = drop.UDP_CSUM if "checksum" in reason else drop.PKT_TOO_SMALL
            self._endings.drop(skb, ending, now=now, detail=reason)
            return False
        route = skb.route
        candidates = self._bound.get(("udp", skb.dport), ())
        if route is not None and route.kind in (RTN_BROADCAST, RTN_MULTICAST):
            takers = [sock for sock in candidates if sock.matches(skb) >= 0]
        else:
            best = max(candidates, key=lambda sock: sock.matches(skb), default=None)
            takers = [best] if best is not None and best.matches(skb) >= 0 else []
        if not takers:
            self._errors.send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, now=now)
            self._endings.drop(skb, drop.NO_SOCKET, now=now)
            return False
        full = [self._hand_over(sock, skb) for sock in takers]
        if not any(full):
            self._endings.drop(skb, drop.SOCKET_RCVBUFF, now=now)
            return False
        self._endings.consumed(skb, now=now)
        if skb.trail is not None and len(takers) == 1:
            skb.trail.taker = takers[0]
        return True

    def _hand_over(self, sock: DatagramSocket, skb: Skb) -> bool:
        if not sock.enqueue(as_datagram(skb), skb.truesize):
            return False
        self._outbox.wakes.append(Wake(sock.fd, "readable"))
        return True

    def deliver_raw(self, skb: Skb, *, now: Ns) -> bool:
        """Copy a packet to every raw socket of its protocol. Mirrors raw_v4_input()."""
        taken = False
        for sock in self._raw.get(skb.proto, ()):
            if sock.matches(skb) >= 0:
                taken = self._hand_over(sock, skb) or taken
        return taken

    def deliver_echo_reply(self, skb: Skb, *, now: Ns) -> bool:
        """Give an echo reply to the ping socket of its id. Mirrors ping_rcv(); raw sockets had their copy already."""
        ident = echo_ident(skb.data, skb.ihl)
        for sock in self._bound.get(("ping", ident), ()):
            if (not sock.addr or sock.addr == skb.daddr) and (sock.dev is None or sock.dev is skb.dev):
                return self._hand_over(sock, skb)
        return bool(self._raw.get(IPPROTO_ICMP))

    def deliver_tcp(self, skb: Skb, *, now: Ns) -> None:
        """Give a segment to TCP."""
        self._tcp.deliver(skb, now=now)

    def icmp_error(self, skb: Skb, icmp_type: int, code: int, info: int, inner: bytes, *, now: Ns) -> None:
        """Tell the sockets that may have sent `inner`: all raw ones of its protocol, and the one of its port or id.

        They hear of it with recverr, or when connected and the error is fatal. One that is bound to a device hears what
        came in there: not what the box tells itself, on lo, of a neighbour that does not answer.
        Source: __udp4_lib_err(), ping_err(), raw_icmp_error(), tcp_v4_err().
        """
        errno, fatal = convert(icmp_type, code)
        at = (inner[0] & 15) * 4
        proto = inner[9]
        if len(inner) < at + 8:
            return
        if proto == IPPROTO_TCP:
            self._tcp.icmp_error(icmp_type, code, info, inner, now=now, offender=skb.saddr)
            return
        if not errno:
            return
        saddr, daddr = int.from_bytes(inner[12:16], "big"), int.from_bytes(inner[16:20], "big")
        sport, dport = inner[at] << 8 | inner[at + 1], inner[at + 2] << 8 | inner[at + 3]
        if proto == IPPROTO_UDP:
            key = ("udp", sport)
        else:
            key = ("ping", echo_ident(inner, at)) if proto == IPPROTO_ICMP else ("", 0)
            dport = 0
        report = SocketError(
            errno=errno, offender=skb.saddr, dst=daddr, dport=dport, icmp_type=icmp_type, icmp_code=code,
            payload=inner[at + 8 :],
        )  # fmt: skip
        for sock in (*self._bound.get(key, ()), *self._raw.get(proto, ())):
            here = sock.dev is None or sock.dev is skb.dev
            if here and sock.sent(saddr, daddr) and (sock.recverr or (fatal and sock.peer)):
                if sock.queued_octets + (len(sock.errors) + 1) * skb.truesize > SOCKET_BUFFER:
                    continue  # sock_queue_err_skb(): errors share the receive buffer, and what has no room is lost
                sock.errors.append(report)
                self._outbox.wakes.append(Wake(sock.fd, "error"))
