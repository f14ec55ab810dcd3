"""A scenario's run: the lab, the timeline, the records, the verdicts, the result and its files.

Source: design/scenario-format.md; the way of a scenario in design/architecture.md section 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.errors import ConfigError, Problem
from netsim.lab import Lab, Refused, describe_plainly
from netsim.observe.metrics import Metrics
from netsim.scenario.actions import Event, Flap, Impairment, Injection
from netsim.scenario.audit import Audit
from netsim.scenario.check_lines import setup_lines
from netsim.scenario.expect import Answer
from netsim.scenario.expectations import CommandExpectation, RepeatableExpectation
from netsim.scenario.gather import Gatherer
from netsim.scenario.located import Located
from netsim.scenario.meters import ends_of, gateways_of, plot_data, spans_of, streams_of
from netsim.scenario.model import Scenario, Traffic
from netsim.scenario.notation import NotationError, build, parse_packet
from netsim.scenario.outputs import Outputs
from netsim.scenario.result import Result, Verdict
from netsim.shell.tool import CommandResult
from netsim.sim.clock import EXPECTATION
from netsim.topology.commands import expand
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.digest import Digest
from netsim.trace.records import WorldEvent
from netsim.units import Ns, seconds


class Interrupted(KeyboardInterrupt):
    """A person interrupted the run; `result` is what it had come to, `when` where it stood: "at 3 s"."""

    def __init__(self, result: Result, when: str) -> None:
        super().__init__(f"{result.scenario} interrupted {when}")
        self.result = result


Progress = Callable[[float], None]
MakeLab = Callable[[Scenario, Topology, Callable[[Bus], None]], Lab]
_SLICES = 100


@dataclass(slots=True)
class Meters:
    """Everything that listens to one run."""

    metrics: Metrics
    digest: Digest
    gatherer: Gatherer
    audit: Audit
    outputs: Outputs | None


def run_scenario(
    scenario: Scenario, *, out: Path | None = None, progress: Progress | None = None, make_lab: MakeLab | None = None
) -> Result:
    """Run a scenario and judge it; with `out`, write its files there. Raises ConfigError for a refused set-up line.

    `make_lab` builds another lab than the emulator's (one whose boxes are the kernel's). A run that is interrupted, or
    whose lab ends before the scenario does, has a partial result, which is written like any other. That of a lab that
    ended is returned; Interrupted, a KeyboardInterrupt, carries an interrupted one to the caller.
    """
    topology = scenario.effective_topology()
    listening: list[Meters] = []
    make_lab = make_lab or build_lab
    try:
        lab = make_lab(scenario, topology, lambda bus: listening.append(_listen(scenario, topology, bus, out)))
        with lab:
            result, when = _run(lab, scenario, listening[0], progress)
        outputs = listening[0].outputs
        if outputs is not None and not outputs.finish(result):
            when = when or "while its plots were drawn"
    except BaseException:
        for meters in listening:
            if meters.outputs is not None:
                meters.outputs.discard()
        raise
    if when:
        raise Interrupted(result, when)
    return result


def _run(lab: Lab, scenario: Scenario, meters: Meters, progress: Progress | None) -> tuple[Result, str]:
    """Run a lab to its end; return the result, and when a person interrupted it ("" for nobody did)."""
    file_timeline(lab, scenario)
    file_expectations(lab, scenario, meters.gatherer)
    when = ""
    started = time.perf_counter()
    try:
        run_lab(lab, scenario.duration, progress)
    except KeyboardInterrupt:
        when = f"at {seconds(lab.now):g} s"
    wall = time.perf_counter() - started
    ended = lab.now if when or lab.now < scenario.duration else None
    digest = meters.digest.hexdigest()
    if ended is None:
        meters.metrics.ledger.check(lab.world.in_flight(), lab.world.held())
        meters.metrics.tables.check(lab.world.holdings())
        if any(isinstance(each, RepeatableExpectation) for each in scenario.expect):
            try:
                meters.gatherer.digests = (digest, digest_of(scenario))
            except KeyboardInterrupt:
                when = "in its second run"  # the first is whole, and its other expectations are judged
    return _result(scenario, lab.topology, meters, digest, wall, ended), when


def digest_of(scenario: Scenario) -> str:
    """Run a scenario for its digest alone."""
    topology = scenario.effective_topology()
    kept: list[Digest] = []
    with build_lab(scenario, topology, lambda bus: kept.append(Digest(bus))) as lab:
        file_timeline(lab, scenario)
        file_expectations(lab, scenario, None)
        run_lab(lab, scenario.duration, None)
    return kept[0].hexdigest()


def answer_at(
    scenario: Scenario, node: str, line: str, *, at: Ns | None = None, progress: Progress | None = None
) -> Answer:
    """Run up to an instant (default: the end) and return what a command answers on a node there. Raises ConfigError."""
    known_node(scenario, node)
    with build_lab(scenario, scenario.effective_topology()) as lab:
        file_timeline(lab, scenario)
        run_lab(lab, scenario.duration if at is None else at, progress)
        result = lab[node].sh(line)
        return Answer(result.rc, result.stdout, result.stderr)


def known_node(scenario: Scenario, node: str) -> None:
    """Raise ConfigError, with the names there are, unless the scenario has this node."""
    names = scenario.effective_topology().nodes
    if node not in names:
        raise ConfigError(Problem("NODE", 0, 0, "", f'no node "{node}"', f"there are: {', '.join(names)}"))


def rehearse(scenario: Scenario) -> None:
    """Set everything up and run nothing: what only a box can refuse is told now. Raises ConfigError."""
    build_lab(scenario, scenario.effective_topology()).close()


def build_lab(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None] | None = None) -> Lab:
    """Build the lab; a refused set-up line is told at its place in the file. Raises ConfigError."""
    return Lab(
        topology, seed=scenario.seed, bus_ready=bus_ready, describe=lambda refused: locate_refusal(scenario, refused)
    )


def locate_refusal(scenario: Scenario, refused: Refused) -> Problem:
    """Tell a refused set-up step where the person wrote it."""
    tree, node = scenario.origin, refused.node
    if tree is None:
        return describe_plainly(refused)
    if refused.part == "run":
        line = list(setup_lines(tree, node))[refused.index]
        path = ".".join(str(step) for step in line.path[:-1]) + f"[{line.path[-1]}]"
        return line.at(0).problem(path, refused.words)
    part, _, key = refused.part.partition(".")
    keys = (part, key) if key else (part,)
    where: Located | None = tree.get("topology", "nodes", node, *keys)
    path = f"topology.nodes.{node}.{refused.part}"
    override = tree.get(part, node, *keys[1:])
    if override is not None:
        where, path = override, f"{part}.{node}.{key}"
    mark = where.mark if where is not None else tree.mark
    return mark.problem(path, refused.words, f"from: {refused.line}")


def run_lab(lab: Lab, until: Ns, progress: Progress | None) -> None:
    """Run to an instant, telling how far it is."""
    if progress is not None:
        for step in range(1, _SLICES):
            lab.run(until=max(lab.now, until * step // _SLICES))
            progress(step / _SLICES)
    lab.run(until=until)


def _listen(scenario: Scenario, topology: Topology, bus: Bus, out: Path | None) -> Meters:
    """Subscribe everything that listens, before the first box exists."""
    digest = Digest(bus)
    metrics = Metrics(
        bus,
        gateways=gateways_of(topology),
        flows=scenario.traffic,
        spans=spans_of(scenario),
        bin_width=scenario.observe.bin,
        streams=streams_of(scenario),
    )
    ends = ends_of(topology)
    gatherer = Gatherer(scenario, bus, metrics, ends)
    audit = Audit(bus, scenario, topology, gatherer.captured())
    outputs = None if out is None else Outputs(out, bus, scenario, topology, ends)
    return Meters(metrics, digest, gatherer, audit, outputs)


# The timeline


def file_timeline(lab: Lab, scenario: Scenario) -> None:
    """File the events, then the traffic: at one instant events come first, each kind in the file's order."""
    for event in scenario.events:
        if event.at <= scenario.duration:
            file_event(lab, event)
    for name, traffic in scenario.traffic.items():
        add_flow(lab, name, traffic)


