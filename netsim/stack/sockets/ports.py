"""What sockets need from the path below them; netns.py hands it in."""

from __future__ import annotations

from typing import Any, Protocol

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import Route
from netsim.stack.requests import Send
from netsim.stack.skb import Skb
from netsim.units import Ns


class Sender(Protocol):
    """The output side of IPv4."""

    def build(
        self, route: Route, saddr: Ip, daddr: Ip, proto: int, payload: bytes, *,
        tos: int = 0, ttl: int = 0, df: bool = False, ident: int | None = None, parent: int = 0,
    ) -> Skb:  # fmt: skip
        """Make a packet of this box with its route attached."""
        ...

    def send(self, skb: Skb, *, now: Ns) -> int:
        """Send it through LOCAL_OUT and on; answers an errno, 0 when nobody objected."""
        ...


class Memory(Protocol):
    """Who remembers how a socket's datagrams leave (ipv4/memory.py)."""

    settled: bool

    def emit(self, sock: Any, req: Send, now: Ns) -> bool:  # Any: a DatagramSocket, which imports this
        """Send by rote; False, and nothing done, when no way is known."""
        ...

    def watch_out(self, sock: Any, req: Send) -> object | None:  # Any: as above
        """Return what the packet carries as `skb.trail` on its whole way."""
        ...


class Errors(Protocol):
    """Who answers senders with ICMP errors."""

    def send(self, skb: Skb, icmp_type: int, code: int, *, now: Ns, info: int = 0) -> None:
        """Mirror icmp_send()."""
        ...


class Confirmation(Protocol):
    """Who takes proof that a neighbour is alive."""

    def confirm(self, dev: Device, ip: Ip, *, now: Ns) -> None:
        """Note forward progress through this neighbour."""
        ...


class Endings(Protocol):
    """How a received packet ends in a socket."""

    def drop(self, skb: Skb, reason: str, *, now: Ns, detail: str = "") -> None:
        """End it with a reason."""
        ...

    def consumed(self, skb: Skb, *, now: Ns) -> None:
        """End it well."""
        ...
