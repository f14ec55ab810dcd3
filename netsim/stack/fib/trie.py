"""Mainline's tables: how a route gets its place among its equals, and how it is deleted and flushed.

Source: net/ipv4/fib_trie.c fib_table_insert(), fib_table_delete(), fib_table_flush(); linux-kernel note 2.3.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.addr import MASKS, Ip
from netsim.stack.address import RT_SCOPE_NOWHERE
from netsim.stack.dst import RT_TABLE_MAIN, RTN_LOCAL
from netsim.stack.errno import EEXIST, EINVAL, ENODEV, ENOENT, ESRCH, Refusal
from netsim.stack.fib.create import create_info, unknown_device
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.multipath import rebalance
from netsim.stack.fib.route import Alias, FibInfo, Infos
from netsim.stack.fib.table import FibTable, group_start, in_group
from netsim.stack.interfaces import Interfaces
from netsim.stack.requests import (
    DONE,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNH_F_DEAD,
    RTPROT_KERNEL,
    DelRoute,
    Done,
    NewRoute,
)

Tell = Callable[[str, int, Ip, Alias, int, bool], None]
"""Reports (event, length, prefix, entry, table, whether Linux sends a message)."""
BAD_PREFIX = Refusal(EINVAL, "Invalid prefix for given prefix length")


class Trie:
    """The routes of a mainline box."""

    def __init__(self, interfaces: Interfaces, lookup: Lookup, tell: Tell, changed: Callable[[], None]) -> None:
        self._interfaces = interfaces
        self.lookup = lookup
        self.infos = Infos()
        self._tell = tell
        self._changed = changed

    def add(self, req: NewRoute) -> Done | Refusal:
        """Add, append, prepend, replace or change a route. Mirrors inet_rtm_newroute(), fib_table_insert()."""
        if req.tos & 3:
            return Refusal(EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
        if req.dst.addr & ~MASKS[req.dst.plen] & 0xFFFFFFFF:
            return BAD_PREFIX
        number = req.table or RT_TABLE_MAIN
        info = create_info(req, self._interfaces, self.lookup)
        if isinstance(info, Refusal):
            return info
        self._find_sources(info, req.scope)
        rebalance(info, self.lookup)
        info = self.infos.find(info) or info
        table = self.lookup.tables.get(number)
        alias = Alias(info, req.tos, req.kind, req.scope)
        prefix, plen = req.dst
        leaf = table.leaf(plen, prefix) if table is not None else []
        at = group_start(leaf, req.tos, req.metric)
        if at < len(leaf) and in_group(leaf[at], req.tos, req.metric):
            if req.flags & NLM_F_EXCL:
                return Refusal(EEXIST)
            same, end = _find_same(leaf, at, alias)
            if req.flags & NLM_F_REPLACE:
                if same >= 0:
                    return DONE if same == at else Refusal(EEXIST)
                assert table is not None
                self._replace(table, plen, prefix, leaf, at, alias)
                return DONE
            if same >= 0:
                return Refusal(EEXIST)
            if req.flags & NLM_F_APPEND:
                at = end
        if not req.flags & NLM_F_CREATE:
            return Refusal(ENOENT)
        table = self.lookup.table(number)
        table.insert(plen, prefix, at, alias)
        self.infos.hold(info)
        self.lookup.custom_local |= req.kind == RTN_LOCAL and req.protocol != RTPROT_KERNEL
        self._changed()
        self._tell("new", plen, prefix, alias, number, True)
        return DONE

    def _replace(self, table: FibTable, plen: int, prefix: Ip, leaf: list[Alias], at: int, alias: Alias) -> None:
        """Put a route into another's place; its memory starts anew."""
        old = leaf[at]
        leaf[at] = alias
        self.infos.hold(alias.info)
        self.infos.release(old.info)
        if old.accessed:
            self._changed()
        self._tell("replaced", plen, prefix, alias, table.id, True)

    def _find_sources(self, info: FibInfo, scope: int) -> None:
        """Note each path's own source. Mirrors fib_info_update_nhc_saddr() at creation."""
        for nexthop in info.nexthops:
            if nexthop.dev is not None:
                nexthop.source = self._interfaces.select_address(nexthop.dev, nexthop.gw, scope)
                nexthop.source_at = self._interfaces.generation

    def source(self, info: FibInfo, index: int, scope: int) -> Ip:
        """Return a path's source: the route's `src`, else the best address of its device for its gateway.

        Mirrors fib_result_prefsrc().
        """
        if info.prefsrc:
            return info.prefsrc
        nexthop = info.nexthops[index]
        if nexthop.dev is None:
            return 0
        if nexthop.source_at != self._interfaces.generation:
            nexthop.source = self._interfaces.select_address(nexthop.dev, nexthop.gw, scope)
            nexthop.source_at = self._interfaces.generation
        return nexthop.source

    def delete(self, req: DelRoute) -> Done | Refusal:
        """Delete the first route that has everything the request names. Mirrors fib_table_delete()."""
        if req.tos & 3:
            return Refusal(EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
        number = req.table or RT_TABLE_MAIN
        table = self.lookup.tables.get(number)
        if table is None:
            return Refusal(ESRCH, "FIB table does not exist")
        if req.dst.addr & ~MASKS[req.dst.plen] & 0xFFFFFFFF:
            return BAD_PREFIX
        if unknown_device(req.nexthops, self._interfaces):
            return Refusal(ENODEV)
        prefix, plen = req.dst
        for alias in table.leaf(plen, prefix):
            if alias.tos == req.tos and deletes(req, alias):
                self._remove(table, plen, prefix, alias)
                if alias.accessed:
                    self._changed()
                self._tell("deleted", plen, prefix, alias, number, True)
                return DONE
        return Refusal(ESRCH)

    def _remove(self, table: FibTable, plen: int, prefix: Ip, alias: Alias) -> None:
        table.remove(plen, prefix, alias)
        self.infos.release(alias.info)

    def flush(self, *, silent: Callable[[FibInfo], bool]) -> None:
        """Remove every route that is dead as a whole, from every table; only those whose source went are announced.

        Source: fib_table_flush(); observed-linux 8, "removed without route notifications".
        """
        for table in list(self.lookup.tables.values()):
            for plen, prefix, alias in table.entries():
                if alias.info.flags & RTNH_F_DEAD:
                    self._remove(table, plen, prefix, alias)
                    self._tell("deleted", plen, prefix, alias, table.id, not silent(alias.info))
        self._changed()


def _find_same(leaf: list[Alias], at: int, alias: Alias) -> tuple[int, int]:
    """Return where an identical route stands in the group (-1: nowhere), and where the group ends."""
    same = -1
    while at < len(leaf) and in_group(leaf[at], alias.tos, alias.info.metric):
        if same < 0 and leaf[at].kind == alias.kind and leaf[at].info is alias.info:
            same = at
        at += 1
    return same, at


def deletes(req: DelRoute, alias: Alias) -> bool:
    """Tell whether a route has everything that a deletion names. Mirrors fib_table_delete(), fib_nh_match()."""
    info = alias.info
    return not (
        (req.kind and req.kind != alias.kind)
        or req.scope not in (RT_SCOPE_NOWHERE, alias.scope)
        or (req.prefsrc and req.prefsrc != info.prefsrc)
        or (req.protocol and req.protocol != info.protocol)
        or (req.metric and req.metric != info.metric)
        or not info.metrics.covers(req.metrics, req.metrics_given)
    ) and matches_paths(req, info)


def matches_paths(req: DelRoute, info: FibInfo) -> bool:
    """Compare paths: a plain route's with the first, a list with as many as the route has. Mirrors fib_nh_match().

    A list that is shorter than the route's does not match.
    """
    if req.multipath and len(req.nexthops) < len(info.nexthops):
        return False
    for spec, nexthop in zip(req.nexthops, info.nexthops, strict=False):
        if spec.dev and (nexthop.dev is None or nexthop.dev.name != spec.dev):
            return False
        if spec.via and spec.via != nexthop.gw:
            return False
    return True
