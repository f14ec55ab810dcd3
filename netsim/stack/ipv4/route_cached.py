"""Routing in 2.2 and 2.4: cached answers, and the slow path behind them with the seed's patches where switched on.

Source: 2.4 net/ipv4/route.c ip_route_input_slow(), ip_route_output_slow(), fib_frontend.c fib_validate_source();
patches 01_alt_routes, 05_nf_reroute; route-patches sections 3, 6, 8 and 13.
"""

from __future__ import annotations

from netsim.addr import LIMITED_BROADCAST, LOOPBACK, Ip, ip_str, is_loopback, is_multicast, is_zeronet
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE
from netsim.stack.device import Device
from netsim.stack.dst import (
    RTCF_BROADCAST,
    RTCF_DIRECTSRC,
    RTCF_DOREDIRECT,
    RTCF_LOCAL,
    RTCF_MASQ,
    RTCF_MULTICAST,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
    RTN_UNREACHABLE,
    Refused,
    Route,
)
from netsim.stack.errno import EINVAL, ENETUNREACH, ENOBUFS, ENODEV
from netsim.stack.fib.alternatives import AlternativeSelector, Selector, StockSelector
from netsim.stack.fib.cache import Key, RouteCache
from netsim.stack.fib.credit import StockScheduler, SuspectScheduler
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FibResult, FlowKey, Miss, is_badclass, is_local_multicast
from netsim.stack.fib.rules import MASQUERADE
from netsim.stack.ipv4.reverse_path import ReversePath, Source
from netsim.stack.ipv4.route_mainline import on_link
from netsim.stack.ipv4.route_parts import Parts
from netsim.stack.ports import Rng
from netsim.stack.profile.patches import Patches
from netsim.stack.skb import Skb
from netsim.stack.timers import Timers
from netsim.units import Ns
from netsim.wire import drop

MARTIAN = Refused(EINVAL, drop.IP_INVALID_SOURCE)


