"""How an era's FIB, rules, choice among routes and route cache behave where eras differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.units import NS_PER_MS, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class FibEra:
    """Fields are named after what they decide, defaults are mainline's.

    The patches static_routes, alt_routes, key_gw and nf_reroute are not here: they are switches of their own.
    """

    route_cache: bool = False
    """Whether answers are cached by key, and with it the whole of the old lineage: fib_hash tables whose deleted last
    entries stay as zombies, the credit scheduler, MASQ and NAT rule actions (2.2, 2.4). Mainline decides per lookup."""
    tick: Ns = 10 * NS_PER_MS
    """One jiffy (HZ 100) of the credit scheduler and the cache's timers."""
    tos_mask: int = 0x1C
    """IPTOS_RT_MASK: the bits of TOS that routing looks at."""
    unregister_force: int = 2
    """What unregistering a device does to a multipath route: 2 removes it whole (from 2.4.19pre8), 1 its paths only."""
    revive_on_address: bool = True
    """Whether a new address gives dead paths of its device another chance (2.2 needs static_routes for it)."""
    revive_needs_all: bool = False
    """Whether a route loses its DEAD mark only when every path is alive (2.2), or as soon as one is."""
    masq_rules: bool = False
    """Whether a `nat 0` rule marks what it routes for masquerading (2.2)."""
    leftover_credit: bool = False
    """The bug of the alt_routes patch: a suspect path's unspent credit keeps the good ones from being refilled, and the
    first path takes everything (route-patches 4 and C10). Off: refill as soon as a good path exists."""
    secret_rebuild: bool = False
    """Whether the whole cache is flushed every secret_interval."""
    gc_min_interval: Ns = 500 * NS_PER_MS
    """The least time between two collections under pressure that a box starts with."""


MAINLINE = FibEra()
LINUX_24 = FibEra(route_cache=True, secret_rebuild=True)
LINUX_22 = replace(
    LINUX_24, tos_mask=0x1E, unregister_force=1, revive_on_address=False, revive_needs_all=True, masq_rules=True,
    secret_rebuild=False, gc_min_interval=5000 * NS_PER_MS,
)  # fmt: skip
