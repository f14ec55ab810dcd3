"""What a box hands out: frames, records and socket wake-ups, in the order they came about."""

from __future__ import annotations

from typing import NamedTuple

from netsim.trace.records import Record
from netsim.wire.frame import Frame


class FrameOut(Frame):
    """A frame for a device's link, still without identity: `uid` is 0 until the box's owner gives it one.

    `through` is the uid of the received frame that goes on in this one and so has its end here, 0 when nothing was
    received for it (an answer names only a parent). The frame itself, not a note about it: one object a hop less.
    """

    __slots__ = ("dev", "through")

    def __init__(
        self, dev: str, octets: bytes, parent: int, bad: bool, link_header: bool, summed: bool = False,
        through: int = 0,
    ) -> None:  # fmt: skip
        self.dev = dev
        self.through = through
        self.octets = octets
        self.uid = 0
        self.parent = parent
        self.bad = bad
        self.link_header = link_header
        self.summed = summed
        self._scapy = None


class Wake(NamedTuple):
    """A socket has news: "readable", "error", "connected", "accepted", "writable", "closed"."""

    fd: int
    event: str


class Outbox:
    """The one place a box's effects leave by. The owner empties the lists after each call.

    `wants` is the live set of record types somebody subscribed to (the bus's): build no other.
    """

    __slots__ = ("frames", "records", "wakes", "wants")

    def __init__(self, wants: set[type] | frozenset[type] = frozenset()) -> None:
        self.frames: list[FrameOut] = []
        self.records: list[Record] = []
        self.wakes: list[Wake] = []
        self.wants = wants
