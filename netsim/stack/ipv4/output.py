"""A packet leaves: header building for local senders, LOCAL_OUT, POST_ROUTING, fragmentation, the neighbour.

Source: net/ipv4/ip_output.c ip_local_out(), ip_output(), ip_finish_output(), ip_select_ident_segs().
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.dst import Route
from netsim.stack.errno import EPERM
from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.ipv4.fragment import fragment
from netsim.stack.metrics import RTAX_HOPLIMIT
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING
from netsim.stack.skb import Skb
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED
from netsim.wire.ipv4 import IP_DF, build_ipv4


class Output:
    """The sending side of a box's IPv4."""

    def __init__(self, ctx: Ipv4Context) -> None:
        self._ctx = ctx

    def build(
        self, route: Route, saddr: Ip, daddr: Ip, proto: int, payload: bytes, *,
        tos: int = 0, ttl: int = 0, df: bool = False, ident: int | None = None, parent: int = 0,
    ) -> Skb:  # fmt: skip
        """Make a packet of this box; `ttl` 0 takes the route's hoplimit or ip_default_ttl, `ident` None draws one."""
        if ident is None:
            ident = self._ctx.rng.getrandbits(16)
        header = build_ipv4(
            saddr, daddr, proto, len(payload), tos=tos, ident=ident, frag_off=IP_DF if df else 0,
            ttl=ttl or route.metrics[RTAX_HOPLIMIT] or self._ctx.sysctl.ipv4.ip_default_ttl,
        )  # fmt: skip
        skb = Skb(bytearray(header + payload), None, 0, parent)
        skb.route = route
        return skb

    def send(self, skb: Skb, *, now: Ns) -> int:
        """Send a packet made here, its route attached; EPERM when a hook dropped it, else 0. Mirrors ip_local_out()."""
        ctx = self._ctx
        route = skb.route
        assert route is not None
        if not ctx.hooks.idle[NF_INET_LOCAL_OUT]:
            verdict = ctx.hooks.run(NF_INET_LOCAL_OUT, skb, None, route.dev, now=now)
            if verdict != NF_ACCEPT:
                return self._dropped(skb, verdict, now)
        return self.output(skb, now=now)

    def _dropped(self, skb: Skb, verdict: int, now: Ns) -> int:
        """End a packet that a hook did not accept. Source: nf_hook_slow(), "case NF_DROP: ... ret = -EPERM"."""
        if verdict != NF_DROP:
            return 0
        self._ctx.exit.drop(skb, skb.drop_reason or drop.NETFILTER_DROP, now=now, detail=skb.drop_detail)
        return EPERM

    def output(self, skb: Skb, *, now: Ns) -> int:
        """Walk POST_ROUTING and leave by the route's device; answers as `send`. Mirrors ip_output()."""
        ctx = self._ctx
        route = skb.route
        assert route is not None
        dev = route.dev
        skb.out = dev
        if not ctx.hooks.idle[NF_INET_POST_ROUTING]:
            verdict = ctx.hooks.run(NF_INET_POST_ROUTING, skb, skb.dev, dev, now=now)
            if verdict != NF_ACCEPT:
                return self._dropped(skb, verdict, now)
            route = skb.route
            assert route is not None
            dev = route.dev
        if dev.loopback:
            ctx.exit.loop(skb, now=now)
            return 0
        mtu = self._mtu(skb, route)
        if len(skb.data) > mtu or (skb.frag_max and len(skb.data) > skb.frag_max):
            self._fragment(skb, route, min(mtu, skb.frag_max or mtu), now=now)
            return 0
        ctx.neigh.output(skb, dev, route.gateway or skb.daddr, now=now)
        if skb.trail is not None:
            ctx.memory.forwarded(skb, route, now=now)
        return 0

    def _mtu(self, skb: Skb, route: Route) -> int:
        """Return what bounds this packet: a forwarded one ignores learned path MTUs."""
        if not route.mtu:
            return route.dev.mtu
        if skb.dev is not None and route.expires and not self._ctx.sysctl.ipv4.ip_forward_use_pmtu:
            return route.dev.mtu
        return min(route.mtu, route.dev.mtu)

    def _fragment(self, skb: Skb, route: Route, mtu: int, *, now: Ns) -> None:
        """Split a packet, or refuse when DF forbids it. Mirrors ip_fragment()."""
        ctx = self._ctx
        if skb.df and not skb.frag_max:
            ctx.icmp.send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, now=now, info=mtu)
            ctx.exit.drop(skb, drop.PKT_TOO_BIG, now=now)
            return
        for number, piece in enumerate(fragment(skb.data, mtu)):
            part = Skb(piece, skb.dev, skb.uid if number == 0 else 0, skb.parent)
            part.route = route
            part.out = route.dev
            part.mark = skb.mark
            part.sock = skb.sock
            part.bad = skb.bad
            ctx.neigh.output(part, route.dev, route.gateway or part.daddr, now=now)
