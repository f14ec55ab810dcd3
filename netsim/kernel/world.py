"""The world of kernel boxes: the emulator's links, applications and timeline, on the real clock.

`pump` is the heart: it waits for the next step of the timeline or for news from the kernel, whichever is first, moves
the world's clock to the instant that the news is stamped with, and lets things happen. How late that was is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from netsim.kernel.box import KernelBox, RealBox
from netsim.kernel.fabric import Fabric
from netsim.kernel.lateness import Lateness
from netsim.kernel.program import Program
from netsim.kernel.reactor import Reactor
from netsim.kernel.ticks import Ticks, read_ticks
from netsim.kernel.watch import Watcher
from netsim.seeds import Seed
from netsim.shell.tool import CommandResult
from netsim.sim.clock import STEP
from netsim.sim.node import NO_POWER, Node
from netsim.sim.world import World
from netsim.stack.netns import Netns
from netsim.stack.outbox import FrameOut
from netsim.stack.profile import Profile
from netsim.trace.records import CommandRun
from netsim.units import NS_PER_MS, NS_PER_S, Ns

PATIENCE: Ns = 20 * NS_PER_S
"""How long a command may run; then it is ended, as nothing in a scenario waits longer."""


class KernelNode(Node):
    """A node whose box is the kernel's."""

    world: KernelWorld

    def _new_box(self) -> Netns:
        self.kernel = KernelBox(
            self.name, fabric=self.world.fabric, reactor=self.world.reactor, wants=self.world.bus.wanted,
            came=self.world.came,
        )  # fmt: skip
        self.world.owners[self.kernel] = self
        watcher = self.world.watchers[self.name] = Watcher(self.kernel, self.world.reactor, self.world.clock)
        if self.world.started:
            watcher.begin()
        return cast("Netns", self.kernel)  # it has the port of a box, which is all that nodes and links use

    def sh(self, line: str) -> CommandResult:
        """Run a command line in the namespace and record it; the world goes on meanwhile.

        A crashed node answers nothing, though its namespace is there until it boots.
        """
        now = self.world.env.now
        if self.crashed:
            result = NO_POWER
        else:
            program = self.kernel.begin(line)
            self.world.finish(program)
            result = program.result
        if CommandRun in self.world.bus.wanted:
            self.world.bus.publish(CommandRun(now, self.name, line, result.rc, result.stdout, result.stderr))
        return result

    def set_up(self, line: str) -> CommandResult:
        """Run a set-up line, before the clock starts."""
        return self.kernel.set_up(line)

    def boot(self) -> Ns:
        """Take a new, empty namespace in place of the crashed one."""
        self._forget()
        self.box = self._new_box()
        self.silent = self.crashed = False
        self._timer = None
        return self.world.env.now

    def _forget(self) -> None:
        self.world.watchers.pop(self.name).close()
        self.world.owners.pop(self.kernel)
        self.kernel.close()

    def close(self) -> None:
        """Let the namespace go."""
        self._forget()


