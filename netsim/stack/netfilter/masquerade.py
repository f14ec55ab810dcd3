"""MASQUERADE: which source a connection gets, and when its mappings are forgotten.

Source: nf_nat_masquerade_ipv4(), masq_device_event(), masq_inet_event(), net/netfilter/nf_nat_masquerade.c (6.x);
ipt_MASQUERADE.c (2.4.17, 2.4.27); linux-kernel 3.3, 5.8; route-patches 6.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_UNIVERSE, IfAddr
from netsim.stack.device import Device
from netsim.stack.dst import Refused
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.conntrack import ConntrackTable
from netsim.stack.ports import Routing
from netsim.stack.skb import Skb
from netsim.units import Ns


class Masquerade(Protocol):
    """An era's MASQUERADE. `spares_local`: packets of the box's own sockets pass unchanged."""

    spares_local: bool

    def source(self, skb: Skb, out: Device, *, now: Ns) -> Ip:
        """Return the address to masquerade with, 0 when there is none: the packet is dropped."""
        ...

    def device_down(self, dev: Device, now: Ns) -> None:
        """Forget what a device that went down carried."""
        ...

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Forget what a new address makes wrong."""
        ...

    def address_removed(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Forget what a lost address makes wrong."""
        ...


class MainlineMasquerade:
    """Kernel 6: inet_select_addr() on the device, for the nexthop; the route's own `src` is not looked at."""

    spares_local = False

    def __init__(self, table: ConntrackTable, interfaces: Interfaces) -> None:
        self._table = table
        self._interfaces = interfaces

    def source(self, skb: Skb, out: Device, *, now: Ns) -> Ip:
        """Return the device's primary address beside the nexthop, else its first, else any other device's."""
        nexthop = skb.daddr if skb.route is None else skb.route.nexthop(skb.daddr)
        return self._interfaces.select_address(out, nexthop, RT_SCOPE_UNIVERSE)

    def device_down(self, dev: Device, now: Ns) -> None:
        """Forget every connection masqueraded by this device."""
        ifindex = dev.ifindex
        self._table.sweep(lambda ct: ct.masq_index == ifindex, now)

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Nothing: old connections keep their address."""

    def address_removed(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Forget the device's connections masqueraded with this address."""
        ifindex, address = dev.ifindex, ifa.local
        self._table.sweep(lambda ct: ct.masq_index == ifindex and ct.tuple_reply.dst == address, now)


class OldMasquerade:
    """2.4: an output lookup for the packet's destination, source 0, and the source that route has.

    `by_device` binds the lookup to the out device (2.4.17 to 2.4.20); without it (2.4.27) another device in the answer
    drops the packet: "Route sent us somewhere else". `by_gateway` adds the packet's own gateway (the nf_reroute patch).
    `on_removal`: going down and losing an address forget (2.4.17); else gaining a different one does (2.4.27).
    """

    spares_local = True

    def __init__(
        self, table: ConntrackTable, routing: Routing, *, by_device: bool, by_gateway: bool, on_removal: bool
    ) -> None:
        self._table = table
        self._routing = routing
        self._by_device = by_device
        self._by_gateway = by_gateway
        self._on_removal = on_removal

    def source(self, skb: Skb, out: Device, *, now: Ns) -> Ip:
        """Return the looked-up route's source, 0 when there is no route or it leaves elsewhere."""
        gateway = skb.route.gateway if self._by_gateway and skb.route is not None else 0
        oif = out if self._by_device or self._by_gateway else None
        found = self._routing.output(skb.daddr, now=now, tos=skb.tos & 0x1E, oif=oif, mark=skb.mark, gw=gateway)
        if isinstance(found, Refused) or found.error or (oif is None and found.dev is not out):
            return 0
        return found.src

    def device_down(self, dev: Device, now: Ns) -> None:
        """Forget (2.4.17) every connection masqueraded by this device."""
        if self._on_removal:
            ifindex = dev.ifindex
            self._table.sweep(lambda ct: ct.masq_index == ifindex, now)

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Forget (2.4.27) the device's connections masqueraded with any other address."""
        if not self._on_removal:
            ifindex, address = dev.ifindex, ifa.local
            self._table.sweep(lambda ct: ct.masq_index == ifindex and ct.tuple_reply.dst != address, now)

    def address_removed(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Forget (2.4.17) every connection masqueraded by this device, whatever its address."""
        self.device_down(dev, now)
