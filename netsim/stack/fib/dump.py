"""Tables as lists of RouteInfo, in the kernel's dump order.

Source: fib_trie.c fn_trie_dump_leaf(), fib_semantics.c fib_dump_info(), fib_nexthop_info(); 2.4 fib_hash.c
fn_hash_dump(); linux-kernel note 2.3, observed-linux 14.
"""

from __future__ import annotations

from collections.abc import Iterator

from netsim.addr import Ip, Prefix
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.route import RTNH_F_SUSPECT, Alias, FibInfo, Nexthop
from netsim.stack.fib.table import FibTable
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN, NexthopInfo, RouteInfo

TABLE_BUCKETS = 256


def dump_all(lookup: Lookup) -> tuple[RouteInfo, ...]:
    """List every table: by id modulo 256, in one bucket the youngest table first."""
    numbers = list(lookup.tables)
    order = sorted(numbers, key=lambda number: (number % TABLE_BUCKETS, -numbers.index(number)))
    return tuple(route for number in order for route in dump_table(lookup, lookup.tables[number]))


def dump_table(lookup: Lookup, table: FibTable) -> tuple[RouteInfo, ...]:
    """List one table."""
    return tuple(_route(lookup, table, plen, prefix, alias) for plen, prefix, alias in _ordered(table))


def _ordered(table: FibTable) -> Iterator[tuple[int, Ip, Alias]]:
    """Yield entries by address ascending, longer prefix first, then in list order."""
    keys = sorted((prefix, -plen) for plen, by_prefix in table.prefixes.items() for prefix in by_prefix)
    for prefix, negative in keys:
        for alias in table.prefixes[-negative][prefix]:
            if not alias.zombie:
                yield -negative, prefix, alias


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
        flags=_route_flags(lookup, info), multipath=several, mtu=info.mtu, mtu_lock=info.mtu_lock, advmss=info.advmss,
        memory=alias.last,
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
