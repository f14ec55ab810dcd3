"""Follow one packet from its making to its end, through every box, hook, decision, queue and link on its way.

The follower listens to a whole run and keeps what concerns one packet: the frames made of its first frame, what boxes
say about them, and what was decided earlier and is only remembered now (a route, a translation).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from netsim.addr import mac_str
from netsim.observe.explain.births import Lineage
from netsim.observe.explain.change import change, ends_of, ip_packet, is_icmp_error
from netsim.observe.explain.facts import Fact, Life, Nowhere, Places, Stage, Wire, clock
from netsim.observe.explain.route import remembered, route_fact
from netsim.trace.bus import Bus
from netsim.trace.records import (
    ConntrackEvent,
    Consumed,
    Dropped,
    FlowDelivered,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    HookVerdict,
    NatMapped,
    NeighChange,
    RouteLookup,
)
from netsim.units import NS_PER_S, Ns, format_span
from netsim.wire.drop import DESCRIPTIONS, OTHERHOST
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import parse_ipv4
from netsim.wire.summary import summary

WireOf = Callable[[str, str], Wire]
"""wire(link, sender) -> what is known of the link in that direction."""

_RECENT = 64


def words(frame: Frame) -> str:
    """Return a frame in tcpdump's words."""
    return summary(frame.octets, link_header=frame.link_header)


