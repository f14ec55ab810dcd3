"""The devices of a box and the addresses on them: the one owner of both tables.

Others ask: which device is `wan0`, is this address ours, which source does a packet get. What a change means for
routes, neighbours and NAT is told to them by netns.py in the kernel's order; this table knows nothing of it.
Source: net/core/dev.c, net/ipv4/devinet.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from netsim.addr import Ip, Mac
from netsim.stack import address
from netsim.stack.address import IfAddr
from netsim.stack.device import IFF_UP, KIND_MTU, LOOPBACK, Device
from netsim.stack.sysctl import Sysctl


class Interfaces:
    """Devices by name and index (never reused), and a count of each local address.

    With `ip_from_birth` a device has IPv4 state from registration on (mainline); without, from its first address until
    its last one goes (2.2, 2.4). `generation` counts every change of a device or address, for whoever remembers
    answers made from them.
    """

    def __init__(self, sysctl: Sysctl, *, ip_from_birth: bool = True) -> None:
        self._sysctl = sysctl
        self._ip_from_birth = ip_from_birth
        self._by_name: dict[str, Device] = {}
        self._by_index: dict[int, Device] = {}
        self._local: dict[Ip, int] = {}
        self._next_index = 1
        self.generation = 0
        self.lo = self.add("lo", LOOPBACK, b"", KIND_MTU[LOOPBACK])

    def __iter__(self) -> Iterator[Device]:
        """Yield devices in ifindex order."""
        return iter(self._by_index.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def named(self, name: str) -> Device | None:
        """Return the device called `name`, or None."""
        return self._by_name.get(name)

    def index(self, ifindex: int) -> Device | None:
        """Return the device of that index, or None."""
        return self._by_index.get(ifindex)

    def is_local(self, ip: Ip) -> bool:
        """Tell whether `ip` is on any device, up or down."""
        return ip in self._local

    def add(self, name: str, kind: str, mac: Mac, mtu: int) -> Device:
        """Register a new device, down, with the next index; the caller has checked that the name is free."""
        conf, neigh = self._sysctl.add_device(name)
        device = Device(name, self._next_index, kind, mac, mtu, conf, neigh)
        self._next_index += 1
        device.has_ip = self._ip_from_birth
        self._by_name[name] = device
        self._by_index[device.ifindex] = device
        self.generation += 1
        return device

    def remove(self, device: Device) -> None:
        """Unregister a device that has no addresses left."""
        device.registered = False
        del self._by_name[device.name]
        del self._by_index[device.ifindex]
        self._sysctl.remove_device(device.name)
        self.generation += 1

    def set_up(self, device: Device, up: bool) -> None:
        """Set or clear IFF_UP."""
        device.flags = device.flags | IFF_UP if up else device.flags & ~IFF_UP
        self.generation += 1

    def set_flag(self, device: Device, flag: int, on: bool) -> None:
        """Set or clear another IFF_ flag (NOARP, PROMISC)."""
        device.flags = device.flags | flag if on else device.flags & ~flag
        self.generation += 1

    def set_carrier(self, device: Device, carrier: bool) -> None:
        """Note what the link says."""
        device.carrier = carrier
        self.generation += 1

    def set_running(self, device: Device, running: bool) -> None:
        """Note what the box has heard of the carrier."""
        device.running = running

    def set_link(self, device: Device, *, mac: Mac | None = None, mtu: int | None = None) -> None:
        """Change the link address or the MTU."""
        if mac is not None:
            device.mac = mac
        if mtu is not None:
            device.mtu = mtu
        self.generation += 1

    def insert_address(self, device: Device, ifa: IfAddr) -> bool:
        """Put an address in its place; False when the device has it already."""
        if not address.insert(device.addresses, ifa):
            return False
        device.has_ip = True
        self._local[ifa.local] = self._local.get(ifa.local, 0) + 1
        self.generation += 1
        return True

    def delete_address(self, device: Device, ifa: IfAddr) -> None:
        """Take an address away; what becomes of its secondaries is the caller's to decide (netns.py)."""
        device.addresses.remove(ifa)
        self._local[ifa.local] -= 1
        if not self._local[ifa.local]:
            del self._local[ifa.local]
        self.generation += 1

    def disable_ip(self, device: Device) -> None:
        """Drop the device's IPv4 state after its last address went, where the era does so (inetdev_destroy)."""
        device.has_ip = self._ip_from_birth and device.registered
        self.generation += 1

    def select_address(self, device: Device, dst: Ip, scope: int) -> Ip:
        """Mirror inet_select_addr(): a source for `dst` (0: any) leaving by `device`, 0 if there is none."""
        return address.select(device, self, dst, scope)
