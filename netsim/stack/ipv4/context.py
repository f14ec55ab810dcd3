"""What every step of the IPv4 path may reach: the rooms beside it and the steps themselves, wired once by netns.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from netsim.stack.device import Device
from netsim.stack.dst import Route
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, Rng, Routing
from netsim.stack.profile.ip import IpEra
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.ipv4.forward import Forward
    from netsim.stack.ipv4.fragment import Reassembly
    from netsim.stack.ipv4.icmp import Icmp
    from netsim.stack.ipv4.input import Input
    from netsim.stack.ipv4.memory import FlowMemory
    from netsim.stack.ipv4.output import Output


class Hooks(Protocol):
    """The netfilter room as the packet path sees it."""

    idle: list[bool]

    def run(self, hook: int, skb: Skb, indev: Device | None, outdev: Device | None, *, now: Ns) -> int:
        """Walk a hook; NF_DROP 0, NF_ACCEPT 1, NF_STOLEN 2."""
        ...

    def attach(self, new: Skb, old: Skb) -> None:
        """Tie an answer to the connection of the packet it answers."""
        ...


class Neighbours(Protocol):
    """The neighbour room as the packet path sees it."""

    def output(self, skb: Skb, dev: Device, nexthop: int, *, now: Ns) -> None:
        """Resolve, send, queue or drop."""
        ...


class Delivery(Protocol):
    """The sockets room as the packet path sees it."""

    def deliver_raw(self, skb: Skb, *, now: Ns) -> bool:
        """Copy a packet to raw sockets; tell whether any took it."""
        ...

    def deliver_udp(self, skb: Skb, *, now: Ns) -> bool:
        """Deliver a datagram; False when no socket listens."""
        ...

    def deliver_tcp(self, skb: Skb, *, now: Ns) -> None:
        """Deliver a segment, answering RST where no socket takes it."""
        ...

    def deliver_echo_reply(self, skb: Skb, *, now: Ns) -> bool:
        """Deliver an echo reply to a ping socket."""
        ...

    def icmp_error(self, skb: Skb, icmp_type: int, code: int, info: int, inner: bytes, *, now: Ns) -> None:
        """Tell the socket that sent `inner` about an ICMP error."""
        ...


class PathMtu(Protocol):
    """What ICMP teaches routing."""

    def learn_pmtu(self, daddr: int, saddr: int, mtu: int, *, now: Ns) -> None:
        """Remember a path MTU."""
        ...

    def learn_redirect(
        self, old_gateway: int, daddr: int, saddr: int, dev: Device, new_gateway: int, *, now: Ns
    ) -> None:
        """Consider a redirect."""
        ...

    def link_failed(self, route: Route, *, now: Ns) -> None:
        """Expire a route whose neighbour did not answer."""
        ...


class Ipv4Context:
    """The collaborators of one box's IPv4 path; attributes are set by netns.py before the first packet."""

    node: str
    era: IpEra
    interfaces: Interfaces
    sysctl: Sysctl
    timers: Timers
    outbox: Outbox
    rng: Rng
    exit: Exit
    routing: Routing
    lessons: PathMtu
    neigh: Neighbours
    hooks: Hooks
    sockets: Delivery
    input: Input
    forward: Forward
    output: Output
    icmp: Icmp
    reassembly: Reassembly
    memory: FlowMemory
