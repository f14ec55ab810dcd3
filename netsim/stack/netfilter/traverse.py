"""The way of a packet through a table: rules in order, jumps, the policy, and the record of what was decided.

Source: net/ipv4/netfilter/ip_tables.c ipt_do_table(), net/netfilter/nf_tables_core.c nft_do_chain().
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.errors import InternalError
from netsim.stack.netfilter import klog
from netsim.stack.netfilter.hooks import HOOK_CHAINS, NF_ACCEPT, NF_DROP, HookContext, Services
from netsim.stack.netfilter.ruleset import ACTION, GOTO, JUMP, LOG, RETURN, VERDICT, Chain, Rule, Table
from netsim.stack.netfilter.rulespec import LogTarget, SideTarget
from netsim.stack.netfilter.verdicts import XT_CONTINUE
from netsim.stack.skb import Skb
from netsim.trace.records import HookVerdict
from netsim.wire.ipv4 import set_tos

VERDICT_NAMES = MappingProxyType({NF_DROP: "DROP", NF_ACCEPT: "ACCEPT", 2: "STOLEN"})


def traverse(table: Table, base: Chain, policy: Rule, skb: Skb, ctx: HookContext) -> int:
    """Take a packet through a built-in chain and whatever it jumps to; `policy` is the chain's last word as a rule.

    Returns NF_DROP, NF_ACCEPT or NF_STOLEN. A drop leaves its place in `skb.drop_detail`.
    """
    size = len(skb.data)
    chain, rules, at = base, base.rules, 0
    callers: list[tuple[Chain, int]] = []
    while True:
        if at == len(rules):
            if not callers:
                break
            chain, at = callers.pop()
            rules = chain.rules
            continue
        rule = rules[at]
        at += 1
        match = rule.match
        if match is not None and not match(skb, ctx):
            continue
        rule.packets += 1
        rule.bytes += size
        if rule.side is not None:
            _do_side(rule, rule.side, at, chain, table, skb, ctx)
        kind = rule.kind
        if kind == VERDICT:
            return _decided(NF_ACCEPT if rule.accept else NF_DROP, rule, at, chain, table, skb, ctx)
        if kind == JUMP:
            callers.append((chain, at))
            chain = table.chains[rule.chain]
            rules, at = chain.rules, 0
        elif kind == ACTION:
            if rule.action is None:
                raise InternalError(f"a rule without its action: {rule.spec!r}")
            verdict = rule.action(skb, ctx)
            if verdict != XT_CONTINUE:
                return _decided(verdict, rule, at, chain, table, skb, ctx)
            size = len(skb.data)
        elif kind == LOG:
            _log(rule, at, chain, table, skb, ctx)
        elif kind == RETURN:
            at = len(rules)
        elif kind == GOTO:
            chain = table.chains[rule.chain]
            rules, at = chain.rules, 0
    if base.counted or ctx.services.era.policy_counts:
        base.packets += 1
        base.bytes += size
    if policy.kind == VERDICT:
        verdict = NF_ACCEPT if policy.accept else NF_DROP
        if verdict == NF_ACCEPT and not base.rules:
            return verdict
    else:
        if policy.action is None:
            raise InternalError(f"a policy without its action: {policy.spec!r}")
        verdict = policy.action(skb, ctx)
    return _decided(verdict, policy, 0, base, table, skb, ctx)


def _do_side(rule: Rule, side: SideTarget, number: int, chain: Chain, table: Table, skb: Skb, ctx: HookContext) -> None:
    """Do what a rule of ipchains does before its target. Source: ip_fw_check(), net/ipv4/ip_fw.c (2.2)."""
    if side.mark is not None:
        skb.mark = (skb.mark + side.mark if side.mark_relative else side.mark) & 0xFFFFFFFF
    tos = skb.tos & side.tos_and ^ side.tos_xor
    if tos != skb.tos:
        set_tos(skb.data, tos)
        skb.tos = tos
    if side.log and HookVerdict in ctx.services.outbox.wants:
        line = klog.chains_line(skb, ctx, chain.name, rule.spec, number)
        _record(rule, number, chain, table, skb, ctx, line, "LOG")


def _decided(verdict: int, rule: Rule, number: int, chain: Chain, table: Table, skb: Skb, ctx: HookContext) -> int:
    """Say where a packet's way through the table ended, to the packet and to who listens."""
    if verdict == NF_DROP and not skb.drop_detail:
        where = f"rule {number}" if number else "policy"
        skb.drop_detail = f"{table.name} {chain.name} {where}"
    services = ctx.services
    if HookVerdict in services.outbox.wants:
        name = VERDICT_NAMES[verdict]
        _record(rule, number, chain, table, skb, ctx, rule.spec.text, name)
    return verdict


def _log(rule: Rule, number: int, chain: Chain, table: Table, skb: Skb, ctx: HookContext) -> None:
    """Write the kernel's log line into a record: verdict "LOG", text as dmesg has it."""
    target = rule.spec.target
    if HookVerdict in ctx.services.outbox.wants and isinstance(target, LogTarget):
        line = klog.packet_line(skb, ctx, target)
        _record(rule, number, chain, table, skb, ctx, line, "LOG")


def _record(
    rule: Rule, number: int, chain: Chain, table: Table, skb: Skb, ctx: HookContext, text: str, verdict: str
) -> None:
    services: Services = ctx.services
    services.outbox.records.append(
        HookVerdict(
            ctx.now, services.node, HOOK_CHAINS[ctx.hook], table.name, chain.name, number, text, verdict,
            skb.uid or skb.parent,
        )
    )  # fmt: skip
