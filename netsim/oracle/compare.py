"""Two runs of one scenario, the kernel's and the emulator's, record by record: what agrees, and each difference.

Commands, connections, translations and the frames of each conversation at each interface are compared exactly, after
describe.py and answers.py took out what the kernel draws; neighbour states in order; instants inside windows.py.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from netsim.oracle.align import Step, align
from netsim.oracle.answers import plain
from netsim.oracle.describe import Describer, Roles, ends
from netsim.oracle.places import Places
from netsim.oracle.windows import Window
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result
from netsim.topology.commands import expand
from netsim.trace.records import (
    CommandRun,
    ConnectionEvent,
    FlowDelivered,
    FlowError,
    FlowSent,
    FrameSent,
    NatMapped,
    NeighChange,
    Record,
)
from netsim.units import NS_PER_MS, Ns, seconds

T = TypeVar("T")

COMPARED: tuple[type, ...] = (
    FrameSent, NeighChange, NatMapped, CommandRun, FlowSent, FlowDelivered, FlowError, ConnectionEvent,
)  # fmt: skip
SHORT: Ns = 100 * NS_PER_MS
"""A neighbour state that lasts less may have come and gone between two looks at the kernel."""
END: Ns = 300 * NS_PER_MS
"""What only one side did so shortly before the end, the other may have been about to do."""
_PORT = re.compile(r"\b[sd]port=(\d+)")
_ACK = re.compile(r" tcp A seq \d+ ack \d+ opt \S+ data 0 ")

RULES = MappingProxyType({
    "commands": "what the tools print: shell/ and the dumps of the room concerned",
    "neighbours": "net/core/neighbour.c: stack/neigh/nud.py has the table",
    "nat": "nf_nat_core.c get_unique_tuple(): stack/netfilter/nat_select.py",
    "frames": "what a box sends, and where: stack/ipv4, stack/fib, stack/neigh",
    "instants": "timers: the room that armed them",
    "flows": "what arrives at sockets: stack/sockets",
    "errors": "ICMP errors and their way to a socket: stack/ipv4/icmp.py, stack/sockets",
    "connections": "how a connection fares: stack/sockets/tcp",
    "expectations": "follows from the differences above it, if there are any",
})  # fmt: skip
"""Where each kind of difference is likely to have its cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One side: its verdicts, and its records in order."""

    result: Result
    records: Sequence[Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that the two sides did differently; "" means that a side did not do it at all."""

    aspect: str
    where: str
    t: float
    kernel: str
    emulator: str
    line: str

    @property
    def rule(self) -> str:
        """Where the cause is likely to be."""
        return RULES[self.aspect]


@dataclass(slots=True)
class Comparison:
    """What became of comparing one scenario. `agree` counts by aspect what was the same on both sides."""

    scenario: str
    agree: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """How many records were held against each other."""
        return self.agree.total() + len(self.differences)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON values
        """Return what `netsim verify --json` prints."""
        return {
            "scenario": self.scenario, "compared": self.compared, "agree": dict(self.agree),
            "differ": [
                {"aspect": d.aspect, "where": d.where, "t": d.t, "kernel": d.kernel, "emulator": d.emulator,
                 "line": d.line, "rule": d.rule}
                for d in self.differences
            ],
            "notes": self.notes,
        }  # fmt: skip


def compare(scenario: Scenario, kernel: Run, emulator: Run) -> Comparison:
    """Hold two runs against each other."""
    out = Comparison(scenario.name)
    both = _Both(scenario, kernel, emulator, out)
    both.commands()
    both.neighbours()
    both.translations()
    both.frames()
    both.flows()
    both.expectations()
    out.differences.sort(key=lambda each: (each.t, each.aspect, each.where))
    return out


def of(records: Sequence[Record], kind: type[T]) -> list[T]:
    """Return the records of a kind."""
    return [record for record in records if isinstance(record, kind)]


