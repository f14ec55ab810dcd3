"""`ip ntable`: the parameters of the neighbour table and of each device.

A change is written through the sysctl of the same meaning, so a time is cut to that name's unit (seconds for gc_stale
and delay_probe, 10 ms for anycast_delay, proxy_delay and locktime); the kernel itself keeps milliseconds.
Source: iproute2 6.1 ip/ipntable.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Printer
from netsim.shell.iproute2.session import Action, Session
from netsim.shell.tool import Failure, Word
from netsim.stack.errno import ENOENT, Refusal
from netsim.stack.requests import DumpNeighParms, NeighParmsInfo, SetSysctl
from netsim.units import NS_PER_MS, Ns

NAME = "arp_cache"
VERBS = (("change", "change"), ("chg", "change"), ("show", "show"), ("lst", "show"), ("list", "show"), ("help", "help"))

SETTINGS = MappingProxyType({
    "thresh1": ("gc_thresh1", 1), "thresh2": ("gc_thresh2", 1), "thresh3": ("gc_thresh3", 1),
    "gc_int": ("gc_interval", 1000), "base_reachable": ("base_reachable_time_ms", 1), "retrans": ("retrans_time_ms", 1),
    "gc_stale": ("gc_stale_time", 1000), "delay_probe": ("delay_first_probe_time", 1000), "queue": ("unres_qlen", 1),
    "app_probes": ("app_solicit", 1), "ucast_probes": ("ucast_solicit", 1), "mcast_probes": ("mcast_solicit", 1),
    "anycast_delay": ("anycast_delay", 10), "proxy_delay": ("proxy_delay", 10), "proxy_queue": ("proxy_qlen", 1),
    "locktime": ("locktime", 10),
})  # fmt: skip
_COUNTS = ("thresh1", "thresh2", "thresh3", "queue", "app_probes", "ucast_probes", "mcast_probes", "proxy_queue")
_U64 = 0xFFFFFFFFFFFFFFFF
_TABLE_ONLY = ("thresh1", "thresh2", "thresh3", "gc_int")


def parse(args: Args) -> Action:
    """Read what follows `ip ntable`. Raises Failure."""
    if not args:
        return Show("", "")
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip ntable help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip ntable {verb}"
    if verb == "help":
        raise Failure(usage.NTABLE, a.EXIT_SYNTAX)
    return _parse_show(args) if verb == "show" else _parse_change(args)


def _parse_show(args: Args) -> Show:
    dev = name = ""
    while args:
        if args.is_("dev"):
            dev = args.value().text
        elif args.is_("name"):
            name = args.value().text
        else:
            raise a.invalid("unknown", args.word, blank_line=False, hint=a.suggestion(args.text, ("dev", "name")))
    return Show(dev, name)


def _parse_change(args: Args) -> Change:
    change = Change()
    while args:
        if args.is_("name"):
            word = args.value()
            if change.name:
                raise a.duplicate("NAME", word)
            change.name = word.text
        elif args.is_("dev"):
            change.dev = args.value().text
        elif args.text in SETTINGS:
            keyword = args.text
            change.values[keyword] = _setting(args.value(), keyword)
        else:
            hint = a.suggestion(args.text, ("name", "dev", *SETTINGS))
            raise a.invalid("unknown", args.word, blank_line=False, hint=hint)
    if not change.name:
        raise Failure('Error: argument "NAME" is required', a.EXIT_SYNTAX)
    return change


def _setting(word: Word, keyword: str) -> int:
    """Read a count of 32 bits, or a time of 64, for which strtoull() also takes a minus sign."""
    why = f'"{keyword}" value is invalid'
    if keyword in _COUNTS:
        return a.number(word, why, blank_line=False)
    negative = word.text.startswith("-")
    size = a.number(Word(word.text.removeprefix("-"), word.column), why, high=_U64, blank_line=False)
    return -size & _U64 if negative else size


@dataclass(slots=True)
class Change:
    """Set parameters of the table, or of one device."""

    name: str = ""
    dev: str = ""
    values: dict[str, int] = field(default_factory=dict)

    def run(self, session: Session) -> None:
        """Write each. Raises Failure when there is no such device, or the kernel refuses."""
        if self.dev:
            session.link(self.dev)
        if not self.values:
            raise Failure("Not enough information: changeable attributes required.", a.EXIT_SYNTAX)
        if self.name != NAME or (self.dev and any(key in _TABLE_ONLY for key in self.values)):
            raise Failure(f"RTNETLINK answers: {Refusal(ENOENT).strerror}", a.EXIT_KERNEL)
        owner = self.dev.replace(".", "/") or "default"
        for keyword, value in self.values.items():
            setting, unit = SETTINGS[keyword]
            session.ask(SetSysctl(key=f"net.ipv4.neigh.{owner}.{setting}", value=str(value // unit)))


@dataclass(frozen=True, slots=True)
class Show:
    """Print the parameters."""

    dev: str
    name: str

    def run(self, session: Session) -> None:
        """Print. Raises Failure when there is no such device."""
        if self.dev:
            session.link(self.dev)
        printer = session.options.printer()
        if session.options.family != 6 and self.name in ("", NAME):
            for info in session.dump(DumpNeighParms()):
                if self.dev in ("", info.dev):
                    _print(printer, info)
        session.print(printer.result())


def msec(time: Ns) -> int:
    """Return whole milliseconds."""
    return time // NS_PER_MS


def _print(printer: Printer, info: NeighParmsInfo) -> None:
    nl = printer.nl
    printer.begin()
    printer.any("family", "inet ", "inet")
    printer.any("name", f"{NAME} {nl}", NAME)
    if info.dev:
        printer.text("    ")
        printer.any("dev", f"dev {info.dev} {nl}", info.dev)
    else:
        printer.text("    ")
        for key, count in (("thresh1", info.thresh1), ("thresh2", info.thresh2), ("thresh3", info.thresh3)):
            printer.any(key, f"{key} {count} ", count)
        printer.any("gc_interval", f"gc_int {msec(info.gc_interval)} {nl}", msec(info.gc_interval))
    lines: tuple[tuple[tuple[str, int], ...], ...] = (
        (("refcnt", 1), ("reachable", msec(info.reachable)), ("base_reachable", msec(info.base_reachable)),
         ("retrans", msec(info.retrans))),
        (("gc_stale", msec(info.gc_stale)), ("delay_probe", msec(info.delay_probe)), ("queue", info.queue)),
        (("app_probes", info.app_probes), ("ucast_probes", info.ucast_probes), ("mcast_probes", info.mcast_probes)),
        (("anycast_delay", msec(info.anycast_delay)), ("proxy_delay", msec(info.proxy_delay)),
         ("proxy_queue", info.proxy_queue), ("locktime", msec(info.locktime))),
    )  # fmt: skip
    for line in lines:
        printer.text("    ")
        for key, value in line:
            printer.any(key, f"{key} {value} ", value)
        printer.text(nl)
    printer.text("\n")
