"""Making a route of 2.2 or 2.4: what a request must satisfy, with and without the static_routes patch.

Source: 2.4 net/ipv4/fib_semantics.c fib_create_info(), fib_check_nh(); patch 00_static_routes; route-patches section 2
("Create") and corrections C3.
"""

from __future__ import annotations

from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE
from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST
from netsim.stack.errno import EINVAL, ENETDOWN, ENETUNREACH, ENODEV, Refusal
from netsim.stack.fib.create import MIN_SCOPE, NO_PATH, unknown_device
from netsim.stack.fib.flow import FlowKey, Miss
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.route import FibInfo, Nexthop
from netsim.stack.fib.table import error_of
from netsim.stack.interfaces import Interfaces
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_ONLINK, RTPROT_STATIC, NewRoute, NexthopSpec


class OldCreation:
    """Turns requests into the shared part of routes; `static` is the static_routes patch."""

    def __init__(self, interfaces: Interfaces, lookup: Lookup, *, static: bool) -> None:
        self._interfaces = interfaces
        self._lookup = lookup
        self._static = static

    def create(self, req: NewRoute) -> FibInfo | Refusal:
        """Check a request; who asks has looked the devices up first. Changes nothing. Mirrors fib_create_info()."""
        if unknown_device(req.nexthops, self._interfaces):
            return Refusal(ENODEV)
        if req.kind > RTN_MULTICAST and not error_of(req.kind):
            return Refusal(EINVAL)
        if MIN_SCOPE[req.kind] > req.scope or (req.multipath and not req.nexthops):
            return Refusal(EINVAL)
        if req.multipath and req.outer is not None:
            first = req.nexthops[0]
            if (req.outer.dev and req.outer.dev != first.dev) or (req.outer.via and req.outer.via != first.via):
                return Refusal(EINVAL)
        flags = 0 if req.multipath or not req.nexthops else req.nexthops[0].flags
        nexthops: list[Nexthop] | Refusal
        if error_of(req.kind):
            if req.multipath or any(spec.via or spec.dev for spec in req.nexthops):
                return Refusal(EINVAL)
            return self._info(req, [Nexthop(None, 0, 0, 1, flags)], flags)
        if req.scope > RT_SCOPE_HOST:
            return Refusal(EINVAL)
        if req.scope == RT_SCOPE_HOST:
            nexthops = self._host_nexthop(req)
        else:
            nexthops = []
            for spec in req.nexthops or (NO_PATH,):
                nexthop = self._check(req, spec)
                if isinstance(nexthop, Refusal):
                    return nexthop
                nexthops.append(nexthop)
        if isinstance(nexthops, Refusal):
            return nexthops
        if (
            req.prefsrc
            and (req.kind != RTN_LOCAL or req.prefsrc != req.dst.addr)
            and self._lookup.address_type(req.prefsrc) != RTN_LOCAL
        ):
            return Refusal(EINVAL)
        return self._info(req, nexthops, flags)

    @staticmethod
    def _info(req: NewRoute, nexthops: list[Nexthop], flags: int) -> FibInfo:
        return FibInfo(
            home=(), protocol=req.protocol, prefsrc=req.prefsrc, metric=req.metric, nexthops=nexthops, flags=flags,
            multipath=req.multipath, metrics=req.metrics,
        )  # fmt: skip

    def _host_nexthop(self, req: NewRoute) -> list[Nexthop] | Refusal:
        """Make the one path of a route to ourselves."""
        specs = req.nexthops or (NO_PATH,)
        if len(specs) != 1 or specs[0].via:
            return Refusal(EINVAL)
        dev = self._interfaces.named(specs[0].dev)
        if dev is None:
            return Refusal(ENODEV)
        return [Nexthop(dev, 0, RT_SCOPE_NOWHERE, specs[0].weight, specs[0].flags)]

    def _check(self, req: NewRoute, spec: NexthopSpec) -> Nexthop | Refusal:
        """Check one path. Mirrors fib_check_nh(), patched where the switch says so.

        A static route may name a device that is down: "static routes are allowed to be added while the device is down,
        their paths are marked dead".
        """
        dev = self._interfaces.named(spec.dev) if spec.dev else None
        if not spec.via:
            if spec.flags & RTNH_F_ONLINK:
                return Refusal(EINVAL)
            if dev is None or not dev.has_ip:
                return Refusal(ENODEV)
            return self._path(req, dev, spec, RT_SCOPE_HOST)
        if spec.flags & RTNH_F_ONLINK:
            if req.scope >= RT_SCOPE_LINK or self._lookup.address_type(spec.via) != RTN_UNICAST:
                return Refusal(EINVAL)
            if dev is None:
                return Refusal(ENODEV)
            return self._path(req, dev, spec, RT_SCOPE_LINK)
        key = FlowKey(spec.via, oif=dev.ifindex if dev else 0, scope=max(req.scope + 1, RT_SCOPE_LINK))
        found = self._lookup.fib_lookup(key)
        if isinstance(found, Miss):
            if found.errno == ENETUNREACH and self._spared(req) and dev is not None and dev.has_ip and not dev.up:
                return self._path(req, dev, spec, RT_SCOPE_LINK)
            return Refusal(found.errno)
        if found.kind not in (RTN_UNICAST, RTN_LOCAL):
            return Refusal(EINVAL)
        out = found.nexthop.dev
        if out is None:
            return Refusal(ENODEV)
        return self._path(req, out, spec, found.alias.scope)

    def _spared(self, req: NewRoute) -> bool:
        """Tell whether the patch keeps this route through the death of its devices."""
        return self._static and req.protocol == RTPROT_STATIC

    def _path(self, req: NewRoute, dev: Device, spec: NexthopSpec, scope: int) -> Nexthop | Refusal:
        """Make a path on a device that is up, or a dead one for a static route."""
        if dev.up:
            return Nexthop(dev, spec.via, scope, spec.weight, spec.flags)
        if not self._spared(req):
            return Refusal(ENETDOWN)
        return Nexthop(dev, spec.via, scope, spec.weight, spec.flags | RTNH_F_DEAD)
