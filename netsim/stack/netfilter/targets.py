"""Targets that change the packet, its marks or its tracking, and what every target compiles to: an action.

An action takes (skb, ctx) and answers NF_DROP, NF_ACCEPT or NF_STOLEN to end the table, or XT_CONTINUE to go on with
the next rule. ACCEPT, DROP, RETURN, jumps and LOG are the traversal's own (traverse.py).
Source: net/netfilter/xt_mark.c, xt_connmark.c, xt_CT.c, xt_DSCP.c, xt_HL.c, include/uapi/linux/netfilter/x_tables.h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netsim.errors import InternalError
from netsim.stack.netfilter.conntrack import CtTemplate
from netsim.stack.netfilter.hooks import HookContext, Services
from netsim.stack.netfilter.reject import reject
from netsim.stack.netfilter.rulespec import (
    ConnmarkTarget,
    CtTarget,
    DscpTarget,
    MarkTarget,
    MasqTarget,
    NatTarget,
    RejectTarget,
    TargetSpec,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
)
from netsim.stack.netfilter.status import IP_CT_UNTRACKED
from netsim.stack.netfilter.tcpmss import tcpmss
from netsim.stack.netfilter.verdicts import XT_CONTINUE
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import set_tos, set_ttl

Action: TypeAlias = Callable[[Skb, HookContext], int]


def compile_target(spec: TargetSpec, services: Services) -> Action:
    """Return the action of a target that is neither a verdict nor a jump nor LOG."""
    match spec:
        case NatTarget():
            return _nat(spec)
        case MasqTarget():
            return lambda skb, ctx: ctx.nat.masq(skb, ctx)
        case RejectTarget():
            return reject(spec, services)
        case TcpmssTarget():
            return tcpmss(spec, services)
        case MarkTarget():
            return _mark(spec)
        case ConnmarkTarget():
            return _connmark(spec, services)
        case CtTarget():
            return _ct(spec)
        case TtlTarget():
            return _ttl(spec)
        case TosTarget():
            return _tos(spec.value, spec.mask)
        case DscpTarget():
            return _tos(spec.dscp << 2, 0xFC)
        case _:
            raise InternalError(f"nothing compiles {spec!r}")


def _nat(spec: NatTarget) -> Action:
    wanted = spec.range
    match spec.kind:
        case "SNAT":
            return lambda skb, ctx: ctx.nat.snat(skb, ctx, wanted)
        case "DNAT":
            return lambda skb, ctx: ctx.nat.dnat(skb, ctx, wanted)
        case "MASQUERADE":
            return lambda skb, ctx: ctx.nat.masquerade(skb, ctx, wanted)
        case "REDIRECT":
            return lambda skb, ctx: ctx.nat.redirect(skb, ctx, wanted)
        case "NETMAP":
            return lambda skb, ctx: ctx.nat.netmap(skb, ctx, wanted)
        case _:
            raise InternalError(f"no such NAT target: {spec!r}")


def _mark(spec: MarkTarget) -> Action:
    """Mirror mark_tg()."""
    keep, mark = ~spec.mask & 0xFFFFFFFF, spec.mark

    def action(skb: Skb, ctx: HookContext) -> int:
        skb.mark = skb.mark & keep ^ mark
        return XT_CONTINUE

    return action


def _connmark(spec: ConnmarkTarget, services: Services) -> Action:
    """Mirror connmark_tg_shift() without shifts; a packet without a connection passes."""
    ctmask, nfmask = spec.ctmask, spec.nfmask

    def set_mark(skb: Skb, ctx: HookContext) -> int:
        if skb.ct is not None:
            services.conntrack.set_mark(skb.ct, skb.ct.mark & ~ctmask ^ spec.ctmark)
        return XT_CONTINUE

    def save(skb: Skb, ctx: HookContext) -> int:
        if skb.ct is not None:
            services.conntrack.set_mark(skb.ct, skb.ct.mark & ~ctmask ^ skb.mark & nfmask)
        return XT_CONTINUE

    def restore(skb: Skb, ctx: HookContext) -> int:
        if skb.ct is not None:
            skb.mark = skb.mark & ~nfmask ^ skb.ct.mark & ctmask
        return XT_CONTINUE

    return {"set": set_mark, "save": save, "restore": restore}[spec.mode]


def _ct(spec: CtTarget) -> Action:
    """Mirror xt_ct_target(): a packet that is tracked already (loopback) is left alone."""
    zone, helper = spec.zone, spec.helper

    def notrack(skb: Skb, ctx: HookContext) -> int:
        if skb.ct is None:
            skb.ctinfo = IP_CT_UNTRACKED
        return XT_CONTINUE

    def template(skb: Skb, ctx: HookContext) -> int:
        if skb.ct is None and skb.nfct_template is None:
            number = skb.mark & 0xFFFF if zone == "mark" else zone
            skb.nfct_template = CtTemplate(zone=int(number or 0), helper=helper)
        return XT_CONTINUE

    return notrack if spec.notrack else template


def _ttl(spec: TtlTarget) -> Action:
    """Mirror ttl_tg(): 255 and 0 are the ends."""
    mode, value = spec.mode, spec.value

    def action(skb: Skb, ctx: HookContext) -> int:
        old = skb.data[8]
        new = value if mode == "set" else min(255, old + value) if mode == "inc" else max(0, old - value)
        if new != old:
            set_ttl(skb.data, new)
        return XT_CONTINUE

    return action


def _tos(value: int, mask: int) -> Action:
    """Mirror tos_tg() and dscp_tg()."""

    def action(skb: Skb, ctx: HookContext) -> int:
        new = skb.tos & ~mask & 0xFF ^ value
        if new != skb.tos:
            set_tos(skb.data, new)
            skb.tos = new
        return XT_CONTINUE

    return action
