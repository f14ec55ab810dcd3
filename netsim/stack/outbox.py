"""What a box hands out: frames, records and socket wake-ups, in the order they came about."""

from __future__ import annotations

from typing import NamedTuple

from netsim.trace.records import Record


class FrameOut:
    """Octets for a device's link. `parent` is the uid of the frame they were made from, 0 when made here.

    `link_header` tells whether they begin with an Ethernet header, `summed` that their checksums are proven.
    `through` is the uid of the received frame that goes on in this one and so has its end here, 0 when nothing was
    received for it (an answer names only a parent). Plain and slotted: a NamedTuple takes twice as long to make.
    """

    __slots__ = ("bad", "dev", "link_header", "octets", "parent", "summed", "through")

    def __init__(
        self, dev: str, octets: bytes, parent: int, bad: bool, link_header: bool, summed: bool = False,
        through: int = 0,
    ) -> None:  # fmt: skip
        self.dev = dev
        self.octets = octets
        self.parent = parent
        self.bad = bad
        self.link_header = link_header
        self.summed = summed
        self.through = through


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
