"""TCP traffic: transfers that open, send and close, or one connection held open that sends at intervals."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip, ip_str
from netsim.sim.apps.flow import STAMP, Flow
from netsim.sim.apps.stream import BoxGoneError, Story, Stream, StreamError
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import NAMES
from netsim.trace.records import ConnectionEvent, FlowError, FlowSent
from netsim.units import Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpOptions:
    """What a tcp, http or ftp flow may be told; zeros leave it to the kernel."""

    size: int = 1000
    flows: int = 1
    sport: int = 0
    src: Ip = 0
    dev: str = ""
    ttl: int = 0
    tos: int = 0
    hold: bool = False
    mode: str = "passive"


class ConnectionFlow(Flow):
    """A flow whose units are connections. Subclasses tell what happens on one in `converse`."""

    def __init__(
        self, world: World, name: str, number: int, node: Node, destinations: list[tuple[Ip, int]], options: TcpOptions,
        *, every: Ns, count: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(world, name, number, node, every=every, count=count)
        self.destinations = destinations
        self.options = options
        self._opened = 0

    def _send(self, sequence: int) -> None:
        for lane in range(self.options.flows):
            unit = self.unit(sequence * self.options.flows + lane)
            destination = self.destinations[(sequence * self.options.flows + lane) % len(self.destinations)]
            self.world.env.process(self._connection(unit, destination))

    def _connection(self, unit: int, destination: tuple[Ip, int]) -> Story:
        """Open a connection, converse, and tell how it ended."""
        try:
            stream = self._open()
        except StreamError as error:
            self._broke(unit, "", error)
            return
        stream.soft = lambda error: self._told(unit, error.errno, ip_str(error.offender) if error.offender else "")
        conn = ""
        try:
            stream.begin(*destination)
            conn = stream.conn
            self._event(unit, "opened", conn)
            yield from stream.established()
            self._event(unit, "established", conn)
            yield from self.converse(stream, unit, conn)
            self._event(unit, "completed", conn)
            stream.close()
        except BoxGoneError:
            return
        except StreamError as error:
            self._broke(unit, conn, error)
            stream.close()

    def _open(self) -> Stream:
        options = self.options
        sport = 0
        if options.sport:
            sport = 1024 + (options.sport - 1024 + self._opened) % 64_512
        self._opened += 1
        return Stream.open(self.node, src=options.src, sport=sport, dev=options.dev, ttl=options.ttl, tos=options.tos)

    def _broke(self, unit: int, conn: str, error: StreamError) -> None:
        self._told(unit, error.errno, error.offender)
        self._event(unit, error.ending, conn)

    def _told(self, unit: int, errno: int, offender: str) -> None:
        """Publish an error that the kernel told."""
        if FlowError in self.world.bus.wanted:
            now = self.world.env.now
            self.world.bus.publish(FlowError(now, self.name, self.node.name, unit, NAMES[errno], offender))

    def _event(self, unit: int, event: str, conn: str) -> None:
        if ConnectionEvent in self.world.bus.wanted:
            now = self.world.env.now
            self.world.bus.publish(ConnectionEvent(now, self.name, self.node.name, unit, event, conn))

    def converse(self, stream: Stream, unit: int, conn: str) -> Story:
        """Do what this kind of flow does on an established connection."""
        raise NotImplementedError  # every kind has its own

    def sent(self, unit: int, conn: str, octets: int) -> None:
        """Publish that a piece of the conversation was sent."""
        if FlowSent in self.world.bus.wanted:
            self.world.bus.publish(FlowSent(self.world.env.now, self.name, self.node.name, unit, octets, conn))


class TcpFlow(ConnectionFlow):
    """Each unit opens a connection, sends `size` octets and closes.

    Held, each of its `flows` connections sends `size` each `every`; one that broke is opened again at its next
    interval, as a keep-alive client does, and counts as a new connection.
    """

    def __init__(
        self, world: World, name: str, number: int, node: Node, destinations: list[tuple[Ip, int]], options: TcpOptions,
        *, every: Ns, count: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(world, name, number, node, destinations, options, every=every, count=count)
        self._holding = False
        self._pieces = 0
        self._boots = 0

    def start(self) -> None:
        """Begin; a held flow opens its connections and keeps its own time."""
        if not self.options.hold:
            super().start()
        elif not self._holding:
            self._holding = True
            self._hold_all()

    def stop(self) -> None:
        """End; a held connection closes after what it is sending."""
        self._holding = False
        super().stop()

    def booted(self) -> None:
        """Open the held connections anew: those of the box that was are gone with it."""
        self._boots += 1
        if self._holding:
            self._hold_all()

    def _hold_all(self) -> None:
        for lane in range(self.options.flows):
            self.world.env.process(self._lane(lane, self._boots))

    def _lane(self, lane: int, boots: int) -> Story:
        """Keep one connection open, opened again after it broke, until the flow stops or the box goes."""
        while self._holding and boots == self._boots and not self.node.crashed:
            began = self.world.env.now
            unit = self.unit(self.sequence)
            self.sequence += 1
            yield from self._connection(unit, self.destinations[lane % len(self.destinations)])
            if self.count and self._pieces >= self.count * self.options.flows:
                return
            yield self.world.env.timeout(self.every - (self.world.env.now - began) % self.every)

    def converse(self, stream: Stream, unit: int, conn: str) -> Story:
        """Send, shut down, and wait until the far end has closed too."""
        if self.options.hold:
            yield from self._keep(stream, conn)
        else:
            yield from stream.write(self._chunk(unit))
            self.sent(unit, conn, self.options.size)
        stream.shutdown()
        while (yield from stream.read()):
            pass

    def _keep(self, stream: Stream, conn: str) -> Story:
        """Send a chunk each interval, until stopped or the count is reached."""
        at = self.world.env.now
        while self._holding and not (self.count and self._pieces >= self.count * self.options.flows):
            piece = self.unit(self._pieces)
            self._pieces += 1
            self.sent(piece, conn, self.options.size)
            yield from stream.write(self._chunk(piece))
            at += self.every
            now = self.world.env.now
            if at > now:
                yield from stream.pause(at - now)

    def _chunk(self, unit: int) -> bytes:
        return self.stamp(unit, max(self.options.size, STAMP.size))
