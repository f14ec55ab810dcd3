"""A node: a box on the clock. It delivers frames to the box, carries what comes out to links, bus and applications.

One deadline timer a box, moved only earlier: an entry keeps its own expiry inside the box and the timer is filed again
when it pops early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from netsim.compiled import mypyc_attr
from netsim.shell.dispatch import run as run_shell
from netsim.shell.tool import CommandResult
from netsim.sim.clock import DEADLINE, Timer
from netsim.sim.link import End
from netsim.stack.errno import Refusal
from netsim.stack.netns import Netns
from netsim.stack.outbox import FrameOut
from netsim.stack.profile import Profile
from netsim.stack.requests import Request
from netsim.trace.records import CommandRun, Dropped, FrameDelivered, FrameSent
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    from netsim.sim.world import World

T = TypeVar("T")
Listener = Callable[[str], None]

NO_POWER = CommandResult("", "netsim: the node has crashed: no command runs before it boots\n", 255)
"""What a command on a crashed node answers."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Node:
    """A named box in a world. `silent` and `crashed` let no frame in or out; carriers stay."""

    def __init__(self, world: World, name: str, profile: Profile) -> None:
        self.world = world
        self.name = name
        self.profile = profile
        self.box: Any = self._new_box()  # Any: a kernel's box has the port of a Netns and is none
        self.nics: dict[str, End] = {}
        self.silent = False
        self.crashed = False
        self._boots = 0
        self._timer: Timer | None = None
        self._armed = 0
        self._hear_sent = world.bus.sinks_of(FrameSent)
        self._hear_delivered = world.bus.sinks_of(FrameDelivered)
        self._listeners: dict[int, Listener] = {}
        self._draining = False

    def _new_box(self) -> Any:  # Any: as `box`
        world = self.world
        return Netns(
            self.name, self.profile, world.seed.rng(f"node/{self.name}"), world.bus.wanted, remember=world.remember,
            timers=world.timers(), paired=world.paired,
        )  # fmt: skip

    # Into the box

    def receive(self, end: End, frame: Frame, now: Ns) -> None:
        """Take a frame that arrived at an end."""
        world = self.world
        if self.silent:
            reason = drop.NODE_CRASHED if self.crashed else drop.NODE_SILENT
            if Dropped in world.bus.wanted:
                world.bus.publish(Dropped(now, self.name, end.dev, reason, frame.uid, frame.octets))
            return
        if self._hear_delivered:
            record = FrameDelivered(now, self.name, end.dev, frame, end.link.name)
            for sink in self._hear_delivered:
                sink(record)
        world.hops += 1
        self.box.receive(end.dev, frame, now=now)
        self._let_out(now)

    def inject(self, dev: str, octets: bytes) -> None:
        """Let a frame arrive at a device out of nowhere: a person made it, its checksums are theirs."""
        now = self.world.env.now
        if self.silent:
            if Dropped in self.world.bus.wanted:
                reason = drop.NODE_CRASHED if self.crashed else drop.NODE_SILENT
                self.world.bus.publish(Dropped(now, self.name, dev, reason, 0, octets))
            return
        frame = Frame(octets, self.world.next_uid(), bad=True, link_header=self._link_header(dev))
        if FrameDelivered in self.world.bus.wanted:
            self.world.bus.publish(FrameDelivered(now, self.name, dev, frame, ""))
        self.box.receive(dev, frame, now=now)
        self.drain()

    def _link_header(self, dev: str) -> bool:
        device = self.box.interfaces.named(dev)
        return device is None or device.link_header

    def request(self, req: Request[T]) -> T | Refusal:
        """Carry out a request in the box, now."""
        now = self.world.env.now
        answer: T | Refusal = self.box.request(req, now=now)
        self._let_out(now)
        return answer

    def sh(self, line: str) -> CommandResult:
        """Run a command line on the box and record it; a crashed node answers nothing."""
        now = self.world.env.now
        result = NO_POWER if self.crashed else run_shell(self.box, line, now=now)
        if CommandRun in self.world.bus.wanted:
            self.world.bus.publish(CommandRun(now, self.name, line, result.rc, result.stdout, result.stderr))
        self.drain()
        return result

    def set_up(self, line: str) -> CommandResult:
        """Run a set-up line: no part of what happens in a run, so it is not recorded."""
        result = run_shell(self.box, line, now=self.world.env.now)
        self.drain()
        return result

    def carrier(self, dev: str, up: bool) -> None:
        """Tell the box about a carrier; one without power hears of it when it boots."""
        if self.crashed:
            return
        self.box.carrier(dev, up, now=self.world.env.now)
        self.drain()

    def listen(self, fd: int, listener: Listener) -> None:
        """Call `listener(event)` when a socket has news."""
        self._listeners[fd] = listener

    def unlisten(self, fd: int) -> None:
        """Forget a socket."""
        self._listeners.pop(fd, None)

    # Out of the box

    def _let_out(self, now: Ns) -> None:
        """Empty the outbox; the usual case, one frame and nothing else, without the ceremony."""
        if self._draining:
            return
        outbox = self.box.outbox
        frames = outbox.frames
        usual = len(frames) == 1 and not outbox.records and not outbox.wakes
        if usual and self.box.timers.armed == self._armed:
            self._send(frames.pop(), now)
        else:
            self.drain()

    def drain(self) -> None:
        """Empty the outbox: records to the bus, frames to the links, wake-ups to the applications; then re-arm.

        A listener may make requests, which drain in turn: the outer drain goes on until nothing is left.
        """
        if self._draining:
            return
        self._draining = True
        try:
            outbox = self.box.outbox
            while outbox.records or outbox.frames or outbox.wakes:
                if outbox.records:
                    records, outbox.records = outbox.records, []
                    publish = self.world.bus.publish
                    for record in records:
                        publish(record)
                if outbox.frames:
                    frames, outbox.frames = outbox.frames, []
                    now = self.world.env.now
                    for out in frames:
                        self._send(out, now)
                if outbox.wakes:
                    wakes, outbox.wakes = outbox.wakes, []
                    for wake in wakes:
                        listener = self._listeners.get(wake.fd)
                        if listener is not None:
                            listener(wake.event)
        finally:
            self._draining = False
        if self.box.timers.armed != self._armed:  # nothing else makes the next deadline an earlier one
            self._arm()

    def _send(self, out: FrameOut, now: Ns) -> None:
        """Give a frame to the device's link; without carrier, or silent, it never gets there."""
        world = self.world
        end = self.nics.get(out.dev)
        if end is None or self.silent or not end.link.carrier(end):
            if Dropped in world.bus.wanted:
                reason = drop.NODE_SILENT if self.silent else drop.NO_LINK if end is None else drop.LINK_DOWN
                world.bus.publish(Dropped(now, self.name, out.dev, reason, out.through, out.octets))
            return
        world.uids += 1
        out.uid = world.uids
        if self._hear_sent:
            record = FrameSent(now, self.name, out.dev, out, out.through)
            for sink in self._hear_sent:
                sink(record)
        end.link.send(end, out, now)

    def _arm(self) -> None:
        """File the deadline timer if the box wants to be called earlier than it stands."""
        self._armed = self.box.timers.armed
        at = self.box.next_deadline()
        if at is None or self.crashed:
            return
        timer = self._timer
        if timer is not None and timer.pending:
            if timer.at <= at:
                return
            timer.cancel()
        self._timer = self.world.env.at(max(at, self.world.env.now), self._tick, DEADLINE)

    def _tick(self) -> None:
        """Run what is due; a timer that popped early is filed again by the drain."""
        if self.crashed:
            return
        self.box.tick(now=self.world.env.now)
        self._armed = -1
        self.drain()

    # Failures

    def crash(self) -> None:
        """Lose power: no frame in or out, tables gone. Interfaces and links keep their carriers."""
        self.silent = self.crashed = True
        self.box.abandon(drop.NODE_CRASHED, now=self.world.env.now)
        self.drain()
        if self._timer is not None:
            self._timer.cancel()
        self._armed = -1
        self._listeners.clear()

    def boot(self) -> Ns:
        """Start a new, empty box in place of the crashed one; the caller configures it. Returns the instant."""
        self._boots += 1
        self.box = Netns(
            self.name,
            self.profile,
            self.world.seed.rng(f"node/{self.name}/boot{self._boots}"),
            self.world.bus.wanted,
            now=self.world.env.now,
            remember=self.world.remember,
            timers=self.world.timers(),
            paired=self.world.paired,
        )
        self.silent = self.crashed = False
        self._timer = None
        self._armed = -1
        return self.world.env.now
