"""What devices and addresses do to a mainline box's routes: they come and go, paths die and revive.

Source: net/ipv4/fib_frontend.c fib_add_ifaddr(), fib_del_ifaddr(), fib_magic(), fib_netdev_event(); fib_semantics.c
fib_sync_down_dev(), fib_sync_down_addr(), fib_sync_up() (6.x); linux-kernel note 2.11, observed-linux 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netsim.addr import LIMITED_BROADCAST, Ip, Prefix, is_zeronet
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, IfAddr
from netsim.stack.device import Device
from netsim.stack.dst import RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST
from netsim.stack.fib.multipath import rebalance
from netsim.stack.fib.route import FibInfo
from netsim.stack.fib.trie import Trie
from netsim.stack.requests import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
    RTPROT_KERNEL,
    DelRoute,
    NewRoute,
    NexthopSpec,
)
from netsim.units import Ns

BRD, SUBNET_BRD, LOCAL = 1, 2, 4
"""What another address of the device still needs."""


class MainlineEvents:
    """The FIB's side of mainline's notifier chain."""

    def __init__(self, trie: Trie, changed: Callable[[], None]) -> None:
        self._trie = trie
        self._changed = changed

    # The chain

    def address_added(self, dev: Device, ifa: IfAddr, now: Ns) -> None:
        """Make the address's routes; paths that died with the device's last address revive."""
        add_routes(self._trie, dev, ifa)
        self._sync_up(dev, RTNH_F_DEAD)
        self._changed()

    def address_removed(self, dev: Device, ifa: IfAddr, last: bool, now: Ns) -> None:
        """Take the address's routes away; those of table main that had it as source go with it."""
        if remove_routes(self._trie, dev, ifa):
            self._sync_down_source(ifa.local)
        self._changed()

    def device_up(self, dev: Device, now: Ns) -> None:
        """Make connected routes again and revive paths; routes that were deleted do not return."""
        for ifa in dev.addresses:
            add_routes(self._trie, dev, ifa)
        self._sync_up(dev, RTNH_F_DEAD)
        self._changed()

    def device_down(self, dev: Device, now: Ns) -> None:
        """Kill paths, but for those of our own addresses."""
        self._sync_down(dev, dead=True)

    def ip_disabled(self, dev: Device, now: Ns) -> None:
        """Kill every path."""
        self._sync_down(dev, dead=True, force=True)

    def device_removed(self, dev: Device, now: Ns) -> None:
        """Remove each route with any path there."""
        self._sync_down(dev, dead=True, force=True, unregister=True)

    def carrier_changed(self, dev: Device, now: Ns) -> None:
        """Mark paths as without carrier, or with it again; nothing is removed."""
        if dev.carrier:
            self._sync_up(dev, RTNH_F_LINKDOWN)
        else:
            self._sync_down(dev, dead=False)
        self._changed()

    def device_changed(self, dev: Device, now: Ns) -> None:
        """Forget answers after a change of MTU, MAC or flags."""
        self._changed()

    # Paths

    def _sync_down(self, dev: Device, *, dead: bool, force: bool = False, unregister: bool = False) -> None:
        """Mark a device's paths dead, or without carrier only. Mirrors fib_sync_down_dev()."""
        hit = False
        for info in self._on(dev):
            gone = 0
            for nexthop in info.nexthops:
                if nexthop.flags & RTNH_F_DEAD:
                    gone += 1
                elif nexthop.dev is dev and (force or nexthop.scope != RT_SCOPE_NOWHERE):
                    nexthop.flags |= (RTNH_F_DEAD | RTNH_F_LINKDOWN) if dead else RTNH_F_LINKDOWN
                    gone += 1
                if unregister and nexthop.dev is dev:
                    gone = len(info.nexthops)
                    break
            if gone == len(info.nexthops):
                info.flags |= (RTNH_F_DEAD | RTNH_F_LINKDOWN) if dead else RTNH_F_LINKDOWN
                hit = True
            rebalance(info, self._trie.lookup)
        if dead and hit:
            self._trie.flush(silent=lambda info: True)
        self._changed()

    def _sync_up(self, dev: Device, flags: int) -> None:
        """Clear state flags on a device's paths. Mirrors fib_sync_up()."""
        if not dev.up:
            return
        if flags & RTNH_F_DEAD and dev.carrier:
            flags |= RTNH_F_LINKDOWN
        for info in self._on(dev):
            alive = 0
            for nexthop in info.nexthops:
                if not nexthop.flags & flags:
                    alive += 1
                elif nexthop.dev is dev:
                    alive += 1
                    nexthop.flags &= ~flags
            if alive:
                info.flags &= ~flags
            rebalance(info, self._trie.lookup)

    def _on(self, dev: Device) -> Iterator[FibInfo]:
        return (info for info in self._trie.infos if info.uses(dev))

    def _sync_down_source(self, ip: Ip) -> None:
        """Remove the routes of main whose source went, with a message. Mirrors fib_sync_down_addr()."""
        hit = False
        for info in self._trie.infos:
            if info.prefsrc == ip and info.home[2] == RT_TABLE_MAIN:
                info.flags |= RTNH_F_DEAD
                hit = True
        if hit:
            self._trie.flush(silent=lambda info: info.prefsrc != ip)


