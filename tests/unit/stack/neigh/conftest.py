"""A neighbour table on a bench: fakes for its collaborators, and one log of everything it does, in order."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from netsim.addr import MASKS, ip_str, mac_str, parse_ip, parse_mac
from netsim.stack.address import IfAddr
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, Refused, Route
from netsim.stack.errno import ENETUNREACH
from netsim.stack.interfaces import Interfaces
from netsim.stack.neigh import NeighTable
from netsim.stack.neigh.gc import mix_hash
from netsim.stack.outbox import Outbox
from netsim.stack.profile.neigh import MAINLINE
from netsim.stack.profile.patches import Patches
from netsim.stack.skb import PACKET_BROADCAST, PACKET_HOST, Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import Consumed, Dropped, NeighChange
from netsim.units import sec
from netsim.wire.arp import ARPOP_REPLY, ARPOP_REQUEST, build_arp, parse_arp
from netsim.wire.ipv4 import build_ipv4

ZERO = "00:00:00:00:00:00"


class RawNumbers:
    """The kernel's raw random numbers in order of use; a seeded generator once they are used up."""

    def __init__(self, raw=(), seed=1):
        self.raw = list(raw)
        self.spare = random.Random(seed)
        self.drawn = []

    def getrandbits(self, k):
        value = self.raw.pop(0) if self.raw else self.spare.getrandbits(k)
        self.drawn.append(value)
        return value

    def random(self):
        return self.spare.random()

    def randrange(self, start, stop):
        return self.spare.randrange(start, stop)


