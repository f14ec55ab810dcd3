"""`ip addr`: add, change, replace, del, flush, show.

Source: iproute2 6.1 ip/ipaddress.c ipaddr_modify(), ipaddr_list_flush_or_save(), print_addrinfo();
linux-kernel note 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from netsim.addr import MASKS, Ip, Prefix, ip_str, is_loopback
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.link import oper_state, print_link
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.iproute2.route_show import report_flush
from netsim.shell.iproute2.session import Action, Options, Session
from netsim.shell.tool import Failure, Word
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_UNIVERSE
from netsim.stack.device import IFF_UP
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    AddrInfo,
    DelAddr,
    DumpAddrs,
    LinkInfo,
    NewAddr,
)

VERBS = (
    ("add", "add"), ("change", "change"), ("chg", "change"), ("replace", "replace"), ("delete", "del"),
    ("show", "show"), ("lst", "show"), ("list", "show"), ("flush", "flush"), ("help", "help"),
)  # fmt: skip
FLAGS = MappingProxyType(
    {"add": NLM_F_CREATE | NLM_F_EXCL, "change": NLM_F_REPLACE, "replace": NLM_F_CREATE | NLM_F_REPLACE}
)
KEYWORDS = (
    "dev", "peer", "broadcast", "brd", "scope", "label", "noprefixroute", "local", "valid_lft", "preferred_lft", "to",
    "primary", "secondary", "up", "permanent", "dynamic", "metric",
)  # fmt: skip

_WILDCARD = """\
Warning: Executing wildcard deletion to stay compatible with old scripts.
         Explicitly specify the prefix length ({}/32) to avoid this warning.
         This special behaviour is likely to disappear in further releases,
         fix your scripts!"""
_FOREVER = 4294967295
_LIFETIME = "       valid_lft forever preferred_lft forever"


def parse(args: Args) -> Action:
    """Read what follows `ip addr`. Raises Failure."""
    if not args:
        return Show(Selector())
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip address help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip addr {verb}"
    if verb == "help":
        raise Failure(usage.ADDRESS, a.EXIT_SYNTAX)
    if verb == "show":
        return Show(_selector(args))
    if verb == "flush":
        if not args:
            raise Failure("Flush requires arguments.", a.EXIT_INPUT)
        return Flush(_selector(args))
    return _parse_modify(args, verb)


@dataclass(slots=True)
class _Spec:
    local: Prefix | None = None
    local_word: str = ""
    peer: Prefix | None = None
    broadcast: str = ""
    broadcast_ip: Ip = 0
    scope: int | None = None
    label: str = ""
    dev: str = ""
    noprefixroute: bool = False

    @property
    def has_length(self) -> bool:
        """Whether a prefix length was written."""
        return "/" in self.local_word


def _parse_modify(args: Args, verb: str) -> Modify:
    spec = _Spec()
    while args:
        if args.is_("peer", "remote"):
            word = args.value()
            if spec.peer is not None:
                raise a.duplicate("peer", word)
            spec.peer = a.prefix(word, a.INET if spec.local else args.family)
        elif args.like("broadcast") or args.is_("brd"):
            word = args.value()
            if spec.broadcast:
                raise a.duplicate("broadcast", word)
            spec.broadcast = word.text
            if word.text not in ("+", "-"):
                spec.broadcast_ip = a.address(word, a.INET if spec.local else args.family)
        elif args.is_("scope"):
            spec.scope = a.named(args.value(), names.scope_number, "invalid scope value.", blank_line=False)
        elif args.is_("dev"):
            spec.dev = args.value().text
        elif args.is_("label"):
            spec.label = args.value().text
        elif args.like("valid_lft", "preferred_lft"):
            _lifetime(args)
        elif args.is_("noprefixroute"):
            args.take()
            spec.noprefixroute = True
        elif args.is_("anycast", "metric", "home", "nodad", "mngtmpaddr", "autojoin", "proto"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            _local(args, spec)
    if not spec.dev:
        raise Failure('Not enough information: "dev" argument is required.', a.EXIT_INPUT)
    if spec.label and not spec.label.startswith(spec.dev) and len(spec.label) > 15:
        raise Failure(f'"label" ({spec.label}) is too long.', a.EXIT_INPUT)
    if spec.local is None:
        what = "RTNETLINK answers: Operation not supported" if verb == "del" else "RTNETLINK answers: Invalid argument"
        raise Failure(what, a.EXIT_KERNEL, None, "an address is missing")
    return Modify(verb, spec)


def _lifetime(args: Args) -> None:
    keyword = args.text
    word: Word = args.value()
    if word.text != "forever":
        if not word.text.isdecimal():
            raise a.invalid(f"{keyword} value", word, blank_line=False)
        raise Failure(f'Error: "{keyword}" is not supported.', a.EXIT_SYNTAX, word, "addresses here live forever")


def _local(args: Args, spec: _Spec) -> None:
    if args.is_("local"):
        args.step()
    if args.like("help"):
        raise Failure(usage.ADDRESS, a.EXIT_SYNTAX, args.word)
    if spec.local is not None:
        raise a.garbage("local", args.word, KEYWORDS)
    word = args.take()
    spec.local, spec.local_word = a.prefix(word, args.family), word.text


@dataclass(frozen=True, slots=True)
class Modify:
    """Add, change, replace or delete one address."""

    verb: str
    spec: _Spec

    def run(self, session: Session) -> None:
        """Ask. Raises Failure when there is no such device, or the kernel refuses."""
        session.link(self.spec.dev)
        if self.verb == "del":
            self._delete(session)
        else:
            session.ask(self.new_request())

    def new_request(self) -> NewAddr:
        """Return the request of add, change and replace."""
        spec = self.spec
        local = spec.local or Prefix(0, 0)
        plen = spec.peer.plen if spec.peer is not None else local.plen
        scope = spec.scope
        if scope is None:
            scope = RT_SCOPE_HOST if is_loopback(local.addr) else RT_SCOPE_UNIVERSE
        broadcast = spec.broadcast_ip
        if spec.broadcast == "+":
            broadcast = local.addr | ~MASKS[plen] & 0xFFFFFFFF
        elif spec.broadcast == "-":
            broadcast = local.addr & MASKS[plen]
        return NewAddr(
            dev=spec.dev, local=local.addr, plen=plen, peer=spec.peer.addr if spec.peer is not None else 0,
            broadcast=broadcast, scope=scope, label=spec.label, noprefixroute=spec.noprefixroute,
            flags=FLAGS[self.verb],
        )  # fmt: skip

    def _delete(self, session: Session) -> None:
        spec = self.spec
        local = spec.local or Prefix(0, 0)
        if spec.peer is not None:
            session.ask(
                DelAddr(dev=spec.dev, local=local.addr, plen=spec.peer.plen, peer=spec.peer.addr, label=spec.label)
            )
        elif spec.has_length:
            session.ask(DelAddr(dev=spec.dev, local=local.addr, plen=local.plen, peer=local.addr, label=spec.label))
        else:
            session.warn(_WILDCARD.format(spec.local_word))
            session.ask(DelAddr(dev=spec.dev, local=local.addr, label=spec.label))


@dataclass(slots=True)
class Selector:
    """Which addresses are meant."""

    dev: str = ""
    scope: int | None = None
    to: Prefix | None = None
    label: str = ""
    up: bool = False
    secondary: bool | None = None

    @property
    def picks_addresses(self) -> bool:
        """Whether only some addresses of a device are meant: then a device without any is not listed."""
        return self.scope is not None or self.to is not None or bool(self.label) or self.secondary is not None

    def takes(self, info: AddrInfo) -> bool:
        """Mirror print_addrinfo()'s filter."""
        if self.scope is not None and info.scope != self.scope:
            return False
        if self.secondary is not None and info.secondary != self.secondary:
            return False
        if self.label and not fnmatchcase(info.label, self.label):
            return False
        return self.to is None or self.to.holds(info.local)


