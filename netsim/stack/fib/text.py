"""Routes and tables in `ip route` words, for records and explanations; what people list is printed in shell/."""

from __future__ import annotations

from netsim.addr import Ip, ip_str
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_SITE
from netsim.stack.dst import RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_UNICAST
from netsim.stack.fib.route import RTNH_F_SUSPECT, Alias, FibInfo, Nexthop
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE

_TABLES = ((RT_TABLE_DEFAULT, "default"), (RT_TABLE_MAIN, "main"), (RT_TABLE_LOCAL, "local"))
_SCOPES = (
    (RT_SCOPE_SITE, "site"), (RT_SCOPE_LINK, "link"), (RT_SCOPE_HOST, "host"), (RT_SCOPE_NOWHERE, "nowhere"),
)  # fmt: skip
_PROTOCOLS = ((1, "redirect"), (2, "kernel"), (4, "static"))
_KINDS = (
    "none", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
    "nat",
)  # fmt: skip
_FLAGS = (
    (RTNH_F_DEAD, "dead"), (RTNH_F_ONLINK, "onlink"), (RTNH_F_PERVASIVE, "pervasive"), (RTNH_F_LINKDOWN, "linkdown"),
    (RTNH_F_SUSPECT, "suspect"),
)  # fmt: skip


def table_name(table: int) -> str:
    """Return a table's name."""
    return dict(_TABLES).get(table, str(table))


def kind_name(kind: int) -> str:
    """Return a route type's name."""
    return _KINDS[kind] if kind < len(_KINDS) else str(kind)


def prefix_text(prefix: Ip, plen: int) -> str:
    """Return `default`, a host, or a prefix with its length."""
    if not plen and not prefix:
        return "default"
    return ip_str(prefix) if plen == 32 else f"{ip_str(prefix)}/{plen}"


def flag_words(flags: int) -> list[str]:
    """Name RTNH_F_ bits in the order they are printed; `suspect` is netsim's word for the patch's nameless bit."""
    return [word for bit, word in _FLAGS if flags & bit]


def path_text(nexthop: Nexthop) -> str:
    """Return `via GATEWAY dev DEVICE`, or what there is of it."""
    via = f"via {ip_str(nexthop.gw)} " if nexthop.gw else ""
    return f"{via}dev {nexthop.dev.name}" if nexthop.dev is not None else via.rstrip()


def route_text(plen: int, prefix: Ip, alias: Alias, table: int) -> str:
    """Return one route as `ip monitor route` prints it, a multipath one on the same line."""
    info: FibInfo = alias.info
    several = len(info.nexthops) > 1
    words = [] if alias.kind == RTN_UNICAST else [kind_name(alias.kind)]
    words.append(prefix_text(prefix, plen))
    if alias.tos:
        words.append(f"tos {alias.tos:#04x}")
    if not several and info.nexthops and info.nexthops[0].dev is not None:
        words.append(path_text(info.nexthops[0]))
    if table != RT_TABLE_MAIN:
        words.append(f"table {table_name(table)}")
    for number, names, word in ((info.protocol, _PROTOCOLS, "proto"), (alias.scope, _SCOPES, "scope")):
        name = dict(names).get(number, "" if number in (0, 3) else str(number))
        if name:
            words.append(f"{word} {name}")
    if info.prefsrc:
        words.append(f"src {ip_str(info.prefsrc)}")
    if info.metric:
        words.append(f"metric {info.metric}")
    if several:
        words += [f"nexthop {path_text(nexthop)} weight {nexthop.weight}" for nexthop in info.nexthops]
    else:
        words += flag_words(info.flags | info.nexthops[0].flags)
    return " ".join(words)
