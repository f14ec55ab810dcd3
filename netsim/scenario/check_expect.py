"""Checks of expectations and observation: that what they name exists and can be judged within the run."""

from __future__ import annotations

import re
from types import MappingProxyType

from netsim.observe.filter import FilterError, compile_filter
from netsim.scenario.check import Context, Path, read
from netsim.scenario.expectations import KINDS, split_neigh
from netsim.scenario.located import Map, Scalar, mapping, sequence, text_of
from netsim.scenario.values import parse_instant, parse_window
from netsim.scenario.words import did_you_mean
from netsim.units import Ns, format_duration
from netsim.wire.drop import DESCRIPTIONS

_CONDITIONS = MappingProxyType(
    {
        "flow": ("delivered", "lost", "longest_gap", "latency", "survives"),
        "neigh": ("within", "at"),
    }
)

_MOST_BINS = 2_000_000


def check_expectations(ctx: Context) -> None:
    """Check every expectation and every captured point."""
    for i, expect in enumerate(sequence(ctx.tree.get("expect"))):
        if not isinstance(expect, Map):
            continue
        path: Path = ("expect", i)
        start = _after(ctx, expect, path)
        _times(ctx, expect, path, start)
        kind = next((each for each in KINDS if each in expect.entries), None)
        wanted = _CONDITIONS.get(kind or "", ())
        given = [key for key in wanted if key in expect.entries]
        if kind and wanted and not given:
            ctx.say(expect.entries[kind].key.mark, path, "nothing to compare", f"add one of: {', '.join(wanted)}")
        if kind == "neigh" and len(given) > 1:
            ctx.say(expect.entries["at"].key.mark, (*path, "at"), "either within or at, not both")
        _references(ctx, expect, path, kind)
    for i, point in enumerate(sequence(ctx.tree.get("observe", "pcap"))):
        if text_of(point) != "all" and isinstance(point, Scalar):
            _point(ctx, point, ("observe", "pcap", i))
    _bins(ctx)


