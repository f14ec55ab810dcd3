"""Explain a scenario's run: run it up to the packet, the neighbour or the decision that is asked for, and listen.

A packet is found first (who matches, which frame is its first) and followed in a second run; runs repeat exactly.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.errors import ConfigError, Problem
from netsim.lab import Lab
from netsim.observe.explain.births import Birth, Births
from netsim.observe.explain.facts import Life, Wire
from netsim.observe.explain.packet import PacketFollower
from netsim.observe.filter import Filter
from netsim.scenario.model import Scenario
from netsim.scenario.origins import Origins
from netsim.scenario.runner import Progress, build_lab, file_timeline
from netsim.trace.bus import Bus
from netsim.units import Ns, ms

_STEP = ms(100)


def explain_packet(
    scenario: Scenario, *, uid: int = 0, number: int = 1, matching: Filter | None = None, flow: str = "",
    after: Ns = 0, progress: Progress | None = None,
) -> Life:  # fmt: skip
    """Tell the life of one packet. Raises ConfigError when there is none such.

    By the frame that carried it anywhere (`uid`), or the `number`th born at or after `after` that matches a filter and
    belongs to a flow (from its sender; the answers are others).
    """
    if flow and flow not in scenario.traffic:
        names = ", ".join(scenario.traffic) or "none"
        raise ConfigError(Problem("--flow", 0, 0, flow, f'no traffic "{flow}"', f"there are: {names}"))
    birth = find_packet(scenario, uid=uid, number=number, matching=matching, flow=flow, after=after, progress=progress)
    return follow(scenario, birth)


def find_packet(
    scenario: Scenario, *, uid: int, number: int, matching: Filter | None, flow: str, after: Ns,
    progress: Progress | None = None,
) -> Birth:  # fmt: skip
    """Run until the packet is known. Raises ConfigError."""
    made: list[Births] = []

    def listen(bus: Bus) -> None:
        made.append(Births(bus, uid=uid, number=number, matching=matching, flow=flow, after=after))

    with run_until(scenario, listen, lambda: made[0].found is not None, progress):
        births = made[0]
    if births.found is None:
        if uid:
            raise ConfigError(Problem("--frame", 0, 0, str(uid), "no IP packet of this run is in that frame"))
        hint = f"{births.count} of them are sent" if births.count else "none of them is sent"
        raise ConfigError(Problem("--packet", 0, 0, str(number), "there is no such packet in this run", hint))
    return births.found


def follow(scenario: Scenario, birth: Birth) -> Life:
    """Run again and follow a packet from its birth."""
    made: list[PacketFollower] = []
    links: list[Lab] = []
    places = Origins(scenario)

    def wire(link: str, sender: str) -> Wire:
        return wire_of(links[0], link, sender)

    def listen(bus: Bus) -> None:
        made.append(PacketFollower(bus, birth.frame.uid, places=places, wire=wire))

    with run_until(scenario, listen, lambda: made[0].life.complete, started=links.append):
        return made[0].life


def run_until(
    scenario: Scenario, listen: Callable[[Bus], None], done: Callable[[], bool], progress: Progress | None = None,
    *, started: Callable[[Lab], object] = id, until: Ns | None = None,
) -> Lab:  # fmt: skip
    """Build a lab, let `listen` subscribe, and run until `done()` or the end. The lab is the caller's to close."""
    lab = build_lab(scenario, scenario.effective_topology(), listen)
    started(lab)
    file_timeline(lab, scenario)
    end = scenario.duration if until is None else until
    while lab.now < end and not done():
        lab.run(until=min(end, lab.now + _STEP))
        if progress is not None:
            progress(lab.now / end)
    return lab


def wire_of(lab: Lab, link: str, sender: str) -> Wire:
    """Return what a link's line is set to from a sender, now."""
    found = lab.world.links.get(link)
    if found is None:
        return Wire()
    lines = found.lines()
    index = next((end.index for end in found.ends if end.node.name == sender), 0)
    line = lines[index] if index < len(lines) else lines[0]
    return Wire(line.spec.rate or 0, line.spec.delay)
