"""Verdicts: each kind of expectation over what was collected, with a sentence that tells a person why.

Pure functions of an expectation and plain values; gather.py makes the values from records. Times are ns, counted from
the run's start; `start` is the instant that the expectation's own times count from.
Source: design/scenario-format.md, "Expectations".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.scenario.expectations import (
    CaptureExpectation,
    CommandExpectation,
    DropsExpectation,
    FailoverExpectation,
    FlowExpectation,
    NeighExpectation,
    RepeatableExpectation,
    ShareExpectation,
    split_neigh,
)
from netsim.scenario.result import Verdict
from netsim.scenario.subset import difference
from netsim.scenario.values import Bound, show
from netsim.units import NS_PER_S, Ns

_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class NeighStep:
    """A neighbour entry entered `state` at `t`."""

    t: Ns
    state: str


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A connection of a flow was made at `t` and left towards `gateway` ("" : towards none)."""

    t: Ns
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowWindow:
    """What happened to the units that a flow sent in a window.

    `pending` were under way when the run ended: neither delivered nor lost. `longest_gap` counts the window's ends as
    deliveries. `broken` names what ended or replaced a connection ("reset", "timed_out", "opened"), "" for nothing.
    """

    sent: int = 0
    delivered: int = 0
    pending: int = 0
    longest_gap: Ns = 0
    latency_p95: Ns | None = None
    broken: str = ""
    connections: int = 0

    @property
    def lost(self) -> int:
        """Units that were sent and will not arrive."""
        return self.sent - self.delivered - self.pending


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed."""

    rc: int
    stdout: str
    stderr: str


def judge_share(expect: ShareExpectation, octets: Mapping[str, int]) -> Verdict:
    """Judge the parts of the octets sent towards each gateway in the window."""
    total = sum(octets.values())
    shares = {name: octets.get(name, 0) / total if total else 0.0 for name in expect.share}
    wrong = [name for name, bound in expect.share.items() if not total or not bound.holds(shares[name])]
    measured = {"share": {name: round(value, 6) for name, value in shares.items()}, "bytes": dict(octets)}
    if not total:
        return Verdict(
            name=expect.name, passed=False, measured=measured, why="nothing was sent towards any gateway in the window"
        )
    parts = ", ".join(f"{name} {show(value, 'share')}" for name, value in shares.items())
    why = f"{parts} of {total} bytes"
    if wrong:
        why += "; wanted " + ", ".join(f"{name} {expect.share[name]}" for name in wrong)
    return Verdict(name=expect.name, passed=not wrong, measured=measured, why=why)


def judge_neigh(expect: NeighExpectation, steps: Sequence[NeighStep], *, start: Ns) -> Verdict:
    """Judge when an entry first entered a state after `start`, or which state it is in at a time."""
    node, ip, dev = split_neigh(expect.neigh)
    entry = f"{ip} dev {dev} on {node}"
    if expect.at is not None:
        t = start + expect.at
        state = next((step.state for step in reversed(steps) if step.t <= t), "NONE")
        why = f"{entry} is {state} at {show(t, 'duration')}"
        why += "" if state == expect.state else f", not {expect.state}"
        return Verdict(name=expect.name, passed=state == expect.state, measured={"state": state}, why=why)
    first = next((step.t for step in steps if step.t >= start and step.state == expect.state), None)
    if first is None:
        last = steps[-1].state if steps else "NONE"
        why = f"{entry} never becomes {expect.state}; it ends as {last}"
        return Verdict(name=expect.name, passed=False, measured={"at_s": None}, why=why)
    bound = _need(expect.within)
    why = f"{entry} becomes {expect.state} {_since(first, start, expect.after)}"
    return _bounded(expect.name, first - start, bound, why)


def judge_failover(expect: FailoverExpectation, made: Sequence[NewConnection], *, start: Ns, until: Ns) -> Verdict:
    """Judge from which instant on every new connection leaves towards the other gateway.

    Connections made in start <= t < until count; `until` is the event that gives the gateway back, or the end.
    """
    flow, to = expect.failover.flow, expect.failover.to
    inside = [each for each in made if start <= each.t < until]
    if not inside:
        why = f"{flow} made no connection between {show(start, 'duration')} and {show(until, 'duration')}"
        return Verdict(name=expect.name, passed=False, measured={"at_s": None}, why=why)
    moved = len(inside)
    while moved and inside[moved - 1].gateway == to:
        moved -= 1
    if moved == len(inside):
        last = inside[-1]
        way = last.gateway or "no gateway"
        why = f"the last new connection of {flow}, at {show(last.t, 'duration')}, still leaves towards {way}"
        return Verdict(name=expect.name, passed=False, measured={"at_s": None}, why=why)
    instant = inside[moved].t
    after = len(inside) - moved
    why = f"all {after} new connections of {flow} leave towards {to} from {_since(instant, start, expect.after)} on"
    return _bounded(expect.name, instant - start, expect.within, why)


def judge_flow(expect: FlowExpectation, window: FlowWindow) -> Verdict:
    """Judge a flow's deliveries, gaps, latency and connections in a window."""
    settled = window.sent - window.pending
    measured: dict[str, Any] = {"sent": window.sent, "delivered": window.delivered, "lost": window.lost}
    said: list[str] = []
    failed = False
    for key, bound, count in (("delivered", expect.delivered, window.delivered), ("lost", expect.lost, window.lost)):
        if bound is None:
            continue
        share = count / settled if settled else 0.0
        holds = bool(settled) and bound.holds(share) if bound.unit == "share" else bound.holds(count)
        failed |= not holds
        percent = f" ({show(share, 'share')})" if settled else ""
        said.append(f"{count} of {settled} {key}{percent}{_unless(holds, bound)}")
    if expect.longest_gap is not None:
        holds = expect.longest_gap.holds(window.longest_gap)
        measured["longest_gap_s"] = window.longest_gap / NS_PER_S
        failed |= not holds
        said.append(f"longest gap {show(window.longest_gap, 'duration')}{_unless(holds, expect.longest_gap)}")
    if expect.latency is not None:
        p95 = window.latency_p95
        holds = p95 is not None and expect.latency.holds(p95)
        measured["latency_p95_s"] = None if p95 is None else p95 / NS_PER_S
        failed |= not holds
        latency = "no delivery to measure" if p95 is None else f"95% within {show(p95, 'duration')}"
        said.append(f"{latency}{_unless(holds, expect.latency)}")
    if expect.survives is not None:
        survived = not window.broken and window.connections > 0
        measured["survives"] = survived
        failed |= survived != expect.survives
        broken = window.broken or ("no connection was open" if not window.connections else "")
        said.append("the connection survives" if survived else f"the connection does not survive: {broken}")
    return Verdict(name=expect.name, passed=not failed, measured=measured, why=f"{expect.flow}: " + "; ".join(said))


