"""What ICMP and neighbours teach routing: redirects, path MTUs, and routes whose next hop does not answer.

Mainline writes exceptions on the path, 2.2 and 2.4 change the entries of their route cache.
Source: net/ipv4/route.c __ip_do_redirect(), __ip_rt_update_pmtu(), ipv4_link_failure() (6.x); 2.4 ip_rt_redirect(),
ip_rt_frag_needed(); observed-linux 10.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import LIMITED_BROADCAST, Ip, is_multicast, is_zeronet
from netsim.stack.device import Device
from netsim.stack.dst import RTCF_REDIRECTED, RTN_UNICAST, Refused, Route
from netsim.stack.fib.flow import FibResult, FlowKey
from netsim.stack.ipv4.route_cached import CachedRouting
from netsim.stack.ipv4.route_mainline import MainlineRouting, on_link
from netsim.stack.ipv4.route_parts import Parts
from netsim.stack.nud_states import NUD_NONE, NUD_VALID
from netsim.stack.requests import NLM_F_CREATE, NewNeigh
from netsim.units import Ns


class Lessons(Protocol):
    """What a lineage makes of what it is taught."""

    def learn_pmtu(self, daddr: Ip, saddr: Ip, mtu: int, now: Ns) -> None: ...  # noqa: D102  as in Router
    def learn_redirect(self, old: Ip, daddr: Ip, saddr: Ip, dev: Device, new: Ip, now: Ns) -> None: ...  # noqa: D102
    def link_failed(self, route: Route, now: Ns) -> None: ...  # noqa: D102


class MainlineLessons:
    """Exceptions on the path the destination takes."""

    def __init__(self, parts: Parts, routing: MainlineRouting) -> None:
        self._parts = parts
        self._routing = routing

    def learn_pmtu(self, daddr: Ip, saddr: Ip, mtu: int, now: Ns) -> None:
        """Remember a path MTU, unless the route's own is locked or it is no smaller."""
        flow = FlowKey(daddr, saddr, 0, 0, self._parts.interfaces.lo.ifindex)
        current = self._routing.decide_output(flow, None, now, None)
        if isinstance(current, Refused) or current.mtu_locked:
            return
        found = self._routing.path(flow)
        old = current.mtu or current.dev.mtu
        if isinstance(found, FibResult) and self._routing.exceptions.learn_pmtu(found.info, daddr, mtu, old, now):
            self._routing.forget()

    def learn_redirect(self, old: Ip, daddr: Ip, saddr: Ip, dev: Device, new: Ip, now: Ns) -> None:
        """Obey a redirect of the gateway in use; a new gateway that is not known yet is asked for first."""
        if not acceptable(self._parts, old, dev, new):
            return
        flow = FlowKey(daddr, saddr, 0, 0, self._parts.interfaces.lo.ifindex)
        current = self._routing.decide_output(flow, None, now, None)
        if isinstance(current, Refused) or current.gateway != old or current.dev is not dev:
            return
        if not resolved(self._parts, dev, new, now):
            return
        found = self._routing.path(flow)
        if isinstance(found, FibResult):
            self._routing.exceptions.learn_redirect(found.nexthop, daddr, new, now)
            self._routing.forget()

    def link_failed(self, route: Route, now: Ns) -> None:
        """Do nothing: the expiry that ipv4_link_failure() sets is looked at by nobody.

        A connected socket keeps its route to a dead gateway. Source: ipv4_dst_check(); observed-linux 3.2, lab E.
        """


