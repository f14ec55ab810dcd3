"""The memory of one box's flows: the second packet of a flow is watched on its way, later ones go the same way by rote.

Theory. What becomes of an undamaged UDP or TCP packet is a matter of its headers (flows.py, Key) and of the box's
state. The state is of two kinds. The ground - routes and rules, devices and addresses, settings, netfilter's rules -
has a generation each; when one moved, everything is forgotten. What single flows rest on - the link header of a
neighbour, the status and expiry of a connection - is looked at with each packet. Nothing that would do more than
renew its connection's expiry and move TCP's windows is repeated: the first and second packet of a flow, a neighbour
that is not REACHABLE, a packet that moves its connection's state or is out of its windows, one that is too long,
damaged, or sent in pieces, goes the whole way, as does every packet where a rule, a callback or a helper might look
at it. A repetition is kept only if it makes, of the packet watched, the very octets that went out. So there is one
path; this file remembers where it led.

The ground is compared only after something happened that could have moved it (`settled`): a call of the box that is
not the repetition of a packet. Source: the idea is that of Linux's generation counters (rt_genid_ipv4(), fib_seq) and
of its software flow table (net/netfilter/nf_flow_table_core.c), which starts from the second packet, too.
"""

from __future__ import annotations

from typing import Protocol

from netsim.stack.device import Device
from netsim.stack.dst import RTCF_DOREDIRECT, RTN_LOCAL, RTN_UNICAST, Route
from netsim.stack.interfaces import Interfaces
from netsim.stack.ipv4.flows import FIELDS, SHORTEST, TCP_AT, Fields, Flow, Key, Trail, Way, is_plain_tcp, key_of
from netsim.stack.neigh.entry import Neighbour
from netsim.stack.netfilter.ct_tcp import TcpTracker
from netsim.stack.netfilter.hooks import (
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
)
from netsim.stack.netfilter.status import (
    IP_CT_IS_REPLY,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_DYING,
    IPS_FIXED_TIMEOUT,
    IPS_NAT_DONE_MASK,
    IPS_SEEN_REPLY,
)
from netsim.stack.outbox import FrameOut, Outbox, Wake
from netsim.stack.requests import Datagram, Send
from netsim.stack.skb import Skb, truesize
from netsim.stack.sockets.datagram import SOCKET_BUFFER, DatagramSocket
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import Consumed
from netsim.units import Ns
from netsim.wire.ether import ETH_HLEN
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IP_HLEN, IPPROTO_UDP

MOST = 16_384
"""How many flows of a device, ways of a socket and keys seen once are remembered before all of a kind are forgotten."""


class Ground(Protocol):
    """Something whose changes are counted."""

    @property
    def generation(self) -> int:
        """Count of every change that may lead packets another way."""
        ...


class RuleGround(Ground, Protocol):
    """Netfilter as the memory sees it."""

    idle: list[bool]
    by_rote: list[bool]
    translates: bool
    tcp_by_rote: TcpTracker | None


class NeighbourTable(Protocol):
    """The neighbours as the memory sees them."""

    def find(self, dev: Device, ip: int) -> Neighbour | None:
        """Return an entry, without making one."""
        ...


