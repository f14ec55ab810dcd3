"""`ip neigh`: add, change, replace, del, get, flush, show.

Source: iproute2 6.1 ip/ipneigh.c ipneigh_modify(), print_neigh(), do_show_or_flush(); linux-kernel note 6.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from netsim.addr import Ip, Prefix, ip_str, mac_str
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import names, usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.iproute2.route_show import report_flush
from netsim.shell.iproute2.session import Action, Session
from netsim.shell.tool import Failure, Word
from netsim.stack.nud_states import NUD_NOARP, NUD_NONE, NUD_PERMANENT, NUD_VALID
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    DelNeigh,
    DumpNeighs,
    NeighInfo,
    NewNeigh,
)
from netsim.units import NS_PER_S

VERBS = (
    ("add", "add"), ("change", "change"), ("chg", "change"), ("replace", "replace"), ("delete", "del"), ("get", "get"),
    ("show", "show"), ("lst", "show"), ("list", "show"), ("flush", "flush"), ("help", "help"),
)  # fmt: skip
FLAGS = MappingProxyType(
    {"add": NLM_F_CREATE | NLM_F_EXCL, "change": NLM_F_REPLACE, "replace": NLM_F_CREATE | NLM_F_REPLACE}
)
KEYWORDS = ("lladdr", "nud", "dev", "proxy", "use", "managed", "extern_learn", "router", "to", "permanent")

_STATE_OF_NONE = 0x100
_EVERY_STATE = 0x1FF


def parse(args: Args) -> Action:
    """Read what follows `ip neigh`. Raises Failure."""
    if not args:
        return Show(Selector(0xFF & ~NUD_NOARP))
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip neigh help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip neigh {verb}"
    if verb == "help":
        raise Failure(usage.NEIGH, a.EXIT_SYNTAX)
    if verb == "show":
        return Show(_selector(args, 0xFF & ~NUD_NOARP))
    if verb == "flush":
        if not args:
            raise Failure("Flush requires arguments.", a.EXIT_INPUT)
        return Flush(_selector(args, _EVERY_STATE & ~(NUD_PERMANENT | NUD_NOARP)))
    if verb == "get":
        return _parse_get(args)
    return _parse_modify(args, verb)


def state_number(text: str) -> int:
    """Mirror nud_state_a2n(). Raises ValueError."""
    for name, state in (("permanent", NUD_PERMANENT), ("reachable", 0x02), ("failed", 0x20)):
        if a.matches(text, name):
            return state
    if text == "none":
        return NUD_NONE
    for state, name in names.NUD_STATES.items():
        if name.lower() == text:
            return state
    number = names.c_number(text)
    if number > 0xFF or number & (number - 1):
        raise ValueError(f"{text!r} is no neighbour state")
    return number


def _state(word: Word) -> int:
    try:
        return state_number(word.text)
    except ValueError:
        hint = a.suggestion(word.text, [name.lower() for name in names.NUD_STATES.values()])
        raise a.invalid("nud state is bad", word, blank_line=False, hint=hint) from None


@dataclass(slots=True)
class _Spec:
    dst: Ip | None = None
    addressed: bool = False
    dev: str = ""
    lladdr: Word | None = None
    state: int = NUD_PERMANENT
    proxy: bool = False
    use: bool = False
    managed: bool = False
    extern_learn: bool = False


def _read(args: Args) -> _Spec:
    spec = _Spec()
    while args:
        if args.is_("lladdr"):
            word = args.value()
            if spec.lladdr is not None:
                raise a.duplicate("lladdr", word)
            spec.lladdr = word
        elif args.is_("nud"):
            spec.state = _state(args.value())
        elif args.like("proxy"):
            args.step()
            _address(args, spec, proxy=True)
        elif args.is_("use"):
            args.take()
            spec.use, spec.state = True, NUD_NONE
        elif args.is_("managed"):
            args.take()
            spec.managed, spec.state = True, NUD_NONE
        elif args.like("extern_learn"):
            args.take()
            spec.extern_learn = True
        elif args.is_("dev"):
            spec.dev = args.value().text
        elif args.is_("router", "protocol"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            if args.is_("to"):
                args.step()
            _address(args, spec)
    return spec


def _address(args: Args, spec: _Spec, *, proxy: bool = False) -> None:
    """Read the one address; "default" and its like are none."""
    if args.like("help"):
        raise Failure(usage.NEIGH, a.EXIT_SYNTAX, args.word)
    if spec.addressed:
        if not proxy:
            raise a.garbage("to", args.word, KEYWORDS)
        raise a.duplicate("address", args.word)
    spec.addressed, spec.proxy = True, proxy
    word = args.take()
    address = a.address(word, args.family)
    if word.text not in ("default", "any", "all"):
        spec.dst = address


def _parse_modify(args: Args, verb: str) -> Modify:
    spec = _read(args)
    if not spec.dev or spec.dst is None:
        raise Failure("Device and destination are required arguments.", a.EXIT_SYNTAX)
    lladdr = a.link_address(spec.lladdr) if spec.lladdr is not None and spec.lladdr.text != "null" else b""
    if verb == "del":
        return Modify(spec.dev, DelNeigh(dev=spec.dev, dst=spec.dst, proxy=spec.proxy))
    request = NewNeigh(
        dev=spec.dev, dst=spec.dst, lladdr=lladdr, state=spec.state, flags=FLAGS[verb], use=spec.use,
        managed=spec.managed, proxy=spec.proxy, extern_learn=spec.extern_learn,
    )  # fmt: skip
    return Modify(spec.dev, request)


def _parse_get(args: Args) -> Get:
    spec = _Spec()
    while args:
        if args.is_("dev"):
            spec.dev = args.value().text
        elif args.like("proxy"):
            args.step()
            _address(args, spec, proxy=True)
        else:
            if args.is_("to"):
                args.step()
            _address(args, spec)
    if not spec.dev or spec.dst is None:
        raise Failure("Device and address are required arguments.", a.EXIT_INPUT)
    return Get(spec.dst, spec.dev, spec.proxy)


@dataclass(frozen=True, slots=True)
class Modify:
    """Add, change, replace or delete one entry."""

    dev: str
    request: NewNeigh | DelNeigh

    def run(self, session: Session) -> None:
        """Ask. Raises Failure when there is no such device, or the kernel refuses."""
        session.link(self.dev)
        session.ask(self.request)


@dataclass(frozen=True, slots=True)
class Get:
    """Print one entry."""

    dst: Ip
    dev: str
    proxy: bool

    def run(self, session: Session) -> None:
        """Look it up. Raises Failure when it is not there."""
        session.link(self.dev)
        for info in session.ask(DumpNeighs(proxy=self.proxy)):
            if info.dst == self.dst and info.dev == self.dev:
                printer = session.options.printer()
                print_neigh(printer, info, stats=bool(session.options.stats), show_dev=True)
                session.print(printer.result())
                return
        kind = "Proxy neighbour" if self.proxy else "Neighbour"
        raise Failure(f"Error: {kind} entry not found.", a.EXIT_KERNEL)


@dataclass(slots=True)
class Selector:
    """Which entries are meant; `states` are NUD_ bits, 0x100 standing for NUD_NONE."""

    states: int
    dev: str = ""
    to: Prefix | None = None
    proxy: bool = False

    def takes(self, info: NeighInfo) -> bool:
        """Mirror print_neigh()'s filter: what somebody else learned is shown in any state."""
        if self.dev and info.dev != self.dev:
            return False
        if self.to is not None and not self.to.holds(info.dst):
            return False
        return info.proxy or info.extern_learn or bool(self.states & (info.state or _STATE_OF_NONE))


