"""`ip route get`: one lookup, its answer as text and JSON, and `--why`.

`--why` is netsim's own word: it prints below the answer how it was reached (rules, tables, candidates, neighbour
states).
Source: iproute2 6.1 ip/iproute.c iproute_get(), print_route(), print_cache_flags(); observed-linux 14.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip, ip_str
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, route_metrics
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.iproute2.session import Options, Session
from netsim.shell.tool import Failure
from netsim.stack import dst
from netsim.stack.requests import CachedRoute, GetRoute, RouteAnswer
from netsim.units import NS_PER_S

_KEYWORDS = ("from", "iif", "oif", "dev", "tos", "mark", "ipproto", "sport", "dport", "uid", "connected", "--why")


@dataclass(slots=True)
class _Asked:
    """What iproute_get() gathers."""

    dst: Ip | None = None
    plen: int = 32
    src: Ip = 0
    iif: str = ""
    oif: str = ""
    tos: int = 0
    mark: int = 0
    ipproto: int = 0
    sport: int = 0
    dport: int = 0
    connected: bool = False
    why: bool = False

    @property
    def warning(self) -> str:
        """What is said of a destination that is no host."""
        return f"Warning: /{self.plen} as prefix is invalid, only /32 (or none) is supported."


def parse_get(args: Args) -> Get:
    """Read what follows `ip route get`. Raises Failure."""
    asked = _Asked()
    try:
        _read(args, asked)
    except Failure as failure:
        if asked.plen != 32:
            failure.stderr = f"{asked.warning}\n{failure.stderr}"
        raise
    if asked.dst is None:
        raise Failure("need at least a destination address", a.EXIT_INPUT)
    return Get(asked)


def _read(args: Args, asked: _Asked) -> None:
    family = args.family
    while args:
        if args.is_("--why"):
            args.take()
            asked.why = True
        elif args.is_("tos") or args.like("dsfield"):
            asked.tos = a.named(args.value(), names.dsfield_number, "TOS value is invalid")
        elif args.like("from"):
            asked.src = a.prefix(args.value(), family).addr
            family = a.INET
        elif args.like("iif"):
            asked.iif = args.value().text
        elif args.like("mark"):
            asked.mark = a.number(args.value(), "invalid mark value", blank_line=False)
        elif args.is_("oif", "dev"):
            asked.oif = args.value().text
        elif args.like("notify"):
            args.take()
        elif args.is_("connected"):
            args.take()
            asked.connected = True
        elif args.is_("uid"):
            a.number(args.value(), "invalid UID")
        elif args.is_("fibmatch", "vrf", "as"):
            what = f'Error: "{args.text}" is not supported.'
            raise Failure(what, a.EXIT_SYNTAX, args.word, "--why tells which route matched")
        elif args.is_("ipproto"):
            asked.ipproto = a.named(args.value(), names.ip_protocol_number, 'Invalid "ipproto" value')
        elif args.is_("sport"):
            asked.sport = a.number(args.value(), "invalid sport", high=65535)
        elif args.is_("dport"):
            asked.dport = a.number(args.value(), "invalid dport", high=65535)
        else:
            _destination(args, asked, family)
            family = a.INET


def _destination(args: Args, asked: _Asked, family: str) -> None:
    if args.is_("to"):
        args.step()
    word = args.take()
    try:
        prefix = a.prefix(word, family)
    except Failure as failure:
        failure.hint = failure.hint or a.suggestion(word.text, _KEYWORDS)
        raise
    asked.dst, asked.plen = prefix.addr, prefix.plen if "/" in word.text else 32


@dataclass(frozen=True, slots=True)
class Get:
    """Ask once, or twice with `connected` (then from the source of the first answer)."""

    asked: _Asked

    def run(self, session: Session) -> None:
        """Print the answer. Raises Failure with the kernel's words when there is no route."""
        asked = self.asked
        if asked.plen != 32:
            session.warn(asked.warning)
        for name in (asked.iif, asked.oif):
            if name:
                session.link(name)
        printer = session.options.printer()
        answer = session.ask(self._request(asked.src))
        print_answer(printer, answer, session.options)
        if asked.connected:
            answer = session.ask(self._request(answer.prefsrc))
            print_answer(printer, answer, session.options)
        session.print(printer.result())

    def _request(self, src: Ip) -> GetRoute:
        asked = self.asked
        return GetRoute(
            dst=asked.dst or 0, src=src, iif=asked.iif, oif=asked.oif, tos=asked.tos, mark=asked.mark,
            ipproto=asked.ipproto, sport=asked.sport, dport=asked.dport, why=asked.why,
        )  # fmt: skip


