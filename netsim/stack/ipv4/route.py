"""The routing of one box: which lineage answers, what `ip route get` and the cache listing show.

Source: net/ipv4/route.c inet_rtm_getroute(), rt_fill_info() (6.x and 2.4).
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import (
    RT_TABLE_MAIN,
    RTCF_BROADCAST,
    RTCF_DIRECTSRC,
    RTCF_DOREDIRECT,
    RTCF_LOCAL,
    RTCF_MULTICAST,
    RTCF_REDIRECTED,
    Refused,
    Route,
)
from netsim.stack.errno import EINVAL, ENODEV, Refusal
from netsim.stack.fib import Fib
from netsim.stack.fib.explain import Story, told
from netsim.stack.fib.flow import FlowKey
from netsim.stack.interfaces import Interfaces
from netsim.stack.ipv4.lessons import CachedLessons, Lessons, MainlineLessons
from netsim.stack.ipv4.route_cached import CachedRouting
from netsim.stack.ipv4.route_mainline import MainlineRouting
from netsim.stack.ipv4.route_parts import Neighbours, Parts
from netsim.stack.metrics import RTAX_MTU, Metrics
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Rng
from netsim.stack.profile.fib import FibEra
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import (
    DONE,
    CachedRoute,
    Done,
    DumpRouteCache,
    FlushRouteCache,
    GetRoute,
    RouteAnswer,
)
from netsim.stack.skb import IPPROTO_UDP, Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns

CACHE_WORDS = (
    (RTCF_LOCAL, "local"), (RTCF_MULTICAST, "mc"), (RTCF_BROADCAST, "brd"), (RTCF_DIRECTSRC, "src-direct"),
    (RTCF_REDIRECTED, "redirected"), (RTCF_DOREDIRECT, "redirect"),
)  # fmt: skip
"""Flag words in the order iproute2 prints them."""


class Engine(Protocol):
    """A lineage's routing."""

    @property
    def generation(self) -> int: ...  # noqa: D102  as in ports.Routing

    def input(  # noqa: D102
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, *, now: Ns, mark: int = 0, lsrc: Ip = 0,
        skb: Skb | None = None,
    ) -> Route | Refused: ...  # fmt: skip

    def output(  # noqa: D102
        self, daddr: Ip, *, now: Ns, saddr: Ip = 0, tos: int = 0, oif: Device | None = None, mark: int = 0, gw: Ip = 0,
        proto: int = 0, sport: int = 0, dport: int = 0, onlink: bool = False, anysrc: bool = False,
    ) -> Route | Refused: ...  # fmt: skip


def _shown(found: Route) -> Metrics:
    """Return a route's metrics with what was learned of the path's MTU. Mirrors rt_fill_info()."""
    metrics = found.metrics
    if found.mtu == metrics[RTAX_MTU] and found.mtu_locked == metrics.lock(RTAX_MTU):
        return metrics
    values = (*metrics.values[:RTAX_MTU], found.mtu, *metrics.values[RTAX_MTU + 1 :])
    return Metrics(values, metrics.locked | found.mtu_locked << RTAX_MTU, metrics.congctl)


