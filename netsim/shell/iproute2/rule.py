"""`ip rule`: text to RuleSpec, and one rule as text and as JSON.

Source: iproute2 6.1 ip/iprule.c iprule_modify(), print_rule(), iprule_list_flush_or_save(); linux-kernel note 6.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType

from netsim.addr import Prefix, ip_str
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Printer
from netsim.shell.iproute2.session import Action, Options, Session
from netsim.shell.tool import Failure, Word
from netsim.stack import dst
from netsim.stack.errno import EINVAL, Refusal
from netsim.stack.requests import (
    RTPROT_KERNEL,
    RTPROT_UNSPEC,
    DelRule,
    DumpRules,
    NewRule,
    RuleInfo,
    RuleSpec,
)

VERBS = (
    ("list", "list"), ("lst", "list"), ("show", "list"), ("add", "add"), ("delete", "del"), ("flush", "flush"),
    ("help", "help"),
)  # fmt: skip
KEYWORDS = (
    "not", "from", "to", "prio", "pref", "priority", "preference", "order", "tos", "fwmark", "table", "lookup", "iif",
    "oif", "dev", "uidrange", "nat", "ipproto", "sport", "dport", "goto", "nop", "blackhole", "unreachable", "prohibit",
    "suppress_prefixlength", "protocol",
)  # fmt: skip

_ACTIONS = MappingProxyType(
    {dst.RTN_BLACKHOLE: "blackhole", dst.RTN_UNREACHABLE: "unreachable", dst.RTN_PROHIBIT: "prohibit"}
)
_NAT_WARNING = "Warning: route NAT is deprecated"


@dataclass(slots=True)
class _Read:
    """A rule being read."""

    spec: RuleSpec
    warnings: list[str]
    adding: bool
    table_given: bool = False
    refused: bool = False


def parse(args: Args) -> Action:
    """Read what follows `ip rule`. Raises Failure."""
    if not args:
        return List(RuleSpec(), None)
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip rule help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip rule {verb}"
    if verb == "help":
        raise Failure(usage.RULE, a.EXIT_SYNTAX)
    if verb in ("list", "flush"):
        spec, protocol = _selector(args)
        return List(spec, protocol) if verb == "list" else Flush(spec, protocol)
    if not args:
        raise Failure(f'"{args.said}" requires arguments.', a.EXIT_INPUT)
    return _modify(args, adding=verb == "add")


def _modify(args: Args, *, adding: bool) -> Modify:
    read = _Read(RuleSpec(), [], adding)
    while args:
        _word(args, read)
    if read.refused:
        raise Failure(f"RTNETLINK answers: {Refusal(EINVAL).strerror}", a.EXIT_KERNEL, None, "no rule does that")
    spec = read.spec
    if adding and not read.table_given:
        spec = replace(spec, table=dst.RT_TABLE_MAIN)
    return Modify(spec, tuple(read.warnings), adding)


def _word(args: Args, read: _Read) -> None:
    """Read one keyword with its value, in iproute2's order of trying them."""
    spec = read.spec
    if args.is_("not"):
        args.take()
        read.spec = replace(spec, invert=True)
    elif args.is_("from"):
        read.spec = replace(spec, src=_source(args))
    elif args.is_("to"):
        read.spec = replace(spec, dst=_source(args))
    elif args.like("preference", "order", "priority"):
        read.spec = replace(spec, priority=a.number(args.value(), "preference value is invalid"))
    elif args.is_("tos") or args.like("dsfield"):
        read.spec = replace(spec, tos=a.named(args.value(), names.dsfield_number, "TOS value is invalid"))
    elif args.is_("fwmark"):
        mark, mask = _mark(args.value())
        read.spec = replace(spec, fwmark=mark, fwmask=mask)
    elif args.like("protocol"):
        protocol = a.named(args.value(), names.protocol_number, '"protocol" value is invalid')
        read.spec = replace(spec, protocol=protocol)
    elif args.text != "t" and (args.like("table") or args.is_("lookup")):  # "t" is tun_id's
        read.spec = replace(spec, table=a.named(args.value(), names.table_number, "invalid table ID"))
        read.table_given = True
    elif args.is_("suppress_prefixlength", "sup_pl"):
        length = a.number(args.value(), "suppress_prefixlength value is invalid", high=0x7FFFFFFF)
        read.spec = replace(spec, suppress_prefixlength=length)
    elif args.is_("dev", "iif"):
        read.spec = replace(spec, iif=args.value().text)
    elif args.is_("oif"):
        read.spec = replace(spec, oif=args.value().text)
    else:
        _late_word(args, read)


