"""The answer to a routing question, attached to a packet: struct rtable / dst_entry.

Source: include/net/route.h, include/uapi/linux/in_route.h, include/uapi/linux/rtnetlink.h.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.metrics import NO_METRICS, RTAX_ADVMSS, RTAX_MTU, Metrics

RTN_UNSPEC = 0
RTN_UNICAST = 1
RTN_LOCAL = 2
RTN_BROADCAST = 3
RTN_ANYCAST = 4
RTN_MULTICAST = 5
RTN_BLACKHOLE = 6
RTN_UNREACHABLE = 7
RTN_PROHIBIT = 8
RTN_THROW = 9
RTN_NAT = 10

RTCF_DOREDIRECT = 0x01000000
RTCF_DIRECTSRC = 0x04000000
RTCF_BROADCAST = 0x10000000
RTCF_MULTICAST = 0x20000000
RTCF_REJECT = 0x40000000
RTCF_LOCAL = 0x80000000
RTCF_REDIRECTED = 0x00040000
RTCF_MASQ = 0x00400000
"""By an ip rule that says `nat 0`: forwarding masquerades (2.2)."""

RT_TABLE_DEFAULT = 253
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255


class Route:
    """One usable answer.

    `kind` RTN_UNICAST forwards or sends, RTN_LOCAL and RTN_BROADCAST deliver here, any other kind with `error` (a
    positive errno) makes ip_error() answer. `gateway` is 0 for a direct route; `src` is the preferred source (output)
    or spec_dst, the address a reply would use (input). `mtu` 0 means the device's. `generation` is the FIB's count when
    this was decided: a holder drops the route when the count moved on. `expires` (Ns, 0 never) and `redirect_to`,
    `pmtu` hold what ICMP taught about this destination. `steady` tells that the same question has the same answer until
    the generation moves: no clock, no neighbour and no memory had a say.
    """

    __slots__ = (
        "advmss", "dev", "error", "expires", "flags", "gateway", "generation", "iif", "kind", "metrics", "mtu",
        "mtu_locked", "neigh", "prefixlen", "rule", "scope", "src", "steady", "table", "tos",
    )  # fmt: skip

    def __init__(
        self, kind: int, dev: Device, gateway: Ip, src: Ip, flags: int, generation: int, error: int = 0
    ) -> None:
        self.kind = kind
        self.dev = dev
        self.gateway = gateway
        self.src = src
        self.flags = flags
        self.generation = generation
        self.error = error
        self.iif: Device | None = None
        self.scope = 0
        self.mtu = 0
        self.mtu_locked = False
        self.advmss = 0
        self.metrics = NO_METRICS
        self.expires = 0
        self.table = 0
        self.rule = -1
        self.prefixlen = 0
        self.steady = False
        self.tos = 0
        self.neigh: object = None  # the neighbour entry bound to this route, the neigh room's to use

    def take(self, metrics: Metrics) -> None:
        """Take the metrics of the table's route. Mirrors dst_init_metrics()."""
        self.metrics = metrics
        self.mtu, self.advmss = metrics[RTAX_MTU], metrics[RTAX_ADVMSS]
        self.mtu_locked = metrics.lock(RTAX_MTU)

    def nexthop(self, daddr: Ip) -> Ip:
        """Return the address to resolve: the gateway, or the destination itself on-link."""
        return self.gateway or daddr


class Refused:
    """A lookup that ends the packet in silence: a martian, a reverse-path failure, no forwarding.

    `errno` is what ip_route_input() or ip_route_output() returns (positive), `reason` the drop reason's name.
    """

    __slots__ = ("errno", "reason")

    def __init__(self, errno: int, reason: str) -> None:
        self.errno = errno
        self.reason = reason
