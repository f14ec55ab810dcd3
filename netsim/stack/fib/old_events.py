"""What devices and addresses do to the routes of 2.2 and 2.4, and how static routes live through it.

Source: 2.4 net/ipv4/fib_frontend.c fib_add_ifaddr(), fib_del_ifaddr(), fib_inetaddr_event(), fib_netdev_event();
fib_semantics.c fib_sync_down(), fib_sync_up(); patch 00_static_routes; route-patches section 2 and C1, C2.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.addr import LIMITED_BROADCAST, Ip, is_zeronet
from netsim.stack.address import RT_SCOPE_NOWHERE, IfAddr
from netsim.stack.device import Device
from netsim.stack.dst import RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST
from netsim.stack.fib.events import kernel_deletion, kernel_route, primary_of, subnet_broadcast
from netsim.stack.fib.flow import FlowKey, Miss
from netsim.stack.fib.hash import DELAYED, Hash
from netsim.stack.fib.route import FibInfo, Nexthop
from netsim.stack.profile.fib import FibEra
from netsim.stack.requests import RTNH_F_DEAD, RTPROT_STATIC
from netsim.units import Ns

AT_ONCE = 0


class OldEvents:
    """The FIB's side of the notifier chain of 2.2 and 2.4."""

    def __init__(self, routes: Hash, era: FibEra, flush_cache: Callable[[int], None]) -> None:
        self._routes = routes
        self._era = era
        self._flush_cache = flush_cache

    # The chain

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Make the address's routes; dead paths of the device get another chance."""
        self._add_routes(dev, ifa)
        if self._routes.static or self._era.revive_on_address:
            self._sync_up(dev)
        self._flush_cache(DELAYED)

    def address_removed(self, dev: Device, ifa: IfAddr, last: bool, now: Ns) -> None:
        """Take the address's routes away; nothing else is checked again."""
        self._remove_routes(dev, ifa)
        if not last:
            self._flush_cache(DELAYED)

    def device_up(self, dev: Device, now: Ns) -> None:
        """Make connected routes again, then revive paths."""
        if not dev.has_ip:
            return
        for ifa in dev.addresses:
            self._add_routes(dev, ifa)
        self._sync_up(dev)
        self._flush_cache(DELAYED)

    def device_down(self, dev: Device, now: Ns) -> None:
        """Kill paths, but for those of our own addresses."""
        if dev.has_ip:
            self._disable(dev, 0)

    def ip_disabled(self, dev: Device, now: Ns) -> None:
        """Kill every path: the device loses its IPv4 state."""
        self._disable(dev, 1)

    def device_removed(self, dev: Device, now: Ns) -> None:
        """Kill every path; from 2.4.19pre8 on a multipath route goes whole."""
        self._disable(dev, self._era.unregister_force)

    def carrier_changed(self, dev: Device, now: Ns) -> None:
        """Flush the cache: the carrier itself means nothing to routes here."""
        if dev.has_ip:
            self._flush_cache(AT_ONCE)

    def device_changed(self, dev: Device, now: Ns) -> None:
        """Flush the cache after a change of MTU or flags."""
        if dev.has_ip:
            self._flush_cache(AT_ONCE)

    def _disable(self, dev: Device, force: int) -> None:
        """Mirror fib_disable_ip()."""
        if self._sync_down(0, dev, force):
            self._routes.flush()
        self._flush_cache(AT_ONCE)

    # Paths

    def _sync_down(self, local: Ip, dev: Device | None, force: int) -> int:
        """Mark dead what an address or a device takes with it; return how many routes are dead as a whole.

        With the patch a static route's paths die without counting, unless forced. Mirrors fib_sync_down().
        """
        dead_routes = 0
        for info in self._routes.infos:
            if local and info.prefsrc == local:
                info.flags |= RTNH_F_DEAD
                dead_routes += 1
            elif dev is None and not self._routes.static:
                continue
            elif self._count_dead(info, local, dev, force) == len(info.nexthops):
                info.flags |= RTNH_F_DEAD
                dead_routes += 1
        return dead_routes

    def _count_dead(self, info: FibInfo, local: Ip, dev: Device | None, force: int) -> int:
        """Mark the paths of one route, and count those that make it go."""
        spared = self._routes.static and info.protocol == RTPROT_STATIC
        dead = 0
        for nexthop in info.nexthops:
            if nexthop.flags & RTNH_F_DEAD:
                if not spared or not self._waits(nexthop):
                    dead += 1
            elif self._hit(nexthop, local, dev, force):
                nexthop.flags |= RTNH_F_DEAD
                info.credit -= nexthop.credit
                nexthop.credit = 0
                if not spared or force:
                    dead += 1
            if force > 1 and nexthop.dev is dev:
                return len(info.nexthops)
        return dead

    def _waits(self, nexthop: Nexthop) -> bool:
        """Tell whether a dead static path may live again: its device is down and still has an address."""
        dev = nexthop.dev
        return dev is not None and dev.has_ip and not dev.up

    def _hit(self, nexthop: Nexthop, local: Ip, dev: Device | None, force: int) -> bool:
        """Tell whether an event kills a path: its device goes, or (patched) its gateway was the address that went."""
        if dev is not None:
            return nexthop.dev is dev and (bool(force) or nexthop.scope != RT_SCOPE_NOWHERE)
        return self._routes.static and nexthop.gw == local

    def _sync_up(self, dev: Device) -> None:
        """Revive a device's paths; a static one with a gateway must find it. Mirrors fib_sync_up().

        Each revived gatewayed static path earns another pass over all routes, newest first: a route may be reachable
        only through another.
        """
        if not dev.up or not dev.has_ip:
            return
        again = True
        while again:
            again = False
            for info in self._routes.infos:
                again |= self._revive(info, dev)

    def _revive(self, info: FibInfo, dev: Device) -> bool:
        """Revive one route's paths on a device; True when a gatewayed static one came back."""
        again = False
        alive = 0
        for nexthop in info.nexthops:
            if not nexthop.flags & RTNH_F_DEAD:
                alive += 1
                continue
            if nexthop.dev is not dev:
                continue
            if self._routes.static and nexthop.gw and info.protocol == RTPROT_STATIC:
                found = self._routes.lookup.fib_lookup(FlowKey(nexthop.gw, oif=dev.ifindex, scope=nexthop.scope))
                if isinstance(found, Miss) or found.kind not in (RTN_UNICAST, RTN_LOCAL):
                    continue
                if nexthop.scope != found.alias.scope:
                    nexthop.scope = found.alias.scope
                    self._routes.infos.renew(info)
                again = True
            alive += 1
            nexthop.credit = 0
            nexthop.flags &= ~RTNH_F_DEAD
        needs_all = self._era.revive_needs_all and not self._routes.static
        if alive == len(info.nexthops) if needs_all else alive:
            info.flags &= ~RTNH_F_DEAD
        return again

    # Addresses

    def _add_routes(self, dev: Device, ifa: IfAddr) -> None:
        """Make an address's routes: local always, the others when its device is up. Mirrors fib_add_ifaddr()."""
        primary = primary_of(dev, ifa)
        if primary is None:
            return
        self._make(RTN_LOCAL, ifa.local, 32, dev, primary)
        if not dev.up:
            return
        if ifa.broadcast and ifa.broadcast != LIMITED_BROADCAST:
            self._make(RTN_BROADCAST, ifa.broadcast, 32, dev, primary)
        prefix = ifa.prefix
        if is_zeronet(prefix) or ifa.secondary or (prefix == ifa.local and ifa.plen == 32):
            return
        self._make(RTN_LOCAL if dev.loopback else RTN_UNICAST, prefix, ifa.plen, dev, primary)
        if ifa.plen < 31:
            self._make(RTN_BROADCAST, prefix, 32, dev, primary)
            self._make(RTN_BROADCAST, subnet_broadcast(ifa), 32, dev, primary)

    def _remove_routes(self, dev: Device, ifa: IfAddr) -> None:
        """Take an address's routes away. Mirrors fib_del_ifaddr(), which compares explicit broadcasts only."""
        primary = primary_of(dev, ifa)
        if primary is None:
            return
        brd, any_host = subnet_broadcast(ifa), ifa.prefix
        if not ifa.secondary:
            self._unmake(RTN_LOCAL if dev.loopback else RTN_UNICAST, any_host, ifa.plen, dev, primary)
        others = [each for each in dev.addresses if each is not ifa]
        kept = {each.broadcast for each in others}
        for addr in (ifa.broadcast, brd, any_host):
            if addr not in kept:
                self._unmake(RTN_BROADCAST, addr, 32, dev, primary)
        if any(each.local == ifa.local for each in others):
            return
        self._unmake(RTN_LOCAL, ifa.local, 32, dev, primary)
        if self._routes.lookup.address_type(ifa.local) != RTN_LOCAL and self._sync_down(ifa.local, None, 0):
            self._routes.flush()

    def _make(self, kind: int, addr: Ip, plen: int, dev: Device, primary: IfAddr) -> None:
        self._routes.add(kernel_route(kind, addr, plen, dev, primary.local))

    def _unmake(self, kind: int, addr: Ip, plen: int, dev: Device, primary: IfAddr) -> None:
        self._routes.delete(kernel_deletion(kind, addr, plen, dev, primary.local))
