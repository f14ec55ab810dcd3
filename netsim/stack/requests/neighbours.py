"""Requests about neighbour entries and parameters: what `ip neigh` and `ip ntable` send."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip, Mac
from netsim.stack.requests.base import NLM_F_CREATE, NLM_F_EXCL, Done, Request
from netsim.units import Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNeigh(Request[Done]):
    """Add, replace or change a neighbour entry by hand; `state` NUD_, `lladdr` b"" when none was given."""

    dev: str
    dst: Ip
    lladdr: Mac = b""
    state: int = 0x80
    flags: int = NLM_F_CREATE | NLM_F_EXCL
    use: bool = False
    managed: bool = False
    proxy: bool = False
    extern_learn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DelNeigh(Request[Done]):
    """Delete an entry (or a proxy entry)."""

    dev: str
    dst: Ip
    proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighInfo:
    """One listed entry; ages in Ns."""

    dst: Ip
    dev: str
    lladdr: Mac
    state: int
    refcnt: int
    used: Ns
    confirmed: Ns
    updated: Ns
    probes: int
    proxy: bool = False
    managed: bool = False
    extern_learn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpNeighs(Request[tuple[NeighInfo, ...]]):
    """List entries (or proxies) by device index and then by age of entry; every state, NONE and NOARP included."""

    proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighParmsInfo:
    """The parameters of the table (`dev` "") or of one device, for `ip ntable`; Ns and counts."""

    dev: str
    base_reachable: Ns
    reachable: Ns
    retrans: Ns
    gc_stale: Ns
    delay_probe: Ns
    queue: int
    app_probes: int
    ucast_probes: int
    mcast_probes: int
    anycast_delay: Ns
    proxy_delay: Ns
    proxy_queue: int
    locktime: Ns
    thresh1: int = 0
    thresh2: int = 0
    thresh3: int = 0
    gc_interval: Ns = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpNeighParms(Request[tuple[NeighParmsInfo, ...]]):
    """List neighbour parameters: the table's first, then each device's."""
