"""A live run: the scenario on the real clock, and a command inside one of its real nodes.

With a command the run ends when the command does, and expectations are judged only where it is asked to go on to the
scenario's end. Without one it lasts as long as the scenario. A command that outlives the scenario is killed at its end.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from netsim.errors import ConfigError
from netsim.kernel.lateness import Lateness
from netsim.kernel.probe import require
from netsim.kernel.program import Program
from netsim.lab import Lab
from netsim.live.command import hosts_file, start
from netsim.live.plan import Wish, place, problem, real_nodes
from netsim.live.world import LiveLab, LiveWorld
from netsim.scenario.model import Scenario
from netsim.scenario.result import Result
from netsim.scenario.runner import Progress, locate_refusal, run_scenario
from netsim.scenario.values import show
from netsim.seeds import Seed
from netsim.topology.model import Topology
from netsim.topology.ports import first_address
from netsim.trace.bus import Bus
from netsim.units import seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; `status` is the command's, None without one. `fault` says why the run ended before its time.

    `remarks` are sentences on what did not go by itself: a command that was ended is one.
    """

    result: Result
    lateness: Lateness
    status: int | None = None
    fault: str = ""
    remarks: tuple[str, ...] = ()


def run_live(scenario: Scenario, wish: Wish, progress: Progress | None = None) -> Outcome:
    """Run a scenario live. Raises Skipped where the machine or user cannot, ConfigError, and Interrupted."""
    real = real_nodes(scenario)
    node = place(wish, real)
    if any(spec.tap is None for spec in real.values()):
        require("no real box can be made")
    lateness = Lateness(wish.bound)
    hosts = hosts_file(_addresses(scenario.topology))
    world = LiveWorld(Seed(scenario.seed), real, lateness, hosts)
    running: list[Program] = []

    def make_lab(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None]) -> Lab:
        lab = LiveLab(
            topology, seed=scenario.seed, bus_ready=bus_ready, world=world,
            describe=lambda refused: locate_refusal(scenario, refused),
        )  # fmt: skip
        try:
            _serve(world, scenario)
        except BaseException:
            lab.close()
            raise
        if wish.argv:
            lab.at(0, lambda: running.append(_begin(world, node, wish, hosts)))
        return lab

    kept = signal.signal(signal.SIGINT, interrupt(running)) if wish.argv else None
    cut = False
    try:
        result = run_scenario(scenario, out=wish.out, progress=progress, make_lab=make_lab)
    finally:
        for program in running:
            cut = program.close()
        if kept is not None:
            signal.signal(signal.SIGINT, kept)
    remarks = [f"{each.node}: {each.sentence} (at {seconds(each.t):.3f} s)" for each in world.ended_servers]
    if cut and not world.fault:
        remarks.append(_cut(wish, scenario))
    status = running[0].status if running else None
    return Outcome(result, lateness, status, world.fault, tuple(remarks))


def _cut(wish: Wish, scenario: Scenario) -> str:
    end = show(scenario.duration, "duration")
    hint = "--set duration=... makes it longer"
    return f"{wish.argv[0]} outlived the scenario and was killed at its end, {end} ({hint})"


def interrupt(running: Sequence[Program]) -> Callable[[int, FrameType | None], None]:
    """Return what Ctrl-C does: nothing while the command runs, which the terminal sends it to as well; else it ends us.

    `running` holds the command once it was started.
    """

    def handle(signum: int, frame: FrameType | None) -> None:
        if all(program.status is not None for program in running):
            signal.default_int_handler(signum, frame)

    return handle


def _addresses(topology: Topology) -> Mapping[str, str]:
    return {name: address for name, spec in topology.nodes.items() if (address := first_address(spec))}


def _serve(world: LiveWorld, scenario: Scenario) -> None:
    """Start the servers. Raises ConfigError for one that ends before the clock starts."""
    world.serve()
    if world.ended_servers:
        raise ConfigError(*(
            problem(scenario, ("live", each.node, "serve"), each.sentence, "a server runs as long as the run")
            for each in world.ended_servers
        ))  # fmt: skip


def _begin(world: LiveWorld, node: str, wish: Wish, hosts: str) -> Program:
    """Start the command; unless it is to go on to the end, the run ends when it does."""

    def ended() -> None:
        world.ended = world.ended or not wish.to_the_end

    process = start(world.live_node(node).kernel.namespace, wish.argv, hosts)
    return Program(process, world.reactor, ended=ended)
