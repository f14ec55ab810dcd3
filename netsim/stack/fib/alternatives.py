"""The choice among alternative routes in 2.2 and 2.4: the alt_routes patch, and what the stock kernels have instead.

The patch judges every entry of a prefix's list by the neighbours of its paths, prefers a known-valid one over the last
one used, and among unknown ones stays with the last used. It marks paths SUSPECT, which only the multipath scheduler
heeds. The memory lies on the first entry of the group, shared by all destinations of the prefix.
Source: patch 01_alt_routes (fn_hash_select_default(), fib_detect_death()); 2.4 net/ipv4/fib_hash.c; route-patches
section 3 and its truth table, seed section 2.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK
from netsim.stack.device import Device
from netsim.stack.dst import RTN_UNICAST
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FibResult, FlowKey
from netsim.stack.fib.lookup import fits_gateway
from netsim.stack.fib.route import RTNH_F_SUSPECT, Alias, Nexthop
from netsim.stack.nud_states import NUD_REACHABLE, NUD_VALID
from netsim.stack.ports import NeighView
from netsim.stack.requests import RTNH_F_DEAD

UNSET = -1


class Selector(Protocol):
    """Who chooses among the entries of a prefix's list; `result` and memories change."""

    def select(self, result: FibResult, flow: FlowKey, story: Story | None) -> None:
        """Choose."""
        ...


class StockSelector:
    """2.2 and 2.4 without the patch: gateways of default routes, one memory for the whole box.

    Paths are not marked, tos and death are not looked at, a missing neighbour counts as not alive.
    """

    def __init__(self, neigh: NeighView) -> None:
        self._neigh = neigh
        self.last = UNSET

    def select(self, result: FibResult, flow: FlowKey, story: Story | None) -> None:
        """Mirror fn_hash_select_default() of 2.4."""
        nexthop = result.nexthop
        if result.action != "table" or not nexthop.gw or nexthop.scope != RT_SCOPE_LINK:
            return
        before = self.last
        group = self._group(result)
        chosen = self._judge(group, story) if len(group) > 1 else UNSET
        self.last = chosen
        if chosen >= 0:
            result.alias = group[chosen]
            result.index = 0
        if story is not None:
            tell_group(story, len(group), before, chosen)

    @staticmethod
    def _group(result: FibResult) -> list[Alias]:
        """Return the gatewayed unicast entries up to the result's metric; none when the result does not lead."""
        group: list[Alias] = []
        for alias in result.leaf:
            if alias.zombie or alias.scope != result.alias.scope or alias.kind != RTN_UNICAST:
                continue
            if alias.info.metric > result.info.metric:
                break
            nexthop = alias.info.nexthops[0]
            if not nexthop.gw or nexthop.scope != RT_SCOPE_LINK:
                continue
            alias.accessed = True
            if not group and alias.info is not result.info:
                return []
            group.append(alias)
        return group

    def _judge(self, group: list[Alias], story: Story | None) -> int:
        """Return the first alive one's position, else the last resort's, else -1."""
        last_resort = UNSET
        for position, alias in enumerate(group):
            nexthop = alias.info.nexthops[0]
            assert nexthop.dev is not None
            state = self._neigh.state(nexthop.dev, nexthop.gw)
            alive = state == NUD_REACHABLE or (state & NUD_VALID and position != self.last)
            if story is not None:
                story.judge(nexthop, state, "alive" if alive else "not alive")
            if alive:
                return position
            if state & NUD_VALID or (last_resort < 0 and position > self.last):
                last_resort = position
        return last_resort


class _Candidate:
    """The last resort found so far: an entry's position, and which of its paths."""

    __slots__ = ("index", "position")

    def __init__(self) -> None:
        self.position = UNSET
        self.index = 0


