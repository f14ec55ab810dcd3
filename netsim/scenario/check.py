"""What every check works with: the located tree, the names it defines, and a list of problems.

Checks never stop at a problem and never need the model: each reads what it needs from the tree and keeps silent where
that is missing or malformed, because the type check has spoken about it. Source: design/scenario-format.md, "types,
cross references and command lines are checked independently on the located tree".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from netsim.errors import Problem
from netsim.scenario.located import Located, Map, Mark, Scalar, mapping, path_text, plain, sequence, text_of
from netsim.scenario.values import parse_instant
from netsim.scenario.words import did_you_mean, likeliest
from netsim.stack.profile import KERNELS
from netsim.units import NS_PER_S, Ns

T = TypeVar("T")
Path = tuple[str | int, ...]
DEFAULT_KERNEL = "linux-6"
_MAKES_DEVICES = re.compile(r"^\s*ip\s[^#\n]*\bl(?:i|in|ink)?\s+a(?:d|dd)?\b", re.MULTILINE)  # however abbreviated


@dataclass(slots=True)
class Context:
    """A scenario tree (its topology included) with the names that cross references need."""

    tree: Map
    problems: list[Problem] = field(default_factory=list)
    _ends: dict[str, str] | None = None

    def say(self, mark: Mark, path: Path, what: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(mark.problem(path_text(path), what, hint))

    @property
    def topology_known(self) -> bool:
        """Tell whether there is a topology to refer to."""
        return isinstance(self.tree.get("topology", "nodes"), Map)

    @property
    def nodes(self) -> Map:
        """The topology's nodes."""
        return mapping(self.tree.get("topology", "nodes"))

    @property
    def links(self) -> Map:
        """The topology's links."""
        return mapping(self.tree.get("topology", "links"))

    @property
    def duration(self) -> Ns | None:
        """The run's duration, None if malformed or misspelt."""
        given = self.tree.get("duration")
        if given is not None:
            return read(given, parse_instant)
        return None if self.misspelt("duration") else 60 * NS_PER_S

    def misspelt(self, key: str) -> bool:
        """Tell whether a key of the file's top is missing and another was likely meant for it: told there, and once."""
        entries = self.tree.entries
        return key not in entries and any(likeliest(other, [key]) for other in entries)

    def kernel(self, node: str) -> str | None:
        """Return the kernel a node runs, overrides counted; None if malformed."""
        said = self.tree.get("kernel", node) or self.tree.get("topology", "nodes", node, "kernel")
        name = DEFAULT_KERNEL if said is None else text_of(said)
        return name if name in KERNELS else None

    def ends(self) -> dict[str, str]:
        """Return link by NODE:IFACE, the first link that names it; made once, the tree does not change."""
        if self._ends is None:
            self._ends = {}
            for name, link in self.links.items():
                for end in sequence(mapping(link).get("ends")):
                    self._ends.setdefault(text_of(end) or "", name)
        return self._ends

    def devices(self, node: str) -> dict[str, None] | None:
        """Return a node's interfaces, None when they cannot be told (malformed ends, devices made by commands)."""
        out: dict[str, None] = {"lo": None}
        spec = mapping(self.nodes.get(node))
        scripts = (text_of(spec.get("run")), text_of(self.tree.get("run", node)))
        if any(script and _MAKES_DEVICES.search(script) for script in scripts):
            return None
        for key in ("addr", "interfaces"):
            out |= dict.fromkeys(mapping(spec.get(key)).entries)
        for end in self.ends():
            name, colon, dev = end.partition(":")
            if not colon:
                return None
            if name == node:
                out[dev] = None
        return out

    def need_node(self, value: Located | None, path: Path, what: str = "node") -> str | None:
        """Check that `value` names a node; return the name if it does."""
        name = text_of(value)
        if name is None or value is None or not self.topology_known:
            return None
        if name not in self.nodes.entries:
            self.say(value.mark, path, f'no {what} "{name}"', did_you_mean(name, self.nodes.entries))
            return None
        return name

    def need_link(self, value: Located | None, path: Path) -> str | None:
        """Check that `value` names a link; return the name if it does."""
        name = text_of(value)
        if name is None or value is None or not self.topology_known:
            return None
        if name not in self.links.entries:
            hint = f'"{name}" is a node' if name in self.nodes.entries else did_you_mean(name, self.links.entries)
            self.say(value.mark, path, f'no link "{name}"', hint)
            return None
        return name

    def need_end(self, value: Located | None, path: Path) -> str | None:
        """Check that `value` names an interface as NODE:IFACE; return the text if it does."""
        text = text_of(value)
        if text is None or not isinstance(value, Scalar) or ":" not in text or not self.topology_known:
            return None
        node, _, dev = text.partition(":")
        if node not in self.nodes.entries:
            self.say(value.mark, path, f'no node "{node}"', did_you_mean(node, self.nodes.entries))
            return None
        return text if self.need_device(node, dev, value.at(len(node) + 1), path) else None

    def need_device(self, node: str, dev: str, mark: Mark, path: Path) -> bool:
        """Check that a node has an interface, as far as that can be told."""
        known = self.devices(node)
        if known is None or dev in known:
            return True
        self.say(mark, path, f'{node} has no interface "{dev}"', did_you_mean(dev, known))
        return False

    def need_flow(self, value: Located | None, path: Path) -> str | None:
        """Check that `value` names a flow; return the name if it does."""
        name = text_of(value)
        if name is None or value is None:
            return None
        flows = mapping(self.tree.get("traffic")).entries
        if name not in flows:
            if self.misspelt("traffic"):
                return None
            self.say(value.mark, path, f'no flow "{name}"', did_you_mean(name, flows) if flows else "traffic: is empty")
            return None
        return name


def read(value: Located | None, parse: Callable[[str], T]) -> T | None:
    """Read a scalar with one of the parsers of units or values, None where it is absent or malformed."""
    text = text_of(value)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        return None


def plain_of(value: Located | None) -> Any:  # Any: whatever the file holds
    """Return a part of the tree without places, None for absence."""
    return None if value is None else plain(value)


def in_order(problems: Iterable[Problem], files: Iterable[str]) -> tuple[Problem, ...]:
    """Return the problems once each, file by file as read and by line and column inside."""
    rank = {name: i for i, name in enumerate(files)}
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (rank.get(p.file, len(rank)), p.line, p.column, p.path, p.what)))
