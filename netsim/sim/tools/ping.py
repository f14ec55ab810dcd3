"""ping: echo requests at an interval, a line for each reply and error, and the sums. Source: iputils 20221126, ping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from struct import Struct
from types import MappingProxyType

from netsim.addr import Ip, ip_str, parse_ip
from netsim.shell.tool import CommandResult, Failure, Word
from netsim.sim.node import Node
from netsim.sim.tools.base import POWER_CUT, Story, Waiting, WorldTool, address, read_options
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Receive, Send, Socket, SocketName, TakeErrors
from netsim.units import NS_PER_MS, NS_PER_S, NS_PER_US, Ns

_STAMP = Struct("!QH")
_UNREACHABLE = MappingProxyType({
    0: "Destination Net Unreachable", 1: "Destination Host Unreachable", 2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable", 9: "Destination Net Prohibited", 10: "Destination Host Prohibited",
    13: "Packet filtered",
})  # fmt: skip
_LINGER: Ns = 10 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ping as it was asked for; `dev` and `src` come from -I."""

    shown: str
    to: Ip
    count: int
    interval: Ns
    size: int
    ttl: int
    tos: int
    dev: str
    src: Ip
    linger: Ns
    deadline: Ns
    quiet: bool


class PingTool(WorldTool):
    """The command."""

    name = "ping"

    def read(self, argv: Sequence[Word]) -> Call:
        """Parse. Raises Failure."""
        options = read_options(argv, "nqv4", "ciIstWwQ")
        if len(options.operands) != 1:
            raise Failure("usage error: Destination address required", 1)
        if "c" not in options and "w" not in options:
            raise Failure("runs until it is stopped", 1, argv[0], "give it -c COUNT or -w SECONDS")
        bound = options.text("I")
        dotted = bound.count(".") == 3
        return Call(
            shown=options.operands[0].text, to=address(options.operands[0]), count=options.count("c", 0, 1, 1 << 31),
            interval=max(NS_PER_MS, options.time("i", NS_PER_S)), size=options.count("s", 56, 0, 65_507),
            ttl=options.count("t", 0, 1, 255), tos=options.count("Q", 0, 0, 255), dev="" if dotted else bound,
            src=parse_ip(bound) if dotted else 0, linger=options.time("W", _LINGER), deadline=options.time("w", 0),
            quiet="q" in options,
        )  # fmt: skip

    def story(self, node: Node, argv: Sequence[Word]) -> Story:
        """Ask, wait, and print."""
        try:
            call = self.read(argv)
        except Failure as failure:
            return CommandResult("", f"ping: {failure.stderr}\n", failure.rc)
        fd = node.request(Socket(kind="ping", dev=call.dev, ttl=call.ttl, tos=call.tos, recverr=True))
        if isinstance(fd, Refusal):
            return CommandResult("", f"ping: socket: {fd.strerror}\n", 2)
        run = _Run(node, call, fd)
        bound = node.request(Bind(fd=fd, addr=call.src))
        if isinstance(bound, Refusal):
            run.waiting.close()
            return CommandResult("", f"ping: bind: {bound.strerror}\n", 2)
        result: CommandResult = yield from run.go()
        return result