class AlternativeSelector:
    """The alt_routes patch: any prefix, direct and multipath routes too, bound or not, forwarded or not."""

    def __init__(self, neigh: NeighView) -> None:
        self._neigh = neigh

    def select(self, result: FibResult, flow: FlowKey, story: Story | None) -> None:
        """Mirror fn_hash_select_default() of the patch."""
        nexthop = result.nexthop
        if not ((nexthop.gw and nexthop.scope == RT_SCOPE_LINK) or nexthop.scope == RT_SCOPE_HOST):
            return
        group = self._group(result, flow)
        if not group:
            return
        holder = group[0]
        remembered = holder.last
        resort = _Candidate()
        if len(group) == 1:
            info = holder.info
            several = len(info.nexthops) > 1
            if several and not self._alive(holder, 0, remembered, resort, flow, story) and resort.position >= 0:
                info.nexthops[resort.index].flags &= ~RTNH_F_SUSPECT
            holder.last = UNSET
        else:
            self._choose(result, group, remembered, resort, flow, story)
        if story is not None:
            tell_group(story, len(group), remembered, holder.last)

    @staticmethod
    def _group(result: FibResult, flow: FlowKey) -> list[Alias]:
        """Return the alternatives: same scope, unicast, usable tos, up to the metric of the route that was found."""
        group: list[Alias] = []
        for alias in result.leaf:
            if alias.zombie or alias.scope != result.alias.scope or alias.kind != RTN_UNICAST:
                continue
            if alias.tos and alias.tos != flow.tos:
                continue
            if alias.info.metric > result.info.metric:
                break
            alias.accessed = True
            group.append(alias)
        return group

    def _choose(
        self, result: FibResult, group: list[Alias], remembered: int, resort: _Candidate, flow: FlowKey,
        story: Story | None,
    ) -> None:  # fmt: skip
        """Take the first alive one, else the last resort, which is un-suspected; else keep what was found."""
        for position, alias in enumerate(group):
            if self._alive(alias, position, remembered, resort, flow, story):
                break
        else:
            position = resort.position
            if position < 0:
                return
            group[position].info.nexthops[resort.index].flags &= ~RTNH_F_SUSPECT
        if group[position] is not result.alias:
            result.index = 0
        result.alias = group[position]
        if len(result.info.nexthops) == 1:
            result.index = 0
        group[0].last = position

    def _alive(
        self, alias: Alias, position: int, remembered: int, resort: _Candidate, flow: FlowKey, story: Story | None
    ) -> bool:
        """Judge one route's paths, marking each SUSPECT or not. Mirrors fib_detect_death() of the patch.

        REACHABLE is alive; another valid state is, unless this position was the last choice; an unknown or failed
        neighbour is suspect, and a last resort only when it comes at or behind the last choice.
        """
        alive = False
        for index, nexthop in enumerate(alias.info.nexthops):
            dev = nexthop.dev
            if nexthop.flags & RTNH_F_DEAD or dev is None:
                continue
            if (flow.oif and dev.ifindex != flow.oif) or (flow.gw and not fits_gateway(nexthop, flow.gw)):
                continue
            if dev.noarp:
                alive = True
                nexthop.flags &= ~RTNH_F_SUSPECT
                if story is not None:
                    story.note(nexthop, "NOARP device", "alive")
                continue
            state = self._state(nexthop, dev, flow.daddr)
            valid = state & NUD_VALID
            suspect = False
            verdict = "alive"
            if state == NUD_REACHABLE or (valid and position != remembered):
                alive = True
            else:
                suspect = not valid
                verdict = "suspect" if suspect else "valid, but the last one used"
                if not alive and (valid or (resort.position < 0 and position >= remembered)):
                    resort.position, resort.index = position, index
                    verdict += ": a last resort"
            nexthop.flags = nexthop.flags | RTNH_F_SUSPECT if suspect else nexthop.flags & ~RTNH_F_SUSPECT
            if story is not None:
                story.judge(nexthop, state, verdict)
        return alive

    def _state(self, nexthop: Nexthop, dev: Device, daddr: Ip) -> int:
        """Return the state of whom the path depends on: a real gateway, or the destination itself."""
        via_gateway = nexthop.gw and nexthop.scope == RT_SCOPE_LINK
        return self._neigh.state(dev, nexthop.gw if via_gateway else daddr)


def tell_group(story: Story, size: int, before: int, after: int) -> None:
    """Write down what a group's choice came to."""
    story.before, story.after = before, after
    if size < 2:
        return
    story.group = f"{size} alternatives"
    if after < 0:
        story.because("nothing to choose: the route that was found is used")
    elif story.candidates and story.candidates[-1].verdict == "alive":
        story.because(f"alternative {after} is the first alive one")
    else:
        story.because(f"none is alive: alternative {after} is tried")
