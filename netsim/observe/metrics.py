"""All meters of a run together: what the result is made of, and the data of its plots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from netsim.observe.meters.drops import DropMeter
from netsim.observe.meters.egress import EgressMeter
from netsim.observe.meters.flows import FlowMeter
from netsim.observe.meters.gateways import Gateway, GatewayMeter
from netsim.observe.meters.ledger import Ledger
from netsim.observe.meters.logs import CommandLog, EventLog, NatLog
from netsim.observe.meters.neigh import NeighTimeline
from netsim.observe.meters.segments import SegmentMeter
from netsim.observe.meters.tables import TableBooks
from netsim.trace.bus import Bus
from netsim.units import Ns, ms

DEFAULT_BIN: Ns = ms(500)


class Metrics:
    """Subscribes every meter; read `as_result` after the run, or the meters by themselves.

    `streams` names the flows whose TCP connections are followed segment by segment; None follows none.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        gateways: Iterable[Gateway] = (),
        flows: Iterable[str] = (),
        spans: Mapping[str, tuple[Ns, Ns]] | None = None,
        bin_width: Ns = DEFAULT_BIN,
        streams: Collection[str] | None = None,
    ) -> None:
        listed = tuple(gateways)
        self.bin_width = bin_width
        self.gateways = GatewayMeter(bus, listed, bin_width)
        self.egress = EgressMeter(bus, listed)
        self.flows = FlowMeter(bus, flows, spans=spans, bin_width=bin_width)
        self.segments = None if streams is None else SegmentMeter(bus, streams=streams, bin_width=bin_width)
        self.neigh = NeighTimeline(bus)
        self.nat = NatLog(bus)
        self.commands = CommandLog(bus)
        self.events = EventLog(bus)
        self.drops = DropMeter(bus)
        self.ledger = Ledger(bus)
        self.tables = TableBooks(bus)

    def as_result(self, end: Ns) -> dict[str, Any]:  # Any: JSON values
        """Return the measured parts of a "netsim-result/1", in its order of keys."""
        return {
            "events": self.events.as_result(),
            "flows": self.flows.as_result(end),
            "gateways": self.gateways.as_result(),
            "neigh": self.neigh.as_result(),
            "nat": self.nat.as_result(),
            "commands": self.commands.as_result(),
            "drops": self.drops.as_result(),
            "ledger": self.ledger.as_result(),
            "packet_hops": self.ledger.packet_hops,
        }
