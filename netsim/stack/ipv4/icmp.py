"""ICMP: answering echoes, making errors within their limits, and telling sockets and routing what others report.

Source: RFC 792, RFC 1122 3.2.2, RFC 1812 4.3; net/ipv4/icmp.c __icmp_send(), icmp_reply(), icmp_unreach(),
icmp_redirect(); net/ipv4/route.c ip_error(), ip_rt_send_redirect(); linux-kernel notes 4.2 to 4.4.
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_LINK
from netsim.stack.dst import (
    RTCF_BROADCAST,
    RTCF_MULTICAST,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    Refused,
    Route,
)
from netsim.stack.errno import EACCES, EHOSTUNREACH, ENETUNREACH
from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.ipv4.limits import IcmpLimits
from netsim.stack.skb import IPPROTO_ICMP, PACKET_HOST, Skb
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.checksum import is_valid
from netsim.wire.icmp import (
    ERROR_TYPES,
    ICMP_DEST_UNREACH,
    ICMP_ECHO,
    ICMP_ECHOREPLY,
    ICMP_FRAG_NEEDED,
    ICMP_HLEN,
    ICMP_HOST_UNREACH,
    ICMP_NET_UNREACH,
    ICMP_PARAMETERPROB,
    ICMP_PKT_FILTERED,
    ICMP_REDIR_HOST,
    ICMP_REDIRECT,
    ICMP_TIMESTAMP,
    ICMP_TIMESTAMPREPLY,
    NR_ICMP_TYPES,
    build_icmp,
    parse_icmp,
)

TOS_ERROR = 0xC0
"""Internetwork control precedence, put over the offender's TOS. Source: __icmp_send()."""
TOS_KEPT = 0x1E
NS_PER_DAY = 86_400_000_000_000
NO_ADDRESS = 0xC0000008
"""192.0.0.8, the source of an error from a box without any address. Source: RFC 7600, inet_select_addr() callers."""
_ROUTE_ERROR_CODE = MappingProxyType(
    {
        ENETUNREACH: ICMP_NET_UNREACH,
        EHOSTUNREACH: ICMP_HOST_UNREACH,
        EACCES: ICMP_PKT_FILTERED,
    }
)


