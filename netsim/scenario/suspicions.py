"""What is legal and yet looks like a mistake: the warnings of `netsim check`, which never fail a run.

Source: design/scenario-format.md, "Legal but suspicious things"; seed section 7, "It is recommended that all
SNAT/MASQUERADE/ipchains rules to contain the output device specified".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.errors import Problem
from netsim.scenario.check import Context, Path, in_order, read
from netsim.scenario.check_lines import Line, setup_lines
from netsim.scenario.located import Map, mapping, sequence, text_of
from netsim.scenario.model import Scenario
from netsim.scenario.values import parse_instant
from netsim.units import format_duration

_BUILT_IN = frozenset({"main", "254", "local", "255", "default", "253"})
_PREFIXES = MappingProxyType({"rule": ("ru", "rul", "rule"), "route": ("r", "ro", "rou", "rout", "route")})
_LONGEST = 65535 - 20 - 8
"""Octets of the longest payload behind an IP and a UDP or ICMP header."""
_NAT_TARGETS = frozenset({"MASQUERADE", "SNAT", "MASQ"})


@dataclass(slots=True)
class _Tables:
    """The tables of one node: which hold routes, and which rules point at which."""

    filled: set[str] = field(default_factory=set)
    asked: list[tuple[str, Line, int]] = field(default_factory=list)


def suspicions(scenario: Scenario) -> tuple[Problem, ...]:
    """Return warnings about a checked scenario, in file order; none for one made in Python."""
    tree = scenario.origin
    if tree is None:
        return ()
    ctx = Context(tree)
    for node in ctx.nodes.entries:
        lines = list(setup_lines(tree, node))
        _empty_tables(ctx, lines)
        _nat_without_device(ctx, node, lines)
    _beyond_the_end(ctx)
    _too_long(ctx, scenario)
    _unplugged(ctx)
    _names(ctx)
    files = [tree.mark.source.file]
    return in_order(ctx.problems, files)


def _words(line: Line) -> list[str]:
    return line.command.text.split()


def _empty_tables(ctx: Context, lines: Sequence[Line]) -> None:
    tables = _Tables()
    for line in lines:
        words = _words(line)
        if len(words) < 3 or words[0] != "ip":
            continue
        table = next((words[i + 1] for i, word in enumerate(words[:-1]) if word in {"table", "lookup", "tab"}), None)
        if words[1] in _PREFIXES["rule"] and words[2].startswith("a") and table is not None:
            tables.asked.append((table, line, line.command.text.rindex(table)))
        elif words[1] in _PREFIXES["route"] and words[2][:1] in {"a", "p", "r", "c"}:
            tables.filled.add(table or "main")
    for table, line, column in tables.asked:
        if table not in tables.filled and table not in _BUILT_IN:
            ctx.say(line.at(column), line.path, f"rule for the empty table {table}", "no line before or after fills it")


def _uplinks(ctx: Context, node: str) -> list[str]:
    """Interfaces of `node` on a link with a gateway."""
    out = []
    for link in ctx.links.entries:
        ends = [text_of(end) or "" for end in sequence(ctx.links.get(link, "ends"))]
        names = [end.partition(":")[0] for end in ends]
        if any(_is_gateway(ctx, name) for name in names if name != node):
            out += [end.partition(":")[2] for end in ends if end.startswith(f"{node}:")]
    return out


def _is_gateway(ctx: Context, name: str) -> bool:
    said = text_of(ctx.nodes.get(name, "gateway"))
    return said == "true" if said is not None else name.startswith(("isp", "gw"))


def _nat_without_device(ctx: Context, node: str, lines: Sequence[Line]) -> None:
    uplinks = _uplinks(ctx, node)
    if len(uplinks) < 2:
        return
    for line in lines:
        words = _words(line)
        if words[:1] != ["iptables"] or not _NAT_TARGETS & set(words):
            continue
        if not {"-o", "--out-interface"} & set(words):
            target = next(word for word in words if word in _NAT_TARGETS)
            what = f"{target} without -o beside {len(uplinks)} uplinks ({', '.join(uplinks)})"
            ctx.say(line.at(line.command.text.index(target)), line.path, what, "one rule for each: -o DEV")


def _beyond_the_end(ctx: Context) -> None:
    duration = ctx.duration
    if duration is None:
        return
    for i, event in enumerate(sequence(ctx.tree.get("events"))):
        _late(ctx, mapping(event), "at", ("events", i), duration)
    for name, flow in mapping(ctx.tree.get("traffic")).items():
        _late(ctx, mapping(flow), "start", ("traffic", name), duration)


def _too_long(ctx: Context, scenario: Scenario) -> None:
    """What no datagram holds is never sent: the send fails with EMSGSIZE."""
    for name, flow in mapping(ctx.tree.get("traffic")).items():
        size = mapping(flow).entries.get("size")
        traffic = scenario.traffic[name]
        if size is not None and traffic.kind in {"udp", "ping"} and traffic.payload > _LONGEST:
            what = f"{traffic.payload} octets are more than a datagram holds ({_LONGEST})"
            ctx.say(size.value.mark, ("traffic", name, "size"), what, "each send fails: Message too long")


def _names(ctx: Context) -> None:
    """Two expectations of one name cannot be told apart in a report."""
    seen: dict[str, int] = {}
    for i, expect in enumerate(sequence(ctx.tree.get("expect"))):
        name = text_of(mapping(expect).get("name"))
        if name is not None and name in seen:
            mark = mapping(expect).entries["name"].value.mark
            ctx.say(
                mark,
                ("expect", i, "name"),
                f'a second expectation named "{name}"',
                f"the first is on line {seen[name]}",
            )
        elif name is not None:
            seen[name] = mapping(expect).entries["name"].value.mark.line


def _late(ctx: Context, part: Map, key: str, path: Path, duration: int) -> None:
    at = read(part.get(key), parse_instant)
    if at is not None and at >= duration:
        what = f"{format_duration(at)} is not before the end of the run ({format_duration(duration)})"
        ctx.say(part.entries[key].value.mark, (*path, key), what, "it never happens")


def _unplugged(ctx: Context) -> None:
    """An Ethernet interface with an address and no link is most often a misspelt name."""
    ends = ctx.ends()
    for node, spec in ctx.nodes.items():
        for dev, entry in mapping(mapping(spec).get("addr")).entries.items():
            kind = text_of(mapping(spec).get("interfaces", dev, "kind"))
            if dev == "lo" or ":" in dev or kind in {"dummy", "tun"} or f"{node}:{dev}" in ends:
                continue
            path: Path = ("topology", "nodes", node, "addr", dev)
            ctx.say(entry.key.mark, path, f"{node}:{dev} has an address and is on no link")