def add_routes(trie: Trie, dev: Device, ifa: IfAddr) -> None:
    """Make an address's routes: local always, the others when its device is up. Mirrors fib_add_ifaddr()."""
    primary = primary_of(dev, ifa)
    if primary is None:
        return
    prefix = ifa.prefix
    _make(trie, RTN_LOCAL, ifa.local, 32, dev, primary)
    if not dev.up:
        return
    if ifa.broadcast and ifa.broadcast != LIMITED_BROADCAST:
        _make(trie, RTN_BROADCAST, ifa.broadcast, 32, dev, primary)
    if is_zeronet(prefix) or ifa.secondary or (prefix == ifa.local and ifa.plen == 32):
        return
    if not ifa.noprefixroute:
        _make(trie, RTN_LOCAL if dev.loopback else RTN_UNICAST, prefix, ifa.plen, dev, primary)
    if ifa.plen < 31:
        _make(trie, RTN_BROADCAST, subnet_broadcast(ifa), 32, dev, primary)


def remove_routes(trie: Trie, dev: Device, ifa: IfAddr) -> bool:
    """Take an address's routes away, but for what others of the device still need. Mirrors fib_del_ifaddr().

    True when the address is ours nowhere any more. An address that is still listed is being promoted: it stays ours.
    """
    primary = primary_of(dev, ifa)
    source = primary.local if primary is not None else 0
    prefix = ifa.prefix
    subnet = not ifa.secondary and not is_zeronet(prefix) and (prefix != ifa.local or ifa.plen < 32)
    if subnet and not ifa.noprefixroute:
        _unmake(trie, RTN_LOCAL if dev.loopback else RTN_UNICAST, prefix, ifa.plen, dev, source)
    needed = _still_needed(dev, ifa, source)
    if ifa.broadcast and not needed & BRD:
        _unmake(trie, RTN_BROADCAST, ifa.broadcast, 32, dev, source)
    if subnet and ifa.plen < 31 and not needed & SUBNET_BRD:
        _unmake(trie, RTN_BROADCAST, subnet_broadcast(ifa), 32, dev, source)
    if needed & LOCAL:
        return False
    _unmake(trie, RTN_LOCAL, ifa.local, 32, dev, source)
    return not any(each is ifa for each in dev.addresses) and trie.lookup.address_type(ifa.local) != RTN_LOCAL


def primary_of(dev: Device, ifa: IfAddr) -> IfAddr | None:
    """Return the primary of a secondary's subnet (None when it went first), the address itself otherwise."""
    if not ifa.secondary:
        return ifa
    for each in dev.addresses:
        if not each.secondary and each.plen == ifa.plen and each.holds(ifa.peer):
            return each
    return None


def subnet_broadcast(ifa: IfAddr) -> Ip:
    """Return the all-ones address of an address's subnet."""
    return ifa.prefix | (~ifa.mask & 0xFFFFFFFF)


def _still_needed(dev: Device, ifa: IfAddr, source: Ip) -> int:
    """Return the bits of what other addresses with the same primary source still need."""
    needed = 0
    for each in dev.addresses:
        if each is ifa:
            continue
        theirs = primary_of(dev, each)
        if theirs is None or theirs.local != source:
            continue
        if each.local == ifa.local:
            needed |= LOCAL
        broadcasts = {each.broadcast}
        if not each.secondary and each.plen < 31 and not is_zeronet(each.prefix):
            broadcasts.add(subnet_broadcast(each))
        if ifa.broadcast in broadcasts:
            needed |= BRD
        if subnet_broadcast(ifa) in broadcasts:
            needed |= SUBNET_BRD
    return needed


def kernel_route(kind: int, addr: Ip, plen: int, dev: Device, source: Ip) -> NewRoute:
    """Return the request fib_magic() makes: appended, proto kernel, in table main for a subnet, else in local."""
    return NewRoute(
        flags=NLM_F_CREATE | NLM_F_APPEND, dst=Prefix(addr, plen), kind=kind, protocol=RTPROT_KERNEL, prefsrc=source,
        table=RT_TABLE_MAIN if kind == RTN_UNICAST else RT_TABLE_LOCAL,
        scope=RT_SCOPE_HOST if kind == RTN_LOCAL else RT_SCOPE_LINK, nexthops=(NexthopSpec(dev=dev.name),),
    )  # fmt: skip


def kernel_deletion(kind: int, addr: Ip, plen: int, dev: Device, source: Ip) -> DelRoute:
    """Return the request that takes such a route away."""
    return DelRoute(
        dst=Prefix(addr, plen), kind=kind, protocol=RTPROT_KERNEL, prefsrc=source,
        table=RT_TABLE_MAIN if kind == RTN_UNICAST else RT_TABLE_LOCAL,
        scope=RT_SCOPE_HOST if kind == RTN_LOCAL else RT_SCOPE_LINK, nexthops=(NexthopSpec(dev=dev.name),),
    )  # fmt: skip


def _make(trie: Trie, kind: int, addr: Ip, plen: int, dev: Device, primary: IfAddr) -> None:
    """Append a kernel route; one that is there already is refused, which is fine. Mirrors fib_magic()."""
    trie.add(kernel_route(kind, addr, plen, dev, primary.local))


def _unmake(trie: Trie, kind: int, addr: Ip, plen: int, dev: Device, source: Ip) -> None:
    """Delete a kernel route, if it is there. Mirrors fib_magic()."""
    trie.delete(kernel_deletion(kind, addr, plen, dev, source))
