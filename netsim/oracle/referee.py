"""Running a scenario on both sides. The kernel goes first: what it draws for its timers is given to the emulator.

A device's reachable_time is uniform between half and one and a half of its base; with the kernel's own draws in the
emulated devices the two runs age their neighbours alike. What is drawn anew during the run stays each side's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.errors import Skipped
from netsim.kernel.lab import KernelLab
from netsim.kernel.probe import require
from netsim.lab import Lab
from netsim.oracle.compare import COMPARED, Comparison, Run, compare
from netsim.oracle.obstacles import obstacles
from netsim.oracle.recording import Draws, Recording, fingerprint, this_kernel, versions
from netsim.oracle.wheel import WheelTimers
from netsim.scenario.expectations import RepeatableExpectation
from netsim.scenario.model import Scenario
from netsim.scenario.runner import locate_refusal, run_scenario
from netsim.seeds import Seed
from netsim.sim.world import World
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import Record
from netsim.units import NS_PER_MS, Ns, seconds

LATE: Ns = 100 * NS_PER_MS
"""A step of the timeline that came later than this makes the kernel's instants doubtful: it is told as a note."""


def verify(scenario: Scenario) -> Comparison:
    """Run a scenario on this kernel and in the emulator, and compare.

    Takes as long as the scenario lasts. Raises Skipped with the reason where it cannot be compared here, and
    ConfigError where a set-up line is refused.
    """
    return against(scenario, record(scenario))


def record(scenario: Scenario) -> Recording:
    """Run a scenario on this kernel. Raises what `verify` raises."""
    require()
    reasons = obstacles(scenario)
    if reasons:
        raise Skipped("; ".join(reasons))
    run, draws = run_on_kernel(comparable(scenario))
    return Recording(
        kernel=this_kernel(), tools=versions(), fingerprint=fingerprint(scenario), draws=draws, run=run
    )  # fmt: skip


def against(scenario: Scenario, recording: Recording) -> Comparison:
    """Run a scenario in the emulator, and compare it with what a kernel did."""
    asked = comparable(scenario)
    draws = recording.draws
    out = compare(asked, recording.run, run_emulated(asked, draws))
    if draws.late > LATE:
        late = seconds(draws.late)
        out.notes.append(f"the machine was up to {late:.3f} s behind: instants are doubtful, run it again")
    out.notes.append(f"kernel {recording.kernel}")
    return out


def comparable(scenario: Scenario) -> Scenario:
    """Return the scenario without what only an emulator can be asked for: to be the same twice."""
    kept = tuple(each for each in scenario.expect if not isinstance(each, RepeatableExpectation))
    if len(kept) == len(scenario.expect):
        return scenario
    made = scenario.model_copy(update={"expect": kept})
    return made.with_origin(scenario.origin) if scenario.origin is not None else made


def run_on_kernel(scenario: Scenario) -> tuple[Run, Draws]:
    """Run a scenario on the kernel; also return what the kernel chose there."""
    records: list[Record] = []
    labs: list[KernelLab] = []

    def make_lab(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None]) -> Lab:
        labs.append(KernelLab(
            topology, seed=scenario.seed, bus_ready=_recording(records, bus_ready),
            describe=lambda refused: locate_refusal(scenario, refused),
        ))  # fmt: skip
        return labs[0]

    try:
        result = run_scenario(scenario, make_lab=make_lab)
    finally:
        for lab in labs:
            lab.close()
    world = labs[0].kernel_world
    draws = Draws(reachable=labs[0].reachable, ticks=world.ticks, late=world.lateness.most)
    return Run(result=result, records=in_order(records)), draws


def run_emulated(scenario: Scenario, draws: Draws) -> Run:
    """Run a scenario in the emulator, with what the kernel drew, on its timer wheel."""
    records: list[Record] = []

    def make_lab(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None]) -> Lab:
        world = World(Seed(scenario.seed))
        world.paired = True
        ticks = draws.ticks
        if ticks is not None:
            world.timers = lambda: WheelTimers(ticks)
        lab = Lab(
            topology, seed=scenario.seed, bus_ready=_recording(records, bus_ready), world=world,
            describe=lambda refused: locate_refusal(scenario, refused),
        )  # fmt: skip
        for (node, dev), value in draws.reachable.items():
            device = lab[node].node.box.interfaces.named(dev)
            if device is not None and device.neigh is not None:
                device.neigh.reachable_time = value * NS_PER_MS
        return lab

    return Run(result=run_scenario(scenario, make_lab=make_lab), records=in_order(records))


def _recording(records: list[Record], bus_ready: Callable[[Bus], None]) -> Callable[[Bus], None]:
    def ready(bus: Bus) -> None:
        bus_ready(bus)
        bus.subscribe(COMPARED, records.append)

    return ready


def in_order(records: list[Record]) -> list[Record]:
    """Order records by their instants: a command is recorded when it ends, at the instant it began."""
    return sorted(records, key=_instant)


def _instant(record: Any) -> Ns:  # Any: every record has an instant
    return int(record.t)
