"""A TCP socket as a conversation sees it: generators that wait in simpy for what the kernel says next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

import simpy

from netsim.addr import Ip, ip_str
from netsim.sim.node import Node
from netsim.stack.errno import EAGAIN, ECONNRESET, EINPROGRESS, NAMES, Refusal
from netsim.stack.requests import (
    Accept,
    Bind,
    Close,
    Connect,
    Listen,
    Receive,
    Request,
    Send,
    Shutdown,
    Socket,
    SocketError,
    SocketName,
    TakeErrors,
)
from netsim.units import Ns

T = TypeVar("T")
Story = Generator[simpy.Event, Any, Any]  # what a simpy process is made of


class StreamError(Exception):
    """The connection broke: `errno` as the kernel gives it, `offender` who said so ("" for this host)."""

    def __init__(self, errno: int, offender: str = "") -> None:
        self.errno = errno
        self.offender = offender
        super().__init__(NAMES[errno])

    @property
    def ending(self) -> str:
        """The connection event this is: refused, reset or timed_out."""
        name = NAMES[self.errno]
        if name == "ECONNREFUSED":
            return "refused"
        return "reset" if name in ("ECONNRESET", "EPIPE", "ECONNABORTED") else "timed_out"


class BoxGoneError(StreamError):
    """The box crashed, and its sockets and applications with it: nobody is left to tell anything."""

    def __init__(self) -> None:
        super().__init__(ECONNRESET)


class Stream:
    """One socket of one node. Every method that may wait is a generator: `yield from stream.read()`.

    An ICMP error on a connection that stands breaks nothing: `soft` is told, and the conversation goes on. While it is
    being made, it fails. Source: RFC 1122 section 4.2.3.9; tcp_v4_err().
    """

    def __init__(self, node: Node, fd: int) -> None:
        self.node = node
        self.fd = fd
        self.soft: Callable[[SocketError], None] | None = None
        self._stands = False
        self._box = node.box
        self._news: deque[str] = deque()
        self._waiting: simpy.Event | None = None
        self._rest = b""
        self.eof = False
        node.listen(fd, self._wake)

    @classmethod
    def open(cls, node: Node, *, src: Ip = 0, sport: int = 0, dev: str = "", ttl: int = 0, tos: int = 0) -> Stream:
        """Open a socket, bound where asked. Raises StreamError when the kernel refuses."""
        fd = node.request(Socket(kind="tcp", dev=dev, ttl=ttl, tos=tos, recverr=True))
        if isinstance(fd, Refusal):
            raise StreamError(fd.errno)
        stream = cls(node, fd)
        if src or sport:
            bound = node.request(Bind(fd=fd, addr=src, port=sport))
            if isinstance(bound, Refusal):
                stream.close()
                raise StreamError(bound.errno)
        return stream

    def _wake(self, event: str) -> None:
        self._news.append(event)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.succeed()

    def _wait(self) -> Story:
        """Wait for news; an error raises, "closed" counts as the end of the stream."""
        if not self._news:
            self._waiting = self.node.world.env.event()
            yield self._waiting
        event = self._news.popleft()
        if event == "error":
            self._raise()
        return event

    def _raise(self) -> None:
        errors = self._request(TakeErrors(fd=self.fd))
        if isinstance(errors, Refusal):
            return
        for error in errors:
            if self._stands and error.icmp_type >= 0:
                if self.soft is not None:
                    self.soft(error)
            else:
                raise StreamError(error.errno, ip_str(error.offender) if error.offender else "")

    def pause(self, delay: Ns) -> Story:
        """Let time pass; a connection that breaks meanwhile raises at that instant, data waits for `read`."""
        env = self.node.world.env
        over = env.timeout(delay)
        while not over.processed:
            if not self._news:
                self._waiting = env.event()
                yield self._waiting | over
                self._waiting = None
            while self._news:
                if self._news.popleft() == "error":
                    self._raise()

    @property
    def conn(self) -> str:
        """Both ends as "src:port>dst:port"."""
        name = self._request(SocketName(fd=self.fd))
        if isinstance(name, Refusal):
            return ""
        return f"{ip_str(name[0])}:{name[1]}>{ip_str(name[2])}:{name[3]}"

    def begin(self, addr: Ip, port: int) -> None:
        """Start to connect, without waiting."""
        answer = self._request(Connect(fd=self.fd, addr=addr, port=port))
        if isinstance(answer, Refusal) and answer.errno != EINPROGRESS:
            raise StreamError(answer.errno)

    def established(self) -> Story:
        """Wait until the connection stands."""
        while True:
            event = yield from self._wait()
            if event in ("connected", "writable", "readable"):
                self._stands = True
                if event == "readable":
                    self._news.appendleft(event)
                return

    def write(self, octets: bytes) -> Story:
        """Hand octets to the kernel, waiting whenever its buffer is full."""
        at = 0
        while at < len(octets):
            taken = self._request(Send(fd=self.fd, payload=octets[at : at + 65_536]))
            if isinstance(taken, Refusal):
                if taken.errno != EAGAIN:
                    self._raise()
                    raise StreamError(taken.errno)
                yield from self._wait()
            else:
                at += taken

    def read(self) -> Story:
        """Return the octets that are there, waiting for some; b"" at the end of the stream."""
        if self._rest:
            octets, self._rest = self._rest, b""
            return octets
        while True:
            taken = self._request(Receive(fd=self.fd))
            if isinstance(taken, bytes):
                self.eof = self.eof or not taken
                return taken
            event = yield from self._wait()
            if event == "closed":
                self.eof = True
                return b""

    def read_exactly(self, count: int) -> Story:
        """Return `count` octets, fewer when the stream ends before."""
        parts: list[bytes] = []
        have = 0
        while have < count:
            octets = yield from self.read()
            if not octets:
                break
            parts.append(octets)
            have += len(octets)
        whole = b"".join(parts)
        self._rest = whole[count:] + self._rest
        return whole[:count]

    def read_line(self) -> Story:
        """Return text up to CR LF, without it; "" at the end of the stream."""
        line = b""
        while b"\r\n" not in line:
            octets = yield from self.read()
            if not octets:
                return line.decode("ascii", "replace")
            line += octets
        line, _, rest = line.partition(b"\r\n")
        self._rest = rest + self._rest
        return line.decode("ascii", "replace")

    def shutdown(self) -> None:
        """Say that nothing more will be written."""
        self._request(Shutdown(fd=self.fd))

    def close(self, *, abort: bool = False) -> None:
        """Give the socket back; harmless when the box is gone, whose sockets went with it."""
        if self.gone:
            return
        self.node.unlisten(self.fd)
        self._request(Close(fd=self.fd, abort=abort))

    @property
    def gone(self) -> bool:
        """Whether the box that had this socket crashed."""
        return self.node.crashed or self.node.box is not self._box

    def _request(self, req: Request[T]) -> T | Refusal:
        """Ask the box. Raises BoxGoneError when it is another one by now: its numbers are other sockets'."""
        if self.gone:
            raise BoxGoneError
        return self.node.request(req)


