"""Routing again inside a hook: after LOCAL_OUT changed a packet, and the nf_reroute patch's PRE_ROUTING lookup.

Source: ip_route_me_harder(), net/ipv4/netfilter.c (6.x); seed section 7; route-patches 6.
"""

from __future__ import annotations

from netsim.stack.device import Device
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Refused
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_INET_POST_ROUTING, HookFn
from netsim.stack.netfilter.nat_range import NF_NAT_MANIP_SRC
from netsim.stack.netfilter.status import IP_CT_IS_REPLY
from netsim.stack.ports import Routing
from netsim.stack.skb import Skb
from netsim.units import Ns
from netsim.wire import drop


def route_me_harder(skb: Skb, routing: Routing, now: Ns) -> bool:
    """Route a packet of this box anew by its changed header, keeping its source; False drops it.

    A source that is neither ours nor a unicast address counts as none. Mirrors ip_route_me_harder(RTN_UNSPEC).
    """
    usable = routing.address_type(skb.saddr) in (RTN_LOCAL, RTN_UNICAST)
    found = routing.output(
        skb.daddr, now=now, saddr=skb.saddr if usable else 0, tos=skb.tos & 0x1E, mark=skb.mark, proto=skb.proto,
        sport=skb.sport, dport=skb.dport, anysrc=usable,
    )  # fmt: skip
    if isinstance(found, Refused) or found.error:
        skb.drop_reason = drop.IP_OUTNOROUTES
        skb.drop_detail = "no route for the packet that LOCAL_OUT changed"
        return False
    skb.route = found
    skb.out = found.dev
    return True


def nat_reroute(routing: Routing) -> HookFn:
    """Return the nf_reroute patch's hook: route a translated connection's later packets by the source they will have.

    A packet of a direction whose source NAT will change at POST_ROUTING, to M, gets its route here, looked up as if
    it came from M (lsrc): so the connection stays with the provider that owns M. The first packet passes: its source
    is not decided yet. A failed lookup drops.
    Source: ip_nat_route_input() of the patch; seed section 7; route-patches 6.
    """

    def fn(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        ct: Conntrack | None = skb.ct
        if ct is None or not ct.manips or skb.route is not None or indev is None:
            return NF_ACCEPT
        direction = 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0
        wanted = (direction, NF_INET_POST_ROUTING, NF_NAT_MANIP_SRC)
        lsrc = next((manip.ip for manip in ct.manips if manip[:3] == wanted), 0)
        if lsrc in (0, skb.saddr):
            return NF_ACCEPT  # no source mapping, or one that changes the port alone
        found = routing.input(skb.daddr, skb.saddr, skb.tos, indev, now=now, mark=skb.mark, lsrc=lsrc, skb=skb)
        if isinstance(found, Refused):
            skb.drop_reason = found.reason
            skb.drop_detail = "no route for the source that NAT gives this connection"
            return NF_DROP
        skb.route = found
        return NF_ACCEPT

    return fn
