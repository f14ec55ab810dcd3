"""A box that answers from tables, for testing tools without a network stack."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.shell.dispatch import run
from netsim.shell.tool import CommandResult
from netsim.stack import device as d
from netsim.stack.profile import profile
from netsim.stack.requests import (
    DONE,
    AddrInfo,
    DumpAddrs,
    DumpLinks,
    DumpNeighParms,
    DumpNeighs,
    DumpRouteCache,
    DumpRoutes,
    DumpRules,
    GetSysctl,
    LinkInfo,
    ListSysctls,
    Request,
    SetSysctl,
)
from netsim.stack.sysctl import Sysctl


def link(ifindex: int, name: str, kind: str, flags: int, mac: str = "", **more: object) -> LinkInfo:
    running = d.IFF_LOWER_UP | d.IFF_RUNNING if flags & d.IFF_UP else 0
    values: dict[str, object] = {
        "mtu": d.KIND_MTU[kind],
        "carrier": True,
        "rx_packets": 0,
        "rx_bytes": 0,
        "tx_packets": 0,
        "tx_bytes": 0,
        **more,
    }
    octets = parse_mac(mac) if mac else bytes(6)
    all_flags = d.KIND_FLAGS[kind] | flags | running
    return LinkInfo(ifindex=ifindex, name=name, kind=kind, flags=all_flags, mac=octets, **values)  # type: ignore[arg-type]  # a test's shorthand


def addr(dev: str, ifindex: int, local: str, plen: int, **more: object) -> AddrInfo:
    values: dict[str, object] = {
        "peer": parse_ip(local),
        "broadcast": 0,
        "scope": 0,
        "label": dev,
        "secondary": False,
        "noprefixroute": False,
        **more,
    }
    return AddrInfo(dev=dev, ifindex=ifindex, local=parse_ip(local), plen=plen, **values)  # type: ignore[arg-type]  # a test's shorthand


class FakeBox:
    """Answers each request type from `answers`: a value, or a function of the request; anything else is Done."""

    def __init__(self, kernel: str = "linux-6") -> None:
        self.name = "r"
        self.profile = profile(kernel)
        self.asked: list[Request[object]] = []
        self.sysctl = Sysctl()
        self.sysctl.add_device("eth0")
        self.answers: dict[type, object] = {
            DumpLinks: (
                link(1, "lo", d.LOOPBACK, d.IFF_UP),
                link(2, "eth0", d.ETHER, d.IFF_UP, "02:00:00:00:01:02"),
                link(3, "eth1", d.ETHER, 0, "02:00:00:00:02:02"),
                link(4, "tun0", d.TUN, 0),
            ),
            DumpAddrs: (
                addr("lo", 1, "127.0.0.1", 8, scope=254),
                addr("eth0", 2, "10.0.1.2", 24, broadcast=parse_ip("10.0.1.255")),
            ),
            DumpRoutes: (),
            DumpRules: (),
            DumpNeighs: (),
            DumpNeighParms: (),
            DumpRouteCache: (),
            GetSysctl: lambda req: self.sysctl.get(req.key),
            SetSysctl: lambda req: self.sysctl.set(req.key, req.value) or DONE,
            ListSysctls: lambda req: tuple(self.sysctl.keys()),
        }

    def request(self, req: Request[object], *, now: int) -> object:
        self.asked.append(req)
        answer = self.answers.get(type(req), DONE)
        return answer(req) if callable(answer) else answer

    def changes(self) -> list[Request[object]]:
        """Return what was asked for except lists and readings."""
        return [req for req in self.asked if not type(req).__name__.startswith(("Dump", "Get", "List"))]


@pytest.fixture
def box() -> FakeBox:
    return FakeBox()


@pytest.fixture
def sh(box: FakeBox) -> Callable[[str], CommandResult]:
    return lambda line: run(box, line, now=0)  # type: ignore[arg-type]  # the fake answers what the test told it to


@pytest.fixture
def old_sh() -> Callable[[str], CommandResult]:
    old = FakeBox("linux-2.2")
    return lambda line: run(old, line, now=0)  # type: ignore[arg-type]  # as above


@pytest.fixture
def makers() -> tuple[Callable[..., LinkInfo], Callable[..., AddrInfo]]:
    """Hand tests the two builders (a conftest cannot be imported under importlib mode)."""
    return link, addr
