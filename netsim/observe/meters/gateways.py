"""Bytes towards and from each gateway over time, those it never took, and packets with another gateway's sources.

"Towards a gateway means IPv4 frames to its MAC on its first listed interface (`tx` from others to it, `rx` the
reverse), in IP length." Everything is binned by sending time.

Source: design/scenario-format.md, "Result" and "Expectations" (share).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from netsim.addr import Ip, Mac, Prefix, ip_str
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent
from netsim.units import NS_PER_S, Ns
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IP_HLEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway as a meter knows it: node, its first listed interface and that interface's MAC.

    `peers` are the (node, device) pairs on the same link: a frame from elsewhere that happens to carry the MAC does not
    count. Empty: any. `address` is the interface's own, for labels and neighbour bands. `others` are the
    subnets of other gateways that a node among the peers is in, too, with the gateways' names.
    """

    name: str
    dev: str
    mac: Mac
    peers: frozenset[tuple[str, str]] = frozenset()
    address: str = ""
    others: tuple[tuple[Prefix, str], ...] = ()


@dataclass(slots=True)
class Foreign:
    """Packets sent to one gateway with sources of another's subnet: SNAT that chose apart from routing (seed 7)."""

    packets: int
    first: Ns
    source: Ip


@dataclass(slots=True)
class GatewayTotals:
    """What passed at one gateway; bins are indexed by sending time // bin and as long as needed.

    `outages` are (last delivery before, first delivery after) wherever frames were lost in between; the second is -1
    while the outage lasts. `foreign` counts by the gateway that the sources belong to.
    """

    tx_packets: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    rx_bytes: int = 0
    lost_packets: int = 0
    lost_bytes: int = 0
    tx_bins: list[int] = field(default_factory=list)
    rx_bins: list[int] = field(default_factory=list)
    lost_bins: list[int] = field(default_factory=list)
    outages: list[tuple[Ns, Ns]] = field(default_factory=list)
    foreign: dict[str, Foreign] = field(default_factory=dict)
    last_delivered: Ns = -1


@dataclass(slots=True)
class ShareWindow:
    """IP bytes sent towards each gateway from `start` to before `stop`."""

    start: Ns
    stop: Ns
    tx_bytes: dict[str, int]

    def share(self, gateway: str) -> float:
        """Return the gateway's part of all bytes, 0 to 1; 0 when nothing was sent at all."""
        total = sum(self.tx_bytes.values())
        return self.tx_bytes[gateway] / total if total else 0.0


class _Flying:
    """A frame on its way to a gateway: how many of it and its hub copies are still under way."""

    __slots__ = ("copies", "gateway", "sent", "size")

    def __init__(self, gateway: Gateway, sent: Ns, size: int) -> None:
        self.gateway = gateway
        self.sent = sent
        self.size = size
        self.copies = 1


