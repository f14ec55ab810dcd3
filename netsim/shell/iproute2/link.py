"""`ip link`: add, set, del, show; and the head lines of a device that `ip addr` prints too.

Source: iproute2 6.1 ip/iplink.c iplink_parse(), ip/ipaddress.c print_linkinfo(), print_link_flags(); observed-linux 8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType

from netsim.addr import mac_str
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2 import usage
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.output import Json, Printer
from netsim.shell.iproute2.session import Action, Options, Session
from netsim.shell.tool import Failure, Word
from netsim.stack import device as d
from netsim.stack.requests import DelLink, LinkInfo, NewLink, SetLink

VERBS = (
    ("add", "add"), ("set", "set"), ("change", "set"), ("delete", "delete"), ("show", "show"), ("lst", "show"),
    ("list", "show"), ("help", "help"),
)  # fmt: skip
KEYWORDS = ("up", "down", "mtu", "address", "arp", "promisc", "name", "dev", "type", "multicast", "txqueuelen", "qlen")

_FLAG_NAMES = (
    (d.IFF_LOOPBACK, "LOOPBACK"), (d.IFF_BROADCAST, "BROADCAST"), (d.IFF_POINTOPOINT, "POINTOPOINT"),
    (d.IFF_MULTICAST, "MULTICAST"), (d.IFF_NOARP, "NOARP"), (d.IFF_PROMISC, "PROMISC"), (d.IFF_UP, "UP"),
    (d.IFF_LOWER_UP, "LOWER_UP"),
)  # fmt: skip
_LINK_TYPES = MappingProxyType(
    {d.LOOPBACK: "loopback", d.ETHER: "ether", d.DUMMY: "ether", d.PPP: "ppp", d.TUN: "none"}
)
_QUEUE_LENGTHS = MappingProxyType({d.PPP: 3, d.TUN: 500})
_ON_OFF_ONLY = ("multicast", "allmulticast", "dynamic", "trailers")
_FOREIGN = ("master", "nomaster", "netns", "vf", "alias", "group", "addrgenmode", "link", "broadcast", "carrier", "vrf")


def parse(args: Args) -> Action:
    """Read what follows `ip link`. Raises Failure."""
    if not args:
        return Show("", False, "")
    verb = next((meaning for word, meaning in VERBS if a.matches(args.text, word)), None)
    if verb is None:
        hint = a.suggestion(args.text, [word for word, _ in VERBS])
        raise Failure(f'Command "{args.text}" is unknown, try "ip link help".', a.EXIT_SYNTAX, args.word, hint)
    args.take()
    args.said = f"ip link {verb}"
    if verb == "help":
        raise Failure(usage.LINK, a.EXIT_SYNTAX)
    if verb == "show":
        return _parse_show(args)
    if verb == "delete":
        return _parse_delete(args)
    return _parse_change(args, adding=verb == "add")


def _parse_show(args: Args) -> Show:
    name, up, kind = "", False, ""
    while args:
        if args.is_("up"):
            args.take()
            up = True
        elif args.like("type"):
            kind = args.value().text
        elif args.like("group", "master", "vrf"):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            if args.is_("dev"):
                args.step()
            if args.like("help"):
                raise Failure(usage.LINK, a.EXIT_SYNTAX, args.word)
            if name:
                raise a.garbage("dev", args.word, KEYWORDS)
            name = args.take().text
    return Show(name, up, kind)


def _parse_delete(args: Args) -> Delete:
    name = ""
    while args:
        if args.is_("type"):
            args.value()
            continue
        if args.is_("dev"):
            args.step()
        if name:
            raise a.garbage("dev", args.word)
        name = args.take().text
    if not name:
        raise Failure('Not enough information: "dev" argument is required.', a.EXIT_SYNTAX)
    return Delete(name)


@dataclass(slots=True)
class _Change:
    name: str = ""
    renamed: bool = False
    queued: bool = False
    dev: str = ""
    mac: bytes | None = None
    kind: str = ""


def _parse_change(args: Args, *, adding: bool) -> Add | Set:
    read = _Change()
    change = SetLink(dev="")
    while args:
        if args.is_("up", "down"):
            change = replace(change, up=args.take().text == "up")
        elif args.is_("name"):
            word = args.value()
            if read.renamed:
                raise a.duplicate("name", word)
            read.name, read.renamed = word.text, True
        elif args.like("address"):
            read.mac = a.link_address(args.value())
        elif args.is_("mtu"):
            word = args.value()
            if change.mtu is not None:
                raise a.duplicate("mtu", word)
            change = replace(change, mtu=a.integer(word, 'Invalid "mtu" value'))
        elif args.is_("arp"):
            change = replace(change, arp=_on_off(args, "arp"))
        elif args.is_("promisc"):
            change = replace(change, promisc=_on_off(args, "promisc"))
        elif args.is_(*_ON_OFF_ONLY):
            _on_off(args, args.text)
        elif args.like("txqueuelen") or args.is_("qlen", "txqlen"):
            word = args.value()
            if read.queued:
                raise a.duplicate("txqueuelen", word)
            a.integer(word, 'Invalid "txqueuelen" value')
            read.queued = True
        elif args.is_("type"):
            read.kind = args.value().text
            args.at = len(args.words)  # the rest belongs to the type
        elif args.is_(*_FOREIGN):
            raise Failure(
                f'Error: "{args.text}" is not supported.', a.EXIT_SYNTAX, args.word, "netsim has no such thing"
            )
        else:
            _device_word(args, read)
    return _add(read, change) if adding else _set(read, change)


def _device_word(args: Args, read: _Change) -> None:
    if args.is_("dev"):
        args.step()
    if args.like("help"):
        raise Failure(usage.LINK, a.EXIT_SYNTAX, args.word)
    if read.dev:
        raise a.garbage("dev", args.word, KEYWORDS)
    read.dev = args.take().text


def _on_off(args: Args, what: str) -> bool:
    word: Word = args.value()
    if word.text not in ("on", "off"):
        text = f'Error: argument of "{what}" must be "on" or "off", not "{word.text}"'
        raise Failure(text, a.EXIT_INPUT, word)
    return word.text == "on"


def _add(read: _Change, change: SetLink) -> Add:
    name = read.name or read.dev
    if not read.kind:
        raise Failure('Not enough information: "type" argument is required', a.EXIT_INPUT)
    if read.kind != d.DUMMY:
        hint = "only dummy devices are made by ip link add; others stand in the topology's interfaces and links"
        raise Failure("Error: Unknown device type.", a.EXIT_KERNEL, None, hint)
    return Add(NewLink(name=name, kind=read.kind, mac=read.mac or b"", mtu=change.mtu or 0), change.up)


def _set(read: _Change, change: SetLink) -> Set:
    if not read.dev:
        raise Failure('Not enough information: "dev" argument is required.', a.EXIT_SYNTAX)
    new_name = read.name if read.name and read.name != read.dev else None
    return Set(replace(change, dev=read.dev, mac=read.mac, new_name=new_name))


@dataclass(frozen=True, slots=True)
class Add:
    """Create a device."""

    request: NewLink
    up: bool | None

    def run(self, session: Session) -> None:
        """Ask; a device without a name gets the first free one. Raises Failure when the kernel refuses."""
        request = self.request
        if not request.name:
            taken = {link.name for link in session.links()}
            free = next(name for name in map(f"{request.kind}{{}}".format, count()) if name not in taken)
            request = replace(request, name=free)
        session.ask(request)
        if self.up:
            session.ask(SetLink(dev=request.name, up=True))


@dataclass(frozen=True, slots=True)
class Set:
    """Change a device."""

    request: SetLink

    def run(self, session: Session) -> None:
        """Ask. Raises Failure when there is no such device, or the kernel refuses."""
        session.link(self.request.dev)
        mac = self.request.mac
        if mac is not None and len(mac) != 6:
            raise Failure(f"Invalid address length {len(mac)} - must be 6 bytes", a.EXIT_INPUT)
        session.ask(self.request)


@dataclass(frozen=True, slots=True)
class Delete:
    """Unregister a device."""

    name: str

    def run(self, session: Session) -> None:
        """Ask. Raises Failure when there is no such device, or the kernel refuses."""
        session.link(self.name)
        session.ask(DelLink(dev=self.name))


@dataclass(frozen=True, slots=True)
class Show:
    """Print devices."""

    name: str
    up: bool
    kind: str

    def run(self, session: Session) -> None:
        """Print. Raises Failure when the one asked for does not exist."""
        links = session.links()
        if self.name:
            links = (session.link(self.name, 'Device "{}" does not exist.'),)
        printer = session.options.printer()
        for link in links:
            if (self.up and not link.flags & d.IFF_UP) or (self.kind and link.kind != self.kind):
                continue
            printer.begin()
            if session.options.brief:
                print_brief_link(printer, link)
            else:
                print_link(printer, link, session.options, mode=True)
        session.print(printer.result())


def flag_names(link: LinkInfo) -> list[Json]:
    """Name the flags in iproute2's order; NO-CARRIER stands for an up device that is not running."""
    found: list[Json] = ["NO-CARRIER"] if link.flags & d.IFF_UP and not link.flags & d.IFF_RUNNING else []
    return found + [name for bit, name in _FLAG_NAMES if link.flags & bit]


