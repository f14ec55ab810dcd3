"""Segments without a socket behind them: the RST for a stray one, the ACK of a resting or half-open connection.

They have IP id 0, DF, and a reset has window 0. Device, mark and TOS are the socket's where the kernel still has it,
else the TOS is that of what they answer.
Source: tcp_v4_send_reset(), tcp_v4_send_ack(), tcp_v4_timewait_ack(), ip_send_unicast_reply() (6.x); RFC 9293
section 3.5.2; observed-linux 13.
"""

from __future__ import annotations

from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, Refused
from netsim.stack.skb import IPPROTO_TCP, Skb
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.segment import Segment
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.units import Ns
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_RST, build_options, build_tcp


class Stateless:
    """Answers a segment to where it came from."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def reset(self, seg: Segment, *, now: Ns, sock: TcpSocket | None = None) -> None:
        """Answer with RST: never a RST, and none for what was not addressed to us alone.

        `sock` is the socket that was found, whose device and mark it goes by.
        """
        skb = seg.skb
        if seg.flags & TCPHDR_RST or (skb.route is not None and skb.route.kind != RTN_LOCAL):
            return
        dev, mark = (sock.dev, sock.mark) if sock is not None else (None, 0)
        if seg.flags & TCPHDR_ACK:
            self._send(skb, seg.ack, 0, TCPHDR_RST, 0, b"", now=now, dev=dev, mark=mark, tos=skb.tos)
        else:
            flags = TCPHDR_RST | TCPHDR_ACK
            self._send(skb, 0, seg.end, flags, 0, b"", now=now, dev=dev, mark=mark, tos=skb.tos)

    def acknowledge(
        self, skb: Skb, seq: int, ack: int, window: int, stamp: tuple[int, int] | None, *, now: Ns,
        dev: Device | None, mark: int, tos: int,
    ) -> None:  # fmt: skip
        """Answer with a bare ACK; `stamp` is (TSval, TSecr) where the connection has timestamps."""
        options = build_options(timestamp=stamp) if stamp is not None else b""
        self._send(skb, seq, ack, TCPHDR_ACK, window, options, now=now, dev=dev, mark=mark, tos=tos)

    def _send(
        self, skb: Skb, seq: int, ack: int, flags: int, window: int, options: bytes, *, now: Ns, dev: Device | None,
        mark: int, tos: int,
    ) -> None:  # fmt: skip
        ctx = self._ctx
        mark = (skb.mark if ctx.sysctl.ipv4.fwmark_reflect else 0) or mark
        route = ctx.routing.output(
            skb.saddr, now=now, saddr=skb.daddr, tos=tos & 0x1C, oif=dev, mark=mark, proto=IPPROTO_TCP,
            sport=skb.dport, dport=skb.sport,
        )  # fmt: skip
        if isinstance(route, Refused) or route.error:
            return
        message = build_tcp(
            skb.daddr, skb.saddr, skb.dport, skb.sport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, window, b"", options
        )
        answer = ctx.sender.build(
            route, skb.daddr, skb.saddr, IPPROTO_TCP, message, tos=tos, df=True, ident=0, parent=ctx.cause
        )
        answer.mark = mark
        ctx.sender.send(answer, now=now)
