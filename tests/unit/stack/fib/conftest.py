"""A box set up with command lines, asked for routes packet by packet; neighbour states are set by hand.

          wan0 10.0.1.2/24 --- gateways 10.0.1.x
lan0 [r]
          wan1 10.0.2.2/24 --- gateways 10.0.2.x
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from netsim.addr import ip_str, parse_ip
from netsim.shell.dispatch import run
from netsim.stack.dst import RTCF_LOCAL, Refused
from netsim.stack.errno import NAMES
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import RTNH_F_DEAD, DumpRoutes, NewLink
from netsim.units import NS_PER_MS

TICK = 10 * NS_PER_MS


class Box:
    """A box at the virtual instant `now`; `cached` lets the route cache of 2.2 and 2.4 answer."""

    def __init__(self, kernel: str = "linux-2.4-routes", patches=None, seed: int = 1, wants=frozenset(), **era):
        chosen = profile(kernel, patches)
        chosen = replace(chosen, fib=replace(chosen.fib, **era))
        self.net = Netns("r", chosen, random.Random(seed), wants)
        self.now = 0
        self.cached = False
        self.sh("ip link set lo up")

    def sh(self, text: str) -> str:
        """Run lines that must succeed."""
        out = []
        for line in text.strip().splitlines():
            result = run(self.net, line.strip(), now=self.now)
            assert result.rc == 0, (line, result)
            out.append(result.stdout)
        return "".join(out)

    def refused(self, line: str) -> str:
        """Run a line that must fail; return what it says."""
        result = run(self.net, line, now=self.now)
        assert result.rc != 0, line
        return result.stderr.strip()

    def device(self, name: str, *addresses: str, kind: str = "ether", up: bool = True) -> None:
        self.net.request(NewLink(name=name, kind=kind), now=self.now)
        for address in addresses:
            self.sh(f"ip addr add {address} dev {name}")
        if up:
            self.sh(f"ip link set {name} up")

    def two_isps(self) -> Box:
        """Make lan0, wan0 and wan1 with their addresses, up, forwarding on."""
        self.device("lan0", "192.168.0.1/24")
        self.device("wan0", "10.0.1.2/24")
        self.device("wan1", "10.0.2.2/24")
        self.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        return self

    def neigh(self, **states: str) -> None:
        """Set entries: wan0="10.0.1.1 stale"; the state "none" removes one."""
        for dev, text in states.items():
            ip, state = text.split()
            run(self.net, f"ip neigh del {ip} dev {dev}", now=self.now)
            if state in ("none", "incomplete", "failed"):
                self._without_address(dev, ip, state)
            else:
                self.sh(f"ip neigh replace {ip} lladdr 02:00:00:00:00:99 dev {dev} nud {state}")

    def _without_address(self, dev: str, ip: str, state: str) -> None:
        if state != "none":
            self.sh(f"ip neigh replace {ip} dev {dev} nud {state}")

    # Lookups

    def send(self, dst: str = "8.8.8.8", src: str = "", oif: str = "", gw: str = "", tos: int = 0) -> str:
        """Route a packet of ours: "wan0 via 10.0.1.1", "lo local" or an errno."""
        self._forget()
        found = self.net.router.output(
            parse_ip(dst), now=self.now, saddr=parse_ip(src) if src else 0, tos=tos,
            oif=self.net.interfaces.named(oif) if oif else None, gw=parse_ip(gw) if gw else 0,
        )  # fmt: skip
        return told(found)

    def forward(
        self, dst: str = "8.8.8.8", src: str = "192.168.0.3", iif: str = "lan0", tos: int = 0, lsrc: str = ""
    ) -> str:
        """Route a packet that came in."""
        self._forget()
        dev = self.net.interfaces.named(iif)
        found = self.net.router.input(
            parse_ip(dst), parse_ip(src), tos, dev, now=self.now, lsrc=parse_ip(lsrc) if lsrc else 0
        )
        return told(found)

    def source(self, dst: str = "8.8.8.8", oif: str = "", gw: str = "") -> str:
        """Return the source address a packet of ours gets."""
        self._forget()
        found = self.net.router.output(
            parse_ip(dst), now=self.now, oif=self.net.interfaces.named(oif) if oif else None,
            gw=parse_ip(gw) if gw else 0,
        )  # fmt: skip
        return ip_str(found.src)

    def flows(self, count: int) -> list[str]:
        """Route packets to `count` new destinations."""
        return [self.send(f"198.18.{number >> 8}.{number & 255}") for number in range(1, count + 1)]

    def _forget(self) -> None:
        if not self.cached and self.net.router.cached is not None:
            self.net.router.cached.cache.run_flush()

    # Tables

    def table(self, table: int = 254) -> list:
        """List a table's routes but for those the kernel made; 2.2 and 2.4 dump the longest prefixes first."""
        listed = self.net.request(DumpRoutes(table=table), now=self.now)
        return [route for route in listed if route.protocol != 2]

    def paths(self, table: int = 254) -> list[str]:
        """List each route of a table as "via dev[ dead][ suspect], ..."."""
        return [", ".join(path_text(path) for path in route.nexthops) for route in self.table(table)]

    def run_to(self, seconds: float) -> None:
        """Move the clock, running every deadline."""
        target = round(seconds * 1_000_000_000)
        while (deadline := self.net.next_deadline()) is not None and deadline <= target:
            self.now = deadline
            self.net.tick(now=deadline)
        self.now = target


def path_text(path) -> str:
    via = f"{ip_str(path.via)} " if path.via else ""
    return f"{via}{path.dev}{' dead' if path.flags & RTNH_F_DEAD else ''}{' suspect' if path.suspect else ''}"


def told(found) -> str:
    if isinstance(found, Refused):
        return NAMES[found.errno]
    if found.error:
        return NAMES[found.error]
    if found.flags & RTCF_LOCAL:
        return "lo local"
    return f"{found.dev.name} via {ip_str(found.gateway)}" if found.gateway else found.dev.name


@pytest.fixture
def make_box():
    return Box


@pytest.fixture
def isps():
    """Return a patched 2.4 box with two ISPs."""
    return Box().two_isps()
