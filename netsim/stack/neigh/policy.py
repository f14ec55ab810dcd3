"""ARP policy: whom we answer, which of our addresses a probe names, whom we may learn from.

Pure questions about devices, addresses and settings; arp.py asks them. How `all` and a device combine: arp_announce,
arp_ignore, arp_accept and arp_notify take the larger value, arp_filter, proxy_arp, drop_gratuitous_arp either one,
arp_evict_nocarrier both.
Source: net/ipv4/arp.c (arp_ignore, arp_filter, arp_solicit, arp_accept, arp_is_garp, arp_fwd_proxy, arp_fwd_pvlan),
net/ipv4/devinet.c (inet_confirm_addr, inet_addr_onlink); linux-kernel 1.9, 1.10; observed-linux 9.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK
from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Route
from netsim.stack.interfaces import Interfaces
from netsim.stack.ports import Routing
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.units import Ns
from netsim.wire.arp import ARPOP_REPLY, Arp


def _confirm_on(dev: Device, dst: Ip, local: Ip, scope: int) -> Ip:
    """Mirror confirm_addr_indev(): an address of `dev` that is `local` (0: any), in `dst`'s subnet (0: any), or 0."""
    addr = 0
    same = False
    floor = RT_SCOPE_LINK if dev.conf.route_localnet else RT_SCOPE_HOST
    for ifa in dev.addresses:
        in_scope = min(ifa.scope, floor) <= scope
        if not addr and local in (0, ifa.local) and in_scope:
            addr = ifa.local
            if same:
                break
        if not same:
            same = (not local or ifa.holds(local)) and (not dst or ifa.holds(dst))
            if same and addr:
                if local or not dst or ifa.holds(addr):
                    break
                if in_scope:
                    addr = ifa.local
                    break
                same = False
    return addr if same else 0


class ArpPolicy:
    """The questions, for one box."""

    def __init__(self, *, sysctl: Sysctl, interfaces: Interfaces) -> None:
        self._all = sysctl.conf_all
        self._interfaces = interfaces

    def confirm_addr(self, dev: Device | None, dst: Ip, local: Ip, scope: int) -> Ip:
        """Mirror inet_confirm_addr(): look on one device, or with None on all."""
        if dev is not None:
            return _confirm_on(dev, dst, local, scope)
        for each in self._interfaces:
            addr = _confirm_on(each, dst, local, scope)
            if addr:
                return addr
        return 0

    def ignore(self, dev: Device, sip: Ip, tip: Ip) -> bool:
        """Mirror arp_ignore(): whether a request for our own `tip` goes unanswered."""
        level = max(self._all.arp_ignore, dev.conf.arp_ignore)
        if level == 1:
            return not self.confirm_addr(dev, 0, tip, RT_SCOPE_HOST)
        if level == 2:
            return not self.confirm_addr(dev, sip, tip, RT_SCOPE_HOST)
        if level == 3:
            return not self.confirm_addr(None, 0, tip, RT_SCOPE_LINK)
        return level == 8

    def filtered(self, dev: Device, sip: Ip, tip: Ip, routing: Routing, *, now: Ns) -> bool:
        """Mirror arp_filter(): with arp_filter set, answer only where the way back to `sip` leaves by `dev`."""
        if not (self._all.arp_filter or dev.conf.arp_filter):
            return False
        route = routing.output(sip, saddr=tip, now=now)
        return not isinstance(route, Route) or bool(route.error) or route.dev is not dev

    def accepts(self, dev: Device, sip: Ip) -> bool:
        """Mirror arp_accept(): whether an entry may be made for a sender nobody asked."""
        level = max(self._all.arp_accept, dev.conf.arp_accept)
        return level == 1 or (level == 2 and bool(self.confirm_addr(dev, sip, 0, RT_SCOPE_LINK)))

    def gratuitous(self, dev: Device, arp: Arp, routing: Routing) -> bool:
        """Mirror arp_is_garp(): sender and target are one foreign address; a reply also repeats the link address."""
        if arp.tpa != arp.spa or (arp.op == ARPOP_REPLY and arp.tha != arp.sha):
            return False
        return routing.address_type(arp.spa, dev) == RTN_UNICAST

    def drops_gratuitous(self, dev: Device) -> bool:
        """Tell whether drop_gratuitous_arp is set."""
        return bool(self._all.drop_gratuitous_arp or dev.conf.drop_gratuitous_arp)

    def notifies(self, dev: Device) -> bool:
        """Tell whether arp_notify is set."""
        return bool(self._all.arp_notify or dev.conf.arp_notify)

    def evicts(self, dev: Device) -> bool:
        """Tell whether carrier loss flushes: arp_evict_nocarrier of both, and always without IPv4 state."""
        return not dev.has_ip or bool(self._all.arp_evict_nocarrier and dev.conf.arp_evict_nocarrier)

    def proxies(self, dev: Device, out: Device) -> bool:
        """Mirror arp_fwd_proxy(): whether we stand in on `dev` for a host behind `out`, media permitting."""
        if out is dev or not (self._all.proxy_arp or dev.conf.proxy_arp):
            return False
        medium = dev.conf.medium_id
        if medium == 0:
            return True
        return medium != -1 and out.conf.medium_id not in (medium, -1)

    def proxies_pvlan(self, dev: Device, out: Device, arp: Arp) -> bool:
        """Mirror arp_fwd_pvlan(): whether we stand in for a host of the same segment; never for a self probe."""
        if out is not dev or arp.spa == arp.tpa:
            return False
        return bool(self._all.proxy_arp_pvlan or dev.conf.proxy_arp_pvlan)

    def announced(self, dev: Device, target: Ip, hint: Skb | None, routing: Routing) -> Ip:
        """Choose a probe's sender by arp_announce: the packet's own source where that is allowed, else the device's.

        0: any source that is local; 1: a local one on a subnet of `dev` that holds the target too; 2: never.
        """
        level = max(self._all.arp_announce, dev.conf.arp_announce)
        if hint is not None and level != 2 and routing.address_type(hint.saddr) == RTN_LOCAL:
            together = any(ifa.holds(target) and ifa.holds(hint.saddr) for ifa in dev.addresses)
            if level != 1 or together:
                return hint.saddr
        return self._interfaces.select_address(dev, target, RT_SCOPE_LINK)