class _Run:
    """One running ping."""

    def __init__(self, node: Node, call: Call, fd: int) -> None:
        self.node = node
        self.call = call
        self.fd = fd
        self.waiting = Waiting(node)
        self.waiting.listen(fd, self._news)
        self.lines: list[str] = []
        self.sent = 0
        self.errors = 0
        self.times: list[Ns] = []
        self._answered: set[int] = set()
        self._began = self._last = node.world.env.now

    def go(self) -> Story:
        call, env = self.call, self.node.world.env
        end = self._began + call.deadline if call.deadline else 1 << 62
        due = self._began
        while not self.waiting.gone and env.now < end:
            if call.count and len(self.times) + self.errors >= call.count:
                break
            if env.now >= due and not (call.count and self.sent >= call.count):
                refusal = self._request()
                if refusal is not None:
                    self.waiting.close()
                    return CommandResult("", f"ping: connect: {refusal.strerror}\n", 2)
                due += call.interval
            if call.count and self.sent >= call.count:
                due = due - call.interval + self._patience()
                yield from self.waiting.until(min(due, end))
                if env.now >= due:
                    break
                due = due - self._patience() + call.interval
            else:
                yield from self.waiting.until(min(due, end))
        if self.waiting.gone:
            return POWER_CUT
        self.waiting.close()
        return CommandResult(self._text(), "", 0 if self.times else 1)

    def _patience(self) -> Ns:
        """How long the last request is waited for: twice the slowest answer, or -W where none came."""
        return max(2 * max(self.times), self.call.interval) if self.times else self.call.linger

    def _request(self) -> Refusal | None:
        self.sent += 1
        self._last = self.node.world.env.now
        call = self.call
        stamp = _STAMP.pack(self.node.world.env.now, self.sent & 0xFFFF)
        payload = stamp + bytes(call.size - len(stamp)) if call.size >= len(stamp) else bytes(call.size)
        answer = self.node.request(Send(fd=self.fd, payload=payload, addr=call.to))
        if self.sent == 1:
            if isinstance(answer, Refusal):
                return answer
            self._head()
        elif isinstance(answer, Refusal):
            self.errors += 1
            self.lines.append(f"ping: sendmsg: {answer.strerror}")
        return None

    def _head(self) -> None:
        call = self.call
        whole = f"{call.size}({call.size + 28}) bytes of data."
        source = ""
        if call.dev or call.src:
            name = self.node.request(SocketName(fd=self.fd))
            here = ip_str(call.src or (0 if isinstance(name, Refusal) else name[0]))
            source = f" from {here} {call.dev}:"
        self.lines.insert(0, f"PING {call.shown} ({ip_str(call.to)}){source} {whole}")

    def _news(self, event: str) -> None:
        if event == "error":
            errors = self.node.request(TakeErrors(fd=self.fd))
            for error in () if isinstance(errors, Refusal) else errors:
                self.errors += 1
                words = _UNREACHABLE.get(error.icmp_code, f"Dest Unreachable, Bad Code: {error.icmp_code}")
                words = "Time to live exceeded" if error.icmp_type == 11 else words  # ICMP_TIME_EXCEEDED
                quoted = error.payload
                number = _STAMP.unpack_from(quoted)[1] if len(quoted) >= _STAMP.size else self.sent
                self._line(f"From {ip_str(error.offender)} icmp_seq={number} {words}")
            return
        messages = self.node.request(Receive(fd=self.fd))
        now = self.node.world.env.now
        for message in () if isinstance(messages, (Refusal, bytes)) else messages:
            number = int.from_bytes(message.payload[6:8], "big")
            body = message.payload[8:]
            duplicate = " (DUP!)" if number in self._answered else ""
            head = f"{len(message.payload)} bytes from {ip_str(message.src)}: icmp_seq={number} ttl={message.ttl}"
            if len(body) >= _STAMP.size:
                taken = now - _STAMP.unpack_from(body)[0]
                head += f" time={_milliseconds(taken)} ms"
            else:
                taken = 0
            if not duplicate:
                self._answered.add(number)
                self.times.append(taken)
            self._line(head + duplicate)

    def _line(self, text: str) -> None:
        if not self.call.quiet:
            self.lines.append(text)

    def _text(self) -> str:
        received, elapsed = len(self.times), self._last - self._began
        errors = f", +{self.errors} errors" if self.errors else ""
        loss = f"{(self.sent - received) * 100 / self.sent:g}%"
        sums = f"{self.sent} packets transmitted, {received} received{errors}, {loss} packet loss"
        out = [*self.lines, "", f"--- {self.call.shown} ping statistics ---", f"{sums}, time {elapsed // NS_PER_MS}ms"]
        if received:
            micro = [taken // NS_PER_US for taken in self.times]
            mean = sum(micro) // received
            mdev = isqrt(max(0, sum(each * each for each in micro) // received - mean * mean))
            four = "/".join(f"{each // 1000}.{each % 1000:03}" for each in (min(micro), mean, max(micro), mdev))
            out.append(f"rtt min/avg/max/mdev = {four} ms")
        else:
            out.append("")
        return "\n".join(out) + "\n"


def _milliseconds(taken: Ns) -> str:
    """Write a time with three significant digits. Source: iputils ping_common.c, gather_statistics()."""
    micro = taken // NS_PER_US
    if micro >= 100_000 - 50:
        return str((micro + 500) // 1000)
    if micro >= 10_000 - 5:
        return f"{(micro + 50) // 1000}.{(micro + 50) % 1000 // 100}"
    if micro >= 1000:
        return f"{(micro + 5) // 1000}.{(micro + 5) % 1000 // 10:02}"
    return f"{micro // 1000}.{micro % 1000:03}"
