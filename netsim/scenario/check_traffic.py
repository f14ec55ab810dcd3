"""Checks of traffic and events: who sends to whom, and what the verbs act on."""

from __future__ import annotations

from typing import assert_never

from netsim.addr import parse_ip
from netsim.scenario.actions import VERBS, Event
from netsim.scenario.check import Context, Path, read
from netsim.scenario.fields import split_target
from netsim.scenario.located import Located, Map, Scalar, mapping, sequence, text_of
from netsim.scenario.model import ONLY_FOR
from netsim.scenario.notation import NotationError, build, parse_packet
from netsim.scenario.values import parse_instant
from netsim.scenario.words import did_you_mean, keys_of
from netsim.sim.apps.ports import DEFAULT_PORTS

_OVER_TCP = ("tcp", "http", "ftp")


def check_traffic(ctx: Context) -> None:
    """Check every flow's ends and that its options fit its kind and each other."""
    served: dict[tuple[str, int], tuple[str, str]] = {}
    for name, flow in mapping(ctx.tree.get("traffic")).items():
        if not isinstance(flow, Map):
            continue
        path: Path = ("traffic", name)
        senders = []
        for i, item in enumerate(sequence(flow.get("from"))):
            where = (*path, "from", i) if not isinstance(flow.get("from"), Scalar) else (*path, "from")
            senders.append(ctx.need_node(item, where))
        for i, item in enumerate(sequence(flow.get("to"))):
            where = (*path, "to", i) if not isinstance(flow.get("to"), Scalar) else (*path, "to")
            _target(ctx, flow, item, where)
            _one_kind_a_port(ctx, served, name, item, where)
        if flow.get("server") is not None:
            ctx.need_node(flow.get("server"), (*path, "server"))
        _options(ctx, flow, path, [sender for sender in senders if sender])


def _target(ctx: Context, flow: Map, value: Located, path: Path) -> None:
    parts = read(value, split_target)
    if parts is None:
        return
    host, port = parts
    if port is not None and text_of(flow.get("kind")) == "ping":
        ctx.say(value.mark, path, "ping has no ports", f'did you mean "{host}"?')
    if all(part.isdigit() for part in host.split(".")) and host not in ctx.nodes.entries:
        if read(Scalar(host, host, value.mark), parse_ip) is None:
            ctx.say(value.mark, path, f'"{host}" is not an IPv4 address', "write it as 10.0.0.1")
        return
    if not ctx.topology_known:
        return
    if host not in ctx.nodes.entries:
        ctx.say(value.mark, path, f'no node "{host}"', did_you_mean(host, ctx.nodes.entries))
    elif not mapping(ctx.nodes.get(host, "addr")).entries and ctx.devices(host) is not None:
        script = text_of(ctx.nodes.get(host, "run")) or ""
        if "addr" not in script and "ifconfig" not in script:
            ctx.say(value.mark, path, f"{host} has no address to send to", "give it one under addr:")


def _one_kind_a_port(
    ctx: Context, served: dict[tuple[str, int], tuple[str, str]], name: str, value: Located, path: Path
) -> None:
    """Check that no TCP port at a far end is asked to speak two protocols: it has one server."""
    kind = text_of(ctx.tree.get("traffic", name, "kind")) or "udp"
    parts = read(value, split_target)
    if kind not in _OVER_TCP or parts is None:
        return
    host, port = text_of(ctx.tree.get("traffic", name, "server")) or parts[0], parts[1] or DEFAULT_PORTS[kind]
    first, spoken = served.setdefault((host, port), (name, kind))
    if spoken != kind:
        what = f"port {port} of {host} speaks {spoken} already, for {first}"
        ctx.say(value.mark, path, what, f"give this flow another port: {parts[0]}:PORT")


