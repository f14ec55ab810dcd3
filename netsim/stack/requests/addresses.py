"""Requests about addresses: what `ip addr` sends. Source: rtnetlink RTM_NEWADDR, RTM_DELADDR."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip
from netsim.stack.requests.base import NLM_F_CREATE, NLM_F_EXCL, Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddr(Request[Done]):
    """Add an address. `peer` 0 means none, `broadcast` 0 none; `scope` RT_SCOPE_; `label` "" the device's name."""

    dev: str
    local: Ip
    plen: int
    peer: Ip = 0
    broadcast: Ip = 0
    scope: int = 0
    label: str = ""
    noprefixroute: bool = False
    flags: int = NLM_F_CREATE | NLM_F_EXCL


@dataclass(frozen=True, slots=True, kw_only=True)
class DelAddr(Request[Done]):
    """Delete an address; `plen` None matches any length (the old wildcard deletion)."""

    dev: str
    local: Ip
    plen: int | None = None
    peer: Ip | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddrInfo:
    """One address, for `ip addr`."""

    dev: str
    ifindex: int
    local: Ip
    plen: int
    peer: Ip
    broadcast: Ip
    scope: int
    label: str
    secondary: bool
    noprefixroute: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpAddrs(Request[tuple[AddrInfo, ...]]):
    """List addresses by device and in device order."""
