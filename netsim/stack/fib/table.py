"""One routing table: prefixes by length, an ordered list of entries for each, and the lookup over them.

A dict per prefix length is what the kernels of 2.2 and 2.4 had (fib_hash), and alternatives want a list anyway; a
lookup costs one dict access for each length in use, however many routes there are. How entries come and go differs by
lineage: trie.py (mainline), hash.py (2.2, 2.4).
Source: net/ipv4/fib_trie.c fib_table_lookup(); 2.4 net/ipv4/fib_hash.c fn_hash_lookup().
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator

from netsim.addr import MASKS, Ip
from netsim.stack.dst import RTN_BLACKHOLE, RTN_PROHIBIT, RTN_THROW, RTN_UNREACHABLE
from netsim.stack.errno import EACCES, EAGAIN, EHOSTUNREACH, EINVAL
from netsim.stack.fib.flow import FibResult, FlowKey, Miss
from netsim.stack.fib.route import Alias
from netsim.stack.requests import RTNH_F_DEAD

Usable = Callable[[Alias, FlowKey], int]
"""Answers the index of an entry's first good path, -1 for none."""


def error_of(kind: int) -> int:
    """Return the lookup error of a route type, 0 for types that carry packets. Source: fib_props[]."""
    if kind == RTN_UNREACHABLE:
        return EHOSTUNREACH
    if kind == RTN_PROHIBIT:
        return EACCES
    if kind == RTN_BLACKHOLE:
        return EINVAL
    return EAGAIN if kind == RTN_THROW else 0


class FibTable:
    """The routes of one table id. `defaults` counts entries of prefix length 0 (tb_num_default)."""

    __slots__ = ("_usable", "defaults", "id", "lengths", "prefixes", "shape")

    def __init__(self, table: int, usable: Usable) -> None:
        self.id = table
        self.prefixes: dict[int, dict[Ip, list[Alias]]] = {}
        self.lengths: list[int] = []
        self.shape = 0
        self.defaults = 0
        self._usable = usable

    def leaf(self, plen: int, prefix: Ip) -> list[Alias]:
        """Return the list of a prefix, a new empty one when there is none."""
        return self.prefixes.get(plen, {}).get(prefix, [])

    def lookup(self, flow: FlowKey) -> FibResult | Miss:
        """Find the longest usable match."""
        daddr = flow.daddr
        for plen in self.lengths:
            leaf = self.prefixes[plen].get(daddr & MASKS[plen])
            if leaf is not None:
                hit = self.match(leaf, plen, flow)
                if hit is not None:
                    return hit
        return Miss(EAGAIN)

    def match(self, leaf: list[Alias], plen: int, flow: FlowKey) -> FibResult | Miss | None:
        """Return the first usable entry of a list, an error type's Miss, or None to go to a shorter prefix."""
        for alias in leaf:
            if alias.tos and alias.tos != flow.tos:
                continue
            alias.accessed = True
            if alias.zombie or alias.scope < flow.scope:
                continue
            error = error_of(alias.kind)
            if error:
                return Miss(error, table=self.id)
            if alias.info.flags & RTNH_F_DEAD:
                continue
            index = self._usable(alias, flow)
            if index >= 0:
                return FibResult(alias, index, leaf, plen, self)
        return None

    def insert(self, plen: int, prefix: Ip, at: int, alias: Alias) -> None:
        """Put an entry at a place of its prefix's list."""
        by_prefix = self.prefixes.get(plen)
        if by_prefix is None:
            by_prefix = self.prefixes[plen] = {}
            insort(self.lengths, plen, key=lambda length: -length)
            self.shape += 1
        by_prefix.setdefault(prefix, []).insert(at, alias)
        self.defaults += not plen

    def remove(self, plen: int, prefix: Ip, alias: Alias) -> None:
        """Take an entry out, and its list and length when they are empty."""
        leaf = self.prefixes[plen][prefix]
        leaf.remove(alias)
        self.defaults -= not plen
        if not leaf:
            del self.prefixes[plen][prefix]
            if not self.prefixes[plen]:
                del self.prefixes[plen]
                self.lengths.remove(plen)
                self.shape += 1

    def entries(self) -> Iterator[tuple[int, Ip, Alias]]:
        """Yield (length, prefix, entry) as they lie, for whoever looks at them all; removing is safe meanwhile."""
        for plen, by_prefix in list(self.prefixes.items()):
            for prefix, leaf in list(by_prefix.items()):
                for alias in list(leaf):
                    yield plen, prefix, alias


def group_start(leaf: list[Alias], tos: int, metric: int) -> int:
    """Return where entries of (tos, metric) stand or would stand: TOS descending, then metric ascending.

    Source: fib_find_alias(), fn_hash_insert().
    """
    for at, alias in enumerate(leaf):
        if alias.tos < tos or (alias.tos == tos and alias.info.metric >= metric):
            return at
    return len(leaf)


def in_group(alias: Alias, tos: int, metric: int) -> bool:
    """Tell whether an entry belongs to the group of equal (tos, metric)."""
    return alias.tos == tos and alias.info.metric == metric