class Icmp:
    """The ICMP of one box. Mirrors the users of the per-net ICMP socket."""

    def __init__(self, ctx: Ipv4Context) -> None:
        self._ctx = ctx
        self._limits = IcmpLimits(ctx.sysctl, ctx.rng)

    # Errors we make

    def send(self, skb: Skb, icmp_type: int, code: int, *, now: Ns, info: int = 0) -> None:
        """Answer the sender of `skb` with an error, or keep silent where the rules say so. Mirrors __icmp_send().

        `info` is the second word (next-hop MTU, gateway, pointer).
        """
        ctx = self._ctx
        route = skb.route
        if route is None or not self._may_answer(skb, route, icmp_type):
            return
        source = self._error_source(skb, route)
        tos = (skb.tos & TOS_KEPT) | TOS_ERROR if icmp_type in ERROR_TYPES else skb.tos
        mark = skb.mark if ctx.sysctl.ipv4.fwmark_reflect else 0
        back = ctx.routing.output(
            skb.saddr, now=now, saddr=source, tos=tos & 0x1C, mark=mark, proto=IPPROTO_ICMP, anysrc=True
        )
        if isinstance(back, Refused):
            return
        if not self._limits.allow(icmp_type, code, skb.saddr, loopback=back.dev.loopback, now=now):
            return
        mtu = min(back.mtu or back.dev.mtu, ctx.era.icmp_quote_octets)
        quoted = bytes(skb.data[: mtu - 20 - ICMP_HLEN])
        message = build_icmp(icmp_type, code, info, quoted)
        answer = ctx.output.build(
            back, source or back.src or NO_ADDRESS, skb.saddr, IPPROTO_ICMP, message, tos=tos, parent=skb.parent
        )
        answer.mark = mark
        answer.bad = skb.bad
        ctx.hooks.attach(answer, skb)
        ctx.output.send(answer, now=now)

    @staticmethod
    def _may_answer(skb: Skb, route: Route, icmp_type: int) -> bool:
        """Apply the rules of RFC 1122 3.2.2: no error about broadcasts, later fragments or other errors."""
        if skb.dev is not None and skb.pkt_type != PACKET_HOST:
            return False
        if route.flags & (RTCF_BROADCAST | RTCF_MULTICAST) or route.kind in (RTN_BROADCAST, RTN_MULTICAST):
            return False
        if skb.fragment_offset:
            return False
        if icmp_type in ERROR_TYPES and skb.proto == IPPROTO_ICMP:
            at = skb.ihl
            if len(skb.data) <= at:
                return False
            inner = skb.data[at]
            if inner > NR_ICMP_TYPES or inner in ERROR_TYPES:
                return False
        return True

    def _error_source(self, skb: Skb, route: Route) -> Ip:
        """Return the error's source, 0 to let routing choose: the preferred source of the way back."""
        if route.kind == RTN_LOCAL and skb.dev is not None:
            return skb.daddr
        dev = skb.dev
        if self._ctx.sysctl.ipv4.icmp_errors_use_inbound_ifaddr and dev is not None:
            return self._ctx.interfaces.select_address(dev, skb.saddr, RT_SCOPE_LINK)
        return 0

    def route_error(self, skb: Skb, errno: int, *, now: Ns) -> None:
        """End a packet whose route is an error; the sender hears of it if this interface forwards. Mirrors ip_error().

        The destination's bucket is charged here and again by the limit of `send`: see linux-kernel 4.3.
        """
        dev = skb.dev
        code = _ROUTE_ERROR_CODE.get(errno)
        reason = drop.IP_INNOROUTES if errno in (ENETUNREACH, EHOSTUNREACH) else drop.IP_INADDRERRORS
        if code is not None and dev is not None and dev.conf.forwarding and self._limits.charge(skb.saddr, now=now):
            self.send(skb, ICMP_DEST_UNREACH, code, now=now)
        self._ctx.exit.drop(skb, reason, now=now)

    def link_failure(self, skb: Skb, *, now: Ns) -> None:
        """Report a packet that waited for a neighbour in vain, which the table ends. Mirrors ipv4_link_failure()."""
        self.send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, now=now)
        if skb.route is not None:
            self._ctx.lessons.link_failed(skb.route, now=now)

    def send_redirect(self, skb: Skb, *, now: Ns) -> None:
        """Tell a host of its better first hop, backing off. Mirrors ip_rt_send_redirect()."""
        route = skb.route
        dev = skb.dev
        if route is None or dev is None or not dev.conf.send_redirects | self._ctx.sysctl.conf_all.send_redirects:
            return
        if self._limits.redirect_allowed(skb.saddr, now=now):
            self.send(skb, ICMP_REDIRECT, ICMP_REDIR_HOST, now=now, info=route.nexthop(skb.daddr))

    # Messages that come in

    def receive(self, skb: Skb, *, now: Ns) -> None:
        """Take an ICMP message addressed to us. Mirrors icmp_rcv()."""
        ctx = self._ctx
        at = skb.ihl
        data = skb.data
        if len(data) < at + ICMP_HLEN:
            ctx.exit.drop(skb, drop.HDR_TRUNC, now=now)
            return
        if not is_valid(data[at:]):
            ctx.exit.drop(skb, drop.ICMP_CSUM, now=now)
            return
        kind = data[at]
        route = skb.route
        wide = route is not None and bool(route.flags & (RTCF_BROADCAST | RTCF_MULTICAST))
        if kind > NR_ICMP_TYPES or (wide and kind not in (ICMP_ECHO, ICMP_TIMESTAMP)):
            ctx.exit.drop(skb, drop.UNHANDLED_PROTO, now=now)
            return
        if kind == ICMP_ECHOREPLY:
            if not ctx.sockets.deliver_echo_reply(skb, now=now):
                ctx.exit.drop(skb, drop.NO_SOCKET, now=now)
                return
        elif kind == ICMP_ECHO:
            ignored = ctx.sysctl.ipv4.icmp_echo_ignore_all or (wide and ctx.sysctl.ipv4.icmp_echo_ignore_broadcasts)
            if ignored:
                ctx.exit.drop(skb, drop.NOT_SPECIFIED, now=now, detail="echo ignored by sysctl")
                return
            self._reply(skb, bytes((ICMP_ECHOREPLY,)) + bytes(data[at + 1 :]), now=now)
        elif kind == ICMP_TIMESTAMP:
            if len(data) < at + ICMP_HLEN + 12 or (wide and ctx.sysctl.ipv4.icmp_echo_ignore_broadcasts):
                ctx.exit.drop(skb, drop.HDR_TRUNC, now=now)
                return
            stamp = (now % NS_PER_DAY // 1_000_000).to_bytes(4, "big")
            body = bytes(data[at + ICMP_HLEN : at + ICMP_HLEN + 4]) + stamp + stamp
            self._reply(skb, bytes((ICMP_TIMESTAMPREPLY,)) + bytes(data[at + 1 : at + ICMP_HLEN]) + body, now=now)
        elif kind in ERROR_TYPES and not self._error_received(skb, at, now=now):
            return
        ctx.input.consumed(skb, now=now)

    def _reply(self, skb: Skb, message: bytes, *, now: Ns) -> None:
        """Answer a query from the address it was sent to. Mirrors icmp_reply(): TOS copied, DF clear."""
        ctx = self._ctx
        route = skb.route
        assert route is not None
        source = skb.daddr if route.kind == RTN_LOCAL else 0
        header = parse_icmp(message)
        message = build_icmp(header.type, header.code, header.rest, message[ICMP_HLEN:])
        mark = skb.mark if ctx.sysctl.ipv4.fwmark_reflect else 0
        back = ctx.routing.output(
            skb.saddr,
            now=now,
            saddr=source or route.src,
            tos=skb.tos & 0x1C,
            mark=mark,
            proto=IPPROTO_ICMP,
            anysrc=True,
        )
        if isinstance(back, Refused):
            return
        if not self._limits.allow(header.type, header.code, skb.saddr, loopback=back.dev.loopback, now=now):
            return
        answer = ctx.output.build(
            back, source or back.src, skb.saddr, IPPROTO_ICMP, message, tos=skb.tos, parent=skb.parent
        )
        answer.mark = mark
        answer.bad = skb.bad
        ctx.output.send(answer, now=now)

    def _error_received(self, skb: Skb, at: int, *, now: Ns) -> bool:
        """Hand an error to routing and to the socket it concerns; False when it was dropped. Mirrors icmp_unreach()."""
        ctx = self._ctx
        header = parse_icmp(skb.data, at)
        inner = bytes(skb.data[at + ICMP_HLEN :])
        if len(inner) < 20 or inner[0] >> 4 != 4 or len(inner) < (inner[0] & 15) * 4:
            ctx.exit.drop(skb, drop.HDR_TRUNC, now=now)
            return False
        saddr, daddr = int.from_bytes(inner[12:16], "big"), int.from_bytes(inner[16:20], "big")
        if header.type == ICMP_REDIRECT:
            dev = skb.dev
            assert dev is not None
            ctx.lessons.learn_redirect(skb.saddr, daddr, saddr, dev, header.rest, now=now)
            return True
        info = 0
        if header.type == ICMP_DEST_UNREACH and header.code == ICMP_FRAG_NEEDED:
            info = header.mtu
            if ctx.sysctl.ipv4.ip_no_pmtu_disc == 0 and ctx.interfaces.is_local(saddr):
                ctx.lessons.learn_pmtu(daddr, saddr, info, now=now)
        elif header.type == ICMP_PARAMETERPROB:
            info = header.rest >> 24
        if ctx.routing.address_type(daddr) == RTN_BROADCAST:
            ctx.exit.drop(skb, drop.INVALID_PROTO, now=now, detail="error about a broadcast")
            return False
        ctx.sockets.icmp_error(skb, header.type, header.code, info, inner, now=now)
        return True
