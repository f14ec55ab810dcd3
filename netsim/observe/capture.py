"""Captures: which frames passed at which interfaces, with the drops, translations and lookups that explain them.

A point is NODE:IFACE, a LINK (all its ends) or "all". A frame going out is seen as it is handed to the link, one coming
in as it arrives. Explanations come as records after the frame (a box drops a packet it queued for an unknown neighbour
three seconds later), so frames wait in a bounded window before they are written; memory stays flat when streaming.

Source: design/scenario-format.md, "Expectations" (capture) and "Result" (capture.pcapng).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from netsim.errors import SimulationError
from netsim.observe.filter import Filter
from netsim.observe.pcapng import DIRECTION_IN, DIRECTION_OUT, LINKTYPE_ETHERNET, LINKTYPE_RAW, PcapngWriter
from netsim.trace.bus import Bus, Interface
from netsim.trace.records import Dropped, FrameDelivered, FrameSent, NatMapped, RouteLookup
from netsim.units import Ns, sec
from netsim.wire.ether import PROTO_IP
from netsim.wire.frame import Frame

IN: Final = "in"
OUT: Final = "out"
HOLD: Ns = sec(4)
"""How long a frame waits for explanations: a neighbour that does not answer gives its queue up after 3 s."""
HOLD_FRAMES = 4096
"""How many frames wait at most; beyond, the oldest is written with the comments it has."""


@dataclass(frozen=True, slots=True)
class Points:
    """The interfaces a capture listens at; `everything` is "all"."""

    interfaces: frozenset[Interface]
    everything: bool = False

    def listen(self, bus: Bus, cls: type, sink: Callable[[Any], None]) -> None:
        """Call `sink(record)` for each record of a type, which names node and device, at these interfaces."""
        if self.everything:
            bus.subscribe((cls,), sink)
        else:
            bus.subscribe_at((cls,), sorted(self.interfaces), sink)


def resolve_points(points: Iterable[str], links: Mapping[str, Sequence[Interface]]) -> Points:
    """Turn NODE:IFACE, LINK and "all" into interfaces. Raises SimulationError for a name that is neither.

    `links` gives each link's ends.
    """
    interfaces: set[Interface] = set()
    everything = False
    for point in points:
        node, colon, dev = point.partition(":")
        if point == "all":
            everything = True
        elif point in links:
            interfaces.update(links[point])
        elif colon and node and dev:
            interfaces.add((node, dev))
        else:
            raise SimulationError(f'"{point}" is no capture point: NODE:IFACE, a link or all')
    return Points(frozenset(interfaces), everything)


@dataclass(slots=True, eq=False)
class Captured:
    """One frame at one interface: `direction` is "in" or "out"; comments grow while explanations come in.

    `older` is the one before it with the same frame; `written` tells that what comes now is too late for it.
    """

    t: Ns
    node: str
    dev: str
    direction: str
    frame: Frame
    comments: tuple[str, ...] = ()
    older: Captured | None = None
    written: bool = False


class Capture:
    """Collects or streams the frames at some points.

    With `file`, frames are written as pcapng when their window closes and `close()` writes the rest; the list stays
    empty. Without, `frames` keeps them all, and `write()` makes a file of them. `lookups` asks the boxes for routing
    decisions too, which they build for nobody else. `describe` gives an interface's description (its addresses).
    """

    def __init__(
        self,
        bus: Bus,
        points: Points,
        *,
        file: BinaryIO | None = None,
        matching: Filter | None = None,
        lookups: bool = True,
        describe: Callable[[str, str], str] | None = None,
    ) -> None:
        self.frames: list[Captured] = []
        self.count = 0
        self._matching = matching
        self._describe = describe
        self._stream = _PcapngStream(file, describe) if file is not None else None
        self._waiting: deque[Captured] = deque()
        self._by_uid: dict[int, Captured] = {}
        self._notes: dict[tuple[str, int], list[str]] = {}
        self._note_ages: deque[tuple[Ns, tuple[str, int]]] = deque()
        points.listen(bus, FrameSent, self._sent)
        points.listen(bus, FrameDelivered, self._delivered)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((NatMapped,), self._nat)
        if lookups:
            bus.subscribe((RouteLookup,), self._lookup)

    def write(self, file: BinaryIO) -> None:
        """Write the frames kept so far as pcapng. Not for a streaming capture."""
        stream = _PcapngStream(file, self._describe)
        for captured in self.frames:
            stream.write(captured)

    def close(self) -> None:
        """Write what still waits. The file stays the caller's to close."""
        while self._waiting:
            self._release()
        self._notes.clear()
        self._note_ages.clear()

    # -- frames

    def _sent(self, r: FrameSent) -> None:
        self._add(Captured(r.t, r.node, r.dev, OUT, r.frame), r.frame.parent)

    def _delivered(self, r: FrameDelivered) -> None:
        self._add(Captured(r.t, r.node, r.dev, IN, r.frame), 0)

    def _add(self, captured: Captured, made_from: int) -> None:
        if self._matching is not None and not self._matching.matches_frame(captured.frame):
            return
        self.count += 1
        waiting = self._waiting
        if self._note_ages or (waiting and (waiting[0].t + HOLD < captured.t or len(waiting) >= HOLD_FRAMES)):
            self._expire(captured.t)
        if made_from and (notes := self._notes.get((captured.node, made_from))) and _is_ip(captured.frame):
            captured.comments = tuple(notes)  # not to the ARP request that the packet had to wait for
        waiting.append(captured)
        uid = captured.frame.uid
        captured.older = self._by_uid.get(uid)
        self._by_uid[uid] = captured
        if self._stream is None:
            self.frames.append(captured)

    def _expire(self, now: Ns) -> None:
        while self._waiting and (self._waiting[0].t + HOLD < now or len(self._waiting) >= HOLD_FRAMES):
            self._release()
        while self._note_ages and (self._note_ages[0][0] + HOLD < now or len(self._note_ages) >= HOLD_FRAMES):
            self._notes.pop(self._note_ages.popleft()[1], None)

    def _release(self) -> None:
        captured = self._waiting.popleft()
        captured.written = True
        uid = captured.frame.uid
        if self._by_uid[uid] is captured:  # the newest with this frame, and the oldest of all: the last of them
            del self._by_uid[uid]
        if self._stream is not None:
            self._stream.write(captured)

    # -- explanations

    def _dropped(self, r: Dropped) -> None:
        detail = f" ({r.detail})" if r.detail else ""
        device = f" {r.dev}" if r.dev else ""
        self._explain(r.t, r.node, r.uid, f"dropped by {r.node}{device}: {r.reason}{detail}", final=True)

    def _nat(self, r: NatMapped) -> None:
        why = f": {r.why}" if r.why else ""
        self._explain(r.t, r.node, r.uid, f"nat {r.proto} {r.original} -> {r.reply}{why}", final=False)

    def _lookup(self, r: RouteLookup) -> None:
        text = f"route {r.route or r.error}" + (f": {r.why}" if r.why else "")
        self._explain(r.t, r.node, r.uid, text, final=False)

    def _explain(self, t: Ns, node: str, uid: int, text: str, *, final: bool) -> None:
        """Attach `text` to the frame `uid` where `node` has it (a link has it nowhere: then where it was sent).

        What is not the packet's end also explains the frame that will be made of it, at its node.
        """
        if not uid:
            return
        seen = []
        captured = self._by_uid.get(uid)
        while captured is not None and not captured.written:
            seen.append(captured)
            captured = captured.older
        here = [captured for captured in seen if captured.node == node]
        for captured in here or seen:
            captured.comments = (*captured.comments, text)
        if not final:
            if (node, uid) not in self._notes:
                self._note_ages.append((t, (node, uid)))
            self._notes.setdefault((node, uid), []).append(text)
            self._expire(t)