class CachedRouting:
    """Answers from the cache, or finds out and stores. What is stored stays whatever routes and neighbours do."""

    def __init__(self, parts: Parts, patches: Patches, timers: Timers, rng: Rng) -> None:
        self._parts = parts
        self._fib = parts.fib
        self._interfaces = parts.interfaces
        self._sysctl = parts.sysctl
        era = parts.fib.era
        self._tick = era.tick
        self._tos_mask = era.tos_mask
        self._patched = patches.alt_routes
        self.selector: Selector
        self._scheduler: StockScheduler | SuspectScheduler
        if patches.alt_routes:
            self.selector = AlternativeSelector(parts.neigh)
            self._scheduler = SuspectScheduler(leftover=era.leftover_credit)
        else:
            self.selector = StockSelector(parts.neigh)
            self._scheduler = StockScheduler()
        self._gw_key = patches.key_gw or patches.nf_reroute
        self._lsrc_key = patches.nf_reroute
        self._masq_rules = era.masq_rules
        self.reverse = ReversePath(parts, patched=patches.alt_routes)
        parts.sysctl.route.gc_min_interval = era.gc_min_interval
        self.cache = RouteCache(
            era=era, sysctl=parts.sysctl, timers=timers, rng=rng, holds=parts.neigh, secret=era.secret_rebuild
        )
        parts.fib.flusher = self.cache.flush

    @property
    def generation(self) -> int:
        """Count of whole flushes: nothing else takes an answer from who holds it."""
        return self.cache.generation

    # Input

    def input(
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, *, now: Ns, mark: int = 0, lsrc: Ip = 0,
        skb: Skb | None = None,
    ) -> Route | Refused:  # fmt: skip
        """Answer for a received packet (an ARP question without `skb`). Mirrors ip_route_input()."""
        return self.answer_input(daddr, saddr, tos, dev, mark, lsrc, skb, now, self._parts.story(), ip=skb is not None)

    def answer_input(
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, mark: int, lsrc: Ip, skb: Skb | None, now: Ns,
        story: Story | None, *, ip: bool,
    ) -> Route | Refused:  # fmt: skip
        """Look into the cache, then find out."""
        tos &= self._tos_mask
        if not self._lsrc_key:
            lsrc = 0
        key: Key = (daddr, saddr, dev.ifindex, 0, tos, mark, 0, lsrc)
        known = self.cache.find(key, now)
        if known is not None:
            if story is not None:
                story.because("answered from the route cache")
            return known
        if is_multicast(daddr):
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        return self._input_slow(key, dev, lsrc, skb, now, story, ip=ip)

    def _input_slow(
        self, key: Key, dev: Device, lsrc: Ip, skb: Skb | None, now: Ns, story: Story | None, *, ip: bool
    ) -> Route | Refused:
        """Mirror ip_route_input_slow(), patched where the switches say so."""
        daddr, saddr, tos, mark = key[0], key[1], key[4], key[5]
        refused = self._martian(daddr, saddr, dev)
        if refused is not None:
            return refused
        if daddr == LIMITED_BROADCAST or (not saddr and not daddr):
            return self._broadcast(key, dev, now, lsrc=lsrc, ip=ip)
        if is_zeronet(saddr):
            return MARTIAN
        if is_badclass(daddr) or is_zeronet(daddr) or is_loopback(daddr):
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        flow = FlowKey(daddr, saddr, tos, 0, dev.ifindex, mark)
        asked = flow
        if lsrc:
            if is_multicast(lsrc) or is_badclass(lsrc) or is_zeronet(lsrc) or is_loopback(lsrc):
                return Refused(EINVAL, drop.IP_INVALID_SOURCE)
            asked = flow._replace(saddr=lsrc, iif=self._interfaces.lo.ifindex)
            if story is not None:
                story.lsrc = ip_str(lsrc)
        result = self._fib.ask(asked)
        if isinstance(result, Miss):
            self._parts.tell(story, "input", asked, dev, result, now, skb, result.errno)
            if not dev.conf.forwarding:
                return Refused(EINVAL, drop.IP_INNOROUTES)
            return self._error(key, dev, result.errno, now)
        if lsrc and result.kind != RTN_UNICAST:
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        if result.kind == RTN_BROADCAST:
            return self._broadcast(key, dev, now, lsrc=lsrc, ip=ip)
        if result.kind == RTN_LOCAL:
            self._parts.tell(story, "input", flow, dev, result, now, skb, 0)
            source = self.reverse.validate(saddr, daddr, tos, self._interfaces.lo, dev)
            if source is None:
                return Refused(EINVAL, drop.IP_RPFILTER)
            return self._store(key, self._local(dev, daddr, source, result), now)
        if not dev.conf.forwarding:
            return Refused(EINVAL, drop.IP_INADDRERRORS)
        if result.kind != RTN_UNICAST:
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        return self._forward(key, flow, result, dev, lsrc, skb, now, story, ip=ip)

    def _martian(self, daddr: Ip, saddr: Ip, dev: Device) -> Refused | None:
        """Refuse a device without IPv4 state, and sources that can be nobody's."""
        if not dev.has_ip:
            return Refused(EINVAL, drop.NOT_SPECIFIED)
        if is_multicast(saddr) or is_badclass(saddr) or is_loopback(saddr):
            return MARTIAN
        return None

    def _forward(
        self, key: Key, flow: FlowKey, result: FibResult, dev: Device, lsrc: Ip, skb: Skb | None, now: Ns,
        story: Story | None, *, ip: bool,
    ) -> Route | Refused:  # fmt: skip
        """Choose, check the source against the way out, and store."""
        self._choose(flow, result, now, story, forwarded=True)
        self._parts.tell(story, "input", flow, dev, result, now, skb, 0)
        out = result.nexthop.dev
        if out is None or not out.has_ip:
            return Refused(EINVAL, drop.IP_INADDRERRORS)
        source = self.reverse.validate(flow.saddr, flow.daddr, flow.tos, out, dev)
        if source is None:
            return Refused(EINVAL, drop.IP_RPFILTER)
        flags = RTCF_DIRECTSRC if source.direct else 0
        if self._masq_rules and result.action == MASQUERADE:
            flags |= RTCF_MASQ
        if out is dev and source.direct and not lsrc and self._redirects(flow.saddr, dev, result):
            flags |= RTCF_DOREDIRECT
        if not ip and out is dev:
            return Refused(EINVAL, drop.NOT_SPECIFIED)
        route = self._route(result, out, source.spec_dst, flags)
        route.iif = dev
        return self._store(key, route, now)

    def _redirects(self, saddr: Ip, dev: Device, result: FibResult) -> bool:
        """Tell whether a packet that leaves the way it came earns its sender a redirect; none where rules translate."""
        if result.action != "table":
            return False
        shared = dev.conf.shared_media | self._sysctl.conf_all.shared_media
        return bool(shared) or on_link(dev, saddr, result.nexthop.gw)

    def _broadcast(self, key: Key, dev: Device, now: Ns, *, lsrc: Ip, ip: bool) -> Route | Refused:
        """Deliver a broadcast, its source checked."""
        if not ip or lsrc:
            return Refused(EINVAL, drop.NOT_SPECIFIED)
        saddr = key[1]
        if is_zeronet(saddr):
            source: Source | None = Source(False, self._interfaces.select_address(dev, 0, RT_SCOPE_LINK))
        else:
            source = self.reverse.validate(saddr, 0, key[4], None, dev)
        if source is None:
            return Refused(EINVAL, drop.IP_RPFILTER)
        flags = RTCF_BROADCAST | RTCF_LOCAL | (RTCF_DIRECTSRC if source.direct else 0)
        route = Route(RTN_BROADCAST, self._interfaces.lo, 0, source.spec_dst, flags, 0)
        route.iif = dev
        return self._store(key, route, now)

    def _local(self, dev: Device, daddr: Ip, source: Source, result: FibResult) -> Route:
        """Deliver here."""
        flags = RTCF_LOCAL | (RTCF_DIRECTSRC if source.direct else 0)
        route = Route(RTN_LOCAL, self._interfaces.lo, 0, daddr, flags, 0)
        route.iif = dev
        _note_origin(route, result)
        return route

    def _error(self, key: Key, dev: Device, errno: int, now: Ns) -> Route | Refused:
        """Store an error answer; one for a local source is stored without it, and answers plain lookups (C8)."""
        spec_dst = self._interfaces.select_address(dev, 0, RT_SCOPE_UNIVERSE)
        route = Route(RTN_UNREACHABLE, self._interfaces.lo, 0, spec_dst, 0, 0, errno)
        route.iif = dev
        return self._store((*key[:7], 0), route, now)

    def _route(self, result: FibResult, out: Device, src: Ip, flags: int) -> Route:
        """Turn a lookup's answer into what a packet carries. Mirrors rt_set_nexthop()."""
        nexthop = result.nexthop
        gateway = nexthop.gw if nexthop.scope == RT_SCOPE_LINK else 0
        route = Route(result.kind, out, gateway, src, flags, 0)
        route.take(result.info.metrics)
        route.scope = nexthop.scope
        _note_origin(route, result)
        return route

    def _store(self, key: Key, route: Route, now: Ns) -> Route | Refused:
        """Put an answer into the cache, or take the one that is there."""
        nexthop = 0 if route.dev.loopback else route.nexthop(key[0])
        stored = self.cache.intern(key, route, nexthop, now)
        return Refused(ENOBUFS, drop.NOMEM) if stored is None else stored

    # Output

    def output(
        self, daddr: Ip, *, now: Ns, saddr: Ip = 0, tos: int = 0, oif: Device | None = None, mark: int = 0, gw: Ip = 0,
        proto: int = 0, sport: int = 0, dport: int = 0, onlink: bool = False, anysrc: bool = False,
    ) -> Route | Refused:  # fmt: skip
        """Answer for a packet of this box. Mirrors ip_route_output_key(); protocol and ports do not count."""
        flow = FlowKey(
            daddr, saddr, tos & self._tos_mask, oif.ifindex if oif is not None else 0, self._interfaces.lo.ifindex,
            mark, 0, 0, 0, RT_SCOPE_LINK if onlink else RT_SCOPE_UNIVERSE, gw if self._gw_key else 0,
        )  # fmt: skip
        return self.answer_output(flow, oif, now, self._parts.story())

    def answer_output(self, flow: FlowKey, oif: Device | None, now: Ns, story: Story | None) -> Route | Refused:
        """Look into the cache, then find out; failures are not stored (C6)."""
        tos = flow.tos | (flow.scope == RT_SCOPE_LINK)
        key: Key = (flow.daddr, flow.saddr, 0, flow.oif, tos, flow.mark, flow.gw, 0)
        known = self.cache.find(key, now)
        if known is not None:
            if story is not None:
                story.because("answered from the route cache")
            return known
        answer = self._output_slow(flow, oif, now, story)
        return answer if isinstance(answer, Refused) else self._store(key, answer, now)

    def _output_slow(self, flow: FlowKey, oif: Device | None, now: Ns, story: Story | None) -> Route | Refused:
        """Mirror ip_route_output_slow(), patched where the switches say so."""
        daddr, saddr = flow.daddr, flow.saddr
        select = self._interfaces.select_address
        if saddr:
            home = self._fib.lookup.local_device(saddr)
            if is_multicast(saddr) or is_badclass(saddr) or is_zeronet(saddr) or home is None:
                return Refused(EINVAL, drop.IP_OUTNOROUTES)
            if oif is None and (is_multicast(daddr) or daddr == LIMITED_BROADCAST):
                return self._leave(daddr, saddr, home)
        if oif is not None:
            if not oif.registered or not oif.has_ip:
                return Refused(ENODEV, drop.IP_OUTNOROUTES)
            if is_local_multicast(daddr) or daddr == LIMITED_BROADCAST:
                return self._leave(daddr, saddr or select(oif, 0, RT_SCOPE_LINK), oif)
            if not saddr and (is_multicast(daddr) or not daddr):
                saddr = select(oif, 0, flow.scope if daddr else RT_SCOPE_HOST)
        if not daddr:
            return self._leave(saddr or LOOPBACK, saddr or LOOPBACK, self._interfaces.lo)
        result = self._fib.ask(flow._replace(saddr=saddr))
        if isinstance(result, Miss):
            usable = oif is not None and (oif.up or not self._patched)
            self._parts.tell(story, "output", flow, None, result, now, None, 0 if usable else ENETUNREACH)
            if oif is None or not usable:
                return Refused(ENETUNREACH, drop.IP_OUTNOROUTES)
            return self._leave(daddr, saddr or select(oif, 0, RT_SCOPE_LINK), oif)
        if result.kind == RTN_LOCAL:
            self._parts.tell(story, "output", flow, None, result, now, None, 0)
            route = self._leave(daddr, saddr or daddr, self._interfaces.lo)
            if isinstance(route, Route):
                _note_origin(route, result)
            return route
        self._choose(flow, result, now, story, forwarded=False)
        self._parts.tell(story, "output", flow, None, result, now, None, 0)
        out = result.nexthop.dev
        if out is None:
            return Refused(ENETUNREACH, drop.IP_OUTNOROUTES)
        source = saddr or self._fib.routes.source(result.info, result.index, result.alias.scope)
        return self._leave(daddr, source, out, result)

    def _leave(self, daddr: Ip, source: Ip, out: Device, result: FibResult | None = None) -> Route | Refused:
        """Make the route of a packet that goes out, or to ourselves by lo ("make_route")."""
        if is_loopback(source) and not out.loopback:
            return Refused(EINVAL, drop.IP_OUTNOROUTES)
        if daddr == LIMITED_BROADCAST or (result is not None and result.kind == RTN_BROADCAST):
            route = Route(RTN_BROADCAST, out, 0, source, RTCF_BROADCAST | RTCF_LOCAL, 0)
        elif is_multicast(daddr):
            route = Route(RTN_MULTICAST, out, 0, source, RTCF_MULTICAST, 0)
        elif is_badclass(daddr) or is_zeronet(daddr):
            return Refused(EINVAL, drop.IP_OUTNOROUTES)
        elif out.loopback and result is None:
            return Route(RTN_LOCAL, out, 0, source, RTCF_LOCAL, 0)
        elif result is None:
            return Route(RTN_UNICAST, out, 0, source, 0, 0)
        else:
            return self._route(result, out, source, RTCF_LOCAL if out.loopback else 0)
        if result is not None:
            _note_origin(route, result)
        return route

    def _choose(self, flow: FlowKey, result: FibResult, now: Ns, story: Story | None, *, forwarded: bool) -> None:
        """Choose among alternatives and paths.

        Patched: both, always. Stock: a multipath route by credit, else (not for forwarded packets) a default route,
        and neither for a bound lookup.
        """
        jiffies = now // self._tick
        if self._patched:
            if result.kind == RTN_UNICAST:
                self.selector.select(result, flow, story)
            if len(result.info.nexthops) > 1:
                self._scheduler.select(result, flow, jiffies, story)
        elif len(result.info.nexthops) > 1:
            if not flow.oif:
                self._scheduler.select(result, flow, jiffies, story)
        elif not forwarded and not result.prefixlen and result.kind == RTN_UNICAST and not flow.oif:
            self.selector.select(result, flow, story)


def _note_origin(route: Route, result: FibResult) -> None:
    route.table, route.rule, route.prefixlen = result.table.id, result.rule, result.prefixlen
