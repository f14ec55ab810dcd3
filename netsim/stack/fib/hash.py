"""The tables of 2.2 and 2.4: how a route gets its place among its equals, how it is deleted, and what stays behind.

The last entry of a (prefix, tos) is not taken out when deleted: it lies there as a zombie, seen by nobody, until the
next flush or a new route in its place. Each step asks the route cache to be flushed only where the kernel does.
Source: 2.4 net/ipv4/fib_hash.c fn_hash_insert(), fn_hash_delete(), fn_hash_flush(); route-patches sections 1, 13 (C4).
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.addr import MASKS, Ip
from netsim.stack.address import RT_SCOPE_NOWHERE
from netsim.stack.dst import RT_TABLE_MAIN
from netsim.stack.errno import EEXIST, EINVAL, ENODEV, ENOENT, ESRCH, Refusal
from netsim.stack.fib.create import unknown_device
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.old_create import OldCreation
from netsim.stack.fib.route import Alias, FibInfo, Infos
from netsim.stack.fib.table import FibTable, group_start, in_group
from netsim.stack.fib.trie import Tell, matches_paths
from netsim.stack.interfaces import Interfaces
from netsim.stack.requests import (
    DONE,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNH_F_DEAD,
    DelRoute,
    Done,
    NewRoute,
)

DELAYED = -1
"""A flush of the route cache that may wait for min_delay."""
MAX_ZOMBIES = 128


class Hash:
    """The routes of a 2.2 or 2.4 box; `static` is the static_routes patch."""

    def __init__(
        self, interfaces: Interfaces, lookup: Lookup, tell: Tell, flush_cache: Callable[[int], None], *, static: bool
    ) -> None:
        self._interfaces = interfaces
        self.lookup = lookup
        self.infos = Infos()
        self.static = static
        self._tell = tell
        self._flush_cache = flush_cache
        self._creation = OldCreation(interfaces, lookup, static=static)
        self._zombies = 0

    def add(self, req: NewRoute) -> Done | Refusal:
        """Add, append, prepend, replace or change a route. Mirrors fn_hash_insert()."""
        if req.dst.addr & ~MASKS[req.dst.plen] & 0xFFFFFFFF:
            return Refusal(EINVAL)
        number = req.table or RT_TABLE_MAIN
        info = self._creation.create(req)
        if isinstance(info, Refusal):
            return info
        info = self.infos.find(info) or info
        found = self.lookup.tables.get(number)
        prefix, plen = req.dst
        leaf = found.leaf(plen, prefix) if found is not None else []
        alias = Alias(info, req.tos, req.kind, req.scope)
        zombie = next((each for each in leaf if each.tos == req.tos and each.zombie), None)
        at = leaf.index(zombie) if zombie is not None else group_start(leaf, req.tos, req.metric)
        if zombie is None and at < len(leaf) and in_group(leaf[at], req.tos, req.metric):
            if req.flags & NLM_F_EXCL:
                return Refusal(EEXIST)
            if req.flags & NLM_F_REPLACE:
                return self._put(number, plen, prefix, at, alias, leaf[at])
            end = at
            while end < len(leaf) and in_group(leaf[end], req.tos, req.metric):
                if leaf[end].kind == req.kind and leaf[end].scope == req.scope and leaf[end].info is info:
                    return Refusal(EEXIST)
                end += 1
            if req.flags & NLM_F_APPEND:
                at = end
        if not req.flags & NLM_F_CREATE:
            return Refusal(ENOENT)
        return self._put(number, plen, prefix, at, alias, zombie)

    def _put(self, number: int, plen: int, prefix: Ip, at: int, alias: Alias, old: Alias | None) -> Done:
        """Insert an entry and take out the one it replaces; only a visited one's going asks for a flush."""
        table = self.lookup.table(number)
        self.infos.hold(alias.info)
        table.insert(plen, prefix, at, alias)
        if old is None:
            self._flush_cache(DELAYED)
        else:
            table.remove(plen, prefix, old)
            if old.accessed:
                self._flush_cache(DELAYED)
            self.infos.release(old.info)
            if not old.zombie:
                self._tell("deleted", plen, prefix, old, number, True)
        self._tell("new", plen, prefix, alias, number, True)
        return DONE

    def delete(self, req: DelRoute) -> Done | Refusal:
        """Delete the first route that has everything the request names. Mirrors fn_hash_delete()."""
        table = self.lookup.tables.get(req.table or RT_TABLE_MAIN)
        if table is None:
            return Refusal(ESRCH)
        if req.dst.addr & ~MASKS[req.dst.plen] & 0xFFFFFFFF:
            return Refusal(EINVAL)
        if unknown_device(req.nexthops, self._interfaces):
            return Refusal(ENODEV)
        prefix, plen = req.dst
        same_tos = [alias for alias in table.leaf(plen, prefix) if alias.tos == req.tos]
        doomed = next((alias for alias in same_tos if not alias.zombie and _deletes(req, alias)), None)
        if doomed is None:
            return Refusal(ESRCH)
        self._tell("deleted", plen, prefix, doomed, table.id, True)
        if len(same_tos) > 1:
            table.remove(plen, prefix, doomed)
            if doomed.accessed:
                self._flush_cache(DELAYED)
            self.infos.release(doomed.info)
            return DONE
        doomed.zombie = True
        if doomed.accessed:
            doomed.accessed = False
            self._flush_cache(DELAYED)
        self._zombies += 1
        if self._zombies > MAX_ZOMBIES:
            self.flush()
        return DONE

    def flush(self) -> None:
        """Take out zombies and dead routes. Mirrors fib_flush()."""
        flushed = 0
        for number in sorted(self.lookup.tables, reverse=True):
            flushed += self._flush_table(self.lookup.tables[number])
        self._zombies = 0
        if flushed:
            self._flush_cache(DELAYED)

    def _flush_table(self, table: FibTable) -> int:
        flushed = 0
        for plen, prefix, alias in table.entries():
            if alias.zombie or alias.info.flags & RTNH_F_DEAD:
                table.remove(plen, prefix, alias)
                self.infos.release(alias.info)
                if not alias.zombie:
                    self._tell("deleted", plen, prefix, alias, table.id, False)
                flushed += 1
        return flushed

    def source(self, info: FibInfo, index: int, scope: int) -> Ip:
        """Return a path's source: the route's `src`, else the best address of its device for its gateway.

        Mirrors FIB_RES_PREFSRC().
        """
        if info.prefsrc:
            return info.prefsrc
        nexthop = info.nexthops[index]
        if nexthop.dev is None or not nexthop.dev.has_ip:
            return 0
        return self._interfaces.select_address(nexthop.dev, nexthop.gw, scope)


def _deletes(req: DelRoute, alias: Alias) -> bool:
    """Tell whether a route has everything that a deletion names; the source does not count."""
    info = alias.info
    return (
        (not req.kind or req.kind == alias.kind)
        and req.scope in (RT_SCOPE_NOWHERE, alias.scope)
        and (not req.protocol or req.protocol == info.protocol)
        and (req.metric is None or req.metric == info.metric)
        and matches_paths(req, info)
    )