def judge_capture(expect: CaptureExpectation, count: int, first: str = "") -> Verdict:
    """Judge how many packets matched; `first` is the first of them as a line, shown when there should be none."""
    holds = expect.count.holds(count)
    what = f'"{expect.filter}"' if expect.filter else "everything"
    packets = f"1 packet at {expect.capture} matches" if count == 1 else f"{count} packets at {expect.capture} match"
    why = f"{packets} {what}{_unless(holds, expect.count)}"
    if not holds and first:
        why += f"; the first: {first}"
    return Verdict(name=expect.name, passed=holds, measured={"count": count}, why=why)


def judge_command(expect: CommandExpectation, answer: Answer) -> Verdict:
    """Judge a command's answer: text in it, a pattern, a part of its JSON, its exit status."""
    wrong: list[str] = []
    for text in expect.shows:
        if text not in answer.stdout:
            wrong.append(f'does not show "{text}"')
    for text in expect.not_shows:
        if text in answer.stdout:
            wrong.append(f'shows "{text}"')
    if expect.matches is not None and re.search(expect.matches, answer.stdout, re.MULTILINE) is None:
        wrong.append(f"nothing matches {expect.matches}")
    if "json_" in expect.model_fields_set:
        wrong += _json_differences(expect.json_, answer.stdout)
    if expect.stderr is not None and expect.stderr not in answer.stderr:
        wrong.append(f'stderr does not say "{expect.stderr}"')
    rc = expect.rc if expect.rc is not None else (None if expect.stderr is not None else 0)
    if rc is not None and answer.rc != rc:
        wrong.append(f"exit status {answer.rc}, not {rc}")
    measured = {"rc": answer.rc, "stdout": answer.stdout, "stderr": answer.stderr}
    line = f"{expect.node}: {expect.run.strip()}"
    why = f"{line}: as expected" if not wrong else f"{line}: {'; '.join(wrong)}{_output(answer)}"
    return Verdict(name=expect.name, passed=not wrong, measured=measured, why=why)


def judge_drops(expect: DropsExpectation, counts: Mapping[str, int]) -> Verdict:
    """Judge how many packets ended for each reason in the window."""
    measured = {reason: counts.get(reason, 0) for reason in expect.drops}
    said = [
        f"{reason} {measured[reason]}{_unless(bound.holds(measured[reason]), bound)}"
        for reason, bound in expect.drops.items()
    ]
    passed = all(bound.holds(measured[reason]) for reason, bound in expect.drops.items())
    return Verdict(name=expect.name, passed=passed, measured={"drops": measured}, why=", ".join(said))


def judge_repeatable(expect: RepeatableExpectation, first: str, second: str) -> Verdict:
    """Judge whether a second run did the same; `second` is "" where it did not come to its end."""
    if not second:
        return Verdict(name=expect.name, passed=False, why="not judged: the second run was interrupted")
    same = first == second
    why = f"both runs have the digest {first}" if same else f"the digests differ: {first}, then {second}"
    return Verdict(name=expect.name, passed=same, measured={"digests": [first, second]}, why=why)


def _need(bound: Bound | None) -> Bound:
    return bound if bound is not None else Bound("any time", "duration")


def _bounded(name: str, value: Ns, bound: Bound, why: str) -> Verdict:
    holds = bound.holds(value)
    measured = {"at_s": value / NS_PER_S}
    return Verdict(name=name, passed=holds, measured=measured, why=f"{why}{_unless(holds, bound)}")


def _since(t: Ns, start: Ns, after: str | None) -> str:
    return f"{show(t - start, 'duration')} after {after}" if after else f"at {show(t, 'duration')}"


def _unless(holds: bool, bound: Bound) -> str:
    return "" if holds else f", wanted {bound}"


def _json_differences(wanted: Any, text: str) -> list[str]:  # Any: JSON values
    try:
        given = json.loads(text)
    except ValueError:
        return ["the output is not JSON"]
    found = difference(wanted, given)
    return [found] if found else []


def _output(answer: Answer) -> str:
    lines = (answer.stdout + answer.stderr).rstrip().splitlines()
    if not lines:
        return "; it printed nothing"
    more = [f"... {len(lines) - _SHOWN_LINES} more lines"] if len(lines) > _SHOWN_LINES else []
    return "; it printed:\n" + "\n".join(f"    {line}" for line in lines[:_SHOWN_LINES] + more)
