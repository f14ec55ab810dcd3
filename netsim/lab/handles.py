"""What a person holds of a lab: a node with its shell and netfilter, a link with taps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from netsim.shell.tool import CommandResult
from netsim.sim.callbacks import Callback, adapt, hook_number
from netsim.sim.link import Link
from netsim.sim.node import Node
from netsim.sim.tools.script import run_line, takes_time
from netsim.units import Ns
from netsim.wire.frame import Frame

PacketTap: TypeAlias = Callable[[Ns, Any], object]
"""tap(t, packet): the scapy packet of each frame as it leaves its sender."""


class LabNetfilter:
    """A node's netfilter, for callbacks in Python."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def register(self, hook: str, callback: Callback, priority: int = 0) -> Any:  # Any: netfilter's handle
        """Call `callback(packet, ctx)` at a hook ("PREROUTING", "FORWARD" ...) in the kernel's order of priorities.

        The callback returns ACCEPT, DROP or the edited packet, and may not call the box it runs in. Returns a handle
        for `unregister`.
        """
        number = hook_number(hook)
        return self._node.box.netfilter.register(
            number, priority, adapt(self._node.name, hook, callback, self._node.world.bus)
        )

    def unregister(self, handle: Any) -> None:  # Any: netfilter's handle
        """Take a callback away."""
        self._node.box.netfilter.unregister(handle)


@dataclass(frozen=True, slots=True)
class LabNode:
    """One box of a lab."""

    node: Node

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def netfilter(self) -> LabNetfilter:
        """Its netfilter, for callbacks."""
        return LabNetfilter(self.node)

    def sh(self, line: str) -> CommandResult:
        """Run a Linux command line, now; refusals are in the answer.

        The clock goes on until a command that takes time (ping, arping, traceroute) is through.
        """
        if not takes_time(line):
            return self.node.sh(line)
        env = self.node.world.env
        story = env.process(run_line(self.node, line))
        while not story.processed:
            env.step()
        return cast("CommandResult", story.value)


@dataclass(frozen=True, slots=True)
class LabLink:
    """One link of a lab."""

    link: Link

    def tap(self, tap: PacketTap) -> None:
        """Call `tap(t, packet)` with the scapy packet of each frame that is sent over the link."""
        self.link.taps.append(lambda t, frame: _show(tap, t, frame))

    def tap_frames(self, tap: Callable[[Ns, Frame], None]) -> None:
        """Call `tap(t, frame)` with the frames themselves: octets, without the cost of scapy."""
        self.link.taps.append(tap)


def _show(tap: PacketTap, t: Ns, frame: Frame) -> None:
    tap(t, frame.scapy)
