"""A live run: the scenario on the real clock, and a command inside one of its real nodes.

With a command the run ends when the command does, and expectations are judged only where it is asked to go on to the
scenario's end. Without one it lasts as long as the scenario. A command that outlives the scenario is killed at its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netsim.errors import ConfigError, Problem
from netsim.kernel.lateness import Lateness
from netsim.kernel.probe import require
from netsim.lab import Lab
from netsim.live.command import hosts_file, ports_open, start, status_of
from netsim.live.world import LiveLab, LiveWorld
from netsim.scenario.model import Live, Scenario
from netsim.scenario.result import Result
from netsim.scenario.runner import Progress, locate_refusal, run_scenario
from netsim.scenario.values import show
from netsim.seeds import Seed
from netsim.topology.model import Topology
from netsim.topology.ports import first_address
from netsim.trace.bus import Bus
from netsim.units import Ns

COMING_UP = 3.0
"""Seconds that the servers of a node have to open a port each; then the clock starts without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the person wants of a live run.

    `argv` empty means no command. `node` is where it runs, "" the first real one. `bound` is how late the world may be.
    """

    argv: Sequence[str] = ()
    node: str = ""
    to_the_end: bool = False
    bound: Ns | None = None
    out: Path | None = None


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


class Running:
    """The command while it runs; with `ends_run` the world's run ends when it does."""

    def __init__(self, world: LiveWorld, process: subprocess.Popen[bytes], *, ends_run: bool) -> None:
        self.status: int | None = None
        self.cut = False
        self._world = world
        self._process = process
        self._ends_run = ends_run
        self._pidfd = os.pidfd_open(process.pid)
        world.reactor.add(self._pidfd, self._ended)

    def _ended(self, _mask: int) -> None:
        self._world.reactor.remove(self._pidfd)
        os.close(self._pidfd)
        self.status = status_of(self._process)
        self._world.ended = self._world.ended or self._ends_run

    def finish(self) -> int:
        """End the command if it still runs, which is a `cut`; return its status."""
        if self.status is None:
            self.cut = self._process.poll() is None
            self._process.kill()
            self.status = status_of(self._process)
            os.close(self._pidfd)
        return self.status


def run_live(scenario: Scenario, wish: Wish, progress: Progress | None = None) -> Outcome:
    """Run a scenario live. Raises Skipped where this machine or user cannot, ConfigError, and Interrupted."""
    real = real_nodes(scenario)
    node = _place(wish, real)
    if any(spec.tap is None for spec in real.values()):
        require("no real box can be made")
    lateness = Lateness(wish.bound)
    worlds: list[LiveWorld] = []
    running: list[Running] = []
    servers: list[subprocess.Popen[bytes]] = []

    def make_lab(scenario: Scenario, topology: Topology, bus_ready: Callable[[Bus], None]) -> Lab:
        world = LiveWorld(Seed(scenario.seed), real, lateness)
        worlds.append(world)
        lab = LiveLab(
            topology, seed=scenario.seed, bus_ready=bus_ready, world=world,
            describe=lambda refused: locate_refusal(scenario, refused),
        )  # fmt: skip
        hosts = hosts_file(_addresses(topology))
        servers.extend(_serve(world, real, hosts))
        if wish.argv:
            lab.at(0, lambda: running.append(_begin(world, node, wish, hosts)))
        return lab

    kept = signal.signal(signal.SIGINT, _leave_it_to_the_command) if wish.argv else None
    try:
        result = run_scenario(scenario, out=wish.out, progress=progress, make_lab=make_lab)
    finally:
        statuses = [each.finish() for each in running]
        for server in servers:
            server.kill()
            server.wait()
        if kept is not None:
            signal.signal(signal.SIGINT, kept)
    fault = worlds[0].fault
    remarks = tuple(_cut(wish, scenario) for each in running if each.cut and not fault)
    return Outcome(result, lateness, statuses[0] if statuses else None, fault, remarks)


def _cut(wish: Wish, scenario: Scenario) -> str:
    end = show(scenario.duration, "duration")
    hint = "--set duration=... makes it longer"
    return f"{wish.argv[0]} outlived the scenario and was killed at its end, {end} ({hint})"


def _leave_it_to_the_command(signum: int, frame: object) -> None:
    """Go on: the terminal sends Ctrl-C to the command as well, and the run ends with it."""


def _addresses(topology: Topology) -> Mapping[str, str]:
    return {name: address for name, spec in topology.nodes.items() if (address := first_address(spec))}


def _serve(world: LiveWorld, real: Mapping[str, Live], hosts: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the programs of `serve:` and let them open their ports, before the clock starts."""
    for name, spec in real.items():
        lines = [line for line in spec.serve.splitlines() if line.strip()]
        if not lines:
            continue
        namespace = world.live_node(name).kernel.namespace
        for line in lines:
            yield start(namespace, ["sh", "-c", f"exec {line}"], hosts, quiet=True)
        deadline = time.monotonic() + COMING_UP
        while ports_open(namespace) < len(lines) and time.monotonic() < deadline:
            time.sleep(0.02)


def _begin(world: LiveWorld, node: str, wish: Wish, hosts: str) -> Running:
    process = start(world.live_node(node).kernel.namespace, wish.argv, hosts)
    return Running(world, process, ends_run=not wish.to_the_end)


def real_nodes(scenario: Scenario) -> dict[str, Live]:
    """Return the scenario's real nodes with each tap's interface filled in.

    Raises ConfigError where there is none, or where traffic asks for programs behind a tap.
    """
    if not scenario.live:
        raise ConfigError(_problem(scenario, "no node is real", "live: {NODE: {namespace: auto}}"))
    taps = [name for name, spec in scenario.live.items() if spec.tap is not None]
    problems = [
        _problem(scenario, f"traffic.{flow} needs a program on {name}, which is behind a tap", "run it there yourself")
        for flow, traffic in scenario.traffic.items() for name in taps
        if name in (*traffic.source, traffic.server)
    ]  # fmt: skip
    if problems:
        raise ConfigError(*problems)
    ends = [end.partition(":") for link in scenario.topology.links.values() for end in link.ends]
    first = {name: dev for name, _, dev in reversed(ends)}
    return {
        name: spec if spec.dev is not None or spec.tap is None else spec.model_copy(update={"dev": first[name]})
        for name, spec in scenario.live.items()
    }


def _problem(scenario: Scenario, what: str, hint: str) -> Problem:
    mark = None if scenario.origin is None else (scenario.origin.get("live") or scenario.origin).mark
    return Problem("<scenario>", 0, 0, "live", what, hint) if mark is None else mark.problem("live", what, hint)


def _place(wish: Wish, real: Mapping[str, Live]) -> str:
    """Return the node that the command runs in, "" without one. Raises ConfigError."""
    inside = [name for name, spec in real.items() if spec.tap is None]
    if not wish.argv:
        return ""
    if not inside:
        raise ConfigError(Problem("COMMAND", 0, 0, "", "every real node is behind a tap", "run it there yourself"))
    if wish.node and wish.node not in inside:
        hint = f"there are: {', '.join(inside)}"
        raise ConfigError(Problem("NODE", 0, 0, "", f'"{wish.node}" is no real node', hint))
    return wish.node or inside[0]
