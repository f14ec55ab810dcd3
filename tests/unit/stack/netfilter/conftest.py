"""A router of two or three devices around a real Netfilter, with routing, ICMP and reassembly faked in a few lines."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netsim.addr import parse_ip, parse_prefix
from netsim.stack.address import RT_SCOPE_UNIVERSE, IfAddr
from netsim.stack.device import ETHER, Device
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Refused, Route
from netsim.stack.errno import ENETUNREACH
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.core import Netfilter
from netsim.stack.netfilter.ct_requests import DumpConntrack
from netsim.stack.netfilter.ct_text import list_line
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
)
from netsim.stack.netfilter.nat_range import NatRange
from netsim.stack.netfilter.requests import AppendRules
from netsim.stack.netfilter.rulespec import NatTarget, RuleSpec
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.requests import DONE
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import ConntrackEvent, NatMapped
from netsim.wire.checksum import checksum
from netsim.wire.icmp import build_query
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import build_tcp
from netsim.wire.udp import build_udp
from netsim.wire.verify import verify, verify_quoted

TCP_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


ANY = NatRange()


class Nowhere:
    """ICMP, local output, exit and reassembly that note what they are given."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, skb, *args, **kwargs) -> None:
        self.sent.append((skb, args, kwargs))

    def drop(self, skb, reason, **kwargs) -> None:
        self.sent.append((skb, reason, kwargs))

    def transmit(self, dev, octets, **kwargs) -> None:
        self.sent.append((dev, octets, kwargs))

    def gather(self, skb, hook, *, now) -> bool:
        return False


class FakeRouting:
    """Routes by longest prefix over a list of (prefix, device, gateway)."""

    generation = 0

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self.routes: list[tuple[Any, str, int]] = []

    def find(self, daddr: int, oif: Device | None = None) -> Route | Refused:
        if self.interfaces.is_local(daddr):
            return Route(RTN_LOCAL, self.interfaces.lo, 0, daddr, 0, 0)
        for prefix, name, gateway in sorted(self.routes, key=lambda route: -route[0].plen):
            dev = self.interfaces.named(name)
            if prefix.holds(daddr) and oif in (None, dev):
                src = self.interfaces.select_address(dev, gateway or daddr, RT_SCOPE_UNIVERSE)
                return Route(RTN_UNICAST, dev, gateway, src, 0, 0)
        return Refused(ENETUNREACH, "IP_OUTNOROUTES")

    def input(self, daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
        return self.find(daddr)

    def output(self, daddr, *, now, saddr=0, tos=0, oif=None, mark=0, gw=0, **rest):
        return self.find(daddr, oif)

    def address_type(self, ip, dev=None) -> int:
        return RTN_LOCAL if self.interfaces.is_local(ip) else RTN_UNICAST


class Router:
    """lan0 192.168.0.1/24, wan0 10.0.1.2/24 (default by 10.0.1.1), wan1 10.0.2.2/24."""

    def __init__(self, kernel: str = "linux-6", seed: int = 1) -> None:
        self.sysctl = Sysctl()
        self.interfaces = Interfaces(self.sysctl)
        self.timers = Timers()
        self.outbox = Outbox({ConntrackEvent, NatMapped})
        self.routing = FakeRouting(self.interfaces)
        self.nowhere = Nowhere()
        chosen = profile(kernel)
        self.nf = Netfilter(
            node="r", era=chosen.netfilter, patches=chosen.patches, interfaces=self.interfaces, sysctl=self.sysctl,
            timers=self.timers, outbox=self.outbox, rng=random.Random(seed), routing=self.routing, icmp=self.nowhere,
            local_output=self.nowhere, exit=self.nowhere, defrag=self.nowhere,
        )  # fmt: skip
        for name, address in (("lan0", "192.168.0.1"), ("wan0", "10.0.1.2"), ("wan1", "10.0.2.2")):
            dev = self.interfaces.add(name, ETHER, b"\x02\0\0\0\0\x01", 1500)
            self.interfaces.set_up(dev, True)
            self.add_address(name, address)
        self.route("0.0.0.0/0", "wan0", "10.0.1.1")

    def add_address(self, dev: str, address: str, plen: int = 24) -> IfAddr:
        ip = parse_ip(address)
        ifa = IfAddr(ip, plen, ip, 0, RT_SCOPE_UNIVERSE, dev)
        self.interfaces.insert_address(self.dev(dev), ifa)
        self.route(f"{address}/{plen}", dev, "0.0.0.0")
        return ifa

    def dev(self, name: str) -> Device:
        found = self.interfaces.named(name)
        assert found is not None
        return found

    def route(self, prefix: str, dev: str, gateway: str) -> None:
        self.routing.routes = [r for r in self.routing.routes if str(r[0]) != prefix]
        self.routing.routes.append((parse_prefix(prefix).network, dev, parse_ip(gateway)))

    def rule(self, chain: str, kind: str, wanted: NatRange = ANY, **fields) -> None:
        spec = RuleSpec(target=NatTarget(kind, wanted), **fields)
        assert self.nf.request(AppendRules(table="nat", chain=chain, rules=(spec,)), now=0) == DONE

    def masquerade(self, dev: str = "wan0", **fields) -> None:
        self.rule("POSTROUTING", "MASQUERADE", oif=dev, **fields)

    def receive(self, packet: bytes, dev: str, now: int, mark: int = 0) -> Skb | str:
        """Take a packet the whole way; answer it as it left or was delivered, or the chain that dropped it."""
        indev = self.dev(dev)
        skb = Skb(bytearray(packet), indev, 1)
        skb.mark = mark
        if self.nf.run(NF_INET_PRE_ROUTING, skb, indev, None, now=now) != NF_ACCEPT:
            return "PREROUTING"
        route = skb.route or self.routing.find(skb.daddr)
        if isinstance(route, Refused):
            return "route"
        skb.route, skb.out = route, route.dev
        if route.kind == RTN_LOCAL:
            return skb if self.nf.run(NF_INET_LOCAL_IN, skb, indev, None, now=now) == NF_ACCEPT else "INPUT"
        if self.nf.run(NF_INET_FORWARD, skb, indev, route.dev, now=now) != NF_ACCEPT:
            return "FORWARD"
        if self.nf.run(NF_INET_POST_ROUTING, skb, indev, route.dev, now=now) != NF_ACCEPT:
            return "POSTROUTING"
        return skb

    def send(self, packet: bytes, now: int, skb: Skb | None = None) -> Skb | str:
        """Send a packet of the box itself."""
        skb = skb or Skb(bytearray(packet))
        route = self.routing.find(skb.daddr)
        assert isinstance(route, Route)
        skb.route = route
        if self.nf.run(NF_INET_LOCAL_OUT, skb, None, route.dev, now=now) != NF_ACCEPT:
            return "OUTPUT"
        assert skb.route is not None
        skb.out = skb.route.dev
        if self.nf.run(NF_INET_POST_ROUTING, skb, None, skb.out, now=now) != NF_ACCEPT:
            return "POSTROUTING"
        return skb

    def listing(self, now: int) -> list[str]:
        return [list_line(entry) for entry in self.nf.request(DumpConntrack(), now=now)]

    def events(self) -> list[str]:
        lines = [f"{r.event} {r.line}" for r in self.outbox.records if isinstance(r, ConntrackEvent)]
        self.outbox.records.clear()
        return lines


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes = b"x", *, checksum: bool = True) -> bytes:
    a, b = parse_ip(src), parse_ip(dst)
    body = build_udp(a, b, sport, dport, payload, checksum=checksum)
    return build_ipv4(a, b, 17, len(body)) + body


