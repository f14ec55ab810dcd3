"""A box alone with its attacker: every frame that comes in has one end, every drop a name, every answer right sums."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from netsim.addr import parse_ip, parse_mac
from netsim.shell.dispatch import run
from netsim.stack.errno import Refusal
from netsim.stack.netns import Netns
from netsim.stack.profile import KERNELS, profile
from netsim.stack.requests import (
    Accept,
    Bind,
    Close,
    Connect,
    DumpLinks,
    Listen,
    NewLink,
    Receive,
    SetLink,
    Socket,
    TakeErrors,
)
from netsim.trace.records import Consumed, Dropped
from netsim.units import NS_PER_S, Ns
from netsim.wire.drop import DESCRIPTIONS
from netsim.wire.ether import ETH_HLEN, PROTO_IP
from netsim.wire.frame import Frame
from netsim.wire.verify import verify

ROLES = ("host", "router", "nat")
KERNEL_NAMES = tuple(KERNELS)
LAN_MAC, WAN_MAC, PEER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:09:01"


class Victim:
    """A box of one kernel in one role, the clock that drives it, and the books of what came in.

    Devices: eth0 192.168.0.1/24; a router and a NAT router have wan0 10.0.1.2/24 and ppp0 10.8.0.1/24 too, and a
    default route by 10.0.1.1. `open` holds the uids whose end is still due.
    """

    def __init__(self, kernel: str, role: str, *, rng: random.Random | None = None) -> None:
        self.kernel = kernel
        self.role = role
        self.now: Ns = 0
        self.uid = 0
        self.open: set[int] = set()
        self.overheard: Callable[[str, bytes], None] = _nobody
        self.drops: Counter[str] = Counter()
        self.consumed = self.forwarded = self.sent = 0
        self.box = Netns("victim", profile(kernel), rng or random.Random(kernel + role), frozenset({Consumed, Dropped}))
        self._set_up()
        self.devices = [link.name for link in self._ask(DumpLinks()) if link.name != "lo"]
        self._sockets()

    def _set_up(self) -> None:
        self._ask(SetLink(dev="lo", up=True))
        self._ask(NewLink(name="eth0", mac=parse_mac(LAN_MAC)))
        lines = ["ip addr add 192.168.0.1/24 dev eth0", "ip link set eth0 up"]
        if self.role != "host":
            self._ask(NewLink(name="wan0", mac=parse_mac(WAN_MAC)))
            self._ask(NewLink(name="ppp0", kind="ppp", mac=b""))
            lines += [
                "ip addr add 10.0.1.2/24 dev wan0", "ip link set wan0 up", "ip addr add 10.8.0.1/24 dev ppp0",
                "ip link set ppp0 up", "ip route add default via 10.0.1.1", "sysctl -w net.ipv4.ip_forward=1",
                f"ip neigh replace 10.0.1.1 dev wan0 lladdr {PEER_MAC} nud permanent",
            ]  # fmt: skip
        else:
            lines.append("ip route add default via 192.168.0.254")
        if self.role == "nat":
            if self.kernel.startswith("linux-2.2"):
                lines += [
                    "ipchains -A forward -s 192.168.0.0/16 -i wan0 -j MASQ", "ipchains -A input -p tcp -y -l -j ACCEPT",
                ]  # fmt: skip
            else:
                lines += [
                    "iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o wan0 -j MASQUERADE",
                    "iptables -t nat -A PREROUTING -i wan0 -p tcp --dport 8080 -j DNAT --to-destination 192.168.0.5:80",
                    "iptables -A FORWARD -m state --state INVALID -j LOG",
                    "iptables -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
                    "iptables -A INPUT -p udp --dport 53 -j REJECT",
                    "iptables -A INPUT -p tcp --dport 113 -j REJECT --reject-with tcp-reset",
                ]  # fmt: skip
        for line in lines:
            result = run(self.box, line, now=self.now)
            assert result.rc == 0, (line, result)

    def _sockets(self) -> None:
        """Open what an attacker finds on a box: UDP, connected and not, raw, ping, and a listening TCP port."""
        self.udp = self._open("udp", 9)
        self.connected = self._open("udp", 5000, recverr=True)
        self._ask(Connect(fd=self.connected, addr=parse_ip("192.168.0.5"), port=7))
        self.raw = self._ask(Socket(kind="raw", protocol=1))
        self.listener = self._open("tcp", 80)
        self._ask(Listen(fd=self.listener, backlog=8))
        self.children: list[int] = []

    def _open(self, kind: str, port: int, *, recverr: bool = False) -> int:
        fd = self._ask(Socket(kind=kind, recverr=recverr))
        self._ask(Bind(fd=fd, port=port))
        return fd

    def _ask(self, request):
        answer = self.box.request(request, now=self.now)
        assert not isinstance(answer, Refusal), (request, answer)
        self.settle()
        return answer

    # Attack

    def take(self, dev: str, octets: bytes) -> None:
        """Let a frame arrive, and settle the books."""
        self.uid += 1
        self.open.add(self.uid)
        self.box.receive(dev, Frame(octets, self.uid, link_header=dev != "ppp0"), now=self.now)
        self.settle()

    def wait(self, time: Ns) -> None:
        """Let time pass."""
        self.now += time
        self.box.tick(now=self.now)
        self.settle()

    def read(self) -> None:
        """Read what waits on the sockets, as applications do, and close what came in."""
        for fd in (self.udp, self.connected, self.raw):
            self.box.request(Receive(fd=fd), now=self.now)
            self.box.request(TakeErrors(fd=fd), now=self.now)
        child = self.box.request(Accept(fd=self.listener), now=self.now)
        if not isinstance(child, Refusal):
            self.children.append(child)
        if len(self.children) > 4:
            self.box.request(Close(fd=self.children.pop(0)), now=self.now)
        self.settle()

    def settle(self) -> None:
        """Empty the outbox and note every end. Raises AssertionError for an end without a frame or a name."""
        out = self.box.outbox
        for record in out.records:
            if isinstance(record, Dropped):
                assert record.reason in DESCRIPTIONS, record
                self.drops[record.reason] += 1
            else:
                self.consumed += 1
            if record.uid:
                self._end(record.uid, record)
        for frame in out.frames:
            self.sent += 1
            self.overheard(frame.dev, frame.octets)
            if frame.through:
                self.forwarded += 1
                self._end(frame.through, frame.octets)
            elif not frame.bad:
                self._right(frame.octets, link_header=frame.link_header)
        out.records.clear()
        out.frames.clear()
        out.wakes.clear()

    def _end(self, uid: int, how: object) -> None:
        assert uid in self.open, f"frame {uid} ends twice: {how}"
        self.open.remove(uid)

    @staticmethod
    def _right(octets: bytes, *, link_header: bool) -> None:
        """What the box made itself has right lengths and checksums."""
        if link_header:
            if octets[12:14] != PROTO_IP:
                return
            octets = octets[ETH_HLEN:]
        assert not verify(octets), (verify(octets), octets.hex())

    def balanced(self) -> bool:
        """Tell whether every frame without an end is one that the box says it holds."""
        return len(self.open) == self.box.held()

    def drain(self) -> None:
        """Let the time-outs of all that waits pass: a minute for fragments, neighbours and half-open connections."""
        for _ in range(120):
            self.wait(NS_PER_S)


def _nobody(dev: str, octets: bytes) -> None:
    """Overhear nothing."""
