"""ping: ICMP echoes at an interval, one flow an identifier. A unit is delivered when its reply comes back."""

from __future__ import annotations

from netsim.addr import Ip, ip_str
from netsim.sim.apps.flow import STAMP, Flow
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Receive, Send, Socket
from netsim.trace.records import FlowDelivered, FlowSent
from netsim.units import Ns


class PingFlow(Flow):
    """Echo requests to destinations taken in turn, from one ping socket."""

    def __init__(
        self, world: World, name: str, number: int, node: Node, destinations: list[Ip], *,
        every: Ns, count: int = 0, size: int = 56, src: Ip = 0, dev: str = "", ttl: int = 0, tos: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(world, name, number, node, every=every, count=count)
        self._destinations = destinations
        self._size = max(size, STAMP.size)
        self._src = src
        self._dev, self._ttl, self._tos = dev, ttl, tos
        self._fd = -1
        self._ident = 0

    def booted(self) -> None:
        """Forget the socket of the box that was."""
        self._fd = -1

    def _socket(self) -> int | Refusal:
        """Open the socket when first needed."""
        if self._fd < 0:
            fd = self.node.request(Socket(kind="ping", dev=self._dev, ttl=self._ttl, tos=self._tos, recverr=True))
            if isinstance(fd, Refusal):
                return fd
            ident = self.node.request(Bind(fd=fd, addr=self._src))
            if isinstance(ident, Refusal):
                return ident
            self._fd, self._ident = fd, ident
            self.node.listen(fd, self._news)
        return self._fd

    def _send(self, sequence: int) -> None:
        addr = self._destinations[sequence % len(self._destinations)]
        unit = self.unit(sequence)
        fd = self._socket()
        if isinstance(fd, Refusal):
            self.refused(unit, fd)
            return
        answer = self.node.request(Send(fd=fd, payload=self.stamp(unit, self._size), addr=addr))
        if FlowSent in self.world.bus.wanted:
            conn = f"{self.source(fd)}:{self._ident}>{ip_str(addr)}:{self._ident}"
            self.world.bus.publish(FlowSent(self.world.env.now, self.name, self.node.name, unit, self._size, conn))
        if isinstance(answer, Refusal):
            self.refused(unit, answer)

    def _news(self, event: str) -> None:
        if event == "error":
            self.report_errors(self._fd)
            return
        datagrams = self.node.request(Receive(fd=self._fd))
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