def tcp(
    src: str, sport: int, dst: str, dport: int, flags: str, seq: int = 0, ack: int = 0, payload: bytes = b"",
    window: int = 8192, options: bytes = b"",
) -> bytes:  # fmt: skip
    a, b = parse_ip(src), parse_ip(dst)
    bits = sum(TCP_FLAGS[flag] for flag in flags)
    body = build_tcp(a, b, sport, dport, seq, ack, bits, window, payload, options)
    return build_ipv4(a, b, 6, len(body)) + body


def icmp(src: str, dst: str, kind: int, ident: int, payload: bytes = b"x") -> bytes:
    body = build_query(kind, ident, 1, payload)
    return ip(src, dst, 1, body)


def ip(src: str, dst: str, proto: int, body: bytes) -> bytes:
    return build_ipv4(parse_ip(src), parse_ip(dst), proto, len(body)) + body


def sound(skb: Skb) -> bool:
    """Whether every checksum of a packet is right, a quoted packet's too, and the cached fields fit the octets."""
    fresh = Skb(bytearray(skb.data))
    fields = ("saddr", "daddr", "sport", "dport", "proto")
    assert checksum(skb.data[: skb.ihl]) == 0
    return (
        verify(skb.data) == ""
        and verify_quoted(skb.data) == ""
        and all(getattr(skb, field) == getattr(fresh, field) for field in fields)
    )


class Kit:
    """What the tests of this folder share, as one fixture."""

    Router = Router
    udp = staticmethod(udp)
    tcp = staticmethod(tcp)
    icmp = staticmethod(icmp)
    ip = staticmethod(ip)
    sound = staticmethod(sound)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def router() -> Router:
    """A kernel 6 router that masquerades what leaves by wan0 and wan1."""
    made = Router()
    made.masquerade("wan0")
    made.masquerade("wan1")
    return made
