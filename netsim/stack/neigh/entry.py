"""What is known of one neighbour, and a cached route's grip on it.

Source: struct neighbour, include/net/neighbour.h; struct dst_entry of 2.4 (neighbour, hh).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from netsim.addr import Ip, Mac, ip_str
from netsim.stack.device import Device
from netsim.stack.nud_states import NAMES, NUD_CONNECTED, NUD_NONE
from netsim.stack.skb import Skb
from netsim.stack.sysctl import NeighParms
from netsim.stack.timers import Callback, Timer
from netsim.units import Ns
from netsim.wire.ether import PROTO_IP


class Hold:
    """A cached route's reference to its neighbour (2.2, 2.4): struct dst_entry's `neighbour` and `hh`.

    `users` counts the route cache and each queued packet that came by the route; `cached` tells whether the route has
    its link header, so that its packets go out without the entry being touched.
    """

    __slots__ = ("cached", "entry", "users")

    def __init__(self, entry: Neighbour) -> None:
        self.entry = entry
        self.users = 1
        self.cached = False


class Waiting(NamedTuple):
    """One unresolved packet; `hold` is its route's (2.2, 2.4) or None."""

    skb: Skb
    hold: Hold | None


class Neighbour:
    """One entry (struct neighbour). Only machine.py writes to it, and table.py while making it.

    `header` is the link header of the fast path: set while the state is CONNECTED and the header is `cached` on the
    entry, None otherwise. `lladdr` stays when the state is no longer VALID. `probes` counts solicitations. `updated` is
    the last change of state or address, `used` the last packet of the slow path, `confirmed` the last proof, all Ns.
    `holds` counts cached routes; `dead` entries are off the table and wait for the last of them.
    """

    __slots__ = (
        "cached", "confirmed", "dead", "dev", "extern_learn", "header", "holds", "ip", "lladdr", "managed", "on_timer",
        "parms", "probes", "queue", "queue_octets", "state", "timer", "updated", "used",
    )  # fmt: skip

    def __init__(self, dev: Device, ip: Ip, now: Ns, on_timer: Callable[[Neighbour, Ns], None]) -> None:
        self.dev = dev
        self.ip = ip
        self.parms: NeighParms = dev.neigh
        self.state = NUD_NONE
        self.lladdr: Mac = b""
        self.cached = False
        self.header: bytes | None = None
        self.used = self.updated = now
        self.confirmed = now - 2 * self.parms.base_reachable_time
        self.probes = 0
        self.queue: deque[Waiting] = deque()
        self.queue_octets = 0
        self.timer: Timer | None = None
        self.on_timer: Callback = lambda at: on_timer(self, at)
        self.holds = 0
        self.dead = False
        self.managed = False
        self.extern_learn = False

    @property
    def timed(self) -> bool:
        """Whether the entry's timer is armed."""
        return self.timer is not None and self.timer.pending

    @property
    def referenced(self) -> bool:
        """Whether anything but the table refers to it: a cached route, a packet's route, its own timer."""
        return self.holds > 0 or self.timed

    def refresh_header(self) -> None:
        """Make `header` follow the state, the address and `cached`."""
        if not (self.cached and self.state & NUD_CONNECTED):
            self.header = None
        elif self.dev.link_header:
            self.header = self.link_header()
        else:
            self.header = b""

    def link_header(self) -> bytes:
        """Return the 14 octets in front of an IP packet to this neighbour."""
        return self.lladdr + self.dev.mac + PROTO_IP

    def __repr__(self) -> str:
        return f"<Neighbour {ip_str(self.ip)} dev {self.dev.name} {NAMES[self.state]} probes {self.probes}>"
