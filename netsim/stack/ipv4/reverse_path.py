"""The reverse path check: may a packet from this source come in by this device?

Mainline passes every device of the route that would answer the source. The patch of 2.2 and 2.4 checks the device of
the route's first path, then whether an equal or better route leaves by the arriving one: so every device of a multipath
route and of its alternatives passes, and no other.
Source: net/ipv4/fib_frontend.c __fib_validate_source() (6.x), 2.4 fib_validate_source(); patch 01_alt_routes;
linux-kernel note 2.9, observed-linux 7, route-patches section 8.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_UNIVERSE
from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST
from netsim.stack.errno import EINVAL, EXDEV
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.ipv4.route_parts import Parts


class Source(NamedTuple):
    """A source that passed: whether it is directly connected, and the address that would answer it."""

    direct: bool
    spec_dst: Ip


class MainlineReversePath:
    """The check of a mainline box: rp_filter is the greater of `all` and the device (0 off, 1 strict, 2 loose)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._fib = parts.fib

    def validate(self, flow: FlowKey, dev: Device, out: Device | None) -> int:
        """Check a source: a negative errno, 0, or 1 for a directly connected one.

        `out` is the device the packet would leave by, None for us. Mirrors fib_validate_source().
        """
        conf, everywhere = dev.conf, self._parts.sysctl.conf_all
        rpf = max(conf.rp_filter, everywhere.rp_filter)
        accept_local = conf.accept_local | everywhere.accept_local
        lookup = self._fib.lookup
        if not rpf and (out is not dev or not conf.send_redirects | everywhere.send_redirects):
            if accept_local:
                return 0
            if not lookup.custom_local and lookup.merged:
                return -EINVAL if self._parts.interfaces.is_local(flow.saddr) and not dev.loopback else 0
        mark = flow.mark if conf.src_valid_mark | everywhere.src_valid_mark else 0
        iif = (out or self._parts.interfaces.lo).ifindex
        back = FlowKey(flow.saddr, flow.daddr, flow.tos, 0, iif, mark, flow.proto, flow.dport, flow.sport)
        result = self._fib.ask(back)
        if isinstance(result, Miss):
            return -EXDEV if rpf else 0
        ours = result.kind == RTN_LOCAL
        if result.kind != RTN_UNICAST and not (ours and (accept_local or dev.loopback)):
            return -EINVAL
        if result.info.uses(dev) or (ours and dev.loopback):
            return int(result.nexthop.scope >= RT_SCOPE_HOST)
        if not dev.addresses:
            return -EXDEV if rpf else 0
        if rpf == 1:
            return -EXDEV
        result = self._fib.ask(back._replace(oif=dev.ifindex, ignore_linkdown=True))
        if isinstance(result, FibResult) and result.kind == RTN_UNICAST:
            return int(result.nexthop.scope >= RT_SCOPE_HOST)
        return 0


class ReversePath:
    """The check of a 2.2 or 2.4 box."""

    def __init__(self, parts: Parts, *, patched: bool) -> None:
        self._parts = parts
        self._fib = parts.fib
        self._patched = patched

    def validate(self, saddr: Ip, daddr: Ip, tos: int, out: Device | None, dev: Device) -> Source | None:
        """Check a source; None refuses it. `out` is the device the packet leaves by, lo for us, None for a broadcast.

        Marks do not count here. Strict only where `all` and the device both say so. Mirrors fib_validate_source().
        """
        if not dev.has_ip:
            return None
        strict = bool(dev.conf.rp_filter and self._parts.sysctl.conf_all.rp_filter)
        flow = FlowKey(saddr, daddr, tos, 0, out.ifindex if out is not None else 0)
        result = self._fib.ask(flow)
        if isinstance(result, Miss):
            return None if strict else self._unknown(dev)
        if result.kind != RTN_UNICAST:
            return None
        several = len(result.info.nexthops) > 1
        if result.nexthop.dev is dev or (several and not self._patched):
            return self._passed(result)
        if not dev.addresses:
            return None if strict else self._unknown(dev)
        if strict and not self._patched:
            return None
        first = Source(False, self._spec_dst(result))
        second = self._fib.ask(flow._replace(oif=dev.ifindex))
        if isinstance(second, FibResult) and second.kind == RTN_UNICAST:
            as_good = (
                second.table is result.table
                and second.prefixlen >= result.prefixlen
                and second.alias.scope >= result.alias.scope
            )
            if as_good or not strict:
                return self._passed(second)
        return None if strict else first

    def _unknown(self, dev: Device) -> Source:
        return Source(False, self._parts.interfaces.select_address(dev, 0, RT_SCOPE_UNIVERSE))

    def _spec_dst(self, result: FibResult) -> Ip:
        return self._fib.routes.source(result.info, result.index, result.alias.scope)

    def _passed(self, result: FibResult) -> Source:
        return Source(result.nexthop.scope >= RT_SCOPE_HOST, self._spec_dst(result))
