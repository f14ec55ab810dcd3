"""TCPMSS: lower, or add, the maximum segment size that a SYN announces.

Source: net/netfilter/xt_TCPMSS.c tcpmss_mangle_packet(), tcpmss_reverse_mtu() (6.x); RFC 9293 section 3.7.1.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.stack.dst import Refused, Route
from netsim.stack.netfilter.hooks import NF_DROP, HookContext, Services
from netsim.stack.netfilter.rulespec import TcpmssTarget
from netsim.stack.netfilter.verdicts import XT_CONTINUE
from netsim.stack.skb import Skb
from netsim.units import Ns
from netsim.wire.checksum import update16
from netsim.wire.ipv4 import IP_HLEN
from netsim.wire.octets import Truncated
from netsim.wire.tcp import TCP_HLEN, TCP_MAX_HLEN, TCPOLEN_MSS, TCPOPT_MSS, iter_options

DEFAULT_MSS = 536
"""What a peer without the option is taken to mean: an added option never says more (RFC 9293 section 3.7.1)."""

IP_CHECK_AT = 10
_CHECK_AT = 16


def tcpmss(spec: TcpmssTarget, services: Services) -> Callable[[Skb, HookContext], int]:
    """Compile `-j TCPMSS`."""

    def action(skb: Skb, ctx: HookContext) -> int:
        if skb.fragment_offset:
            return XT_CONTINUE
        start = skb.ihl
        data = skb.data
        if len(data) < start + TCP_HLEN:
            return _broken(skb)
        doff = (data[start + 12] >> 4) * 4
        if doff < TCP_HLEN or len(data) < start + doff:
            return _broken(skb)
        mss = spec.mss
        if mss is None:
            mtu = min(path_mtu(skb), reverse_mtu(skb, services, now=ctx.now))
            if mtu <= IP_HLEN + TCP_HLEN:
                return _broken(skb)
            mss = mtu - IP_HLEN - TCP_HLEN
        if not _lower(data, start, doff, mss) and len(data) == start + doff and doff < TCP_MAX_HLEN:
            _add(skb, start, min(mss, DEFAULT_MSS))
        return XT_CONTINUE

    return action


def _broken(skb: Skb) -> int:
    skb.drop_detail = "TCPMSS: not a whole TCP header, or an MTU of 40 or less"
    return NF_DROP


def _route_mtu(route: Route) -> int:
    return route.mtu or route.dev.mtu


def path_mtu(skb: Skb) -> int:
    """Return what fits through the packet's route, octets."""
    return _route_mtu(skb.route) if skb.route is not None else 0xFFFF


def reverse_mtu(skb: Skb, services: Services, *, now: Ns) -> int:
    """Return what fits through the route back to the sender, octets; a sender without route limits nothing."""
    route = services.routing.output(skb.saddr, now=now)
    if isinstance(route, Refused) or route.error:
        return 0xFFFF
    return _route_mtu(route)


def _lower(data: bytearray, start: int, doff: int, mss: int) -> bool:
    """Rewrite the option where it says more than `mss`; False when there is none. "Never increase MSS"."""
    try:
        for kind, value, at in iter_options(bytes(data[start + TCP_HLEN : start + doff])):
            if kind != TCPOPT_MSS or len(value) != TCPOLEN_MSS - 2:
                continue
            old = int.from_bytes(value, "big")
            if old > mss:
                where = start + TCP_HLEN + at + 2
                data[where : where + 2] = mss.to_bytes(2, "big")
                _update(data, start, at, old, mss)
            return True
    except Truncated:
        pass  # what a broken option hides is not looked for, as in the kernel's walk
    return False


def _update(data: bytearray, start: int, at: int, old: int, new: int) -> None:
    """Mend the checksum; an option at an odd offset has its octets in two words."""
    if at & 1:
        old, new = old >> 8 | (old & 0xFF) << 8, new >> 8 | (new & 0xFF) << 8
    _patch(data, start + _CHECK_AT, old, new)


def _patch(data: bytearray, where: int, old: int, new: int) -> None:
    """Update the checksum at `where` for a word that went from `old` to `new`."""
    check = update16(int.from_bytes(data[where : where + 2], "big"), old, new)
    data[where : where + 2] = check.to_bytes(2, "big")


def _add(skb: Skb, start: int, mss: int) -> None:
    """Put the option before all others: four octets more, header length, total length; sums follow step by step."""
    data = skb.data
    words = TCPOPT_MSS << 8 | TCPOLEN_MSS, mss
    length = len(data) - start
    doff_word = int.from_bytes(data[start + 12 : start + 14], "big")
    data[start + TCP_HLEN : start + TCP_HLEN] = words[0].to_bytes(2, "big") + words[1].to_bytes(2, "big")
    data[start + 12] += 0x10
    data[2:4] = len(data).to_bytes(2, "big")
    _patch(data, IP_CHECK_AT, len(data) - TCPOLEN_MSS, len(data))
    for old, new in ((length, length + TCPOLEN_MSS), (0, words[0]), (0, words[1]), (doff_word, doff_word + 0x1000)):
        _patch(data, start + _CHECK_AT, old, new)
    skb.reload()
