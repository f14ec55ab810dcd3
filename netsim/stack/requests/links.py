"""Requests about devices: what `ip link` sends. Source: rtnetlink RTM_NEWLINK, RTM_DELLINK."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Mac
from netsim.stack.requests.base import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink(Request[Done]):
    """Create a device (`ip link add`, or the topology's own), down."""

    name: str
    kind: str = "ether"
    mac: Mac = b""
    mtu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLink(Request[Done]):
    """Change a device; None leaves a property alone. `arp` False sets IFF_NOARP."""

    dev: str
    up: bool | None = None
    mtu: int | None = None
    mac: Mac | None = None
    arp: bool | None = None
    promisc: bool | None = None
    new_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelLink(Request[Done]):
    """Unregister a device."""

    dev: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkInfo:
    """One device, for `ip link` and `ifconfig`. `flags` are IFF_ bits including LOWER_UP and RUNNING."""

    ifindex: int
    name: str
    kind: str
    flags: int
    mtu: int
    mac: Mac
    carrier: bool
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpLinks(Request[tuple[LinkInfo, ...]]):
    """List devices in ifindex order."""
