"""A network device as the IPv4 stack sees it: flags, link address, MTU, carrier, and its per-device settings.

Source: include/uapi/linux/if.h, include/linux/netdevice.h, include/linux/inetdevice.h.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from netsim.addr import ZERO_MAC, Ip, Mac

if TYPE_CHECKING:
    from netsim.stack.address import IfAddr
    from netsim.stack.sysctl import DevConf, NeighParms

IFF_UP = 0x1
IFF_BROADCAST = 0x2
IFF_LOOPBACK = 0x8
IFF_POINTOPOINT = 0x10
IFF_RUNNING = 0x40
IFF_NOARP = 0x80
IFF_PROMISC = 0x100
IFF_MULTICAST = 0x1000
IFF_LOWER_UP = 0x10000

ETHER = "ether"
PPP = "ppp"
DUMMY = "dummy"
TUN = "tun"
LOOPBACK = "loopback"

KIND_FLAGS = MappingProxyType(
    {
        ETHER: IFF_BROADCAST | IFF_MULTICAST,
        PPP: IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST,
        DUMMY: IFF_BROADCAST | IFF_NOARP,
        TUN: IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST,
        LOOPBACK: IFF_LOOPBACK,
    }
)
KIND_MTU = MappingProxyType({ETHER: 1500, PPP: 1500, DUMMY: 1500, TUN: 1500, LOOPBACK: 65536})
KIND_LINK_HEADER = MappingProxyType({ETHER: True, PPP: False, DUMMY: True, TUN: False, LOOPBACK: False})


class Device:
    """One device. Owned by Interfaces; others hold references and never write to it.

    `addresses` is the ordered in_device list (see address.py for the order). `has_ip` is whether the device has IPv4
    state (struct in_device): from its first address or `up` until its last address goes.
    `carrier` is what the link says, `running` (the operational state) what the box has heard of it.
    `conf` and `neigh` are its net.ipv4.conf.NAME and net.ipv4.neigh.NAME settings.
    """

    __slots__ = (
        "addresses", "carrier", "conf", "flags", "has_ip", "ifindex", "kind", "link_header", "mac", "mtu", "name",
        "neigh", "registered", "running", "rx_bytes", "rx_packets", "tx_bytes", "tx_packets",
    )  # fmt: skip

    def __init__(
        self, name: str, ifindex: int, kind: str, mac: Mac, mtu: int, conf: DevConf, neigh: NeighParms
    ) -> None:
        self.name = name
        self.ifindex = ifindex
        self.kind = kind
        self.mac = mac or ZERO_MAC
        self.mtu = mtu
        self.flags = KIND_FLAGS[kind]
        self.link_header = KIND_LINK_HEADER[kind]
        self.carrier = True
        self.running = True
        self.has_ip = False
        self.registered = True
        self.addresses: list[IfAddr] = []
        self.conf = conf
        self.neigh = neigh
        self.rx_packets = self.rx_bytes = self.tx_packets = self.tx_bytes = 0

    @property
    def up(self) -> bool:
        """Administratively up (IFF_UP); says nothing of the carrier."""
        return bool(self.flags & IFF_UP)

    @property
    def noarp(self) -> bool:
        """Whether nobody is ever asked for a link address here (IFF_NOARP)."""
        return bool(self.flags & IFF_NOARP)

    @property
    def loopback(self) -> bool:
        """Whether this is lo."""
        return bool(self.flags & IFF_LOOPBACK)

    def address_for(self, ip: Ip) -> IfAddr | None:
        """Return the address entry whose local address is `ip`, if this device has it."""
        for ifa in self.addresses:
            if ifa.local == ip:
                return ifa
        return None

    def __repr__(self) -> str:
        return f"<Device {self.ifindex} {self.name}>"
