"""Asking the tables: by rules, or one table alone, and what kind of address something is.

Source: include/net/ip_fib.h fib_lookup(); net/ipv4/fib_trie.c fib_lookup_good_nhc(); fib_frontend.c inet_addr_type();
2.4 net/ipv4/fib_semantics.c fib_semantic_match().
"""

from __future__ import annotations

from netsim.addr import LIMITED_BROADCAST, MASKS, Ip, is_multicast, is_zeronet
from netsim.stack.address import RT_SCOPE_LINK
from netsim.stack.device import Device
from netsim.stack.dst import (
    RT_TABLE_DEFAULT,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
)
from netsim.stack.errno import EAGAIN, ENETUNREACH
from netsim.stack.fib.flow import FibResult, FlowKey, Miss, is_badclass
from netsim.stack.fib.old_rules import OldRules
from netsim.stack.fib.route import Alias, Nexthop
from netsim.stack.fib.rules import Rules
from netsim.stack.fib.table import FibTable
from netsim.stack.interfaces import Interfaces
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN
from netsim.stack.sysctl import Sysctl

FIRST_FREE_TABLE = 1


class Lookup:
    """The tables and rules of a box, and the questions put to them. A table is there from its first route on.

    `custom_local`: somebody added a route of type local by hand.
    """

    def __init__(self, interfaces: Interfaces, sysctl: Sysctl) -> None:
        self._sysctl = sysctl
        self.rules = self._make_rules(interfaces)
        self.tables: dict[int, FibTable] = {}
        self._lengths: tuple[int, list[int]] = (-1, [])
        self.custom_local = False

    def _make_rules(self, interfaces: Interfaces) -> Rules:
        return Rules(interfaces)

    def table(self, number: int) -> FibTable:
        """Return a table, made on demand; main comes into being with local. Mirrors fib_new_table()."""
        found = self.tables.get(number)
        if found is None:
            if number == RT_TABLE_LOCAL:
                self.table(RT_TABLE_MAIN)
            found = self.tables[number] = FibTable(number, self.usable)
        return found

    def empty_table(self) -> int:
        """Return the first id without a table, making it. Mirrors fib_empty_table()."""
        number = FIRST_FREE_TABLE
        while number in self.tables:
            number += 1
        self.table(number)
        return number

    @property
    def merged(self) -> bool:
        """Whether local and main are one trie still: no rule was ever added or deleted."""
        return not self.rules.custom

    def fib_lookup(self, flow: FlowKey) -> FibResult | Miss:
        """Answer by the rules; before the first rule was changed, by the trie of local and main, then by default."""
        if self.rules.custom:
            return self.rules.walk(flow, self.tables)
        answer = self._merged(flow)
        if isinstance(answer, Miss) and RT_TABLE_DEFAULT in self.tables:
            answer = self.tables[RT_TABLE_DEFAULT].lookup(flow)
            answer.rule = 32767
        if isinstance(answer, Miss) and answer.errno == EAGAIN:
            return Miss(ENETUNREACH)
        return answer

    def _merged(self, flow: FlowKey) -> FibResult | Miss:
        """Search local and main together: the longest prefix across both, local first inside one.

        Source: linux-kernel note 2.1, "tables local and main share one trie"; fib_unmerge().
        """
        local, main = self.tables.get(RT_TABLE_LOCAL), self.tables.get(RT_TABLE_MAIN)
        if main is None:
            return Miss(EAGAIN)
        if local is None:
            answer = main.lookup(flow)
            answer.rule = 32766
            return answer
        daddr = flow.daddr
        shape = local.shape + main.shape
        if self._lengths[0] != shape:
            self._lengths = (shape, sorted({*local.lengths, *main.lengths}, reverse=True))
        for plen in self._lengths[1]:
            prefix = daddr & MASKS[plen]
            for table, pref in ((local, 0), (main, 32766)):
                by_prefix = table.prefixes.get(plen)
                leaf = by_prefix.get(prefix) if by_prefix is not None else None
                if leaf is not None:
                    hit = table.match(leaf, plen, flow)
                    if hit is not None:
                        hit.rule = pref
                        return hit
        return Miss(EAGAIN)

    def usable(self, alias: Alias, flow: FlowKey) -> int:
        """Return the first good path's index, -1 for none. Mirrors fib_lookup_good_nhc()."""
        for index, nexthop in enumerate(alias.info.nexthops):
            flags = nexthop.flags
            if flags:
                if flags & RTNH_F_DEAD:
                    continue
                if flags & RTNH_F_LINKDOWN and not flow.ignore_linkdown and self.ignores_linkdown(nexthop.dev):
                    continue
            if flow.oif and (nexthop.dev is None or nexthop.dev.ifindex != flow.oif):
                continue
            return index
        return -1

    def ignores_linkdown(self, dev: Device | None) -> bool:
        """Tell whether a path without carrier on `dev` is left out."""
        if dev is None:
            return False
        return bool(dev.conf.ignore_routes_with_linkdown | self._sysctl.conf_all.ignore_routes_with_linkdown)

    def gateway(self, table: int, flow: FlowKey) -> FibResult | Miss:
        """Find the way to a gateway: its route's own table first, then the rules. Source: fib_check_nh_v4_gw()."""
        if table != RT_TABLE_MAIN and table in self.tables:
            answer = self.tables[table].lookup(flow)
            if isinstance(answer, FibResult):
                return answer
        return self.fib_lookup(flow)

    def local_in(self, table: int, ip: Ip) -> bool:
        """Tell whether a table says that an address is ours."""
        found = self.tables.get(table)
        answer = found.lookup(FlowKey(ip)) if found is not None else None
        return isinstance(answer, FibResult) and answer.kind == RTN_LOCAL

    def local_device(self, ip: Ip) -> Device | None:
        """Return the device an address of ours is on, None for others. Mirrors ip_dev_find()."""
        found = self.tables.get(RT_TABLE_LOCAL)
        answer = found.lookup(FlowKey(ip)) if found is not None else None
        if isinstance(answer, FibResult) and answer.kind == RTN_LOCAL:
            return answer.nexthop.dev
        return None

    def address_type(self, ip: Ip, dev: Device | None = None) -> int:
        """Tell what an address is by the local table, on one device alone if given. Mirrors inet_addr_type()."""
        if is_zeronet(ip) or ip == LIMITED_BROADCAST:
            return RTN_BROADCAST
        if is_multicast(ip):
            return RTN_MULTICAST
        return self._type_in_local(ip, dev)

    def _type_in_local(self, ip: Ip, dev: Device | None) -> int:
        """Ask the local table; while it is one trie with main, main's unicast routes do not count."""
        found = self.tables.get(RT_TABLE_LOCAL)
        answer = found.lookup(FlowKey(ip)) if found is not None else None
        if isinstance(answer, FibResult) and (dev is None or answer.nexthop.dev is dev):
            return answer.kind
        return RTN_UNICAST