def _options(ctx: Context, flow: Map, path: Path, senders: list[str]) -> None:
    kind = text_of(flow.get("kind")) or "udp"
    for key, kinds in ONLY_FOR.items():
        if key in flow.entries and kind not in kinds and kind in {"udp", "tcp", "ping", "http", "ftp"}:
            ctx.say(flow.entries[key].key.mark, (*path, key), f"{key} is for {', '.join(kinds)}, this flow is {kind}")
    if "rate" in flow.entries and "every" in flow.entries:
        later = max(
            (flow.entries[key].key.mark for key in ("rate", "every")), key=lambda mark: (mark.line, mark.column)
        )
        ctx.say(later, path, "rate and every say the same thing twice", "keep one of them")
    start, stop = read(flow.get("start"), parse_instant) or 0, read(flow.get("stop"), parse_instant)
    if stop is not None and stop <= start:
        ctx.say(flow.entries["stop"].value.mark, (*path, "stop"), "stops before it starts")
    dev = text_of(flow.get("dev"))
    for sender in senders if dev is not None else ():
        ctx.need_device(sender, str(dev), flow.entries["dev"].value.mark, (*path, "dev"))
    sport, flows = read(flow.get("sport"), int), read(flow.get("flows"), int)
    if sport is not None and flows is not None and sport + flows - 1 > 65535:
        ctx.say(flow.entries["sport"].value.mark, (*path, "sport"), f"{flows} flows from port {sport} on pass 65535")


def check_events(ctx: Context) -> None:
    """Check that each event has one verb, that it acts on something that exists, and that ids are unique."""
    ids: dict[str, int] = {}
    known = keys_of(Event)
    for i, event in enumerate(sequence(ctx.tree.get("events"))):
        if not isinstance(event, Map):
            continue
        path: Path = ("events", i)
        name = text_of(event.get("id"))
        if name is not None and name in ids:
            ctx.say(event.entries["id"].value.mark, (*path, "id"), f'a second event with the id "{name}"',
                    f"the first is on line {ids[name]}")  # fmt: skip
        elif name is not None:
            ids[name] = event.entries["id"].value.mark.line
        verbs = [key for key in event.entries if key in VERBS]
        if not verbs and all(key in known for key in event.entries):
            ctx.say(event.mark, path, "an event needs a verb", f"one of: {', '.join(VERBS)}")
        for extra in verbs[1:]:
            what = f"an event has one verb, this one has {verbs[0]} already"
            ctx.say(event.entries[extra].key.mark, (*path, extra), what, "write a second event")
        for verb in verbs:
            _verb(ctx, event, verb, path)


def _verb(ctx: Context, event: Map, verb: str, path: Path) -> None:
    entry = event.entries[verb]
    where = (*path, verb)
    kind = VERBS[verb]
    if isinstance(entry.value, Scalar) and entry.value.value is None:
        ctx.say(entry.key.mark, where, f"nothing to {verb}")
        return
    match kind:
        case "node":
            ctx.need_node(entry.value, where)
        case "link":
            ctx.need_link(entry.value, where)
        case "flow":
            ctx.need_flow(entry.value, where)
        case "end":
            end = ctx.need_end(entry.value, where)
            if end and verb in {"plug", "unplug", "mute", "unmute"} and end not in ctx.ends():
                ctx.say(entry.value.mark, where, f"{end} is on no link")
        case "impair" | "flap":
            ctx.need_link(mapping(entry.value).get("link"), (*where, "link"))
        case "run":
            for node, each in mapping(entry.value).entries.items():
                ctx.need_node(each.key, (*where, node))
        case "inject":
            ctx.need_end(mapping(entry.value).get("to"), (*where, "to"))
            _packet(ctx, mapping(entry.value).get("packet"), (*where, "packet"))
        case _:
            assert_never(kind)


def _packet(ctx: Context, value: Located | None, path: Path) -> None:
    if isinstance(value, Scalar) and isinstance(value.value, str):
        try:
            build(parse_packet(value.text))
        except NotationError as error:
            ctx.say(value.at(error.column), path, error.what, error.hint)
