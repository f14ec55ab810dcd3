"""Make the data of the plots out of a run's meters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType

from netsim.observe.meters.gateways import GatewayTotals
from netsim.observe.meters.neigh import NeighKey
from netsim.observe.metrics import Metrics
from netsim.observe.plot.gateways import GatewaysData, GatewaySeries
from netsim.observe.plot.timeline import FlowSeries, TimelineData
from netsim.observe.plot.values import BAD, GOOD, NEUTRAL, Band, Mark, Span, Stretch
from netsim.trace.records import WorldEvent
from netsim.units import Ns, seconds

_TONES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("silence", "crash", "cut", "unplug", "mute", "down", "remove", "impair", "flap", "stop"), BAD)
    | dict.fromkeys(("revive", "boot", "join", "plug", "unmute", "up", "create", "repair", "start"), GOOD)
)
_NOTES: Mapping[str, str] = MappingProxyType({
    "silence": "carrier stays up", "mute": "carrier stays up", "crash": "its tables are lost", "cut": "carrier lost",
    "unplug": "carrier lost", "down": "set down", "remove": "unregistered", "impair": "link impaired",
    "flap": "carrier flaps",
})  # fmt: skip
_FAILED = "FAILED"


def gateways_data(
    metrics: Metrics,
    *,
    end: Ns,
    title: str,
    subtitle: Sequence[str] = (),
    targets: Mapping[str, str] | None = None,
) -> GatewaysData:
    """Make the gateways plot's data.

    `targets` names the gateway an event's target concerns where the name alone does not say (a link or a router's
    interface towards it). Detection is measured from the event to the first FAILED of a neighbour entry for the gateway
    before the gateway's next event.
    """
    meter = metrics.gateways
    names = list(meter.gateways)
    keys = [
        (index, key)
        for index, gateway in enumerate(meter.gateways.values())
        for key in metrics.neigh.keys()  # noqa: SIM118  # a method of the timeline, not of a mapping
        if gateway.address and key.dst == gateway.address
    ]
    several = len({key.node for _, key in keys}) > 1
    concerned = [(event, _gateway_of(event, names, targets or {})) for event in metrics.events.events]
    return GatewaysData(
        title=title,
        subtitle=tuple(subtitle),
        duration=seconds(end),
        bin_width=seconds(metrics.bin_width),
        gateways=tuple(_series(name, meter.totals[name]) for name in names),
        marks=tuple(_mark(event, meter.totals.get(gateway)) for event, gateway in concerned),
        spans=tuple(_detections(metrics, concerned, [key for _, key in keys], end)),
        bands=tuple(_band(metrics, index, key, end, several=several) for index, key in keys),
    )


def timeline_data(metrics: Metrics, *, end: Ns, title: str, subtitle: Sequence[str] = ()) -> TimelineData:
    """Make the timeline plot's data: every flow's units sent and delivered by bin, with the greatest latency."""
    flows = []
    for name, bins in metrics.flows.bins.items():
        flows.append(
            FlowSeries(
                name=name,
                sent=tuple(bins.sent),
                delivered=tuple(bins.delivered),
                latency=tuple(seconds(value) for value in bins.latency_max),
                again=tuple(metrics.segments.again.get(name, ())) if metrics.segments is not None else (),
            )
        )
    return TimelineData(
        title=title,
        subtitle=tuple(subtitle),
        duration=seconds(end),
        bin_width=seconds(metrics.bin_width),
        flows=tuple(flows),
        marks=event_marks(metrics),
    )


def event_marks(metrics: Metrics) -> tuple[Mark, ...]:
    """Return a mark for each event of the run."""
    return tuple(_mark(event, None) for event in metrics.events.events)


def _gateway_of(event: WorldEvent, names: Sequence[str], targets: Mapping[str, str]) -> str:
    node = event.target.partition(":")[0]
    return targets.get(event.target) or (node if node in names else "")


def _series(name: str, totals: GatewayTotals) -> GatewaySeries:
    columns = zip_longest(totals.tx_bins, totals.rx_bins, totals.lost_bins, fillvalue=0)
    return GatewaySeries(
        name=name,
        passed=tuple(tx + rx - lost for tx, rx, lost in columns),
        lost=tuple(totals.lost_bins),
    )


def _mark(event: WorldEvent, totals: GatewayTotals | None) -> Mark:
    tone = _TONES.get(event.verb, NEUTRAL)
    note = _NOTES.get(event.verb, "")
    if tone == GOOD and totals is not None:
        back = next((stop for start, stop in totals.outages if stop < 0 or stop >= event.t), None)
        if back is not None:
            note = f"in use again {seconds(back - event.t):.1f} s later" if back >= 0 else "not used again"
    title = event.id.replace("-", " ") if event.id else f"{event.verb} {event.target}"
    return Mark(t=seconds(event.t), title=title, note=note, tone=tone)


def _detections(
    metrics: Metrics, concerned: Sequence[tuple[WorldEvent, str]], keys: Sequence[NeighKey], end: Ns
) -> list[Span]:
    spans = []
    for index, (event, gateway) in enumerate(concerned):
        if not gateway or _TONES.get(event.verb) != BAD:
            continue
        until = next((later.t for later, of in concerned[index + 1 :] if of == gateway), end)
        address = metrics.gateways.gateways[gateway].address
        entries = [metrics.neigh.first_entry(key, _FAILED, event.t) for key in keys if key.dst == address]
        found = min((t for t in entries if t is not None and t < until), default=None)
        if found is not None:
            label = f"detection {seconds(found - event.t):.1f} s"
            spans.append(Span(start=seconds(event.t), stop=seconds(found), label=label))
    return spans


def _band(metrics: Metrics, index: int, key: NeighKey, end: Ns, *, several: bool) -> Band:
    stretches = (
        Stretch(start=seconds(start), stop=seconds(stop), state=state)
        for start, stop, state in metrics.neigh.intervals(key, end)
    )
    left = f"{key.node} {key.dst}" if several else key.dst
    return Band(left=left, right=key.dev, series=index, stretches=tuple(stretches))
