"""What a table is made of: chains of rules, built-in chains tied to hooks, and whether a change of them may stand.

Built-in chains come to life when a command first needs them, as with iptables 1.8.9: a chain that no command has made
is listed with its policy, but no packet is counted there. Jumps go by name, so that renaming and restoring stay simple.
Source: net/netfilter/nf_tables_api.c nft_chain_validate(); iptables/nft.c nft_xt_builtin_init() (1.8.9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from netsim.stack.errno import EMLINK
from netsim.stack.netfilter.hooks import (
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    Services,
)
from netsim.stack.netfilter.legality import refused
from netsim.stack.netfilter.matches import compile_rule
from netsim.stack.netfilter.rulespec import (
    ACCEPT_TARGET,
    JumpTarget,
    LogTarget,
    RuleSpec,
    SideTarget,
    TargetSpec,
    VerdictTarget,
)
from netsim.stack.netfilter.targets import Action, compile_target

LAYOUT: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType({
    "mangle": (
        ("PREROUTING", NF_INET_PRE_ROUTING), ("INPUT", NF_INET_LOCAL_IN), ("FORWARD", NF_INET_FORWARD),
        ("OUTPUT", NF_INET_LOCAL_OUT), ("POSTROUTING", NF_INET_POST_ROUTING),
    ),
    "security": (("INPUT", NF_INET_LOCAL_IN), ("FORWARD", NF_INET_FORWARD), ("OUTPUT", NF_INET_LOCAL_OUT)),
    "raw": (("PREROUTING", NF_INET_PRE_ROUTING), ("OUTPUT", NF_INET_LOCAL_OUT)),
    "filter": (("INPUT", NF_INET_LOCAL_IN), ("FORWARD", NF_INET_FORWARD), ("OUTPUT", NF_INET_LOCAL_OUT)),
    "nat": (
        ("PREROUTING", NF_INET_PRE_ROUTING), ("INPUT", NF_INET_LOCAL_IN), ("OUTPUT", NF_INET_LOCAL_OUT),
        ("POSTROUTING", NF_INET_POST_ROUTING),
    ),
    "ipchains": (("input", NF_INET_PRE_ROUTING), ("forward", NF_INET_FORWARD), ("output", NF_INET_POST_ROUTING)),
})  # fmt: skip
"""Built-in chains and their hooks, in the order in which iptables-save prints tables and chains.

