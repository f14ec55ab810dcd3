"""What each expectation needs from a run: subscribed before it starts, judged after it ended.

One gatherer an expectation, made of the meters that the result is made of, so that a verdict and the numbers beside it
cannot disagree. Source: design/scenario-format.md, "Expectations".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, assert_never

from netsim.observe.capture import CaptureCount, Points, resolve_points
from netsim.observe.filter import compile_filter
from netsim.observe.metrics import Metrics
from netsim.scenario import expect as judge
from netsim.scenario.actions import RESTORING
from netsim.scenario.expectations import (
    CaptureExpectation,
    CommandExpectation,
    DropsExpectation,
    Expectation,
    FailoverExpectation,
    FlowExpectation,
    NeighExpectation,
    RepeatableExpectation,
    ShareExpectation,
    split_neigh,
)
from netsim.scenario.model import Scenario
from netsim.scenario.result import Verdict
from netsim.scenario.values import Window, show
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent
from netsim.units import Ns
from netsim.wire.summary import summary

Judge: TypeAlias = Callable[[], Verdict]
Ends: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Each link's ends as (node, device)."""

NOT_FINISHED = judge.Answer(124, "", "the run ended before the command did\n")
"""The answer of a command that takes longer than the run, its status as timeout(1) has it."""
_BROKEN = frozenset({"reset", "timed_out", "refused"})


class Gatherer:
    """Holds what the expectations of one run need; `judges` gives the verdicts in the file's order."""

    def __init__(self, scenario: Scenario, bus: Bus, metrics: Metrics, ends: Ends) -> None:
        self.answers: dict[int, judge.Answer] = {}
        self.digests: tuple[str, str] = ("", "")
        self._scenario = scenario
        self._bus = bus
        self._metrics = metrics
        self._ends = ends
        self._instants = {event.id: event.at for event in scenario.events}
        self.judges: list[Judge] = [self._judge(i, each) for i, each in enumerate(scenario.expect)]

    def start_of(self, expect: Expectation) -> Ns:
        """Return the instant that an expectation's times count from."""
        return 0 if expect.after is None else self._instants[expect.after]

    def captured(self) -> Points:
        """Return every point that an expectation or `observe.pcap` captures at."""
        points = [each.capture for each in self._scenario.expect if isinstance(each, CaptureExpectation)]
        return resolve_points((*points, *self._scenario.observe.pcap), self._ends)

    def _window(self, expect: Expectation, during: Window | None) -> Window:
        if during is None:
            return Window(self.start_of(expect), self._scenario.duration + 1)
        return during.after(self.start_of(expect))

    def _judge(self, index: int, expect: Expectation) -> Judge:
        match expect:
            case ShareExpectation():
                return self._share(expect)
            case NeighExpectation():
                return lambda: judge.judge_neigh(expect, self._steps(expect), start=self.start_of(expect))
            case FailoverExpectation():
                return lambda: self._failover(expect)
            case FlowExpectation():
                return self._flow(expect)
            case CaptureExpectation():
                return self._capture(expect)
            case CommandExpectation():
                return lambda: judge.judge_command(expect, self._answer(index))
            case DropsExpectation():
                window = self._window(expect, expect.during)
                drops = self._metrics.drops.watch(window.begin, window.end)
                return lambda: judge.judge_drops(expect, drops.reasons)
            case RepeatableExpectation():
                return lambda: judge.judge_repeatable(expect, *self.digests)
            case _:
                assert_never(expect)

    def _answer(self, index: int) -> judge.Answer:
        return self.answers.get(index, NOT_FINISHED)

    def _share(self, expect: ShareExpectation) -> Judge:
        window = self._window(expect, expect.during)
        counted = self._metrics.gateways.watch(window.begin, window.end)
        return lambda: judge.judge_share(expect, counted.tx_bytes)

    def _steps(self, expect: NeighExpectation) -> list[judge.NeighStep]:
        node, ip, dev = split_neigh(expect.neigh)
        changes = self._metrics.neigh.changes
        return [
            judge.NeighStep(change.t, change.new)
            for change in changes
            if (change.node, change.dst, change.dev) == (node, ip, dev) and change.new != change.old
        ]

    def _failover(self, expect: FailoverExpectation) -> Verdict:
        start = self.start_of(expect)
        back = [event.at for event in self._scenario.events if event.at > start and event.verb in RESTORING]
        made = [judge.NewConnection(each.t, each.gateway) for each in self._metrics.egress.of(expect.failover.flow)]
        return judge.judge_failover(expect, made, start=start, until=min(back, default=self._scenario.duration + 1))

    def _flow(self, expect: FlowExpectation) -> Judge:
        window = self._window(expect, expect.during)
        traffic = self._scenario.traffic[expect.flow]
        if expect.during is None:  # a flow that starts late or stops early has no gap there
            stop = window.end if traffic.stop is None else min(window.end, traffic.stop)
            window = Window(max(window.begin, traffic.start), stop)
        numbers = self._metrics.flows.watch(expect.flow, window.begin, window.end)
        lanes = traffic.flows * len(traffic.source)
        survival = Survival(self._bus, expect.flow, window, lanes) if expect.survives is not None else None
        end = self._scenario.duration

        def verdict() -> Verdict:
            return judge.judge_flow(expect, judge.FlowWindow(
                sent=numbers.sent_units, delivered=numbers.delivered_units,
                pending=self._metrics.flows.under_way(numbers, end), longest_gap=numbers.gap(end)[0],
                latency_p95=numbers.latencies.percentile(95) if numbers.delivered_units else None,
                broken=survival.broken if survival else "", connections=survival.connections if survival else 0,
            ))  # fmt: skip

        return verdict

    def _capture(self, expect: CaptureExpectation) -> Judge:
        window = self._window(expect, expect.during)
        counted = CaptureCount(
            self._bus, resolve_points([expect.capture], self._ends), compile_filter(expect.filter),
            link=expect.capture in self._ends, start=window.begin, stop=window.end, keep=1,
        )  # fmt: skip

        def verdict() -> Verdict:
            first = counted.first[0] if counted.first else None
            text = ""
            if first is not None:
                line = summary(first.frame.octets, link_header=first.frame.link_header)
                text = f"{line} at {show(first.t, 'duration')}"
            return judge.judge_capture(expect, counted.count, text)

        return verdict


class Survival:
    """Whether a flow's connections live through a window: no reset, no time-out, no new connection.

    `lanes` is how many connections the flow holds at once; further ones opened in the window are new ones.
    """

    def __init__(self, bus: Bus, flow: str, window: Window, lanes: int) -> None:
        self.connections = 0
        self.broken = ""
        self._flow = flow
        self._window = window
        self._lanes = lanes
        bus.subscribe((ConnectionEvent,), self._event)

    def _event(self, r: ConnectionEvent) -> None:
        if r.flow != self._flow or r.t >= self._window.end:
            return
        inside = self._window.holds(r.t)
        if r.event == "opened":
            if inside and self.connections >= self._lanes and not self.broken:
                self.broken = f"a new connection at {show(r.t, 'duration')}"
            self.connections += 1
        elif r.event in _BROKEN:
            if inside and not self.broken:
                self.broken = f"{r.event.replace('_', ' ')} at {show(r.t, 'duration')}"
            elif not inside:
                self.connections -= 1
        elif r.event == "completed" and not inside:
            self.connections -= 1
