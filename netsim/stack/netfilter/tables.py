"""The tables of a box: the requests that change and list them, and the door that packets come in by.

Each request carries through whole or not at all. A Refusal with a message says what iptables itself says; one without
is the kernel's, and the tool builds its sentence from the errno.
Source: iptables/nft.c, nft_strerror() (1.8.9); recorded in tests/golden/iptables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from netsim.stack.errno import EBUSY, EEXIST, EINVAL, ENOENT, ENOTEMPTY, EOPNOTSUPP, Refusal
from netsim.stack.netfilter.hooks import NF_ACCEPT, HookContext, Services
from netsim.stack.netfilter.legality import refused
from netsim.stack.netfilter.listing import IPCHAINS_POLICIES, POLICIES, table_info
from netsim.stack.netfilter.matches import needs_conntrack
from netsim.stack.netfilter.requests import (
    AppendRules,
    CheckRules,
    DeleteChain,
    DeleteRuleNumber,
    DeleteRules,
    DumpTables,
    FlushRules,
    InsertRules,
    NewChain,
    RenameChain,
    ReplaceRule,
    RestoreTable,
    SetPolicy,
    TableInfo,
    ZeroCounters,
)
from netsim.stack.netfilter.ruleset import LAYOUT, Chain, Rule, Table
from netsim.stack.netfilter.rulespec import (
    MasqTarget,
    RuleSpec,
    jump_of,
)
from netsim.stack.netfilter.traverse import traverse
from netsim.stack.requests import DONE, Done
from netsim.stack.skb import Skb
from netsim.units import Ns

NO_CHAIN = "No chain/target/match by that name"
BAD_RULE = "Bad rule (does a matching rule exist in that chain?)"


class Tables:
    """Every table of one box. `changed` is called after each request that alters which chains packets visit.

    `handlers` maps request types to methods, for whoever collects them.
    """

    def __init__(self, services: Services, changed: Callable[[], None]) -> None:
        self._services = services
        self._changed = changed
        era = services.era
        names = [name for name in LAYOUT if name != "ipchains"] if era.tool == "iptables" else []
        if not era.raw_table:
            names = [name for name in names if name not in ("raw", "security")]
        if era.tool == "ipchains" or not era.raw_table:
            names.append("ipchains")
        self._tables: dict[str, Table] = {name: Table(name) for name in names}
        self._policies: dict[tuple[str, int], Rule] = {}
        self._settle()
        self.handlers: Mapping[type, Any] = MappingProxyType({  # Any: each handler takes its own request type
            AppendRules: self.append, InsertRules: self.insert, ReplaceRule: self.replace, DeleteRules: self.delete,
            DeleteRuleNumber: self.delete_number, CheckRules: self.check, FlushRules: self.flush,
            ZeroCounters: self.zero, NewChain: self.new_chain, DeleteChain: self.delete_chain,
            RenameChain: self.rename_chain, SetPolicy: self.set_policy, RestoreTable: self.restore,
            DumpTables: self.dump,
        })  # fmt: skip

    # Packets

    def traverse(self, table: str, hook: int, skb: Skb, ctx: HookContext) -> int:
        """Take a packet through a table's chain at a hook; a chain that is not there accepts."""
        found = self._tables.get(table)
        base = found.bases.get(hook) if found is not None else None
        if found is None or base is None or not base.loaded:
            return NF_ACCEPT
        return traverse(found, base, self._policies[table, hook], skb, ctx)

    def exists(self, table: str) -> bool:
        """Tell whether a command has made the table."""
        found = self._tables.get(table)
        return found is not None and found.used

    def hooks(self, table: str) -> frozenset[int]:
        """Return the hooks at which a table has a chain that counts or decides."""
        found = self._tables.get(table)
        if found is None:
            return frozenset()
        return frozenset(hook for hook, chain in found.bases.items() if chain.loaded)

    def _settle(self) -> None:
        """Compile the policies anew."""
        self._policies = {
            (table.name, hook): Rule(RuleSpec(target=chain.policy, text="policy"), self._services)
            for table in self._tables.values()
            for hook, chain in table.bases.items()
        }

    # Rules

    def append(self, req: AppendRules, *, now: Ns) -> Done | Refusal:
        """Carry out `-A`."""
        return self._add(req.table, req.chain, req.rules, None, req.counters)

    def insert(self, req: InsertRules, *, now: Ns) -> Done | Refusal:
        """Carry out `-I`."""
        return self._add(req.table, req.chain, req.rules, req.number, req.counters)

    def _add(
        self, table_name: str, chain_name: str, specs: tuple[RuleSpec, ...], number: int | None,
        counters: tuple[int, int],
    ) -> Done | Refusal:  # fmt: skip
        table = self._tables.get(table_name)
        if table is None:
            return Refusal(ENOENT)
        problem = self._unknown_target(table, specs)
        if problem is not None:
            return problem
        chain = table.chains.get(chain_name)
        if chain is None:
            return Refusal(ENOENT, NO_CHAIN)
        if number is not None and number > len(chain.rules) + 1:
            return Refusal(ENOENT, "Index of insertion too big")
        rules = list(chain.rules)
        for spec in specs:
            rule = Rule(spec, self._services, counters)
            if number is None:
                rules.append(rule)
            else:
                rules.insert(number - 1, rule)
        return self._put(table, chain, rules, specs)

    def _put(self, table: Table, chain: Chain, rules: list[Rule], new: tuple[RuleSpec, ...]) -> Done | Refusal:
        """Give a chain another list of rules if the kernel takes the new ones."""
        error = self._refused(table, chain, new)
        if error:
            return Refusal(error)
        before, chain.rules = chain.rules, rules
        if any(jump_of(spec) is not None for spec in new):
            error = table.flaw()
            if error:
                chain.rules = before
                return Refusal(error)
        table.load(chain)
        self._track(before, rules)
        self._changed()
        return DONE

    def _refused(self, table: Table, chain: Chain, specs: tuple[RuleSpec, ...]) -> int:
        hooks = table.reaching(chain)
        for spec in specs:
            jump = jump_of(spec)
            if jump is not None and table.chains[jump.chain].hook is not None:
                there = table.chains[jump.chain].loaded or jump.chain == chain.name
                return EOPNOTSUPP if there else ENOENT
            error = refused(spec, table.name, hooks, chain.own)
            if error:
                return error
        return 0

    @staticmethod
    def _unknown_target(table: Table, specs: tuple[RuleSpec, ...]) -> Refusal | None:
        """Find a jump to a chain that does not exist: iptables says so before it looks at anything else."""
        for spec in specs:
            jump = jump_of(spec)
            if jump is not None and jump.chain not in table.chains:
                return Refusal(ENOENT, f"Chain '{jump.chain}' does not exist")
        return None

    def _track(self, before: list[Rule], after: list[Rule]) -> None:
        """Tell connection tracking of rules that need it, as they come and go."""
        kept = {id(rule) for rule in after} & {id(rule) for rule in before}
        for rule in after:
            if id(rule) not in kept and needs_conntrack(rule.spec):
                self._services.conntrack.get()
        for rule in before:
            if id(rule) not in kept and needs_conntrack(rule.spec):
                self._services.conntrack.put()

    def replace(self, req: ReplaceRule, *, now: Ns) -> Done | Refusal:
        """Carry out `-R`."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        problem = self._unknown_target(table, (req.rule,))
        if problem is not None:
            return problem
        chain = table.present(req.chain)
        if chain is None:
            return Refusal(ENOENT, NO_CHAIN)
        if req.number > len(chain.rules):
            return Refusal(ENOENT, "Index of replacement too big")
        rules = list(chain.rules)
        rules[req.number - 1] = Rule(req.rule, self._services, req.counters)
        return self._put(table, chain, rules, (req.rule,))

    def delete(self, req: DeleteRules, *, now: Ns) -> Done | Refusal:
        """Carry out `-D` by value."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        problem = self._unknown_target(table, req.rules)
        if problem is not None:
            return problem
        chain = table.chains.get(req.chain)
        rules = list(chain.rules) if chain is not None else []
        for spec in req.rules:
            at = next((index for index, rule in enumerate(rules) if rule.spec == spec), -1)
            if at < 0:
                return Refusal(ENOENT, BAD_RULE)
            del rules[at]
        return DONE if chain is None else self._put(table, chain, rules, ())

    def delete_number(self, req: DeleteRuleNumber, *, now: Ns) -> Done | Refusal:
        """Carry out `-D` by number."""
        table = self._tables.get(req.table)
        chain = table.present(req.chain) if table is not None else None
        if table is None or chain is None:
            return Refusal(ENOENT, NO_CHAIN)
        if req.number > len(chain.rules):
            return Refusal(ENOENT, "Index of deletion too big")
        rules = list(chain.rules)
        del rules[req.number - 1]
        return self._put(table, chain, rules, ())

    def check(self, req: CheckRules, *, now: Ns) -> Done | Refusal:
        """Carry out `-C`."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        problem = self._unknown_target(table, req.rules)
        if problem is not None:
            return problem
        chain = table.chains.get(req.chain)
        present = [rule.spec for rule in chain.rules] if chain is not None else []
        return DONE if all(spec in present for spec in req.rules) else Refusal(ENOENT, BAD_RULE)

    def flush(self, req: FlushRules, *, now: Ns) -> Done | Refusal:
        """Carry out `-F`; naming a built-in chain makes it."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        if not req.chain:
            for chain in table.chains.values():
                self._track(chain.rules, [])
                chain.rules = []
            self._changed()
            return DONE
        one = table.chains.get(req.chain)
        return Refusal(ENOENT, NO_CHAIN) if one is None else self._put(table, one, [], ())

    def zero(self, req: ZeroCounters, *, now: Ns) -> Done | Refusal:
        """Carry out `-Z`; a rule's number beyond the end is no error, as in iptables 1.8.9."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        chain = table.present(req.chain)
        if req.chain and chain is None:
            return Refusal(ENOENT, BAD_RULE if req.number else NO_CHAIN)
        for each in [chain] if chain is not None else table.chains.values():
            for number, rule in enumerate(each.rules, 1):
                if req.number in (0, number):
                    rule.packets = rule.bytes = 0
            if not req.number:
                each.packets = each.bytes = 0
        return DONE

    # Chains

    def new_chain(self, req: NewChain, *, now: Ns) -> Done | Refusal:
        """Carry out `-N`."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        if req.chain in table.chains:
            return Refusal(EEXIST, "Chain already exists")
        table.chains[req.chain] = Chain(req.chain, None)
        table.used = True
        return DONE

    def delete_chain(self, req: DeleteChain, *, now: Ns) -> Done | Refusal:
        """Carry out `-X`: empty built-in chains with the policy ACCEPT go back to where they came from, too.

        The kernel's EBUSY names the chain in its message, which the tool prints behind the errno.
        """
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        if req.chain:
            chain = table.present(req.chain)
            if chain is None:
                return Refusal(ENOENT, NO_CHAIN)
            if chain.hook is not None and not chain.rules and not chain.may_unload:
                return Refusal(ENOTEMPTY, "Directory not empty")
            doomed = [chain]
        else:
            doomed = table.users() + [chain for chain in table.bases.values() if chain.loaded and chain.may_unload]
        for chain in doomed:
            if chain.rules or table.references(chain.name):
                return Refusal(EBUSY, f"chain {chain.name}")
        for chain in doomed:
            if chain.hook is None:
                del table.chains[chain.name]
            else:
                chain.loaded = chain.counted = False
                chain.packets = chain.bytes = 0
        self._changed()
        return DONE

    def rename_chain(self, req: RenameChain, *, now: Ns) -> Done | Refusal:
        """Carry out `-E`; rules that jump there follow."""
        table = self._tables.get(req.table)
        chain = table.chains.get(req.chain) if table is not None else None
        if table is None or chain is None:
            return Refusal(ENOENT, NO_CHAIN)
        if req.new in table.chains:
            return Refusal(EEXIST, "File exists")
        if chain.hook is not None:
            return Refusal(ENOENT, NO_CHAIN)
        del table.chains[chain.name]
        table.chains[req.new] = chain
        for rule in table.rules():
            if rule.chain == chain.name:
                rule.retarget(req.new)
        chain.name = req.new
        return DONE

    def set_policy(self, req: SetPolicy, *, now: Ns) -> Done | Refusal:
        """Carry out `-P`."""
        table = self._tables.get(req.table)
        if table is None:
            return Refusal(ENOENT)
        policy = (IPCHAINS_POLICIES if table.name == "ipchains" else POLICIES).get(req.policy)
        if policy is None or (policy == MasqTarget() and req.chain != "forward"):
            return Refusal(EINVAL, "Bad policy name. Run `dmesg' for more information")
        chain = table.chains.get(req.chain)
        if chain is None or chain.hook is None:
            return Refusal(ENOENT, "Bad built-in chain name")
        kept = (chain.packets, chain.bytes) if table.name == "ipchains" else (0, 0)
        table.set_policy(chain, policy, *(req.counters or kept))
        self._settle()
        self._changed()
        return DONE

    def restore(self, req: RestoreTable, *, now: Ns) -> Done | Refusal:
        """Carry out one table of iptables-restore. The kernel's refusal names the rule in its message: "rule 3"."""
        old = self._tables.get(req.table)
        if old is None:
            return Refusal(ENOENT)
        self._tables[req.table] = table = Table(req.table) if req.flush else old.copy()
        problem = self._restore(table, req)
        if problem is not None:
            self._tables[req.table] = old
            return problem
        self._track(list(old.rules()), list(table.rules()))
        self._settle()
        self._changed()
        return DONE

    def _restore(self, table: Table, req: RestoreTable) -> Refusal | None:
        for name, policy, packets, octets in req.chains:
            chain = table.chains.setdefault(name, Chain(name, None))
            if chain.hook is not None:
                if policy not in POLICIES:
                    return Refusal(EINVAL, "Bad policy name")
                table.set_policy(chain, POLICIES[policy], packets, octets)
            else:
                chain.rules = []
                table.load(chain)
        for at, (name, spec, counters) in enumerate(req.rules, 1):
            problem = self._unknown_target(table, (spec,))
            if problem is not None:
                return problem
            found = table.chains.get(name)
            if found is None:
                return Refusal(ENOENT, NO_CHAIN)
            error = self._refused(table, found, (spec,))
            if error:
                return Refusal(error, f"rule {at}")
            found.rules.append(Rule(spec, self._services, counters))
            table.load(found)
            error = table.flaw() if jump_of(spec) is not None else 0
            if error:
                return Refusal(error, f"rule {at}")
        return None

    # Listing

    def dump(self, req: DumpTables, *, now: Ns) -> tuple[TableInfo, ...] | Refusal:
        """List one table or all that the kernel has."""
        if not req.table:
            return tuple(table_info(table) for table in self._tables.values() if table.name != "ipchains")
        table = self._tables.get(req.table)
        return Refusal(ENOENT) if table is None else (table_info(table),)
