"""Checks of `live:`, the nodes that are real under `netsim live`.

A node is the running kernel's, in a namespace, or what is behind a TAP device. Source: README, "Live".
"""

from __future__ import annotations

from netsim.scenario.check import DEFAULT_KERNEL, Context, Path
from netsim.scenario.located import Map, mapping, text_of


def check_live(ctx: Context) -> None:
    """Check that every node of `live:` exists and can be replaced by a real one."""
    for name, entry in mapping(ctx.tree.get("live")).entries.items():
        path: Path = ("live", name)
        if ctx.need_node(entry.key, path) is None:
            continue
        kernel = ctx.kernel(name)
        if kernel is not None and kernel != DEFAULT_KERNEL:
            ctx.say(entry.key.mark, path, f"{name} is {kernel}", f"a real box here is {DEFAULT_KERNEL}")
        if isinstance(entry.value, Map):
            _device(ctx, name, entry.value, path)


def _device(ctx: Context, name: str, spec: Map, path: Path) -> None:
    """Check how the node is replaced, and at which interface."""
    tap, dev = spec.get("tap"), spec.get("dev")
    if spec.get("serve") is not None and tap is not None:
        ctx.say(tap.mark, (*path, "serve"), f"{name} is behind a tap", "its programs are yours to run")
    if spec.get("namespace") is not None and tap is not None:
        ctx.say(tap.mark, (*path, "tap"), "a node is in a namespace or behind a tap, not both")
    said = text_of(dev)
    if dev is not None and said is not None:
        ctx.need_device(name, said, dev.mark, (*path, "dev"))
    elif tap is not None:
        ends = sorted(end.partition(":")[2] for end in ctx.ends() if end.partition(":")[0] == name)
        if len(ends) != 1:
            hint = f"dev: {' or '.join(ends)}" if ends else "put one on a link"
            ctx.say(tap.mark, (*path, "tap"), f"{name} has {len(ends)} interfaces on links", hint)
