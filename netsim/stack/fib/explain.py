"""A routing decision told: the candidates, what was known of their neighbours, and why the winner won.

A Story is made only when somebody wants the record or asked `--why`; deciding code writes into it where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netsim.addr import MASKS, ip_str
from netsim.stack.dst import RTN_LOCAL
from netsim.stack.errno import NAMES
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.fib.route import Nexthop
from netsim.stack.fib.text import flag_words, prefix_text, route_text, table_name
from netsim.stack.interfaces import Interfaces
from netsim.trace.records import Candidate, RouteLookup
from netsim.units import Ns

NUD_NAMES: Mapping[int, str] = MappingProxyType({
    0: "NONE", 1: "INCOMPLETE", 2: "REACHABLE", 4: "STALE", 8: "DELAY", 16: "PROBE", 32: "FAILED", 64: "NOARP",
    128: "PERMANENT",
})  # fmt: skip


class Story:
    """What one decision saw: the memory before and after (-1 none), the candidates in order, why, and the outcome.

    `lsrc` is the source asked with in place of the packet's own, "" for none.
    """

    __slots__ = ("after", "before", "candidates", "flow", "group", "lsrc", "result", "why")

    def __init__(self) -> None:
        self.flow = FlowKey(0)
        self.result: FibResult | Miss | None = None
        self.before = -1
        self.after = -1
        self.candidates: list[Candidate] = []
        self.group = ""
        self.lsrc = ""
        self.why: list[str] = []

    def judge(self, nexthop: Nexthop, state: int | None, verdict: str) -> None:
        """Note one candidate; `state` None: no neighbour entry, or none asked."""
        neigh = "no entry" if state is None else NUD_NAMES.get(state, str(state))
        self.note(nexthop, neigh, verdict)

    def note(self, nexthop: Nexthop, neigh: str, verdict: str) -> None:
        """Note one candidate with the words for its neighbour."""
        self.candidates.append(
            Candidate(
                ip_str(nexthop.gw) if nexthop.gw else "", nexthop.dev.name if nexthop.dev is not None else "", neigh,
                verdict, nexthop.weight, nexthop.credit, " ".join(flag_words(nexthop.flags)),
            )
        )  # fmt: skip

    def because(self, sentence: str) -> None:
        """Add a sentence."""
        self.why.append(sentence)


def record(
    story: Story, node: str, kind: str, flow: FlowKey, iif: str, result: FibResult | Miss, interfaces: Interfaces,
    now: Ns, uid: int, errno: int,
) -> RouteLookup:  # fmt: skip
    """Turn a story into the record of one lookup; `errno` is the answer's, 0 when the packet goes on."""
    oif = interfaces.index(flow.oif)
    key = (now, node, kind, ip_str(flow.daddr), ip_str(flow.saddr), iif, oif.name if oif is not None else "", flow.mark)
    error = NAMES.get(errno, str(errno)) if errno else ""
    if isinstance(result, Miss):
        table = table_name(result.table) if result.table else ""
        why = "; ".join([*story.why, miss_text(result)])
        memory = (story.before, story.after)
        return RouteLookup(*key, result.rule, table, "", "", "", (), *memory, why, uid, error, story.lsrc)
    winner = result.nexthop
    if not story.candidates:
        story.note(winner, "not asked", "only path")
    return RouteLookup(
        *key, result.rule, table_name(result.table.id), winner_text(result, flow),
        ip_str(winner.gw) if winner.gw else "", winner.dev.name if winner.dev is not None else "",
        tuple(story.candidates), story.before, story.after, "; ".join(reasons(story, result)), uid, error,
        story.lsrc,
    )  # fmt: skip


def reasons(story: Story, result: FibResult) -> list[str]:
    """Return the sentences, with one for the plain case."""
    if story.why:
        return story.why
    if result.kind == RTN_LOCAL:
        return ["the address is ours"]
    return ["the first usable route of the longest prefix"]


def winner_text(result: FibResult, flow: FlowKey) -> str:
    """Return the winning route in words."""
    return route_text(result.prefixlen, flow.daddr & MASKS[result.prefixlen], result.alias, result.table.id)


def miss_text(miss: Miss) -> str:
    """Say where a lookup without a route ended."""
    name = NAMES.get(miss.errno, str(miss.errno))
    if miss.table:
        return f"rule {miss.rule} found an error route in table {table_name(miss.table)}: {name}"
    if miss.rule >= 0:
        return f"rule {miss.rule} ends the lookup: {name}"
    return f"no rule's table has a usable route: {name}"


def told(story: Story) -> str:
    """Return the explanation `ip route get --why` prints, a line a fact."""
    flow, result = story.flow, story.result
    if result is None:
        return "\n".join(story.why) or "answered before any table was asked"
    if isinstance(result, Miss):
        return "\n".join([*story.why, miss_text(result)])
    lines = [
        f"rule {result.rule}, table {table_name(result.table.id)}, "
        f"{prefix_text(flow.daddr & MASKS[result.prefixlen], result.prefixlen)}: {len(result.leaf)} "
        f"{'entry' if len(result.leaf) == 1 else 'entries'}"
    ]
    for number, each in enumerate(story.candidates):
        via = f"via {each.gateway} " if each.gateway else ""
        flags = f" [{each.flags}]" if each.flags else ""
        lines.append(f"{number}: {via}dev {each.dev} neighbour {each.neigh}{flags}: {each.verdict}")
    if story.group:
        lines.append(f"{story.group}, last choice {story.before} -> {story.after}")
    lines += reasons(story, result)
    return "\n".join(lines)
