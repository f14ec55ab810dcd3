"""Boxes joined without a simulator: frames that one box hands out are handed to the others, at literal times."""

from __future__ import annotations

import random
from collections import deque

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack.errno import Refusal
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewAddr, NewLink, SetLink
from netsim.trace.records import RECORD_TYPES, FrameSent
from netsim.wire.frame import Frame


class Wire:
    """Boxes on one hub each by device name; `at` is the clock, moved by hand; `log` holds every record and frame."""

    def __init__(self) -> None:
        self.boxes: dict[str, Netns] = {}
        self.segments: dict[str, list[tuple[str, str]]] = {}
        self.log: list[object] = []
        self.at = 0
        self.wakes: list[tuple[str, int, str]] = []
        self._uid = 0
        self.cut: set[str] = set()

    def box(self, name: str, kernel: str = "linux-6", **devices: str) -> Netns:
        """Make a box; devices as eth0="segment 10.0.0.1/24"."""
        box = self.boxes[name] = Netns(name, profile(kernel), random.Random(name), frozenset(RECORD_TYPES))
        self.ask(name, SetLink(dev="lo", up=True))
        for number, (dev, text) in enumerate(devices.items(), 1):
            segment, *addresses = text.split()
            self.segments.setdefault(segment, []).append((name, dev))
            mac = parse_mac(f"02:00:00:00:{len(self.boxes):02x}:{number:02x}")
            self.ask(name, NewLink(name=dev, mac=mac))
            for each in addresses:
                quad, _, plen = each.partition("/")
                self.ask(name, NewAddr(dev=dev, local=parse_ip(quad), plen=int(plen)))
            self.ask(name, SetLink(dev=dev, up=True))
        return box

    def ask(self, name: str, request):
        """Make a request, now, and carry what follows from it."""
        answer = self.boxes[name].request(request, now=self.at)
        self.settle()
        return answer

    def do(self, name: str, request):
        """Make a request that must not be refused."""
        answer = self.ask(name, request)
        assert not isinstance(answer, Refusal), answer
        return answer

    def run(self, until: int) -> None:
        """Move the clock, waking each box at its deadlines."""
        while True:
            deadlines = [(at, name) for name, box in self.boxes.items() if (at := box.next_deadline()) is not None]
            if not deadlines or min(deadlines)[0] > until:
                break
            self.at = max(self.at, min(deadlines)[0])
            for _, name in sorted(deadlines):
                self.boxes[name].tick(now=self.at)
            self.settle()
        self.at = until

    def settle(self) -> None:
        """Deliver frames until nobody has any."""
        queue: deque[tuple[str, str, Frame]] = deque()
        while True:
            for name, box in self.boxes.items():
                out = box.outbox
                self.log += out.records
                out.records.clear()
                self.wakes += [(name, wake.fd, wake.event) for wake in out.wakes]
                out.wakes.clear()
                frames = list(out.frames)
                out.frames.clear()
                for each in frames:
                    self._uid += 1
                    frame = Frame(each.octets, self._uid, each.parent)
                    self.log.append(FrameSent(self.at, name, each.dev, frame))
                    segment = next((s for s, ends in self.segments.items() if (name, each.dev) in ends), None)
                    if segment is None or segment in self.cut:
                        continue
                    queue += [(other, dev, frame) for other, dev in self.segments[segment] if other != name]
            if not queue:
                return
            other, dev, frame = queue.popleft()
            self._uid += 1
            self.boxes[other].receive(dev, Frame(frame.octets, self._uid, frame.uid), now=self.at)

    def sent(self, name: str | None = None) -> list[str]:
        """Return the frames sent so far as summary lines, of one box if named."""
        from netsim.wire.summary import summary

        return [summary(r.frame.octets) for r in self.log if isinstance(r, FrameSent) and name in (None, r.node)]

    def records(self, kind: type) -> list:
        """Return the records of a type so far."""
        return [record for record in self.log if isinstance(record, kind)]


@pytest.fixture
def wire() -> Wire:
    """An empty wire."""
    return Wire()
