"""`route`: show table main, add and delete routes the old way.

An added route goes before its equals, as NLM_F_CREATE alone says. Source: net-tools 2.10 lib/inet_sr.c, lib/inet_gr.c;
net/ipv4/fib_frontend.c rtentry_to_fib_config().
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.addr import MASKS, Ip, Prefix, ip_str
from netsim.shell.net_tools.common import Ioctl, mask_length, resolve
from netsim.shell.procfs import RTF_GATEWAY, RTF_HOST, RTF_REJECT, IoctlRoute, ioctl_routes
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE
from netsim.stack.dst import RTN_UNICAST, RTN_UNREACHABLE
from netsim.stack.errno import EINVAL, ENODEV, Refusal
from netsim.stack.metrics import NO_METRICS, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW, Metrics
from netsim.stack.requests import (
    NLM_F_CREATE,
    DelRoute,
    DumpAddrs,
    DumpLinks,
    NewRoute,
    NexthopSpec,
)
from netsim.units import Ns

_EXIT_USAGE = 3
_EXIT_HOST = 6
_EXIT_IOCTL = 7

_INET_USAGE = """\
Usage: inet_route [-vF] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [gw Gw] [metric M]
                              [netmask N] [mss Mss] [window W] [irtt I]
                              [mod] [dyn] [reinstate] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [metric M] reject
       inet_route [-FC] flush      NOT supported"""
_USAGE = """\
Usage: route [-nNvee] [-FC] [<AF>]           List kernel routing tables
       route [-v] [-FC] {add|del|flush} ...  Modify routing table for AF."""


@dataclass(slots=True)
class _Spec:
    """A route as the words give it."""

    adding: bool
    dst: Ip = 0
    mask: Ip | None = None
    host: bool = False
    gateway: Ip = 0
    dev: str = ""
    metric: int | None = None
    mss: int = 0
    window: int = 0
    irtt: int = 0
    reject: bool = False


@dataclass(slots=True)
class _Call:
    """The command line, read."""

    numeric: bool = False
    extend: int = 0
    cache: bool = False
    spec: _Spec | None = None
    usage_only: bool = False


def _read(argv: Sequence[Word]) -> _Call:
    """Read the words. Raises Failure."""
    call = _Call()
    words = list(argv[1:])
    while words and words[0].text.startswith("-"):
        word = words.pop(0)
        for letter in word.text[1:]:
            if letter == "n":
                call.numeric = True
            elif letter == "e":
                call.extend += 1
            elif letter == "C":
                call.cache = True
            elif letter not in "vNF4":
                raise Failure(_USAGE, _EXIT_USAGE, word, f"there is no option {word.text}")
    if not words:
        return call
    verb = words.pop(0)
    if verb.text == "flush":
        raise Failure(f"Flushing `inet' routing table not supported\n{_INET_USAGE}", _EXIT_USAGE, verb)
    if verb.text not in ("add", "del", "delete"):
        raise Failure(_USAGE, _EXIT_USAGE, verb)
    if not words:
        call.usage_only = True
        return call
    call.spec = _spec(words, adding=verb.text == "add", verb=verb)
    return call


def _spec(words: list[Word], *, adding: bool, verb: Word) -> _Spec:
    """Read a route. Raises Failure."""
    spec = _Spec(adding)
    kind = ""
    if words[0].text in ("-net", "-host"):
        kind = words.pop(0).text
        if not words:
            raise _usage(verb)
    target = words.pop(0)
    quad, slash, length = target.text.partition("/")
    spec.dst = resolve(Word(quad, target.column), _EXIT_HOST)
    if slash:
        plen = int(length) if length.isdecimal() else 33
        if plen > 32:
            raise _usage(target, "netmask doesn't match route address")
        spec.mask = MASKS[plen]
    spec.host = kind == "-host" or (kind == "" and target.text != "default" and spec.mask in (None, MASKS[32]))
    while words:
        _keyword(spec, words)
    _judge_mask(spec, target)
    return spec


def _usage(word: Word, why: str = "") -> Failure:
    first = f"route: {why}\n" if why else ""
    return Failure(f"{first}{_INET_USAGE}", _EXIT_USAGE, word)


def _keyword(spec: _Spec, words: list[Word]) -> None:
    """Read one keyword with its value; a lone word is the device."""
    word = words.pop(0)
    if word.text in ("mod", "dyn", "reinstate"):
        return
    if word.text == "reject":
        spec.reject = True
        return
    valued = ("metric", "netmask", "gw", "gateway", "mss", "window", "irtt", "device", "dev")
    if word.text not in valued:
        if spec.dev:
            raise _usage(word)
        spec.dev = word.text
        return
    if not words:
        raise _usage(word)
    value = words.pop(0)
    if word.text == "netmask":
        spec.mask = resolve(value, _EXIT_HOST)
    elif word.text in ("gw", "gateway"):
        spec.gateway = resolve(value, _EXIT_HOST)
    elif word.text in ("device", "dev"):
        spec.dev = value.text
    elif not value.text.isdecimal():
        raise _usage(value)
    elif word.text == "metric":
        spec.metric = int(value.text)
    elif word.text == "mss":
        spec.mss = int(value.text)
    elif word.text == "window":
        spec.window = int(value.text)
    elif word.text == "irtt":
        spec.irtt = int(value.text)


def _metrics(spec: _Spec) -> Metrics:
    """Return what the old interface says of metrics; an MSS is asked for as the MTU 40 octets above."""
    given = ((RTAX_ADVMSS, max(0, spec.mss - 40)), (RTAX_WINDOW, spec.window), (RTAX_RTT, spec.irtt << 3))
    return Metrics.of(*given) if any(value for _, value in given) else NO_METRICS


def _judge_mask(spec: _Spec, target: Word) -> None:
    if spec.mask is None:
        return
    if spec.host and spec.mask != MASKS[32]:
        in_memory = int.from_bytes(spec.mask.to_bytes(4, "big"), "little")
        raise _usage(target, f"netmask {in_memory:08x} doesn't make sense with host route")
    if spec.mask not in MASKS:
        raise _usage(target, f"bogus netmask {ip_str(spec.mask)}")
    if spec.dst & ~spec.mask & 0xFFFFFFFF:
        raise _usage(target, "netmask doesn't match route address")


def _change(ioctl: Ioctl, spec: _Spec) -> None:
    """Mirror rtentry_to_fib_config() and ask. Raises Failure."""
    name = "SIOCADDRT" if spec.adding else "SIOCDELRT"
    plen = 32 if spec.host else mask_length(spec.mask or 0)
    if spec.dst & ~MASKS[plen] & 0xFFFFFFFF:
        raise Failure(f"{name}: {Refusal(EINVAL).strerror}", _EXIT_IOCTL)
    prefix = Prefix(spec.dst, plen)
    dev, _, alias = spec.dev.partition(":")
    if dev and not any(link.name == dev for link in ioctl.list(DumpLinks())):
        raise Failure(f"{name}: {Refusal(ENODEV).strerror}", _EXIT_IOCTL)
    own = ioctl.list(DumpAddrs())
    prefsrc = next((info.local for info in own if alias and info.label == spec.dev), 0)
    nexthops: tuple[NexthopSpec, ...] = ()
    if spec.reject:
        kind, scope = RTN_UNREACHABLE, RT_SCOPE_HOST
    else:
        kind = RTN_UNICAST
        foreign = bool(spec.gateway) and all(info.local != spec.gateway for info in own)
        scope = RT_SCOPE_UNIVERSE if foreign else RT_SCOPE_LINK if spec.adding else RT_SCOPE_NOWHERE
        nexthops = (NexthopSpec(via=spec.gateway, dev=dev),) if spec.gateway or dev else ()
    if spec.adding:
        request = NewRoute(
            flags=NLM_F_CREATE, dst=prefix, metric=spec.metric or 0, scope=scope, kind=kind, prefsrc=prefsrc,
            nexthops=nexthops, metrics=_metrics(spec),
        )  # fmt: skip
        ioctl.do(name, request, _EXIT_IOCTL)
    else:
        deletion = DelRoute(dst=prefix, metric=spec.metric, scope=scope, kind=kind, prefsrc=prefsrc, nexthops=nexthops)
        ioctl.do(name, deletion, _EXIT_IOCTL)


_COLUMNS = (
    "Flags Metric Ref    Use Iface",
    "Flags   MSS Window  irtt Iface",
    "Flags Metric Ref    Use Iface    MSS   Window irtt",
)


def _show(routes: list[IoctlRoute], call: _Call) -> str:
    """Print table main; `-e` and `-ee` choose other columns, without -n the default route has its name."""
    if call.cache:
        head = "Kernel IP routing cache\nSource          Destination     Gateway         "
        return f"{head}{_COLUMNS[0]}\n"
    columns = _COLUMNS[min(call.extend, 2)]
    lines = ["Kernel IP routing table", f"Destination     Gateway         Genmask         {columns}"]
    lines += [_line(route, call) for route in routes]
    return "\n".join(lines) + "\n"


def _line(route: IoctlRoute, call: _Call) -> str:
    reject = bool(route.flags & RTF_REJECT)
    bits = ((RTF_GATEWAY, "G"), (RTF_HOST, "H"))
    flags = ("!" if reject else "U") + "".join(letter for bit, letter in bits if route.flags & bit)
    dst = "default" if not call.numeric and not route.dst and not route.mask else ip_str(route.dst)
    gateway = "-" if reject else ip_str(route.via)
    dev = "-" if reject else route.dev
    head = f"{dst:<15} {gateway:<15} {ip_str(route.mask):<15} {flags:<5} "
    ref, mss, window, irtt = (
        ("-", "-", "-", "-") if reject else ("0", str(route.mss), str(route.window), str(route.irtt))
    )
    if call.extend == 1:
        return f"{head}{mss:>5} {window:<5} {irtt:>6} {dev}"
    use = f"{head}{route.metric:<6} {ref:<2} {0:>7} "
    return f"{use}{dev}" if not call.extend else f"{use}{dev:<8} {mss:<5} {window:<6} {irtt}"


class RouteTool:
    """The command."""

    name = "route"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find the first word that `route` itself would refuse."""
        try:
            call = _read(argv)
        except Failure as failure:
            return [failure.problem(argv, "route")]
        return [LineProblem(argv[-1].column, "route: a target is missing")] if call.usage_only else []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Show, add, delete."""
        try:
            call = _read(argv)
            if call.usage_only:
                return CommandResult(f"{_INET_USAGE}\n")
            if call.spec is None:
                return CommandResult(_show(ioctl_routes(box, now=now), call))
            _change(Ioctl(box, now), call.spec)
        except Failure as failure:
            return failure.result()
        return CommandResult()


TOOLS = (RouteTool(),)