def add_flow(lab: Lab, name: str, traffic: Traffic) -> None:
    """Make a flow of the file's traffic."""
    options: dict[str, Any] = {  # Any: FlowSpec's fields
        "kind": traffic.kind, "every": traffic.interval, "count": traffic.count or 0, "size": traffic.payload,
        "flows": traffic.flows, "new_flows": traffic.new_flows, "sport": traffic.sport or 0, "dev": traffic.dev or "",
        "ttl": traffic.ttl or 0, "tos": traffic.tos or 0, "reply": traffic.reply, "hold": traffic.hold,
        "mode": traffic.mode,
    }  # fmt: skip
    if traffic.src is not None:
        from netsim.addr import parse_ip

        options["src"] = parse_ip(traffic.src)
    lab.flow(
        name, source=traffic.source, to=traffic.to, server=traffic.server or "", start=traffic.start,
        stop=traffic.stop, **options,
    )  # fmt: skip


def file_event(lab: Lab, event: Event) -> None:
    """File one event of the timeline, at its instant."""
    argument = event.argument
    if isinstance(argument, Injection):
        packet = _packet(argument.packet)
        lab.at(event.at, lambda: _told(lab, event, lambda: lab.inject(argument.to, packet)))
    elif isinstance(argument, dict):
        lab.at(event.at, lambda: _told(lab, event, lambda: _run_lines(lab, argument)))
    elif isinstance(argument, Impairment):
        given = {name: getattr(argument, name) for name in argument.model_fields_set if name != "link"}
        settings = {name: value for name, value in given.items() if value is not None}
        lab.event(event.verb, event.target, at=event.at, id_=event.id, **settings)
    elif isinstance(argument, Flap):
        times = {"down": argument.down, "up": argument.up, "times": argument.times}
        lab.event(event.verb, event.target, at=event.at, id_=event.id, **times)
    else:
        lab.event(event.verb, event.target, at=event.at, id_=event.id)


