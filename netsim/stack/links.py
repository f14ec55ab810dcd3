"""Devices and addresses come, change and go: the requests, and who is told in which order.

This is the notifier chain of a box. The order of calls is the kernel's: devinet first, then the FIB, neighbours, the
masquerade table. Source: net/ipv4/devinet.c inetdev_event(), __inet_del_ifa(); fib_frontend.c fib_netdev_event(),
fib_inetaddr_event(); arp.c arp_netdev_event(); nf_nat_masquerade.c; linux-kernel note 2.11, observed-linux 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from netsim.addr import MASKS
from netsim.stack.address import RT_SCOPE_HOST, IfAddr
from netsim.stack.device import IFF_LOWER_UP, IFF_NOARP, IFF_PROMISC, IFF_RUNNING, KIND_MTU, Device
from netsim.stack.errno import EADDRNOTAVAIL, EEXIST, EINVAL, ENODEV, EOPNOTSUPP, Refusal
from netsim.stack.interfaces import Interfaces
from netsim.stack.linkwatch import LinkWatch
from netsim.stack.requests import (
    DONE,
    NLM_F_REPLACE,
    AddrInfo,
    DelAddr,
    DelLink,
    Done,
    DumpAddrs,
    DumpLinks,
    LinkInfo,
    NewAddr,
    NewLink,
    SetLink,
)
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns

MIN_MTU = 68
MAX_MTU = 65536
LOOPBACK_ADDR = 0x7F000001


class FibEvents(Protocol):
    """The FIB as the notifier chain sees it."""

    def address_added(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """Make the address's routes."""
        ...

    def address_removed(self, dev: Device, ifa: IfAddr, *, last: bool, now: Ns) -> None:
        """Take the address's routes away."""
        ...

    def device_up(self, dev: Device, *, now: Ns) -> None:
        """Bring connected routes and paths back."""
        ...

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Mark paths dead."""
        ...

    def ip_disabled(self, dev: Device, *, now: Ns) -> None:
        """The last address went: every route of the device dies."""
        ...

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """The device is being unregistered."""
        ...

    def carrier_changed(self, dev: Device, *, now: Ns) -> None:
        """The carrier came or went."""
        ...

    def device_changed(self, dev: Device, *, now: Ns) -> None:
        """MTU, MAC or flags changed."""
        ...


class NeighEvents(Protocol):
    """The neighbour table as the notifier chain sees it."""

    def device_added(self, dev: Device, *, now: Ns) -> None:
        """Draw its reachable time."""
        ...

    def device_up(self, dev: Device, *, now: Ns) -> None:
        """Announce addresses where arp_notify says so."""
        ...

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Flush its entries."""
        ...

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """Forget the device."""
        ...

    def carrier_lost(self, dev: Device, *, now: Ns) -> None:
        """Flush what arp_evict_nocarrier says."""
        ...

    def mac_changed(self, dev: Device, *, now: Ns) -> None:
        """Flush, and announce."""
        ...

    def noarp_changed(self, dev: Device, *, now: Ns) -> None:
        """Flush: entries are of another kind now."""
        ...


