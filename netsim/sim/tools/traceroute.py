"""traceroute: probes of growing time to live, one at a time. Source: traceroute 2.1 (Linux), UDP method, -N 1."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import simpy

from netsim.addr import Ip, ip_str, parse_ip
from netsim.shell.tool import CommandResult, Failure, Word
from netsim.sim.node import Node
from netsim.sim.tools.base import POWER_CUT, Story, Waiting, WorldTool, address, read_options
from netsim.stack.errno import Refusal
from netsim.stack.requests import Bind, Receive, Send, Socket, SocketError, TakeErrors
from netsim.units import NS_PER_S, NS_PER_US, Ns

_FIRST_PORT = 33_434
_MARKS = MappingProxyType({0: " !N", 1: " !H", 2: " !P", 3: "", 9: " !X", 10: " !X", 13: " !X"})
_IP_UDP = 28
_TIME_EXCEEDED = 11

Answer: TypeAlias = tuple[SocketError, Ns] | Refusal | None
"""What came back and how long it took; the kernel's refusal to send; None for silence."""
Probe: TypeAlias = Generator[simpy.Event, Any, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One traceroute as it was asked for."""

    shown: str
    to: Ip
    first: int
    most: int
    queries: int
    wait: Ns
    length: int
    dev: str
    src: Ip
    numeric: bool


class TracerouteTool(WorldTool):
    """The command."""

    name = "traceroute"

    def read(self, argv: Sequence[Word]) -> Call:
        """Parse. Raises Failure."""
        options = read_options(argv, "n4", "fmqwisN")
        if not 1 <= len(options.operands) <= 2:
            raise Failure('Specify "host" missing argument.', 2)
        length = options.operands[1].text if len(options.operands) == 2 else "60"
        if not length.isdecimal() or not _IP_UDP <= int(length) <= 65_000:
            raise Failure(f'Cannot handle "packetlen" cmdline arg `{length}\'', 2, options.operands[-1])
        source = options.text("s")
        return Call(
            shown=options.operands[0].text, to=address(options.operands[0]), first=options.count("f", 1, 1, 255),
            most=options.count("m", 30, 1, 255), queries=options.count("q", 3, 1, 10),
            wait=options.time("w", 5 * NS_PER_S), length=int(length), dev=options.text("i"),
            src=parse_ip(source) if source else 0, numeric="n" in options,
        )  # fmt: skip

    def story(self, node: Node, argv: Sequence[Word]) -> Story:
        """Probe hop by hop, and print."""
        try:
            call = self.read(argv)
        except Failure as failure:
            return CommandResult("", f"traceroute: {failure.stderr}\n", failure.rc)
        lines = [f"traceroute to {call.shown} ({ip_str(call.to)}), {call.most} hops max, {call.length} byte packets"]
        port = _FIRST_PORT
        for ttl in range(call.first, call.most + 1):
            line, said, arrived = f"{ttl:2} ", 0, False
            for _ in range(call.queries):
                answer: Answer = yield from _probe(node, call, ttl, port)
                port += 1
                if node.crashed:
                    return POWER_CUT
                if isinstance(answer, Refusal):
                    return CommandResult("\n".join(lines) + "\n", f"connect: {answer.strerror}\n", 1)
                if answer is None:
                    line += " *"
                    continue
                error, taken = answer
                if error.offender != said:
                    said = error.offender
                    name = ip_str(said)
                    line += f" {name}" if call.numeric else f" {name} ({name})"
                mark = (
                    "" if error.icmp_type == _TIME_EXCEEDED else _MARKS.get(error.icmp_code, f" !<{error.icmp_code}>")
                )
                line += f"  {taken // NS_PER_US // 1000}.{taken // NS_PER_US % 1000:03} ms{mark}"
                arrived |= error.icmp_type != _TIME_EXCEEDED
            lines.append(line)
            if arrived:
                break
        return CommandResult("\n".join(lines) + "\n")


def _probe(node: Node, call: Call, ttl: int, port: int) -> Probe:
    """Send one datagram and wait for the error it comes to."""
    fd = node.request(Socket(kind="udp", dev=call.dev, ttl=ttl, recverr=True))
    if isinstance(fd, Refusal):
        return fd
    waiting = Waiting(node)
    found: list[SocketError] = []

    def heard(event: str) -> None:
        if event == "error":
            errors = node.request(TakeErrors(fd=fd))
            found.extend(() if isinstance(errors, Refusal) else errors)
        else:
            node.request(Receive(fd=fd))

    waiting.listen(fd, heard)
    began = node.world.env.now
    answer: int | Refusal = node.request(Bind(fd=fd, addr=call.src))
    if not isinstance(answer, Refusal):
        answer = node.request(Send(fd=fd, payload=bytes(call.length - _IP_UDP), addr=call.to, port=port))
    if isinstance(answer, Refusal):
        waiting.close()
        return answer
    while not found and not waiting.gone and node.world.env.now < began + call.wait:
        yield from waiting.until(began + call.wait)
    waiting.close()
    return (found[0], node.world.env.now - began) if found else None
