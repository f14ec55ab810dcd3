"""Checks of `live:`, the nodes that are real under `netsim live`.

A node is the running kernel's, in a namespace, or what is behind a TAP device. Source: README, "Live".
"""

from __future__ import annotations

from netsim.scenario.check import DEFAULT_KERNEL, Context, Path
from netsim.scenario.located import Map, mapping, text_of

ETHER = "ether"


def check_live(ctx: Context) -> None:
    """Check that every node of `live:` exists and can be replaced by a real one, each behind a tap of its own."""
    taken: dict[str, str] = {}
    for name, entry in mapping(ctx.tree.get("live")).entries.items():
        path: Path = ("live", name)
        if ctx.need_node(entry.key, path) is None:
            continue
        kernel = ctx.kernel(name)
        if kernel is not None and kernel != DEFAULT_KERNEL:
            ctx.say(entry.key.mark, path, f"{name} is {kernel}", f"a real box here is {DEFAULT_KERNEL}")
        if isinstance(entry.value, Map):
            _device(ctx, name, entry.value, path)
            tap = entry.value.get("tap")
            owner = taken.setdefault(text_of(tap) or "", name)
            if tap is not None and owner != name:
                ctx.say(tap.mark, (*path, "tap"), f"{owner} is behind {text_of(tap)} already", "a tap is for one node")


def _device(ctx: Context, name: str, spec: Map, path: Path) -> None:
    """Check how the node is replaced, and at which interface."""
    tap, dev, serve = spec.get("tap"), spec.get("dev"), spec.get("serve")
    if serve is not None and tap is not None:
        ctx.say(serve.mark, (*path, "serve"), f"{name} is behind a tap", "its programs are yours to run")
    if spec.get("namespace") is not None and tap is not None:
        ctx.say(tap.mark, (*path, "tap"), "a node is in a namespace or behind a tap, not both")
    said = text_of(dev)
    ends = sorted(end.partition(":")[2] for end in ctx.ends() if end.partition(":")[0] == name)
    if dev is not None and said is not None:
        ctx.need_device(name, said, dev.mark, (*path, "dev"))
    elif tap is not None and len(ends) != 1:
        hint = f"dev: {' or '.join(ends)}" if ends else "put one on a link"
        ctx.say(tap.mark, (*path, "tap"), f"{name} has {len(ends)} interfaces on links", hint)
    interfaces = mapping(ctx.tree.get("topology", "nodes", name, "interfaces"))
    for each in interfaces.entries if tap is None else ends if said is None else [said]:
        kind = interfaces.get(each, "kind")
        if kind is not None and text_of(kind) not in (None, ETHER):
            what = f"{name} is real, and {name}:{each} is a {text_of(kind)} interface"
            ctx.say((tap or spec).mark, path, what, f"real boxes have {ETHER} interfaces")
