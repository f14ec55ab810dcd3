"""A box of the running kernel, behind the port of `stack.Netns`: frames, requests and carriers in, an outbox out.

Command lines run verbatim in the namespace, by a real shell and the real tools.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, cast

from netsim.addr import ip_str
from netsim.errors import InternalError
from netsim.kernel.fabric import Fabric, Port
from netsim.kernel.program import Program
from netsim.kernel.reactor import Reactor
from netsim.kernel.sealed import Namespace
from netsim.kernel.sockets import KernelSockets
from netsim.shell.tool import CommandResult
from netsim.stack.errno import EINVAL, ENODEV, Refusal
from netsim.stack.outbox import FrameOut, Outbox
from netsim.stack.requests import DONE, DelLink, Done, NewAddr, NewLink, Request, SetLink
from netsim.units import NS_PER_S, Ns
from netsim.wire.frame import Frame

T = TypeVar("T")

CONF_DEFAULTS: Mapping[str, str] = MappingProxyType({
    "accept_redirects": "1", "accept_source_route": "0", "arp_accept": "0", "arp_announce": "0",
    "arp_evict_nocarrier": "1", "arp_filter": "0", "arp_ignore": "0", "arp_notify": "0", "bc_forwarding": "0",
    "disable_policy": "0", "disable_xfrm": "0", "drop_gratuitous_arp": "0",
    "drop_unicast_in_l2_multicast": "0", "force_igmp_version": "0", "ignore_routes_with_linkdown": "0",
    "log_martians": "0", "medium_id": "0", "promote_secondaries": "0", "proxy_arp": "0", "proxy_arp_pvlan": "0",
    "route_localnet": "0", "rp_filter": "0", "secure_redirects": "1", "send_redirects": "1", "shared_media": "1",
    "src_valid_mark": "0",
})  # fmt: skip
"""What the kernel compiles in (ipv4_devconf, net/ipv4/devinet.c): a new namespace copies what the machine set up."""
_NEIGH_DEFAULT = "net.ipv4.neigh.default."


class HasCarrier(Protocol):
    """An interface as the world asks for it."""

    carrier: bool
    link_header: bool


P = TypeVar("P", bound=HasCarrier)


class Ports(Generic[P]):
    """The interfaces of a real box, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, P] = {}

    def named(self, dev: str) -> P | None:
        """Return an interface's port."""
        return self.by_name.get(dev)


class NoTimers:
    """What a node looks at to learn of nearer deadlines: a real box never has one."""

    armed = 0


class RealBox(Protocol):
    """What the world asks of a box that is not emulated, besides the port of `stack.Netns`, which it answers too."""

    outbox: Outbox

    def settled(self) -> bool:
        """Tell whether its interfaces have heard of their carriers."""


Came = Callable[[int, RealBox, FrameOut], None]
"""came(stamp, box, frame): a frame left an interface of a box."""


