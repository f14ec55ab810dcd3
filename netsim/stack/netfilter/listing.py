"""Tables as plain data for the tools that list them, and the names of policies.

Source: iptables -L and -S, ipchains -L.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netsim.stack.netfilter.requests import ChainInfo, RuleInfo, TableInfo
from netsim.stack.netfilter.ruleset import Chain, Table
from netsim.stack.netfilter.rulespec import ACCEPT_TARGET, DROP_TARGET, MasqTarget, RejectTarget, TargetSpec

POLICIES: Mapping[str, TargetSpec] = MappingProxyType({"ACCEPT": ACCEPT_TARGET, "DROP": DROP_TARGET})
IPCHAINS_POLICIES: Mapping[str, TargetSpec] = MappingProxyType({
    "ACCEPT": ACCEPT_TARGET, "DENY": DROP_TARGET, "REJECT": RejectTarget(), "MASQ": MasqTarget(),
})  # fmt: skip


def policy_name(table: str, policy: TargetSpec) -> str:
    """Return a policy as its tool writes it."""
    names = IPCHAINS_POLICIES if table == "ipchains" else POLICIES
    return next(name for name, spec in names.items() if spec == policy)


def table_info(table: Table) -> TableInfo:
    """List a table: built-in chains, then the user's by name, with references counted."""
    references: dict[str, int] = {}
    for rule in table.rules():
        if rule.chain:
            references[rule.chain] = references.get(rule.chain, 0) + 1
    chains = [*table.bases.values(), *table.users()]
    return TableInfo(
        name=table.name,
        used=table.used,
        chains=tuple(_chain_info(chain, table.name, references.get(chain.name, 0)) for chain in chains),
    )


def _chain_info(chain: Chain, table: str, references: int) -> ChainInfo:
    return ChainInfo(
        name=chain.name,
        policy=policy_name(table, chain.policy) if chain.hook is not None else "",
        packets=chain.packets,
        bytes=chain.bytes,
        references=references,
        loaded=chain.loaded,
        rules=tuple(RuleInfo(spec=rule.spec, packets=rule.packets, bytes=rule.bytes) for rule in chain.rules),
    )
