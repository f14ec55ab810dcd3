"""Policy rules: the ordered list, what a rule matches, and what its action does.

How rules are added and deleted differs by lineage: `Rules` is mainline's, old_rules.py that of 2.2 and 2.4.
Source: net/core/fib_rules.c fib_nl_newrule(), fib_rules_lookup(); net/ipv4/fib_rules.c; linux-kernel note 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from netsim.addr import MASKS, Prefix
from netsim.stack.dst import RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN
from netsim.stack.errno import EACCES, EAGAIN, EEXIST, EINVAL, ENETUNREACH, ENOENT, Refusal
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.fib.table import FibTable
from netsim.stack.interfaces import Interfaces
from netsim.stack.requests import NLM_F_EXCL, RTPROT_KERNEL, RuleInfo, RuleSpec

STOPS: Mapping[str, int] = MappingProxyType({"blackhole": EINVAL, "unreachable": ENETUNREACH, "prohibit": EACCES})
LOOKUPS = ("table", "nat")
MASQUERADE = "masquerade"
"""What a `nat 0` rule does to what it routes (2.2); FibResult.action."""


class Rule:
    """A rule made ready to match: masks worked out once, device names resolved at each lookup."""

    __slots__ = (
        "action", "dmask", "dst", "effect", "error", "fwmark", "fwmask", "plain", "pref", "smask", "spec", "src",
        "table",
    )  # fmt: skip

    def __init__(self, spec: RuleSpec) -> None:
        assert spec.priority is not None
        self.spec = spec
        self.pref = spec.priority
        self.action = spec.action
        self.effect = MASQUERADE if spec.action == "nat" and not spec.nat else spec.action
        self.table = spec.table
        self.error = STOPS.get(spec.action, 0)
        self.smask = MASKS[spec.src.plen] if spec.src else 0
        self.src = spec.src.addr & self.smask if spec.src else 0
        self.dmask = MASKS[spec.dst.plen] if spec.dst else 0
        self.dst = spec.dst.addr & self.dmask if spec.dst else 0
        self.fwmark = spec.fwmark
        self.fwmask = effective_mask(spec)
        self.plain = not (
            spec.invert or spec.tos or spec.iif or spec.oif or spec.ipproto or spec.sport or spec.dport or spec.uidrange
        )

    def matches_rest(self, hit: bool, flow: FlowKey, interfaces: Interfaces) -> bool:
        """Go on where prefixes and mark gave `hit`: the rarer selectors, and `not`, which inverts the conjunction."""
        return (hit and self._rest(flow, interfaces)) != self.spec.invert

    def _rest(self, flow: FlowKey, interfaces: Interfaces) -> bool:
        """Match the rarer selectors."""
        spec = self.spec
        if spec.tos and spec.tos != flow.tos:
            return False
        for name, index in ((spec.iif, flow.iif), (spec.oif, flow.oif)):
            if name:
                dev = interfaces.named(name)
                if dev is None or dev.ifindex != index:
                    return False
        if spec.ipproto and spec.ipproto != flow.proto:
            return False
        for span, port in ((spec.sport, flow.sport), (spec.dport, flow.dport)):
            if span is not None and not span[0] <= port <= span[1]:
                return False
        return spec.uidrange is None or spec.uidrange[0] <= 0 <= spec.uidrange[1]


class Rules:
    """The rules of a box by preference, equal ones in order of arrival; the first change sets `custom` for good.

    `by_ports` tells whether any rule looks beyond addresses, so that lookups must be told protocol and ports.
    """

    def __init__(self, interfaces: Interfaces) -> None:
        self._interfaces = interfaces
        self.rules = [
            Rule(RuleSpec(priority=pref, table=table, protocol=RTPROT_KERNEL))
            for pref, table in ((0, RT_TABLE_LOCAL), (32766, RT_TABLE_MAIN), (32767, RT_TABLE_DEFAULT))
        ]
        self.custom = False
        self.by_ports = False

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def walk(self, flow: FlowKey, tables: Mapping[int, FibTable]) -> FibResult | Miss:
        """Ask tables in rule order; the end of the list is ENETUNREACH. Mirrors fib_rules_lookup(), 2.4 fib_lookup().

        Only EAGAIN (no match, a throw route, no such table) goes on with the next rule.
        """
        skip_to = -1
        daddr, saddr, mark = flow.daddr, flow.saddr, flow.mark
        for rule in self.rules:
            hit = not (
                (saddr ^ rule.src) & rule.smask or (daddr ^ rule.dst) & rule.dmask or (mark ^ rule.fwmark) & rule.fwmask
            )
            if not rule.plain:
                hit = rule.matches_rest(hit, flow, self._interfaces)
            if not hit or rule.pref < skip_to:
                continue
            if rule.error:
                return Miss(rule.error, rule.pref)
            if rule.action not in LOOKUPS:
                if rule.action == "goto" and any(other.pref == rule.spec.goto for other in self.rules):
                    skip_to = rule.spec.goto
                continue
            table = tables.get(rule.table)
            if table is None:
                continue
            answer = table.lookup(flow)
            if isinstance(answer, Miss):
                if answer.errno == EAGAIN:
                    continue
                answer.rule = rule.pref
                return answer
            limit = rule.spec.suppress_prefixlength
            if limit is not None and answer.prefixlen <= limit:
                continue
            answer.rule = rule.pref
            answer.action = rule.effect
            return answer
        return Miss(ENETUNREACH)

    def add(self, spec: RuleSpec, flags: int, empty_table: Callable[[], int]) -> Refusal | None:
        """Put a rule in its place. Mirrors fib_nl_newrule(); table 0 means the first id without a table."""
        if spec.tos & 3:
            return Refusal(EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
        if spec.priority is None:
            second = self.rules[1].pref if len(self.rules) > 1 else 0
            spec = replace(spec, priority=second - 1 if second else 0)
        assert spec.priority is not None
        if spec.action == "goto" and spec.goto <= spec.priority:
            return Refusal(EINVAL, "Backward goto not supported")
        if flags & NLM_F_EXCL and any(_same(rule.spec, spec) for rule in self.rules):
            return Refusal(EEXIST)
        if spec.action == "table" and not spec.table:
            spec = replace(spec, table=empty_table())
        if spec.nat:
            spec = replace(spec, nat=0)  # the map address of a deprecated nat rule is not kept
        self.put(Rule(spec))
        return None

    def put(self, new: Rule) -> None:
        """File a rule behind those of lower or equal preference."""
        at = next((at for at, rule in enumerate(self.rules) if rule.pref > new.pref), len(self.rules))
        self.rules.insert(at, new)
        self._changed()

    def delete(self, spec: RuleSpec) -> Refusal | None:
        """Take out the first rule that matches every field given. Mirrors fib_nl_delrule()."""
        for rule in self.rules:
            if _selects(spec, rule.spec):
                self.take(rule)
                return None
        return Refusal(ENOENT)

    def take(self, rule: Rule) -> None:
        """Take a rule out."""
        self.rules.remove(rule)
        self._changed()

    def _changed(self) -> None:
        self.custom = True
        self.by_ports = any(rule.spec.ipproto or rule.spec.sport or rule.spec.dport for rule in self.rules)

    def dump(self) -> tuple[RuleInfo, ...]:
        """List the rules; a device that does not exist shows as detached, a goto without target as unresolved."""
        prefs = {rule.pref for rule in self.rules}
        return tuple(
            RuleInfo(
                rule=rule.spec,
                iif_detached=bool(rule.spec.iif) and rule.spec.iif not in self._interfaces,
                oif_detached=bool(rule.spec.oif) and rule.spec.oif not in self._interfaces,
                unresolved=rule.action == "goto" and rule.spec.goto not in prefs,
            )
            for rule in self.rules
        )


def effective_mask(spec: RuleSpec) -> int:
    """Return the mark bits compared: all when a mark is given without a mask. Source: fib_nl2rule()."""
    return spec.fwmask if spec.fwmask is not None else (0xFFFFFFFF if spec.fwmark else 0)


def _given(prefix: Prefix | None) -> Prefix | None:
    """Return a selector that says something: `from 0/0` is none."""
    return prefix if prefix is not None and prefix.plen else None


def _same(old: RuleSpec, new: RuleSpec) -> bool:
    """Tell whether a rule is there already. Mirrors rule_exists(): the goto target and `suppress_` do not count."""
    fields = ("priority", "tos", "fwmark", "iif", "oif", "ipproto", "sport", "dport", "uidrange", "protocol")
    return (
        all(getattr(old, name) == getattr(new, name) for name in fields)
        and (old.action in LOOKUPS) == (new.action in LOOKUPS)
        and (old.action in LOOKUPS or old.action == new.action)
        and old.table == new.table
        and effective_mask(old) == effective_mask(new)
        and _given(old.src) == _given(new.src)
        and _given(old.dst) == _given(new.dst)
    )


def _selects(wanted: RuleSpec, spec: RuleSpec) -> bool:
    """Tell whether a rule has every field that a deletion names. Mirrors rule_find()."""
    if wanted.priority is not None and wanted.priority != spec.priority:
        return False
    if wanted.action not in LOOKUPS and wanted.action != spec.action:
        return False
    if (wanted.fwmark or wanted.fwmask) and effective_mask(wanted) != effective_mask(spec):
        return False
    for asked, has in ((_given(wanted.src), _given(spec.src)), (_given(wanted.dst), _given(spec.dst))):
        if asked is not None and asked != has:
            return False
    some = ("table", "tos", "fwmark", "iif", "oif", "ipproto")
    if any(getattr(wanted, name) and getattr(wanted, name) != getattr(spec, name) for name in some):
        return False
    rare = ("sport", "dport", "uidrange", "suppress_prefixlength")
    return all(getattr(wanted, name) in (None, getattr(spec, name)) for name in rare)
