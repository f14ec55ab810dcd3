"""Making a mainline route: what a request must satisfy before it becomes a FibInfo, and in whose words it is refused.

Source: net/ipv4/fib_semantics.c fib_create_info(), fib_check_nh(), fib_valid_prefsrc() (6.x); linux-kernel note 2.4,
observed-linux 8 and 15.
"""

from __future__ import annotations

from collections.abc import Iterable

from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE
from netsim.stack.device import Device
from netsim.stack.dst import RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST
from netsim.stack.errno import EINVAL, ENETDOWN, ENODEV, Refusal
from netsim.stack.fib.flow import FibResult, FlowKey
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.route import FibInfo, Nexthop
from netsim.stack.fib.table import error_of
from netsim.stack.interfaces import Interfaces
from netsim.stack.metrics import converted
from netsim.stack.requests import RTNH_F_LINKDOWN, RTNH_F_ONLINK, NewRoute, NexthopSpec

MIN_SCOPE = (255, 0, 254, 253, 253, 0, 0, 0, 0, 0)
"""The least scope of each route type. Source: fib_props[]."""
BAD_GATEWAY = "Nexthop has invalid gateway"
NO_PATH = NexthopSpec()


def create_info(req: NewRoute, interfaces: Interfaces, lookup: Lookup) -> FibInfo | Refusal:
    """Turn a request into the shared part of a route, or say why not. Changes nothing.

    Who asks has looked the devices up first: an unknown one is ENODEV before anything else.
    """
    if unknown_device(req.nexthops, interfaces):
        return Refusal(ENODEV)
    if req.kind >= len(MIN_SCOPE):
        return Refusal(EINVAL, "Invalid route type")
    if MIN_SCOPE[req.kind] > req.scope:
        return Refusal(EINVAL, "Invalid scope")
    if req.multipath and not req.nexthops:
        return Refusal(EINVAL)
    if req.multipath and req.outer is not None:
        first = req.nexthops[0]
        if req.outer.dev and req.outer.dev != first.dev:
            return Refusal(EINVAL, "Nexthop device index does not match RTA_OIF")
        if req.outer.via and req.outer.via != first.via:
            return Refusal(EINVAL, "Nexthop gateway does not match RTA_GATEWAY or RTA_VIA")
    metrics = converted(req.metrics)
    if isinstance(metrics, Refusal):
        return metrics
    nexthops: list[Nexthop] | Refusal
    if error_of(req.kind):
        if any(spec.via or spec.dev for spec in req.nexthops) or req.multipath:
            return Refusal(EINVAL, "Gateway, device and multipath can not be specified for this route type")
        nexthops = [Nexthop(None, 0, 0, 1, 0)]
    elif req.kind > RTN_MULTICAST:
        return Refusal(EINVAL, "Invalid route type")
    elif req.scope > RT_SCOPE_HOST:
        return Refusal(EINVAL, "Invalid scope")
    elif req.scope == RT_SCOPE_HOST:
        nexthops = _host_nexthop(req, interfaces)
    else:
        nexthops = _nexthops(req, interfaces, lookup)
    if isinstance(nexthops, Refusal):
        return nexthops
    if req.prefsrc and not error_of(req.kind) and not _valid_prefsrc(req, lookup):
        return Refusal(EINVAL, "Invalid prefsrc address")
    flags = 0
    if all(nexthop.flags & RTNH_F_LINKDOWN for nexthop in nexthops):
        flags |= RTNH_F_LINKDOWN
    return FibInfo(
        home=(req.kind, req.scope, req.table), protocol=req.protocol, prefsrc=req.prefsrc, metric=req.metric,
        nexthops=nexthops, flags=flags, multipath=req.multipath, metrics=metrics,
    )  # fmt: skip


def unknown_device(specs: Iterable[NexthopSpec], interfaces: Interfaces) -> bool:
    """Tell whether a path names a device that is not there."""
    return any(spec.dev and spec.dev not in interfaces for spec in specs)


