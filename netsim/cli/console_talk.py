"""What the console says and understands: events in one line, watching, completion, explanations of what was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from netsim.errors import SimulationError
from netsim.lab import Lab
from netsim.observe.explain.births import Births
from netsim.observe.explain.change import ip_packet
from netsim.observe.explain.facts import Wire
from netsim.observe.explain.neigh import NeighFollower
from netsim.observe.explain.packet import PacketFollower
from netsim.observe.explain.text import told
from netsim.observe.filter import Filter, compile_filter
from netsim.observe.textlog import format_record
from netsim.scenario.actions import VERBS, Event
from netsim.scenario.explanation import wire_of
from netsim.scenario.model import Scenario
from netsim.scenario.origins import Origins
from netsim.trace.bus import Bus
from netsim.trace.records import (
    Dropped,
    FrameDelivered,
    FrameSent,
    NatMapped,
    NeighChange,
    Record,
    RouteLookup,
    WorldEvent,
)
from netsim.units import Ns
from netsim.wire.drop import OTHERHOST
from netsim.wire.ether import PROTO_ARP, PROTO_IP

_COUNTS = ("times", "queue")
_KINDS: tuple[tuple[str, type], ...] = (
    ("events", WorldEvent), ("neigh", NeighChange), ("nat", NatMapped), ("drops", Dropped), ("routes", RouteLookup),
)  # fmt: skip


def event_of(verb: str, text: str, now: Ns) -> Event:
    """Read "silence isp1", "impair wan0 loss=30% delay=80ms", "inject h1:eth0 Ether()/IP()". Raises SimulationError."""
    from pydantic import ValidationError

    target, _, rest = text.strip().partition(" ")
    if not target:
        raise SimulationError(f"{verb} what? as in: {verb} {_EXAMPLES.get(VERBS[verb], 'NAME')}")
    argument: object = target
    if VERBS[verb] in {"impair", "flap"}:
        options = dict(word.partition("=")[::2] for word in rest.split())  # as YAML reads them: counts are numbers
        if not options or not all(options.values()):
            raise SimulationError(f"{verb} how? as in: {verb} {_EXAMPLES[VERBS[verb]]}")
        argument = {"link": target, **{k: int(v) if k in _COUNTS and v.isdecimal() else v for k, v in options.items()}}
    elif VERBS[verb] == "inject":
        argument = {"to": target, "packet": rest}
    elif rest:
        raise SimulationError(f"{verb} takes one name, and {rest!r} comes after it")
    try:
        return Event.model_validate({"at": f"{now}ns", verb: argument})
    except ValidationError as error:
        first = error.errors()[0]
        raise SimulationError(f"{verb}: {first['loc'][-1]}: {first['msg']}") from error


_EXAMPLES: Mapping[str, str] = MappingProxyType({
    "impair": "wan0 loss=30% delay=80ms", "flap": "wan0 down=1s up=2s times=5", "node": "isp1", "link": "wan0",
    "end": "router:wan0", "flow": "web", "inject": "h1:eth0 Ether()/IP(dst='10.0.0.1')",
})  # fmt: skip


class Watch:
    """Prints chosen records and captured frames as they happen; counts drops that are news."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.chosen: set[str] = {"events"}
        self.muted = False
        self.drops = 0
        self._write = write
        self._node = ""
        self._dev = ""
        self._filter: Filter | None = None

    def listen(self, bus: Bus) -> None:
        """Subscribe to what may be watched."""
        for name, kind in _KINDS:
            bus.subscribe((kind,), partial(self._record, name))
        bus.subscribe((FrameSent, FrameDelivered), self._frame)

    def choose(self, names: Sequence[str]) -> None:
        """Watch these from now on; "off" none; nothing leaves the choice alone. Raises SimulationError."""
        known = [name for name, _ in _KINDS]
        unknown = next((name for name in names if name not in {*known, "off"}), None)
        if unknown is not None:
            raise SimulationError(f"{unknown!r} cannot be watched; there are: {', '.join(known)}, off")
        if names:
            self.chosen = {name for name in names if name != "off"}

    def dump(self, node: str, text: str) -> None:
        """Read tcpdump's words: -i DEV, -n and -e are taken, then a filter. Raises ConfigError for a wrong filter."""
        words = text.split()
        if words == ["off"]:
            self._filter = None
            return
        dev = ""
        while words and words[0].startswith("-"):
            option = words.pop(0)
            _, has_i, named = option.partition("i")
            if has_i:
                dev = named or (words.pop(0) if words else "")
        self._filter, self._node, self._dev = compile_filter(" ".join(words)), node, "" if dev == "any" else dev

    def _record(self, name: str, record: Record) -> None:
        if isinstance(record, Dropped):
            if record.reason == OTHERHOST:
                return
            self.drops += 1
        if not self.muted and name in self.chosen:
            self._write(format_record(record))

    def _frame(self, r: FrameSent | FrameDelivered) -> None:
        if self._filter is None or self.muted or r.node != self._node or (self._dev and r.dev != self._dev):
            return
        if self._filter.matches_frame(r.frame):
            self._write(format_record(r))