def _selector(args: Args) -> Selector:
    chosen = Selector()
    while args:
        if args.is_("to"):
            chosen.to = a.prefix(args.value(), args.family)
        elif args.is_("scope"):
            word = args.value()
            if word.text != "all":
                chosen.scope = a.named(word, names.scope_number, 'invalid "scope"')
        elif args.is_("up"):
            args.take()
            chosen.up = True
        elif args.is_("primary", "secondary", "temporary"):
            chosen.secondary = args.take().text != "primary"
        elif args.is_("permanent"):
            args.take()
        elif args.is_("label"):
            chosen.label = args.value().text
        elif args.is_("dynamic", "tentative", "deprecated", "dadfailed", "master", "vrf", "type", "group"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            if args.is_("dev"):
                args.step()
            if args.like("help"):
                raise Failure(usage.ADDRESS, a.EXIT_SYNTAX, args.word)
            if chosen.dev:
                raise a.garbage("dev", args.word, KEYWORDS)
            chosen.dev = args.take().text
    return chosen


def _links(session: Session, chosen: Selector) -> Iterable[LinkInfo]:
    if chosen.dev:
        return (session.link(chosen.dev, 'Device "{}" does not exist.'),)
    return (link for link in session.links() if not chosen.up or link.flags & IFF_UP)


@dataclass(frozen=True, slots=True)
class Flush:
    """Delete every address the selector takes; prints nothing without -s."""

    chosen: Selector

    def run(self, session: Session) -> None:
        """Delete one by one: a secondary may have gone with its primary."""
        devices = {link.name for link in _links(session, self.chosen)}
        doomed = [info for info in session.dump(DumpAddrs()) if info.dev in devices and self.chosen.takes(info)]
        if session.options.family == 6:
            return
        for info in doomed:
            session.request(DelAddr(dev=info.dev, local=info.local, plen=info.plen, peer=info.peer, label=info.label))
        report_flush(session, len(doomed))


@dataclass(frozen=True, slots=True)
class Show:
    """Print devices with their addresses."""

    chosen: Selector

    def run(self, session: Session) -> None:
        """Print. Raises Failure when the device asked for does not exist."""
        options = session.options
        links = list(_links(session, self.chosen))
        by_device: dict[str, list[AddrInfo]] = {}
        if options.family != 6:
            for info in session.dump(DumpAddrs()):
                if self.chosen.takes(info):
                    by_device.setdefault(info.dev, []).append(info)
        printer = options.printer()
        for link in links:
            addresses = by_device.get(link.name, [])
            if not addresses and (options.family or self.chosen.picks_addresses):
                continue
            printer.begin()
            if options.brief:
                _print_brief(printer, link, addresses)
            else:
                _print_full(printer, link, addresses, options)
        session.print(printer.result())


def _print_brief(printer: Printer, link: LinkInfo, addresses: list[AddrInfo]) -> None:
    printer.any("ifname", f"{link.name:<16} ", link.name)
    printer.any("operstate", f"{oper_state(link):<14} ", oper_state(link))
    for info in addresses:
        printer.text(f"{_local_text(info)} ")
    listed: list[Json] = [_brief_json(info) for info in addresses]
    printer.json("addr_info", listed)
    printer.text("\n")


def _brief_json(info: AddrInfo) -> dict[str, Json]:
    entry: dict[str, Json] = {"local": ip_str(info.local)}
    if _has_peer(info):
        entry["address"] = ip_str(info.peer)
    return {**entry, "prefixlen": info.plen}


def _print_full(printer: Printer, link: LinkInfo, addresses: list[AddrInfo], options: Options) -> None:
    if printer.as_json or not options.oneline:
        print_link(printer, link, options, mode=False)
    listed: list[Json] = []
    for info in addresses:
        head = f"{link.ifindex}: {link.name}    " if options.oneline else "    "
        broadcast = f"brd {ip_str(info.broadcast)} " if info.broadcast else ""
        secondary = "secondary " if info.secondary else ""
        noprefixroute = "noprefixroute " if info.noprefixroute else ""
        scope = f"scope {names.scope_name(info.scope)} "
        printer.text(
            f"{head}inet {_local_text(info)} {broadcast}{scope}{secondary}{noprefixroute}{info.label}{printer.nl}"
        )
        printer.text(f"{_LIFETIME}\n")
        listed.append(_full_json(info))
    printer.json("addr_info", listed)


def _full_json(info: AddrInfo) -> dict[str, Json]:
    entry: dict[str, Json] = {"family": "inet", "local": ip_str(info.local)}
    if _has_peer(info):
        entry["address"] = ip_str(info.peer)
    entry["prefixlen"] = info.plen
    if info.broadcast:
        entry["broadcast"] = ip_str(info.broadcast)
    entry["scope"] = names.scope_name(info.scope)
    if info.secondary:
        entry["secondary"] = True
    if info.noprefixroute:
        entry["noprefixroute"] = True
    return {**entry, "label": info.label, "valid_life_time": _FOREVER, "preferred_life_time": _FOREVER}


def _has_peer(info: AddrInfo) -> bool:
    return bool(info.peer) and info.peer != info.local


def _local_text(info: AddrInfo) -> str:
    if _has_peer(info):
        return f"{ip_str(info.local)} peer {ip_str(info.peer)}/{info.plen}"
    return f"{ip_str(info.local)}/{info.plen}"