def _selector(args: Args, states: int) -> Selector:
    chosen = Selector(states)
    named = 0
    while args:
        if args.is_("dev"):
            word = args.value()
            if chosen.dev:
                raise a.duplicate("dev", word)
            chosen.dev = word.text
        elif args.is_("nud"):
            word = args.value()
            named |= _EVERY_STATE if word.text == "all" else _state(word) or _STATE_OF_NONE
        elif args.is_("proxy"):
            args.take()
            chosen.proxy = True
        elif args.is_("unused", "nomaster"):
            args.take()
        elif args.is_("master", "vrf", "protocol"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            if args.is_("to"):
                args.step()
            if args.like("help"):
                raise Failure(usage.NEIGH, a.EXIT_SYNTAX, args.word)
            chosen.to = a.prefix(args.take(), args.family)
    chosen.states = named or states
    return chosen


def _select(session: Session, chosen: Selector, ending: str) -> list[NeighInfo]:
    if chosen.dev:
        session.link(chosen.dev)
    if session.options.family == 6:
        return []
    return [info for info in session.dump(DumpNeighs(proxy=chosen.proxy), ending=ending) if chosen.takes(info)]


@dataclass(frozen=True, slots=True)
class Show:
    """Print the entries the selector takes."""

    chosen: Selector

    def run(self, session: Session) -> None:
        """Print. Raises Failure when there is no such device."""
        printer = session.options.printer()
        for info in _select(session, self.chosen, "Dump terminated"):
            print_neigh(printer, info, stats=bool(session.options.stats), show_dev=not self.chosen.dev)
        session.print(printer.result())


@dataclass(frozen=True, slots=True)
class Flush:
    """Delete the entries the selector takes; without `nud` all but PERMANENT and NOARP."""

    chosen: Selector

    def run(self, session: Session) -> None:
        """Delete them one by one. Raises Failure when there is no such device."""
        doomed = _select(session, self.chosen, "Flush terminated")
        for info in doomed:
            session.request(DelNeigh(dev=info.dev, dst=info.dst, proxy=info.proxy))
        report_flush(session, len(doomed))


def print_neigh(printer: Printer, info: NeighInfo, *, stats: bool, show_dev: bool) -> None:
    """Print one entry; every field ends in one blank."""
    printer.begin()
    printer.any("dst", f"{ip_str(info.dst)} ", ip_str(info.dst))
    if show_dev:
        printer.any("dev", f"dev {info.dev} ", info.dev)
    if info.lladdr and info.state & NUD_VALID and not info.proxy:
        printer.any("lladdr", f"lladdr {mac_str(info.lladdr)} ", mac_str(info.lladdr))
    for key, present in (("proxy", info.proxy), ("managed", info.managed), ("extern_learn", info.extern_learn)):
        if present:
            printer.any(key, f"{key} ", None)
    if stats and not info.proxy:
        _print_ages(printer, info)
    if info.state and not info.proxy:
        words: list[Json] = [name for bit, name in names.NUD_STATES.items() if info.state & bit]
        printer.any("state", "".join(f"{word} " for word in words), words)
    printer.text("\n")


def _print_ages(printer: Printer, info: NeighInfo) -> None:
    """Print references and ages in seconds; 6.1 puts no blank before `probes`."""
    if info.refcnt:
        printer.any("refcnt", f" ref {info.refcnt}", info.refcnt)
    used, confirmed, updated = (age // NS_PER_S for age in (info.used, info.confirmed, info.updated))
    printer.text(f" used {used}/{confirmed}/{updated}")
    printer.json("used", used)
    printer.json("confirmed", confirmed)
    printer.json("updated", updated)
    printer.any("probes", f"probes {info.probes} ", info.probes)