class NatEvents(Protocol):
    """The masquerade table as the notifier chain sees it."""

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Forget connections that masquerade there."""
        ...

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """The device goes for good."""
        ...

    def address_added(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """An address came."""
        ...

    def address_removed(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """An address went."""
        ...


class Links:
    """The requests about devices and addresses of one box."""

    def __init__(
        self, *, interfaces: Interfaces, sysctl: Sysctl, timers: Timers, fib: FibEvents, neigh: NeighEvents,
        nat: NatEvents, linkwatch: bool,
    ) -> None:  # fmt: skip
        self._interfaces = interfaces
        self._sysctl = sysctl
        self._fib = fib
        self._neigh = neigh
        self._nat = nat
        self._watch = LinkWatch(interfaces=interfaces, timers=timers, told=self, waits=linkwatch)
        self.handlers: Mapping[type, Any] = MappingProxyType({  # Any: each handler takes its own request type
            NewLink: self.new_link, SetLink: self.set_link, DelLink: self.del_link, DumpLinks: self.dump_links,
            NewAddr: self.new_addr, DelAddr: self.del_addr, DumpAddrs: self.dump_addrs,
        })  # fmt: skip

    # Devices

    def new_link(self, req: NewLink, *, now: Ns) -> Done | Refusal:
        """Register a device."""
        if req.name in self._interfaces:
            return Refusal(EEXIST)
        if req.kind not in KIND_MTU:
            return Refusal(EOPNOTSUPP, "Unknown device type")
        dev = self._interfaces.add(req.name, req.kind, req.mac, req.mtu or KIND_MTU[req.kind])
        self._neigh.device_added(dev, now=now)
        return DONE

    def set_link(self, req: SetLink, *, now: Ns) -> Done | Refusal:
        """Change a device: link address and MTU first, then flags, then up or down."""
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        if req.mtu is not None and not MIN_MTU <= req.mtu <= MAX_MTU:
            return Refusal(EINVAL, f"mtu {'less than' if req.mtu < MIN_MTU else 'greater than'} device "
                                   f"{'minimum' if req.mtu < MIN_MTU else 'maximum'}")  # fmt: skip
        if req.new_name is not None:
            if self._interfaces.named(req.new_name) is not None:
                return Refusal(EEXIST)
            return Refusal(EOPNOTSUPP, "netsim does not rename devices")
        if req.mac is not None and (req.mac[0] & 1 or not any(req.mac)):
            return Refusal(EADDRNOTAVAIL)  # is_valid_ether_addr(), eth_prepare_mac_addr_change()
        if req.mtu is not None:
            self._interfaces.set_link(dev, mtu=req.mtu)
            self._fib.device_changed(dev, now=now)
        if req.mac is not None and req.mac != dev.mac:
            self._interfaces.set_link(dev, mac=req.mac)
            self._neigh.mac_changed(dev, now=now)
            self._fib.device_changed(dev, now=now)
        if req.promisc is not None:
            self._interfaces.set_flag(dev, IFF_PROMISC, req.promisc)
        if req.arp is not None and req.arp == dev.noarp:
            self._interfaces.set_flag(dev, IFF_NOARP, not req.arp)
            self._neigh.noarp_changed(dev, now=now)
        if req.up is not None and req.up != dev.up:
            if req.up:
                self._up(dev, now=now)
            else:
                self._down(dev, now=now)
        return DONE

    def _up(self, dev: Device, *, now: Ns) -> None:
        """Mirror NETDEV_UP: lo gets 127.0.0.1/8 by itself the first time."""
        self._interfaces.set_up(dev, True)
        self._interfaces.set_running(dev, dev.carrier)
        if dev.loopback and dev.address_for(LOOPBACK_ADDR) is None:
            ifa = IfAddr(LOOPBACK_ADDR, 8, LOOPBACK_ADDR, 0, RT_SCOPE_HOST, dev.name)
            self._interfaces.insert_address(dev, ifa)
            self._fib.address_added(dev, ifa, now=now)
        self._fib.device_up(dev, now=now)
        self._neigh.device_up(dev, now=now)

    def _down(self, dev: Device, *, now: Ns) -> None:
        """Mirror NETDEV_DOWN."""
        self._interfaces.set_up(dev, False)
        self._fib.device_down(dev, now=now)
        self._neigh.device_down(dev, now=now)
        self._nat.device_down(dev, now=now)

    def del_link(self, req: DelLink, *, now: Ns) -> Done | Refusal:
        """Unregister a device: down, addresses gone, IPv4 state gone, then its routes."""
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        if dev.loopback:
            return Refusal(EOPNOTSUPP)
        if dev.up:
            self._down(dev, now=now)
        while dev.addresses:
            self._remove(dev, dev.addresses[0], now=now)
        self._interfaces.disable_ip(dev)
        self._fib.device_removed(dev, now=now)
        self._neigh.device_removed(dev, now=now)
        self._watch.forget(dev)
        self._nat.device_removed(dev, now=now)
        self._interfaces.remove(dev)
        return DONE

    def carrier(self, dev: Device, up: bool, *, now: Ns) -> None:
        """Take what the link says. Mirrors netif_carrier_on() and netif_carrier_off()."""
        if dev.carrier != up:
            self._interfaces.set_carrier(dev, up)
            self._watch.changed(dev, now=now)

    def carrier_told(self, dev: Device, *, now: Ns) -> None:
        """Mirror NETDEV_CHANGE."""
        self._fib.carrier_changed(dev, now=now)
        if not dev.carrier:
            self._neigh.carrier_lost(dev, now=now)

    def dump_links(self, req: DumpLinks, *, now: Ns) -> tuple[LinkInfo, ...]:
        """List devices."""
        return tuple(
            LinkInfo(
                ifindex=dev.ifindex, name=dev.name, kind=dev.kind, mtu=dev.mtu, mac=dev.mac, carrier=dev.carrier,
                flags=dev.flags | (IFF_LOWER_UP if dev.up and dev.carrier else 0)
                | (IFF_RUNNING if dev.up and dev.running else 0),
                rx_packets=dev.rx_packets, rx_bytes=dev.rx_bytes, tx_packets=dev.tx_packets, tx_bytes=dev.tx_bytes,
            )
            for dev in self._interfaces
        )  # fmt: skip

    # Addresses

    def new_addr(self, req: NewAddr, *, now: Ns) -> Done | Refusal:
        """Add an address and its routes. Mirrors inet_rtm_newaddr()."""
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        ifa = IfAddr(
            req.local, req.plen, req.peer or req.local, req.broadcast, req.scope, req.label or dev.name,
            noprefixroute=req.noprefixroute,
        )  # fmt: skip
        old = next((each for each in dev.addresses if each.local == ifa.local and each.plen == ifa.plen), None)
        if old is not None:
            return DONE if req.flags & NLM_F_REPLACE else Refusal(EEXIST, "ipv4: Address already assigned")
        if not ifa.local:
            return DONE  # __inet_insert_ifa() frees such an address and calls it success
        if not self._interfaces.insert_address(dev, ifa):
            return Refusal(EINVAL, "ipv4: Invalid scope value")
        self._fib.address_added(dev, ifa, now=now)
        self._nat.address_added(dev, ifa, now=now)
        return DONE

    def del_addr(self, req: DelAddr, *, now: Ns) -> Done | Refusal:
        """Delete the first address that matches. Mirrors inet_rtm_deladdr()."""
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        for ifa in dev.addresses:
            if ifa.local != req.local or (req.label and ifa.label != req.label):
                continue
            if req.plen is not None and req.plen != ifa.plen:
                continue
            if req.peer is not None and req.peer & MASKS[ifa.plen] != ifa.prefix:
                continue
            self._remove(dev, ifa, now=now)
            return DONE
        return Refusal(EADDRNOTAVAIL, "ipv4: Address not found")

    def _remove(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """Delete an address; its subnet's secondaries go with it, or the first of them takes its place.

        Source: __inet_del_ifa(); promote_secondaries is the OR of `all` and the device.
        """
        promote = dev.conf.promote_secondaries | self._sysctl.conf_all.promote_secondaries
        heirs = []
        if not ifa.secondary:
            heirs = [
                each for each in dev.addresses if each.secondary and each.plen == ifa.plen and ifa.holds(each.peer)
            ]
            if not promote:
                for heir in heirs:
                    self._unlink(dev, heir, now=now)
        self._unlink(dev, ifa, now=now)
        if promote and heirs:
            self._promote(dev, heirs, now=now)

    def _unlink(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        self._interfaces.delete_address(dev, ifa)
        last = not dev.addresses
        self._fib.address_removed(dev, ifa, last=last, now=now)
        if last:
            self._fib.ip_disabled(dev, now=now)
            self._neigh.device_down(dev, now=now)
            self._interfaces.disable_ip(dev)
        self._nat.address_removed(dev, ifa, now=now)

    def _promote(self, dev: Device, heirs: list[IfAddr], *, now: Ns) -> None:
        """Make the first secondary primary: all of the subnet's routes are made again with its address as source."""
        for heir in heirs:
            self._fib.address_removed(dev, heir, last=False, now=now)  # still listed: it stays ours
        for heir in heirs:
            self._interfaces.delete_address(dev, heir)
        for heir in heirs:
            self._interfaces.insert_address(dev, heir)
            self._fib.address_added(dev, heir, now=now)

    def dump_addrs(self, req: DumpAddrs, *, now: Ns) -> tuple[AddrInfo, ...]:
        """List addresses."""
        return tuple(
            AddrInfo(
                dev=dev.name, ifindex=dev.ifindex, local=ifa.local, plen=ifa.plen, peer=ifa.peer, label=ifa.label,
                broadcast=ifa.broadcast, scope=ifa.scope, secondary=ifa.secondary, noprefixroute=ifa.noprefixroute,
            )
            for dev in self._interfaces
            for ifa in dev.addresses
        )  # fmt: skip