def grouped(records: Sequence[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:  # Any: whatever can be a key
    """Return records by a key, in their order."""
    out: defaultdict[Any, list[T]] = defaultdict(list)
    for record in records:
        out[key(record)].append(record)
    return out


class _Both:
    """The two sides of one comparison."""

    def __init__(self, scenario: Scenario, kernel: Run, emulator: Run, out: Comparison) -> None:
        self.kernel, self.emulator, self.out = kernel, emulator, out
        self.end = scenario.duration - END
        self.drift: dict[Ns, Ns] = {}
        self.places = Places(scenario)
        self.chosen = chosen_numbers(scenario)
        self.flow_names = tuple(scenario.traffic)
        self.roles = (Roles(kernel.records, self.chosen), Roles(emulator.records, self.chosen))

    def differ(self, aspect: str, where: str, t: Ns, said: Sequence[str], line: str) -> None:
        """Note a difference: `said` are the kernel's words and the emulator's."""
        self.out.differences.append(
            Difference(aspect=aspect, where=where, t=seconds(t), kernel=said[0], emulator=said[1], line=line)
        )

    def commands(self) -> None:
        """Compare every command's answer, in order on each node."""
        sides = [grouped(of(run.records, CommandRun), lambda r: r.node) for run in (self.kernel, self.emulator)]
        for node in dict.fromkeys((*sides[0], *sides[1])):
            for k, e in zip(sides[0].get(node, []), sides[1].get(node, []), strict=False):
                said = [
                    f"rc {r.rc}\n{plain(r.line, roles.text(r.stdout, r.t))}\n{plain(r.line, r.stderr)}".rstrip()
                    for r, roles in ((k, self.roles[0]), (e, self.roles[1]))
                ]
                self.drift[e.t] = max(self.drift.get(e.t, 0), k.t - e.t)
                if k.line == e.line and said[0] == said[1]:
                    self.out.agree["commands"] += 1
                else:
                    self.differ("commands", f"{node}: {k.line}", e.t, said, self.places.command(node, k.line, e.t))

    def _commands_take(self, t: Ns) -> Ns:
        """Return how much longer than an instant the commands that began before `t` were at work on the kernel."""
        last = max((at for at in self.drift if at <= t), default=None)
        return 0 if last is None else max(0, last + self.drift[last] - t)

    def neighbours(self) -> None:
        """Compare the states of each neighbour entry."""
        sides = [
            grouped(of(run.records, NeighChange), lambda r: (r.node, r.dev, r.dst))
            for run in (self.kernel, self.emulator)
        ]
        for node, dev, dst in dict.fromkeys((*sides[1], *sides[0])):
            lives = [_life(side.get((node, dev, dst), [])) for side in sides]
            where = f"{node} {dst} dev {dev}"
            self._sequence("neighbours", where, lives, self.places.around, may_miss=_fleeting)

    def translations(self) -> None:
        """Compare translated connections, as sets: their order is that of the packets."""
        sides = []
        for run, roles in zip((self.kernel, self.emulator), self.roles, strict=True):
            found: Counter[tuple[str, str]] = Counter()
            for r in of(run.records, NatMapped):
                sides_of = " replies ".join(_conn(text, roles, r.t, r.proto) for text in (r.original, r.reply))
                found[r.node, f"{r.proto} {sides_of}"] += 1
            sides.append(found)
        self.out.agree["nat"] += (sides[0] & sides[1]).total()
        for node, words in (sides[0] - sides[1]).elements():
            self.differ("nat", node, 0, (words, ""), "")
        for node, words in (sides[1] - sides[0]).elements():
            self.differ("nat", node, 0, ("", words), "")

    def frames(self) -> None:
        """Compare what left each interface, conversation by conversation."""
        sides: list[dict[tuple[str, str], list[Step]]] = []
        for run, roles in zip((self.kernel, self.emulator), self.roles, strict=True):
            describer = Describer(roles)
            found: defaultdict[tuple[str, str], list[Step]] = defaultdict(list)
            for r in of(run.records, FrameSent):
                whom, words = describer.frame(r.frame.octets, r.t)
                found[f"{r.node}:{r.dev}", whom].append(Step(r.t, words))
            sides.append(found)
        for where, whom in dict.fromkeys((*sides[1], *sides[0])):
            steps = [_without_bare_acks(side.get((where, whom), [])) for side in sides]
            self._sequence("frames", f"{where} {whom}", steps, partial(self._cause, whom))

    def _cause(self, whom: str, t: Ns) -> str:
        """Return the flow that a conversation belongs to, else the last event."""
        for name in self.flow_names:
            if f"<{name}." in whom:
                return self.places.flow(name)
        return self.places.around(t)

    def flows(self) -> None:
        """Compare which units arrived, which errors came back, and how connections fared."""
        for flow in self.flow_names:
            line = self.places.flow(flow)
            for aspect, tell in _TOLD.items():
                steps = [
                    sorted((Step(r.t, words) for r in run.records if (words := tell(r, flow))), key=_by_unit)
                    for run in (self.kernel, self.emulator)
                ]
                self._sequence(aspect, flow, steps, partial(_same, line), timed=False)

    def expectations(self) -> None:
        """Compare the verdicts."""
        for index, (k, e) in enumerate(zip(self.kernel.result.expect, self.emulator.result.expect, strict=False)):
            if k.passed == e.passed:
                self.out.agree["expectations"] += 1
            else:
                said = [f"{'holds' if v.passed else 'fails'}: {v.why}" for v in (k, e)]
                self.differ("expectations", k.name, 0, said, self.places.expectation(index))

    def _sequence(
        self, aspect: str, where: str, sides: Sequence[list[Step]], place: Callable[[Ns], str], *,
        timed: bool = True, may_miss: Callable[[list[Step], int], bool] = lambda _steps, _i: False,
    ) -> None:  # fmt: skip
        """Compare two sequences step by step, and the instants of what is in both.

        `may_miss` tells of a step that only one side has whether the other may lack it.
        """
        kernel, emulator = sides
        window = Window()
        pairs = align(kernel, emulator)
        for i, j in pairs:
            if i is not None and j is not None:
                k, e = kernel[i], emulator[j]
                self.out.agree[aspect] += 1
                if not timed:
                    continue
                if window.misses(k.t, e.t, self._commands_take(e.t)):
                    self.differ("instants", f"{where}: {k.words}", e.t, (_at(k), _at(e)), place(e.t))
                else:
                    self.out.agree["instants"] += 1
                continue
            k_step = kernel[i] if i is not None and kernel[i].t < self.end and not may_miss(kernel, i) else None
            e_step = emulator[j] if j is not None and emulator[j].t < self.end and not may_miss(emulator, j) else None
            alone = k_step or e_step
            if alone is not None:
                said = ["" if s is None else f"{s.words} ({_at(s)})" for s in (k_step, e_step)]
                self.differ(aspect, where, alone.t, said, place(alone.t))


def _same(line: str, _t: Ns) -> str:
    """Return a line whatever the instant."""
    return line


def _unit(record: Record, flow: str) -> str:
    """Tell of a unit that was sent or arrived, "" of anything else."""
    if isinstance(record, FlowSent) and record.flow == flow:
        return f"sent {record.seq}, {record.octets} octets"
    if isinstance(record, FlowDelivered) and record.flow == flow:
        return f"{record.node} got {record.seq}, {record.octets} octets"
    return ""


def _error(record: Record, flow: str) -> str:
    """Tell of an error that reached a flow."""
    if isinstance(record, FlowError) and record.flow == flow:
        return f"{record.node} {record.seq}: {record.errno} from {record.source or 'itself'}"
    return ""


def _connection(record: Record, flow: str) -> str:
    """Tell how a connection of a flow fares."""
    if isinstance(record, ConnectionEvent) and record.flow == flow:
        return f"{record.node} {record.seq} {record.event}"
    return ""


_TOLD: Mapping[str, Callable[[Record, str], str]] = MappingProxyType({
    "flows": _unit, "errors": _error, "connections": _connection,
})  # fmt: skip


def _at(step: Step) -> str:
    return f"at {seconds(step.t):.3f} s"


def _by_unit(step: Step) -> tuple[str, Ns]:
    """Order steps by what they are of: units of one instant come in any order, those of one unit in theirs."""
    who, _, _ = step.words.partition(",")
    return " ".join(who.split()[:2]), step.t


def _conn(text: str, roles: Roles, t: Ns, proto: str) -> str:
    src, sport, dst, dport = ends(text)
    always = proto == "icmp"
    return f"{src}:{roles.port(sport, t, always=always)}>{dst}:{roles.port(dport, t, always=always)}"


def _life(changes: Sequence[NeighChange]) -> list[Step]:
    """Return an entry's states with their beginnings; a change of nothing but the MAC is none.

    NONE before any other state says nothing, and NOARP is not looked at: the kernel gives it to groups by itself. An
    entry that begins in the state that the last one was left in (its box lost power) begins nevertheless.
    """
    out: list[Step] = []
    for change in changes:
        last = out[-1].words if out else "NONE"
        anew = change.old == "NONE" and last != "NONE"
        if change.new != "NOARP" and (change.new != last or anew):
            out.append(Step(change.t, change.new))
    return out


def _fleeting(life: list[Step], i: int) -> bool:
    """Whether a state lasted so short that a look may have missed it, or is the end of an entry that did."""
    if life[i].words == "NONE":
        return i == 0 or (_fleeting(life, i - 1) and _fleeting_before(life, i - 1))
    return i + 1 < len(life) and life[i + 1].t - life[i].t < SHORT


def _fleeting_before(life: list[Step], i: int) -> bool:
    """Whether an entry began with state `i`, as far as a look can tell."""
    return i == 0 or life[i - 1].words == "NONE"


def _without_bare_acks(steps: list[Step]) -> list[Step]:
    """Leave out bare acknowledgements that something else follows: how many there are is a matter of who runs when.

    The one that ends the handshake stays.
    """
    return [
        step
        for i, step in enumerate(steps)
        if i + 1 == len(steps) or not _ACK.search(step.words) or " ack 1 " in step.words
    ]


def chosen_numbers(scenario: Scenario) -> frozenset[int]:
    """Return every number that the scenario names as a port, in its traffic, injected packets or command lines."""
    out: set[int] = {9, 21, 80}
    for flow in scenario.traffic.values():
        if flow.sport:
            out.update(range(flow.sport, flow.sport + max(flow.flows, flow.count or 1)))
        for target in flow.to:
            _, _, port = str(target).partition(":")
            if port.isdigit():
                out.add(int(port))
    blocks = [node.run for node in scenario.effective_topology().nodes.values()]
    blocks += [block for event in scenario.events if event.run for block in event.run.values()]
    for block in blocks:
        for command in expand(block):
            out.update(int(word) for word in command.text.replace(":", " ").replace("-", " ").split() if word.isdigit())
    for event in scenario.events:
        if event.inject is not None:
            out.update(int(number) for number in _PORT.findall(str(event.inject.packet)))
    return frozenset(out)
