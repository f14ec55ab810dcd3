"""What a live run is to be, settled before anything starts: which nodes are real, where the command runs, what is not.

What is wrong in a file whatever is done with it is told when it is loaded (scenario/check_live.py); here is what only a
live run cannot do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netsim.errors import ConfigError, Problem
from netsim.scenario.expectations import RepeatableExpectation
from netsim.scenario.located import path_text
from netsim.scenario.model import Live, Scenario
from netsim.units import Ns


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


def real_nodes(scenario: Scenario) -> dict[str, Live]:
    """Return the scenario's real nodes with each tap's interface filled in. Raises ConfigError: all that is wrong."""
    problems = list(_problems(scenario))
    if problems:
        raise ConfigError(*problems)
    ends = [end.partition(":") for link in scenario.topology.links.values() for end in link.ends]
    first = {name: dev for name, _, dev in reversed(ends)}
    return {
        name: spec if spec.dev is not None or spec.tap is None else spec.model_copy(update={"dev": first[name]})
        for name, spec in scenario.live.items()
    }


def _problems(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.live:
        yield problem(scenario, ("live",), "no node is real", "live: {NODE: {namespace: auto}}")
    taps = {name for name, spec in scenario.live.items() if spec.tap is not None}
    for flow, traffic in scenario.traffic.items():
        for key, names in (("from", traffic.source), ("server", (traffic.server,))):
            for name in taps.intersection(names):
                what = f"{name} needs a program and is behind a tap"
                yield problem(scenario, ("traffic", flow, key), what, "run it there yourself")
    for index, expect in enumerate(scenario.expect):
        if isinstance(expect, RepeatableExpectation):
            what = "nothing in real time happens twice the same"
            yield problem(scenario, ("expect", index, "repeatable"), what, "netsim run can be asked for it")


def problem(scenario: Scenario, path: tuple[str | int, ...], what: str, hint: str) -> Problem:
    """Describe a mistake where the file says what is wrong, else at the nearest thing around it that it says."""
    words = path_text(path)
    if scenario.origin is None:
        return Problem("<scenario>", 0, 0, words, what, hint)
    known = (scenario.origin.get(*path[:length]) for length in range(len(path), 0, -1))
    return next((found for found in known if found is not None), scenario.origin).mark.problem(words, what, hint)


def place(wish: Wish, real: Mapping[str, Live]) -> str:
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
