"""What a line does to the frames of one direction: rate, delay, jitter, loss, damage, copies, disorder, queue.

`Line.send` answers with the arrivals of one frame. Each kind of accident draws from a stream of its own, so that
switching one on never shifts another. With nothing switched on, no stream is touched.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from netsim.units import NS_PER_S, Ns
from netsim.wire import drop


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSpec:
    """One direction's settings: rate in bits a second (0 infinite), times in Ns, shares between 0 and 1.

    `queue` is how many frames may wait or be on their way out. A reordered frame is overtaken: it arrives
    `REORDER_LAG` later than its place; jitter alone never changes the order of a cable's frames.
    """

    rate: int = 0
    delay: Ns = 0
    jitter: Ns = 0
    loss: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    queue: int = 100


REORDER_LAG: Ns = NS_PER_S // 200
"""How much later than its place a reordered frame arrives: 5 ms, or the line's delay where that is longer."""


FULL: Ns = -1
"""What `Line.arrival` answers when the queue takes no more."""


class Arrival(NamedTuple):
    """One arrival of a sent frame: when, its octets, whether the line damaged them, whether it is an extra copy."""

    at: Ns
    octets: bytes
    bad: bool
    copy: bool


class Line:
    """One direction of a link, or a shared medium: busy until the last frame's last bit is on the wire."""

    __slots__ = ("_busy_until", "_draw", "_ends", "_last", "_spec", "_streams", "clean")

    def __init__(self, spec: LineSpec, rng: Callable[[str], random.Random]) -> None:
        self._draw = rng
        self._streams: dict[str, random.Random] = {}
        self._busy_until: Ns = 0
        self._last: Ns = 0
        self._ends: deque[Ns] = deque()
        self.spec = spec

    @property
    def spec(self) -> LineSpec:
        """The settings; an impairment writes others."""
        return self._spec

    @spec.setter
    def spec(self, spec: LineSpec) -> None:
        self._spec = spec
        self.clean = not (spec.jitter or spec.loss or spec.corrupt or spec.duplicate or spec.reorder)
        """Whether every frame arrives once, whole and in order: then `arrival` says all there is to say."""

    def _happens(self, accident: str, share: float) -> bool:
        return share > 0 and self._stream(accident).random() < share

    def _stream(self, accident: str) -> random.Random:
        stream = self._streams.get(accident)
        if stream is None:
            stream = self._streams[accident] = self._draw(accident)
        return stream

    def arrival(self, size: int, now: Ns) -> Ns:
        """Take a frame of `size` octets; return when it is through if nothing happens to it, FULL when none may wait.

        All there is to a clean line, and a third of `send`'s cost.
        """
        spec = self._spec
        at = now
        if spec.rate:
            ends = self._ends
            while ends and ends[0] <= now:
                ends.popleft()
            if len(ends) > spec.queue:
                return FULL
            at = max(now, self._busy_until) + -(-size * 8 * NS_PER_S // spec.rate)
            self._busy_until = at
            ends.append(at)
        at += spec.delay
        if self.clean:
            self._last = at
        return at

    def send(self, octets: bytes, now: Ns) -> tuple[Arrival, ...] | str:
        """Take a frame; return its arrivals, or the drop reason that ended it."""
        spec = self._spec
        at = self.arrival(len(octets), now)
        if at == FULL:
            return drop.QUEUE_FULL
        if spec.loss and self._happens("loss", spec.loss):
            return drop.LINK_LOSS
        if spec.jitter:
            at = max(self._last, at + self._stream("jitter").randrange(-spec.jitter, spec.jitter + 1), now)
        bad = False
        if spec.corrupt and self._happens("corrupt", spec.corrupt):
            octets = self._flip_a_bit(octets)
            bad = True
        if spec.reorder and self._happens("reorder", spec.reorder):
            at += max(REORDER_LAG, spec.delay)
        else:
            self._last = at
        first = Arrival(at, octets, bad, False)
        if spec.duplicate and self._happens("duplicate", spec.duplicate):
            return first, Arrival(at, octets, bad, True)
        return (first,)

    def _flip_a_bit(self, octets: bytes) -> bytes:
        """Damage one bit behind the link header, so that the frame still arrives where it was going."""
        start = min(14, len(octets) - 1) * 8
        bit = self._stream("corrupt").randrange(start, len(octets) * 8)
        damaged = bytearray(octets)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        return bytes(damaged)
