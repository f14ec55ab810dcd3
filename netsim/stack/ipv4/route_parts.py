"""What both lineages of routing hold, and how they tell of their decisions."""

from __future__ import annotations

from typing import Protocol

from netsim.stack.device import Device
from netsim.stack.errno import Refusal
from netsim.stack.fib import Fib
from netsim.stack.fib.explain import Story, record
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.ports import NeighHolds, NeighView
from netsim.stack.requests import Done, NewNeigh
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.trace.records import RouteLookup
from netsim.units import Ns


class Neighbours(NeighView, NeighHolds, Protocol):
    """The neighbour room as routing sees it: states, references, and resolution of a redirect's new gateway."""

    def new(self, req: NewNeigh, *, now: Ns) -> Done | Refusal:
        """Make or use an entry."""
        ...


class Parts:
    """The collaborators of one box's routing."""

    __slots__ = ("fib", "interfaces", "neigh", "node", "outbox", "sysctl")

    def __init__(
        self, node: str, fib: Fib, interfaces: Interfaces, neigh: Neighbours, outbox: Outbox, sysctl: Sysctl
    ) -> None:
        self.node = node
        self.fib = fib
        self.interfaces = interfaces
        self.neigh = neigh
        self.outbox = outbox
        self.sysctl = sysctl

    def story(self) -> Story | None:
        """Return a sheet to write a decision on, if anybody wants to read it."""
        return Story() if RouteLookup in self.outbox.wants else None

    def tell(
        self, story: Story | None, kind: str, flow: FlowKey, dev: Device | None, result: FibResult | Miss, now: Ns,
        skb: Skb | None, errno: int,
    ) -> None:  # fmt: skip
        """Write the outcome down, and record the decision."""
        if story is None:
            return
        story.flow, story.result = flow, result
        if RouteLookup in self.outbox.wants:
            self.outbox.records.append(
                record(
                    story, self.node, kind, flow, dev.name if dev is not None else "", result, self.interfaces, now,
                    skb.uid if skb is not None else 0, errno,
                )
            )  # fmt: skip
