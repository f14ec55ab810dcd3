"""The sockets of the wall: one namespace that holds the far end of every interface, and a packet socket on each.

A veth pair leads from a box's interface to a port here. What the kernel sends comes out of the port's packet socket
with a nanosecond stamp; what is written into it arrives at the interface. Checksums are computed before a packet
leaves (offloads off), as a wire would need them. Taking a port down takes the carrier from its interface.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
from collections.abc import Callable
from struct import Struct

from netsim.addr import Mac, mac_str
from netsim.errors import SimulationError
from netsim.kernel.reactor import Reactor
from netsim.kernel.sealed import Namespace
from netsim.units import NS_PER_S

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_MR_PROMISC = 1
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
SIOCETHTOOL = 0x8946
IFF_UP = 1
OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)
"""ETHTOOL_STXCSUM, SSG, STSO, SGSO, SGRO: what leaves the work of a sender to a card that is not there."""

FIRST_INDEX = 1001
"""The kernel tells at once of a veth's carrier only where both ends differ in index, else up to a second later."""

_TIMESPEC = Struct("=qq")
_IFREQ_FLAGS = Struct("16sH14x")
_IFREQ_DATA = Struct("16sP")
_ETHTOOL_VALUE = Struct("=II")
_MREQ = Struct("=iHH8s")

Arrived = Callable[[int, bytes], None]
"""arrived(stamp, octets): a frame came out of an interface; `stamp` is CLOCK_REALTIME in ns."""


class Port:
    """One interface's far end."""

    __slots__ = ("_flags", "arrived", "carrier", "link_header", "name", "sock")

    def __init__(self, name: str, sock: socket.socket, flags: socket.socket, arrived: Arrived) -> None:
        self.name = name
        self.sock = sock
        self.arrived = arrived
        self.carrier = True
        self.link_header = True
        self._flags = flags

    def send(self, octets: bytes) -> bool:
        """Let a frame arrive at the interface; False when the kernel would not take it."""
        try:
            self.sock.send(octets)
        except OSError:
            return False
        return True

    def set_carrier(self, up: bool) -> None:
        """Give the interface its carrier, or take it."""
        self.carrier = up
        name = self.name.encode()
        _, flags = _IFREQ_FLAGS.unpack(fcntl.ioctl(self._flags, SIOCGIFFLAGS, _IFREQ_FLAGS.pack(name, 0)))
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(self._flags, SIOCSIFFLAGS, _IFREQ_FLAGS.pack(name, flags))

    def news(self, _mask: int) -> None:
        """Hand over every frame that came out."""
        while True:
            try:
                octets, extra, _, address = self.sock.recvmsg(1 << 16, 64)
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    continue  # told once after the port went down; frames from before may still wait
                return
            if address[2] == PACKET_OUTGOING:
                continue
            stamp = 0
            for level, kind, value in extra:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, rest = _TIMESPEC.unpack(value[: _TIMESPEC.size])
                    stamp = seconds * NS_PER_S + rest
            self.arrived(stamp, octets)


class Wall:
    """The namespace that holds the ports."""

    def __init__(self) -> None:
        self.namespace = Namespace("fabric")
        for key in ("all", "default"):
            self.namespace.write(f"/proc/sys/net/ipv6/conf/{key}/disable_ipv6", "1")
        self.flags = self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)


class Fabric:
    """Every port of a world. The namespace is made with the first one: a world may do without."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._wall: Wall | None = None
        self._ports: list[Port] = []

    def _made(self) -> Wall:
        if self._wall is None:
            self._wall = Wall()
        return self._wall

    def plug(self, box: Namespace, dev: str, mac: Mac, mtu: int, arrived: Arrived) -> Port:
        """Make an interface in a box, down, with its port here. Raises SimulationError in the kernel's words."""
        wall = self._made()
        name = f"p{len(self._ports) + 1}"
        here = f"index {FIRST_INDEX + len(self._ports)} mtu {max(mtu, 9000)}"
        near = f"name {dev} address {mac_str(mac)} mtu {mtu or 1500} netns {box.path}"
        lines = (
            f"ip link add name {name} {here} type veth peer {near}",
            f"ip link set {name} arp off up",
        )
        for line in lines:
            code, _, said = wall.namespace.run(line.split())
            if code:
                raise SimulationError(f"{box.label}:{dev} could not be made: {said.strip()}")
        offloads_off(wall.namespace, name)
        offloads_off(box, dev)
        sock = wall.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((name, ETH_P_ALL))
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, _MREQ.pack(_index(wall, name), PACKET_MR_PROMISC, 0, b""))
        sock.setblocking(False)
        port = Port(name, sock, wall.flags, arrived)
        self._ports.append(port)
        self._reactor.add(sock.fileno(), port.news)
        return port

    def unplug(self, port: Port) -> None:
        """Unregister an interface: both ends of its pair go."""
        self._reactor.remove(port.sock.fileno())
        port.sock.close()
        self._made().namespace.run(["ip", "link", "del", port.name])

    def close(self) -> None:
        """Let go of every port."""
        for port in self._ports:
            if port.sock.fileno() >= 0:
                self._reactor.remove(port.sock.fileno())
                port.sock.close()
        if self._wall is not None:
            self._wall.flags.close()
            self._wall.namespace.close()
            self._wall = None


def _index(wall: Wall, name: str) -> int:
    with wall.namespace.inside():
        return socket.if_nametoindex(name)


def offloads_off(namespace: Namespace, dev: str) -> None:
    """Let the kernel compute every checksum and cut every segment itself."""
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(_ETHTOOL_VALUE.pack(command, 0))
            request = _IFREQ_DATA.pack(dev.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(sock, SIOCETHTOOL, request)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:  # what a device cannot do it does not do
                    raise
