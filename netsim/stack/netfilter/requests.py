"""What the packet filter can be asked: one request for one command of iptables; connections are ct_requests.py's.

A refusal with a message is one that the tool itself finds ("Index of insertion too big"), one without is the kernel's.
A request that adds several rules adds all or none. Source: iptables/nft.c; linux-kernel note 6.3 to 6.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.stack.netfilter.rulespec import RuleSpec
from netsim.stack.requests import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendRules(Request[Done]):
    """`-A`: put rules at the end of a chain; `counters` is the packets and bytes they start with."""

    table: str
    chain: str
    rules: tuple[RuleSpec, ...]
    counters: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertRules(Request[Done]):
    """`-I`: put rules before number `number` (from 1), one after the other, so that the last one stands first."""

    table: str
    chain: str
    rules: tuple[RuleSpec, ...]
    number: int = 1
    counters: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRule(Request[Done]):
    """`-R`."""

    table: str
    chain: str
    number: int
    rule: RuleSpec
    counters: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRules(Request[Done]):
    """`-D` by value: the first equal rule of each."""

    table: str
    chain: str
    rules: tuple[RuleSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRuleNumber(Request[Done]):
    """`-D CHAIN N`."""

    table: str
    chain: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules(Request[Done]):
    """`-C`: are there equal rules?"""

    table: str
    chain: str
    rules: tuple[RuleSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushRules(Request[Done]):
    """`-F`: empty one chain, or all with ""."""

    table: str
    chain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroCounters(Request[Done]):
    """`-Z`: one rule, one chain, or all."""

    table: str
    chain: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChain(Request[Done]):
    """`-N`."""

    table: str
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteChain(Request[Done]):
    """`-X`: one empty chain that nobody jumps to, or all with "". A Refusal's message names the kernel's culprit."""

    table: str
    chain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameChain(Request[Done]):
    """`-E`."""

    table: str
    chain: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy(Request[Done]):
    """`-P`; `counters` None begins at 0, with ipchains goes on."""

    table: str
    chain: str
    policy: str
    counters: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTable(Request[Done]):
    """One table of `iptables-restore`: chains (name, policy or "-", packets, bytes), rules (chain, rule, counters).

    `flush` empties the table first. All or nothing.
    """

    table: str
    chains: tuple[tuple[str, str, int, int], ...]
    rules: tuple[tuple[str, RuleSpec, tuple[int, int]], ...]
    flush: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """One listed rule with its counters."""

    spec: RuleSpec
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainInfo:
    """One listed chain; `policy` is "" for a user's chain, `references` counts jumps to it.

    `loaded` is whether the kernel has it: a built-in chain that no command has made is listed all the same.
    """

    name: str
    policy: str
    packets: int
    bytes: int
    references: int
    rules: tuple[RuleInfo, ...]
    loaded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """One listed table: its built-in chains in hook order, then the user's by name. `used`: a command has made it."""

    name: str
    used: bool
    chains: tuple[ChainInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpTables(Request[tuple[TableInfo, ...]]):
    """List one table, or every table the kernel has with ""; an unknown one is refused with ENOENT."""

    table: str = ""