class Acceptor:
    """A listening socket. `serve(stream)` makes the story of each accepted connection."""

    def __init__(self, node: Node, port: int, serve: Any, *, addr: Ip = 0) -> None:  # Any: a generator function
        self.node = node
        self.port = port
        self._box = node.box
        self._serve = serve
        fd = node.request(Socket(kind="tcp"))
        if isinstance(fd, Refusal):
            raise StreamError(fd.errno)
        self.fd = fd
        bound = node.request(Bind(fd=fd, addr=addr, port=port))
        if isinstance(bound, Refusal):
            raise StreamError(bound.errno)
        self.port = bound
        node.request(Listen(fd=fd))
        node.listen(fd, self._accepted)

    def _accepted(self, event: str) -> None:
        while True:
            fd = self.node.request(Accept(fd=self.fd))
            if isinstance(fd, Refusal):
                return
            stream = Stream(self.node, fd)
            self.node.world.env.process(guarded(self._serve(stream), stream))

    def close(self) -> None:
        """Stop listening; harmless when the box is gone."""
        if self.node.crashed or self.node.box is not self._box:
            return
        self.node.unlisten(self.fd)
        self.node.request(Close(fd=self.fd))


def guarded(story: Story, stream: Stream) -> Story:
    """Run a server's story; a broken connection ends it quietly, as it ends a forked server."""
    with suppress(StreamError):
        yield from story
    stream.close()