class KernelBox:
    """One namespace with its interfaces and sockets. `came` takes the frames, in the order of their stamps."""

    def __init__(self, name: str, *, fabric: Fabric, reactor: Reactor, wants: set[type], came: Came) -> None:
        self.name = name
        self.outbox = Outbox(wants)
        self.interfaces: Ports[Port] = Ports()
        self.timers = NoTimers()
        self.namespace = Namespace(name)
        self.templates: dict[str, str] = {}
        self._fabric = fabric
        self._reactor = reactor
        self._came = came
        self._programs: list[Program] = []
        self._as_compiled()
        self.sockets = KernelSockets(self.namespace, reactor, self.outbox)
        self._handlers: Mapping[type, Callable[..., Any]] = MappingProxyType({
            NewLink: self._new_link, SetLink: self._set_link, DelLink: self._del_link, NewAddr: self._new_addr,
            **self.sockets.handlers,
        })  # fmt: skip

    def _as_compiled(self) -> None:
        """Undo what the machine's own configuration gave the namespace; IPv6 stays out, ping sockets are allowed."""
        write = self.namespace.write
        for key, value in CONF_DEFAULTS.items():
            for place in ("all", "default", "lo"):
                write(f"/proc/sys/net/ipv4/conf/{place}/{key}", value)
        write("/proc/sys/net/ipv4/conf/default/accept_source_route", "1")
        for key in ("all", "default", "lo"):
            write(f"/proc/sys/net/ipv6/conf/{key}/disable_ipv6", "1")
        write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")

    # The port of a box

    def receive(self, device: str, frame: Frame, *, now: Ns) -> None:
        """Let a frame arrive at an interface."""
        port = self.interfaces.named(device)
        if port is not None:
            port.send(frame.octets)

    def request(self, req: Request[T], *, now: Ns) -> T | Refusal:
        """Carry out a request."""
        handler = self._handlers.get(type(req))
        if handler is None:
            raise InternalError(f"a kernel box does not answer {type(req).__name__}")
        return cast("T | Refusal", handler(req))

    def carrier(self, device: str, up: bool, *, now: Ns) -> None:
        """Give an interface its carrier, or take it."""
        port = self.interfaces.named(device)
        if port is not None:
            port.set_carrier(up)

    def tick(self, *, now: Ns) -> None:
        """Do nothing: the kernel has its own timers."""

    def next_deadline(self) -> Ns | None:
        """Return None: the kernel has its own timers."""
        return None

    def held(self) -> int:
        """Return 0: what the kernel holds is not told."""
        return 0

    def abandon(self, reason: str, *, now: Ns) -> None:
        """Lose power: all that ran or was open is gone; the namespace stays until the box boots anew."""
        self.sockets.close_all()
        self._end_programs()

    # Requests

    def _new_link(self, req: NewLink) -> Done | Refusal:
        dev = req.name

        def arrived(stamp: int, octets: bytes) -> None:
            self._came(stamp, self, FrameOut(dev, octets, 0, False, True))

        self.interfaces.by_name[dev] = self._fabric.plug(self.namespace, dev, req.mac, req.mtu, arrived)
        for key, value in self.templates.items():
            self.namespace.write(f"/proc/sys/net/ipv4/neigh/{dev}/{key}", value)
        return DONE

    def _set_link(self, req: SetLink) -> Done | Refusal:
        return self._ip("link", "set", req.dev, "up" if req.up else "down")

    def _del_link(self, req: DelLink) -> Done | Refusal:
        port = self.interfaces.by_name.pop(req.dev, None)
        if port is None:
            return Refusal(ENODEV)
        self._fabric.unplug(port)
        return DONE

    def _new_addr(self, req: NewAddr) -> Done | Refusal:
        return self._ip("addr", "add", f"{ip_str(req.local)}/{req.plen}", "dev", req.dev)

    def _ip(self, *words: str) -> Done | Refusal:
        code, _, _ = self.namespace.run(["ip", *words])
        return Refusal(EINVAL) if code else DONE

    # Command lines

    def begin(self, line: str) -> Program:
        """Start a command line; its end is news of the reactor. What it leaves in the background ends with the box."""
        self._programs = [each for each in self._programs if not each.over]
        program = Program(self.namespace.start(["sh", "-c", line]), self._reactor)
        self._programs.append(program)
        return program

    def set_up(self, line: str) -> CommandResult:
        """Run a set-up line to its end.

        Templates for neighbours (`net.ipv4.neigh.default.*`) are the machine's and not seen in a namespace: they are
        written to lo and to each interface as it is made, which is what a template does.
        """
        key, equals, value = line.removeprefix("sysctl -w ").strip("'").partition("=")
        if equals and key.startswith(_NEIGH_DEFAULT):
            name = key.removeprefix(_NEIGH_DEFAULT)
            self.templates[name] = value
            known = self.namespace.write(f"/proc/sys/net/ipv4/neigh/lo/{name}", value)
            return CommandResult("", "" if known else f"sysctl: cannot stat {key}", 0 if known else 1)
        program = self.begin(line)
        while program.status is None:
            self._reactor.poll(NS_PER_S)
        return program.result

    def reachable_times(self) -> dict[str, int]:
        """Return each device's reachable_time in ms, which the kernel draws."""
        _, out, _ = self.namespace.run(["ip", "-j", "ntable", "show", "name", "arp_cache"])
        return {table["dev"]: table["reachable"] for table in json.loads(out or "[]") if "dev" in table}

    def settled(self) -> bool:
        """Tell whether every device that is up and has its carrier is known to be so by the rest of the kernel."""
        _, out, _ = self.namespace.run(["ip", "-j", "link"])
        for link in json.loads(out or "[]"):
            port = self.interfaces.named(link["ifname"])
            if port is not None and port.carrier and "UP" in link["flags"] and link["operstate"] != "UP":
                return False
        return True

    def device_names(self) -> dict[int, str]:
        """Return the devices by index."""
        with self.namespace.inside():
            return dict(socket.if_nameindex())

    def _end_programs(self) -> None:
        self.namespace.end_processes()
        for program in self._programs:
            program.close()
        self._programs.clear()

    def close(self) -> None:
        """End what still runs, close every socket, and let the namespace go."""
        self._end_programs()
        self.sockets.close_for_good()
        for port in self.interfaces.by_name.values():
            self._fabric.unplug(port)
        self.interfaces.by_name.clear()
        self.namespace.close()
