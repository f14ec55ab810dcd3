"""The books of the wire: sent = delivered + dropped + in flight, always.

A frame is sent when an interface hands it to a link or a link copies it, and ends on the wire once: delivered to an
interface, or dropped there. What a box does with a delivered frame is no matter of this ledger; its drops are counted
by reason elsewhere. An injected frame was never sent and stays out.

Source: design/architecture.md section 6, "Drops have names".
"""

from __future__ import annotations

from netsim.errors import InternalError
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent


class Ledger:
    """Counts frames on the wire; `open_uids` are those whose end is not yet known. Memory: the frames in flight."""

    def __init__(self, bus: Bus) -> None:
        self.sent = 0
        self.delivered = 0
        self.dropped = 0
        self.injected = 0
        self._open: set[int] = set()
        bus.subscribe((FrameSent, FrameCopied), self._sent)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((Dropped,), self._dropped)

    @property
    def in_flight(self) -> int:
        """Frames sent whose end is open."""
        return len(self._open)

    @property
    def open_uids(self) -> list[int]:
        """The uids of those, sorted."""
        return sorted(self._open)

    @property
    def packet_hops(self) -> int:
        """Frames delivered to an interface, injected ones included."""
        return self.delivered + self.injected

    def check(self, in_flight: int) -> None:
        """Compare with what the world says is on its wires. Raises InternalError when a frame is unaccounted for."""
        if in_flight != len(self._open):
            few = ", ".join(str(uid) for uid in self.open_uids[:5])
            raise InternalError(f"{len(self._open)} frames have no end (uids {few}) but {in_flight} are on a wire")

    def as_result(self) -> dict[str, int]:
        """Return the `ledger` part of a result."""
        return {
            "sent": self.sent,
            "delivered": self.delivered,
            "dropped": self.dropped,
            "in_flight": self.in_flight,
        }

    def _sent(self, r: FrameSent | FrameCopied) -> None:
        if r.frame.uid in self._open:
            raise InternalError(f"frame {r.frame.uid} was sent twice")
        self.sent += 1
        self._open.add(r.frame.uid)

    def _delivered(self, r: FrameDelivered) -> None:
        if r.frame.uid in self._open:
            self._open.remove(r.frame.uid)
            self.delivered += 1
        elif r.link:
            raise InternalError(f"frame {r.frame.uid} arrived at {r.node}:{r.dev} but was never sent, or ended before")
        else:
            self.injected += 1

    def _dropped(self, r: Dropped) -> None:
        if r.uid in self._open:
            self._open.remove(r.uid)
            self.dropped += 1
