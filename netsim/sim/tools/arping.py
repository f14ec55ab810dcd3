"""arping: ARP requests from a device, each answer on its line. Source: iputils 20221126, arping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.addr import Ip, Mac, ip_str, mac_str, parse_ip
from netsim.shell.tool import CommandResult, Failure, Word
from netsim.sim.node import Node
from netsim.sim.tools.base import POWER_CUT, Story, Waiting, WorldTool, address, read_options
from netsim.stack.device import Device
from netsim.stack.outbox import FrameOut
from netsim.trace.records import FrameDelivered
from netsim.units import NS_PER_S, NS_PER_US, Ns
from netsim.wire.arp import ARP_LEN, ARPOP_REPLY, ARPOP_REQUEST, build_arp, parse_arp
from netsim.wire.ether import ETH_HLEN, ETH_P_ARP, build_ether, ether_proto, pad

_BROADCAST = b"\xff" * 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One arping as it was asked for: `announce` is -A or -U, `probe` -D."""

    shown: str
    to: Ip
    dev: Word
    count: int
    interval: Ns
    src: Ip
    announce: int
    probe: bool
    broadcast: bool
    first: bool
    quiet: bool


class ArpingTool(WorldTool):
    """The command."""

    name = "arping"

    def read(self, argv: Sequence[Word]) -> Call:
        """Parse. Raises Failure."""
        options = read_options(argv, "AUDbfq", "cIswi")
        if len(options.operands) != 1:
            raise Failure("destination address required", 2)
        if "I" not in options:
            raise Failure("device (option -I) is required", 2)
        if "c" not in options and "w" not in options and "f" not in options:
            raise Failure("runs until it is stopped", 2, argv[0], "give it -c COUNT")
        source = options.text("s")
        interval = options.time("i", NS_PER_S)
        count = options.count("c", 0, 1, 1 << 31) or max(1, options.time("w", NS_PER_S) // max(1, interval))
        announce = ARPOP_REPLY if "A" in options else ARPOP_REQUEST if "U" in options else 0
        return Call(
            shown=options.operands[0].text, to=address(options.operands[0]), dev=options.given["I"],
            count=count, interval=interval, src=parse_ip(source) if source else 0, announce=announce,
            probe="D" in options, broadcast="b" in options, first="f" in options, quiet="q" in options,
        )  # fmt: skip

    def story(self, node: Node, argv: Sequence[Word]) -> Story:
        """Ask, and print who answers."""
        try:
            call = self.read(argv)
        except Failure as failure:
            return CommandResult("", f"arping: {failure.stderr}\n", failure.rc)
        device = node.box.interfaces.named(call.dev.text)
        if device is None:
            return CommandResult("", f"arping: Device {call.dev.text} not available.\n", 2)
        if not device.up or device.noarp:
            why = "is down" if not device.up else "is not ARPable"
            return CommandResult("", f'arping: Interface "{device.name}" {why}\n', 2)
        result: CommandResult = yield from _Run(node, call, device).go()
        return result


class _Run:
    """One running arping. It hears what its device hears."""

    def __init__(self, node: Node, call: Call, device: Device) -> None:
        self.node = node
        self.call = call
        self.device = device
        self.waiting = Waiting(node)
        own = device.address_for(call.to)
        self.src = call.to if call.announce else 0 if call.probe else call.src or (own.local if own is not None else 0)
        if not self.src and not call.probe and device.addresses:
            self.src = device.addresses[0].local
        self.lines = [f"ARPING {call.shown} from {ip_str(self.src)} {device.name}"]
        self.received = 0
        self._peer: Mac = _BROADCAST
        self._asked = self._began = node.world.env.now
        self._over = False
        node.world.bus.subscribe((FrameDelivered,), self._heard)

    def go(self) -> Story:
        call, env = self.call, self.node.world.env
        sent = broadcasts = 0
        for turn in range(call.count):
            broadcasts += self._peer == _BROADCAST
            self._ask()
            sent += 1
            due = self._began + (turn + 1) * call.interval
            while env.now < due and not self._over:
                yield from self.waiting.until(due)
                if turn + 1 == call.count and self.received >= sent and not call.probe:
                    break
            if self._over or self.waiting.gone:
                break
        self._over = True
        if self.waiting.gone:
            return POWER_CUT
        self.lines.append(f"Sent {sent} probes ({broadcasts} broadcast(s))")
        self.lines.append(f"Received {self.received} response(s)")
        found = bool(self.received)
        rc = int(found) if call.probe else 0 if call.announce else int(not found)
        return CommandResult("" if call.quiet else "\n".join(self.lines) + "\n", "", rc)

    def _ask(self) -> None:
        call, own = self.call, self.device.mac
        op = call.announce or ARPOP_REQUEST
        target = own if call.announce == ARPOP_REPLY else _BROADCAST
        body = build_arp(op, own, self.src, target, call.to)
        to = _BROADCAST if call.broadcast else self._peer
        self._asked = self.node.world.env.now
        octets = pad(build_ether(to, own, ETH_P_ARP) + body)
        self.node.box.outbox.frames.append(FrameOut(self.device.name, octets, 0, False, True))  # as AF_PACKET sends
        self.node.drain()

    def _heard(self, r: FrameDelivered) -> None:
        if self._over or r.node != self.node.name or r.dev != self.device.name:
            return
        octets = r.frame.octets
        if len(octets) < ETH_HLEN + ARP_LEN or ether_proto(octets) != ETH_P_ARP:
            return
        arp = parse_arp(octets, ETH_HLEN)
        for_us = octets[:6] == self.device.mac and arp.op == ARPOP_REPLY and arp.tpa == self.src
        if arp.spa != self.call.to or not for_us:
            return
        self.received += 1
        taken = (r.t - self._asked) // NS_PER_US
        kind = "Unicast" if octets[:6] != _BROADCAST else "Broadcast"
        where = f"{ip_str(arp.spa)} [{mac_str(arp.sha).upper()}]"
        self.lines.append(f"{kind} reply from {where}  {taken // 1000}.{taken % 1000:03}ms")
        self._peer = arp.sha
        self._over = self.call.first or self.call.probe
        self.waiting.wake()
