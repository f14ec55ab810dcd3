"""Make the data of the flows and latency plots out of a run's meters."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.observe.metrics import Metrics
from netsim.observe.plot.flows import AT_DELIVERY, AT_END, BY_ACK, FlowRate, FlowsData
from netsim.observe.plot.from_metrics import event_marks
from netsim.observe.plot.latency import FlowLatency, LatencyData
from netsim.units import Ns, seconds


def flows_data(metrics: Metrics, *, end: Ns, title: str, subtitle: Sequence[str] = ()) -> FlowsData:
    """Make the flows plot's data: payload delivered, units lost (by sending time) and segments sent again, by bin."""
    meter, segments = metrics.flows, metrics.segments
    flows = []
    for name, bins in meter.bins.items():
        window = meter.whole[name]
        followed = segments is not None and name in segments.streams
        octets = segments.octets[name] if segments is not None and followed else bins.octets
        flows.append(
            FlowRate(
                name=name,
                octets=tuple(octets),
                counted=BY_ACK if followed else AT_END if window.by_connection else AT_DELIVERY,
                lost=tuple(meter.lost_bins(name, end)),
                again=tuple(segments.again.get(name, ())) if segments is not None else (),
            )
        )
    return FlowsData(
        title=title,
        subtitle=tuple(subtitle),
        duration=seconds(end),
        bin_width=seconds(metrics.bin_width),
        flows=tuple(flows),
        marks=event_marks(metrics),
    )


def latency_data(metrics: Metrics, *, end: Ns, title: str, subtitle: Sequence[str] = ()) -> LatencyData:
    """Make the latency plot's data: least, mean and greatest latency of the units delivered, by bin of sending."""
    flows = []
    for name, bins in metrics.flows.bins.items():
        all_of = metrics.flows.whole[name].latencies
        counts = (count or 1 for count in bins.delivered)
        flows.append(
            FlowLatency(
                name=name,
                delivered=tuple(bins.delivered),
                least=tuple(seconds(value) for value in bins.latency_min),
                mean=tuple(seconds(value) / count for value, count in zip(bins.latency_sum, counts, strict=True)),
                greatest=tuple(seconds(value) for value in bins.latency_max),
                p50=seconds(all_of.percentile(50)),
                p95=seconds(all_of.percentile(95)),
            )
        )
    return LatencyData(
        title=title,
        subtitle=tuple(subtitle),
        duration=seconds(end),
        bin_width=seconds(metrics.bin_width),
        flows=tuple(flows),
        marks=event_marks(metrics),
    )
