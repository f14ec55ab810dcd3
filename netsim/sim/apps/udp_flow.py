"""UDP traffic: datagrams at a steady rate, on one socket, on parallel ones, or each from a fresh source port."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from netsim.addr import Ip, ip_str
from netsim.sim.apps.flow import Flow
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Close, Receive, Send, Socket, SocketName, SocketOption
from netsim.trace.records import FlowSent
from netsim.units import Ns

OPEN_SOCKETS = 256
"""How many of a new_flows source's sockets stay open for errors and echoes; the oldest closes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpOptions:
    """What a udp flow may be told; `sport` 0 lets the kernel choose, `src` 0 any, `dev` "" any."""

    size: int = 100
    flows: int = 1
    new_flows: bool = False
    sport: int = 0
    src: Ip = 0
    dev: str = ""
    ttl: int = 0
    tos: int = 0


class UdpFlow(Flow):
    """Datagrams to destinations taken in turn; `flows` datagrams at each instant, in listing order."""

    def __init__(
        self, world: World, name: str, number: int, node: Node, destinations: list[tuple[Ip, int]], options: UdpOptions,
        *, every: Ns, count: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(world, name, number, node, every=every, count=count)
        self._destinations = destinations
        self._options = options
        self._sockets: list[tuple[int, int]] = []
        self._recent: deque[int] = deque()
        self._names: dict[tuple[Ip, int, tuple[Ip, int]], str] = {}
        self._turn = 0
        self._unit = 0

    def booted(self) -> None:
        """Forget the sockets of the box that was."""
        self._sockets.clear()
        self._recent.clear()

    def _send(self, sequence: int) -> None:
        destinations = self._destinations
        fresh = self._options.new_flows
        for lane in range(self._options.flows):
            if fresh:
                destination = destinations[self._turn % len(destinations)]
                self._turn += 1
                socket = self._open(self._unit)
                if socket is not None:
                    self._recent.append(socket[0])
            else:
                destination = destinations[lane % len(destinations)]
                socket = self._sockets[lane] if lane < len(self._sockets) else self._lane(lane)
            if socket is not None:
                self._transmit(socket, destination)
            self._unit += 1
        while len(self._recent) > OPEN_SOCKETS:
            fd = self._recent.popleft()
            self.node.unlisten(fd)
            self.node.request(Close(fd=fd))

    def _lane(self, lane: int) -> tuple[int, int] | None:
        """Return the socket of one of the parallel flows, opened when it first sends."""
        while len(self._sockets) <= lane:
            socket = self._open(len(self._sockets))
            if socket is None:
                return None
            self._sockets.append(socket)
        return self._sockets[lane]

    def _open(self, offset: int) -> tuple[int, int] | None:
        """Open and bind a socket; return its descriptor and port, None when the kernel refused."""
        options = self._options
        fd = self.node.request(Socket(kind="udp", dev=options.dev, ttl=options.ttl, tos=options.tos, recverr=True))
        if isinstance(fd, Refusal):
            self.refused(self.unit(self._unit), fd)
            return None
        self.node.request(SocketOption(fd=fd, name="broadcast", value=1))
        port = self.node.request(Bind(fd=fd, addr=options.src, port=self._port(offset)))
        if isinstance(port, Refusal):
            self.refused(self.unit(self._unit), port)
            self.node.request(Close(fd=fd))
            return None
        self.node.listen(fd, lambda event: self._news(fd, event))
        return fd, port

    def _port(self, offset: int) -> int:
        if not self._options.sport:
            return 0
        return 1024 + (self._options.sport - 1024 + offset) % 64_512

    def _news(self, fd: int, event: str) -> None:
        if event == "error":
            self.report_errors(fd)
        else:
            self.node.request(Receive(fd=fd))

    def _transmit(self, socket: tuple[int, int], destination: tuple[Ip, int]) -> None:
        fd, port = socket
        addr, dport = destination
        unit = self.unit(self._unit)
        answer = self.node.request(Send(fd=fd, payload=self.stamp(unit, self._options.size), addr=addr, port=dport))
        if FlowSent in self.world.bus.wanted:
            name = self.node.request(SocketName(fd=fd))
            source = 0 if isinstance(name, Refusal) else name[0]
            conn = self._names.get((source, port, destination), "")
            if not conn:
                if len(self._names) >= OPEN_SOCKETS:
                    self._names.clear()
                conn = f"{ip_str(source)}:{port}>{ip_str(addr)}:{dport}"
                self._names[source, port, destination] = conn
            now = self.world.env.now
            self.world.bus.publish(FlowSent(now, self.name, self.node.name, unit, self._options.size, conn))
        if isinstance(answer, Refusal):
            self.refused(unit, answer)
