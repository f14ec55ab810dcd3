"""Every failure a scenario can name, one function a verb. Source: design/scenario-format.md, "Event verbs"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netsim.sim.clock import STEP
from netsim.sim.impair import LineSpec
from netsim.sim.link import End, Link
from netsim.sim.node import Node
from netsim.sim.world import World
from netsim.stack.requests import DONE, DelLink, NewLink, SetLink
from netsim.units import Ns


def silence(node: Node) -> None:
    """Let no frame leave or enter; carriers stay up, clock, timers and applications run on."""
    node.silent = True


def revive(node: Node) -> None:
    """End a silence."""
    if not node.crashed:
        node.silent = False


def crash(node: Node) -> None:
    """Silence a node and lose its tables."""
    node.crash()


def boot(node: Node, configure: Callable[[Node], None]) -> None:
    """Start a crashed node anew: an empty box that `configure` sets up as at the beginning."""
    if node.crashed:
        node.boot()
        configure(node)


def cut(world: World, link: Link) -> None:
    """Take the carrier from all ends of a link; what is under way is lost."""
    link.cut = True
    world.settle_carrier(link)


def join(world: World, link: Link) -> None:
    """End a cut."""
    link.cut = False
    world.settle_carrier(link)


def unplug(world: World, end: End) -> None:
    """Pull one connector: that end loses its carrier; on a hub the others keep theirs."""
    end.plugged = False
    world.settle_carrier(end.link)


def plug(world: World, end: End) -> None:
    """Put a connector back."""
    end.plugged = True
    world.settle_carrier(end.link)


def mute(end: End) -> None:
    """Let nothing through one end, its carrier up."""
    end.muted = True


def unmute(end: End) -> None:
    """End a mute."""
    end.muted = False


def set_up(node: Node, dev: str, *, up: bool) -> None:
    """Do as `ip link set DEV up|down`; like the next two, nothing on a crashed node, which boots as it first was."""
    if not node.crashed:
        node.request(SetLink(dev=dev, up=up))


def remove(node: Node, dev: str) -> None:
    """Unregister a device; its link end is plugged into nothing until `create`, what was under way to it is lost."""
    if not node.crashed and node.request(DelLink(dev=dev)) == DONE and dev in node.nics:
        end = node.nics[dev]
        end.plugged = False
        end.epoch += 1
        node.world.settle_carrier(end.link)


def create(node: Node, new: NewLink) -> None:
    """Register a removed device anew: down, without addresses, with the next index."""
    if node.crashed or node.request(new) != DONE:
        return
    end = node.nics.get(new.name)
    if end is not None:
        end.plugged = True
        node.world.settle_carrier(end.link)


def impair(link: Link, **settings: float) -> None:
    """Change some settings of a link, in both directions; frames under way are not concerned."""
    for line in link.lines():
        line.spec = replace(line.spec, **settings)  # type: ignore[arg-type]  # names and units are LineSpec's own


def repair(link: Link, original: tuple[LineSpec, ...]) -> None:
    """Give a link back the settings it was made with."""
    for line, spec in zip(link.lines(), original, strict=True):
        line.spec = spec


def flap(world: World, link: Link, *, down: Ns, up: Ns, times: int) -> None:
    """Cut and join a link `times` times, `down` without carrier and `up` with it."""
    at = world.env.now
    for _ in range(times):
        world.env.at(at, lambda: cut(world, link), STEP)
        world.env.at(at + down, lambda: join(world, link), STEP)
        at += down + up
