"""Policy rules of 2.2 and 2.4: how they are added and deleted.

Source: 2.4 net/ipv4/fib_rules.c inet_rtm_newrule(), inet_rtm_delrule(); route-patches section 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netsim.stack.errno import EPERM, ESRCH, Refusal
from netsim.stack.fib.rules import LOOKUPS, Rule, Rules
from netsim.stack.requests import RuleSpec


class OldRules(Rules):
    """Rules without duplicates check; the local rule of preference 0 cannot be deleted."""

    def add(self, spec: RuleSpec, flags: int, empty_table: Callable[[], int]) -> Refusal | None:
        """Put a rule in its place; preference 0 is none: (that of the second rule) - 1, before it."""
        if spec.action in LOOKUPS and not spec.table:
            spec = replace(spec, table=empty_table())
        if spec.priority:
            self.put(Rule(spec))
            return None
        second = self.rules[1].pref if len(self.rules) > 1 else 0
        new = Rule(replace(spec, priority=max(second - 1, 0)))
        at = min(1, len(self.rules))
        while at < len(self.rules) and self.rules[at].pref <= new.pref:
            at += 1
        self.rules.insert(at, new)
        self._changed()
        return None

    def delete(self, spec: RuleSpec) -> Refusal | None:
        """Take out the first rule that matches; prefix lengths and tos must be equal, absent ones as 0."""
        for at, rule in enumerate(self.rules):
            if _selects(spec, rule.spec):
                if at == 0 and rule.pref == 0:
                    return Refusal(EPERM)
                self.take(rule)
                return None
        return Refusal(ESRCH)


def _selects(wanted: RuleSpec, spec: RuleSpec) -> bool:
    """Mirror the comparison of inet_rtm_delrule()."""
    for asked, has in ((wanted.src, spec.src), (wanted.dst, spec.dst)):
        length, addr = (has.plen, has.addr) if has is not None else (0, 0)
        if (asked.plen if asked is not None else 0) != length or (asked is not None and asked.addr != addr):
            return False
    if wanted.tos != spec.tos or (wanted.priority and wanted.priority != spec.priority):
        return False
    if wanted.action not in ("table", spec.action):
        return False
    return all(
        not getattr(wanted, name) or getattr(wanted, name) == getattr(spec, name) for name in ("fwmark", "iif", "table")
    )