class Explainer:
    """Explains from the records that the console kept, by telling them again to who follows a packet."""

    def __init__(self, records: Iterable[Record], scenario: Scenario, lab: Lab) -> None:
        self._records = list(records)
        self._scenario = scenario
        self._lab = lab

    def tell(self, words: Sequence[str], node: str) -> str:
        """Answer `explain ...`. Raises SimulationError."""
        match list(words):
            case ["last"]:
                return self._packet(self._last_sent())
            case ["lost"]:
                return self._packet(self._last_lost())
            case ["frame", number] if number.isdecimal():
                return self._packet(int(number))
            case ["neigh", dst, "dev", dev]:
                return self._neigh(node, dst, dev)
        raise SimulationError("explain what? last, lost, frame N, or neigh IP dev DEV")

    def _replay(self, bus: Bus) -> None:
        for record in self._records:
            bus.publish(record)

    def _last_sent(self) -> int:
        for record in reversed(self._records):
            if isinstance(record, FrameSent) and ip_packet(record.frame) is not None:
                return record.frame.uid
        raise SimulationError("no packet was sent yet; run 1s lets time pass")

    def _last_lost(self) -> int:
        for record in reversed(self._records):
            if isinstance(record, Dropped) and record.uid and record.reason != OTHERHOST and _is_ip(record.octets):
                return record.uid
        raise SimulationError("no packet was lost yet")

    def _packet(self, uid: int) -> str:
        bus = Bus()
        births = Births(bus, uid=uid)
        self._replay(bus)
        if births.found is None:
            raise SimulationError(f"frame {uid} is not among the records kept, or carries no IP packet")
        again = Bus()
        follower = PacketFollower(again, births.found.frame.uid, places=Origins(self._scenario), wire=self._wire)
        self._replay(again)
        return told(follower.life)

    def _wire(self, link: str, sender: str) -> Wire:
        return wire_of(self._lab, link, sender)

    def _neigh(self, node: str, dst: str, dev: str) -> str:
        bus = Bus()
        follower = NeighFollower(bus, node, dst, dev)
        self._replay(bus)
        return told(follower.conclude())


def _is_ip(octets: bytes) -> bool:
    """Tell whether a drop's octets are an IP packet, or a frame with one."""
    return octets[12:14] == PROTO_IP or (bool(octets) and octets[0] >> 4 == 4 and octets[12:14] != PROTO_ARP)


def complete_words(text: str, line: str, lab: Lab, scenario: Scenario) -> list[str]:
    """Return what may stand where a word of a line is being typed."""
    first = line.strip().partition(" ")[0]
    ends = [f"{node}:{port.name}" for node, ports in lab.ports.items() for port in ports]
    devices = sorted({port.name for ports in lab.ports.values() for port in ports})
    by_kind = {
        "node": list(lab.topology.nodes), "link": list(lab.topology.links), "end": ends, "flow": list(scenario.traffic),
        "impair": list(lab.topology.links), "flap": list(lab.topology.links), "inject": ends,
    }  # fmt: skip
    if first in VERBS and first != "run":
        words = by_kind[VERBS[first]]
    elif first == "node":
        words = by_kind["node"]
    elif first == "until":
        words = ["next event", "end", "drop"]
    elif first == "watch":
        words = [*(name for name, _ in _KINDS), "off"]
    elif first == "explain":
        words = ["last", "lost", "frame", "neigh"]
    else:
        words = ["addr", "get", "link", "neigh", "route", "rule", "show", "table", "dev", *devices]
    return [word for word in words if word.startswith(text)]