class OldLookup(Lookup):
    """The questions as 2.2 and 2.4 put them: rules always, no carrier, and the patches' gateway key."""

    def _make_rules(self, interfaces: Interfaces) -> Rules:
        rules = OldRules(interfaces)
        rules.custom = True
        return rules

    def usable(self, alias: Alias, flow: FlowKey) -> int:
        """Return the first path that is not dead and fits the device and gateway keys."""
        for index, nexthop in enumerate(alias.info.nexthops):
            if nexthop.flags & RTNH_F_DEAD:
                continue
            if not flow.oif or (nexthop.dev is not None and nexthop.dev.ifindex == flow.oif):
                if flow.gw and not fits_gateway(nexthop, flow.gw):
                    continue
                return index
        return -1

    def address_type(self, ip: Ip, dev: Device | None = None) -> int:
        """Tell what an address is; all of class E counts as broadcast."""
        if is_badclass(ip):
            return RTN_BROADCAST
        return super().address_type(ip, dev)


def fits_gateway(nexthop: Nexthop, gw: Ip) -> bool:
    """Tell whether a path may serve a gateway key: only another real gateway may not. Source: patch 05_nf_reroute."""
    return not nexthop.gw or nexthop.gw == gw or nexthop.scope != RT_SCOPE_LINK