class KernelWorld(World):
    """A world whose boxes are the kernel's. `close` it, whatever happened.

    `ended` set lets `pump` return before its instant: what the run is for has come to its end. `fault` is a sentence
    when it ended so because something outside went wrong.
    """

    def __init__(self, seed: Seed, lateness: Lateness | None = None) -> None:
        super().__init__(seed)
        self.lateness = lateness or Lateness()
        self.ended = False
        self.fault = ""
        self.reactor = Reactor()
        self.fabric = Fabric(self.reactor)
        self.owners: dict[RealBox, Node] = {}
        self.watchers: dict[str, Watcher] = {}
        self.ticks: Ticks | None = None
        self._arrived: list[tuple[int, RealBox, FrameOut]] = []
        self._origin = 0

    def add_node(self, name: str, profile: Profile) -> Node:
        """Put a kernel box into the world."""
        node = self.nodes[name] = KernelNode(self, name, profile)
        return node

    def came(self, stamp: int, box: RealBox, frame: FrameOut) -> None:
        """Take a frame that left an interface."""
        self._arrived.append((stamp, box, frame))

    def held(self) -> int | None:
        """Return None: what the kernel holds is not told."""
        return None

    def holdings(self) -> None:
        """Return None: nor is what its tables hold."""

    # Time

    def start(self) -> None:
        """Let the clock run from now on, unless it does: until here it stood at 0, as it does for the emulator."""
        if not self._origin:
            self._settle()
            ticks = read_ticks()
            self._origin = time.time_ns() - self.env.now
            self.ticks = None if ticks is None else ticks.since(self._origin)
            for watcher in self.watchers.values():
                watcher.begin()

    def _settle(self) -> None:
        """Wait until every interface has heard of its carrier: the kernel tells of carriers once a second."""
        deadline = time.monotonic() + PATIENCE / NS_PER_S
        while time.monotonic() < deadline and not all(box.settled() for box in self.owners):
            time.sleep(0.05)

    @property
    def started(self) -> bool:
        """Whether the clock runs."""
        return bool(self._origin)

    def clock(self) -> Ns:
        """Return how long the world has been running."""
        return time.time_ns() - self._origin if self._origin else 0

    def pump(self, until: Ns) -> None:
        """Let the world run until an instant, or until it has `ended`."""
        env = self.env
        while not self.ended and (now := self.clock()) < until:
            due = min(env.peek(), self._next_look(now), until)
            self.reactor.poll(int(due) - now)
            self._deliver(self._everything)
            now = min(self.clock(), until)
            self._everything(now)
            self._look(now)
            self._judge()
        self._deliver(self._everything)
        if not self.ended:
            self._everything(until)
        self._judge()

    def _judge(self) -> None:
        """End a run that is further behind the clock than it may be."""
        if self.lateness.exceeded:
            self.fail(self.lateness.exceeded)

    def fail(self, what: str) -> None:
        """End the run: what it would measure from now on is not what was asked."""
        self.fault = self.fault or what
        self.ended = True

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the wires go on until something is done, within a step of the timeline, which waits: PATIENCE at most."""
        started = self.clock()
        while not done() and self.clock() < started + PATIENCE:
            self.reactor.poll(NS_PER_MS)
            self._deliver(self._wires)
            self._wires(self.clock())
            self._look(self.clock())

    def _everything(self, until: Ns) -> None:
        """Let everything happen up to an instant."""
        self._note(self.env.peek(), until)
        self.env.run_to(max(self.env.now, until))

    def _wires(self, until: Ns) -> None:
        """Let everything but steps happen up to an instant."""
        self._note(min((each[0] for each in self.env.heap if each[1] < STEP), default=until + 1), until)
        self.env.run_before(max(self.env.now, until), STEP)

    def _note(self, due: float, until: Ns) -> None:
        """Count how late what is due first is by the real clock, where it happens now: a stalled loop stalls ours."""
        if due <= until:
            now = self.clock()
            self.lateness.note(now - int(due), now)

    def _deliver(self, run_to: Callable[[Ns], None]) -> None:
        """Hand on what the kernel's boxes sent and what their sockets have to tell, in order of stamps."""
        arrived, self._arrived = self._arrived, []
        arrived.sort(key=lambda each: each[0])
        for stamp, box, frame in arrived:
            at = stamp - self._origin
            if at > 0:  # what came before the clock started is handled at its start, as in time
                self._note(at, at)
            run_to(at)
            node = self.owners.get(box)
            if node is not None:
                box.outbox.frames.append(frame)
                node.drain()
        for box, node in list(self.owners.items()):
            if box.outbox.wakes or box.outbox.records:
                node.drain()

    def _next_look(self, now: Ns) -> Ns:
        return min((watcher.next_look for watcher in self.watchers.values()), default=now + NS_PER_S)

    def _look(self, now: Ns) -> None:
        """Look at neighbours where it is time to."""
        for name, watcher in list(self.watchers.items()):
            if watcher.next_look <= now:
                watcher.look(now=self.clock())
                self.nodes[name].drain()

    def finish(self, program: Program) -> None:
        """Let the world go on until a program has ended; one that tries our patience is ended."""
        self.wait(lambda: program.status is not None)
        if program.status is None:
            program.close()

    def close(self) -> None:
        """Let go of every namespace."""
        for node in self.nodes.values():
            if isinstance(node, KernelNode):
                node.close()
        self.fabric.close()
        self.reactor.close()
