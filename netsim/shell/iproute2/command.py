"""The `ip` command: its options, its objects, and how a run ends.

Source: iproute2 6.1 ip/ip.c main(), do_cmd(); exit statuses in observed-linux 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from netsim.shell.iproute2 import addr, link, neigh, ntable, route, rule, usage
from netsim.shell.iproute2 import args as a
from netsim.shell.iproute2.args import Args
from netsim.shell.iproute2.session import Action, Options, Session
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.units import Ns

_PARSERS = MappingProxyType({
    "address": addr.parse, "route": route.parse, "rule": rule.parse, "neighbor": neigh.parse, "neighbour": neigh.parse,
    "ntable": ntable.parse, "ntbl": ntable.parse, "link": link.parse,
})  # fmt: skip
# iproute2's order of trying: an abbreviation goes to the first object that fits, known here or not.
_OBJECTS = (
    "address", "addrlabel", "maddress", "route", "rule", "neighbor", "neighbour", "ntable", "ntbl", "link", "l2tp",
    "fou", "ila", "macsec", "tunnel", "tunl", "tuntap", "tap", "token", "tcpmetrics", "tcp_metrics", "monitor", "xfrm",
    "mroute", "mrule", "netns", "netconf", "vrf", "sr", "nexthop", "mptcp", "ioam", "help",
)  # fmt: skip
_FAMILIES = MappingProxyType({"inet": 4, "inet6": 6})


def _options(args: Args) -> Options:
    """Read the options before the object. Raises Failure."""
    options = Options()
    while args and args.text.startswith("-"):
        word = args.word
        if word.text == "--":
            args.take()
            break
        option = word.text[1:] if word.text.startswith("--") else word.text
        if not _flag(option, options):
            _valued(args, option, options)
            continue
        args.take()
    return options


def _flag(option: str, options: Options) -> bool:
    """Note an option without a value; False when it is another kind."""
    if option in ("-4", "-6"):
        options.family = int(option[1])
    elif a.matches(option, "-human") or a.matches(option, "-human-readable") or a.matches(option, "-iec"):
        pass
    elif a.matches(option, "-stats") or a.matches(option, "-statistics"):
        options.stats += 1
    elif a.matches(option, "-details"):
        options.details += 1
    elif a.matches(option, "-resolve") or a.matches(option, "-Numeric") or a.matches(option, "-all"):
        pass
    elif a.matches(option, "-oneline"):
        options.oneline = True
    elif a.matches(option, "-timestamp") or a.matches(option, "-tshort"):
        pass
    elif option != "-b" and a.matches(option, "-brief"):
        options.brief = True
    elif a.matches(option, "-json"):
        options.as_json = True
    elif a.matches(option, "-pretty"):
        options.pretty = True
    elif a.matches(option.partition("=")[0], "-color"):
        pass
    else:
        return False
    return True


def _valued(args: Args, option: str, options: Options) -> None:
    """Read an option that takes a value or ends the run. Raises Failure."""
    word = args.word
    if a.matches(option, "-Version"):
        raise Failure("", 0)
    if a.matches(option, "-help"):
        raise Failure(usage.IP, a.EXIT_SYNTAX, word)
    if a.matches(option, "-family"):
        value = args.value()
        if value.text not in _FAMILIES:
            raise a.invalid("invalid protocol family", value, blank_line=False)
        options.family = _FAMILIES[value.text]
        return
    if a.matches(option, "-loops"):
        a.number(args.value(), "loops not a number")
        return
    if any(a.matches(option, name) for name in ("-batch", "-netns", "-rcvbuf", "-force", "-0", "-M", "-B")):
        what = f'Option "{word.text}" is not supported.'
        raise Failure(what, a.EXIT_SYNTAX, word, "write one command a line, on the node it is for")
    raise Failure(f'Option "{word.text}" is unknown, try "ip -help".', a.EXIT_SYNTAX, word)


def _parse(args: Args) -> tuple[Options, Action]:
    """Read a whole command. Raises Failure."""
    options = _options(args)
    if not args:
        raise Failure(usage.IP, a.EXIT_SYNTAX)
    word = args.take()
    name = next((known for known in _OBJECTS if a.matches(word.text, known)), None)
    if name is None:
        hint = a.suggestion(word.text, [*_PARSERS, "addr", "neigh"])
        raise Failure(f'Object "{word.text}" is unknown, try "ip help".', a.EXIT_INPUT, word, hint)
    if name == "help":
        raise Failure(usage.IP, a.EXIT_SYNTAX, word)
    parser = _PARSERS.get(name)
    if parser is None:
        hint = "there are address, link, neighbour, ntable, route, rule"
        raise Failure(f'Object "{name}" is not supported.', a.EXIT_INPUT, word, hint)
    args.said = f"ip {name}"
    args.family = a.INET if options.family == 4 else a.ANY_FAMILY
    return options, parser(args)


class IpTool:
    """The command."""

    name = "ip"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find the first word that `ip` itself would refuse."""
        args = Args(argv[1:])
        if any(word.text in ("-V", "-Version") for word in argv[1:2]):
            return []
        try:
            _parse(args)
        except Failure as failure:
            return [failure.problem(argv, args.said)]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Parse, ask the box, print."""
        if len(argv) > 1 and len(argv[1].text) > 1 and a.matches(argv[1].text, "-Version"):
            return CommandResult("ip utility, iproute2-6.1.0, libbpf 1.1.2\n")
        try:
            options, action = _parse(Args(argv[1:]))
        except Failure as failure:
            return failure.result()
        session = Session(box, options, now)
        try:
            action.run(session)
        except Failure as failure:
            text = "".join(session.err) + f"{failure.stderr}\n"
            return CommandResult("".join(session.out), text, failure.rc)
        return CommandResult("".join(session.out), "".join(session.err), 0)


TOOLS = (IpTool(),)
