"""Tables as lists of RouteInfo, in the kernel's dump order.

Source: fib_trie.c fn_trie_dump_leaf(), fib_semantics.c fib_dump_info(), fib_nexthop_info(); 2.4 fib_hash.c
fn_hash_dump(); linux-kernel note 2.3, observed-linux 14.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.addr import Ip, Prefix
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.route import RTNH_F_SUSPECT, Alias, FibInfo, Nexthop
from netsim.stack.fib.table import FibTable
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN, NexthopInfo, RouteInfo

TABLE_BUCKETS = 256
Order = Callable[[int, Ip, FibTable], tuple[int, ...]]
"""Where a (length, prefix) stands in a table's dump."""


def dump_all(lookup: Lookup, order: Order) -> tuple[RouteInfo, ...]:
    """List every table: by id modulo 256, in one bucket the youngest table first."""
    numbers = list(lookup.tables)
    chained = sorted(numbers, key=lambda number: (number % TABLE_BUCKETS, -numbers.index(number)))
    return tuple(route for number in chained for route in dump_table(lookup, lookup.tables[number], order))


def dump_table(lookup: Lookup, table: FibTable, order: Order) -> tuple[RouteInfo, ...]:
    """List one table."""
    keys = [(order(plen, prefix, table), plen, prefix) for plen, each in table.prefixes.items() for prefix in each]
    return tuple(
        _route(lookup, table, plen, prefix, alias)
        for _, plen, prefix in sorted(keys)
        for alias in table.prefixes[plen][prefix]
        if not alias.zombie
    )


def trie_order(plen: int, prefix: Ip, table: FibTable) -> tuple[int, ...]:
    """Mainline: by address, at one address the longer prefix first."""
    return (prefix, -plen)


def hash_order(plen: int, prefix: Ip, table: FibTable) -> tuple[int, ...]:
    """2.2 and 2.4: the longest prefixes first, then as the zone's hash chains lie, on a little-endian machine.

    A zone starts with 16 chains and grows to 256 and 1,024. Source: fn_hash(), fn_rehash_zone().
    """
    if not plen:
        return (0, 0, 0)
    routes = sum(len(leaf) for leaf in table.prefixes[plen].values())
    divisor = 16 if routes <= 64 or 1 << plen <= 16 else 256 if routes <= 1024 or 1 << plen <= 256 else 1024
    value = prefix >> 32 - plen
    value ^= value >> 20
    value ^= value >> 10
    value ^= value >> 5
    return (-plen, value & divisor - 1, int.from_bytes(prefix.to_bytes(4, "big"), "little"))


def _route(lookup: Lookup, table: FibTable, plen: int, prefix: Ip, alias: Alias) -> RouteInfo:
    """Describe one entry. Flags of a path stand beside it only in a multipath route."""
    info = alias.info
    several = len(info.nexthops) > 1
    nexthops = tuple(
        NexthopInfo(
            via=nexthop.gw, dev=nexthop.dev.name, weight=nexthop.weight, flags=_shown(lookup, nexthop.flags, nexthop),
            scope=nexthop.scope, suspect=bool(nexthop.flags & RTNH_F_SUSPECT), credit=nexthop.credit,
        )
        for nexthop in info.nexthops
        if nexthop.dev is not None
    )  # fmt: skip
    return RouteInfo(
        dst=Prefix(prefix, plen), table=table.id, tos=alias.tos, metric=info.metric, scope=alias.scope,
        protocol=info.protocol, kind=alias.kind, prefsrc=info.prefsrc, nexthops=nexthops,
        flags=_route_flags(lookup, info), multipath=several, metrics=info.metrics, memory=alias.last,
    )  # fmt: skip


def _route_flags(lookup: Lookup, info: FibInfo) -> int:
    """Return the flags of the route's own line: the only path's carrier and, if that counts, death."""
    flags = info.flags
    if len(info.nexthops) == 1:
        flags |= _shown(lookup, info.nexthops[0].flags, info.nexthops[0]) & ~RTNH_F_DEAD
        if info.nexthops[0].flags & RTNH_F_LINKDOWN and lookup.ignores_linkdown(info.nexthops[0].dev):
            flags |= RTNH_F_DEAD
    return flags & ~RTNH_F_SUSPECT


def _shown(lookup: Lookup, flags: int, nexthop: Nexthop) -> int:
    """Return a path's flags as a dump has them: one without carrier that is ignored shows as dead too."""
    if flags & RTNH_F_LINKDOWN and lookup.ignores_linkdown(nexthop.dev):
        flags |= RTNH_F_DEAD
    return flags
