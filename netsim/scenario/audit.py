"""Checksums that nobody damaged on purpose must be right: netsim's own promise, judged in every run.

Watched on every interface of boxes that rewrite packets, and wherever something is captured; where a packet ends, the
receiving box verifies and drops by name. Source: design/scenario-format.md, "Checksums are verified wherever ...".
"""

from __future__ import annotations

from netsim.observe.capture import Points
from netsim.observe.meters.checksums import ChecksumWatch
from netsim.observe.metrics import Metrics
from netsim.scenario.actions import Impairment
from netsim.scenario.model import Scenario
from netsim.scenario.result import Verdict
from netsim.topology.model import Topology
from netsim.topology.ports import ports_of
from netsim.trace.bus import Bus
from netsim.wire import drop

_REWRITERS = ("iptables", "ipchains", "nat ")
_WRONG = (drop.IP_CSUM, drop.UDP_CSUM, drop.TCP_CSUM, drop.ICMP_CSUM)


class Audit:
    """Watches one run."""

    def __init__(self, bus: Bus, scenario: Scenario, topology: Topology, captured: Points) -> None:
        interfaces = set(captured.interfaces)
        for node, ports in ports_of(topology).items():
            if any(word in text for word in _REWRITERS for text in _texts(scenario, topology, node)):
                interfaces |= {(node, port.name) for port in ports}
        self._watch = ChecksumWatch(bus, Points(frozenset(interfaces), captured.everything))
        self._explained = _damages(scenario, topology)

    def verdicts(self, metrics: Metrics) -> tuple[Verdict, ...]:
        """Return one failed verdict when a checksum was wrong without a cause, else nothing."""
        wrong = {reason: metrics.drops.reasons[reason] for reason in _WRONG if metrics.drops.reasons[reason]}
        if not self._watch.count and (self._explained or not wrong):
            return ()
        said = list(self._watch.described[:3])
        said += [f"{count} packets ended as {reason}" for reason, count in wrong.items() if not self._explained]
        why = f"{self._watch.count} packets with a wrong checksum that nothing explains: " + "; ".join(said)
        return (
            Verdict(name="checksums", passed=False, measured={"count": self._watch.count, "drops": wrong}, why=why),
        )


def _texts(scenario: Scenario, topology: Topology, node: str) -> list[str]:
    """Every command line that a node runs, as text."""
    out = [topology.nodes[node].run]
    for event in scenario.events:
        if event.run is not None and node in event.run:
            out.append(event.run[node])
    return out


def _damages(scenario: Scenario, topology: Topology) -> bool:
    """Tell whether the scenario damages packets on purpose."""
    for link in topology.links.values():
        if any(link.direction(end).corrupt for end in (0, 1)):
            return True
    return any(
        event.inject is not None or (isinstance(event.argument, Impairment) and event.argument.corrupt)
        for event in scenario.events
    )
