"""ping: ICMP echoes at an interval, one flow an identifier. A unit is delivered when its reply comes back."""

from __future__ import annotations

from collections import deque

from netsim.addr import Ip, ip_str
from netsim.sim.apps.flow import STAMP, Flow
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Close, Receive, Send, Socket
from netsim.trace.records import FlowDelivered, FlowSent
from netsim.units import Ns

OPEN_SOCKETS = 64
"""How many of a new_flows source's sockets stay open for replies."""


class PingFlow(Flow):
    """Echo requests to destinations taken in turn; `flows` of them at each instant, each from a socket of its own.

    With `new_flows` every request has a fresh identifier; the oldest sockets close.
    """

    def __init__(
        self, world: World, name: str, number: int, node: Node, destinations: list[Ip], *,
        every: Ns, count: int = 0, size: int = 56, flows: int = 1, new_flows: bool = False, src: Ip = 0, dev: str = "",
        ttl: int = 0, tos: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(world, name, number, node, every=every, count=count)
        self._destinations = destinations
        self._size = max(size, STAMP.size)
        self._flows, self._new_flows = flows, new_flows
        self._src = src
        self._dev, self._ttl, self._tos = dev, ttl, tos
        self._sockets: deque[tuple[int, int]] = deque()

    def booted(self) -> None:
        """Forget the sockets of the box that was."""
        self._sockets.clear()

    def _socket(self, lane: int) -> tuple[int, int] | Refusal:
        """Return the socket and identifier of a lane, opened when first needed."""
        if not self._new_flows and lane < len(self._sockets):
            return self._sockets[lane]
        fd = self.node.request(Socket(kind="ping", dev=self._dev, ttl=self._ttl, tos=self._tos, recverr=True))
        if isinstance(fd, Refusal):
            return fd
        ident = self.node.request(Bind(fd=fd, addr=self._src))
        if isinstance(ident, Refusal):
            self.node.request(Close(fd=fd))
            return ident
        self._sockets.append((fd, ident))
        self.node.listen(fd, lambda event: self._news(fd, event))
        while self._new_flows and len(self._sockets) > OPEN_SOCKETS:
            oldest, _ = self._sockets.popleft()
            self.node.unlisten(oldest)
            self.node.request(Close(fd=oldest))
        return fd, ident

    def _send(self, sequence: int) -> None:
        for lane in range(self._flows):
            place = sequence * self._flows + lane
            self._request(lane, self.unit(place), self._destinations[place % len(self._destinations)])

    def _request(self, lane: int, unit: int, addr: Ip) -> None:
        socket = self._socket(lane)
        if isinstance(socket, Refusal):
            self.refused(unit, socket)
            return
        fd, ident = socket
        answer = self.node.request(Send(fd=fd, payload=self.stamp(unit, self._size), addr=addr))
        if FlowSent in self.world.bus.wanted:
            conn = f"{self.source(fd)}:{ident}>{ip_str(addr)}:0"
            self.world.bus.publish(FlowSent(self.world.env.now, self.name, self.node.name, unit, self._size, conn))
        if isinstance(answer, Refusal):
            self.refused(unit, answer)

    def _news(self, fd: int, event: str) -> None:
        if event == "error":
            self.report_errors(fd)
            return
        datagrams = self.node.request(Receive(fd=fd))
        if isinstance(datagrams, (Refusal, bytes)):
            return
        now = self.world.env.now
        for datagram in datagrams:
            payload = datagram.payload[8:]
            if len(payload) < STAMP.size or FlowDelivered not in self.world.bus.wanted:
                continue
            number, unit, sent = STAMP.unpack_from(payload)
            if number == self.number:
                self.world.bus.publish(FlowDelivered(now, self.name, self.node.name, unit, len(payload), now - sent))
