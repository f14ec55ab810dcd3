"""A packet passes through: the checks of ip_forward() in the kernel's order.

Source: net/ipv4/ip_forward.c ip_forward(); linux-kernel note 4.1, for 2.4 note 3.3 (redirect before the DF check).
"""

from __future__ import annotations

from netsim.stack.dst import RTCF_DOREDIRECT, Route
from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_INET_FORWARD
from netsim.stack.skb import PACKET_HOST, Skb
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_EXC_TTL, ICMP_FRAG_NEEDED, ICMP_TIME_EXCEEDED
from netsim.wire.ipv4 import decrement_ttl


class Forward:
    """The passing side of a box's IPv4."""

    def __init__(self, ctx: Ipv4Context) -> None:
        self._ctx = ctx

    def forward(self, skb: Skb, *, now: Ns) -> None:
        """Send a routed packet on, or end it with its reason. Mirrors ip_forward()."""
        ctx = self._ctx
        route = skb.route
        assert route is not None
        if skb.pkt_type != PACKET_HOST:
            ctx.exit.drop(skb, drop.NOT_SPECIFIED, now=now, detail="link broadcast is never forwarded")
            return
        if skb.data[8] <= 1:
            ctx.icmp.send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, now=now)
            ctx.exit.drop(skb, drop.IP_INHDR, now=now, detail="ttl exceeded")
            return
        redirect = route.flags & RTCF_DOREDIRECT and not skb.redirected
        if redirect and ctx.era.redirect_before_mtu:
            ctx.icmp.send_redirect(skb, now=now)
        mtu = forward_mtu(route, use_pmtu=bool(ctx.sysctl.ipv4.ip_forward_use_pmtu))
        if len(skb.data) > mtu and (skb.df or skb.frag_max > mtu):
            ctx.icmp.send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, now=now, info=mtu)
            ctx.exit.drop(skb, drop.PKT_TOO_BIG, now=now)
            return
        decrement_ttl(skb.data)
        if redirect and not ctx.era.redirect_before_mtu:
            ctx.icmp.send_redirect(skb, now=now)
        if not ctx.hooks.idle[NF_INET_FORWARD]:
            verdict = ctx.hooks.run(NF_INET_FORWARD, skb, skb.dev, route.dev, now=now)
            if verdict != NF_ACCEPT:
                if verdict == NF_DROP:
                    ctx.exit.drop(skb, skb.drop_reason or drop.NETFILTER_DROP, now=now, detail=skb.drop_detail)
                return
        ctx.output.output(skb, now=now)


def forward_mtu(route: Route, *, use_pmtu: bool) -> int:
    """Return the MTU that bounds a forwarded packet: a locked route metric, else the device's.

    A learned path MTU counts only with ip_forward_use_pmtu. Source: ip_dst_mtu_maybe_forward().
    """
    if route.mtu and (use_pmtu or route.mtu_locked or not route.expires):
        return min(route.mtu, route.dev.mtu)
    return route.dev.mtu