class FlowMemory:
    """What one box remembers; with `on` False it remembers nothing, and all packets go the whole way.

    `settled` tells that nothing happened since the ground was last compared: the owner clears it. `epoch` counts how
    often all was forgotten.
    """

    routing: Ground
    netfilter: RuleGround
    sockets: Ground
    neigh: NeighbourTable

    def __init__(
        self, *, node: str, interfaces: Interfaces, sysctl: Sysctl, timers: Timers, outbox: Outbox, on: bool = True
    ) -> None:
        self.on = on
        self.settled = False
        self._node = node
        self._interfaces = interfaces
        self._timers = timers
        self._outbox = outbox
        self._flows: dict[str, dict[Key, Flow]] = {}
        self._seen: set[int] = set()
        self._written = 0
        self._ground = -1
        self.epoch = 0
        sysctl.listen("", self._setting_written)

    def bind(self, *, routing: Ground, netfilter: RuleGround, sockets: Ground, neigh: NeighbourTable) -> None:
        """Take the rooms that memory rests on, before the first packet."""
        self.routing = routing
        self.netfilter = netfilter
        self.sockets = sockets
        self.neigh = neigh

    def _setting_written(self, key: str) -> None:
        self._written += 1

    def _settle(self) -> bool:
        """Compare the ground; False when it moved and all is forgotten. Each part only grows, so their sum tells."""
        ground = self.routing.generation + self._interfaces.generation + self.netfilter.generation + self._written
        self.settled = True
        if ground == self._ground:
            return True
        self._ground = ground
        self._flows.clear()
        self.epoch += 1
        return False

    # Received packets

    def repeat(self, device: str, frame: Frame, now: Ns) -> bool:
        """Do with a received frame what was done with the last of its flow; False, and nothing done, if none is known.

        The checks stand in the order of their cost; the first effect comes behind the last of them.
        """
        flows = self._flows.get(device)
        if flows is None:
            return False
        octets = frame.octets
        size = len(octets)
        if size < SHORTEST or frame.bad:
            return False
        fields: Fields = FIELDS.unpack_from(octets)
        head, length, _, fragment, last, _, ends, _, _ = fields
        flow = flows.get((head, fragment, last, ends))
        if flow is None or size != length + ETH_HLEN or size > flow.limit:
            return False
        if not self.settled and not self._settle():
            return False
        heap = self._timers.heap
        if heap and heap[0][0] < now:
            return False
        if not frame.summed and not flow.intact(fields, octets):
            return False
        ct = flow.ct
        if ct is not None and (ct.status != flow.ct_status or ct.events or ct.timeout <= now):
            return False
        if flow.taker is not None:
            if not self._deliver(flow, flow.taker, frame, length, now):
                return False
        else:
            if flow.neigh is None or flow.neigh.header is not flow.header:
                return False
            made = flow.rewritten(fields, octets)
            if not made:
                return False
            tcp = flow.tcp
            if tcp is not None and not tcp.repeat(ct, flow.ct_at >> 1, octets, TCP_AT, now):
                return False
            proven = flow.udp or tcp is not None or frame.summed
            out = flow.out
            out.tx_packets += 1
            out.tx_bytes += size
            self._outbox.frames.append(FrameOut(out.name, made, frame.uid, False, True, proven, frame.uid))
        if ct is not None:
            if flow.ct_timeout >= 0:
                ct.timeout = now + flow.ct_timeout
            if ct.counters is not None:
                ct.counters[flow.ct_at] += 1
                ct.counters[flow.ct_at + 1] += length
        dev = flow.dev
        dev.rx_packets += 1
        dev.rx_bytes += size
        return True

    def _deliver(self, flow: Flow, taker: DatagramSocket, frame: Frame, length: int, now: Ns) -> bool:
        """Put a datagram into its socket, if there is room and no socket came or went."""
        room = truesize(length)
        if flow.sockets_at != self.sockets.generation or taker.queued_octets + room > SOCKET_BUFFER:
            return False
        octets = frame.octets
        ends = flow.ends
        taker.enqueue(
            Datagram(
                payload=octets[SHORTEST:], src=int.from_bytes(ends[:4], "big"), sport=ends[8] << 8 | ends[9],
                dst=int.from_bytes(ends[4:8], "big"), dport=ends[10] << 8 | ends[11], ttl=octets[22], tos=octets[15],
                dev=flow.dev.name, uid=frame.uid,
            ),
            room,
        )  # fmt: skip
        outbox = self._outbox
        if flow.wake is not None:
            outbox.wakes.append(flow.wake)
        if Consumed in outbox.wants:
            outbox.records.append(Consumed(now, self._node, flow.dev.name, frame.uid))
        return True

    def watch(self, device: str, frame: Frame) -> Trail | None:
        """Return the trail of a frame that goes the whole way, if it is the second of its flow or later."""
        if not self.on:
            return None
        key = key_of(frame)
        if key is None:
            return None
        netfilter = self.netfilter
        tracked = not netfilter.idle[NF_INET_PRE_ROUTING]
        if tracked and not netfilter.by_rote[NF_INET_PRE_ROUTING]:
            return None  # `_ties` would say no at the end
        if tracked and key[2][1] != IPPROTO_UDP and (netfilter.tcp_by_rote is None or not is_plain_tcp(frame.octets)):
            return None
        mark = hash((device, key))  # a clash lets a flow be watched a packet early, which nobody can tell
        if mark in self._seen:
            return Trail(key, device, frame)
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen.add(mark)
        return None

    # Watched packets that got somewhere

    def forwarded(self, skb: Skb, route: Route, *, now: Ns) -> None:
        """Remember the way of a packet that was handed to the neighbour it goes to."""
        trail: Trail = skb.trail
        frame, dev, out = trail.frame, skb.dev, route.dev
        entry = self.neigh.find(out, route.gateway or skb.daddr)
        if entry is None or entry.header is None or route.kind != RTN_UNICAST or not out.link_header:
            return
        if frame is None:
            self._sent(skb, trail, route, entry, entry.header)
            return
        hooks = (NF_INET_PRE_ROUTING, NF_INET_FORWARD, NF_INET_POST_ROUTING)
        if dev is None or route.flags & RTCF_DOREDIRECT or skb.frag_max:
            return
        flow = Flow(trail.key, dev)
        if not self._ties(flow, skb, hooks, now):
            return
        made = entry.header + skb.data
        flow.leads(trail.key, out, entry, entry.header, made)
        flow.limit = ETH_HLEN + min(route.mtu or out.mtu, out.mtu)
        if flow.rewritten(FIELDS.unpack_from(frame.octets), frame.octets) == made:
            self._keep(trail, flow)

    def delivered(self, skb: Skb, *, now: Ns) -> None:
        """Remember the socket that a datagram ended in."""
        trail: Trail = skb.trail
        taker, dev, route = trail.taker, skb.dev, skb.route
        if taker is None or dev is None or route is None or route.kind != RTN_LOCAL:
            return
        flow = Flow(trail.key, dev)
        if not flow.udp or not self._ties(flow, skb, (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN), now):
            return
        flow.ends = bytes(skb.data[12:24])  # translated by now, if that is what happened
        flow.taker = taker
        flow.wake = Wake(taker.fd, "readable")
        flow.sockets_at = self.sockets.generation
        flow.limit = 0xFFFF
        self._keep(trail, flow)

    def _keep(self, trail: Trail, flow: Flow) -> None:
        if not self.settled:
            self._settle()
        flows = self._flows.setdefault(trail.device, {})
        if len(flows) >= MOST:
            flows.clear()
        flows[trail.key] = flow

    def _ties(self, flow: Flow, skb: Skb, hooks: tuple[int, ...], now: Ns) -> bool:
        """Tie a flow to its connection; False where a packet does more at a hook than be tracked and translated."""
        netfilter = self.netfilter
        ct = skb.ct
        if ct is None:
            return all(netfilter.idle[hook] for hook in hooks)
        if not all(netfilter.by_rote[hook] for hook in hooks):
            return False
        status = ct.status
        if status & (IPS_CONFIRMED | IPS_DYING) != IPS_CONFIRMED or ct.events or ct.helper or ct.seqadj:
            return False
        if not flow.udp:
            flow.tcp = netfilter.tcp_by_rote
            if flow.tcp is None or not (status & IPS_SEEN_REPLY and status & IPS_ASSURED):
                return False  # `TcpTracker` has more to do than to look at windows
        elif status & IPS_SEEN_REPLY and not (status & IPS_ASSURED and now > ct.stream_ts):
            return False  # it becomes a stream one day, by the clock alone
        elif not status & IPS_SEEN_REPLY and netfilter.translates and status & IPS_NAT_DONE_MASK != IPS_NAT_DONE_MASK:
            return False  # older than the nat table, whose rules are asked again for each of its packets, in vain
        flow.ct = ct
        flow.ct_status = status
        flow.ct_at = 2 if skb.ctinfo >= IP_CT_IS_REPLY else 0
        flow.ct_timeout = -1 if status & IPS_FIXED_TIMEOUT or not flow.udp else ct.timeout - now
        return True

    # Datagrams of this box

    def emit(self, sock: DatagramSocket, req: Send, now: Ns) -> bool:
        """Send a datagram the way the socket's last one to that destination went; False, and nothing done, if unknown.

        Once a way is known no routing decision is made, and none is recorded.
        """
        way = sock.ways.get((req.addr, req.port, req.src))
        if (
            way is None
            or not (self.settled or self._settle())
            or way.epoch != self.epoch
            or way.neigh.header is not way.header
            or len(req.payload) > way.limit
            or req.confirm
            or sock.waiting
        ):
            self.settled = False  # it goes the whole way, which may end anywhere
            return False
        sock.last_source = way.source
        sock.ident = ident = (sock.ident + 1) & 0xFFFF
        octets = way.frame(req.payload, ident)
        out = way.out
        out.tx_packets += 1
        out.tx_bytes += len(octets)
        self._outbox.frames.append(FrameOut(out.name, octets, req.parent, False, True, True))
        return True

    def watch_out(self, sock: DatagramSocket, req: Send) -> Trail | None:
        """Return the trail of a datagram that goes the whole way, if it is the second to its destination or later."""
        if not self.on or sock.kind != "udp":
            return None
        key = (req.addr, req.port, req.src)
        if key in sock.ways:
            return Trail(key, sender=sock)
        if len(sock.ways) >= MOST:
            sock.ways.clear()
        sock.ways[key] = None
        return None

    def _sent(self, skb: Skb, trail: Trail, route: Route, entry: Neighbour, header: bytes) -> None:
        """Remember how a socket's datagram left."""
        idle = self.netfilter.idle
        sock = trail.sender
        if sock is None or skb.ct is not None or not (idle[NF_INET_LOCAL_OUT] and idle[NF_INET_POST_ROUTING]):
            return
        limit = min(route.mtu or route.dev.mtu, route.dev.mtu) - IP_HLEN - 8
        made = header + skb.data
        if not self.settled:
            self._settle()
        way = Way(made, route.dev, entry, header, limit, self.epoch)
        if way.frame(made[SHORTEST:], made[18] << 8 | made[19]) == made:
            sock.ways[trail.key] = way
