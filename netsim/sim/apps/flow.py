"""What every flow has: a name, a window in which it sends, and stamped payloads by which the far end knows it."""

from __future__ import annotations

from struct import Struct

from netsim.addr import ip_str
from netsim.sim.clock import STEP, Timer
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.errno import NAMES, Refusal
from netsim.stack.requests import SocketName, TakeErrors
from netsim.trace.records import FlowError
from netsim.units import Ns

STAMP = Struct("!IIQ")
"""Flow number, unit number, instant of sending: the first 16 octets of a payload that has room for them."""


class Flow:
    """A stream of units from one node. Subclasses say what a unit is in `_send`.

    `every` is the time between two units, `count` how many at most (0: no bound).
    """

    def __init__(self, world: World, name: str, number: int, node: Node, *, every: Ns, count: int = 0) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.node = node
        self.every = every
        self.count = count
        self.sequence = 0
        self.lane = (0, 1)
        self._timer: Timer | None = None
        self._next: Ns = 0

    def start(self) -> None:
        """Begin to send, now; harmless while it sends."""
        if self._timer is None or not self._timer.pending:
            self._next = self.world.env.now
            self._fire()

    def stop(self) -> None:
        """Send no more; what is under way may still arrive."""
        if self._timer is not None:
            self._timer.cancel()

    def booted(self) -> None:
        """Begin anew on a box that came back from a crash: its sockets are gone."""

    def _fire(self) -> None:
        if not self.node.crashed:
            sequence, self.sequence = self.sequence, self.sequence + 1
            self._send(sequence)
        if self.count and self.sequence >= self.count:
            return
        self._next += self.every
        self._timer = self.world.env.at(self._next, self._fire, STEP)

    def _send(self, sequence: int) -> None:
        """Send unit `sequence`."""
        raise NotImplementedError  # every flow has its own

    def unit(self, sequence: int) -> int:
        """Number a unit so that a flow from several nodes numbers each once: `lane` is (place, number of nodes)."""
        place, nodes = self.lane
        return sequence * nodes + place

    def source(self, fd: int) -> str:
        """Return the address that a socket's last datagram left with."""
        name = self.node.request(SocketName(fd=fd))
        return "0.0.0.0" if isinstance(name, Refusal) else ip_str(name[0])

    def stamp(self, sequence: int, size: int) -> bytes:
        """Return a payload of `size` octets that the far end can tell."""
        if size < STAMP.size:
            return bytes(size)
        return STAMP.pack(self.number, sequence, self.world.env.now) + bytes(size - STAMP.size)

    def report_errors(self, fd: int) -> None:
        """Publish the errors that wait on a socket; an error stops no application."""
        errors = self.node.request(TakeErrors(fd=fd))
        if isinstance(errors, Refusal) or FlowError not in self.world.bus.wanted:
            return
        for error in errors:
            source = ip_str(error.offender) if error.offender else ""
            self.world.bus.publish(
                FlowError(
                    self.world.env.now,
                    self.name,
                    self.node.name,
                    self.unit(self.sequence - 1),
                    NAMES[error.errno],
                    source,
                )
            )

    def refused(self, sequence: int, refusal: Refusal) -> None:
        """Publish that the kernel refused to send a unit."""
        if FlowError in self.world.bus.wanted:
            self.world.bus.publish(FlowError(self.world.env.now, self.name, self.node.name, sequence, refusal.name, ""))