class CaptureCount:
    """Counts the frames at some points that match a filter, from `start` to before `stop`; keeps the first few.

    Both directions count. At a link each frame counts once, where it is sent (or, injected, where it appears): with
    `link=True` arrivals that came over a link are left out.
    """

    def __init__(
        self,
        bus: Bus,
        points: Points,
        matching: Filter,
        *,
        link: bool = False,
        start: Ns = 0,
        stop: Ns | None = None,
        keep: int = 5,
    ) -> None:
        self.count = 0
        self.first: list[Captured] = []
        self._matching = matching
        self._link = link
        self._start = start
        self._stop = stop
        self._keep = keep
        points.listen(bus, FrameSent, self._sent)
        points.listen(bus, FrameDelivered, self._delivered)

    def _sent(self, r: FrameSent) -> None:
        self._judge(r.t, r.node, r.dev, OUT, r.frame)

    def _delivered(self, r: FrameDelivered) -> None:
        if not (self._link and r.link):
            self._judge(r.t, r.node, r.dev, IN, r.frame)

    def _judge(self, t: Ns, node: str, dev: str, direction: str, frame: Frame) -> None:
        if t < self._start or (self._stop is not None and t >= self._stop) or not self._matching.matches_frame(frame):
            return
        self.count += 1
        if len(self.first) < self._keep:
            self.first.append(Captured(t, node, dev, direction, frame))


def _is_ip(frame: Frame) -> bool:
    return not frame.link_header or frame.octets[12:14] == PROTO_IP


class _PcapngStream:
    """A pcapng file that names interfaces as they first appear."""

    def __init__(self, file: BinaryIO, describe: Callable[[str, str], str] | None) -> None:
        self._writer = PcapngWriter(file)
        self._describe = describe
        self._numbers: dict[tuple[str, str, bool], int] = {}

    def write(self, captured: Captured) -> None:
        frame = captured.frame
        key = (captured.node, captured.dev, frame.link_header)
        number = self._numbers.get(key)
        if number is None:
            description = self._describe(captured.node, captured.dev) if self._describe else ""
            linktype = LINKTYPE_ETHERNET if frame.link_header else LINKTYPE_RAW
            number = self._writer.interface(f"{captured.node}:{captured.dev}", description, linktype)
            self._numbers[key] = number
        direction = DIRECTION_IN if captured.direction == IN else DIRECTION_OUT
        self._writer.packet(number, captured.t, frame.octets, direction=direction, comments=captured.comments)