class PacketFollower:
    """Builds the Life of the packet whose first frame is `root`; `life.complete` once there is no more to come."""

    def __init__(self, bus: Bus, root: int, *, places: Places | None = None, wire: WireOf | None = None) -> None:
        self.life = Life(root, "")
        self._places = places or Nowhere()
        self._wire = wire or (lambda link, sender: Wire())
        self._lineage = Lineage()
        self._open: set[int] = {root}
        self._stages: dict[int, Stage] = {}
        self._frames: dict[int, tuple[Ns, str, Frame]] = {}
        self._current: dict[str, tuple[Ns, int]] = {}
        self._lookups: dict[tuple[str, str, str, str], RouteLookup] = {}
        self._outputs: dict[str, deque[RouteLookup]] = {}
        self._hooks: dict[str, deque[HookVerdict]] = {}
        self._mapped: dict[tuple[str, str], tuple[NatMapped, bool]] = {}
        self._neigh: dict[tuple[str, str], deque[NeighChange]] = {}
        self._last_end: tuple[Ns, str, Fact] | None = None
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameCopied,), self._copied)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((RouteLookup,), self._lookup)
        bus.subscribe((HookVerdict,), self._hook)
        bus.subscribe((NatMapped,), self._nat)
        bus.subscribe((NeighChange,), self._neigh_change)
        bus.subscribe((ConntrackEvent,), self._conntrack)
        bus.subscribe((Consumed,), self._consumed)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((FlowDelivered,), self._flow)

    # Frames

    def _sent(self, r: FrameSent) -> None:
        frame = r.frame
        if frame.uid == self.life.frame:
            self._made(r)
            return
        if frame.parent not in self._frames or r.node not in self._nodes_with(frame.parent):
            return
        if not self._lineage.carries_on(r):
            self.life.notes.append(f"{r.node} answers with frame {frame.uid}: {words(frame)}")
            return
        stage = self._stages[frame.parent]
        self._before_leaving(stage, r)
        self._open.discard(frame.parent)
        self._leave(stage, r)

    def _nodes_with(self, uid: int) -> tuple[str, ...]:
        return (self._stages[uid].node,) if uid in self._stages else ()

    def _leave(self, stage: Stage, r: FrameSent) -> None:
        to = f" to {mac_str(r.frame.octets[:6])}" if r.frame.link_header else ""
        text = f"leaves by {r.dev}{to} as frame {r.frame.uid}"
        stage.facts.append(Fact(r.t, "sent", text, data={"dev": r.dev, "frame": r.frame.uid}))
        self._frames[r.frame.uid] = (r.t, r.node, r.frame)
        self._open.add(r.frame.uid)

    def _made(self, r: FrameSent) -> None:
        """Open the life at the box that made the packet; what it decided lies a moment back."""
        self.life.summary = words(r.frame)
        packet = ip_packet(r.frame)
        stage = Stage(r.t, r.node, "", 0, self.life.summary)
        self.life.stages.append(stage)
        what = f"made in answer to frame {r.frame.parent}" if r.frame.parent else "made here"
        stage.facts.append(Fact(r.t, "made", what, data={"parent": r.frame.parent}))
        if packet is not None:
            header = parse_ipv4(packet)
            ends = ends_of(packet)
            dst = ends.dst if ends else str(header.daddr)
            decided = next((each for each in reversed(self._outputs.get(r.node, ())) if each.dst == dst), None)
            if decided is not None:
                fact = route_fact(decided, self._places)
                resolved = any(n.t == r.t and n.old == "INCOMPLETE" for n in self._neigh.get((r.node, r.dev), ()))
                if resolved:
                    stage.t = stage.facts[0].t = decided.t  # made then, and kept until the neighbour answered
                elif decided.t < r.t:
                    fact = remembered(fact, decided, r.t)
                stage.facts.append(fact)
            for verdict in self._hooks.get(r.node, ()):
                if decided is not None and verdict.t == decided.t:
                    stage.facts.append(self._hook_fact(verdict))
        self._waited(stage, r)
        self._leave(stage, r)

    def _copied(self, r: FrameCopied) -> None:
        parent = self._frames.get(r.frame.parent)
        if parent is not None:
            self._frames[r.frame.uid] = (parent[0], parent[1], r.frame)
            self._open.add(r.frame.uid)

    def _delivered(self, r: FrameDelivered) -> None:
        uid = r.frame.uid
        self._current[r.node] = (r.t, uid)
        if uid == self.life.frame and uid not in self._frames:
            self.life.summary = words(r.frame)
            self._frames[uid] = (r.t, "", r.frame)
        if uid not in self._frames:
            return
        stage = Stage(r.t, r.node, r.dev, uid, words(r.frame))
        self._stages[uid] = stage
        self.life.stages.append(stage)
        sent, sender, _ = self._frames[uid]
        self._frames[uid] = (sent, sender, r.frame)
        stage.facts.append(self._crossing(r, sent, sender))

    def _crossing(self, r: FrameDelivered, sent: Ns, sender: str) -> Fact:
        """Say how long the link took and why: serialisation, delay, and the rest behind other frames."""
        if not r.link:
            return Fact(r.t, "arrived", f"appears at {r.dev}: injected", data={"dev": r.dev})
        wire = self._wire(r.link, sender)
        took, size = r.t - sent, len(r.frame.octets)
        serial = -(-size * 8 * NS_PER_S // wire.rate) if wire.rate else 0
        waited = took - serial - wire.delay
        parts = [f"{format_span(serial)} for {size} octets"] if serial else []
        if wire.delay:
            parts.append(f"{format_span(wire.delay)} on the way")
        if waited > 0:
            parts.append(f"{format_span(waited)} behind other frames or by jitter")
        text = f"arrives at {r.dev} over {r.link} after {format_span(took)}"
        data = {"dev": r.dev, "link": r.link, "took_ns": took, "serialisation_ns": serial, "queued_ns": max(0, waited)}
        return Fact(r.t, "arrived", text + (f": {', '.join(parts)}" if parts else ""), data=data)

    def _before_leaving(self, stage: Stage, r: FrameSent) -> None:
        """Say what the box did to the packet between its two frames."""
        before, after = ip_packet(self._frames[r.frame.parent][2]), ip_packet(r.frame)
        if before is not None and after is not None:
            if not any(fact.kind == "route" for fact in stage.facts):
                self._remembered(stage, before, after)
            self._changed(stage, r, before, after)
        self._waited(stage, r)

    def _remembered(self, stage: Stage, before: bytes, after: bytes) -> None:
        one, other = ends_of(before), ends_of(after)
        if one is None or other is None:
            return
        for dst in (one.dst, other.dst):
            known = self._lookups.get((stage.node, stage.dev, one.src, dst))
            if known is not None:
                fact = remembered(route_fact(known, self._places), known, stage.t)
                at = next((i for i, each in enumerate(stage.facts) if each.kind == "rule"), len(stage.facts))
                stage.facts.insert(at, fact)
                return

    def _changed(self, stage: Stage, r: FrameSent, before: bytes, after: bytes) -> None:
        found = change(before, after)
        if found is None:
            return
        if found.translated:
            told = next((fact for fact in stage.facts if fact.kind == "nat"), None)
            if told is None:
                quotes = " as for the connection of the packet that it quotes" if is_icmp_error(before) else ""
                told = Fact(r.t, "nat", f"translated{quotes}")
                stage.facts.append(told)
                known = self._mapped.get((stage.node, found.before))
                if known is not None:
                    mapping, reply = known
                    why = f" ({mapping.why})" if mapping.why else ""
                    what = "undone for a reply of" if reply else "as"
                    told.text = f"NAT {what} the connection that frame {mapping.uid} opened{why}"
            told.lines.append(f"before {found.before}")
            told.lines.append(f"after  {found.after}")
            told.data |= {"before": found.before, "after": found.after}
        if found.fields:
            stage.facts.append(Fact(r.t, "header", ", ".join(found.fields)))
        if found.checksums:
            text = "checksums by RFC 1624, HC' = ~(~HC + ~m + m') for each changed word"
            stage.facts.append(Fact(r.t, "checksum", text, list(found.checksums)))

    def _waited(self, stage: Stage, r: FrameSent) -> None:
        """Say how long the packet waited in the box for its neighbour."""
        if r.t <= stage.t:
            return
        moves = [n for n in self._neigh.get((r.node, r.dev), ()) if stage.t <= n.t <= r.t and n.new != n.old]
        whom = f" for the MAC of {moves[-1].dst}" if moves else ""
        text = f"waits {format_span(r.t - stage.t)}{whom}"
        lines = [f"{clock(n.t)} {n.dst} {n.old} -> {n.new}: {n.cause}" for n in moves]
        told = {n.dst for n in moves}
        stage.facts = [fact for fact in stage.facts if fact.kind != "neigh" or fact.data["dst"] not in told]
        stage.facts.append(Fact(stage.t, "wait", text, lines, data={"ns": r.t - stage.t}))

    # What boxes say

    def _stage_of(self, node: str, uid: int, t: Ns) -> Stage | None:
        """Return the packet's stage a record is about: by uid, or by being what the node works on at this instant."""
        if uid:
            stage = self._stages.get(uid)
            return stage if stage is not None and stage.node == node else None
        current = self._current.get(node)
        if current is None or current[0] != t:
            return None
        return self._stages.get(current[1]) if current[1] in self._open else None

    def _lookup(self, r: RouteLookup) -> None:
        if r.uid and r.kind == "input":
            self._lookups[r.node, r.iif, r.src, r.dst] = r
        if not r.uid:
            self._outputs.setdefault(r.node, deque(maxlen=_RECENT)).append(r)
        stage = self._stage_of(r.node, r.uid, r.t)
        if stage is None:
            return
        if r.uid:
            stage.facts.append(route_fact(r, self._places))
            return
        packet = ip_packet(self._frames[stage.frame][2])
        ends = ends_of(packet) if packet is not None else None
        if ends is not None and r.dst == ends.dst and r.kind == "output":
            fact = route_fact(r, self._places)
            fact.kind, fact.text = "nat-route", f"NAT asks which source address belongs there: {fact.text}"
            stage.facts.append(fact)

    def _hook(self, r: HookVerdict) -> None:
        if not r.uid:
            self._hooks.setdefault(r.node, deque(maxlen=_RECENT)).append(r)
            return
        stage = self._stage_of(r.node, r.uid, r.t)
        if stage is not None:
            stage.facts.append(self._hook_fact(r))

    def _hook_fact(self, r: HookVerdict) -> Fact:
        where = f"rule {r.rule}" if r.rule else "policy"
        text = f"{r.hook}: {r.table} {r.chain} {where}: {r.text} -> {r.verdict}"
        data = {"hook": r.hook, "table": r.table, "chain": r.chain, "rule": r.rule, "verdict": r.verdict}
        return Fact(r.t, "rule", text, places=self._places.rule(r), data=data)

    def _nat(self, r: NatMapped) -> None:
        self._mapped[r.node, r.original] = (r, False)
        self._mapped[r.node, r.reply] = (r, True)
        stage = self._stage_of(r.node, r.uid, r.t) if r.uid else None
        if stage is not None:
            why = f" ({r.why})" if r.why else ""
            data = {"original": r.original, "reply": r.reply, "why": r.why}
            stage.facts.append(Fact(r.t, "nat", f"NAT binds a new {r.proto} connection{why}", data=data))

    def _conntrack(self, r: ConntrackEvent) -> None:
        stage = self._stage_of(r.node, 0, r.t)
        if stage is not None:
            text = f"conntrack {r.event}: {' '.join(r.line.split())}"
            stage.facts.append(Fact(r.t, "conntrack", text, data={"event": r.event}))

    def _neigh_change(self, r: NeighChange) -> None:
        self._neigh.setdefault((r.node, r.dev), deque(maxlen=_RECENT)).append(r)
        stage = self._stage_of(r.node, 0, r.t)
        if stage is not None and r.new != r.old:
            text = f"neighbour {r.dst} dev {r.dev} {r.old} -> {r.new}: {r.cause}"
            stage.facts.append(Fact(r.t, "neigh", text, data={"dst": r.dst, "old": r.old, "new": r.new}))

    # Ends

    def _consumed(self, r: Consumed) -> None:
        self._lineage.ended(r.uid)
        if r.uid in self._open:
            fact = Fact(r.t, "delivered", f"ends well at {r.node}", data={"node": r.node})
            self._end(r.uid, r.t, r.node, fact)

    def _dropped(self, r: Dropped) -> None:
        self._lineage.ended(r.uid)
        if r.uid not in self._open:
            return
        if r.reason == OTHERHOST:
            stage = self._stages.pop(r.uid, None)
            if stage is not None:
                self.life.stages.remove(stage)
            self.life.bystanders.append(r.node)
            self._open.discard(r.uid)
            self._settle()
            return
        detail = f" ({r.detail})" if r.detail else ""
        meaning = DESCRIPTIONS.get(r.reason, "")
        device = f" at {r.dev}" if r.dev else ""
        text = f"dropped by {r.node}{device}: {r.reason}{detail}" + (f": {meaning}" if meaning else "")
        data = {"node": r.node, "reason": r.reason, "detail": r.detail}
        self._end(r.uid, r.t, r.node, Fact(r.t, "dropped", text, data=data))

    def _end(self, uid: int, t: Ns, node: str, fact: Fact) -> None:
        stage = self._stages.get(uid)
        if stage is not None and t > stage.t:
            stage.facts.append(Fact(stage.t, "wait", f"waits {format_span(t - stage.t)} in the box"))
        self.life.endings.append(fact)
        self._last_end = (t, node, fact)
        self._open.discard(uid)
        self._settle()

    def _settle(self) -> None:
        self.life.complete = not self._open

    def _flow(self, r: FlowDelivered) -> None:
        if self._last_end is not None and self._last_end[:2] == (r.t, r.node):
            fact = self._last_end[2]
            fact.text += f": unit {r.seq} of flow {r.flow}, {format_span(r.latency)} after it was sent"
            fact.data |= {"flow": r.flow, "unit": r.seq, "latency_ns": r.latency}
            self._last_end = None
