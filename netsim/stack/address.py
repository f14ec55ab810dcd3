"""Addresses of a device: their order, primary and secondary, and which one a packet leaves with.

Source: net/ipv4/devinet.c __inet_insert_ifa(), __inet_del_ifa(), inet_select_addr(); linux-kernel note 2.10, 2.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netsim.addr import MASKS, Ip
from netsim.stack.device import Device

RT_SCOPE_UNIVERSE = 0
RT_SCOPE_SITE = 200
RT_SCOPE_LINK = 253
RT_SCOPE_HOST = 254
RT_SCOPE_NOWHERE = 255


@dataclass(slots=True)
class IfAddr:
    """One address of a device (struct in_ifaddr); only Interfaces writes to it.

    `local` is ours, `peer` the far end of a point-to-point address (equal to `local` otherwise), `broadcast` 0 if none.
    """

    local: Ip
    plen: int
    peer: Ip
    broadcast: Ip
    scope: int
    label: str
    secondary: bool = False
    noprefixroute: bool = False

    @property
    def mask(self) -> int:
        """The netmask as an int."""
        return MASKS[self.plen]

    @property
    def prefix(self) -> Ip:
        """The network address, of the peer where there is one."""
        return self.peer & MASKS[self.plen]

    def holds(self, ip: Ip) -> bool:
        """Mirror inet_ifa_match(): whether `ip` lies in this address's subnet."""
        return not (self.peer ^ ip) & MASKS[self.plen]


def insert(addresses: list[IfAddr], new: IfAddr) -> bool:
    """Put `new` into its place, marking it secondary inside an existing subnet; False if the address is there already.

    Primaries stand by scope number descending and in order of arrival inside one; secondaries stand at the end.
    Source: __inet_insert_ifa().
    """
    new.secondary = False
    last_primary = 0
    for index, ifa in enumerate(addresses):
        if not ifa.secondary and new.scope <= ifa.scope:
            last_primary = index + 1
        if ifa.plen == new.plen and new.holds(ifa.peer):
            if ifa.local == new.local:
                return False
            if ifa.scope != new.scope:
                return False
            new.secondary = True
    if new.secondary:
        addresses.append(new)
    else:
        addresses.insert(last_primary, new)
    return True


def select(device: Device, devices: Iterable[Device], dst: Ip, scope: int) -> Ip:
    """Choose a source address for `dst` (a nexthop, or 0) leaving by `device`; 0 when no address is eligible.

    First the device's primaries within `scope` whose subnet holds `dst`, then its first eligible one, then any
    non-link-scope primary of the others, lo first (`devices` comes in ifindex order). Source: inet_select_addr().
    """
    first = 0
    for ifa in device.addresses:
        if ifa.secondary or ifa.scope > scope:
            continue
        if not dst or ifa.holds(dst):
            return ifa.local
        first = first or ifa.local
    if first:
        return first
    for other in devices:
        for ifa in other.addresses:
            if not ifa.secondary and ifa.scope != RT_SCOPE_LINK and ifa.scope <= scope:
                return ifa.local
    return 0
