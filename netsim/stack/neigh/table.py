"""The neighbour table: the room's door.

Packets come by `output`, ARP frames by `receive_arp`, device events and requests by their own methods, deadlines by the
box's timers. Mainline keys the link header to the entry; up to 2.4 each cached route binds an entry (`hold`) and has a
header of its own.
Source: net/core/neighbour.c, net/ipv4/arp.c; ip_finish_output2(), arp_bind_neighbour().
"""

from __future__ import annotations

from netsim.addr import BROADCAST_MAC, Ip, Mac, ip_str, is_multicast, multicast_mac
from netsim.stack.device import IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT, Device
from netsim.stack.dst import RTN_BROADCAST, Route
from netsim.stack.errno import Refusal
from netsim.stack.interfaces import Interfaces
from netsim.stack.neigh.admin import NeighAdmin
from netsim.stack.neigh.arp import ArpProtocol
from netsim.stack.neigh.entry import Hold, Neighbour
from netsim.stack.neigh.gc import ChainHash, Collector, mix_hash
from netsim.stack.neigh.machine import Machine
from netsim.stack.nud_states import NUD_CONNECTED, NUD_NOARP, NUD_NONE, NUD_PERMANENT
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, LinkFailure, Rng, Routing
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import (
    DelNeigh,
    Done,
    DumpNeighParms,
    DumpNeighs,
    NeighInfo,
    NeighParmsInfo,
    NewNeigh,
)
from netsim.stack.skb import Skb
from netsim.stack.sysctl import NeighParms, Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns
from netsim.wire.drop import NEIGH_CREATEFAIL, NEIGH_DEAD

QLEN_OCTETS = 2090
"""What mainline's unres_qlen counts as one packet, in octets of truesize."""


