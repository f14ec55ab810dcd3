"""Watch the checksums of captured packets: a wrong one that nobody made on purpose is netsim's own fault.

Source: design/scenario-format.md, "Checksums are verified wherever a box wrote more than TTL, wherever a packet ends
and wherever it is captured".
"""

from __future__ import annotations

from netsim.observe.capture import Points
from netsim.trace.bus import Bus
from netsim.trace.records import FrameDelivered, FrameSent
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.summary import summary
from netsim.wire.verify import verify

KEEP = 20
"""How many are described; all are counted."""


class ChecksumWatch:
    """Verifies what leaves and enters at some points, but for frames marked `bad` (corrupted, injected, edited)."""

    def __init__(self, bus: Bus, points: Points) -> None:
        self.count = 0
        self.described: list[str] = []
        points.listen(bus, FrameSent, self._frame)
        points.listen(bus, FrameDelivered, self._frame)

    def _frame(self, r: FrameSent | FrameDelivered) -> None:
        frame = r.frame
        if frame.bad:
            return
        octets = frame.octets
        if frame.link_header:
            if octets[12:14] != PROTO_IP:
                return
            octets = octets[ETH_HLEN:]
        wrong = verify(octets)
        if wrong:
            self.count += 1
            if len(self.described) < KEEP:
                self.described.append(f"{r.node}:{r.dev}: {wrong}: {summary(octets, link_header=False)}")
