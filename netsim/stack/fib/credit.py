"""The multipath scheduler of 2.2 and 2.4: each path spends its weight in credits, a round at a time.

Source: 2.4 net/ipv4/fib_semantics.c fib_select_multipath(); patch 01_alt_routes; route-patches section 4 and C10.
"""

from __future__ import annotations

from netsim.addr import ip_str
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FibResult, FlowKey
from netsim.stack.fib.lookup import fits_gateway
from netsim.stack.fib.route import RTNH_F_BADSTATE, FibInfo, Nexthop
from netsim.stack.requests import RTNH_F_DEAD


def refill(info: FibInfo, bad: int) -> int:
    """Give every path without a `bad` flag its weight; return the total."""
    total = 0
    for nexthop in info.nexthops:
        if not nexthop.flags & bad:
            total += nexthop.weight
            nexthop.credit = nexthop.weight
    info.credit = total
    return total


def walk(info: FibInfo, jiffies: int, bad: int) -> tuple[int, bool]:
    """Spend one credit; return the path's index, or -1 and whether any path could have been taken.

    "w should be random number [0..power-1], it is pretty bad approximation": jiffies modulo the total.
    """
    w = jiffies % info.credit
    walked = False
    for index, nexthop in enumerate(info.nexthops):
        if nexthop.flags & bad or not nexthop.credit:
            continue
        w -= nexthop.credit
        if w <= 0:
            nexthop.credit -= 1
            info.credit -= 1
            return index, True
        walked = True
    return -1, walked


class StockScheduler:
    """The scheduler without patches: only DEAD paths are left out; bound lookups keep the path they found."""

    def select(self, result: FibResult, flow: FlowKey, jiffies: int, story: Story | None) -> None:
        """Mirror fib_select_multipath() of 2.4."""
        info = result.info
        if flow.oif:
            return
        if info.credit <= 0 and refill(info, RTNH_F_DEAD) <= 0:
            result.index = 0
            return
        index, _ = walk(info, jiffies, RTNH_F_DEAD)
        result.index = max(index, 0)
        if story is not None:
            tell(story, info, result.index, "its turn by credit")


class SuspectScheduler:
    """The scheduler of the alt_routes patch: suspect paths are left out too.

    `leftover` keeps the patch's bug: while a suspect path has credit left, spent good ones are not refilled.
    """

    def __init__(self, *, leftover: bool) -> None:
        self._leftover = leftover

    def select(self, result: FibResult, flow: FlowKey, jiffies: int, story: Story | None) -> None:
        """Mirror fib_select_multipath() of the patch."""
        info = result.info
        index = self._bound(info, flow) if flow.oif else self._by_credit(info, jiffies)
        why = "the richest good path on the device" if flow.oif else "its turn by credit"
        if index < 0:
            index = _last_resort(info, flow)
            why = "no good path: the first that is not dead"
        if index >= 0:
            result.index = index
        if story is not None:
            tell(story, info, result.index, why)

    @staticmethod
    def _bound(info: FibInfo, flow: FlowKey) -> int:
        """Return the path on the asked device with the most credit, spending none; -1 for none."""
        best, most = -1, -1
        for index, nexthop in enumerate(info.nexthops):
            if _fits(nexthop, flow) and not nexthop.flags & RTNH_F_BADSTATE and nexthop.credit > most:
                best, most = index, nexthop.credit
        return best

    def _by_credit(self, info: FibInfo, jiffies: int) -> int:
        """Return the path whose turn it is, -1 when no good path can be had."""
        while True:
            if info.credit <= 0 and refill(info, RTNH_F_BADSTATE) <= 0:
                return -1
            index, walked = walk(info, jiffies, RTNH_F_BADSTATE)
            if index >= 0:
                return index
            good = any(not nexthop.flags & RTNH_F_BADSTATE for nexthop in info.nexthops)
            if not walked and (self._leftover or not good):
                return -1
            info.credit = 0


def _fits(nexthop: Nexthop, flow: FlowKey) -> bool:
    """Tell whether a path serves the device and gateway keys."""
    if flow.oif and (nexthop.dev is None or nexthop.dev.ifindex != flow.oif):
        return False
    return not flow.gw or fits_gateway(nexthop, flow.gw)


def _last_resort(info: FibInfo, flow: FlowKey) -> int:
    """Return the first path that is not dead and fits the keys, suspect or not."""
    for index, nexthop in enumerate(info.nexthops):
        if not nexthop.flags & RTNH_F_DEAD and _fits(nexthop, flow):
            return index
    return -1


def tell(story: Story, info: FibInfo, index: int, why: str) -> None:
    """Write down the paths with their credits and what was seen of their neighbours, and the winner."""
    known = {(each.gateway, each.dev): each.neigh for each in story.candidates}
    if not story.group:
        story.candidates.clear()
    for at, nexthop in enumerate(info.nexthops):
        bad = "dead" if nexthop.flags & RTNH_F_DEAD else "suspect" if nexthop.flags & RTNH_F_BADSTATE else "good"
        neigh = known.get(
            (ip_str(nexthop.gw) if nexthop.gw else "", nexthop.dev.name if nexthop.dev else ""), "not asked"
        )
        story.note(nexthop, neigh, f"{bad}, credit {nexthop.credit} left" + (": chosen" if at == index else ""))
    story.group = story.group or f"{len(info.nexthops)} paths"
    story.because(f"path {index}: {why}")
