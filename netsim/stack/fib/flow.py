"""What a routing question holds, what a table answers, and which addresses are no ordinary ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netsim.addr import Ip
from netsim.stack.fib.route import Alias, FibInfo, Nexthop

if TYPE_CHECKING:
    from netsim.stack.fib.table import FibTable


class FlowKey(NamedTuple):
    """The fields of a lookup (struct flowi4). `oif` and `iif` are ifindexes, 0 for none; `scope` a route's least scope.

    `gw` is the key of the seed's patches: the gateway that a path with a gateway must have. `ignore_linkdown` is
    FIB_LOOKUP_IGNORE_LINKSTATE.
    """

    daddr: Ip
    saddr: Ip = 0
    tos: int = 0
    oif: int = 0
    iif: int = 0
    mark: int = 0
    proto: int = 0
    sport: int = 0
    dport: int = 0
    scope: int = 0
    gw: Ip = 0
    ignore_linkdown: bool = False


class FibResult:
    """A hit (struct fib_result): the entry, the path chosen so far, and where it was found; `rule` a preference."""

    __slots__ = ("action", "alias", "index", "leaf", "prefixlen", "rule", "table")

    def __init__(self, alias: Alias, index: int, leaf: list[Alias], prefixlen: int, table: FibTable) -> None:
        self.alias = alias
        self.index = index
        self.leaf = leaf
        self.prefixlen = prefixlen
        self.table = table
        self.rule = -1
        self.action = "table"

    @property
    def info(self) -> FibInfo:
        """The route's shared part."""
        return self.alias.info

    @property
    def nexthop(self) -> Nexthop:
        """The path chosen so far."""
        return self.alias.info.nexthops[self.index]

    @property
    def kind(self) -> int:
        """RTN_ type."""
        return self.alias.kind


class Miss:
    """A lookup that ended without a usable route: `errno` positive; EAGAIN means "ask the next rule"."""

    __slots__ = ("errno", "rule", "table")

    def __init__(self, errno: int, rule: int = -1, table: int = 0) -> None:
        self.errno = errno
        self.rule = rule
        self.table = table


def is_badclass(ip: Ip) -> bool:
    """Tell whether `ip` is in 240.0.0.0/4, the limited broadcast included (2.4's BADCLASS)."""
    return ip >> 28 == 0xF


def is_local_multicast(ip: Ip) -> bool:
    """Tell whether `ip` is in 224.0.0.0/24, never forwarded."""
    return ip >> 8 == 0xE00000
