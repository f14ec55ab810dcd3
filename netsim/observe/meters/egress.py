"""Which gateway each new connection leaves by.

A connection is new when its tuple is first seen on the way to a gateway, or seen again after NAT set it up anew. The
tuple on the wire is led back to the one its host knows by the NatMapped record of the translation.

Source: design/scenario-format.md, "Expectations" (failover).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netsim.addr import Mac, ip_str
from netsim.observe.meters.gateways import Gateway
from netsim.trace.bus import Bus
from netsim.trace.records import ConnectionEvent, FlowSent, FrameSent, NatMapped
from netsim.units import Ns
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.icmp import ICMP_ECHO
from netsim.wire.ipv4 import IP_HLEN, IP_OFFSET, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP
from netsim.wire.octets import Octets


class Egress(NamedTuple):
    """The first packet of a connection went to a gateway. `conn` is "src:port>dst:port" before translation."""

    t: Ns
    conn: str
    gateway: str


class EgressMeter:
    """Remembers one value a connection; a packet of a known one costs a set lookup on its octets."""

    def __init__(self, bus: Bus, gateways: Iterable[Gateway]) -> None:
        self.egresses: list[Egress] = []
        self._by_mac: dict[Mac, list[Gateway]] = {}
        for gateway in gateways:
            self._by_mac.setdefault(gateway.mac, []).append(gateway)
        self._flow_of: dict[str, str] = {}
        self._original: dict[str, str] = {}
        self._known: set[str] = set()
        self._seen: set[bytes] = set()
        self._octets: dict[str, set[bytes]] = {}
        bus.subscribe((FrameSent,), self._sent)
        bus.subscribe((NatMapped,), self._nat)
        bus.subscribe((FlowSent, ConnectionEvent), self._named)

    def of(self, flow: str) -> list[Egress]:
        """Return the connections of a flow in the order they first left."""
        return [egress for egress in self.egresses if self._flow(egress.conn) == flow]

    def settles(self, flow: str, gateway: str, start: Ns, stop: Ns) -> Ns | None:
        """Return the instant inside [start, stop) from which on every new connection of the flow leaves by `gateway`.

        That is when the first of them left; None when the last one left by another, or there was none.
        """
        settled: Ns | None = None
        for egress in self.of(flow):
            if start <= egress.t < stop:
                if egress.gateway != gateway:
                    settled = None
                elif settled is None:
                    settled = egress.t
        return settled

    def _sent(self, r: FrameSent) -> None:
        octets = r.frame.octets
        gateways = self._by_mac.get(octets[:6])
        if gateways is None or octets[12:14] != PROTO_IP:
            return
        first = octets[14:15] + octets[20:24] + octets[26:38]  # ihl, fragment word, ttl, protocol, addresses, ports
        if octets[23:24] == b"\x01":
            first = first[:-2] + octets[38:40]  # type, code, id: what lies between is the checksum
        if first in self._seen:
            return
        for gateway in gateways:
            if r.node != gateway.name and (not gateway.peers or (r.node, r.dev) in gateway.peers):
                self._first_packet(r.t, octets, first, gateway)
                return

    def _first_packet(self, t: Ns, octets: bytes, first: bytes, gateway: Gateway) -> None:
        conn = connection_text(octets, ETH_HLEN)
        if not conn:
            return
        if conn not in self._known:
            self._known.add(conn)
            self.egresses.append(Egress(t, self._original.get(conn, conn), gateway.name))
        self._seen.add(first)
        self._octets.setdefault(conn, set()).add(first)

    def _nat(self, r: NatMapped) -> None:
        src, _, dst = _plain(r.proto, r.reply, reply=True).partition(">")
        wire, original = f"{dst}>{src}", _plain(r.proto, r.original, reply=False)
        # A second box's translation of the same packet begins from the first one's tuple.
        self._original[wire] = self._original.get(original, original)
        self._known.discard(wire)
        self._seen -= self._octets.pop(wire, set())

    def _named(self, r: FlowSent | ConnectionEvent) -> None:
        if r.conn:
            self._flow_of[r.conn] = r.flow

    def _flow(self, conn: str) -> str | None:
        """Return the flow of a connection; one whose host had not chosen a source yet is known as "*:port>...."."""
        return self._flow_of.get(conn) or self._flow_of.get("*" + conn[conn.find(":") :])


def _plain(proto: str, text: str, *, reply: bool) -> str:
    """Write a tuple as `connection_text` does: an icmp query, which has one id, with 0 as the far end's port."""
    if proto != "icmp":
        return text
    src, _, dst = text.partition(">")
    ident = text.rpartition("=")[2] if "=" in text else (dst if reply else src).rpartition(":")[2]
    near, far = (dst, src) if reply else (src, dst)
    near, far = f"{near.partition(':')[0]}:{ident}", f"{far.partition(':')[0]}:0"
    return f"{far}>{near}" if reply else f"{near}>{far}"


def connection_text(octets: Octets, at: int) -> str:
    """Return "src:port>dst:port" of the IP packet at `at`; "" where there are no ports.

    An icmp echo request has its id as source port and 0 as the other, as ping names its flow.
    """
    if len(octets) < at + IP_HLEN or (octets[at + 6] << 8 | octets[at + 7]) & IP_OFFSET:
        return ""
    proto, ports = octets[at + 9], at + 4 * (octets[at] & 15)
    if len(octets) < ports + 8:
        return ""
    sport, dport = octets[ports] << 8 | octets[ports + 1], octets[ports + 2] << 8 | octets[ports + 3]
    if proto == IPPROTO_ICMP and octets[ports] == ICMP_ECHO:
        sport, dport = octets[ports + 4] << 8 | octets[ports + 5], 0
    elif proto not in (IPPROTO_TCP, IPPROTO_UDP):
        return ""
    src = ip_str(int.from_bytes(octets[at + 12 : at + 16], "big"))
    dst = ip_str(int.from_bytes(octets[at + 16 : at + 20], "big"))
    return f"{src}:{sport}>{dst}:{dport}"
