"""What must hold in any lab, whatever happens in it: watched from the bus while it runs, and asked of it at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from netsim.addr import ip_str
from netsim.lab import Lab
from netsim.observe.capture import Points
from netsim.observe.meters.checksums import ChecksumWatch
from netsim.stack.errno import Refusal
from netsim.stack.neigh.nud import CAUSES, COLUMNS, NAMES
from netsim.stack.netfilter.ct_requests import CountConntrack
from netsim.stack.profile import profile
from netsim.stack.requests import DumpNeighs
from netsim.trace.bus import Bus
from netsim.trace.records import (
    ConntrackEvent,
    Dropped,
    FrameDelivered,
    FrameSent,
    NatMapped,
    NeighChange,
    WorldEvent,
)
from netsim.wire.drop import DESCRIPTIONS

MOST = 10


class Watch:
    """Watches one run; `problems` says in words what did not hold."""

    def __init__(self, bus: Bus, kernels: Mapping[str, str], uplinks: Mapping[tuple[str, str], str]) -> None:
        self.problems: list[str] = []
        self._moves = {name: _moves(profile(kernel).neigh.column) for name, kernel in kernels.items()}
        self._uplinks = uplinks
        self._ttl: dict[int, int] = {}
        self._inner: dict[int, str] = {}
        self._outer: dict[tuple[str, str], bytes] = {}
        self._neigh: dict[tuple[str, str, str], str] = {}
        self._connections: Counter[str] = Counter()
        self._checksums = ChecksumWatch(bus, Points(frozenset(), True))
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((NeighChange,), self._changed)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((ConntrackEvent,), self._connection)
        bus.subscribe((WorldEvent,), self._event)
        bus.subscribe((NatMapped,), self._mapped)

    def say(self, problem: str) -> None:
        """Note a problem; the first few are enough."""
        if len(self.problems) < MOST:
            self.problems.append(problem)

    def ask(self, lab: Lab) -> None:
        """Compare the books of neighbours and connections with what the boxes list. Call it before the lab closes."""
        for name, node in lab.world.nodes.items():
            if node.crashed:
                continue
            now = lab.now
            listed = node.box.request(DumpNeighs(), now=now)
            assert not isinstance(listed, Refusal)
            there = {(name, each.dev, ip_str(each.dst)): NAMES[each.state] for each in listed if each.state}
            known = {key: state for key, state in self._neigh.items() if key[0] == name and state != "NONE"}
            if there != known:
                self.say(f"{name}: neighbours {sorted(there.items() ^ known.items())} are in one of table and records")
            count = node.box.request(CountConntrack(), now=now)
            if count != self._connections[name]:
                self.say(f"{name}: {count} connections listed, {self._connections[name]} by the records")
        if self._checksums.count:
            self.say(f"{self._checksums.count} wrong checksums: {self._checksums.described[:3]}")

    def _delivered(self, r: FrameDelivered) -> None:
        octets = r.frame.octets
        at = 14 if r.frame.link_header else 0
        if len(octets) > at + 20 and (not at or octets[12:14] == b"\x08\x00"):
            self._ttl[r.frame.uid] = octets[at + 8]
            if self._uplinks:
                self._inner[r.frame.uid] = _flow(octets[at:])

    def _sent(self, r: FrameSent) -> None:
        octets = r.frame.octets
        at = 14 if r.frame.link_header else 0
        if at and octets[12:14] != b"\x08\x00":
            return
        if r.through and not octets[at + 8] < self._ttl.get(r.through, 256):
            self.say(f"{r.node}:{r.dev} at {r.t}: ttl {octets[at + 8]} out, {self._ttl.get(r.through)} in")
        allowed = self._uplinks.get((r.node, r.dev))
        if allowed is not None and r.through and not r.frame.bad:
            # An error of the router's own about a translated packet takes that connection's address, as in Linux.
            source = ip_str(int.from_bytes(octets[at + 12 : at + 16], "big"))
            if source != allowed and source in self._uplinks.values():
                self.say(f"{r.node}:{r.dev} at {r.t}: {source} leaves, which belongs to another uplink")

            self._translated(r, octets[at:])

    def _translated(self, r: FrameSent, packet: bytes) -> None:
        """A flow keeps its outer address and port until a new connection was made of it."""
        inner = self._inner.get(r.through, "")
        outer = packet[12:16] + packet[20:22]
        if inner and self._outer.setdefault((r.node, inner), outer) != outer:
            self.say(
                f"{r.node}:{r.dev} at {r.t}: {inner} left as {self._outer[r.node, inner].hex()}, now {outer.hex()}"
            )

    def _mapped(self, r: NatMapped) -> None:
        number = {"tcp": 6, "udp": 17}.get(r.proto)
        self._outer.pop((r.node, f"{number} {r.original}"), None)

    def _changed(self, r: NeighChange) -> None:
        key = (r.node, r.dev, r.dst)
        before = self._neigh.get(key, "NONE")
        if before != r.old:
            self.say(f"{r.node} at {r.t}: {r.dst} moved from {r.old} and was {before}")
        self._neigh[key] = r.new
        removed = r.new == "NONE"
        made = (r.old, r.new, r.cause) == ("NONE", "NOARP", "created")
        if not (removed or made or (r.old, r.new, r.cause) in self._moves[r.node]):
            self.say(f"{r.node} at {r.t}: {r.dst} {r.old} -> {r.new} ({r.cause}) is no row of the table")

    def _dropped(self, r: Dropped) -> None:
        if r.reason not in DESCRIPTIONS:
            self.say(f"{r.node}: a drop without a name: {r.reason!r}")

    def _connection(self, r: ConntrackEvent) -> None:
        self._connections[r.node] += {"NEW": 1, "DESTROY": -1}.get(r.event, 0)

    def _event(self, r: WorldEvent) -> None:
        if r.verb == "crash":
            self._connections[r.target] = 0
            self._neigh = {key: state for key, state in self._neigh.items() if key[0] != r.target}


def _flow(packet: bytes) -> str:
    """Return a whole TCP or UDP packet's flow as NatMapped writes it, "" for any other."""
    at = (packet[0] & 15) * 4
    if packet[9] not in (6, 17) or len(packet) < at + 4 or packet[6] & 0x3F or packet[7]:
        return ""
    src, dst = (ip_str(int.from_bytes(packet[k : k + 4], "big")) for k in (12, 16))
    sport, dport = (int.from_bytes(packet[at + k : at + k + 2], "big") for k in (0, 2))
    return f"{packet[9]} {src}:{sport}>{dst}:{dport}"


def _moves(column: str) -> frozenset[tuple[str, str, str]]:
    """Return (old, new, cause) of every row; a new address is told as a move to the same state."""
    rows = COLUMNS[column].rows
    return frozenset((NAMES[old], NAMES[row.new], CAUSES[event]) for (old, event), row in rows.items())
