"""ARP for the neighbour table: ask, answer, learn, announce.

Source: net/ipv4/arp.c (arp_rcv, arp_process, arp_solicit, arp_send, inetdev_send_gratuitous_arp); RFC 826; linux-kernel
1.9, 1.10; observed-linux 9; kernel-2.4-neighbour file 7; route-patches 5 (arp_prefsrc).
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import BROADCAST_MAC, ZERO_MAC, Ip, Mac, is_loopback, is_multicast
from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Route
from netsim.stack.interfaces import Interfaces
from netsim.stack.neigh.entry import Neighbour
from netsim.stack.neigh.machine import Machine
from netsim.stack.neigh.policy import ArpPolicy
from netsim.stack.neigh.proxy import Delayed, ProxyTable
from netsim.stack.nud_states import NUD_REACHABLE, NUD_STALE
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, Rng, Routing
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.profile.patches import Patches
from netsim.stack.skb import PACKET_HOST, PACKET_OTHERHOST, Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import Consumed, Dropped
from netsim.units import Ns
from netsim.wire.arp import ARP_LEN, ARPOP_REPLY, ARPOP_REQUEST, Arp, build_arp, parse_arp
from netsim.wire.drop import NOT_SPECIFIED
from netsim.wire.ether import PROTO_ARP

_DONE = ""
_HELD = "held"


class Entries(Protocol):
    """What ARP needs of the table."""

    routing: Routing

    def find(self, dev: Device, ip: Ip) -> Neighbour | None:
        """Return an entry, without making one."""
        ...

    def find_or_make(self, dev: Device, ip: Ip, *, now: Ns) -> Neighbour | None:
        """Return an entry, made if need be; None when the table is full."""
        ...


class ArpProtocol:
    """The protocol's two directions for one box."""

    def __init__(
        self, *, node: str, era: NeighEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, exit: Exit, machine: Machine, entries: Entries,
    ) -> None:  # fmt: skip
        self._node = node
        self._era = era
        self._prefsrc = patches.arp_prefsrc
        self._all = sysctl.conf_all
        self._outbox = outbox
        self._exit = exit
        self._machine = machine
        self._entries = entries
        self.policy = ArpPolicy(sysctl=sysctl, interfaces=interfaces)
        self.proxy = ProxyTable(era=era, timers=timers, rng=rng, redo=self._redo)

    # Asking

    def solicit(self, entry: Neighbour, hint: Skb | None, now: Ns) -> None:
        """Mirror arp_solicit(): a unicast probe below ucast_solicit, then app_solicit silent ones, then broadcasts.

        With arp_prefsrc the sender is what an output route to the target by this device prefers, and without such an
        answer nothing is sent.
        """
        dev = entry.dev
        if not dev.has_ip:
            return
        if self._prefsrc:
            route = self._entries.routing.output(entry.ip, oif=dev, now=now)
            source = route.src if isinstance(route, Route) and not route.error else 0
            if not source:
                return
        else:
            source = self.policy.announced(dev, entry.ip, hint, self._entries.routing)
        step = entry.probes - entry.parms.ucast_solicit
        if step < 0:
            self._send(dev, ARPOP_REQUEST, entry.lladdr or BROADCAST_MAC, source, ZERO_MAC, entry.ip, now)
        elif step >= entry.parms.app_solicit:
            self._send(dev, ARPOP_REQUEST, BROADCAST_MAC, source, ZERO_MAC, entry.ip, now)

    def announce(self, dev: Device, *, now: Ns) -> None:
        """Mirror inetdev_send_gratuitous_arp(): one request an address for the address itself, in list order."""
        for ifa in dev.addresses:
            self._send(dev, ARPOP_REQUEST, BROADCAST_MAC, ifa.local, ZERO_MAC, ifa.local, now)

    def _send(
        self, dev: Device, op: int, dst: Mac, spa: Ip, tha: Mac, tpa: Ip, now: Ns, parent: int = 0
    ) -> None:  # fmt: skip
        """Mirror arp_send(): our own link address is the sender; nothing leaves a NOARP device."""
        if not dev.noarp:
            header = dst + dev.mac + PROTO_ARP
            self._exit.transmit(dev, header + build_arp(op, dev.mac, spa, tha, tpa), now=now, parent=parent)

    # Hearing

    def receive(self, dev: Device, payload: bytes, pkt_type: int, src_mac: Mac, *, now: Ns, uid: int) -> None:
        """Mirror arp_rcv(): take one packet, the octets behind the Ethernet header, and record its end."""
        frame = Delayed(-1, dev, payload, pkt_type, src_mac, uid)
        self._settle(frame, self._receive(frame, now), now)

    def _redo(self, frame: Delayed, at: Ns) -> None:
        """Mirror parp_redo(): the proxy's moment is over."""
        if frame.dev.up:
            self._settle(frame, self._receive(frame, at), at)
        else:
            self.lost(frame, "device down", now=at)

    def lost(self, frame: Delayed, detail: str, *, now: Ns) -> None:
        """Record a delayed request that will not be answered."""
        if Dropped in self._outbox.wants:
            self._outbox.records.append(
                Dropped(now, self._node, frame.dev.name, NOT_SPECIFIED, frame.uid, frame.payload, f"arp: {detail}")
            )

    def _settle(self, frame: Delayed, verdict: str, now: Ns) -> None:
        if verdict == _DONE:
            if Consumed in self._outbox.wants:
                self._outbox.records.append(Consumed(now, self._node, frame.dev.name, frame.uid))
        elif verdict != _HELD:
            self.lost(frame, verdict, now=now)

    def _receive(self, frame: Delayed, now: Ns) -> str:
        """Check the header and process; returns _DONE, _HELD, or why the packet is bad."""
        dev = frame.dev
        if dev.noarp or frame.pkt_type == PACKET_OTHERHOST:
            return _DONE
        if not dev.has_ip:
            return "no IPv4 on the device"
        if len(frame.payload) < ARP_LEN:
            return "truncated"
        arp = parse_arp(frame.payload)
        if not arp.is_ipv4_ethernet:
            return "hardware or protocol type"
        if arp.op not in (ARPOP_REQUEST, ARPOP_REPLY):
            return f"operation {arp.op}"
        if is_multicast(arp.tpa) or (is_loopback(arp.tpa) and not self._localnet(dev)):
            return "target is multicast or loopback"
        if arp.spa == arp.tpa and self.policy.drops_gratuitous(dev):
            return "gratuitous"
        return self._process(frame, arp, now)

    def _localnet(self, dev: Device) -> bool:
        return bool(self._all.route_localnet or dev.conf.route_localnet)

    def _process(self, frame: Delayed, arp: Arp, now: Ns) -> str:
        """Mirror arp_process() from the conflict probe on."""
        dev, routing = frame.dev, self._entries.routing
        if arp.spa == 0:
            self._answer_probe(frame, arp, now)
            return _DONE
        if arp.op == ARPOP_REQUEST:
            route = routing.input(arp.tpa, arp.spa, 0, dev, now=now)
            if isinstance(route, Route):
                if route.kind == RTN_LOCAL:
                    self._answer(frame, arp, now)
                    return _DONE
                if dev.conf.forwarding and route.kind == RTN_UNICAST and self._proxied(dev, route.dev, arp):
                    return self._answer_by_proxy(frame, arp, now)
        self._refresh(frame, arp, now)
        return _DONE

    def _answer_probe(self, frame: Delayed, arp: Arp, now: Ns) -> None:
        """Defend our address, on whichever device, against a conflict probe (RFC 5227); nothing is learnt from it.

        Source: arp_process(), inet_addr_type_dev_table(), which asks for no device outside a VRF.
        """
        dev = frame.dev
        if arp.op != ARPOP_REQUEST or self._entries.routing.address_type(arp.tpa) != RTN_LOCAL:
            return
        if not self.policy.ignore(dev, 0, arp.tpa):
            zero = self._era.dad_reply_to_zero
            tha, tpa = (arp.sha, 0) if zero else (dev.mac, arp.tpa)
            self._send(dev, ARPOP_REPLY, arp.sha, arp.tpa, tha, tpa, now, frame.uid)

    def _answer(self, frame: Delayed, arp: Arp, now: Ns) -> None:
        """Answer a request for our own address, if policy lets us; who asks is learnt as STALE, lock time or not."""
        dev = frame.dev
        if self._era.learn_before_policy and not self._learn(frame, arp, now):
            return
        if self.policy.ignore(dev, arp.spa, arp.tpa):
            return
        if self.policy.filtered(dev, arp.spa, arp.tpa, self._entries.routing, now=now):
            return
        if self._era.learn_before_policy or self._learn(frame, arp, now):
            self._reply(frame, arp, now)

    def _proxied(self, dev: Device, out: Device, arp: Arp) -> bool:
        if self.policy.proxies(dev, out) or self.policy.proxies_pvlan(dev, out, arp):
            return True
        return out is not dev and (dev.ifindex, arp.tpa) in self.proxy

    def _answer_by_proxy(self, frame: Delayed, arp: Arp, now: Ns) -> str:
        """Answer for a host behind us: at once when asked directly, else after a random moment (once)."""
        self._learn(frame, arp, now)
        if frame.at >= 0 or frame.pkt_type == PACKET_HOST or not frame.dev.neigh.proxy_delay:
            self._reply(frame, arp, now)
            return _DONE
        return _HELD if self.proxy.enqueue(frame, now=now) else "proxy queue full"

    def _learn(self, frame: Delayed, arp: Arp, now: Ns) -> bool:
        """Mirror neigh_event_ns()."""
        entry = self._entries.find_or_make(frame.dev, arp.spa, now=now)
        if entry is None:
            return False
        self._machine.heard(entry, arp.sha, NUD_STALE, override=True, now=now)
        return True

    def _reply(self, frame: Delayed, arp: Arp, now: Ns) -> None:
        self._send(frame.dev, ARPOP_REPLY, arp.sha, arp.tpa, arp.sha, arp.spa, now, frame.uid)

    def _refresh(self, frame: Delayed, arp: Arp, now: Ns) -> None:
        """Update an entry that is there; make one only where arp_accept says so.

        "Broadcast replies and request packets do not assert neighbour reachability."
        """
        dev, routing = frame.dev, self._entries.routing
        entry = self._entries.find(dev, arp.spa)
        accepts = self.policy.accepts(dev, arp.spa)
        if entry is None and not accepts:
            return
        gratuitous = self.policy.gratuitous(dev, arp, routing)
        if entry is None:
            reply = arp.op == ARPOP_REPLY and routing.address_type(arp.spa, dev) == RTN_UNICAST
            entry = self._entries.find_or_make(dev, arp.spa, now=now) if gratuitous or reply else None
            if entry is None:
                return
        age = self._machine.jiffies(now) - entry.updated
        locktime = entry.parms.locktime
        override = age >= locktime if self._era.locktime_inclusive else age > locktime
        override |= gratuitous and self._era.garp_overrides
        proof = arp.op == ARPOP_REPLY and frame.pkt_type == PACKET_HOST
        self._machine.heard(entry, arp.sha, NUD_REACHABLE if proof else NUD_STALE, override=override, now=now)
