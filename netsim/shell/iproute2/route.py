"""`ip route add`, `append`, `prepend`, `replace`, `change`, `test`, `del`: text to NewRoute and DelRoute.

Listing is in route_show.py, `get` in route_get.py.
Source: iproute2 6.1 ip/iproute.c iproute_modify(), parse_nexthops().
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType

from netsim.addr import Ip, Prefix
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, route_metrics, usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.route_get import parse_get
from netsim.shell.iproute2.route_metrics import MetricsSpec
from netsim.shell.iproute2.route_show import parse_flush, parse_list
from netsim.shell.iproute2.session import Action, Session
from netsim.shell.tool import Failure, Word
from netsim.stack import dst
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE
from netsim.stack.requests import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNH_F_ONLINK,
    RTPROT_BOOT,
    DelRoute,
    NewRoute,
    NexthopSpec,
)

VERBS = (
    ("list", "list"), ("show", "list"), ("lst", "list"), ("add", "add"), ("change", "change"), ("chg", "change"),
    ("replace", "replace"), ("prepend", "prepend"), ("append", "append"), ("test", "test"), ("delete", "delete"),
    ("get", "get"), ("flush", "flush"), ("help", "help"),
)  # fmt: skip

FLAGS = MappingProxyType(
    {
        "add": NLM_F_CREATE | NLM_F_EXCL,
        "change": NLM_F_REPLACE,
        "replace": NLM_F_CREATE | NLM_F_REPLACE,
        "prepend": NLM_F_CREATE,
        "append": NLM_F_CREATE | NLM_F_APPEND,
        "test": NLM_F_EXCL,
    }
)

KEYWORDS = (
    "via", "dev", "src", "table", "metric", "proto", "protocol", "scope", "tos", "onlink", "nexthop", "weight", "lock",
    "to", "oif", "unreachable", "prohibit", "blackhole", "throw", "unicast", "default", *route_metrics.KEYWORDS,
)  # fmt: skip
_UNKNOWN_HERE = ("nhid", "encap", "realms", "as", "vrf", "from", "expires")


@dataclass(slots=True)
class _Spec:
    """What iproute_modify() gathers. None means that the word was not given."""

    family: str
    dst: Prefix | None = None
    kind: int | None = None
    via: Ip | None = None
    dev: str = ""
    onlink: bool = False
    src: Ip = 0
    table: int | None = None
    tos: int = 0
    metric: int | None = None
    scope: int | None = None
    protocol: int | None = None
    metrics: MetricsSpec = field(default_factory=MetricsSpec)
    nexthops: list[NexthopSpec] = field(default_factory=list)
    multipath: bool = False


def parse(args: Args) -> Action:
    """Read what follows `ip route`. Raises Failure."""
    if not args:
        return parse_list(args)
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip route help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip route {verb}"
    if verb == "help":
        raise Failure(usage.ROUTE, a.EXIT_SYNTAX)
    if verb == "list":
        return parse_list(args)
    if verb == "flush":
        return parse_flush(args)
    if verb == "get":
        return parse_get(args)
    return Modify(verb, _read(args))


def _read(args: Args) -> _Spec:
    spec = _Spec(args.family)
    while args:
        if args.is_("src"):
            spec.src = a.address(args.value(), spec.family)
            spec.family = a.INET
        elif args.is_("via"):
            if spec.via is not None:
                raise a.invalid("use nexthop syntax to specify multiple via", args.word)
            spec.via = _gateway(args, spec.family)
            spec.family = a.INET
        elif args.is_("nexthop"):
            _nexthops(args, spec)
        elif not _keyword(args, spec):
            _destination(args, spec)
    if spec.dst is None:
        raise Failure(usage.ROUTE, a.EXIT_SYNTAX, None, "a route needs a destination")
    return spec


def _gateway(args: Args, family: str) -> Ip:
    args.step()
    if args.is_("inet") and args.at + 1 < len(args.words):
        args.take()
    return a.address(args.take(), family)


def _keyword(args: Args, spec: _Spec) -> bool:
    """Read one keyword with its value; False when the word is none."""
    if args.is_("tos") or args.like("dsfield"):
        spec.tos = a.named(args.value(), names.dsfield_number, '"tos" value is invalid')
    elif args.like("metric", "priority") or args.is_("preference"):
        spec.metric = a.number(args.value(), '"metric" value is invalid')
    elif args.is_("scope"):
        spec.scope = a.named(args.value(), names.scope_number, 'invalid "scope" value')
    elif args.is_("onlink"):
        args.take()
        spec.onlink = True
    elif args.like("protocol"):
        spec.protocol = a.named(args.value(), names.protocol_number, '"protocol" value is invalid')
    elif args.like("table"):
        spec.table = a.named(args.value(), names.table_number, '"table" value is invalid')
    elif args.is_("dev", "oif"):
        spec.dev = args.value().text
    elif args.is_("pref"):
        _router_preference(args.value())
    elif args.is_(*_UNKNOWN_HERE):
        raise Failure(f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing")
    else:
        return route_metrics.read(args, spec.metrics)
    return True


def _router_preference(word: Word) -> None:
    """Read what only IPv6 routes have; people write it for `preference`."""
    if word.text not in ("low", "medium", "high"):
        try:
            a.number(word, '"pref" value is invalid', high=255)
        except Failure as failure:
            failure.hint = 'did you mean "metric"?'
            raise


def _destination(args: Args, spec: _Spec) -> None:
    """Read `[to] [TYPE] PREFIX`."""
    if args.is_("to"):
        args.step()
    if not args.text[:1].isdigit():
        try:
            kind = names.type_number(args.text)
        except ValueError:
            pass
        else:
            spec.kind = kind
            args.step()
    if a.matches(args.text, "help"):
        raise Failure(usage.ROUTE, a.EXIT_SYNTAX, args.word)
    if spec.dst is not None:
        raise a.garbage("to", args.word, KEYWORDS)
    word = args.take()
    spec.dst = _prefix(word, spec.family)
    if word.text not in ("default", "any", "all"):
        spec.family = a.INET


def _prefix(word: Word, family: str) -> Prefix:
    try:
        return a.prefix(word, family)
    except Failure as failure:
        failure.hint = failure.hint or a.suggestion(word.text, KEYWORDS)
        raise


def _nexthops(args: Args, spec: _Spec) -> None:
    """Read `nexthop NH ...` to the end of the line."""
    spec.multipath = True
    while args:
        if not args.is_("nexthop"):
            what = f'Error: "nexthop" or end of line is expected instead of "{args.text}"'
            raise Failure(what, a.EXIT_SYNTAX, args.word, a.suggestion(args.text, ("nexthop", *KEYWORDS)))
        word = args.take()
        if not args:
            raise Failure('Error: unexpected end of line after "nexthop"', a.EXIT_SYNTAX, word)
        spec.nexthops.append(_one_nexthop(args))


def _one_nexthop(args: Args) -> NexthopSpec:
    """Read the words of one path. Source: parse_one_nh()."""
    nexthop = NexthopSpec()
    while args:
        if args.is_("via"):
            nexthop = replace(nexthop, via=_gateway(args, a.INET))
        elif args.is_("dev"):
            nexthop = replace(nexthop, dev=args.value().text)
        elif args.is_("weight"):
            nexthop = replace(nexthop, weight=a.number(args.value(), '"weight" is invalid', low=1, high=256))
        elif args.is_("onlink"):
            args.take()
            nexthop = replace(nexthop, flags=RTNH_F_ONLINK)
        else:
            break
    return nexthop


@dataclass(frozen=True, slots=True)
class Modify:
    """One change of the tables."""

    verb: str
    spec: _Spec

    def run(self, session: Session) -> None:
        """Find the devices, fill in the scope, ask."""
        spec = self.spec
        if spec.dev:
            session.link(spec.dev)
        for nexthop in spec.nexthops:
            if nexthop.dev:
                _nexthop_device(session, nexthop.dev)
        if self.verb == "delete":
            session.ask(self.del_request())
        else:
            session.ask(self.new_request())

    def table(self) -> int:
        """Return the table: local for the types that live there."""
        if self.spec.table is not None:
            return self.spec.table or dst.RT_TABLE_MAIN
        special = (dst.RTN_LOCAL, dst.RTN_BROADCAST, dst.RTN_NAT, dst.RTN_ANYCAST)
        return dst.RT_TABLE_LOCAL if self.spec.kind in special else dst.RT_TABLE_MAIN

    def scope(self) -> int:
        """Return the scope given, or the one iproute2 fills in."""
        spec = self.spec
        if spec.scope is not None:
            return spec.scope
        if spec.kind in (dst.RTN_LOCAL, dst.RTN_NAT):
            return RT_SCOPE_HOST
        if spec.kind in (dst.RTN_BROADCAST, dst.RTN_MULTICAST, dst.RTN_ANYCAST):
            return RT_SCOPE_LINK
        if self.verb == "delete":
            return RT_SCOPE_NOWHERE
        plain = spec.kind in (None, dst.RTN_UNICAST, dst.RTN_UNSPEC)
        return RT_SCOPE_LINK if plain and spec.via is None and not spec.multipath else RT_SCOPE_UNIVERSE

    def outer(self) -> NexthopSpec | None:
        """Return the via and dev given outside of `nexthop`, if any."""
        spec = self.spec
        if spec.via is None and not spec.dev and not spec.onlink:
            return None
        return NexthopSpec(via=spec.via or 0, dev=spec.dev, flags=RTNH_F_ONLINK if spec.onlink else 0)

    def new_request(self) -> NewRoute:
        """Return the request of every verb but delete."""
        spec = self.spec
        outer = self.outer()
        return NewRoute(
            flags=FLAGS[self.verb], dst=spec.dst or Prefix(0, 0), table=self.table(), tos=spec.tos,
            metric=spec.metric or 0, scope=self.scope(),
            protocol=RTPROT_BOOT if spec.protocol is None else spec.protocol,
            kind=dst.RTN_UNICAST if spec.kind is None else spec.kind, prefsrc=spec.src,
            nexthops=tuple(spec.nexthops) if spec.multipath else (outer,) if outer is not None else (),
            multipath=spec.multipath, outer=outer if spec.multipath else None,
            metrics=spec.metrics.build(),
        )  # fmt: skip

    def del_request(self) -> DelRoute:
        """Return the request of delete: what was not given is a wildcard."""
        spec = self.spec
        outer = self.outer()
        return DelRoute(
            dst=spec.dst or Prefix(0, 0), table=self.table(), tos=spec.tos, metric=spec.metric or None,
            scope=self.scope(), protocol=spec.protocol or 0, kind=spec.kind or 0, prefsrc=spec.src,
            nexthops=tuple(spec.nexthops) if spec.multipath else (outer,) if outer is not None else (),
            multipath=spec.multipath, metrics=spec.metrics.build(), metrics_given=spec.metrics.given,
        )  # fmt: skip


def _nexthop_device(session: Session, name: str) -> None:
    """Find the device of one path; iproute2 adds a line of its own when it is missing."""
    try:
        session.link(name)
    except Failure as failure:
        raise Failure(f"{failure.stderr}\nError: cannot parse nexthop", a.EXIT_SYNTAX) from failure