def _late_word(args: Args, read: _Read) -> None:
    spec = read.spec
    if args.is_("uidrange"):
        read.spec = replace(spec, uidrange=_uids(args.value()))
    elif args.is_("nat") or args.like("map-to"):
        word = args.value()
        read.warnings.append(_NAT_WARNING)
        try:
            address = 0 if word.text in ("all", "any", "default") else a.parse_c_ip(word.text)
        except ValueError:
            what = f'Error: an IP address is expected rather than "{word.text}"'
            raise Failure(f"{_NAT_WARNING}\n{what}", a.EXIT_INPUT, word) from None
        read.spec = replace(spec, action="nat", nat=address)
    elif args.is_("ipproto"):
        number = a.named(args.value(), names.ip_protocol_number, 'Invalid "ipproto" value')
        read.spec = replace(spec, ipproto=number)
    elif args.is_("sport"):
        read.spec = replace(spec, sport=_ports(args.value(), "invalid port range"))
    elif args.is_("dport"):
        read.spec = replace(spec, dport=_ports(args.value(), "invalid dport range"))
    elif args.is_("realms", "tun_id", "t", "l3mdev", "suppress_ifgroup", "sup_group"):
        raise Failure(f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing")
    else:
        _type(args, read)


def _type(args: Args, read: _Read) -> None:
    """Read `[type] goto N`, `nop`, or a route type as the rule's action."""
    if args.is_("type"):
        args.step()
    if args.like("help"):
        raise Failure(usage.RULE, a.EXIT_SYNTAX, args.word)
    spec = read.spec
    if args.is_("goto"):
        spec = replace(spec, action="goto", goto=a.number(args.value(), "invalid target"))
    elif args.is_("nop"):
        args.take()
        spec = replace(spec, action="nop")
    else:
        word = args.take()
        try:
            kind = names.type_number(word.text)
        except ValueError:
            hint = a.suggestion(word.text, KEYWORDS)
            raise a.invalid("Failed to parse rule type", word, blank_line=False, hint=hint) from None
        read.refused = kind != dst.RTN_UNICAST and kind not in _ACTIONS
        spec = replace(spec, action=_ACTIONS.get(kind, "table"))
    read.table_given = True
    read.spec = spec


def _source(args: Args) -> Prefix | None:
    """Read a prefix; /0 is no selector at all."""
    prefix = a.prefix(args.value(), args.family)
    return prefix if prefix.plen else None


def _mark(word: Word) -> tuple[int, int | None]:
    mark, slash, mask = word.text.partition("/")
    number = a.number(Word(mark, word.column), "fwmark value is invalid")
    if not slash:
        return number, None
    place = Word(mask, word.column + len(mark) + 1)
    return number, a.number(place, "fwmask value is invalid")


def _ports(word: Word, why: str) -> tuple[int, int]:
    """Read "80" or "1000-2000" as sscanf("%hu-%hu") does: what follows the digits is not read, 16 bits are kept."""
    match = re.match(r"([+-]?[0-9]+)(?:-([+-]?[0-9]+))?", word.text)
    if match is None:
        raise a.invalid(why, word)
    low = int(match.group(1)) & 0xFFFF
    return low, low if match.group(2) is None else int(match.group(2)) & 0xFFFF


def _uids(word: Word) -> tuple[int, int]:
    """Read "0-100"."""
    match = re.match(r"([0-9]+)-([0-9]+)", word.text)
    if match is None:
        raise a.invalid("invalid UID range", word)
    return int(match.group(1)) & 0xFFFFFFFF, int(match.group(2)) & 0xFFFFFFFF


def _selector(args: Args) -> tuple[RuleSpec, int | None]:
    """Read the filter of `show` and `flush`; the protocol stands apart as its absence means any."""
    spec, protocol = RuleSpec(), None
    while args:
        if args.is_("from"):
            spec = replace(spec, src=a.prefix(args.value(), a.INET))
        elif args.is_("to"):
            spec = replace(spec, dst=a.prefix(args.value(), a.INET))
        elif args.like("preference", "order", "priority"):
            spec = replace(spec, priority=a.number(args.value(), "preference value is invalid"))
        elif args.is_("not"):
            args.take()
            spec = replace(spec, invert=True)
        elif args.is_("tos", "dsfield"):
            spec = replace(spec, tos=a.named(args.value(), names.dsfield_number, "TOS value is invalid"))
        elif args.is_("fwmark"):
            mark, mask = _mark(args.value())
            spec = replace(spec, fwmark=mark, fwmask=mask)
        elif args.is_("dev", "iif"):
            spec = replace(spec, iif=args.value().text)
        elif args.is_("oif"):
            spec = replace(spec, oif=args.value().text)
        elif args.is_("t", "tun_id"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        elif args.is_("lookup") or args.like("table"):
            spec = replace(spec, table=a.named(args.value(), names.table_number, "table id value is invalid"))
        elif args.like("protocol"):
            protocol = a.named(args.value(), names.protocol_number, 'invalid "protocol"')
        else:
            if args.like("dst"):
                args.step()
            spec = replace(spec, dst=a.prefix(args.take(), a.INET))
    return spec, protocol


def _takes(chosen: RuleSpec, protocol: int | None, rule: RuleSpec) -> bool:
    """Mirror filter_nlmsg() of iprule.c."""
    wanted: list[tuple[object, object]] = [
        (chosen.priority, rule.priority), (chosen.iif or None, rule.iif), (chosen.oif or None, rule.oif),
        (chosen.tos or None, rule.tos), (chosen.fwmark or None, rule.fwmark), (chosen.fwmask, rule.fwmask),
        (chosen.table or None, rule.table), (chosen.invert or None, rule.invert), (protocol, rule.protocol),
        (chosen.src, rule.src), (chosen.dst, rule.dst),
    ]  # fmt: skip
    return all(want is None or want == have for want, have in wanted)


@dataclass(frozen=True, slots=True)
class Modify:
    """Add or delete one rule."""

    spec: RuleSpec
    warnings: tuple[str, ...]
    adding: bool

    def run(self, session: Session) -> None:
        """Ask. Raises Failure when the kernel refuses."""
        for warning in self.warnings:
            session.warn(warning)
        if self.adding:
            session.ask(NewRule(rule=self.spec))
        else:
            session.ask(DelRule(rule=self.spec))


@dataclass(frozen=True, slots=True)
class Flush:
    """Delete every rule the filter takes; without a filter all but the one of priority 0."""

    chosen: RuleSpec
    protocol: int | None

    def run(self, session: Session) -> None:
        """Delete them one by one."""
        if session.options.family == 6:
            return
        everything = self.chosen == RuleSpec() and self.protocol is None
        for info in session.dump(DumpRules(), ending="Flush terminated"):
            if _takes(self.chosen, self.protocol, info.rule) and not (everything and info.rule.priority == 0):
                session.request(DelRule(rule=info.rule))


@dataclass(frozen=True, slots=True)
class List:
    """Print the rules the filter takes."""

    chosen: RuleSpec
    protocol: int | None

    def run(self, session: Session) -> None:
        """Print."""
        printer = session.options.printer()
        if session.options.family != 6:
            for info in session.dump(DumpRules()):
                if _takes(self.chosen, self.protocol, info.rule):
                    print_rule(printer, info, session.options)
        session.print(printer.result())


def print_rule(printer: Printer, info: RuleInfo, options: Options) -> None:
    """Print one rule; no blank at the end of the line."""
    rule = info.rule
    printer.begin()
    printer.any("priority", f"{rule.priority}:\t", rule.priority)
    if rule.invert:
        printer.any("not", "not ", None)
    printer.text("from ")
    if rule.src is not None:
        _print_prefix(printer, "src", "srclen", rule.src)
    else:
        printer.any("src", "all", "all")
    if rule.dst is not None:
        printer.text(" to ")
        _print_prefix(printer, "dst", "dstlen", rule.dst)
    if rule.tos:
        printer.any("tos", f" tos {names.dsfield_name(rule.tos)}", names.dsfield_name(rule.tos))
    _print_mark(printer, rule)
    for key, name, detached in (("iif", rule.iif, info.iif_detached), ("oif", rule.oif, info.oif_detached)):
        if name:
            printer.any(key, f" {key} {name}", name)
            if detached:
                printer.any(f"{key}_detached", " [detached]", None)
    _print_flow(printer, rule)
    _print_action(printer, info)
    if options.details or rule.protocol not in (RTPROT_KERNEL, RTPROT_UNSPEC):
        name = names.protocol_name(rule.protocol)
        printer.any("protocol", f" proto {name}", name)
    printer.text("\n")


def _print_prefix(printer: Printer, key: str, length_key: str, prefix: Prefix) -> None:
    printer.any(key, ip_str(prefix.addr), ip_str(prefix.addr))
    if prefix.plen != 32:
        printer.any(length_key, f"/{prefix.plen}", prefix.plen)


def _print_mark(printer: Printer, rule: RuleSpec) -> None:
    if not rule.fwmark and not rule.fwmask:
        return
    mark = f"{rule.fwmark:#x}"
    printer.any("fwmark", f" fwmark {mark}", mark)
    if rule.fwmask is not None and rule.fwmask != 0xFFFFFFFF:
        printer.any("fwmask", f"/{rule.fwmask:#x}", f"{rule.fwmask:#x}")


def _print_flow(printer: Printer, rule: RuleSpec) -> None:
    if rule.uidrange is not None:
        low, high = rule.uidrange
        printer.text(f" uidrange {low}-{high}")
        printer.json("uid_start", low)
        printer.json("uid_end", high)
    if rule.ipproto:
        name = names.ip_protocol_name(rule.ipproto)
        printer.any("ipproto", f" ipproto {name}", name)
    for key, ports in (("sport", rule.sport), ("dport", rule.dport)):
        if ports is None:
            continue
        low, high = ports
        if low == high:
            printer.any(key, f" {key} {low}", low)
        else:
            printer.text(f" {key} {low}-{high}")
            printer.json(f"{key}_start", low)
            printer.json(f"{key}_end", high)


def _print_action(printer: Printer, info: RuleInfo) -> None:
    rule = info.rule
    if rule.table and rule.action in ("table", "nat", *_ACTIONS.values()):
        table = names.table_name(rule.table)
        printer.any("table", f" lookup {table}", table)
        if rule.suppress_prefixlength is not None:
            length = rule.suppress_prefixlength
            printer.any("suppress_prefixlen", f" suppress_prefixlength {length}", length)
    if rule.action == "nat":
        if rule.nat:
            printer.any("nat_gateway", f" map-to {ip_str(rule.nat)}", ip_str(rule.nat))
        else:
            printer.any("masquerade", " masquerade", None)
    elif rule.action == "goto":
        printer.text(" goto ")
        printer.any("goto", str(rule.goto) if rule.goto else "none", rule.goto or "none")
        if info.unresolved:
            printer.any("unresolved", " [unresolved]", None)
    elif rule.action == "nop":
        printer.any("nop", " nop", None)
    elif rule.action != "table":
        printer.any("action", f" {rule.action}", rule.action)
