"""Whose segment is it: connections by four-tuple, listeners by port, and which ports are taken.

Sockets bind as servers do, with SO_REUSEADDR: a port is refused only while somebody listens on it at that address.
Source: __inet_lookup(), inet_lookup_listener(), compute_score(); inet_csk_get_port(), __inet_hash_connect() (6.x).
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.ports import Rng
from netsim.stack.settings import Ipv4Conf
from netsim.stack.skb import Skb
from netsim.stack.sockets.tcp.listen import HalfOpen
from netsim.stack.sockets.tcp.socket import Key, TcpSocket
from netsim.stack.sockets.tcp.state import TCP_LISTEN


class Demux:
    """The tables of one box's TCP."""

    def __init__(self, conf: Ipv4Conf, rng: Rng) -> None:
        self._conf = conf
        self._rng = rng
        self.connections: dict[Key, TcpSocket | HalfOpen] = {}
        self._listeners: dict[int, list[TcpSocket]] = {}
        self._bound: dict[int, list[TcpSocket]] = {}

    def find(self, skb: Skb) -> TcpSocket | HalfOpen | None:
        """Return the connection a segment belongs to."""
        found = self.connections.get((skb.daddr, skb.dport, skb.saddr, skb.sport))
        if found is not None:
            dev = found.sock.dev if isinstance(found, HalfOpen) else found.dev
            if dev is not None and dev is not skb.dev:
                return None
        return found

    def listener(self, skb: Skb) -> TcpSocket | None:
        """Return the listener of a segment: bound to its device or address before bound to any."""
        best = None
        best_score = -1
        for sock in self._listeners.get(skb.dport, ()):
            if (sock.dev is not None and sock.dev is not skb.dev) or (sock.addr and sock.addr != skb.daddr):
                continue
            score = 2 * (sock.dev is not None) + bool(sock.addr)
            if score > best_score:
                best, best_score = sock, score
        return best

    # Names taken and given back

    def taken(self, sock: TcpSocket, addr: Ip, port: int) -> bool:
        """Tell whether somebody listens where `sock` wants to be."""
        for other in self._bound.get(port, ()):
            same_device = other.dev is None or sock.dev is None or other.dev is sock.dev
            overlap = not other.addr or not addr or other.addr == addr
            if other is not sock and other.state == TCP_LISTEN and same_device and overlap:
                return True
        return False

    def bind(self, sock: TcpSocket, addr: Ip, port: int) -> None:
        """Give a socket its local name."""
        self.unbind(sock)
        sock.addr, sock.port = addr, port
        self._bound.setdefault(port, []).append(sock)

    def unbind(self, sock: TcpSocket) -> None:
        """Take a socket's local name back."""
        bound = self._bound.get(sock.port)
        if bound is not None and sock in bound:
            bound.remove(sock)
            if not bound:
                del self._bound[sock.port]

    def listen(self, sock: TcpSocket) -> None:
        """Let a bound socket take SYNs."""
        self._listeners.setdefault(sock.port, []).append(sock)

    def connect(self, sock: TcpSocket) -> bool:
        """File a connection by its four-tuple; False when there is one of that name already."""
        if sock.key in self.connections:
            return False
        self.connections[sock.key] = sock
        return True

    def forget(self, sock: TcpSocket) -> None:
        """Take a socket out of every table."""
        if self.connections.get(sock.key) is sock:
            del self.connections[sock.key]
        listeners = self._listeners.get(sock.port)
        if listeners is not None and sock in listeners:
            listeners.remove(sock)
            if not listeners:
                del self._listeners[sock.port]
        self.unbind(sock)

    # Ports

    def free_port(self, *, connecting: Key | None = None) -> int:
        """Return an ephemeral port, 0 when there is none left.

        The search starts at random; `bind` looks at odd ports first and wants one nobody is bound to, `connect` at even
        ones and wants a four-tuple (`connecting`, its port left open) that is not in use.
        """
        low, high = self._conf.ip_local_port_low, self._conf.ip_local_port_high
        count = high + 1 - low
        odd = connecting is None
        start = self._rng.randrange(0, count) & ~1 | odd
        for parity in (start, start ^ 1):
            for step in range(0, count, 2):
                port = low + (parity + step) % count
                if port in self._bound:
                    continue
                if connecting is None or (connecting[0], port, *connecting[2:]) not in self.connections:
                    return port
        return 0