def _packet(text: str) -> Any:  # Any: a scapy packet
    try:
        return build(parse_packet(text))
    except NotationError as error:
        raise ConfigError(Problem("inject", 0, 0, "packet", error.what, error.hint)) from error


def _told(lab: Lab, event: Event, act: Callable[[], None]) -> None:
    lab.bus.publish(WorldEvent(lab.now, event.id, event.verb, event.target))
    act()


def _run_lines(lab: Lab, lines: Mapping[str, str]) -> None:
    for node, block in lines.items():
        lab.script(node, [command.text for command in expand(block)])


def file_expectations(lab: Lab, scenario: Scenario, gatherer: Gatherer | None) -> None:
    """File the commands of expectations, after everything else of their instant. They are part of what happens."""
    instants = {event.id: event.at for event in scenario.events}
    for index, expect in enumerate(scenario.expect):
        if isinstance(expect, CommandExpectation):
            start = 0 if expect.after is None else instants[expect.after]
            lab.env.at(start + expect.at, _Asker(lab, expect, gatherer, index), EXPECTATION)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Asks one expectation's command at its instant."""

    lab: Lab
    expect: CommandExpectation
    gatherer: Gatherer | None
    index: int

    def __call__(self) -> None:
        self.lab.script(self.expect.node, [command.text for command in expand(self.expect.run)], self._answered)

    def _answered(self, answer: CommandResult) -> None:
        if self.gatherer is not None:
            self.gatherer.answers[self.index] = Answer(answer.rc, answer.stdout, answer.stderr)


def _result(
    scenario: Scenario, topology: Topology, meters: Meters, digest: str, wall: float, ended: Ns | None
) -> Result:
    if ended is None:
        verdicts = tuple(judge() for judge in meters.gatherer.judges)
        verdicts += meters.audit.verdicts(meters.metrics)
    else:
        why = f"not judged: the run ended at {seconds(ended):g} of {seconds(scenario.duration):g} s"
        verdicts = tuple(Verdict(name=judge().name, passed=False, why=why) for judge in meters.gatherer.judges)
    measured = meters.metrics.as_result(scenario.duration)
    return Result(
        scenario=scenario.name, seed=scenario.seed, duration_s=seconds(scenario.duration),
        passed=ended is None and all(verdict.passed for verdict in verdicts), digest=digest, expect=verdicts,
        events=tuple(measured["events"]), flows=measured["flows"], gateways=measured["gateways"],
        neigh=tuple(measured["neigh"]) if "neigh" in scenario.observe.lists else (),
        nat=tuple(measured["nat"]) if "nat" in scenario.observe.lists else (),
        commands=tuple(measured["commands"]) if "commands" in scenario.observe.lists else (),
        drops=measured["drops"], ledger=measured["ledger"], packet_hops=measured["packet_hops"], wall_s=wall,
        plots=plot_data(scenario, topology, meters.metrics), ended_s=None if ended is None else seconds(ended),
    )  # fmt: skip