class CachedLessons:
    """Changed entries of the route cache."""

    def __init__(self, parts: Parts, routing: CachedRouting) -> None:
        self._parts = parts
        self._cache = routing.cache

    def learn_pmtu(self, daddr: Ip, saddr: Ip, mtu: int, now: Ns) -> None:
        """Write a path MTU on the output entries of a flow. Mirrors ip_rt_frag_needed()."""
        settings = self._parts.sysctl.route
        for entry in self._cache.entries():
            route = entry.route
            if entry.key[0] != daddr or entry.key[2] or entry.key[1] not in (0, saddr) or route.src != saddr:
                continue
            if route.mtu_locked or mtu >= (route.mtu or route.dev.mtu):
                continue
            route.mtu_locked = mtu < settings.min_pmtu
            route.mtu = max(mtu, settings.min_pmtu)
            _expire(route, now + settings.mtu_expires)

    def learn_redirect(self, old: Ip, daddr: Ip, saddr: Ip, dev: Device, new: Ip, now: Ns) -> None:
        """Put entries with the new gateway into the place of those with the old one. Mirrors ip_rt_redirect().

        A gateway key is rewritten to the new gateway.
        """
        if not acceptable(self._parts, old, dev, new):
            return
        for entry in self._cache.entries():
            daddr_, saddr_, iif, oif, tos, mark, gw, lsrc = entry.key
            route = entry.route
            if daddr_ != daddr or saddr_ not in (0, saddr) or oif not in (0, dev.ifindex) or iif:
                continue
            if route.src != saddr or route.error or route.gateway != old or route.dev is not dev:
                continue
            if not resolved(self._parts, dev, new, now):
                continue
            better = Route(route.kind, dev, new, route.src, route.flags | RTCF_REDIRECTED, 0)
            better.take(route.metrics)
            better.mtu, better.mtu_locked = route.mtu, route.mtu_locked
            better.scope, better.table, better.rule = route.scope, route.table, route.rule
            better.prefixlen, better.expires = route.prefixlen, route.expires
            self._cache.drop(entry)
            self._cache.intern((daddr_, saddr_, iif, oif, tos, mark, new if gw else 0, lsrc), better, new, now)

    def link_failed(self, route: Route, now: Ns) -> None:
        """Mark a cached route expired: hits go on until the sweep takes it. Mirrors dst_set_expires(dst, 0)."""
        _expire(route, now or 1)


def _expire(route: Route, at: Ns) -> None:
    """Set an expiry, unless an earlier one stands. Mirrors dst_set_expires()."""
    if not route.expires or route.expires > at:
        route.expires = at


def acceptable(parts: Parts, old: Ip, dev: Device, new: Ip) -> bool:
    """Tell whether a redirect may be obeyed at all: the device's settings, and a sane new gateway.

    accept_redirects is the AND of `all` and the device on a router, the OR on a host.
    """
    conf, everywhere = dev.conf, parts.sysctl.conf_all
    if conf.forwarding:
        accepts = conf.accept_redirects and everywhere.accept_redirects
    else:
        accepts = conf.accept_redirects or everywhere.accept_redirects
    if new in (old, LIMITED_BROADCAST) or not accepts or is_multicast(new) or is_zeronet(new):
        return False
    if conf.shared_media | everywhere.shared_media:
        return parts.fib.lookup.address_type(new) == RTN_UNICAST
    if not on_link(dev, new, old):
        return False
    if conf.secure_redirects | everywhere.secure_redirects:
        return _is_default_gateway(parts, dev, new)
    return True


def _is_default_gateway(parts: Parts, dev: Device, gateway: Ip) -> bool:
    """Tell whether some path has this gateway. Mirrors ip_fib_check_default()."""
    for table in parts.fib.lookup.tables.values():
        for _, _, alias in table.entries():
            for nexthop in alias.info.nexthops:
                if nexthop.dev is dev and nexthop.gw == gateway and not nexthop.flags & 1:
                    return True
    return False


def resolved(parts: Parts, dev: Device, gateway: Ip, now: Ns) -> bool:
    """Tell whether a gateway's neighbour entry is valid; start resolution where it is not."""
    if parts.neigh.state(dev, gateway) & NUD_VALID:
        return True
    parts.neigh.new(NewNeigh(dev=dev.name, dst=gateway, state=NUD_NONE, flags=NLM_F_CREATE, use=True), now=now)
    return False
