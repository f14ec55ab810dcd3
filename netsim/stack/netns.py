"""One Linux network namespace, sans-IO: the box that everything else in netsim moves packets in and out of.

Four inputs, each with `now`: a frame, a request, a carrier change, a tick. One output: the outbox (frames, records,
socket wake-ups), which the owner empties after each call. Calls never re-enter; lo is a FIFO drained before a call
returns; a frame first runs the deadlines that lie before it. Heads up: this file only wires rooms together; what a box
does is in ipv4/, fib/, neigh/, netfilter/ and sockets/, and who hears of device events in links.py.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NoReturn, TypeVar

from netsim.errors import InternalError, SimulationError
from netsim.stack.device import IFF_PROMISC, Device
from netsim.stack.errno import Refusal
from netsim.stack.fib import Fib
from netsim.stack.interfaces import Interfaces
from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.ipv4.forward import Forward
from netsim.stack.ipv4.fragment import Reassembly
from netsim.stack.ipv4.icmp import Icmp
from netsim.stack.ipv4.input import Input
from netsim.stack.ipv4.memory import FlowMemory
from netsim.stack.ipv4.output import Output
from netsim.stack.ipv4.route import Router
from netsim.stack.links import Links
from netsim.stack.neigh import NeighTable
from netsim.stack.netfilter import Netfilter
from netsim.stack.outbox import FrameOut, Outbox
from netsim.stack.ports import Rng
from netsim.stack.profile import Profile
from netsim.stack.requests import (
    DONE,
    DelNeigh,
    DelRoute,
    DelRule,
    Done,
    DumpNeighParms,
    DumpNeighs,
    DumpRouteCache,
    DumpRoutes,
    DumpRules,
    FlushRouteCache,
    GetRoute,
    GetSysctl,
    ListSysctls,
    NewNeigh,
    NewRoute,
    NewRule,
    Receive,
    Request,
    Send,
    SetSysctl,
    SocketName,
    TakeErrors,
)
from netsim.stack.skb import PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, Skb
from netsim.stack.sockets.table import Sockets
from netsim.stack.sockets.tcp import Tcp
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.holdings import Holdings
from netsim.trace.records import Dropped
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.ether import ETH_HLEN, ETH_P_ARP, ETH_P_IP
from netsim.wire.frame import Frame

T = TypeVar("T")

CALM = frozenset({Send, Receive, SocketName, TakeErrors})
"""Requests that move no route, rule, device or setting unless sockets or memory say so themselves."""


class Netns:
    """A box: `name` for its records, `profile` for its kernel, `rng` for its draws, `wants` for the records built.

    `now` is when it boots. `remember` False has every packet go the whole way (ipv4/memory.py): slower, else the same.
    `timers` are its deadlines where they are not to be exact (the referee's run on the wheel of the running kernel).
    `paired` devices have their other end in a box as well (veth): what a carrier does is told at once.
    """

    def __init__(
        self, name: str, profile: Profile, rng: Rng, wants: set[type] | frozenset[type] = frozenset(), *,
        now: Ns = 0, remember: bool = True, timers: Timers | None = None, paired: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.profile = profile
        self.outbox = Outbox(wants)
        self.sysctl = Sysctl()
        self.timers = timers or Timers()
        self._paired = paired
        self.interfaces = Interfaces(self.sysctl, ip_from_birth=profile.ip.ip_from_birth)
        self.memory = FlowMemory(
            node=name, interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers, outbox=self.outbox,
            on=remember,
        )  # fmt: skip
        self._busy = False
        self._loopback: deque[Skb] = deque()
        self._wire_rooms(rng, now)
        self._handlers = self._collect_handlers()
        self.neigh.device_added(self.interfaces.lo, now=now)

    def _wire_rooms(self, rng: Rng, now: Ns) -> None:
        """Build the rooms and hand each the collaborators it names."""
        profile = self.profile
        common: dict[str, Any] = {  # Any: handed through as keywords, typed at each constructor
            "node": self.name, "patches": profile.patches, "interfaces": self.interfaces, "sysctl": self.sysctl,
            "timers": self.timers, "outbox": self.outbox, "rng": rng,
        }  # fmt: skip
        ctx = Ipv4Context()
        ctx.node, ctx.era, ctx.interfaces, ctx.sysctl = self.name, profile.ip, self.interfaces, self.sysctl
        ctx.timers, ctx.outbox, ctx.rng, ctx.exit = self.timers, self.outbox, rng, self
        ctx.input, ctx.forward, ctx.output = Input(ctx), Forward(ctx), Output(ctx)
        ctx.icmp, ctx.reassembly = Icmp(ctx), Reassembly(ctx)
        self.neigh = NeighTable(era=profile.neigh, exit=self, failure=ctx.icmp, now=now, **common)
        self.fib = Fib(era=profile.fib, neigh=self.neigh, **common)
        self.router = Router(era=profile.fib, fib=self.fib, neigh=self.neigh, **common)
        self.neigh.bind(self.router)
        self.netfilter = Netfilter(
            era=profile.netfilter, routing=self.router, icmp=ctx.icmp, local_output=ctx.output, exit=self,
            defrag=ctx.reassembly, **common,
        )  # fmt: skip
        ctx.routing = ctx.lessons = self.router
        ctx.neigh, ctx.hooks, ctx.memory = self.neigh, self.netfilter, self.memory
        endings = _Endings(self, ctx.input)
        tcp = Tcp(
            node=self.name, interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers, outbox=self.outbox,
            rng=rng, routing=self.router, sender=ctx.output, neigh=self.neigh, endings=endings,
        )  # fmt: skip
        self.sockets = ctx.sockets = Sockets(
            interfaces=self.interfaces, sysctl=self.sysctl, outbox=self.outbox, rng=rng, routing=self.router,
            sender=ctx.output, errors=ctx.icmp, neigh=self.neigh, endings=endings, tcp=tcp, memory=self.memory,
        )  # fmt: skip
        self.memory.bind(routing=self.router, netfilter=self.netfilter, sockets=self.sockets, neigh=self.neigh)
        self.links = Links(
            interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers, fib=self.fib, neigh=self.neigh,
            nat=self.netfilter, linkwatch=profile.linkwatch and not self._paired,
        )  # fmt: skip
        self._ip = ctx

    def _collect_handlers(self) -> dict[type, Any]:  # Any: each handler takes its own request type
        """Return the table of who answers which request."""
        return {
            NewRoute: self.fib.new_route, DelRoute: self.fib.del_route, DumpRoutes: self.fib.dump_routes,
            NewRule: self.fib.new_rule, DelRule: self.fib.del_rule, DumpRules: self.fib.dump_rules,
            GetRoute: self.router.get_route, FlushRouteCache: self.router.flush_cache,
            DumpRouteCache: self.router.dump_cache,
            NewNeigh: self.neigh.new, DelNeigh: self.neigh.delete, DumpNeighs: self.neigh.dump,
            DumpNeighParms: self.neigh.dump_parms,
            GetSysctl: self._get_sysctl, SetSysctl: self._set_sysctl, ListSysctls: self._list_sysctls,
            **self.links.handlers, **self.sockets.handlers, **self.netfilter.handlers,
        }  # fmt: skip

    # The four inputs

    def receive(self, device: str, frame: Frame, *, now: Ns) -> None:
        """Take a frame that arrived at a device."""
        if not self._busy and self.memory.repeat(device, frame, now):
            return
        self._enter()
        try:
            self.timers.run(now - 1)
            dev = self.interfaces.named(device)
            if dev is None:
                self._drop_frame(device, frame, drop.DEV_GONE, now=now)
                return
            self._link_input(dev, frame, now=now)
            self._drain_loopback(now)
        finally:
            self._busy = False

    def request(self, req: Request[T], *, now: Ns) -> T | Refusal:
        """Carry out a configuration or socket request; a Refusal means that nothing changed."""
        if self._busy:
            self._refuse_entry()
        self._busy = True
        try:
            if self.timers.run(now - 1) or type(req) not in CALM:
                self.memory.settled = False
            handler = self._handlers.get(type(req))
            if handler is None:
                raise InternalError(f"nobody answers {type(req).__name__}")
            answer: T | Refusal = handler(req, now=now)
            if self._loopback:
                self._drain_loopback(now)
        finally:
            self._busy = False
        return answer

    def carrier(self, device: str, up: bool, *, now: Ns) -> None:
        """Take what the link of a device says."""
        self._enter()
        try:
            self.timers.run(now - 1)
            dev = self.interfaces.named(device)
            if dev is not None:
                self.links.carrier(dev, up, now=now)
            self._drain_loopback(now)
        finally:
            self._busy = False

    def tick(self, *, now: Ns) -> None:
        """Run every deadline up to and including `now`; early and late calls do no harm."""
        self._enter()
        try:
            self.timers.run(now)
            self._drain_loopback(now)
        finally:
            self._busy = False

    def next_deadline(self) -> Ns | None:
        """Return when `tick` is wanted next, None when nothing is armed."""
        return self.timers.next()

    def held(self) -> int:
        """Count received frames that neither left nor ended: in neighbour queues and incomplete fragments."""
        return self.neigh.held() + self._ip.reassembly.held()

    def holdings(self) -> Holdings:
        """Return what the tables hold, for the books."""
        connections, mapped = self.netfilter.tracked()
        return Holdings(self.neigh.known(), self.fib.count(), connections, mapped)

    def abandon(self, reason: str, *, now: Ns) -> None:
        """End everything that `held` counts: the box lost power and will not be called again."""
        self.neigh.abandon(reason, now=now)
        self._ip.reassembly.abandon(reason, now=now)

    def _enter(self) -> None:
        """Begin a call after which the memory looks at its ground again."""
        if self._busy:
            self._refuse_entry()
        self._busy = True
        self.memory.settled = False

    def _refuse_entry(self) -> NoReturn:
        raise SimulationError(f"a callback called the box it runs in ({self.name}); do it from a later event")

    # Link layer

    def _link_input(self, dev: Device, frame: Frame, *, now: Ns) -> None:
        """Sort a frame by destination and EtherType. Mirrors eth_type_trans() and __netif_receive_skb_core()."""
        octets = frame.octets
        if not dev.up:
            self._drop_frame(dev.name, frame, drop.DEV_DOWN, now=now)
            return
        dev.rx_packets += 1
        dev.rx_bytes += len(octets)
        if not dev.link_header:
            self._ip.input.receive(dev, bytearray(octets), PACKET_HOST, now=now, uid=frame.uid, bad=frame.bad)
            return
        if len(octets) < ETH_HLEN:
            self._drop_frame(dev.name, frame, drop.HDR_TRUNC, now=now)
            return
        if octets[:6] == dev.mac:
            pkt_type = PACKET_HOST
        elif octets[0] & 1:
            pkt_type = PACKET_BROADCAST if octets[:6] == b"\xff\xff\xff\xff\xff\xff" else PACKET_MULTICAST
        else:
            pkt_type = PACKET_OTHERHOST
        if pkt_type == PACKET_OTHERHOST and not dev.flags & IFF_PROMISC:
            self._drop_frame(dev.name, frame, drop.OTHERHOST, now=now)
            return
        ethertype = octets[12] << 8 | octets[13]
        if ethertype == ETH_P_IP:
            self._ip.input.receive(
                dev, bytearray(octets[ETH_HLEN:]), pkt_type,
                now=now, uid=frame.uid, src_mac=octets[6:12], bad=frame.bad,
                trail=self.memory.watch(dev.name, frame) if pkt_type == PACKET_HOST else None,
            )  # fmt: skip
        elif ethertype == ETH_P_ARP:
            self.neigh.receive_arp(dev, octets[ETH_HLEN:], pkt_type, octets[6:12], now=now, uid=frame.uid)
        else:
            self._drop_frame(dev.name, frame, drop.UNHANDLED_PROTO, now=now)

    def _drain_loopback(self, now: Ns) -> None:
        """Deliver what was sent to lo, in order, until nothing is left."""
        queue = self._loopback
        if not queue:
            return
        self.memory.settled = False
        lo = self.interfaces.lo
        while queue:
            skb = queue.popleft()
            lo.rx_packets += 1
            lo.rx_bytes += len(skb.data)
            skb.dev, skb.out, skb.pkt_type = lo, None, PACKET_HOST
            self._ip.input.inject(skb, now=now)

    # ports.Exit

    def transmit(
        self, dev: Device, octets: bytes, *, now: Ns, parent: int = 0, bad: bool = False, through: int = 0
    ) -> None:
        """Hand a frame to a device."""
        dev.tx_packets += 1
        dev.tx_bytes += len(octets)
        self.outbox.frames.append(FrameOut(dev.name, octets, parent, bad, dev.link_header, False, through))

    def loop(self, skb: Skb, *, now: Ns) -> None:
        """Send a packet to lo; it is received before the call that caused it returns."""
        lo = self.interfaces.lo
        lo.tx_packets += 1
        lo.tx_bytes += len(skb.data)
        skb.trail = None
        self._loopback.append(skb)

    def drop(self, skb: Skb, reason: str, *, now: Ns, detail: str = "") -> None:
        """End a packet with its reason."""
        if Dropped in self.outbox.wants:
            dev = skb.dev or skb.out
            name = dev.name if dev is not None else ""
            self.outbox.records.append(Dropped(now, self.name, name, reason, skb.uid, bytes(skb.data), detail))

    def _drop_frame(self, dev: str, frame: Frame, reason: str, *, now: Ns) -> None:
        if Dropped in self.outbox.wants:
            self.outbox.records.append(Dropped(now, self.name, dev, reason, frame.uid, frame.octets))

    # Settings

    def _get_sysctl(self, req: GetSysctl, *, now: Ns) -> str | Refusal:
        return self.sysctl.get(req.key)

    def _set_sysctl(self, req: SetSysctl, *, now: Ns) -> Done | Refusal:
        return self.sysctl.set(req.key, req.value) or DONE

    def _list_sysctls(self, req: ListSysctls, *, now: Ns) -> tuple[str, ...]:
        return tuple(self.sysctl.keys())


class _Endings:
    """How received packets end in sockets: the box's drop and the input side's consumed, as one port."""

    def __init__(self, box: Netns, ip_input: Input) -> None:
        self.drop = box.drop
        self.consumed = ip_input.consumed