class NeighTable:
    """All neighbours of one box, by (ifindex, address), oldest first.

    `now` is the instant of boot: the periodic pass counts from there. `bind` hands in the routing before the first
    packet; `device_added` is due for every device, lo included. Implements ports.NeighView and ports.NeighHolds.
    """

    routing: Routing

    def __init__(
        self, *, node: str, era: NeighEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, exit: Exit, failure: LinkFailure, now: Ns = 0, chain_hash: ChainHash = mix_hash,
    ) -> None:  # fmt: skip
        self._era = era
        self._interfaces = interfaces
        self._sysctl = sysctl
        self._exit = exit
        self._entries: dict[tuple[int, Ip], Neighbour] = {}
        self._leaked: list[Neighbour] = []
        self._machine = Machine(
            node=node, era=era, timers=timers, outbox=outbox, exit=exit, failure=failure, solicit=self._solicit,
        )  # fmt: skip
        self._arp = ArpProtocol(
            node=node, era=era, patches=patches, interfaces=interfaces, sysctl=sysctl, timers=timers, outbox=outbox,
            rng=rng, exit=exit, machine=self._machine, entries=self,
        )  # fmt: skip
        self._gc = Collector(
            era=era, sysctl=sysctl, timers=timers, rng=rng, table=self, now=now, chain_hash=chain_hash,
        )  # fmt: skip
        self._admin = NeighAdmin(
            era=era, interfaces=interfaces, sysctl=sysctl, timers=timers, machine=self._machine, proxy=self._arp.proxy,
            table=self,
        )  # fmt: skip
        if era.queue == "bytes":
            sysctl.neigh_default.unres_qlen = sysctl.neigh_default.unres_qlen_bytes // QLEN_OCTETS
        sysctl.listen("net.ipv4.neigh.", self._setting_written)

    def bind(self, routing: Routing) -> None:
        """Take the routing: FIB and neighbours need each other."""
        self.routing = routing

    # Packets

    def output(self, skb: Skb, dev: Device, nexthop: Ip, *, now: Ns) -> None:
        """Send a packet to `nexthop` on `dev`, or keep it until the address is known, or end it."""
        entry = self._entries.get((dev.ifindex, nexthop))
        if entry is not None and entry.header is not None:
            self._exit.transmit(dev, entry.header + skb.data, now=now, parent=skb.parent, bad=skb.bad, through=skb.uid)
        elif self._era.header_per_route:
            self._output_held(skb, dev, nexthop, now)
        else:
            entry = self.find_or_make(dev, _key(dev, nexthop), now=now)
            if entry is None:
                self._exit.drop(skb, NEIGH_CREATEFAIL, now=now)
            else:
                self._machine.send(entry, skb, None, now=now)

    def _output_held(self, skb: Skb, dev: Device, nexthop: Ip, now: Ns) -> None:
        """Send by the route's own grip on the entry; a route without one holds it for this packet alone."""
        bound = skb.route.neigh if skb.route is not None else None
        if isinstance(bound, Hold):
            self._send_held(skb, bound, now)
            return
        entry = self.find_or_make(dev, _key(dev, nexthop), now=now)
        if entry is None:
            self._exit.drop(skb, NEIGH_CREATEFAIL, now=now)
            return
        hold = self._machine.hold(entry)
        self._send_held(skb, hold, now)
        self._machine.release(hold)

    def _send_held(self, skb: Skb, hold: Hold, now: Ns) -> None:
        entry = hold.entry
        if entry.dead:
            self._exit.drop(skb, NEIGH_DEAD, now=now)
        elif hold.cached and entry.state & NUD_CONNECTED:
            header = entry.link_header() if entry.dev.link_header else b""
            self._exit.transmit(entry.dev, header + skb.data, now=now, parent=skb.parent, bad=skb.bad, through=skb.uid)
        else:
            self._machine.send(entry, skb, hold, now=now)

    def hold(self, route: Route, nexthop: Ip, *, now: Ns) -> bool:
        """Bind a route that goes into the 2.2/2.4 cache to its neighbour; False when the table is full (ENOBUFS).

        Source: arp_bind_neighbour().
        """
        entry = self.find_or_make(route.dev, _key(route.dev, nexthop), now=now)
        if entry is None:
            return False
        route.neigh = self._machine.hold(entry)
        return True

    def release(self, route: Route) -> None:
        """Let go what `hold` bound, as the route leaves the cache; queued packets keep their part of it."""
        if isinstance(route.neigh, Hold):
            self._machine.release(route.neigh)
            route.neigh = None

    def receive_arp(self, dev: Device, payload: bytes, pkt_type: int, src_mac: Mac, *, now: Ns, uid: int) -> None:
        """Take an ARP packet, the octets behind the Ethernet header; its end is recorded here."""
        self._arp.receive(dev, payload, pkt_type, src_mac, now=now, uid=uid)

    def confirm(self, dev: Device, ip: Ip, *, now: Ns) -> None:
        """Note an upper layer's proof (TCP progress, MSG_CONFIRM): looked at when a timer or a scan comes by."""
        entry = self._entries.get((dev.ifindex, _key(dev, ip)))
        if entry is not None:
            entry.confirmed = self._machine.jiffies(now)

    def held(self) -> int:
        """Count received frames that wait here: unresolved packets, and requests whose proxy answer is delayed."""
        entries = (*self._entries.values(), *self._leaked)
        return sum(waiting.skb.uid > 0 for entry in entries for waiting in entry.queue) + self._arp.proxy.held

    def known(self) -> frozenset[tuple[str, str]]:
        """Return (device, address) of the entries that were ever in a state."""
        entries = self._entries.values()
        return frozenset((entry.dev.name, ip_str(entry.ip)) for entry in entries if entry.state != NUD_NONE)

    def abandon(self, reason: str, *, now: Ns) -> None:
        """End all that waits here: the box lost power."""
        for entry in (*self._entries.values(), *self._leaked):
            self._machine.purge(entry, reason, now=now)
        for frame in self._arp.proxy.purge(None):
            self._arp.lost(frame, "no power", now=now)

    # What others may know

    @property
    def generation(self) -> int:
        """Count of changes of any entry's being there or being NUD_VALID."""
        return self._machine.generation

    def state(self, dev: Device, ip: Ip) -> int:
        """Return the raw NUD_ state, NUD_NONE when there is no entry."""
        entry = self._entries.get((dev.ifindex, ip))
        return NUD_NONE if entry is None else entry.state

    def exists(self, dev: Device, ip: Ip) -> bool:
        """Tell whether there is an entry."""
        return (dev.ifindex, ip) in self._entries

    def find(self, dev: Device, ip: Ip) -> Neighbour | None:
        """Return an entry, without making one."""
        return self._entries.get((dev.ifindex, ip))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def allocated(self) -> int:
        """Count entries, dead ones that a route still holds included."""
        return self._machine.entries

    def snapshot(self) -> list[Neighbour]:
        """Return the entries, oldest first."""
        return [*self._entries.values()]

    # Making and unmaking

    def find_or_make(self, dev: Device, ip: Ip, *, now: Ns, exempt: bool = False) -> Neighbour | None:
        """Return an entry, made if need be; None when the table is full or the device has no IPv4.

        `exempt`: a permanent entry, which mainline's thresholds do not count. Source: ___neigh_create().
        """
        entry = self._entries.get((dev.ifindex, ip))
        if entry is not None:
            return entry
        if not dev.has_ip or not (exempt or self._gc.make_room(now)):
            return None
        entry = Neighbour(dev, ip, self._machine.jiffies(now), self._machine.on_timer)
        self._machine.entries += 1
        self._entries[dev.ifindex, ip] = entry
        self._construct(entry, now)
        self._machine.generation += 1
        self._gc.entry_added(now)
        return entry

    def _construct(self, entry: Neighbour, now: Ns) -> None:
        """Mirror arp_constructor(): entries that nobody is ever asked for begin as NOARP."""
        dev = entry.dev
        if not dev.link_header:
            entry.cached = True
        elif is_multicast(entry.ip):
            entry.lladdr = multicast_mac(entry.ip)
        elif dev.flags & (IFF_NOARP | IFF_LOOPBACK):
            entry.lladdr = dev.mac
        elif dev.flags & IFF_POINTOPOINT or self.routing.address_type(entry.ip, dev) == RTN_BROADCAST:
            entry.lladdr = BROADCAST_MAC
        else:
            return
        self._machine.move(entry, NUD_NOARP, "created", now=now)

    def remove(self, entry: Neighbour, cause: str, *, now: Ns, purge: bool = True) -> None:
        """Take an entry off the table; without `purge` its packets stay with it."""
        del self._entries[entry.dev.ifindex, entry.ip]
        self._machine.removed(entry, cause, now=now, purge=purge)

    def expire(self, entry: Neighbour, *, now: Ns) -> None:
        """Tell an entry that the periodic scan found its proof too old."""
        self._machine.scan_expired(entry, now=now)

    def _solicit(self, entry: Neighbour, hint: Skb | None, now: Ns) -> None:
        self._arp.solicit(entry, hint, now)

    # Device events

    def device_added(self, dev: Device, *, now: Ns) -> None:
        """Draw the reachable_time of a new device."""
        self._gc.device_added(dev)

    def device_up(self, dev: Device, *, now: Ns) -> None:
        """Announce our addresses where arp_notify is set."""
        if self._era.announce_on_change and self._arp.policy.notifies(dev):
            self._arp.announce(dev, now=now)

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Mirror neigh_ifdown(): all entries go, permanent and proxy ones too, and what waits ends in silence.

        Due too when a device's last address goes.
        """
        self._flush(dev, "device down", now)
        self._arp.proxy.flush(dev)
        for frame in self._arp.proxy.purge(None if self._era.proxy_queue_shared else dev):
            self._arp.lost(frame, "device down", now=now)

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """Forget a device."""
        self.device_down(dev, now=now)
        self._gc.device_removed(dev)

    def carrier_lost(self, dev: Device, *, now: Ns) -> None:
        """Mirror neigh_carrier_down(): with arp_evict_nocarrier all but permanent entries go."""
        if not (self._era.evict_on_link_change and self._arp.policy.evicts(dev)):
            return
        self._flush(dev, "carrier lost", now, spared=NUD_PERMANENT)
        for frame in self._arp.proxy.purge(dev):
            self._arp.lost(frame, "carrier lost", now=now)

    def mac_changed(self, dev: Device, *, now: Ns) -> None:
        """Mirror neigh_changeaddr(), and announce our addresses where arp_notify is set."""
        self._flush(dev, "device address changed", now, purge=self._era.mac_change_purges)
        self.device_up(dev, now=now)

    def noarp_changed(self, dev: Device, *, now: Ns) -> None:
        """Flush the device's entries after IFF_NOARP was set or cleared."""
        if self._era.evict_on_link_change:
            self._flush(dev, "NOARP changed", now)

    def notify_peers(self, dev: Device, *, now: Ns) -> None:
        """Announce our addresses on `dev`, asked to or not (NETDEV_NOTIFY_PEERS)."""
        self._arp.announce(dev, now=now)

    def _flush(self, dev: Device, cause: str, now: Ns, spared: int = 0, *, purge: bool = True) -> None:
        """Mirror neigh_flush_dev(); without `purge` 2.4's neigh_changeaddr(), which leaks packets that wait."""
        for entry in self.snapshot():
            if entry.dev is not dev or entry.state & spared:
                continue
            self.remove(entry, cause, now=now, purge=purge)
            if entry.queue:
                self._leaked.append(entry)

    # Requests and settings

    def new(self, req: NewNeigh, *, now: Ns) -> Done | Refusal:
        """Add, replace or change an entry."""
        return self._admin.new(req, now=now)

    def delete(self, req: DelNeigh, *, now: Ns) -> Done | Refusal:
        """Delete an entry."""
        return self._admin.delete(req, now=now)

    def dump(self, req: DumpNeighs, *, now: Ns) -> tuple[NeighInfo, ...]:
        """List entries, or proxies."""
        return self._admin.dump(req, now=now)

    def dump_parms(self, req: DumpNeighParms, *, now: Ns) -> tuple[NeighParmsInfo, ...]:
        """List parameters: the table's, then each device's."""
        return self._admin.dump_parms()

    def _setting_written(self, key: str) -> None:
        """Follow a write below net.ipv4.neigh: draw anew, keep mainline's two queue bounds in step."""
        name, _, attr = key.removeprefix("net.ipv4.neigh.").rpartition(".")
        parms = self._parms_of(name)
        if parms is None:
            return
        if attr.startswith("base_reachable_time") and self._era.redraw_on_write:
            self._gc.draw(parms)
        elif attr == "unres_qlen" and self._era.queue == "bytes":
            parms.unres_qlen_bytes = parms.unres_qlen * QLEN_OCTETS
        elif attr == "unres_qlen_bytes":
            parms.unres_qlen = parms.unres_qlen_bytes // QLEN_OCTETS
        if name == "default":
            self._gc.parameter_changed()

    def _parms_of(self, name: str) -> NeighParms | None:
        if name == "default":
            return self._sysctl.neigh_default
        dev = self._interfaces.named(name.replace("/", "."))
        return None if dev is None else dev.neigh


def _key(dev: Device, nexthop: Ip) -> Ip:
    """Return the key of an entry: one for all on a loopback or point-to-point device. Source: arp_constructor()."""
    return 0 if dev.flags & (IFF_LOOPBACK | IFF_POINTOPOINT) else nexthop
