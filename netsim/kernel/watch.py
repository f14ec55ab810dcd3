"""What a kernel box tells of itself: neighbour states by looking often, connections by conntrack's own events."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import MappingProxyType

from netsim.kernel.box import KernelBox
from netsim.kernel.netlink import (
    NETLINK_NETFILTER,
    NETLINK_ROUTE,
    Connection,
    Neighbour,
    dump_neighbours,
    read_connections,
    subscribe_conntrack,
)
from netsim.kernel.reactor import Reactor
from netsim.trace.records import ConntrackEvent, NatMapped, NeighChange
from netsim.units import NS_PER_MS, Ns

EVERY: Ns = 5 * NS_PER_MS
"""How often neighbours are looked at: a state that lasts less may stay unseen."""
_PROTOCOLS = MappingProxyType({1: "icmp", 6: "tcp", 17: "udp"})


class Watcher:
    """Looks at one box and puts records into its outbox."""

    def __init__(self, box: KernelBox, reactor: Reactor, clock: Callable[[], Ns]) -> None:
        self._box = box
        self._clock = clock
        self._reactor = reactor
        self._route = box.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._conntrack = box.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._conntrack.setblocking(False)
        subscribe_conntrack(self._conntrack)
        self._seen: dict[tuple[int, str], Neighbour] = {}
        self._names: dict[int, str] = {}
        self.next_look: Ns = 1 << 62
        reactor.add(self._conntrack.fileno(), self._connections)

    def begin(self) -> None:
        """Look from now on, the entries that are there included."""
        self.next_look = 0

    def look(self, *, now: Ns) -> None:
        """Record what has changed among the neighbours since the last look."""
        self.next_look = now + EVERY
        if NeighChange not in self._box.outbox.wants:
            return
        found = {(each.ifindex, each.dst): each for each in dump_neighbours(self._route)}
        for key, entry in found.items():
            before = self._seen.get(key)
            if before is None or before.state != entry.state:
                self._changed(key, before.state if before else "NONE", entry.state, entry.lladdr, now=now)
        for key, entry in self._seen.items():
            if key not in found:
                self._changed(key, entry.state, "NONE", entry.lladdr, now=now)
        self._seen = found

    def _changed(self, key: tuple[int, str], old: str, new: str, lladdr: str, *, now: Ns) -> None:
        ifindex, dst = key
        if ifindex not in self._names:
            self._names = {**self._names, **self._box.device_names()}
        dev = self._names.get(ifindex, f"if{ifindex}")
        self._box.outbox.records.append(NeighChange(now, self._box.name, dev, dst, old, new, lladdr, "seen"))

    def _connections(self, _mask: int) -> None:
        while True:
            try:
                data = self._conntrack.recv(1 << 16)
            except OSError:
                return
            for each in read_connections(data):
                self._connection(each)

    def _connection(self, each: Connection) -> None:
        """Record a connection's event, and its translation once, when it is confirmed (which is when NEW is told)."""
        wants, records = self._box.outbox.wants, self._box.outbox.records
        now, name = self._clock(), self._box.name
        proto = _PROTOCOLS.get(each.orig.proto, str(each.orig.proto))
        if NatMapped in wants and each.event == "NEW" and each.translated:
            records.append(NatMapped(now, name, proto, str(each.orig), str(each.reply)))
        if ConntrackEvent in wants:
            records.append(ConntrackEvent(now, name, each.event, f"{proto} {each.orig} {each.reply}"))

    def close(self) -> None:
        """Look no more."""
        self._reactor.remove(self._conntrack.fileno())
        self._conntrack.close()
        self._route.close()
