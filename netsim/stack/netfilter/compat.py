"""ipchains on 2.4: masquerading inside FORWARD, over a connection table that knows masqueraded flows alone.

Theory. Without the iptables modules nothing is tracked but what a MASQ rule names: the rule itself tracks the packet,
maps it with ports of its own (61000 to 65095) and translates it. Answers are recognised at PRE_ROUTING, after the input
chain, by the table; a packet so recognised skips the forward chain. With the routes patch, each later packet of a
masqueraded flow is routed again by the address it was given, and its route swapped.
Source: net/ipv4/netfilter/ip_fw_compat.c, ip_fw_compat_masq.c (2.4.27) with the patch; route-patches 6; patched-nat
corrections N12.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_UNIVERSE
from netsim.stack.device import Device
from netsim.stack.dst import RTCF_MASQ, Refused
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.helper import help_and_adjust
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_FORWARD,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    HookContext,
    Services,
)
from netsim.stack.netfilter.masq22 import MasqPorts, damaged
from netsim.stack.netfilter.nat import MASQ_PORTS, Traverse
from netsim.stack.netfilter.nat24 import OldNat
from netsim.stack.netfilter.nat_range import NF_NAT_MANIP_SRC, NF_NAT_RANGE_MAP_IPS, NatRange
from netsim.stack.netfilter.status import (
    IP_CT_IS_REPLY,
    IP_CT_RELATED,
    IP_CT_RELATED_REPLY,
    IPS_EXPECTED,
    IPS_SRC_NAT_DONE,
)
from netsim.stack.netfilter.track import Tracking
from netsim.stack.netfilter.tuples import read_tuple
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.units import Ns
from netsim.wire import drop

TABLE = "ipchains"
MASQUERADABLE = frozenset({IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP})


class Compat:
    """The three hooks of ipchains and its MASQ target.

    `reroutes`: later packets are routed by their masqueraded source. `ports`: 2.2's own way of choosing them, which
    also survives a failed rerouting and, without masq_csum_reroute, drops what came in damaged.
    """

    def __init__(
        self, services: Services, table: ConntrackTable, tracking: Tracking, nat: OldNat, traverse: Traverse, *,
        reroutes: bool, ports: MasqPorts | None = None,
    ) -> None:  # fmt: skip
        self._services = services
        self._table = table
        self._tracking = tracking
        self._nat = nat
        self._traverse = traverse
        self._reroutes = reroutes
        self._ports = ports

    def pre_routing(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Ask the input chain, then recognise answers to masqueraded packets."""
        ctx = HookContext(NF_INET_PRE_ROUTING, indev, outdev, now, self._services)
        verdict = self._traverse(TABLE, NF_INET_PRE_ROUTING, skb, ctx)
        return self._demasquerade(skb, now) if verdict == NF_ACCEPT else verdict

    def forward(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Ask the forward chain; "Connection will only be set if it was demasqueraded: if so, skip forward chain"."""
        if skb.ct is not None:
            return self._masquerade_expected(skb, now)
        ctx = HookContext(NF_INET_FORWARD, indev, outdev, now, self._services)
        if skb.route is not None and skb.route.flags & RTCF_MASQ:
            return self.masquerade(skb, ctx)  # an ip rule said `nat 0`: no chain is asked
        return self._traverse(TABLE, NF_INET_FORWARD, skb, ctx)

    def post_routing(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Ask the output chain, put a new connection into the table, translate the inside's own ICMP errors."""
        ctx = HookContext(NF_INET_POST_ROUTING, indev, outdev, now, self._services)
        verdict = self._traverse(TABLE, NF_INET_POST_ROUTING, skb, ctx)
        if verdict != NF_ACCEPT or skb.ct is None:
            return verdict
        ct: Conntrack = skb.ct
        if (ct.helper is not None or ct.seqadj is not None) and help_and_adjust(skb, ct, now) != NF_ACCEPT:
            return NF_DROP
        if self._table.confirm(skb, now) != NF_ACCEPT:
            return NF_DROP
        if skb.proto == IPPROTO_ICMP and skb.ctinfo == IP_CT_RELATED:
            return self._nat.translate_error(skb, skb.ct, NF_INET_POST_ROUTING, 0)
        return NF_ACCEPT

    def _demasquerade(self, skb: Skb, now: Ns) -> int:
        """Mirror check_for_demasq(): only packets of a connection that a MASQ rule began are tracked."""
        ct = skb.ct
        if skb.proto not in MASQUERADABLE or ct is not None:
            return NF_ACCEPT
        if skb.proto == IPPROTO_ICMP:
            self._tracking.icmp_error(skb, NF_INET_PRE_ROUTING, 0, now)
            ct = skb.ct
            if ct is not None:
                if skb.ctinfo < IP_CT_IS_REPLY:
                    return NF_ACCEPT  # from inside: its turn comes at POST_ROUTING
                return self._nat.translate_error(skb, ct, NF_INET_PRE_ROUTING, 1)
        key = read_tuple(skb.data)
        if key is None:
            return NF_ACCEPT
        found = self._table.find(key, now)
        if found is None:
            if not self._table.expectations.awaits(key, now):
                return NF_ACCEPT
        elif not found[1] and not found[0].status & IPS_EXPECTED:
            return NF_ACCEPT
        verdict = self._tracking.track(skb, NF_INET_PRE_ROUTING, now)
        if verdict == NF_ACCEPT and skb.ct is not None:
            self._nat.bind(skb, skb.ct, NF_INET_PRE_ROUTING, 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0)
        return verdict

    def _masquerade_expected(self, skb: Skb, now: Ns) -> int:
        """Let pass what was demasqueraded, no chain is asked; mask answers to a data connection that FTP announced."""
        ct: Conntrack = skb.ct
        if not ct.status & IPS_EXPECTED or skb.ctinfo < IP_CT_IS_REPLY or skb.ctinfo == IP_CT_RELATED_REPLY:
            return NF_ACCEPT
        self._nat.bind(skb, ct, NF_INET_POST_ROUTING, 1)
        return self._reroute(skb, now) if self._reroutes else NF_ACCEPT

    def masquerade(self, skb: Skb, ctx: HookContext) -> int:
        """Mirror do_masquerade(), with the patch's lookup for a new connection and rerouting of an old one."""
        out = ctx.outdev
        if skb.proto not in MASQUERADABLE or out is None:
            return NF_DROP
        if self._ports is not None and not self._reroutes and damaged(skb):
            return NF_DROP
        verdict = self._tracking.track(skb, NF_INET_POST_ROUTING, ctx.now)
        ct: Conntrack | None = skb.ct
        if verdict != NF_ACCEPT or ct is None:
            return NF_DROP
        new = not ct.status & IPS_SRC_NAT_DONE
        if new:
            source = self._source(skb, out, ctx.now)
            if not source:
                return NF_DROP
            low, high = MASQ_PORTS.min_proto, MASQ_PORTS.max_proto
            if self._ports is not None:
                low = high = self._ports.take(ct, source, ctx.now)
            wanted = NatRange(NF_NAT_RANGE_MAP_IPS | MASQ_PORTS.flags, source, source, low, high)
            if self._nat.setup(ct, wanted, NF_NAT_MANIP_SRC, ctx.now, f"MASQ {out.name}") != NF_ACCEPT:
                return NF_DROP
        direction = 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0
        before = skb.saddr
        self._nat.bind(skb, ct, NF_INET_POST_ROUTING, direction)
        if self._reroutes and not new and skb.saddr != before:
            return self._reroute(skb, ctx.now)
        return NF_ACCEPT

    def _source(self, skb: Skb, out: Device, now: Ns) -> Ip:
        """Return what a new connection is masqueraded as, 0 when there is no route.

        With the patch, and on 2.2, as MASQUERADE does. Stock 2.4 asks for the bare destination, whatever device the
        packet leaves by, and takes an address of the device it is told.
        """
        if self._reroutes or self._ports is not None:
            return self._nat.masquerading.source(skb, out, now=now)
        services = self._services
        found = services.routing.output(skb.daddr, now=now)
        if isinstance(found, Refused) or found.error:
            return 0
        return services.interfaces.select_address(found.dev, found.nexthop(skb.daddr), RT_SCOPE_UNIVERSE)

    def _reroute(self, skb: Skb, now: Ns) -> int:
        """Swap the route for the one of the source this packet now has; no route drops it."""
        found = self._services.routing.output(skb.daddr, now=now, saddr=skb.saddr, tos=skb.tos & 0x1E, mark=skb.mark)
        if isinstance(found, Refused) or found.error:
            if self._ports is not None:
                return NF_ACCEPT
            skb.drop_reason = drop.IP_OUTNOROUTES
            skb.drop_detail = "no route for the masqueraded source"
            return NF_DROP
        skb.route = found
        skb.out = found.dev
        return NF_ACCEPT
