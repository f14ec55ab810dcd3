"""Mainline's choice among alternative default routes, by neighbour state and the memory of the last choice.

Source: net/ipv4/fib_trie.c fib_select_default(), fib_semantics.c fib_detect_death() (6.x); linux-kernel note 2.6;
observed-linux 3.2 (the rule reproduces 2,074 of 2,077 recorded packets, the rest lie beside a state change).
"""

from __future__ import annotations

from netsim.stack.address import RT_SCOPE_LINK
from netsim.stack.dst import RTN_UNICAST
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FibResult, FlowKey
from netsim.stack.fib.route import Alias
from netsim.stack.nud_states import NUD_INCOMPLETE, NUD_REACHABLE, NUD_VALID
from netsim.stack.ports import NeighView
from netsim.stack.requests import RTNH_F_DEAD


def select_default(result: FibResult, flow: FlowKey, neigh: NeighView, story: Story | None) -> None:
    """Choose among the entries of a default route's list: `result` and the memory on the first candidate change.

    The first candidate must be the route the lookup found. The first one alive wins; a candidate in another valid state
    is passed over once when it was the last choice, so that two stale gateways take turns.
    """
    group = _candidates(result, flow)
    if not group:
        return
    holder = group[0]
    remembered = holder.last
    chosen = _judge(group, remembered, neigh, story) if len(group) > 1 else -1
    holder.last = chosen
    if chosen >= 0:
        result.alias = group[chosen]
        result.index = 0
    if story is not None:
        _tell(story, group, remembered, chosen)


def _judge(group: list[Alias], remembered: int, neigh: NeighView, story: Story | None) -> int:
    """Return the position of the choice, -1 to keep the route that was found. Mirrors fib_detect_death()."""
    last_resort = -1
    for position, alias in enumerate(group):
        nexthop = alias.info.nexthops[0]
        assert nexthop.dev is not None
        known = neigh.exists(nexthop.dev, nexthop.gw)
        state = neigh.state(nexthop.dev, nexthop.gw) if known else 0
        valid = state & NUD_VALID
        if not known or state == NUD_REACHABLE or (valid and position != remembered):
            if story is not None:
                story.judge(nexthop, state if known else None, "alive")
            return position
        verdict = "not alive"
        if valid or (last_resort < 0 and position > remembered and state != NUD_INCOMPLETE):
            last_resort = position
            verdict = "valid but used last time: a last resort" if valid else "a last resort"
        if story is not None:
            story.judge(nexthop, state, verdict)
    return last_resort


def _candidates(result: FibResult, flow: FlowKey) -> list[Alias]:
    """Return the group: same scope, unicast, gatewayed, of the least metric of each tos; empty when another leads."""
    group: list[Alias] = []
    last_metric, last_tos = result.info.metric, 0
    for alias in result.leaf:
        info = alias.info
        if alias.tos and alias.tos != flow.tos:
            continue
        if info.metric > last_metric and alias.tos == last_tos:
            if last_tos:
                continue
            break
        if info.flags & RTNH_F_DEAD:
            continue
        last_tos, last_metric = alias.tos, info.metric
        if alias.scope != result.alias.scope or alias.kind != RTN_UNICAST:
            continue
        nexthop = info.nexthops[0]
        if not nexthop.gw or nexthop.scope != RT_SCOPE_LINK:
            continue
        if not group and info is not result.info:
            return []
        alias.accessed = True
        group.append(alias)
    return group


def _tell(story: Story, group: list[Alias], before: int, after: int) -> None:
    story.before, story.after = before, after
    if len(group) < 2:
        return
    story.group = f"{len(group)} alternatives"
    if after < 0:
        story.because("no alternative is alive and none is a last resort: the first is used")
    else:
        last = story.candidates[-1].verdict == "alive"
        story.because(
            f"alternative {after} is the first alive one" if last else f"none is alive: alternative {after} is tried"
        )