def _bins(ctx: Context) -> None:
    """Check that a run has no more bins than it can remember: each counted thing has a number for each."""
    given = ctx.tree.get("observe", "bin")
    bin_, duration = read(given, parse_instant), ctx.duration
    if given is not None and bin_ and duration is not None and duration // bin_ > _MOST_BINS:
        what = f"the run would have {duration // bin_:,} bins, and no more than {_MOST_BINS:,} are counted"
        least = format_duration(-(-duration // _MOST_BINS))
        ctx.say(given.mark, ("observe", "bin"), what, f"{least} or more")


def _after(ctx: Context, expect: Map, path: Path) -> Ns | None:
    """Check the event that times are counted from; return its instant if it can be told."""
    after = expect.get("after")
    wanted = text_of(after)
    if after is None or wanted is None:
        return 0
    ids = {text_of(mapping(event).get("id")): event for event in sequence(ctx.tree.get("events"))}
    if wanted not in ids:
        if ctx.misspelt("events"):
            return None
        hint = did_you_mean(wanted, [each for each in ids if each]) or "events need an id: to be named here"
        ctx.say(after.mark, (*path, "after"), f'no event with the id "{wanted}"', hint)
        return None
    return read(mapping(ids[wanted]).get("at"), parse_instant)


def _times(ctx: Context, expect: Map, path: Path, start: Ns | None) -> None:
    """Check that windows and instants lie inside the run."""
    duration = ctx.duration
    if duration is None or start is None:
        return
    window, at = read(expect.get("during"), parse_window), read(expect.get("at"), parse_instant)
    if window is not None and start + window.end > duration:
        what = f"the window ends at {format_duration(start + window.end)}, after the run ({format_duration(duration)})"
        ctx.say(expect.entries["during"].value.mark, (*path, "during"), what)
    if at is not None and start + at > duration:
        what = f"{format_duration(start + at)} is after the end of the run ({format_duration(duration)})"
        ctx.say(expect.entries["at"].value.mark, (*path, "at"), what)


def _references(ctx: Context, expect: Map, path: Path, kind: str | None) -> None:
    match kind:
        case "share":
            for name, entry in mapping(expect.get("share")).entries.items():
                if ctx.need_node(entry.key, (*path, "share", name), "gateway"):
                    _gateway(ctx, entry.key, (*path, "share", name))
        case "neigh":
            _neigh(ctx, expect, path)
        case "failover":
            ctx.need_flow(expect.get("failover", "flow"), (*path, "failover", "flow"))
            for key in ("from", "to"):
                value = expect.get("failover", key)
                if ctx.need_node(value, (*path, "failover", key), "gateway") and isinstance(value, Scalar):
                    _gateway(ctx, value, (*path, "failover", key))
        case "flow":
            flow = ctx.need_flow(expect.get("flow"), (*path, "flow"))
            kind_of_flow = text_of(ctx.tree.get("traffic", flow or "", "kind")) or "udp"
            if flow and "survives" in expect.entries and kind_of_flow in {"udp", "ping"}:
                what = f"survives is about connections, {flow} is {kind_of_flow}"
                ctx.say(expect.entries["survives"].key.mark, (*path, "survives"), what)
        case "capture":
            point = expect.get("capture")
            if isinstance(point, Scalar):
                _point(ctx, point, (*path, "capture"))
            _filter(ctx, expect, path)
        case "run":
            ctx.need_node(expect.get("node"), (*path, "node"))
            _pattern(ctx, expect, path)
        case "drops":
            for reason, entry in mapping(expect.get("drops")).entries.items():
                if reason not in DESCRIPTIONS:
                    hint = did_you_mean(reason, DESCRIPTIONS)
                    ctx.say(entry.key.mark, (*path, "drops", reason), f'no drop reason "{reason}"', hint)
        case _:
            pass  # repeatable names nothing; a missing kind is the type check's


def _gateway(ctx: Context, value: Scalar, path: Path) -> None:
    name = value.text
    said = text_of(ctx.nodes.get(name, "gateway"))
    if said == "false" or (said is None and not name.startswith(("isp", "gw"))):
        ctx.say(value.mark, path, f"{name} is not a gateway", "say `gateway: true` on the node")


def _neigh(ctx: Context, expect: Map, path: Path) -> None:
    value = expect.get("neigh")
    parts = read(value, split_neigh)
    if parts is None or not isinstance(value, Scalar) or not ctx.topology_known:
        return
    node, _, dev = parts
    where = (*path, "neigh")
    if node not in ctx.nodes.entries:
        ctx.say(value.mark, where, f'no node "{node}"', did_you_mean(node, ctx.nodes.entries))
    else:
        ctx.need_device(node, dev, value.at(value.text.rindex(dev)), where)


def _point(ctx: Context, value: Scalar, path: Path) -> None:
    if ":" in value.text:
        ctx.need_end(value, path)
    elif ctx.topology_known and value.text not in ctx.links.entries:
        if value.text in ctx.nodes.entries:
            devices = [dev for dev in ctx.devices(value.text) or () if dev != "lo"]
            hint = f"say which interface: {', '.join(f'{value.text}:{dev}' for dev in devices)}" if devices else ""
            ctx.say(value.mark, path, f"{value.text} is a node, not an interface or link", hint)
        else:
            ctx.say(value.mark, path, f'no link "{value.text}"', did_you_mean(value.text, ctx.links.entries))


def _filter(ctx: Context, expect: Map, path: Path) -> None:
    value = expect.get("filter")
    if isinstance(value, Scalar) and isinstance(value.value, str):
        try:
            compile_filter(value.text)
        except FilterError as error:
            ctx.say(value.at(error.column), (*path, "filter"), error.what, error.hint)


def _pattern(ctx: Context, expect: Map, path: Path) -> None:
    value = expect.get("matches")
    if isinstance(value, Scalar) and isinstance(value.value, str):
        try:
            re.compile(value.text)
        except re.error as error:
            ctx.say(value.at(error.pos or 0), (*path, "matches"), f"not a regular expression: {error.msg}")
