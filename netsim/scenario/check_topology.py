"""Checks of the topology part: link ends, interface kinds, kernels with their patches."""

from __future__ import annotations

from netsim.scenario.check import Context, Path
from netsim.scenario.located import Located, Map, Scalar, mapping, sequence, text_of
from netsim.scenario.words import did_you_mean
from netsim.stack.profile import KERNELS

_NODES: Path = ("topology", "nodes")


def check_topology(ctx: Context) -> None:
    """Check links against nodes, and each node's patches against its kernel."""
    seen: dict[str, str] = {}
    for name, link in ctx.links.items():
        if isinstance(link, Map):
            _link(ctx, name, link, seen)
    for name, node in ctx.nodes.items():
        if "lo" in mapping(mapping(node).get("interfaces")).entries:
            entry = mapping(mapping(node).get("interfaces")).entries["lo"]
            ctx.say(entry.key.mark, (*_NODES, name, "interfaces", "lo"), "lo is in every box already")
        _patches(ctx, name, mapping(node).get("patches"), (*_NODES, name, "patches"))
    for key in ("kernel", "patches", "sysctl", "run"):
        for name, value in mapping(ctx.tree.get(key)).items():
            if ctx.topology_known and name not in ctx.nodes.entries:
                mark = mapping(ctx.tree.get(key)).entries[name].key.mark
                ctx.say(mark, (key, name), f'no node "{name}"', did_you_mean(name, ctx.nodes.entries))
            elif key == "patches":
                _patches(ctx, name, value, (key, name))


def _link(ctx: Context, name: str, link: Map, seen: dict[str, str]) -> None:
    path: Path = ("topology", "links", name)
    ends = sequence(link.get("ends"))
    for i, end in enumerate(ends):
        text = text_of(end)
        if text is None or ":" not in text or not isinstance(end, Scalar):
            continue
        where = (*path, "ends", i)
        node, _, dev = text.partition(":")
        if ctx.topology_known and node not in ctx.nodes.entries:
            ctx.say(end.mark, where, f'no node "{node}"', did_you_mean(node, ctx.nodes.entries))
        if dev == "lo":
            ctx.say(end.at(len(node) + 1), where, "lo cannot be an end of a link")
        elif text in seen:
            other = "this link" if seen[text] == name else f"link {seen[text]}"
            ctx.say(end.mark, where, f"{text} is an end of {other} already", "an interface has one plug")
        seen.setdefault(text, name)
        _kind_of_end(ctx, end, where, (node, dev), len(ends))
    kind = text_of(link.get("kind"))
    if link.get("ends") is not None and len(ends) < 2:
        ctx.say(ends[0].mark if ends else link.mark, (*path, "ends"), "a link needs two ends or more")
    elif kind == "cable" and len(ends) > 2:
        ctx.say(link.entries["kind"].value.mark, (*path, "kind"), f"a cable has two ends, this link has {len(ends)}",
                "leave `kind` out for a hub")  # fmt: skip
    for key in ("a_to_b", "b_to_a"):
        if key in link.entries and (len(ends) > 2 or kind in {"hub", "switch"}):
            ctx.say(link.entries[key].key.mark, (*path, key), f"{key} is for cables", "a hub has no two directions")


def _kind_of_end(ctx: Context, end: Scalar, path: Path, port: tuple[str, str], ends: int) -> None:
    node, dev = port
    kind = text_of(ctx.nodes.get(node, "interfaces", dev, "kind"))
    if kind == "dummy":
        ctx.say(end.mark, path, f"{node}:{dev} is a dummy interface", "nothing can be plugged into it")
    elif kind == "ppp" and ends > 2:
        ctx.say(end.mark, path, f"{node}:{dev} is point-to-point and this link has {ends} ends")


def _patches(ctx: Context, node: str, value: Located | None, path: Path) -> None:
    """Check patches one by one against the kernel and the seed's "Requires"."""
    kernel = ctx.kernel(node)
    if value is None or kernel is None:
        return
    takes = KERNELS[kernel].takes
    items = [(i, item, text_of(item)) for i, item in enumerate(sequence(value))]
    chosen = {text for _, _, text in items}
    every = {patch for profile in KERNELS.values() for patch in profile.takes}
    for i, item, patch in items:
        if patch is None or patch not in every:
            continue
        if patch not in takes:
            hint = f"it takes: {', '.join(takes)}" if takes else "it takes no patches"
            ctx.say(item.mark, (*path, i), f"kernel {kernel} has no patch {patch}", hint)
            continue
        missing = [need for need in takes[patch] if need not in chosen]
        if missing:
            ctx.say(item.mark, (*path, i), f"patch {patch} requires {', '.join(missing)}")