def oper_state(link: LinkInfo) -> str:
    """Return the RFC 2863 state: kinds without a carrier of their own stay UNKNOWN while up."""
    if not link.flags & d.IFF_UP or not link.flags & d.IFF_RUNNING:
        return "DOWN"
    return "UP" if link.kind == d.ETHER else "UNKNOWN"


def print_link(printer: Printer, link: LinkInfo, options: Options, *, mode: bool) -> None:
    """Print the one or two lines of a device (-4 leaves out the second); `mode` is what only `ip link` shows."""
    flags = flag_names(link)
    up = bool(link.flags & d.IFF_UP)
    qdisc = "noqueue" if up else "noop"
    length = _QUEUE_LENGTHS.get(link.kind, 1000)
    printer.any("ifindex", f"{link.ifindex}: ", link.ifindex)
    printer.any("ifname", f"{link.name}: ", link.name)
    printer.any("flags", f"<{','.join(str(flag) for flag in flags)}> ", flags)
    printer.any("mtu", f"mtu {link.mtu} ", link.mtu)
    printer.any("qdisc", f"qdisc {qdisc} ", qdisc)
    printer.any("operstate", f"state {oper_state(link)} ", oper_state(link))
    if mode:
        printer.any("linkmode", "mode DEFAULT ", "DEFAULT")
    printer.any("group", "group default ", "default")
    printer.any("txqlen", f"qlen {length}", length)
    if options.family != 4 or mode:
        _print_address(printer, link)
    if options.stats and (options.family != 4 or mode):
        _print_stats(printer, link)
    printer.text("\n")


