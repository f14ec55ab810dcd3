"""What is behind a TAP device that the person made: a virtual machine, another program, the machine itself.

netsim opens the device and carries its frames. It gives it no address and runs no command: all that is the person's.
Needs no root where the device belongs to the user (`ip tuntap add tap0 mode tap user me`).
Source: Documentation/networking/tuntap.rst; include/uapi/linux/if_tun.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from struct import Struct
from typing import TypeVar, cast

from netsim.errors import Skipped
from netsim.kernel.box import NoTimers, Ports
from netsim.kernel.world import KernelWorld
from netsim.shell.tool import CommandResult
from netsim.sim.node import Node
from netsim.stack.netns import Netns
from netsim.stack.outbox import FrameOut, Outbox
from netsim.stack.profile import Profile
from netsim.stack.requests import DONE, Request
from netsim.trace.records import CommandRun, Dropped
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.frame import Frame

TUNSETIFF = 0x400454CA
TUNSETCARRIER = 0x400454E2
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
LONGEST_FRAME = 1 << 16
_IFREQ = Struct("16sH22x")
_INT = Struct("i")

T = TypeVar("T")


def open_tap(name: str) -> int:
    """Open a TAP device that exists; return its descriptor. Raises Skipped in words that say what to do."""
    if name not in (known for _, known in socket.if_nameindex()):  # to open one that is not there would make it
        raise Skipped(f"there is no TAP device {name}: ip tuntap add {name} mode tap user $USER; ip link set {name} up")
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Skipped(f"/dev/net/tun: {error.strerror}") from error
    try:
        fcntl.ioctl(fd, TUNSETIFF, _IFREQ.pack(name.encode(), IFF_TAP | IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        raise Skipped(f"{name} cannot be opened: {error.strerror}") from error
    return fd


class TapPort:
    """The device as the world asks for it."""

    __slots__ = ("carrier", "link_header")

    def __init__(self) -> None:
        self.carrier = True
        self.link_header = True


class TapBox:
    """Answers the port of `stack.Netns`: frames and carriers pass, set-up is the person's own and taken as done."""

    def __init__(self, name: str, tap: str, dev: str, world: KernelWorld) -> None:
        self.outbox = Outbox(world.bus.wanted)
        self.interfaces: Ports[TapPort] = Ports()
        self.interfaces.by_name[dev] = TapPort()
        self.timers = NoTimers()
        self.name = name
        self._tap = tap
        self._dev = dev
        self._world = world
        self._gone = False
        self._fd = open_tap(tap)
        world.reactor.add(self._fd, self._news)

    def _news(self, _mask: int) -> None:
        """Hand over every frame that came out of the device."""
        while True:
            try:
                octets = os.read(self._fd, LONGEST_FRAME)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                return
            self._world.came(time.time_ns(), self, FrameOut(self._dev, octets, 0, False, True))

    def receive(self, device: str, frame: Frame, *, now: Ns) -> None:
        """Let a frame out of the device; one that is down takes none, and what is no Ethernet frame is taken by none.

        The node's other interfaces, which the topology may have, lead nowhere.
        """
        if device != self._dev:
            self._drop(drop.DEV_READY, device, frame, now)
            return
        try:
            os.write(self._fd, frame.octets)
        except OSError as error:
            self._failed(error)
            self._drop(drop.HDR_TRUNC if error.errno == errno.EINVAL else drop.DEV_READY, device, frame, now)

    def _drop(self, reason: str, device: str, frame: Frame, now: Ns) -> None:
        if Dropped in self.outbox.wants:
            self.outbox.records.append(Dropped(now, self.name, device, reason, frame.uid, frame.octets))

    def _failed(self, error: OSError) -> None:
        """Take what the device refuses: one that is down tells again when it is up, one that is gone ends the run."""
        if error.errno == errno.EBADFD and not self._gone:
            self._gone = True
            self._world.reactor.remove(self._fd)
            self._world.fail(f"{self._tap} was removed")
        elif error.errno not in (errno.EIO, errno.EAGAIN, errno.EBADFD, errno.EINVAL):
            raise error

    def request(self, req: Request[T], *, now: Ns) -> T:
        """Take a request of the set-up as done."""
        return cast("T", DONE)

    def carrier(self, device: str, up: bool, *, now: Ns) -> None:
        """Give the device its carrier, or take it."""
        port = self.interfaces.named(device)
        if port is None:
            return
        port.carrier = up
        try:
            fcntl.ioctl(self._fd, TUNSETCARRIER, _INT.pack(int(up)))
        except OSError as error:
            self._failed(error)

    def tick(self, *, now: Ns) -> None:
        """Do nothing: there are no timers of ours behind a tap."""

    def next_deadline(self) -> Ns | None:
        """Return None."""
        return None

    def held(self) -> int:
        """Return 0: nothing waits here."""
        return 0

    def abandon(self, reason: str, *, now: Ns) -> None:
        """Do nothing: what is behind the tap has its own power."""

    def settled(self) -> bool:
        """Return True: nobody here waits for carriers."""
        return True

    def close(self) -> None:
        """Let go of the device, which stays."""
        self._world.reactor.remove(self._fd)
        os.close(self._fd)


class TapNode(Node):
    """A node that is whatever is behind a tap."""

    def __init__(self, world: KernelWorld, name: str, profile: Profile, tap: TapBox) -> None:
        self._tap = tap
        world.owners[tap] = self
        super().__init__(world, name, profile)

    def _new_box(self) -> Netns:
        return cast("Netns", self._tap)  # it has the port of a box, which is all that nodes and links use

    def sh(self, line: str) -> CommandResult:
        """Refuse a command line, and record that: there is no shell of ours."""
        result = CommandResult("", f"netsim: {self.name} is behind a tap: its commands are yours to run\n", 255)
        if CommandRun in self.world.bus.wanted:
            now = self.world.env.now
            self.world.bus.publish(CommandRun(now, self.name, line, result.rc, result.stdout, result.stderr))
        return result

    def set_up(self, line: str) -> CommandResult:
        """Take a set-up line as done: the device is the person's."""
        return CommandResult("", "", 0)

    def boot(self) -> Ns:
        """Let frames pass again."""
        self.silent = self.crashed = False
        return self.world.env.now
