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
from itertools import islice, takewhile
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
_Seen = FrameSent | FrameDelivered
HOLD: Ns = sec(4)
"""How long a frame waits for explanations at least: a neighbour that does not answer gives its queue up after 3 s."""
HOLD_FRAMES = 4096
"""How many frames wait at most; when as many do, the older half is written with the comments it has."""
_ROUND: Ns = HOLD // 8
"""How often it is asked whose time is over: together they cost less than each by itself."""


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


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame at one interface: `direction` is "in" or "out", `comments` what explained it."""

    t: Ns
    node: str
    dev: str
    direction: str
    frame: Frame
    comments: tuple[str, ...] = ()


class Capture:
    """Collects or streams the frames at some points.

    With `file`, frames are written as pcapng when their window closes and `close()` writes the rest. Without, all are
    kept, and `write()` makes a file of them. `lookups` asks the boxes for routing decisions too, which they build for
    nobody else. `describe` gives an interface's description (its addresses).

    A frame is known by its number, the `count` at which it came. The waiting ones are the records themselves, and are
    filed by uid only when somebody explains one: most pass unexplained, and a capture costs each of them all it adds.
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
        self.count = 0
        self._matching = matching
        self._describe = describe
        self._stream = _PcapngStream(file, describe) if file is not None else None
        self._kept: list[_Seen] = []
        self._waiting: deque[_Seen] = deque()
        self._filed = 0
        self._by_uid: dict[int, list[int]] = {}
        self._comments: dict[int, tuple[str, ...]] = {}
        self._notes: dict[tuple[str, int], tuple[str, ...]] = {}
        self._note_ages: deque[tuple[Ns, tuple[str, int]]] = deque()
        self._round: Ns = 0
        points.listen(bus, FrameSent, self._seen)
        points.listen(bus, FrameDelivered, self._seen)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((NatMapped,), self._nat)
        if lookups:
            bus.subscribe((RouteLookup,), self._lookup)

    @property
    def frames(self) -> list[Captured]:
        """The frames so far, of a capture without a file."""
        comments = self._comments
        return [
            Captured(r.t, r.node, r.dev, OUT if r.__class__ is FrameSent else IN, r.frame, comments.get(number, ()))
            for number, r in enumerate(self._kept)
        ]

    def write(self, file: BinaryIO) -> None:
        """Write the frames kept so far as pcapng. Not for a streaming capture."""
        stream = _PcapngStream(file, self._describe)
        for number, seen in enumerate(self._kept):
            stream.write(seen, self._comments.get(number, ()))

    def close(self) -> None:
        """Write what still waits. The file stays the caller's to close."""
        self._release(len(self._waiting))
        self._notes.clear()
        self._note_ages.clear()

    # -- frames

    def _seen(self, r: _Seen) -> None:
        frame = r.frame
        if self._matching is not None and not self._matching.matches_frame(frame):
            return
        waiting = self._waiting
        if r.t >= self._round or len(waiting) >= HOLD_FRAMES:
            self._expire(r.t)
        if self._notes and r.__class__ is FrameSent and frame.parent:
            notes = self._notes.get((r.node, frame.parent))
            if notes is not None and _is_ip(frame):  # not the ARP request that the packet had to wait for
                self._comments[self.count] = notes
        self.count += 1
        waiting.append(r)
        if self._stream is None:
            self._kept.append(r)

    def _expire(self, now: Ns) -> None:
        """Write the frames and forget the notes whose time is over, or the older half of too many."""
        self._round = now + _ROUND
        waiting, ages = self._waiting, self._note_ages
        over = sum(1 for _ in takewhile(lambda seen: seen.t + HOLD < now, waiting))
        self._release(max(over, HOLD_FRAMES // 2) if len(waiting) >= HOLD_FRAMES else over)
        while ages and (ages[0][0] + HOLD < now or len(ages) >= HOLD_FRAMES):
            self._notes.pop(ages.popleft()[1], None)

    def _release(self, count: int) -> None:
        """Let the oldest go: what explains them from now on is too late."""
        first = self.count - len(self._waiting)
        for number in range(first, first + count):
            seen = self._waiting.popleft()
            if number < self._filed and self._by_uid[seen.frame.uid][-1] == number:
                del self._by_uid[seen.frame.uid]  # the newest with this frame, and the oldest of all: the last of them
            if self._stream is not None:
                self._stream.write(seen, self._comments.pop(number, ()))

    # -- explanations

    def _find(self, uid: int, node: str) -> list[int]:
        """Return the numbers of the waiting frames with a uid: those seen at `node`, or all if it has seen none."""
        first = self.count - len(self._waiting)
        self._filed = max(self._filed, first)
        unfiled = islice(reversed(self._waiting), self.count - self._filed)
        for number, seen in enumerate(reversed(list(unfiled)), self._filed):
            self._by_uid.setdefault(seen.frame.uid, []).append(number)
        self._filed = self.count
        found = [number for number in self._by_uid.get(uid, ()) if number >= first]
        return [number for number in found if self._waiting[number - first].node == node] or found

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
        for number in self._find(uid, node):
            self._comments[number] = (*self._comments.get(number, ()), text)
        if not final:
            if (node, uid) not in self._notes:
                self._note_ages.append((t, (node, uid)))
            self._notes[node, uid] = (*self._notes.get((node, uid), ()), text)
            if t >= self._round or len(self._note_ages) >= HOLD_FRAMES:
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

    def write(self, seen: _Seen, comments: Sequence[str]) -> None:
        frame = seen.frame
        key = (seen.node, seen.dev, frame.link_header)
        number = self._numbers.get(key)
        if number is None:
            description = self._describe(seen.node, seen.dev) if self._describe else ""
            linktype = LINKTYPE_ETHERNET if frame.link_header else LINKTYPE_RAW
            number = self._numbers[key] = self._writer.interface(f"{seen.node}:{seen.dev}", description, linktype)
        direction = DIRECTION_OUT if seen.__class__ is FrameSent else DIRECTION_IN
        self._writer.packet(number, seen.t, frame.octets, direction, comments)