def _host_nexthop(req: NewRoute, interfaces: Interfaces) -> list[Nexthop] | Refusal:
    """Make the one path of a route to ourselves."""
    specs = req.nexthops or (NO_PATH,)
    if len(specs) != 1:
        return Refusal(EINVAL, "Route with host scope can not have multiple nexthops")
    if specs[0].via:
        return Refusal(EINVAL, "Route with host scope can not have a gateway")
    dev = interfaces.named(specs[0].dev)
    if dev is None:
        return Refusal(ENODEV)
    return [Nexthop(dev, 0, RT_SCOPE_NOWHERE, specs[0].weight, 0)]


def _nexthops(req: NewRoute, interfaces: Interfaces, lookup: Lookup) -> list[Nexthop] | Refusal:
    """Check every path, in order; the first refusal stands for the route."""
    made: list[Nexthop] = []
    for spec in req.nexthops or (NO_PATH,):
        nexthop = _check(req, spec, interfaces, lookup)
        if isinstance(nexthop, Refusal):
            return nexthop
        made.append(nexthop)
    return made


def _check(req: NewRoute, spec: NexthopSpec, interfaces: Interfaces, lookup: Lookup) -> Nexthop | Refusal:
    """Check one path. Mirrors fib_check_nh()."""
    dev = interfaces.named(spec.dev) if spec.dev else None
    if not spec.via:
        return _check_direct(spec, dev)
    if spec.flags & RTNH_F_ONLINK:
        if req.scope >= RT_SCOPE_LINK:
            return Refusal(EINVAL, "Nexthop has invalid scope")
        if dev is None:
            return Refusal(ENODEV, "Nexthop device required for onlink")
        if not dev.up:
            return Refusal(ENETDOWN, "Nexthop device is not up")
        if lookup.address_type(spec.via) != RTN_UNICAST:  # of any device: inet_addr_type_dev_table() knows no device
            return Refusal(EINVAL, BAD_GATEWAY)
        flags = RTNH_F_ONLINK | (0 if dev.carrier else RTNH_F_LINKDOWN)
        return Nexthop(dev, spec.via, RT_SCOPE_LINK, spec.weight, flags)
    key = FlowKey(
        spec.via, oif=dev.ifindex if dev else 0, iif=interfaces.lo.ifindex,
        scope=max(req.scope + 1, RT_SCOPE_LINK), ignore_linkdown=True,
    )  # fmt: skip
    found = lookup.gateway(req.table, key)
    if not isinstance(found, FibResult):
        return Refusal(found.errno, BAD_GATEWAY)
    if found.kind not in (RTN_UNICAST, RTN_LOCAL):
        return Refusal(EINVAL, BAD_GATEWAY)
    out = found.nexthop.dev
    if out is None:
        return Refusal(EINVAL, "No egress device for nexthop")
    if not out.up:
        return Refusal(ENETDOWN)
    return Nexthop(out, spec.via, found.alias.scope, spec.weight, 0 if out.carrier else RTNH_F_LINKDOWN)


def _check_direct(spec: NexthopSpec, dev: Device | None) -> Nexthop | Refusal:
    """Check a path without gateway. Mirrors fib_check_nh_nongw()."""
    if spec.flags & RTNH_F_ONLINK:
        return Refusal(EINVAL, "Invalid flags for nexthop - PERVASIVE and ONLINK can not be set")
    if dev is None:
        return Refusal(ENODEV)
    if not dev.up:
        return Refusal(ENETDOWN, "Device for nexthop is not up")
    return Nexthop(dev, 0, RT_SCOPE_HOST, spec.weight, 0 if dev.carrier else RTNH_F_LINKDOWN)


def _valid_prefsrc(req: NewRoute, lookup: Lookup) -> bool:
    """Tell whether `src` is ours: by the route's own table, or by local. Mirrors fib_valid_prefsrc()."""
    if req.kind == RTN_LOCAL and req.dst.addr and req.prefsrc == req.dst.addr:
        return True
    if req.table not in (RT_TABLE_MAIN, RT_TABLE_LOCAL) and lookup.local_in(req.table, req.prefsrc):
        return True
    return lookup.local_in(RT_TABLE_LOCAL, req.prefsrc)
