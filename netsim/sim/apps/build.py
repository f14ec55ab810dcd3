"""From what a scenario says of a flow to running applications: senders at its nodes, receivers at its far ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from netsim.addr import Ip
from netsim.errors import SimulationError
from netsim.sim.apps.flow import STAMP, Flow
from netsim.sim.apps.ftp import FtpFlow, serve_ftp
from netsim.sim.apps.http import HttpFlow, serve_http
from netsim.sim.apps.ping import PingFlow
from netsim.sim.apps.servers import StoryServer, TcpServer, UdpServer
from netsim.sim.apps.tcp_flow import ConnectionFlow, TcpFlow, TcpOptions
from netsim.sim.apps.udp_flow import UdpFlow, UdpOptions
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.units import NS_PER_S, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a unit goes: an address and port, and the node that answers there ("" when no node has the address)."""

    addr: Ip
    port: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSpec:
    """A flow as a scenario's `traffic:` has it, names resolved. `every` None means one transfer only."""

    kind: str
    sources: tuple[str, ...]
    destinations: tuple[Destination, ...]
    every: Ns | None = NS_PER_S
    count: int = 0
    size: int = 100
    flows: int = 1
    new_flows: bool = False
    sport: int = 0
    src: Ip = 0
    dev: str = ""
    ttl: int = 0
    tos: int = 0
    reply: bool = False
    hold: bool = False
    mode: str = "passive"


_CONNECTIONS: Mapping[str, type[ConnectionFlow]] = MappingProxyType({"tcp": TcpFlow, "http": HttpFlow, "ftp": FtpFlow})


class Applications:
    """The flows of a world by name, and the servers they share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flows: dict[str, list[Flow]] = {}
        self._servers: dict[tuple[str, str], UdpServer | TcpServer | StoryServer] = {}
        self._numbers = 0

    def add(self, name: str, spec: FlowSpec) -> None:
        """Make a flow's senders and receivers; nothing is sent before `start`."""
        senders: list[Flow] = []
        for place, source in enumerate(spec.sources):
            self._numbers += 1
            flow = self._sender(name, self._numbers, source, spec)
            flow.lane = (place, len(spec.sources))
            senders.append(flow)
            for destination in spec.destinations:
                self._serve(destination, self._numbers, name, spec)
        self.flows[name] = senders

    def start(self, name: str) -> None:
        """Let a flow send, now."""
        for flow in self.flows[name]:
            flow.start()

    def stop(self, name: str) -> None:
        """Let a flow send no more."""
        for flow in self.flows[name]:
            flow.stop()

    def booted(self, node: str) -> None:
        """Open the servers of a node that came back from a crash, and let its senders begin anew."""
        for (name, _), server in self._servers.items():
            if name == node:
                server.open()
        for flows in self.flows.values():
            for flow in flows:
                if flow.node.name == node:
                    flow.booted()

    def _sender(self, name: str, number: int, source: str, spec: FlowSpec) -> Flow:
        node = self.world.nodes[source]
        every = spec.every or NS_PER_S
        count = spec.count if spec.every is not None else 1
        to = [(each.addr, each.port) for each in spec.destinations]
        if spec.kind == "udp":
            options = UdpOptions(
                size=spec.size, flows=spec.flows, new_flows=spec.new_flows, sport=spec.sport, src=spec.src,
                dev=spec.dev, ttl=spec.ttl, tos=spec.tos,
            )  # fmt: skip
            return UdpFlow(self.world, name, number, node, to, options, every=every, count=count)
        if spec.kind == "ping":
            return PingFlow(
                self.world, name, number, node, [each.addr for each in spec.destinations], every=every, count=count,
                size=spec.size, flows=spec.flows, new_flows=spec.new_flows, src=spec.src, dev=spec.dev,
                ttl=spec.ttl, tos=spec.tos,
            )  # fmt: skip
        if spec.kind not in _CONNECTIONS:
            raise SimulationError(f"there is no traffic of kind {spec.kind!r}")
        tcp = TcpOptions(
            size=spec.size, flows=spec.flows, sport=spec.sport, src=spec.src, dev=spec.dev, ttl=spec.ttl,
            tos=spec.tos, hold=spec.hold, mode=spec.mode,
        )  # fmt: skip
        return _CONNECTIONS[spec.kind](self.world, name, number, node, to, tcp, every=every, count=count)

    def _serve(self, destination: Destination, number: int, name: str, spec: FlowSpec) -> None:
        """Open what answers a flow at its far end, shared by the flows of one protocol and port."""
        if not destination.node or spec.kind == "ping":
            return
        node = self.world.nodes[destination.node]
        key = (destination.node, f"{spec.kind}/{destination.port}")
        server = self._servers.get(key)
        if server is None:
            server = self._servers[key] = self._open(spec.kind, node, destination.port)
        if isinstance(server, UdpServer):
            server.serve(number, name, echo=spec.reply, short=spec.size < STAMP.size)
        elif isinstance(server, TcpServer):
            server.serve(number, name, spec.size)

    def _open(self, kind: str, node: Node, port: int) -> UdpServer | TcpServer | StoryServer:
        if kind == "udp":
            return UdpServer(self.world, node, port)
        if kind == "tcp":
            return TcpServer(self.world, node, port)
        return StoryServer(node, port, serve_http if kind == "http" else serve_ftp)
