"""What answers at the far end: UDP receivers, which may echo, and TCP sinks; one a node and port, shared by flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from netsim.errors import SimulationError
from netsim.sim.apps.flow import STAMP
from netsim.sim.apps.stream import Acceptor, Story, Stream
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Receive, Send, Socket
from netsim.trace.records import FlowDelivered


class UdpServer:
    """A receiver on a port. It tells flows apart by the number in their payloads.

    A payload too short for a stamp belongs to the one flow that sends such, in order of arrival.
    """

    def __init__(self, world: World, node: Node, port: int) -> None:
        self.world = world
        self.node = node
        self.port = port
        self.flows: dict[int, str] = {}
        self.echoing: set[int] = set()
        self.short: list[int] = []
        self._counts: defaultdict[int, int] = defaultdict(int)
        self._fd = -1
        self._receive = Receive(fd=-1)

    def serve(self, number: int, name: str, *, echo: bool, short: bool) -> None:
        """Take a flow in; `short` tells that its payloads carry no stamp."""
        self.flows[number] = name
        if echo:
            self.echoing.add(number)
        if short:
            self.short.append(number)
        if self._fd < 0:
            self.open()

    def open(self) -> None:
        """Bind the port; again after a boot."""
        fd = self.node.request(Socket(kind="udp"))
        if isinstance(fd, Refusal):
            raise SimulationError(f"{self.node.name} gave no socket: {fd.strerror}")
        bound = self.node.request(Bind(fd=fd, port=self.port))
        if isinstance(bound, Refusal):
            raise SimulationError(f"{self.node.name} port {self.port}: {bound.strerror}")
        self._fd = fd
        self._receive = Receive(fd=fd)  # asked once a datagram, always the same
        self.node.listen(fd, self._news)

    def _news(self, event: str) -> None:
        datagrams = self.node.request(self._receive)
        if isinstance(datagrams, (Refusal, bytes)):
            return
        now = self.world.env.now
        for datagram in datagrams:
            payload = datagram.payload
            number, unit, sent = self._identify(payload)
            name = self.flows.get(number)
            if name is not None and FlowDelivered in self.world.bus.wanted:
                self.world.bus.publish(
                    FlowDelivered(now, name, self.node.name, unit, len(payload), now - sent if sent >= 0 else 0)
                )
            if number in self.echoing:
                echo = Send(
                    fd=self._fd, payload=payload, addr=datagram.src, port=datagram.sport, parent=datagram.uid,
                    src=datagram.dst,
                )  # fmt: skip
                self.node.request(echo)

    def _identify(self, payload: bytes) -> tuple[int, int, int]:
        """Return flow number, unit number and instant of sending (-1 unknown)."""
        if len(payload) >= STAMP.size:
            number, unit, sent = STAMP.unpack_from(payload)
            return number, unit, sent
        number = self.short[0] if self.short else -1
        unit = self._counts[number]
        self._counts[number] += 1
        return number, unit, -1


class TcpServer:
    """A TCP port that reads what comes, tells each whole chunk of a known flow, and closes when the peer has."""

    def __init__(self, world: World, node: Node, port: int) -> None:
        self.world = world
        self.node = node
        self.port = port
        self.sizes: dict[int, tuple[str, int]] = {}
        self.open()

    def serve(self, number: int, name: str, size: int) -> None:
        """Take a flow in: its chunks are `size` octets and begin with a stamp."""
        self.sizes[number] = (name, max(size, STAMP.size))

    def open(self) -> None:
        """Listen; again after a boot."""
        Acceptor(self.node, self.port, self._read)

    def _read(self, stream: Stream) -> Story:
        while len(head := (yield from stream.read_exactly(STAMP.size))) == STAMP.size:
            number, unit, sent = STAMP.unpack(head)
            name, size = self.sizes.get(number, ("", 0))
            body = yield from stream.read_exactly(max(0, size - STAMP.size))
            now = self.world.env.now
            if name and len(body) == size - STAMP.size and FlowDelivered in self.world.bus.wanted:
                self.world.bus.publish(FlowDelivered(now, name, self.node.name, unit, size, now - sent))


class StoryServer:
    """A TCP port whose connections each run a story (http, ftp)."""

    def __init__(self, node: Node, port: int, story: Callable[[Stream], Story]) -> None:
        self.node = node
        self.port = port
        self._story = story
        self.open()

    def open(self) -> None:
        """Listen; again after a boot."""
        Acceptor(self.node, self.port, self._story)
