"""NAT of kernel 6: when a connection's mapping is decided, what the targets ask for, and each packet's translation.

Theory. Destination NAT happens at PRE_ROUTING and LOCAL_OUT, source NAT at LOCAL_IN and POST_ROUTING. The rules are
asked once a connection and kind, by its first packet; no match is a null binding, which keeps the address but may move
the source port. Later packets are translated from the two tuples alone.
Source: nf_nat_inet_fn(), nf_nat_setup_info(), nf_nat_packet(), net/netfilter/nf_nat_core.c; nf_nat_ipv4_fn() and its
callers, nf_nat_proto.c; xt_nat.c, nf_nat_redirect.c, xt_NETMAP.c (6.x); linux-kernel 5.2, 5.7, 5.8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from netsim.addr import LOOPBACK
from netsim.stack.device import Device
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    HookContext,
    HookFn,
    Services,
)
from netsim.stack.netfilter.masquerade import Masquerade
from netsim.stack.netfilter.nat_range import (
    NF_NAT_MANIP_DST,
    NF_NAT_MANIP_SRC,
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.nat_select import UniqueTuple
from netsim.stack.netfilter.reroute import route_me_harder
from netsim.stack.netfilter.rewrite import manip_packet, translate_icmp_error
from netsim.stack.netfilter.seqadj import SeqAdjust
from netsim.stack.netfilter.status import (
    IP_CT_IS_REPLY,
    IP_CT_NEW,
    IP_CT_RELATED,
    IP_CT_RELATED_REPLY,
    IPS_CONFIRMED,
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
)
from netsim.stack.netfilter.tuples import inverted
from netsim.stack.skb import IPPROTO_ICMP, Skb
from netsim.units import Ns

MASQ_PORTS = NatRange(NF_NAT_RANGE_PROTO_SPECIFIED, 0, 0, 61000, 65095)
"""PORT_MASQ_BEGIN to PORT_MASQ_END - 1 (include/net/ip_masq.h)."""

Traverse = Callable[[str, int, Skb, HookContext], int]
"""Who asks the rules: Tables.traverse(table, hook, skb, ctx) -> verdict."""


def manip_of(hook: int) -> int:
    """Mirror HOOK2MANIP()."""
    return NF_NAT_MANIP_SRC if hook in (NF_INET_POST_ROUTING, NF_INET_LOCAL_IN) else NF_NAT_MANIP_DST


class Nat(Protocol):
    """What targets and hooks ask of an era's NAT."""

    masquerading: Masquerade

    def at(self, hook: int) -> HookFn:
        """Return the function to register at `hook`."""
        ...

    def setup(self, ct: Conntrack, wanted: NatRange, maniptype: int, now: Ns, why: str = "") -> int:
        """Decide a connection's mapping of one kind."""
        ...

    def snat(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """SNAT."""
        ...

    def dnat(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """DNAT."""
        ...

    def masquerade(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """MASQUERADE."""
        ...

    def redirect(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """REDIRECT."""
        ...

    def netmap(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """NETMAP."""
        ...

    def masq(self, skb: Skb, ctx: HookContext) -> int:
        """MASQ of ipchains."""
        ...


class Targets:
    """The NAT targets over an era's `setup`."""

    def __init__(self, services: Services, masquerading: Masquerade) -> None:
        self._services = services
        self._names: dict[str, str] = {}
        self.masquerading = masquerading

    def setup(self, ct: Conntrack, wanted: NatRange, maniptype: int, now: Ns, why: str = "") -> int:
        """Decide a connection's mapping; each era has its own."""
        raise NotImplementedError

    def snat(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """Map the source into the range. Source: xt_snat_target_v2()."""
        return self.setup(skb.ct, wanted, NF_NAT_MANIP_SRC, ctx.now, "SNAT")

    def dnat(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """Map the destination into the range. Source: xt_dnat_target_v2()."""
        return self.setup(skb.ct, wanted, NF_NAT_MANIP_DST, ctx.now, "DNAT")

    def masquerade(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """Map the source to an address of the device it leaves by, and tie the connection to that device."""
        ct: Conntrack = skb.ct
        out = ctx.outdev
        if ct.tuple_orig.src == 0 or out is None:
            return NF_ACCEPT  # "locally generated packet that is probably not supposed to be masqueraded"
        if self.masquerading.spares_local and skb.dev is None:
            return NF_ACCEPT
        source = self.masquerading.source(skb, out, now=ctx.now)
        if not source:
            skb.drop_detail = f"{out.name} ate my IP address"
            return NF_DROP
        ct.masq_index = out.ifindex
        asked = NatRange(
            wanted.flags | NF_NAT_RANGE_MAP_IPS, source, source, wanted.min_proto, wanted.max_proto, wanted.base_proto
        )
        why = self._names.setdefault(out.name, f"MASQUERADE {out.name}")  # one string a device, not a connection
        return self.setup(ct, asked, NF_NAT_MANIP_SRC, ctx.now, why)

    def redirect(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """Map the destination to this box: the input device's first address, 127.0.0.1 for its own packets.

        Source: nf_nat_redirect_ipv4().
        """
        address = LOOPBACK
        if ctx.hook != NF_INET_LOCAL_OUT:
            device = ctx.indev
            primaries = [] if device is None else [ifa.local for ifa in device.addresses if not ifa.secondary]
            if not primaries:
                skb.drop_detail = "REDIRECT: the input device has no address"
                return NF_DROP
            address = primaries[0]
        asked = NatRange(
            wanted.flags | NF_NAT_RANGE_MAP_IPS, address, address, wanted.min_proto, wanted.max_proto,
            wanted.base_proto,
        )  # fmt: skip
        return self.setup(skb.ct, asked, NF_NAT_MANIP_DST, ctx.now, "REDIRECT")

    def netmap(self, skb: Skb, ctx: HookContext, wanted: NatRange) -> int:
        """Swap the network part of an address, keeping the host part. Source: netmap_tg4()."""
        maniptype = manip_of(ctx.hook)
        host = wanted.min_ip ^ wanted.max_ip
        old = skb.saddr if maniptype == NF_NAT_MANIP_SRC else skb.daddr
        address = (old & host) | (wanted.min_ip & ~host)
        asked = NatRange(
            wanted.flags | NF_NAT_RANGE_MAP_IPS, address, address, wanted.min_proto, wanted.max_proto,
            wanted.base_proto,
        )  # fmt: skip
        return self.setup(skb.ct, asked, maniptype, ctx.now, "NETMAP")

    def masq(self, skb: Skb, ctx: HookContext) -> int:
        """Masquerade as ipchains' MASQ does, with ports of its own. Source: do_masquerade(), ip_fw_compat_masq.c."""
        return self.masquerade(skb, ctx, MASQ_PORTS)


class MainlineNat(Targets):
    """NAT as kernel 6 does it."""

    def __init__(self, services: Services, table: ConntrackTable, masquerading: Masquerade, traverse: Traverse) -> None:
        super().__init__(services, masquerading)
        self._unique = UniqueTuple(table, services.rng)
        self._table = table
        self._traverse = traverse
        self._mangled_0 = services.era.udp_mangled_0

    def at(self, hook: int) -> HookFn:
        """Return nf_nat_ipv4_pre_routing(), _local_in(), _local_fn() or _out()."""
        if hook == NF_INET_PRE_ROUTING:
            return self._pre_routing
        if hook == NF_INET_LOCAL_OUT:
            return self._local_out

        return partial(self._translate, hook)

    def _pre_routing(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        if skb.ct is None:
            return NF_ACCEPT
        daddr = skb.daddr
        verdict = self._translate(NF_INET_PRE_ROUTING, skb, indev, outdev, now)
        if verdict == NF_ACCEPT and skb.daddr != daddr:
            skb.route = None
        return verdict

    def _local_out(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        ct: Conntrack | None = skb.ct
        if ct is None:
            return NF_ACCEPT
        verdict = self._translate(NF_INET_LOCAL_OUT, skb, indev, outdev, now)
        if verdict != NF_ACCEPT:
            return verdict
        reply = skb.ctinfo >= IP_CT_IS_REPLY
        if ct.tuple(reply).dst != ct.tuple(not reply).src and not route_me_harder(skb, self._services.routing, now):
            return NF_DROP
        return NF_ACCEPT

    def _translate(self, hook: int, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Mirror nf_nat_ipv4_fn() and nf_nat_inet_fn()."""
        ct: Conntrack | None = skb.ct
        if ct is None:
            return NF_ACCEPT
        ctinfo = skb.ctinfo
        maniptype = NF_NAT_MANIP_SRC if hook in (NF_INET_POST_ROUTING, NF_INET_LOCAL_IN) else NF_NAT_MANIP_DST
        if ctinfo in (IP_CT_NEW, IP_CT_RELATED, IP_CT_RELATED_REPLY):
            if ctinfo != IP_CT_NEW and skb.proto == IPPROTO_ICMP:
                # "Only ICMPs can be IP_CT_IS_REPLY"; an expected ICMP query does not exist.
                return NF_ACCEPT if translate_icmp_error(skb, ct, maniptype, self._mangled_0) else NF_DROP
            done = IPS_SRC_NAT_DONE if maniptype == NF_NAT_MANIP_SRC else IPS_DST_NAT_DONE
            if not ct.status & done:
                ctx = HookContext(hook, indev, outdev, now, self._services)
                verdict = self._traverse("nat", hook, skb, ctx)
                if verdict != NF_ACCEPT:
                    return verdict
                if not ct.status & done:
                    verdict = self._null_binding(ct, maniptype, now)
                    if verdict != NF_ACCEPT:
                        return verdict
            elif self._left_elsewhere(hook, ct, ctinfo, outdev):
                return self._kill(skb, ct, now)
        elif ct.masq_index and self._left_elsewhere(hook, ct, ctinfo, outdev):
            return self._kill(skb, ct, now)
        direction = 1 if ctinfo >= IP_CT_IS_REPLY else 0
        if ct.status & (IPS_SRC_NAT if maniptype == direction else IPS_DST_NAT):  # nat_applies(), written out
            return NF_ACCEPT if manip_packet(skb, ct, direction, maniptype, self._mangled_0) else NF_DROP
        return NF_ACCEPT

    def _left_elsewhere(self, hook: int, ct: Conntrack, ctinfo: int, outdev: Device | None) -> bool:
        """Tell whether a masqueraded connection leaves by another device. Source: nf_nat_oif_changed()."""
        return bool(
            ct.masq_index
            and hook == NF_INET_POST_ROUTING
            and ctinfo < IP_CT_IS_REPLY
            and outdev is not None
            and ct.masq_index != outdev.ifindex
        )

    def _kill(self, skb: Skb, ct: Conntrack, now: Ns) -> int:
        self._table.kill(ct, now)
        skb.drop_detail = "masqueraded connection leaves by another device"
        return NF_DROP

    def _null_binding(self, ct: Conntrack, maniptype: int, now: Ns) -> int:
        """Keep the address; a clash may still move the port. Source: nf_nat_alloc_null_binding()."""
        address = ct.tuple_reply.dst if maniptype == NF_NAT_MANIP_SRC else ct.tuple_reply.src
        return self.setup(ct, NatRange(NF_NAT_RANGE_MAP_IPS, address, address), maniptype, now)

    def setup(self, ct: Conntrack, wanted: NatRange, maniptype: int, now: Ns, why: str = "") -> int:
        """Decide a connection's mapping of one kind. Mirrors nf_nat_setup_info()."""
        if ct.status & IPS_CONFIRMED:
            return NF_ACCEPT
        current = inverted(ct.tuple_reply)
        new = self._unique.get(current, wanted, ct, maniptype, now)
        source = maniptype == NF_NAT_MANIP_SRC
        if new != current:
            ct.tuple_reply = inverted(new)
            ct.rewrites = None
            ct.status |= IPS_SRC_NAT if source else IPS_DST_NAT
            if ct.helper is not None and ct.seqadj is None:
                ct.seqadj = SeqAdjust()
        if why:
            ct.why = f"{ct.why}, {why}" if ct.why else why
        ct.status |= IPS_SRC_NAT_DONE if source else IPS_DST_NAT_DONE
        return NF_ACCEPT
