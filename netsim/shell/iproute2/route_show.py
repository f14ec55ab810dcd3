"""`ip route show` and `ip route flush`: selectors, and one route as text and as JSON.

Source: iproute2 6.1 ip/iproute.c iproute_list_flush_or_save(), filter_nlmsg(), print_route(); linux-kernel note 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import MASKS, Ip, Prefix, ip_str
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, route_metrics, usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.iproute2.route_get import print_cached
from netsim.shell.iproute2.session import Options, Session
from netsim.shell.tool import Failure
from netsim.stack import dst
from netsim.stack.requests import (
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
    RTNH_F_ONLINK,
    RTNH_F_PERVASIVE,
    RTPROT_BOOT,
    DelRoute,
    DumpRouteCache,
    DumpRoutes,
    FlushRouteCache,
    NexthopInfo,
    NexthopSpec,
    RouteInfo,
)

NEXTHOP_FLAGS = (
    (RTNH_F_DEAD, "dead"), (RTNH_F_ONLINK, "onlink"), (RTNH_F_PERVASIVE, "pervasive"), (RTNH_F_LINKDOWN, "linkdown"),
)  # fmt: skip
_KEYWORDS = ("table", "dev", "via", "proto", "scope", "type", "src", "metric", "tos", "root", "match", "exact", "cache")


@dataclass(slots=True)
class Selector:
    """Which routes are meant; None, "" mean any. `root` bounds the prefix from below, `match` from above."""

    table: int | None = dst.RT_TABLE_MAIN
    cache: bool = False
    dev: str = ""
    via: Ip | None = None
    protocol: int | None = None
    scope: int | None = None
    kind: int | None = None
    src: Prefix | None = None
    metric: int | None = None
    tos: int | None = None
    root: Prefix | None = None
    match: Prefix | None = None

    def takes(self, route: RouteInfo) -> bool:
        """Mirror filter_nlmsg()."""
        first = route.nexthops[0] if len(route.nexthops) == 1 and not route.multipath else None
        if self.protocol is not None and route.protocol != self.protocol:
            return False
        if self.scope is not None and route.scope != self.scope:
            return False
        if self.kind is not None and route.kind != self.kind:
            return False
        if self.tos is not None and route.tos != self.tos:
            return False
        if self.metric is not None and route.metric != self.metric:
            return False
        if self.dev and (first is None or first.dev != self.dev):
            return False
        if self.via is not None and (first is None or first.via != self.via):
            return False
        if self.src is not None and (not route.prefsrc or not self.src.holds(route.prefsrc)):
            return False
        if self.root is not None and (self.root.plen > route.dst.plen or not self.root.holds(route.dst.addr)):
            return False
        return self.match is None or (
            self.match.plen >= route.dst.plen
            and not (self.match.addr ^ route.dst.addr) & MASKS[min(self.match.plen, route.dst.plen)]
        )


def _select(args: Args) -> Selector:
    """Read selectors. Raises Failure."""
    chosen = Selector()
    while args:
        if args.like("table"):
            _table(args, chosen)
        elif args.like("cached", "cloned"):
            args.take()
            chosen.cache = True
        elif args.is_("tos") or args.like("dsfield"):
            chosen.tos = a.named(args.value(), names.dsfield_number, "TOS value is invalid")
        elif args.like("protocol"):
            chosen.protocol = _any(args, names.protocol_number, 'invalid "protocol"')
        elif args.like("scope"):
            chosen.scope = _any(args, names.scope_number, 'invalid "scope"')
        elif args.like("type"):
            chosen.kind = a.named(args.value(), names.type_number, "node type value is invalid")
        elif args.is_("dev", "oif", "iif"):
            chosen.dev = args.value().text
        elif args.is_("via"):
            args.step()
            if args.is_("inet") and args.at + 1 < len(args.words):
                args.take()
            chosen.via = a.prefix(args.take(), args.family).addr
        elif args.is_("src"):
            chosen.src = a.prefix(args.value(), args.family)
        elif args.like("metric", "priority") or args.is_("preference"):
            chosen.metric = a.number(args.value(), '"metric" value is invalid')
        else:
            _prefix(args, chosen)
    return chosen


def _any(args: Args, read: names.Reader, why: str) -> int | None:
    word = args.value()
    return None if word.text == "all" else a.named(word, read, why)


def _table(args: Args, chosen: Selector) -> None:
    word = args.value()
    if word.text == "cache":
        chosen.cache = True
    elif word.text == "all":
        chosen.table = None
    else:
        chosen.table = a.named(word, names.table_number, "table id value is invalid") or None


def _prefix(args: Args, chosen: Selector) -> None:
    if args.like("to"):
        args.step()
    if args.like("realms") or args.is_("from", "vrf"):
        raise Failure(f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing")
    if args.like("root"):
        chosen.root = a.prefix(args.value(), args.family)
        return
    if args.like("match"):
        chosen.match = a.prefix(args.value(), args.family)
        return
    if args.like("exact"):
        args.step()
    if args.like("help"):
        raise Failure(usage.ROUTE, a.EXIT_SYNTAX, args.word)
    word = args.take()
    try:
        chosen.root = chosen.match = a.prefix(word, args.family)
    except Failure as failure:
        failure.hint = failure.hint or a.suggestion(word.text, _KEYWORDS)
        raise


def parse_list(args: Args) -> ListRoutes:
    """Read what follows `ip route show`. Raises Failure."""
    return ListRoutes(_select(args))


def parse_flush(args: Args) -> FlushRoutes:
    """Read what follows `ip route flush`. Raises Failure."""
    if not args:
        raise Failure('"ip route flush" requires arguments.', a.EXIT_INPUT)
    return FlushRoutes(_select(args))


@dataclass(frozen=True, slots=True)
class ListRoutes:
    """Print what the selector takes, in the kernel's order."""

    selector: Selector

    def run(self, session: Session) -> None:
        """Print. Raises Failure for a table or a device that does not exist."""
        selector = self.selector
        if selector.dev:
            session.link(selector.dev)
        printer = session.options.printer()
        if session.options.family == 6:
            session.print(printer.result())
            return
        if selector.cache:
            for cached in session.dump(DumpRouteCache()):
                print_cached(printer, cached, session.options)
        else:
            for route in session.dump(DumpRoutes(table=selector.table)):
                if selector.takes(route):
                    print_route(printer, route, session.options, selector)
        session.print(printer.result())


