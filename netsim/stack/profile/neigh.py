"""How an era's neighbour table behaves where eras differ. Source: linux-kernel 1, kernel-2.4-neighbour/corrections."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.units import NS_PER_MS, Ns


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighEra:
    """Fields are named after what they decide, defaults are mainline's."""

    column: str = "6"
    """The era column of the transition table in neigh/nud.py: "6" or "2.4" (2.2 shares it)."""
    tick: Ns = 0
    """One jiffy where stamps and timers move in ticks (10 ms at HZ 100), 0 where they are exact."""
    draw_step: Ns = 4 * NS_PER_MS
    """The grain of random times: one jiffy of the kernel that drew them (HZ 250: 4 ms)."""
    min_timer: Ns = 10 * NS_PER_MS
    """The shortest time an entry's timer is set to (HZ / 100), 0 for no floor."""
    queue: str = "bytes"
    """How the unresolved queue is bounded: "bytes" of truesize, or "packets"."""
    header_per_route: bool = False
    """Whether the link header is cached on each cached route (2.2, 2.4) or once on the entry."""
    scan: str = "work"
    """The periodic pass: "work" (mainline), "table" (to 2.4.28), "chain" (one hash chain a step, from 2.4.29)."""
    scan_expires: bool = False
    """Whether the periodic pass turns REACHABLE into STALE; mainline has a timer an entry instead."""
    rand_signed: bool = True
    """Whether a redraw stamp that lies in the future counts as recent; the unsigned comparison takes it as old."""
    idle_inclusive: bool = True
    """Whether an entry idle for exactly gc_stale_time is collected."""
    redraw_on_write: bool = True
    """Whether writing base_reachable_time draws reachable_time anew at once."""
    forced_gc: str = "selective"
    """What a full table gives up: "selective" (failed, NOARP, multicast or older than 5 s) or "unreferenced" (all)."""
    delete_unlinks: bool = True
    """Whether an admin delete removes the entry, or leaves it FAILED for the scan to find."""
    old_refusals: bool = False
    """Whether deleting a missing entry is EINVAL (now ENOENT), another address without REPLACE EPERM (now nothing)."""
    evict_on_link_change: bool = True
    """Whether carrier loss and a change of IFF_NOARP flush the device's entries."""
    mac_change_purges: bool = True
    """Whether a change of our link address ends what waits, or leaves it on an entry nobody finds again."""
    announce_on_change: bool = True
    """Whether arp_notify is honoured (one gratuitous request an address)."""
    garp_overrides: bool = True
    """Whether a gratuitous ARP replaces an address inside the lock time."""
    locktime_inclusive: bool = False
    """Whether an entry exactly `locktime` old may be replaced already."""
    learn_before_policy: bool = False
    """Whether a request for us teaches its sender before arp_ignore and arp_filter are asked."""
    dad_reply_to_zero: bool = True
    """Whether a conflict probe is answered to 0.0.0.0 at the asker's MAC, or with our own pair as the target."""
    probe_hint: str = "newest"
    """Which queued packet lends a repeated probe its source: the "newest" or the "oldest"."""
    proxy_queue_shared: bool = False
    """Whether proxy_qlen bounds the table's whole proxy queue, or each device's part."""


MAINLINE = NeighEra()
LINUX_24 = NeighEra(
    column="2.4", tick=10 * NS_PER_MS, draw_step=10 * NS_PER_MS, min_timer=0, queue="packets", header_per_route=True,
    scan="table", scan_expires=True, rand_signed=False, idle_inclusive=False, redraw_on_write=False,
    forced_gc="unreferenced", delete_unlinks=False, old_refusals=True, evict_on_link_change=False,
    mac_change_purges=False, announce_on_change=False, garp_overrides=False, locktime_inclusive=True,
    learn_before_policy=True, dad_reply_to_zero=False, probe_hint="oldest", proxy_queue_shared=True,
)  # fmt: skip
"""2.4.17 to 2.4.27, so linux-2.4 (2.4.20) too."""
LINUX_24_32 = replace(LINUX_24, scan="chain", scan_expires=False)
"""2.4.29 to 2.4.32: the hash rework whose scan forgot REACHABLE -> STALE. Source: corrections, row 1."""
LINUX_24_35 = replace(LINUX_24, scan="chain", dad_reply_to_zero=True)
"""2.4.35: the rework mended."""
LINUX_22 = LINUX_24