"ipchains" is the one table of 2.2 (and of 2.4's ipchains module), at the hooks of ip_fw_compat.
"""

JUMP_STACK_SIZE = 16
"""How deep a built-in chain may reach (NFT_JUMP_STACK_SIZE)."""

CONTINUE, VERDICT, RETURN, JUMP, GOTO, ACTION, LOG = range(7)
"""What traversal does with a rule that matches."""


class Rule:
    """A rule as packets meet it: `match` None means every packet; `chain` is where a jump goes, `side` comes first."""

    __slots__ = ("accept", "action", "bytes", "chain", "kind", "match", "packets", "side", "spec")

    def __init__(self, spec: RuleSpec, services: Services, counters: tuple[int, int] = (0, 0)) -> None:
        self.spec = spec
        self.match = compile_rule(spec, services)
        self.packets, self.bytes = counters
        self.kind = CONTINUE
        self.accept = False
        self.chain = ""
        self.action: Action | None = None
        self.side: SideTarget | None = None
        target = spec.target
        if isinstance(target, SideTarget):
            self.side, target = target, target.then
        if isinstance(target, VerdictTarget):
            self.kind = RETURN if target.name == "RETURN" else VERDICT
            self.accept = target.name == "ACCEPT"
        elif isinstance(target, JumpTarget):
            self.kind = GOTO if target.goto else JUMP
            self.chain = target.chain
        elif isinstance(target, LogTarget):
            self.kind = LOG
        elif target is not None:
            self.kind = ACTION
            self.action = compile_target(target, services)

    def retarget(self, name: str) -> None:
        """Let a jump go to its chain's new name; the rule's text ends in the old one."""
        text = self.spec.text.removesuffix(self.chain)
        goto = isinstance(self.spec.target, JumpTarget) and self.spec.target.goto
        self.spec = replace(self.spec, target=JumpTarget(name, goto), text=f"{text}{name}" if text else "")
        self.chain = name


class Chain:
    """`hook` is None for a user's chain. `loaded`: exists in the kernel. `policy` is what ends a built-in chain.

    `counted` tells whether the policy's packets are counted (see NetfilterEra.policy_counts).
    """

    __slots__ = ("bytes", "counted", "hook", "loaded", "name", "packets", "policy", "rules")

    def __init__(self, name: str, hook: int | None) -> None:
        self.name = name
        self.hook = hook
        self.loaded = hook is None
        self.counted = False
        self.policy: TargetSpec = ACCEPT_TARGET
        self.packets = self.bytes = 0
        self.rules: list[Rule] = []

    @property
    def own(self) -> int:
        """The chain's own hook as a bit, 0 for a user's chain."""
        return 0 if self.hook is None else 1 << self.hook

    @property
    def may_unload(self) -> bool:
        """Whether a built-in chain may go back to where it came from. Mirrors nft_may_delete_chain()."""
        return not self.rules and self.policy == ACCEPT_TARGET

    def copy(self) -> Chain:
        """Return the chain with a list of its own; rules are shared."""
        new = Chain(self.name, self.hook)
        new.loaded, new.policy, new.packets, new.bytes = self.loaded, self.policy, self.packets, self.bytes
        new.counted = self.counted
        new.rules = list(self.rules)
        return new


class Table:
    """The chains of one table. `used` is whether a command has made it in the kernel."""

    __slots__ = ("bases", "chains", "name", "used")

    def __init__(self, name: str) -> None:
        self.name = name
        self.used = False
        self.chains: dict[str, Chain] = {chain: Chain(chain, hook) for chain, hook in LAYOUT[name]}
        self.bases: dict[int, Chain] = {hook: self.chains[chain] for chain, hook in LAYOUT[name]}

    def copy(self) -> Table:
        """Return an independent table that shares the rules themselves."""
        new = Table(self.name)
        new.used = self.used
        new.chains = {name: chain.copy() for name, chain in self.chains.items()}
        new.bases = {hook: new.chains[chain.name] for hook, chain in self.bases.items()}
        return new

    def users(self) -> list[Chain]:
        """Return the user's chains: by name, in ipchains by age."""
        names = list(self.chains) if self.name == "ipchains" else sorted(self.chains)
        return [self.chains[name] for name in names if self.chains[name].hook is None]

    def present(self, name: str) -> Chain | None:
        """Return a chain that the kernel has. Those of ipchains are the kernel's own, made or not."""
        chain = self.chains.get(name)
        return chain if chain is not None and (chain.loaded or self.name == "ipchains") else None

    def load(self, chain: Chain) -> None:
        """Make the table, and a built-in chain, in the kernel."""
        self.used = True
        chain.loaded = True

    def set_policy(self, chain: Chain, policy: TargetSpec, packets: int, octets: int) -> None:
        """Give a built-in chain its policy and counters, which count from now on."""
        chain.policy, chain.counted = policy, True
        chain.packets, chain.bytes = packets, octets
        self.load(chain)

    def references(self, name: str) -> int:
        """Count the rules that jump to a chain."""
        return sum(rule.chain == name for rule in self.rules())

    def rules(self) -> Iterator[Rule]:
        """Yield every rule."""
        for chain in self.chains.values():
            yield from chain.rules

    # What the kernel would refuse

    def reaching(self, chain: Chain) -> int:
        """Return the hooks (bits of 1 << hook) from which packets can come to a chain."""
        if chain.hook is not None:
            return 1 << chain.hook
        hooks = 0
        for base in self.bases.values():
            if base.hook is not None and chain.name in self._reachable(base):
                hooks |= 1 << base.hook
        return hooks

    def _reachable(self, base: Chain) -> set[str]:
        seen: set[str] = set()
        waiting = [base]
        while waiting:
            for rule in waiting.pop().rules:
                if rule.chain and rule.chain not in seen:
                    seen.add(rule.chain)
                    waiting.append(self.chains[rule.chain])
        return seen

    def flaw(self) -> int:
        """Return the errno for which the whole table may not stand, 0 if it may. Source: nft_chain_validate()."""
        for base in self.bases.values():
            if base.hook is not None:
                error = self._flaw(base, 1 << base.hook, 0)
                if error:
                    return error
        return 0

    def _flaw(self, chain: Chain, hook: int, level: int) -> int:
        if level == JUMP_STACK_SIZE:
            return EMLINK
        for rule in chain.rules:
            error = refused(rule.spec, self.name, hook, chain.own)
            if not error and rule.chain:
                error = self._flaw(self.chains[rule.chain], hook, level + 1)
            if error:
                return error
        return 0
