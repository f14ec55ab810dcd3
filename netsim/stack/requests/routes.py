"""Requests about routes and the route cache: what `ip route` sends. Source: rtnetlink RTM_NEWROUTE, RTM_GETROUTE."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip, Prefix
from netsim.stack.metrics import NO_METRICS, Metrics
from netsim.stack.requests.base import RTPROT_BOOT, Done, Request
from netsim.units import Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class NexthopSpec:
    """One path as asked for: `via` 0 none, `dev` "" none, `weight` 1..256, `flags` RTNH_F_ONLINK or 0."""

    via: Ip = 0
    dev: str = ""
    weight: int = 1
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoute(Request[Done]):
    """Add, append, prepend, replace or change a route, told apart by `flags` (NLM_F_) as rtnetlink does.

    add CREATE|EXCL, append CREATE|APPEND, prepend CREATE, replace CREATE|REPLACE, change REPLACE, test EXCL.
    `scope` is final: the tool has filled it in. `nexthops` is empty for error types, has one member for a plain route,
    more for a multipath one; `multipath` tells whether the `nexthop` keyword was used (a one-path multipath is legal).
    """

    flags: int
    dst: Prefix
    table: int = 254
    tos: int = 0
    metric: int = 0
    scope: int = 0
    protocol: int = RTPROT_BOOT
    kind: int = 1
    prefsrc: Ip = 0
    nexthops: tuple[NexthopSpec, ...] = ()
    multipath: bool = False
    outer: NexthopSpec | None = None
    metrics: Metrics = NO_METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class DelRoute(Request[Done]):
    """Delete the first route that matches every field given; None or 0 means any. `scope` 255 is the wildcard.

    `metrics_given` are the RTAX_ numbers of the metrics that count.
    """

    dst: Prefix
    table: int = 254
    tos: int = 0
    metric: int | None = None
    scope: int = 255
    protocol: int = 0
    kind: int = 0
    prefsrc: Ip = 0
    nexthops: tuple[NexthopSpec, ...] = ()
    multipath: bool = False
    metrics: Metrics = NO_METRICS
    metrics_given: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NexthopInfo:
    """One path of a listed route; `flags` RTNH_F_ bits. `suspect`, `credit` are the 2.4 scheduler's state."""

    via: Ip
    dev: str
    weight: int
    flags: int
    scope: int = 0
    suspect: bool = False
    credit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteInfo:
    """One listed route."""

    dst: Prefix
    table: int
    tos: int
    metric: int
    scope: int
    protocol: int
    kind: int
    prefsrc: Ip
    nexthops: tuple[NexthopInfo, ...]
    flags: int = 0
    multipath: bool = False
    metrics: Metrics = NO_METRICS
    memory: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRoutes(Request[tuple[RouteInfo, ...]]):
    """List one table (Refusal when it does not exist), or all with None, in the kernel's dump order."""

    table: int | None = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRoute(Request["RouteAnswer"]):
    """Ask for the route of one packet, `ip route get`. Advances memories as a real lookup does."""

    dst: Ip
    src: Ip = 0
    iif: str = ""
    oif: str = ""
    tos: int = 0
    mark: int = 0
    ipproto: int = 0
    sport: int = 0
    dport: int = 0
    why: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAnswer:
    """What `ip route get` prints; `src_asked` is printed as `from`, `cache` the flag words, times in Ns (0: none)."""

    dst: Ip
    kind: int
    via: Ip
    dev: str
    table: int
    prefsrc: Ip
    src_asked: Ip
    iif: str
    mark: int
    tos: int
    cache: tuple[str, ...]
    expires: Ns = 0
    metrics: Metrics = NO_METRICS
    show_local_table: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRoute:
    """One entry of the 2.2/2.4 route cache or a mainline exception, for `ip route show cache`; ages in Ns."""

    answer: RouteAnswer
    used: int
    age: Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRouteCache(Request[tuple[CachedRoute, ...]]):
    """List the route cache (2.2, 2.4) or nexthop exceptions (mainline)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushRouteCache(Request[Done]):
    """Forget cached routes and exceptions (`ip route flush cache`)."""
