"""Follow one neighbour entry: its states and why it moved, each probe, each answer, and what became of the probes."""

from __future__ import annotations

from dataclasses import dataclass, field

from netsim.addr import ip_str, mac_str, parse_ip
from netsim.observe.explain.facts import Fact, clock
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent, NeighChange, WorldEvent
from netsim.units import Ns, format_span
from netsim.wire.arp import ARPOP_REQUEST, Arp, parse_arp
from netsim.wire.drop import DESCRIPTIONS, OTHERHOST
from netsim.wire.ether import ETH_HLEN, PROTO_ARP, is_group
from netsim.wire.frame import Frame
from netsim.wire.octets import Truncated


@dataclass(slots=True)
class NeighStory:
    """What happened to a neighbour, in order, and in one sentence why it is as it is at the end."""

    node: str
    dst: str
    dev: str
    facts: list[Fact] = field(default_factory=list)
    state: str = "no entry"
    since: Ns = 0
    why: str = ""


class NeighFollower:
    """Builds the story of one entry while a run goes on. `conclude()` says why, after the last record."""

    def __init__(self, bus: Bus, node: str, dst: str, dev: str) -> None:
        self.story = NeighStory(node, dst, dev)
        self._ip = parse_ip(dst)
        self._probes: dict[int, Fact] = {}
        self._round: list[Fact] = []
        self._failure = ""
        bus.subscribe((NeighChange,), self._change)
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameCopied,), self._copied)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((WorldEvent,), self._event)

    def _note(self, fact: Fact) -> None:
        self.story.facts.append(fact)

    def _change(self, r: NeighChange) -> None:
        story = self.story
        if (r.node, r.dst, r.dev) != (story.node, story.dst, story.dev):
            return
        if r.new != r.old:
            if r.new in {"PROBE", "INCOMPLETE"}:
                self._round = []
            story.state, story.since = r.new, r.t
            if r.new == "FAILED":
                self._failure = self._failed(r)
        lladdr = f" lladdr {r.lladdr}" if r.lladdr else ""
        data = {"old": r.old, "new": r.new, "cause": r.cause, "lladdr": r.lladdr}
        self._note(Fact(r.t, "state", f"{r.old} -> {r.new}{lladdr}: {r.cause}", data=data))

    def _arp(self, frame: Frame) -> Arp | None:
        if not frame.link_header or frame.octets[12:14] != PROTO_ARP:
            return None
        try:
            return parse_arp(frame.octets[ETH_HLEN:])
        except Truncated:
            return None

    def _sent(self, r: FrameSent) -> None:
        if (r.node, r.dev) != (self.story.node, self.story.dev):
            return
        packet = self._arp(r.frame)
        if packet is None or packet.op != ARPOP_REQUEST or packet.tpa != self._ip:
            return
        to = "to everyone" if is_group(r.frame.octets[:6]) else f"to {mac_str(r.frame.octets[:6])}"
        number = len(self._round) + 1
        text = f"probe {number} {to}: who-has {ip_str(packet.tpa)} tell {ip_str(packet.spa)}"
        fact = Fact(r.t, "probe", text, data={"number": number, "frame": r.frame.uid, "outcome": "no answer"})
        self._note(fact)
        self._round.append(fact)
        self._probes[r.frame.uid] = fact

    def _copied(self, r: FrameCopied) -> None:
        if r.frame.parent in self._probes:
            self._probes[r.frame.uid] = self._probes[r.frame.parent]

    def _delivered(self, r: FrameDelivered) -> None:
        packet = self._arp(r.frame)
        if packet is None:
            return
        if (r.node, r.dev) == (self.story.node, self.story.dev) and packet.spa == self._ip:
            asked = self._probes.get(r.frame.parent)
            kind = "request" if packet.op == ARPOP_REQUEST else "reply"
            text = f"ARP {kind} heard: {ip_str(packet.spa)} is at {mac_str(packet.sha)}"
            if asked is not None:
                asked.data["outcome"] = "answered"
                text += f", {format_span(r.t - asked.t)} after probe {asked.data['number']}"
            self._note(Fact(r.t, "heard", text, data={"lladdr": mac_str(packet.sha)}))

    def _dropped(self, r: Dropped) -> None:
        fact = self._probes.get(r.uid)
        if fact is None or r.reason == OTHERHOST:
            return
        meaning = DESCRIPTIONS.get(r.reason, "")
        fact.lines.append(f"dropped by {r.node}: {r.reason}" + (f": {meaning}" if meaning else ""))
        fact.data["outcome"] = f"dropped by {r.node}: {r.reason}"

    def _event(self, r: WorldEvent) -> None:
        self._note(Fact(r.t, "event", f"--- {r.verb} {r.target}", data={"verb": r.verb, "target": r.target}))

    def conclude(self) -> NeighStory:
        """Say in a sentence why the entry is in its last state."""
        story = self.story
        if story.state == "no entry":
            story.why = f"nothing was ever sent to {story.dst} by {story.dev}, and nothing was heard from it there"
            return story
        last = next(fact for fact in reversed(story.facts) if fact.kind == "state" and fact.t == story.since)
        story.why = f"{story.state} since {clock(story.since)}: {last.data['cause']}"
        if story.state == "FAILED":
            story.why = self._failure
        elif story.state in {"INCOMPLETE", "PROBE"} and self._failure:
            story.why += f" (before: {self._failure})"
        return story

    def _failed(self, r: NeighChange) -> str:
        """Say why an entry failed: which probes were sent when, and what became of them."""
        said = f"FAILED since {clock(r.t)}: {r.cause}"
        if self._round:
            times = ", ".join(clock(fact.t) for fact in self._round)
            count = len(self._round)
            said += f"; {count} {'probe' if count == 1 else 'probes'} at {times} without an answer"
            ends = {str(fact.data["outcome"]) for fact in self._round if fact.data["outcome"] != "no answer"}
            if ends:
                said += f", {'; '.join(sorted(ends))}"
        return said