class Router:
    """The door of routing: ports.Routing, the lessons of ICMP, and the requests about single routes."""

    def __init__(
        self, *, node: str, era: FibEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, fib: Fib, neigh: Neighbours,
    ) -> None:  # fmt: skip
        self._fib = fib
        self._interfaces = interfaces
        self._sysctl = sysctl
        parts = Parts(node, fib, interfaces, neigh, outbox, sysctl)
        self.mainline: MainlineRouting | None = None
        self.cached: CachedRouting | None = None
        self._engine: Engine
        self._lessons: Lessons
        if era.route_cache:
            self.cached = CachedRouting(parts, patches, timers, rng)
            self._engine = self.cached
            self._lessons = CachedLessons(parts, self.cached)
        else:
            self.mainline = MainlineRouting(parts)
            self._engine = self.mainline
            self._lessons = MainlineLessons(parts, self.mainline)
        sysctl.listen("net.ipv4.route.flush", self._flush_written)
        self.input = self._engine.input
        self.output = self._engine.output

    @property
    def generation(self) -> int:
        """Count of every change that may alter an answer."""
        return self._engine.generation

    def address_type(self, ip: Ip, dev: Device | None = None) -> int:
        """Mirror inet_addr_type()."""
        return self._fib.lookup.address_type(ip, dev)

    # Lessons

    def learn_pmtu(self, daddr: Ip, saddr: Ip, mtu: int, *, now: Ns) -> None:
        """Remember a path MTU that an ICMP error told."""
        self._lessons.learn_pmtu(daddr, saddr, mtu, now)

    def learn_redirect(self, old_gateway: Ip, daddr: Ip, saddr: Ip, dev: Device, new_gateway: Ip, *, now: Ns) -> None:
        """Consider a redirect: `old_gateway` sent it, for a packet from `saddr` to `daddr`, and it came in by `dev`."""
        self._lessons.learn_redirect(old_gateway, daddr, saddr, dev, new_gateway, now)

    def link_failed(self, route: Route, *, now: Ns) -> None:
        """Note that a packet waited in vain for the route's next hop."""
        self._lessons.link_failed(route, now)

    # Requests

    def flush_cache(self, req: FlushRouteCache, *, now: Ns) -> Done:
        """Forget cached routes and exceptions; 2.2 and 2.4 take their min_delay for it (route-patches C5)."""
        if self.mainline is not None:
            self.mainline.exceptions.flush()
            self.mainline.forget()
        if self.cached is not None:
            self.cached.cache.flush(self._sysctl.route.min_delay, now)
        return DONE

    def _flush_written(self, key: str) -> None:
        """Follow a write to net.ipv4.route.flush, which carries no time: empty at once."""
        if self.mainline is not None:
            self.mainline.exceptions.flush()
            self.mainline.forget()
        if self.cached is not None:
            self.cached.cache.run_flush()

    def dump_cache(self, req: DumpRouteCache, *, now: Ns) -> tuple[CachedRoute, ...]:
        """List the route cache, or mainline's exceptions."""
        if self.cached is not None:
            return tuple(
                CachedRoute(
                    answer=self._answer(
                        GetRoute(dst=entry.key[0], src=entry.key[1], iif=self._name(entry.key[2]), tos=entry.key[4],
                                 mark=entry.key[5]), entry.route, now, ""), used=entry.used, age=now - entry.lastuse,
                )
                for entry in self.cached.cache.entries()
            )  # fmt: skip
        assert self.mainline is not None
        out = []
        for daddr, age in self.mainline.exceptions.destinations(now):
            answer = self.get_route(GetRoute(dst=daddr), now=now)
            if isinstance(answer, RouteAnswer):
                out.append(CachedRoute(answer=answer, used=0, age=age))
        return tuple(out)

    def _name(self, ifindex: int) -> str:
        dev = self._interfaces.index(ifindex)
        return dev.name if dev is not None else ""

    def get_route(self, req: GetRoute, *, now: Ns) -> RouteAnswer | Refusal:
        """Answer `ip route get`: a real lookup, which moves memories and spends credits."""
        iif = self._interfaces.named(req.iif) if req.iif else None
        oif = self._interfaces.named(req.oif) if req.oif else None
        if (req.iif and iif is None) or (req.oif and oif is None):
            return Refusal(ENODEV)
        story = Story() if req.why else None
        found = self._ask(req, iif, oif, now, story)
        if isinstance(found, Refused):
            return Refusal(EINVAL if iif is not None and self.mainline is not None else found.errno)
        if found.error:
            return Refusal(found.error)
        return self._answer(req, found, now, told(story) if story is not None else "")

    def _ask(
        self, req: GetRoute, iif: Device | None, oif: Device | None, now: Ns, story: Story | None
    ) -> Route | Refused:
        """Put the question as inet_rtm_getroute() does: about UDP, unless another protocol is named."""
        proto = req.ipproto or IPPROTO_UDP
        tos = req.tos & self._fib.era.tos_mask
        flow = FlowKey(
            req.dst, req.src, tos, oif.ifindex if oif is not None else 0, self._interfaces.lo.ifindex, req.mark,
            proto, req.sport, req.dport,
        )  # fmt: skip
        if self.cached is not None:
            if iif is not None:
                return self.cached.answer_input(req.dst, req.src, tos, iif, req.mark, 0, None, now, story, ip=True)
            return self.cached.answer_output(flow._replace(proto=0, sport=0, dport=0), oif, now, story)
        assert self.mainline is not None
        if iif is not None:
            l4 = (proto, req.sport, req.dport)
            return self.mainline.decide_input(
                req.dst, req.src, tos, iif, req.mark, None, now, story, ip=True, l4=l4
            )[0]  # fmt: skip
        return self.mainline.decide_output(flow, oif, now, story)

    def _answer(self, req: GetRoute, found: Route, now: Ns, why: str) -> RouteAnswer:
        """Describe a route as rt_fill_info() does: the source only where the lookup chose it.

        The tos is the route's on mainline (from 6.11 on), that of the question in the older kernels.
        """
        old = self.cached is not None
        source = found.src if (old and req.iif) or (not req.iif and found.src != req.src) else 0
        shown = CACHE_WORDS if old else [pair for pair in CACHE_WORDS if pair[0] != RTCF_DIRECTSRC]
        return RouteAnswer(
            dst=req.dst, kind=found.kind, via=found.gateway, dev=found.dev.name,
            table=RT_TABLE_MAIN if old else found.table or RT_TABLE_MAIN, prefsrc=source, src_asked=req.src,
            iif=req.iif, mark=req.mark, tos=req.tos if old else found.tos,
            cache=tuple(word for flag, word in shown if found.flags & flag),
            expires=max(found.expires - now, 0) if found.expires else 0, metrics=_shown(found),
            show_local_table=not self._fib.lookup.merged, why=why,
        )  # fmt: skip
