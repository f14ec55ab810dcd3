"""Explain a scenario's run: run it up to the packet, the neighbour or the decision that is asked for, and listen.

A packet is found first (who matches, which frame is its first) and followed in a second run; runs repeat exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

from netsim.errors import ConfigError, Problem
from netsim.lab import Lab
from netsim.observe.explain.births import Birth, Births
from netsim.observe.explain.decision import Decision, DecisionFollower
from netsim.observe.explain.facts import Fact, Life, Wire
from netsim.observe.explain.neigh import NeighFollower, NeighStory
from netsim.observe.explain.packet import PacketFollower
from netsim.observe.explain.route import route_fact
from netsim.observe.filter import Filter
from netsim.scenario.model import Scenario
from netsim.scenario.origins import Origins
from netsim.scenario.runner import Progress, build_lab, file_expectations, file_timeline, known_node
from netsim.shell.dispatch import run as run_shell
from netsim.shell.tool import CommandResult
from netsim.sim.tools.script import takes_time
from netsim.stack.errno import Refusal
from netsim.stack.netns import Netns
from netsim.stack.profile import Profile
from netsim.stack.requests import GetRoute, Request, RouteAnswer
from netsim.trace.bus import Bus
from netsim.trace.records import RouteLookup
from netsim.units import Ns, ms

T = TypeVar("T")
_STEP = ms(100)


def explain_packet(
    scenario: Scenario, *, uid: int = 0, number: int = 1, matching: Filter | None = None, flow: str = "",
    after: Ns = 0, progress: Progress | None = None,
) -> Life:  # fmt: skip
    """Tell the life of one packet. Raises ConfigError when there is none such.

    By the frame that carried it anywhere (`uid`), or the `number`th born at or after `after` that matches a filter and
    belongs to a flow (from its sender; the answers are others).
    """
    if flow and flow not in scenario.traffic:
        names = ", ".join(scenario.traffic) or "none"
        raise ConfigError(Problem("--flow", 0, 0, flow, f'no traffic "{flow}"', f"there are: {names}"))
    birth = find_packet(scenario, uid=uid, number=number, matching=matching, flow=flow, after=after, progress=progress)
    return follow(scenario, birth)


def find_packet(
    scenario: Scenario, *, uid: int, number: int, matching: Filter | None, flow: str, after: Ns,
    progress: Progress | None = None,
) -> Birth:  # fmt: skip
    """Run until the packet is known. Raises ConfigError."""
    made: list[Births] = []

    def listen(bus: Bus) -> None:
        made.append(Births(bus, uid=uid, number=number, matching=matching, flow=flow, after=after))

    with run_until(scenario, listen, lambda: made[0].found is not None, progress):
        births = made[0]
    if births.found is None:
        if uid:
            raise ConfigError(Problem("--frame", 0, 0, str(uid), "no IP packet of this run is in that frame"))
        hint = f"{births.count} of them are sent" if births.count else "none of them is sent"
        raise ConfigError(Problem("--packet", 0, 0, str(number), "there is no such packet in this run", hint))
    return births.found


def follow(scenario: Scenario, birth: Birth) -> Life:
    """Run again and follow a packet from its birth."""
    made: list[PacketFollower] = []
    links: list[Lab] = []
    places = Origins(scenario)

    def wire(link: str, sender: str) -> Wire:
        return wire_of(links[0], link, sender)

    def listen(bus: Bus) -> None:
        made.append(PacketFollower(bus, birth.frame.uid, places=places, wire=wire))

    with run_until(scenario, listen, lambda: made[0].life.complete, started=links.append):
        return made[0].life


def explain_neigh(
    scenario: Scenario, node: str, dst: str, dev: str, *, at: Ns | None = None, progress: Progress | None = None
) -> NeighStory:
    """Tell the story of one neighbour entry up to an instant (default: the end)."""
    made: list[NeighFollower] = []

    def listen(bus: Bus) -> None:
        made.append(NeighFollower(bus, node, dst, dev))

    with run_until(scenario, listen, lambda: False, progress, until=at):
        return made[0].conclude()


def explain_decision(
    scenario: Scenario, *, node: str = "", at: Ns = 0, matching: Filter | None = None, progress: Progress | None = None
) -> Decision:
    """Tell the first routing decision with a choice at or after an instant. Raises ConfigError when there is none."""
    made: list[DecisionFollower] = []
    topology = scenario.effective_topology()
    owners = {
        text.partition("/")[0]: name
        for name, spec in topology.nodes.items() for texts in spec.addr.values() for text in texts
    }  # fmt: skip
    places = Origins(scenario)

    def listen(bus: Bus) -> None:
        made.append(DecisionFollower(bus, node=node, at=at, matching=matching, places=places, owners=owners))

    with run_until(scenario, listen, lambda: made[0].done, progress):
        found = made[0].found
    if found is None:
        where = f" on {node}" if node else ""
        hint = "a decision is made once a flow and remembered: try an earlier instant, or none"
        raise ConfigError(Problem("--decision", 0, 0, "", f"no decision with a choice{where} from there on", hint))
    return found


def answer_and_why(
    scenario: Scenario, node: str, line: str, *, at: Ns | None = None, progress: Progress | None = None
) -> tuple[CommandResult, list[Fact]]:
    """Return what a command answers on a node at an instant, and each routing decision that it asked for.

    Raises ConfigError for a node that is not there.
    """
    known_node(scenario, node)
    made: list[RouteLookup] = []

    def listen(bus: Bus) -> None:
        bus.subscribe((RouteLookup,), made.append)

    with run_until(scenario, listen, lambda: False, progress, until=at) as lab:
        made.clear()
        asking = _AskingWhy(lab[node].node.box)
        if takes_time(line):
            answer = lab[node].sh(line)
        else:
            answer = run_shell(asking, line, now=lab.now)
            lab[node].node.drain()
        places = Origins(scenario)
        facts = [route_fact(each, places) for each in made if each.node == node]
        if not facts:  # a route cache decides nothing, and says so
            facts = [Fact(lab.now, "route", text) for text in asking.reasons]
        return answer, facts


class _AskingWhy:
    """A box that is asked for reasons with every `ip route get`."""

    def __init__(self, box: Netns) -> None:
        self._box = box
        self.name: str = box.name
        self.profile: Profile = box.profile
        self.reasons: list[str] = []

    def request(self, req: Request[T], *, now: Ns) -> T | Refusal:
        """Pass a request on; the tool is not shown the reasons, which it would print itself."""
        if not isinstance(req, GetRoute):
            return self._box.request(req, now=now)
        answer = self._box.request(replace(req, why=True), now=now)
        if isinstance(answer, RouteAnswer):
            self.reasons.append(answer.why)
            answer = replace(answer, why="")
        return cast("T | Refusal", answer)


def run_until(
    scenario: Scenario, listen: Callable[[Bus], None], done: Callable[[], bool], progress: Progress | None = None,
    *, started: Callable[[Lab], object] | None = None, until: Ns | None = None,
) -> Lab:  # fmt: skip
    """Build a lab, let `listen` subscribe, and run until `done()` or the end. The lab is the caller's to close."""
    lab = build_lab(scenario, scenario.effective_topology(), listen)
    if started is not None:
        started(lab)
    file_timeline(lab, scenario)
    file_expectations(lab, scenario, None)
    end = scenario.duration if until is None else until
    while lab.now < end and not done():
        lab.run(until=min(end, lab.now + _STEP))
        if progress is not None:
            progress(lab.now / end)
    return lab


def wire_of(lab: Lab, link: str, sender: str) -> Wire:
    """Return what a link's line is set to from a sender, now."""
    found = lab.world.links.get(link)
    if found is None:
        return Wire()
    lines = found.lines()
    index = next((end.index for end in found.ends if end.node.name == sender), 0)
    line = lines[index] if index < len(lines) else lines[0]
    return Wire(line.spec.rate or 0, line.spec.delay)
