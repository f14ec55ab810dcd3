"""Ladder diagrams: who sent what to whom, as text and as a Mermaid sequence diagram.

A step is a frame from one node to another. On a hub, only the copies that someone made something of matter: those of
bystanders can be left out with `only`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netsim.observe.filter import Filter
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent
from netsim.units import NS_PER_S, Ns
from netsim.wire.summary import summary


@dataclass(frozen=True, slots=True)
class Step:
    """One frame: sent by `src` at `sent`, at `dst` at `arrived`; lost frames have `dst` "" and a reason in `lost`."""

    sent: Ns
    arrived: Ns
    src: str
    dst: str
    text: str
    lost: str = ""


@dataclass(slots=True)
class _Open:
    sent: Ns
    src: str
    text: str


class Ladder:
    """Collects the steps of the frames a filter lets pass, up to `limit`."""

    def __init__(self, bus: Bus, matching: Filter, *, limit: int = 1000) -> None:
        self.steps: list[Step] = []
        self._matching = matching
        self._limit = limit
        self._open: dict[int, _Open] = {}
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameCopied,), self._copied)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((Dropped,), self._dropped)

    def _sent(self, r: FrameSent) -> None:
        if len(self.steps) < self._limit and self._matching.matches_frame(r.frame):
            text = summary(r.frame.octets, link_header=r.frame.link_header)
            self._open[r.frame.uid] = _Open(r.t, r.node, text)

    def _copied(self, r: FrameCopied) -> None:
        parent = self._open.get(r.frame.parent)
        if parent is not None:
            self._open[r.frame.uid] = parent

    def _delivered(self, r: FrameDelivered) -> None:
        found = self._open.pop(r.frame.uid, None)
        if found is not None:
            self.steps.append(Step(found.sent, r.t, found.src, r.node, found.text))

    def _dropped(self, r: Dropped) -> None:
        found = self._open.pop(r.uid, None)
        if found is not None:
            self.steps.append(Step(found.sent, r.t, found.src, "", found.text, f"{r.reason} at {r.node}"))


def participants(steps: Iterable[Step]) -> list[str]:
    """Return the nodes in the order they first take part."""
    names: dict[str, None] = {}
    for step in steps:
        names[step.src] = None
        if step.dst:
            names[step.dst] = None
    return list(names)


def text_ladder(steps: Sequence[Step], *, only: Sequence[str] = (), width: int = 16) -> str:
    """Draw a ladder of fixed-width text, one line a step: time, arrow, and what was sent.

    `only` names the columns and their order; steps from or to other nodes are left out. A lost frame's arrow ends in x.
    """
    names = list(only) or participants(steps)
    column = {name: index * width for index, name in enumerate(names)}
    span = width * max(0, len(names) - 1) + 1
    head = ""
    for name in names:
        head = head.ljust(column[name]) + name[: width - 1]
    lines = [" " * 16 + head]
    for step in steps:
        if step.src not in column or (step.dst and step.dst not in column):
            continue
        rail = [" "] * span
        for at in column.values():
            rail[at] = "|"
        _arrow(rail, column[step.src], column.get(step.dst), width)
        tail = f"  {step.text}" + (f"  [{step.lost}]" if step.lost else "")
        lines.append(f"{_clock(step.sent):>14}  {''.join(rail)}{tail}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _arrow(rail: list[str], start: int, stop: int | None, width: int) -> None:
    if stop is None:
        for at in range(start + 1, min(start + width // 2, len(rail))):
            rail[at] = "-"
        rail[min(start + width // 2, len(rail) - 1)] = "x"
    elif stop > start:
        rail[start + 1 : stop] = "-" * (stop - start - 2) + ">"
    elif stop < start:
        rail[stop + 1 : start] = "<" + "-" * (start - stop - 2)


def mermaid(steps: Sequence[Step], *, only: Sequence[str] = ()) -> str:
    """Write a Mermaid `sequenceDiagram` of the steps."""
    names = list(only) or participants(steps)
    known = {name: f"n{index}" for index, name in enumerate(names)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {key} as {name}" for name, key in known.items()]
    for step in steps:
        if step.src not in known or (step.dst and step.dst not in known):
            continue
        text = f"{_clock(step.sent)} {step.text}".replace(";", ",").replace("#", "no. ")
        if step.dst:
            lines.append(f"    {known[step.src]}->>{known[step.dst]}: {text}")
        else:
            lines.append(f"    {known[step.src]}-x{known[step.src]}: {text} ({step.lost})")
    return "\n".join(lines) + "\n"


def _clock(t: Ns) -> str:
    return f"{t // NS_PER_S}.{t % NS_PER_S // 1000:06d}"