class BenchRouting:
    """Routing by what the devices' addresses say, with stubs for the rest."""

    def __init__(self, bench):
        self.bench = bench
        self.generation = 0
        self.inroutes = []  # (prefix, plen, dev): input lookups that answer unicast by dev
        self.outroutes = []  # (target, plen, source or None, dev): output lookups bound to dev
        self.asked = []

    def _route(self, kind, dev, src=0):
        return Route(kind, dev, 0, src, 0, 0)

    def address_type(self, ip, dev=None):
        if self.bench.interfaces.is_local(ip):
            return RTN_LOCAL
        if ip >> 28 == 0xE:
            return RTN_MULTICAST
        for each in self.bench.interfaces:
            for ifa in each.addresses:
                if ifa.plen < 31 and ip in (ifa.prefix, ifa.prefix | ~MASKS[ifa.plen] & 0xFFFFFFFF):
                    return RTN_BROADCAST
        return RTN_BROADCAST if ip == 0xFFFFFFFF else RTN_UNICAST

    def input(self, daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
        interfaces = self.bench.interfaces
        if interfaces.is_local(saddr):
            return Refused(22, "IP_LOCAL_SOURCE")
        if interfaces.is_local(daddr):
            return self._route(RTN_LOCAL, dev)
        for prefix, plen, out in self.inroutes:
            if not (daddr ^ prefix) & MASKS[plen]:
                return self._route(RTN_UNICAST, out)
        return Refused(ENETUNREACH, "IP_INNOROUTES")

    def output(self, daddr, *, now, saddr=0, tos=0, oif=None, **keys):
        self.asked.append((daddr, saddr, oif))
        for prefix, plen, source, dev in self.outroutes:
            if not (daddr ^ prefix) & MASKS[plen] and oif in (None, dev):
                answer = None if source is None else self._route(RTN_UNICAST, dev, source)
                self.bench.lookup_done(daddr, saddr, oif, source)
                return answer or Refused(ENETUNREACH, "IP_OUTNOROUTES")
        for dev in self.bench.interfaces:
            for ifa in dev.addresses:
                if ifa.holds(daddr):
                    return self._route(RTN_UNICAST, dev, ifa.local)
        return Refused(ENETUNREACH, "IP_OUTNOROUTES")


class Bench:
    """One table, its devices, and `log`: ("arp", ...), ("tx", ...), ("drop", ...), ("unreach", ...) in order."""

    def __init__(self, era=MAINLINE, patches=None, raw=(), chain_hash=mix_hash, timers=None, reachable=None, seed=1):
        self.log = []
        self.now = 0
        self.sysctl = Sysctl()
        self.interfaces = Interfaces(self.sysctl)
        self.timers = timers or Timers()
        self.outbox = Outbox({NeighChange, Consumed, Dropped})
        self.rng = RawNumbers(raw, seed)
        self.routing = BenchRouting(self)
        self.reachable = reachable
        self.ids = {}
        self.table = NeighTable(
            node="r1", era=era, patches=patches or Patches(), interfaces=self.interfaces, sysctl=self.sysctl,
            timers=self.timers, outbox=self.outbox, rng=self.rng, exit=self, failure=self, chain_hash=chain_hash,
        )  # fmt: skip
        self.table.bind(self.routing)

    def lookup_done(self, daddr, saddr, oif, source):
        """Hook for replays."""

    # The way out, and failures

    def transmit(self, dev, octets, *, now, parent=0, bad=False, through=0):
        dst = mac_str(octets[:6])
        if octets[12:14] == b"\x08\x06":
            arp = parse_arp(octets, 14)
            self.log.append(
                ("arp", dev.name, arp.op, dst, mac_str(arp.sha), ip_str(arp.spa), mac_str(arp.tha), ip_str(arp.tpa))
            )
        else:
            self.log.append(("tx", int.from_bytes(octets[18:20], "big"), dev.name, dst))

    def drop(self, skb, reason, *, now, detail=""):
        self.log.append(("drop", skb_id(skb), reason))

    def link_failure(self, skb, *, now):
        self.log.append(("unreach", skb_id(skb)))

    # Setting up

    def device(self, name, mac="02:00:00:00:00:01", *addresses, kind=ETHER, flags=None):
        dev = self.interfaces.add(name, kind, parse_mac(mac), 1500)
        if flags is not None:
            dev.flags = flags
        self.table.device_added(dev, now=self.now)
        if self.reachable is not None:
            dev.neigh.reachable_time = self.reachable
        self.interfaces.set_up(dev, True)
        for text in addresses:
            self.address(dev, text)
        return dev

    def address(self, dev, text, scope=0):
        quad, _, plen = text.partition("/")
        ip = parse_ip(quad)
        self.interfaces.insert_address(dev, IfAddr(ip, int(plen), ip, 0, scope, dev.name))

    # Stimuli

    def run(self, until):
        self.timers.run(until)
        self.now = until

    def send(self, number, dev, nexthop, at=None, src="10.0.0.1", route=None, payload=b"", uid=0):
        if at is not None:
            self.run(at)
        skb = Skb(build_packet(number, src, "198.51.100.1", payload), uid=uid)
        skb.route = route
        self.table.output(skb, dev, parse_ip(nexthop), now=self.now)
        return skb

    def arp(self, dev, op, sha, spa, tpa, at=None, tha=ZERO, to="us", uid=7):
        if at is not None:
            self.run(at)
        payload = build_arp(op, parse_mac(sha), parse_ip(spa), parse_mac(tha), parse_ip(tpa))
        kind = {"us": PACKET_HOST, "bcast": PACKET_BROADCAST, "other": 3}[to]
        self.table.receive_arp(dev, payload, kind, parse_mac(sha), now=self.now, uid=uid)

    def reply(self, dev, sha, spa, at=None, to="us"):
        ours = dev.addresses[0].local
        self.arp(dev, ARPOP_REPLY, sha, spa, ip_str(ours), at, mac_str(dev.mac), to)

    def request(self, dev, sha, spa, tpa, at=None, to="bcast"):
        self.arp(dev, ARPOP_REQUEST, sha, spa, tpa, at, to=to)

    # Observing

    def entry(self, dev, ip):
        return self.table.find(dev, parse_ip(ip))

    def changes(self):
        return [
            (r.t, r.old, r.new, r.lladdr, r.cause) for r in self.outbox.records if isinstance(r, NeighChange)
        ]  # fmt: skip

    def moves(self):
        return [(t, old, new) for t, old, new, _, _ in self.changes()]

    def take(self):
        log, self.log = self.log, []
        return log


def skb_id(skb):
    return int.from_bytes(skb.data[4:6], "big")


def build_packet(number, src, dst, payload=b""):
    return bytearray(build_ipv4(parse_ip(src), parse_ip(dst), 253, len(payload), ident=number) + payload)


@pytest.fixture(scope="session")
def bench_tools():
    """What tests build on: Bench, and a box with one device and one peer in a given state."""
    return SimpleNamespace(Bench=Bench, RawNumbers=RawNumbers, sec=sec, skb_id=skb_id, build_packet=build_packet)


@pytest.fixture
def bench():
    """Make a mainline bench with eth0 10.0.0.1/24, reachable_time 30 s."""
    return Bench(reachable=sec(30))
