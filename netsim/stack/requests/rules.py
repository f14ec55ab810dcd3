"""Requests about policy rules: what `ip rule` sends. Source: rtnetlink RTM_NEWRULE, include/uapi/linux/fib_rules.h."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip, Prefix
from netsim.stack.requests.base import NLM_F_CREATE, NLM_F_EXCL, Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """A policy rule. None or 0 means the selector is absent; `src` and `dst` keep host bits as given.

    `action` is "table", "goto", "nop", "blackhole", "unreachable", "prohibit" or "nat" (then `nat` is the map address,
    0 masquerades). `srcmap` None: no nat keyword.
    """

    priority: int | None = None
    invert: bool = False
    src: Prefix | None = None
    dst: Prefix | None = None
    tos: int = 0
    fwmark: int = 0
    fwmask: int | None = None
    iif: str = ""
    oif: str = ""
    ipproto: int = 0
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    uidrange: tuple[int, int] | None = None
    action: str = "table"
    table: int = 0
    goto: int = 0
    nat: Ip | None = None
    suppress_prefixlength: int | None = None
    protocol: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule(Request[Done]):
    """Add a rule; without a priority it gets one less than the second rule's."""

    rule: RuleSpec
    flags: int = NLM_F_CREATE | NLM_F_EXCL


@dataclass(frozen=True, slots=True, kw_only=True)
class DelRule(Request[Done]):
    """Delete the first rule that matches every field given (`table` 0 and "table" action: any)."""

    rule: RuleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """One listed rule; `priority` is set; `iif_detached`, `oif_detached`, `unresolved` as `ip rule` shows them."""

    rule: RuleSpec
    iif_detached: bool = False
    oif_detached: bool = False
    unresolved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRules(Request[tuple[RuleInfo, ...]]):
    """List rules in order."""
