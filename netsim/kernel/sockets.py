"""The socket requests of `stack.requests`, answered by real sockets in a sealed namespace.

What the emulator's applications ask of an emulated box they ask of the kernel through this, word for word. News comes
edge-triggered and is told in the emulator's words (Wake).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from struct import Struct
from types import MappingProxyType
from typing import Any

from netsim.addr import Ip, ip_str, parse_ip
from netsim.kernel.netlink import NETLINK_ROUTE, source_towards
from netsim.kernel.reactor import BROKEN, READABLE, WRITABLE, Reactor
from netsim.kernel.sealed import Namespace
from netsim.stack.errno import EAGAIN, EPROTONOSUPPORT, Refusal
from netsim.stack.outbox import Outbox, Wake
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
from netsim.units import NS_PER_MS

IP_MTU_DISCOVER = 10
IP_RECVERR = 11
IP_PKTINFO = 8
SO_MARK = 36
MSG_ERRQUEUE = 0x2000
TCP_USER_TIMEOUT = 18
SO_EE_ORIGIN_ICMP = 2
ICMP_ECHO = 8
_ERROR = Struct("=IBBBBII")
_PKTINFO = Struct("=i4s4s")
_ECHO = Struct("!BBHHH")
_LINGER = Struct("=ii")
_LIMIT = 1 << 18
_PROTOCOLS = MappingProxyType({"udp": socket.IPPROTO_UDP, "ping": socket.IPPROTO_ICMP, "tcp": socket.IPPROTO_TCP})

Handler = Callable[..., Any]  # each takes its own request type; the box looks it up by that type


class _Entry:
    """A socket, what it was opened with, and what it waits to tell."""

    __slots__ = ("asked", "errors", "peer", "sequence", "sock", "state", "target")

    def __init__(self, sock: socket.socket, asked: Socket) -> None:
        self.sock = sock
        self.asked = asked
        self.errors: list[SocketError] = []
        self.peer: tuple[Ip, int] = (0, 0)
        self.target: tuple[Ip, int] = (0, 0)
        self.sequence = 0
        self.state = "new"


class KernelSockets:
    """The sockets of one kernel box, by their real descriptors."""

    def __init__(self, namespace: Namespace, reactor: Reactor, outbox: Outbox) -> None:
        self._namespace = namespace
        self._reactor = reactor
        self._outbox = outbox
        self._entries: dict[int, _Entry] = {}
        self._rtnetlink = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self.handlers: Mapping[type, Handler] = MappingProxyType({
            Socket: self.open, Bind: self.bind, Connect: self.connect, Listen: self.listen, Accept: self.accept,
            Send: self.send, Receive: self.receive, TakeErrors: self.take_errors, SocketName: self.name,
            Shutdown: self.shutdown, Close: self.close, SocketOption: self.option,
        })  # fmt: skip

    # Requests

    def open(self, req: Socket) -> int | Refusal:
        """Open a socket with its options."""
        kinds = {
            "udp": (socket.SOCK_DGRAM, 0), "tcp": (socket.SOCK_STREAM, 0),
            "ping": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP), "raw": (socket.SOCK_RAW, req.protocol),
        }  # fmt: skip
        if req.kind not in kinds:
            return Refusal(EPROTONOSUPPORT)
        sock: socket.socket | None = None
        try:
            sock = self._namespace.socket(socket.AF_INET, *kinds[req.kind])
            sock.setblocking(False)
            self._set_up(sock, req)
        except OSError as error:
            if sock is not None:
                sock.close()
            return _refusal(error)
        self._entries[sock.fileno()] = _Entry(sock, req)
        if req.kind != "tcp":
            self._watch(sock.fileno(), READABLE)
        return sock.fileno()

    @staticmethod
    def _set_up(sock: socket.socket, req: Socket) -> None:
        if req.dev:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, req.dev.encode() + b"\0")
        if req.ttl:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, req.ttl)
        if req.tos:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, req.tos)
        if not req.df:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
        if req.recverr:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        if req.mark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, req.mark)
        if req.kind != "tcp":
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)

    def bind(self, req: Bind) -> int | Refusal:
        """Bind, and answer the port."""
        sock = self._entries[req.fd].sock
        try:
            sock.bind((ip_str(req.addr), req.port))
        except OSError as error:
            return _refusal(error)
        return int(sock.getsockname()[1])

    def connect(self, req: Connect) -> Done | Refusal:
        """Set the peer; TCP begins its handshake."""
        entry = self._entries[req.fd]
        entry.peer = (req.addr, req.port)
        code = entry.sock.connect_ex((ip_str(req.addr), req.port))
        if code not in (0, errno.EINPROGRESS):
            return Refusal(code)
        if entry.asked.kind == "tcp":
            entry.state = "connecting"
            self._watch(req.fd, READABLE | WRITABLE)
        return DONE

    def listen(self, req: Listen) -> Done | Refusal:
        """Let a socket accept."""
        entry = self._entries[req.fd]
        try:
            entry.sock.listen(req.backlog)
        except OSError as error:
            return _refusal(error)
        entry.state = "listening"
        self._watch(req.fd, READABLE)
        return DONE

    def accept(self, req: Accept) -> int | Refusal:
        """Take an established connection."""
        entry = self._entries[req.fd]
        try:
            sock, (host, port) = entry.sock.accept()
        except OSError as error:
            return _refusal(error)
        sock.setblocking(False)
        child = self._entries[sock.fileno()] = _Entry(sock, entry.asked)
        child.peer, child.state = (parse_ip(host), port), "connected"
        self._watch(sock.fileno(), READABLE | WRITABLE)
        return sock.fileno()

    def send(self, req: Send) -> int | Refusal:
        """Send octets; a ping socket's get an echo header before them."""
        entry = self._entries[req.fd]
        payload = req.payload
        if entry.asked.kind == "ping":
            entry.sequence = (entry.sequence + 1) & 0xFFFF
            payload = _ECHO.pack(ICMP_ECHO, 0, 0, 0, entry.sequence) + payload
        try:
            if not req.addr:
                return entry.sock.send(payload)
            entry.target = (req.addr, req.port)
            extra: list[tuple[int, int, bytes]] = []
            if req.src:
                extra.append((socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, req.src.to_bytes(4, "big"), bytes(4))))
            entry.sock.sendmsg([payload], extra, 0, (ip_str(req.addr), req.port))
        except OSError as error:
            return _refusal(error)
        return len(req.payload)

    def receive(self, req: Receive) -> tuple[Datagram, ...] | bytes | Refusal:
        """Take what waits: everything, so that the next news comes as news."""
        entry = self._entries[req.fd]
        if entry.asked.kind != "tcp":
            return tuple(self._datagrams(entry))
        if entry.errors:
            return Refusal(entry.errors[-1].errno)
        try:
            return entry.sock.recv(req.limit or _LIMIT)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                self._failed(req.fd, entry, error.errno or 0)
            return _refusal(error)

    def _datagrams(self, entry: _Entry) -> list[Datagram]:
        out: list[Datagram] = []
        while True:
            try:
                payload, extra, _, (host, port) = entry.sock.recvmsg(1 << 16, 256)
            except OSError:
                return out  # nothing more, or an error that its own news tells
            dst = 0
            for level, kind, value in extra:
                if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                    dst = int.from_bytes(_PKTINFO.unpack(value[:12])[2], "big")
            out.append(Datagram(
                payload=payload, src=parse_ip(host), sport=port, dst=dst, dport=entry.sock.getsockname()[1],
                ttl=0, tos=0, dev="", uid=0,
            ))  # fmt: skip

    def take_errors(self, req: TakeErrors) -> tuple[SocketError, ...]:
        """Take what waits in the error queue."""
        entry = self._entries[req.fd]
        self._read_errors(entry)
        taken = tuple(entry.errors)
        entry.errors.clear()
        return taken

    def _read_errors(self, entry: _Entry) -> None:
        while True:
            try:
                payload, extra, _, address = entry.sock.recvmsg(1 << 12, 512, MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, value in extra:
                if level != socket.IPPROTO_IP or kind != IP_RECVERR:
                    continue
                code, origin, icmp_type, icmp_code, _, _, _ = _ERROR.unpack(value[:16])
                offender = int.from_bytes(value[20:24], "big") if len(value) >= 24 else 0
                dst, dport = (parse_ip(address[0]), address[1]) if address else (0, 0)
                entry.errors.append(SocketError(
                    errno=code, offender=offender, dst=dst, dport=dport,
                    icmp_type=icmp_type if origin == SO_EE_ORIGIN_ICMP else -1, icmp_code=icmp_code, payload=payload,
                ))  # fmt: skip

    def name(self, req: SocketName) -> tuple[Ip, int, Ip, int]:
        """Answer both ends; an unbound datagram socket answers the source its last datagram was routed with."""
        entry = self._entries[req.fd]
        host, port = entry.sock.getsockname()[:2]
        addr = parse_ip(host)
        if not addr and entry.target[0]:
            kind = entry.asked.kind
            addr = source_towards(
                self._rtnetlink, entry.target[0], proto=_PROTOCOLS[kind], tos=entry.asked.tos & 0x1C,
                sport=port if kind == "udp" else 0, dport=entry.target[1], mark=entry.asked.mark,
                oif=self._index(entry.asked.dev) if entry.asked.dev else 0,
            )  # fmt: skip
        return addr, port, *entry.peer

    def _index(self, dev: str) -> int:
        with self._namespace.inside():
            return socket.if_nametoindex(dev)

    def shutdown(self, req: Shutdown) -> Done | Refusal:
        """Send FIN."""
        try:
            self._entries[req.fd].sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            return _refusal(error)
        return DONE

    def close(self, req: Close) -> Done | Refusal:
        """Close a socket."""
        entry = self._entries.pop(req.fd)
        self._reactor.remove(req.fd)
        if req.abort:
            entry.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
        entry.sock.close()
        return DONE

    def option(self, req: SocketOption) -> Done | Refusal:
        """Set an option by the emulator's name for it."""
        level, option, value = {
            "broadcast": (socket.SOL_SOCKET, socket.SO_BROADCAST, req.value),
            "keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, req.value),
            "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY, req.value),
            "rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF, req.value),
            "user_timeout": (socket.IPPROTO_TCP, TCP_USER_TIMEOUT, req.value // NS_PER_MS),
        }[req.name]
        try:
            self._entries[req.fd].sock.setsockopt(level, option, value)
        except OSError as error:
            return _refusal(error)
        return DONE

    def close_all(self) -> None:
        """Close every socket, as the end of their box does."""
        for fd, entry in self._entries.items():
            self._reactor.remove(fd)
            entry.sock.close()
        self._entries.clear()

    def close_for_good(self) -> None:
        """Let go of everything, the way to the kernel's routes included."""
        self.close_all()
        self._rtnetlink.close()

    # News

    def _watch(self, fd: int, mask: int) -> None:
        self._reactor.add(fd, lambda news: self._news(fd, news), mask)

    def _news(self, fd: int, mask: int) -> None:
        """Turn what epoll says into wake-ups."""
        entry = self._entries.get(fd)
        if entry is None:
            return
        tell = self._outbox.wakes.append
        if entry.asked.kind != "tcp":
            if mask & BROKEN:
                tell(Wake(fd, "error"))
            if mask & READABLE:
                tell(Wake(fd, "readable"))
            return
        if mask & BROKEN:
            code = entry.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._failed(fd, entry, code)
                return
        if entry.state == "connecting" and mask & WRITABLE:
            entry.state = "connected"
            tell(Wake(fd, "connected"))
        elif mask & WRITABLE and not mask & READABLE:
            tell(Wake(fd, "writable"))
        if mask & READABLE:
            tell(Wake(fd, "readable"))

    def _failed(self, fd: int, entry: _Entry, code: int) -> None:
        """Keep an error and tell of it; who reported it stands in the error queue."""
        self._read_errors(entry)
        if not entry.errors or entry.errors[-1].errno != code:
            entry.errors.append(SocketError(errno=code, offender=0, dst=entry.peer[0], dport=entry.peer[1]))
        self._outbox.wakes.append(Wake(fd, "error"))


def _refusal(error: OSError) -> Refusal:
    """Turn an exception of a socket call into the kernel's refusal."""
    return Refusal(error.errno if error.errno is not None else EAGAIN)
