"""The books of a run: every frame sent has one end on the wire, every frame delivered one end in its box.

On the wire a frame is sent when an interface hands it to a link or a link copies it, and ends once: delivered to an
interface, or dropped there. In a box a delivered frame ends once: consumed, forwarded (a frame leaves that carries it
on), or dropped for one named reason; until then the box holds it, for a neighbour's answer or its other fragments. An
injected frame was never sent, and has its end in the box like any other. What ends twice is a bug and says so at once.

One memory serves both: a uid is on the wire, in a box, or gone. Source: design/architecture.md section 6, "Drops have
names".
"""

from __future__ import annotations

from netsim.errors import InternalError
from netsim.trace.bus import Bus
from netsim.trace.records import Consumed, Dropped, FrameCopied, FrameDelivered, FrameSent

_SHOWN = 5


class Ledger:
    """Counts frames on the wire and in boxes. Memory: the frames in flight and those that boxes hold."""

    def __init__(self, bus: Bus) -> None:
        self.sent = 0
        self.delivered = 0
        self.dropped = 0
        self.injected = 0
        self.consumed = 0
        self.forwarded = 0
        self.ended = 0
        """How many delivered frames a box dropped; `dropped` counts those that a link did."""
        self._wire: set[int] = set()
        self._boxes: dict[int, str] = {}
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameCopied,), self._copied)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((Dropped,), self._dropped)
        bus.subscribe((Consumed,), self._consumed)

    @property
    def in_flight(self) -> int:
        """Frames sent whose end on the wire is open."""
        return len(self._wire)

    @property
    def held(self) -> int:
        """Frames delivered whose end in their box is open."""
        return len(self._boxes)

    @property
    def open_uids(self) -> list[int]:
        """The uids of the frames in flight, sorted."""
        return sorted(self._wire)

    @property
    def held_uids(self) -> list[int]:
        """The uids of the frames that boxes hold, sorted."""
        return sorted(self._boxes)

    @property
    def packet_hops(self) -> int:
        """Frames delivered to an interface, injected ones included."""
        return self.delivered + self.injected

    def check(self, in_flight: int, held: int | None = None) -> None:
        """Compare with what the world says is on its wires and in its boxes (None: they do not tell).

        Raises InternalError when a frame is unaccounted for.
        """
        if in_flight != len(self._wire):
            few = ", ".join(str(uid) for uid in self.open_uids[:_SHOWN])
            raise InternalError(f"{len(self._wire)} frames have no end (uids {few}) but {in_flight} are on a wire")
        if held is not None and held != len(self._boxes):
            few = ", ".join(f"{uid} at {self._boxes[uid]}" for uid in self.held_uids[:_SHOWN])
            raise InternalError(
                f"{len(self._boxes)} delivered frames have no end (uids {few}) but boxes hold {held}: "
                "a frame came in and neither left nor was consumed or dropped"
            )

    def as_result(self) -> dict[str, int]:
        """Return the `ledger` part of a result."""
        return {
            "sent": self.sent,
            "delivered": self.delivered,
            "dropped": self.dropped,
            "in_flight": self.in_flight,
        }

    def _sent(self, r: FrameSent) -> None:
        uid = r.frame.uid
        if uid in self._wire:
            raise InternalError(f"frame {uid} was sent twice")
        self.sent += 1
        self._wire.add(uid)
        if r.through:
            try:
                del self._boxes[r.through]
            except KeyError:
                raise InternalError(f"frame {r.through} was forwarded by {r.node} and had its end before") from None
            self.forwarded += 1

    def _copied(self, r: FrameCopied) -> None:
        if r.frame.uid in self._wire:
            raise InternalError(f"frame {r.frame.uid} was sent twice")
        self.sent += 1
        self._wire.add(r.frame.uid)

    def _delivered(self, r: FrameDelivered) -> None:
        uid = r.frame.uid
        if r.link:
            try:
                self._wire.remove(uid)
            except KeyError:
                raise InternalError(
                    f"frame {uid} arrived at {r.node}:{r.dev} but was never sent, or ended before"
                ) from None
            self.delivered += 1
        else:
            self.injected += 1
        self._boxes[uid] = r.node

    def _consumed(self, r: Consumed) -> None:
        try:
            del self._boxes[r.uid]
        except KeyError:
            raise InternalError(f"frame {r.uid} was consumed by {r.node} and had its end before") from None
        self.consumed += 1

    def _dropped(self, r: Dropped) -> None:
        uid = r.uid
        if not uid:
            return
        if self._boxes.pop(uid, None) is not None:
            self.ended += 1
        elif uid in self._wire:
            self._wire.remove(uid)
            self.dropped += 1
        else:
            raise InternalError(f"frame {uid} was dropped by {r.node} ({r.reason}) and had its end before")
