"""A routing decision told: rule, table, candidates with their neighbours, why the winner won, and where that stands."""

from __future__ import annotations

from netsim.observe.explain.facts import Fact, Places, clock
from netsim.trace.records import Candidate, RouteLookup
from netsim.units import Ns

SEED = "Alternative Routes and Dead Gateway Detection for Linux"
REROUTE = (
    f'{SEED}, section 7: "All next packets for these connections are routed in in->out direction from a new '
    'PRE_ROUTING hook function (with last priority, just before the input routing) by using the lsrc argument"'
)
ALTERNATIVES = (
    f'{SEED}, section 2: "the first alive or first suspected (but not dead) route is selected by inspecting the state '
    'of the gateways in each path"'
)


def route_fact(r: RouteLookup, places: Places) -> Fact:
    """Tell one lookup."""
    rule = f"rule {r.rule}, " if r.rule >= 0 else ""
    answer = r.error or r.route
    lines = []
    if r.lsrc:
        lines.append(
            f"asked in PRE_ROUTING as if it came from {r.lsrc} (not {r.src}): the masquerade address that its "
            f"connection has since its first packet, so that it stays with the provider that {r.lsrc} belongs to"
        )
        lines.append(f"source: {REROUTE}")
    if len(r.candidates) > 1 or (r.candidates and r.candidates[0].neigh != "not asked"):
        lines += [candidate_line(i, each, r) for i, each in enumerate(r.candidates)]
    if r.memory_before != r.memory_after or r.memory_before >= 0:
        lines.append(f"remembered choice {_choice(r.memory_before)} -> {_choice(r.memory_after)}")
    if r.why:
        lines.append(f"why: {r.why}")
    if "alternative" in r.why:
        lines.append(f"source: {ALTERNATIVES}")
    data = {
        "kind": r.kind, "src": r.src, "dst": r.dst, "iif": r.iif, "oif": r.oif, "mark": r.mark, "rule": r.rule,
        "table": r.table, "route": r.route, "gateway": r.gateway, "dev": r.dev, "error": r.error, "lsrc": r.lsrc,
        "candidates": list(r.candidates), "why": r.why,
    }  # fmt: skip
    where = places.policy_rule(r.node, r.rule) + places.route(r)
    if r.error:
        text = f"no route: {rule}table {r.table}: {answer}" if r.table else f"no route: {answer}"
    else:
        text = f"routed by {rule}table {r.table}: {answer}"
    return Fact(r.t, "route", text, lines, where, data)


def remembered(fact: Fact, r: RouteLookup, now: Ns) -> Fact:
    """Say that a decision was not made again: a cache, a socket or a flow's memory had it."""
    whose = f" for frame {r.uid}" if r.uid else ""
    fact.text = f"no new decision, as at {clock(r.t)}{whose}: {fact.text}"
    fact.t = now
    fact.data["remembered"] = True
    return fact


def _choice(memory: int) -> str:
    return "none" if memory < 0 else str(memory)


def candidate_line(number: int, each: Candidate, r: RouteLookup) -> str:
    """Tell one candidate: where it leads, what is known of its neighbour, and what came of it."""
    via = f"via {each.gateway} " if each.gateway else ""
    weight = f" weight {each.weight}" if each.weight != 1 else ""
    flags = f" [{each.flags}]" if each.flags else ""
    won = (each.gateway, each.dev) == (r.gateway, r.dev) and not r.error
    mark = "*" if won else " "
    return f"{mark} {number}: {via}dev {each.dev}{weight}, neighbour {each.neigh}{flags}: {each.verdict}"
