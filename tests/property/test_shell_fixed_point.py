"""What `show` prints, `add` reads, and it prints the same again: routes, rules, neighbours, lines of words.

Source: design/style.md rules 7 and 38 ("show -> parse -> show is a fixed point").
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.addr import MASKS, Prefix, ip_str
from netsim.shell.dispatch import check_line, run
from netsim.shell.tokens import parse
from netsim.stack.metrics import Metrics
from netsim.stack.profile import profile
from netsim.stack.requests import (
    DONE,
    RTNH_F_ONLINK,
    DumpLinks,
    DumpNeighs,
    DumpRoutes,
    DumpRules,
    LinkInfo,
    NeighInfo,
    NewNeigh,
    NewRoute,
    NewRule,
    NexthopInfo,
    RouteInfo,
    RuleInfo,
    RuleSpec,
)

DEVICES = ("eth0", "wan1", "ppp0")


class Box:
    """Lists what it was given, takes what it is asked to add."""

    name = "r"
    profile = profile("linux-6")

    def __init__(self) -> None:
        self.lists: dict[type, tuple[object, ...]] = {
            DumpLinks: tuple(
                LinkInfo(
                    ifindex=index, name=name, kind="ether", flags=0, mtu=1500, mac=bytes(6), carrier=True, rx_packets=0,
                    rx_bytes=0, tx_packets=0, tx_bytes=0,
                )
                for index, name in enumerate(DEVICES, 1)
            )
        }  # fmt: skip
        self.added: list[object] = []

    def request(self, req, *, now):
        if type(req).__name__.startswith("Dump"):
            return self.lists.get(type(req), ())
        self.added.append(req)
        return DONE

    def show(self, command: str, kind: type, entry: object) -> str:
        self.lists[kind] = (entry,)
        return run(self, command, now=0).stdout


addresses = st.integers(1, 0xDFFFFFFF)
prefixes = st.builds(lambda addr, plen: Prefix(addr & MASKS[plen], plen), addresses, st.integers(1, 32))
host_prefixes = st.builds(Prefix, addresses, st.integers(1, 32))
devices = st.sampled_from(DEVICES)
tables = st.one_of(st.sampled_from([253, 254, 255]), st.integers(1, 0xFFFFFFFF))
tos = st.integers(0, 63).map(lambda dscp: dscp << 2)


@st.composite
def metrics(draw: st.DrawFn) -> Metrics:
    """Return metrics as a kernel holds them, times in whole milliseconds, as they are printed.

    Without rto_min: iproute2 prints a lock there that it does not read. Without 2.015 s: it reads that as 2.016.
    """
    counts = {number: draw(st.integers(0, 255)) for number in (2, 3, 6, 7, 8, 9, 10, 11, 14)}
    spans = st.one_of(st.integers(0, 999), st.integers(1, 99).map(lambda seconds: seconds * 1000))
    times = {number: draw(spans) * part for number, part in ((4, 8), (5, 4))}
    switches = {number: draw(st.integers(0, 1)) for number in (12, 15, 17)}
    locked = sum(1 << number for number in draw(st.sets(st.sampled_from([*counts, 4, 5]))))
    congctl = draw(st.sampled_from(["", "reno", "cubic"]))
    given = {**counts, **times, **switches, 16: 1 if congctl else 0}
    return Metrics.of(*given.items(), locked=locked, congctl=congctl)


@st.composite
def routes(draw: st.DrawFn) -> RouteInfo:
    several = draw(st.booleans())
    kind = 1 if several else draw(st.sampled_from([1, 1, 1, 6, 7, 8, 9]))
    paths: list[NexthopInfo] = []
    if kind == 1:
        count = draw(st.integers(2, 3)) if several else 1
        for _ in range(count):
            via = draw(st.one_of(st.just(0), addresses))
            flags = draw(st.sampled_from([0, RTNH_F_ONLINK])) if via else 0
            weight = draw(st.integers(1, 256)) if several else 1
            paths.append(NexthopInfo(via=via, dev=draw(devices), weight=weight, flags=flags))
    return RouteInfo(
        dst=draw(st.one_of(st.just(Prefix(0, 0)), prefixes)), table=draw(tables), tos=draw(tos),
        metric=draw(st.one_of(st.just(0), st.integers(1, 0xFFFFFFFF))), scope=draw(st.integers(0, 255)),
        protocol=draw(st.integers(0, 255)), kind=kind, prefsrc=draw(st.one_of(st.just(0), addresses)),
        nexthops=tuple(paths), multipath=several, metrics=draw(metrics()),
    )  # fmt: skip


def listed(req: NewRoute) -> RouteInfo:
    """Return the route as a box would list it."""
    paths = tuple(NexthopInfo(via=nh.via, dev=nh.dev, weight=nh.weight, flags=nh.flags) for nh in req.nexthops)
    return RouteInfo(
        dst=req.dst, table=req.table, tos=req.tos, metric=req.metric, scope=req.scope, protocol=req.protocol,
        kind=req.kind, prefsrc=req.prefsrc, nexthops=paths, multipath=req.multipath, metrics=req.metrics,
    )  # fmt: skip


@given(routes())
@settings(max_examples=300, deadline=None)
def test_a_listed_route_can_be_added_as_it_is_printed(route):
    """With -d and `table all` nothing is left out, so the line says everything."""
    box = Box()
    text = box.show("ip -d route show table all", DumpRoutes, route)
    result = run(box, f"ip route add {text}".replace("\n\t", " "), now=0)
    assert result.stderr == ""
    [req] = box.added
    again = listed(req)
    assert route == again
    assert text == box.show("ip -d route show table all", DumpRoutes, again)


ports = st.one_of(
    st.none(), st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda pair: (min(pair), max(pair)))
)
actions = st.one_of(
    st.builds(lambda table: {"action": "table", "table": table}, tables),
    st.sampled_from([{"action": "blackhole"}, {"action": "unreachable"}, {"action": "prohibit"}, {"action": "nop"}]),
    st.builds(lambda target: {"action": "goto", "goto": target}, st.integers(1, 0xFFFFFFFF)),
)


@st.composite
def rules(draw: st.DrawFn) -> RuleSpec:
    return RuleSpec(
        priority=draw(st.integers(0, 0xFFFFFFFF)), invert=draw(st.booleans()),
        src=draw(st.one_of(st.none(), host_prefixes)), dst=draw(st.one_of(st.none(), host_prefixes)), tos=draw(tos),
        fwmark=(mark := draw(st.integers(0, 0xFFFFFFFF))),
        fwmask=draw(st.one_of(st.none(), st.integers(1, 0xFFFFFFFE))) if mark else None,
        iif=draw(st.sampled_from(["", *DEVICES])), oif=draw(st.sampled_from(["", *DEVICES])),
        ipproto=draw(st.sampled_from([0, 1, 6, 17, 47])), sport=draw(ports), dport=draw(ports),
        protocol=draw(st.integers(0, 255)), **draw(actions),
    )  # fmt: skip


@given(rules())
@settings(max_examples=300, deadline=None)
def test_a_listed_rule_can_be_added_as_it_is_printed(rule):
    box = Box()
    text = box.show("ip -d rule", DumpRules, RuleInfo(rule=rule))
    priority, _, words = text.partition(":\t")
    result = run(box, f"ip rule add prio {priority} {words}", now=0)
    assert result.stderr == ""
    [req] = box.added
    assert isinstance(req, NewRule)
    assert rule == req.rule
    assert text == box.show("ip -d rule", DumpRules, RuleInfo(rule=req.rule))


@given(addresses, devices, st.binary(min_size=6, max_size=6), st.sampled_from([0x02, 0x04, 0x08, 0x10, 0x80]))
def test_a_listed_neighbour_can_be_added_as_it_is_printed(dst, dev, mac, state):
    def info(lladdr: bytes, nud: int) -> NeighInfo:
        return NeighInfo(
            dst=dst, dev=dev, lladdr=lladdr, state=nud, refcnt=0, used=0, confirmed=0, updated=0, probes=0
        )  # fmt: skip

    box = Box()
    text = box.show("ip neigh", DumpNeighs, info(mac, state))
    *words, nud = text.split()
    assert run(box, f"ip neigh add {' '.join(words)} nud {nud.lower()}", now=0).stderr == ""
    [req] = box.added
    assert isinstance(req, NewNeigh)
    assert text == box.show("ip neigh", DumpNeighs, info(req.lladdr, req.state))


WORDS = (
    "ip",
    "route",
    "add",
    "via",
    "dev",
    "eth0",
    "10.0.1.1",
    "default",
    "nexthop",
    "table",
    "100",
    "rule",
    "prio",
    "to",
    "from",
    "sysctl",
    "-w",
    "a=1",
    "neigh",
    "lladdr",
    "addr",
    "link",
    "set",
    "up",
    "show",
    "ifconfig",
    "arp",
    "-s",
    "-n",
    "netmask",
    "gw",
    "iptables",
    "&&",
    "||",
    ";",
    "#",
    "'",
    '"',
    ">",
    "2>&1",
    "/proc/sys/net/ipv4/ip_forward",
    "echo",
    "\\\n",
    "-j",
    "-net",
    "/24",
    "",
    "0x",
    "-1",
    "nud",
    "fwmark",
    "1/2",
    "ntable",
    "change",
    "name",
    "src",
    "flush",
    "get",
    "cat",
)


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
@settings(max_examples=500, deadline=None)
def test_no_line_makes_the_shell_stumble(line):
    """Whatever the words, a line is checked and run to an answer; every problem has a place in the line."""
    problems = check_line(line, "linux-6")
    assert all(1 <= problem.column <= len(line) + 1 for problem in problems)
    result = run(Box(), line.replace("iptables", "ip"), now=0)
    assert 0 <= result.rc <= 255


@given(st.lists(st.text("ab '\"\\#;&|$x\n", max_size=5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_quoted_words_come_back_as_they_were(texts, rnd: random.Random):
    """Any text in single quotes, or with each character escaped, is one word."""

    def quote(text: str) -> str:
        if rnd.random() < 0.5 or "\n" in text or not text:
            return "'" + text.replace("'", "'\\''") + "'"
        return "".join("\\" + char for char in text)

    [command] = parse(" ".join(quote(text) for text in texts))
    assert texts == [word.text for word in command.words]


@given(addresses)
def test_addresses_print_and_read_back(addr):
    box = Box()
    run(box, f"ip route add {ip_str(addr)} dev eth0", now=0)
    [req] = box.added
    assert req.dst == Prefix(addr, 32)