class GatewayMeter:
    """Counts per gateway; frames under way are remembered until the last of their copies ended."""

    def __init__(self, bus: Bus, gateways: Iterable[Gateway], bin_width: Ns) -> None:
        self.bin_width = bin_width
        self.gateways: dict[str, Gateway] = {gateway.name: gateway for gateway in gateways}
        self.totals: dict[str, GatewayTotals] = {name: GatewayTotals() for name in self.gateways}
        self._by_mac: dict[Mac, list[Gateway]] = {}
        for gateway in self.gateways.values():
            self._by_mac.setdefault(gateway.mac, []).append(gateway)
        self._by_interface = {(gateway.name, gateway.dev): gateway for gateway in self.gateways.values()}
        self._windows: list[ShareWindow] = []
        self._flying: dict[int, _Flying] = {}
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((FrameCopied,), self._copied)
        bus.subscribe((FrameDelivered,), self._delivered)
        bus.subscribe((Dropped,), self._dropped)

    def watch(self, start: Ns, stop: Ns) -> ShareWindow:
        """Count bytes towards gateways in one window, exactly, whatever the bins are."""
        window = ShareWindow(start, stop, dict.fromkeys(self.gateways, 0))
        self._windows.append(window)
        return window

    def as_result(self) -> dict[str, dict[str, Any]]:  # Any: JSON values
        """Return the `gateways` part of a result; `foreign` is there only where something was found."""
        out: dict[str, dict[str, Any]] = {}
        for name, totals in self.totals.items():
            out[name] = {
                "tx_packets": totals.tx_packets,
                "tx_bytes": totals.tx_bytes,
                "rx_packets": totals.rx_packets,
                "rx_bytes": totals.rx_bytes,
            }
            if totals.foreign:
                out[name]["foreign"] = {
                    owner: {"packets": each.packets, "first_s": each.first / NS_PER_S, "src": ip_str(each.source)}
                    for owner, each in totals.foreign.items()
                }
        return out

    @property
    def in_flight(self) -> int:
        """Frames towards gateways whose fate is open."""
        return len({id(flying) for flying in self._flying.values() if flying.size >= 0})

    def _sent(self, r: FrameSent) -> None:
        octets = r.frame.octets
        if octets[12:14] != PROTO_IP or not r.frame.link_header or len(octets) < ETH_HLEN + IP_HLEN:
            return
        sender = self._by_interface.get((r.node, r.dev))
        if sender is not None and octets[6:12] == sender.mac:
            size = octets[16] << 8 | octets[17]
            totals = self.totals[sender.name]
            totals.rx_packets += 1
            totals.rx_bytes += size
            self._fill(totals.rx_bins, r.t, size)
        for gateway in self._by_mac.get(octets[:6], ()):
            if r.node != gateway.name and (not gateway.peers or (r.node, r.dev) in gateway.peers):
                self._towards(gateway, r.t, r.frame)

    def _towards(self, gateway: Gateway, t: Ns, frame: Frame) -> None:
        size = frame.octets[16] << 8 | frame.octets[17]
        totals = self.totals[gateway.name]
        totals.tx_packets += 1
        totals.tx_bytes += size
        self._fill(totals.tx_bins, t, size)
        if gateway.others:
            self._judge(gateway, totals, int.from_bytes(frame.octets[26:30], "big"), t)
        for window in self._windows:
            if window.start <= t < window.stop:
                window.tx_bytes[gateway.name] += size
        self._flying[frame.uid] = _Flying(gateway, t, size)

    @staticmethod
    def _judge(gateway: Gateway, totals: GatewayTotals, source: Ip, t: Ns) -> None:
        """Count a packet whose source belongs to another gateway than the one it is sent to."""
        for network, owner in gateway.others:
            if network.holds(source):
                found = totals.foreign.setdefault(owner, Foreign(0, t, source))
                found.packets += 1
                return

    def _copied(self, r: FrameCopied) -> None:
        flying = self._flying.get(r.frame.parent)
        if flying is not None:
            flying.copies += 1
            self._flying[r.frame.uid] = flying

    def _delivered(self, r: FrameDelivered) -> None:
        flying = self._flying.pop(r.frame.uid, None)
        if flying is None:
            return
        flying.copies -= 1
        gateway = flying.gateway
        if (r.node, r.dev) == (gateway.name, gateway.dev):
            flying.size = -1  # arrived: whatever becomes of the other copies is no loss
            totals = self.totals[gateway.name]
            totals.last_delivered = r.t
            if totals.outages and totals.outages[-1][1] < 0:
                totals.outages[-1] = (totals.outages[-1][0], r.t)
        elif not flying.copies:
            self._lose(flying)

    def _dropped(self, r: Dropped) -> None:
        flying = self._flying.pop(r.uid, None)
        if flying is not None:
            flying.copies -= 1
            if not flying.copies:
                self._lose(flying)

    def _lose(self, flying: _Flying) -> None:
        if flying.size < 0:
            return
        totals = self.totals[flying.gateway.name]
        totals.lost_packets += 1
        totals.lost_bytes += flying.size
        self._fill(totals.lost_bins, flying.sent, flying.size)
        if not totals.outages or totals.outages[-1][1] >= 0:
            totals.outages.append((totals.last_delivered, -1))

    def _fill(self, bins: list[int], t: Ns, size: int) -> None:
        index = t // self.bin_width
        if index >= len(bins):
            bins.extend([0] * (index + 1 - len(bins)))
        bins[index] += size
