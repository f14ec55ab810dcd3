"""Where a scenario says what: from a netfilter rule, a policy rule or a route back to the line that made it.

Every set-up line is run once more, on boxes that nobody uses, and the requests it makes are noted: a line is recognised
by what it asked for, not by its spelling. Lines of events follow in their order. Only asked for by explanations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from netsim.addr import Prefix, ip_str
from netsim.lab import Lab
from netsim.observe.explain.facts import Place
from netsim.scenario.check_lines import Line, lines_of, setup_lines
from netsim.scenario.located import Map, Mark, mapping, path_text, sequence
from netsim.scenario.model import Scenario
from netsim.shell.dispatch import run as run_shell
from netsim.stack.errno import Refusal
from netsim.stack.netfilter.requests import AppendRules, InsertRules, ReplaceRule
from netsim.stack.netns import Netns
from netsim.stack.profile import Profile
from netsim.stack.requests import NewRoute, NewRule, Request
from netsim.trace.records import HookVerdict, RouteLookup
from netsim.units import Ns

T = TypeVar("T")
_TABLES = ((255, "local"), (254, "main"), (253, "default"))


@dataclass(frozen=True, slots=True)
class _Way:
    """One path of a route: where it leads, and the line that made it."""

    gateway: str
    dev: str
    place: Place


class Origins:
    """The places of one scenario's rules and routes. A box that refuses a line has no place for it."""

    def __init__(self, scenario: Scenario) -> None:
        self._filter: dict[tuple[str, str, str, str], list[Place]] = {}
        self._rules: dict[tuple[str, int], list[Place]] = {}
        self._routes: dict[tuple[str, str, str], list[_Way]] = {}
        if scenario.origin is not None:
            self._learn(scenario, scenario.origin)

    # What explanations ask

    def rule(self, verdict: HookVerdict) -> tuple[Place, ...]:
        """Return the line of a netfilter rule: by its text; of several equal ones, all."""
        if not verdict.rule:
            return ()
        return tuple(self._filter.get((verdict.node, verdict.table, verdict.chain, verdict.text), ()))

    def policy_rule(self, node: str, preference: int) -> tuple[Place, ...]:
        """Return the line of a policy rule; the kernel's own three have none."""
        return tuple(self._rules.get((node, preference), ()))

    def route(self, lookup: RouteLookup) -> tuple[Place, ...]:
        """Return the lines of the routes that a lookup had to choose from."""
        words = lookup.route.split()
        if not words:
            return ()
        ways = self._routes.get((lookup.node, lookup.table, words[0]), [])
        judged = {(each.gateway, each.dev) for each in lookup.candidates}
        mine = [way.place for way in ways if (way.gateway, way.dev) in judged or not way.dev]
        return tuple(dict.fromkeys(mine or [way.place for way in ways]))

    # How they are known

    def _learn(self, scenario: Scenario, tree: Map) -> None:
        topology = scenario.effective_topology()
        bare = {name: node.model_copy(update={"run": ""}) for name, node in topology.nodes.items()}
        with Lab(topology.model_copy(update={"nodes": bare}), seed=scenario.seed) as lab:
            for node in topology.nodes:
                default = tree.get("topology", "nodes", node, "default")
                if default is not None:
                    text = f"default: {topology.nodes[node].default}"
                    place = _place(default.mark, f"topology.nodes.{node}.default", text)
                    self._way(node, "main", "default", str(topology.nodes[node].default), "", place)
                self._run(lab.world.nodes[node].box, setup_lines(tree, node))
            for i, event in enumerate(sequence(tree.get("events"))):
                for node, block in mapping(mapping(event).get("run")).items():
                    self._run(lab.world.nodes[node].box, lines_of(node, block, ("events", i, "run", node)))

    def _run(self, box: Netns, lines: Iterable[Line]) -> None:
        for line in lines:
            noting = _NotingBox(box)
            run_shell(noting, line.command.text, now=0)
            box.outbox.frames.clear()
            place = _place(line.at(0), path_text(line.path), " ".join(line.command.text.split()))
            for request in noting.made:
                self._note(line.node, request, place)

    def _note(self, node: str, request: object, place: Place) -> None:
        if isinstance(request, (AppendRules, InsertRules)):
            for spec in request.rules:
                self._filter.setdefault((node, request.table, request.chain, spec.text), []).append(place)
        elif isinstance(request, ReplaceRule):
            self._filter.setdefault((node, request.table, request.chain, request.rule.text), []).append(place)
        elif isinstance(request, NewRule) and request.rule.priority is not None:
            self._rules.setdefault((node, request.rule.priority), []).append(place)
        elif isinstance(request, NewRoute):
            table = next((name for number, name in _TABLES if number == request.table), str(request.table))
            for gateway, dev in _ways(request):
                self._way(node, table, _prefix(request.dst), gateway, dev, place)

    def _way(self, node: str, table: str, prefix: str, gateway: str, dev: str, place: Place) -> None:
        self._routes.setdefault((node, table, prefix), []).append(_Way(gateway, dev, place))


def _ways(request: NewRoute) -> Iterator[tuple[str, str]]:
    for each in request.nexthops:
        yield ip_str(each.via) if each.via else "", each.dev
    if not request.nexthops:
        yield "", ""


def _prefix(prefix: Prefix) -> str:
    if not prefix.plen:
        return "default"
    return ip_str(prefix.addr) if prefix.plen == 32 else f"{ip_str(prefix.addr)}/{prefix.plen}"


def _place(mark: Mark, path: str, text: str) -> Place:
    return Place(mark.source.file, mark.line, path, text)


class _NotingBox:
    """A box that notes what it is asked and granted."""

    def __init__(self, box: Netns) -> None:
        self._box = box
        self.name: str = box.name
        self.profile: Profile = box.profile
        self.made: list[object] = []

    def request(self, req: Request[T], *, now: Ns) -> T | Refusal:
        """Pass a request on, and note it when it was granted."""
        answer = self._box.request(req, now=now)
        if not isinstance(answer, Refusal):
            self.made.append(req)
        return answer
