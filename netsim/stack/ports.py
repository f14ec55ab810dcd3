"""The small Protocols through which siblings inside the box meet; netns.py hands the real ones in.

A room asks only for what it names here, so that its tests can pass a few lines of fake.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import Refused, Route
from netsim.stack.skb import Skb
from netsim.units import Ns


class Rng(Protocol):
    """The draws a box may make; random.Random fits. The owner derives it from the seed and the node's name."""

    def random(self) -> float:
        """Return a float in [0, 1)."""
        ...

    def randrange(self, start: int, stop: int, /) -> int:
        """Return an int in [start, stop)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return an int of k random bits."""
        ...


class NeighView(Protocol):
    """What the FIB may know of neighbours."""

    def state(self, dev: Device, ip: Ip) -> int:
        """Return the raw NUD state of an entry, NUD_NONE (0) when there is none; never refreshes anything."""
        ...

    def exists(self, dev: Device, ip: Ip) -> bool:
        """Tell whether there is an entry at all."""
        ...


class NeighHolds(Protocol):
    """How the route cache of 2.2 and 2.4 binds its routes to neighbours, so that no scan collects one in use."""

    def hold(self, route: Route, nexthop: Ip, *, now: Ns) -> bool:
        """Mirror arp_bind_neighbour() as a unicast or output route enters the cache: set `route.neigh`.

        False: the neighbour table is full (ENOBUFS), the route may not be cached.
        """
        ...

    def release(self, route: Route) -> None:
        """Let go as the route leaves the cache; harmless for a route that holds nothing."""
        ...


class Routing(Protocol):
    """The routing questions of ARP, netfilter, ICMP and sockets, answered by ipv4/route.py."""

    @property
    def generation(self) -> int:
        """Count of every change that may alter an answer."""
        ...

    def input(
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, *, now: Ns, mark: int = 0, lsrc: Ip = 0,
        skb: Skb | None = None,
    ) -> Route | Refused:  # fmt: skip
        """Mirror ip_route_input(): what to do with a packet that came in by `dev`. `skb` gives ports for policy 1."""
        ...

    def output(
        self, daddr: Ip, *, now: Ns, saddr: Ip = 0, tos: int = 0, oif: Device | None = None, mark: int = 0, gw: Ip = 0,
        proto: int = 0, sport: int = 0, dport: int = 0, onlink: bool = False, anysrc: bool = False,
    ) -> Route | Refused:  # fmt: skip
        """Mirror ip_route_output_key(): how a packet of this box leaves."""
        ...

    def address_type(self, ip: Ip, dev: Device | None = None) -> int:
        """Mirror inet_addr_type(): RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST or RTN_UNICAST."""
        ...


class Exit(Protocol):
    """Where packets leave a room: to a device, or for good."""

    def transmit(
        self, dev: Device, octets: bytes, *, now: Ns, parent: int = 0, bad: bool = False, through: int = 0
    ) -> None:
        """Hand a whole link frame (or a bare IP packet on a device without link header) to the device.

        `through` is the uid of the received frame that goes on in it, 0 for what was made here.
        """
        ...

    def loop(self, skb: Skb, *, now: Ns) -> None:
        """Send a packet to lo: it comes back with its route, mark and connection, as loopback_xmit() leaves them."""
        ...

    def drop(self, skb: Skb, reason: str, *, now: Ns, detail: str = "") -> None:
        """End a packet with its reason (a name of wire/drop.py)."""
        ...


class LinkFailure(Protocol):
    """What the neighbour table reports about packets that waited in vain."""

    def link_failure(self, skb: Skb, *, now: Ns) -> None:
        """Mirror ipv4_link_failure() for one queued packet: ICMP host unreachable, and its route expires."""
        ...


class IcmpSender(Protocol):
    """Who makes ICMP errors (REJECT, and the failures above)."""

    def send(self, skb: Skb, icmp_type: int, code: int, *, now: Ns, info: int = 0) -> None:
        """Mirror icmp_send(): answer `skb`'s sender, subject to the usual filters and limits."""
        ...


class LocalOutput(Protocol):
    """How a room sends a packet it made itself (a TCP reset of REJECT)."""

    def send(self, skb: Skb, *, now: Ns) -> int:
        """Mirror ip_local_out(): LOCAL_OUT hooks, then the attached route's output; answers EPERM or 0."""
        ...