@dataclass(frozen=True, slots=True)
class FlushRoutes:
    """Delete what the selector takes, one by one, until nothing is left."""

    selector: Selector

    def run(self, session: Session) -> None:
        """Delete. Raises Failure for a table or a device that does not exist."""
        selector = self.selector
        if selector.cache:
            session.ask(FlushRouteCache())
            if session.options.stats:
                session.print("*** IPv4 routing cache is flushed.\n")
            return
        if selector.dev:
            session.link(selector.dev)
        if session.options.family == 6:
            return
        routes = session.dump(DumpRoutes(table=selector.table), ending="Flush terminated")
        doomed = [route for route in routes if selector.takes(route)]
        for route in doomed:
            session.request(_deletion(route))
        report_flush(session, len(doomed))


def report_flush(session: Session, count: int) -> None:
    """Say with -s what a flush did."""
    if not session.options.stats:
        return
    if count:
        session.print(f"\n*** Round 1, deleting {count} entries ***\n*** Flush is complete after 1 round ***\n")
    else:
        session.print("Nothing to flush.\n")


def _deletion(route: RouteInfo) -> DelRoute:
    """Name exactly this route."""
    return DelRoute(
        dst=route.dst, table=route.table, tos=route.tos, metric=route.metric or None, scope=route.scope,
        protocol=route.protocol, kind=route.kind, prefsrc=route.prefsrc, multipath=route.multipath,
        nexthops=tuple(NexthopSpec(via=nh.via, dev=nh.dev, weight=nh.weight) for nh in route.nexthops),
    )  # fmt: skip


def prefix_text(prefix: Prefix) -> str:
    """Print a destination: `default`, a host without its length, or a prefix."""
    if prefix.plen == 0 and not prefix.addr:
        return "default"
    return ip_str(prefix.addr) if prefix.plen == 32 else str(prefix)


def flag_words(flags: int) -> list[Json]:
    """Name the RTNH_F_ bits in the order they are printed."""
    return [word for bit, word in NEXTHOP_FLAGS if flags & bit]


def print_route(printer: Printer, route: RouteInfo, options: Options, selector: Selector) -> None:
    """Print one route; what the selector fixed is left out. Every field ends in one blank."""
    several = route.multipath or len(route.nexthops) > 1
    first = route.nexthops[0] if route.nexthops and not several else None
    printer.begin()
    if route.kind != dst.RTN_UNICAST or options.details:
        printer.any("type", f"{names.type_name(route.kind)} ", names.type_name(route.kind))
    printer.any("dst", f"{prefix_text(route.dst)} ", prefix_text(route.dst))
    if route.tos and selector.tos is None:
        printer.any("tos", f"tos {names.dsfield_name(route.tos)} ", names.dsfield_name(route.tos))
    if first is not None and first.via and selector.via is None:
        printer.any("gateway", f"via {ip_str(first.via)} ", ip_str(first.via))
    if first is not None and first.dev and not selector.dev:
        printer.any("dev", f"dev {first.dev} ", first.dev)
    _print_ownership(printer, route, options, selector)
    flags = flag_words(route.flags if several or first is None else route.flags | first.flags)
    for word in flags:
        printer.text(f"{word} ")
    printer.json("flags", flags)
    route_metrics.show(printer, route.metrics)
    if several:
        _print_nexthops(printer, route.nexthops)
    printer.text("\n")


def _print_ownership(printer: Printer, route: RouteInfo, options: Options, selector: Selector) -> None:
    """Print table, proto, scope, src and metric."""
    if selector.table is None and (route.table != dst.RT_TABLE_MAIN or options.details):
        table = names.table_name(route.table)
        printer.any("table", f"table {table} ", table)
    if (route.protocol != RTPROT_BOOT or options.details) and selector.protocol is None:
        protocol = names.protocol_name(route.protocol)
        printer.any("protocol", f"proto {protocol} ", protocol)
    if (route.scope or options.details) and selector.scope is None:
        scope = names.scope_name(route.scope)
        printer.any("scope", f"scope {scope} ", scope)
    if route.prefsrc and (selector.src is None or selector.src.plen != 32):
        printer.any("prefsrc", f"src {ip_str(route.prefsrc)} ", ip_str(route.prefsrc))
    if route.metric and selector.metric is None:
        printer.any("metric", f"metric {route.metric} ", route.metric)


def _print_nexthops(printer: Printer, nexthops: tuple[NexthopInfo, ...]) -> None:
    listed: list[Json] = []
    for nexthop in nexthops:
        flags = flag_words(nexthop.flags)
        via = f"via {ip_str(nexthop.via)} " if nexthop.via else ""
        words = "".join(f"{word} " for word in flags)
        printer.text(f"{printer.nl}\tnexthop {via}dev {nexthop.dev} weight {nexthop.weight} {words}")
        entry: dict[str, Json] = {"gateway": ip_str(nexthop.via)} if nexthop.via else {}
        listed.append({**entry, "dev": nexthop.dev, "weight": nexthop.weight, "flags": flags})
    printer.json("nexthops", listed)