def _print_address(printer: Printer, link: LinkInfo) -> None:
    kind = _LINK_TYPES[link.kind]
    printer.any("link_type", f"{printer.nl}    link/{kind} ", kind)
    if not link.mac or kind in ("ppp", "none"):
        return
    broadcast = "00:00:00:00:00:00" if link.kind == d.LOOPBACK else "ff:ff:ff:ff:ff:ff"
    printer.any("address", mac_str(link.mac), mac_str(link.mac))
    printer.any("broadcast", f" brd {broadcast}", broadcast)


def _print_stats(printer: Printer, link: LinkInfo) -> None:
    nl = printer.nl
    for name, last, octets, packets in (
        ("RX", "missed   mcast", link.rx_bytes, link.rx_packets),
        ("TX", "carrier collsns", link.tx_bytes, link.tx_packets),
    ):
        width = max(7, len(str(octets)))
        wide = max(7, len(str(packets)))
        printer.text(
            f"{nl}    {name}:  {'bytes':>{width - 2}} {'packets':>{wide}} errors dropped {last:>15}           "
        )
        printer.text(f"{nl}    {octets:>{width + 3}} {packets:>{wide}} {0:>6} {0:>7} {0:>7} {0:>7} ")
    received: dict[str, Json] = {
        "bytes": link.rx_bytes, "packets": link.rx_packets, "errors": 0, "dropped": 0, "over_errors": 0, "multicast": 0,
    }  # fmt: skip
    sent: dict[str, Json] = {
        "bytes": link.tx_bytes, "packets": link.tx_packets, "errors": 0, "dropped": 0, "carrier_errors": 0,
        "collisions": 0,
    }  # fmt: skip
    printer.json("stats64", {"rx": received, "tx": sent})


def print_brief_link(printer: Printer, link: LinkInfo) -> None:
    """Print `ip -br link`: name padded to 16, state to 14, address, flags."""
    flags = flag_names(link)
    printer.any("ifname", f"{link.name:<16} ", link.name)
    printer.any("operstate", f"{oper_state(link):<14} ", oper_state(link))
    if link.mac and _LINK_TYPES[link.kind] not in ("ppp", "none"):
        printer.any("address", f"{mac_str(link.mac):<18}", mac_str(link.mac))
    printer.any("flags", f"<{','.join(str(flag) for flag in flags)}> ", flags)
    printer.text("\n")