def print_answer(printer: Printer, answer: RouteAnswer, options: Options) -> None:
    """Print one answer; `uid` only for the output form, as root asks."""
    printer.begin()
    _print_route(printer, answer, options)
    _print_cache(printer, answer)
    printer.text("\n")
    if answer.why:
        printer.any("why", "".join(f"    # {line}\n" for line in answer.why.splitlines()), answer.why.splitlines())


def print_cached(printer: Printer, cached: CachedRoute, options: Options) -> None:
    """Print one remembered route; with -s also its uses and the seconds since the last."""
    printer.begin()
    _print_route(printer, cached.answer, options, uid=False)
    _print_cache(printer, cached.answer)
    if options.stats:
        age = cached.age // NS_PER_S
        printer.any("used", f"users {cached.used} ", cached.used)
        printer.any("age", f"age {age}sec ", age)
    printer.text("\n")


def _print_route(printer: Printer, answer: RouteAnswer, options: Options, *, uid: bool = True) -> None:
    if answer.kind != dst.RTN_UNICAST or options.details:
        printer.any("type", f"{names.type_name(answer.kind)} ", names.type_name(answer.kind))
    printer.any("dst", f"{ip_str(answer.dst)} ", ip_str(answer.dst))
    if answer.src_asked:
        printer.any("from", f"from {ip_str(answer.src_asked)} ", ip_str(answer.src_asked))
    if answer.tos:
        printer.any("tos", f"tos {names.dsfield_name(answer.tos)} ", names.dsfield_name(answer.tos))
    if answer.via:
        printer.any("gateway", f"via {ip_str(answer.via)} ", ip_str(answer.via))
    if answer.dev:
        printer.any("dev", f"dev {answer.dev} ", answer.dev)
    if _shows_table(answer, options):
        printer.any("table", f"table {names.table_name(answer.table)} ", names.table_name(answer.table))
    if answer.prefsrc:
        printer.any("prefsrc", f"src {ip_str(answer.prefsrc)} ", ip_str(answer.prefsrc))
    if "mc" in answer.cache:  # RTCF_MULTICAST has the bit of RTM_F_OFFLOAD_FAILED, and the tool prints it as that
        printer.any("flags", "rt_offload_failed ", ["rt_offload_failed"])
    else:
        printer.json("flags", [])
    if answer.mark:
        mark = f"{answer.mark:#x}" if answer.mark >= 16 else str(answer.mark)
        printer.any("mark", f"mark {mark} ", mark if answer.mark >= 16 else answer.mark)
    if uid and not answer.iif:
        printer.any("uid", "uid 0 ", 0)


def _shows_table(answer: RouteAnswer, options: Options) -> bool:
    if answer.table in (0, dst.RT_TABLE_MAIN):
        return bool(answer.table and options.details)
    return answer.table != dst.RT_TABLE_LOCAL or answer.show_local_table


def _print_cache(printer: Printer, answer: RouteAnswer) -> None:
    """Print the second line: `cache`, flag words in angle brackets, expiry, mtu, input device."""
    words: list[Json] = list(answer.cache)
    flags = f"<{','.join(answer.cache)}> " if answer.cache else ""
    printer.any("cache", f"{printer.nl}    cache {flags}", words)
    if answer.expires:
        seconds = answer.expires // NS_PER_S
        printer.any("expires", f"expires {seconds}sec ", seconds)
    route_metrics.show(printer, answer.metrics)
    if answer.iif:
        printer.any("iif", f"iif {answer.iif} ", answer.iif)
