"""Scenario and topology files into models, or every mistake in them at once.

Source: design/scenario-format.md; the way of a scenario in design/architecture.md section 5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from netsim.errors import ConfigError, Problem
from netsim.scenario.check import Context, in_order
from netsim.scenario.check_expect import check_expectations
from netsim.scenario.check_lines import check_lines
from netsim.scenario.check_live import check_live
from netsim.scenario.check_topology import check_topology
from netsim.scenario.check_traffic import check_events, check_traffic
from netsim.scenario.located import Entry, Located, Map, Mark, Scalar, Source, locate, plain
from netsim.scenario.model import Scenario
from netsim.scenario.reader import read_file, read_text
from netsim.scenario.words import did_you_mean, type_problems
from netsim.topology.model import Topology

FileKind: TypeAlias = Literal["scenario", "any"]
GRAPH_SUFFIXES = (".graphml", ".gml", ".json")


def load(path: str | Path, *, settings: Mapping[str, str] | None = None, kind: FileKind = "scenario") -> Scenario:
    """Read, check and freeze a scenario file. Raises ConfigError with every problem.

    `settings` replaces values by dotted path before anything is checked: {"traffic.web.rate": "1Mbit", "seed": "9"}.
    With `kind` "any" a topology file is taken as well, as a scenario in which nothing happens.
    """
    shown, file = str(path), Path(path)
    tree = read_topology_tree(file, shown) if kind == "any" else read_file(file, shown)
    if isinstance(tree, Map) and "nodes" in tree.entries and "topology" not in tree.entries:
        if kind != "any":
            hint = f"a scenario names it: topology: {file.name}"
            raise ConfigError(tree.entries["nodes"].key.mark.problem("", "a topology file, not a scenario", hint))
        return _finish(_wrapped(tree), shown, _named(file), settings or {}, prefix="topology.")
    return _finish(tree, shown, _named(file), settings or {})


def load_all(paths: Sequence[str | Path], *, settings: Mapping[str, str] | None = None) -> tuple[Scenario, ...]:
    """Read several scenario files. Raises one ConfigError with the problems of all of them."""
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            scenarios.append(load(path, settings=settings))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return tuple(scenarios)


def from_dict(data: Mapping[str, Any], *, name: str = "", base: Path | None = None) -> Scenario:  # Any: plain values
    """Check and freeze a scenario that is a dict; `base` is the folder that a topology's path counts from."""
    shown = name or "<dict>"
    return _finish(locate(data, Source(shown)), str(base / shown) if base else shown, name, {})


def load_topology(path: str | Path) -> Topology:
    """Read, check and freeze a topology file, YAML or a graph. Raises ConfigError with every problem."""
    shown = str(path)
    tree = read_topology_tree(Path(path), shown)
    if not isinstance(tree, Map):
        raise ConfigError(tree.mark.problem("", "a topology is a mapping with nodes: and links:"))
    return _finish(_wrapped(tree), shown, _named(Path(path)), {}, prefix="topology.").topology


def _named(file: Path) -> str:
    """Return the name of a file's scenario that has none: the file's, as far as it is text."""
    return "".join(char if char.isprintable() else "\ufffd" for char in file.stem)


def _wrapped(tree: Map) -> Map:
    """Make a scenario tree of a topology tree."""
    mark = Mark(tree.mark.source, 1, 1)
    return Map(mark, {"topology": Entry(Scalar("topology", "topology", mark), tree)})


def read_topology_tree(path: Path, shown: str) -> Located:
    """Read a topology file into a tree: YAML, or GraphML, GML or node-link JSON by its suffix."""
    if path.suffix.lower() not in GRAPH_SUFFIXES:
        return read_file(path, shown)
    from netsim.topology.importers import GraphError, read_graph

    try:
        return locate(read_graph(path), Source(shown))
    except GraphError as error:
        raise ConfigError(Problem(shown, 0, 0, "", str(error))) from error


def _finish(tree: Located, shown: str, name: str, settings: Mapping[str, str], *, prefix: str = "") -> Scenario:
    if not isinstance(tree, Map):
        raise ConfigError(tree.mark.problem("", "a scenario is a mapping", "topology:, traffic:, events:, expect:"))
    problems: list[Problem] = []
    tree, files = _include(tree, shown, problems)
    tree = _set(tree, settings, problems)
    scenario = _types(tree, problems)
    ctx = Context(tree, problems)
    for check in (check_topology, check_traffic, check_events, check_expectations, check_lines, check_live):
        check(ctx)
    if problems:
        raise ConfigError(*(_without(prefix, problem) for problem in in_order(problems, files)))
    assert scenario is not None, "no problem and no scenario"
    scenario = scenario if scenario.name else scenario.model_copy(update={"name": name})
    return scenario.with_origin(tree)


def _without(prefix: str, problem: Problem) -> Problem:
    """Shorten the path of a problem in a topology file that was read on its own."""
    if not prefix or not problem.path.startswith(prefix):
        return problem
    p = problem
    return Problem(p.file, p.line, p.column, p.path.removeprefix(prefix), p.what, p.hint, p.source)


def _include(tree: Map, shown: str, problems: list[Problem]) -> tuple[Map, tuple[str, ...]]:
    """Put the topology file in the place of its name; its values keep the places of their own file."""
    value = tree.get("topology")
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        return tree, (shown,)
    path = Path(os.path.normpath(Path(shown).parent / value.text))
    if not os.path.isfile(path):  # a name too long for any file is none either
        folder = path.parent
        near = sorted(each.name for each in folder.glob("*") if each.is_file()) if os.path.isdir(folder) else []
        what = f"no file {path.as_posix()}"
        problems.append(value.mark.problem("topology", what, did_you_mean(path.name, near)))
        return _replace(tree, "topology", Map(value.mark)), (shown,)
    try:
        part = read_topology_tree(path, str(path))
    except ConfigError as error:
        problems += error.problems
        part = Map(value.mark)
    return _replace(tree, "topology", part), (shown, str(path))


def _replace(tree: Map, key: str, value: Located) -> Map:
    key_scalar = tree.entries[key].key if key in tree.entries else Scalar(key, key, value.mark)
    return Map(tree.mark, {**tree.entries, key: Entry(key_scalar, value)})


def _set(tree: Map, settings: Mapping[str, str], problems: list[Problem]) -> Map:
    """Work `--set KEY=VALUE` into the tree; VALUE is YAML."""
    for dotted, text in settings.items():
        shown = f"--set {dotted}"
        try:
            value = read_text(text, shown)
        except ConfigError as error:
            problems += error.problems
            continue
        tree = _put(tree, _split(tree, dotted), value, shown, problems)
    return tree


def _split(tree: Located, dotted: str) -> list[str]:
    """Cut a dotted path where the tree has keys: a key with dots in it (a sysctl, a node) stays whole."""
    words, node = dotted.split("."), tree
    out: list[str] = []
    while words:
        size = next(
            (n for n in range(len(words), 0, -1) if isinstance(node, Map) and ".".join(words[:n]) in node.entries), 0
        )
        if not size and out and out[-1] == "sysctl":
            size = len(words)
        key = ".".join(words[: size or 1])
        out.append(key)
        node = node.entries[key].value if isinstance(node, Map) and key in node.entries else Scalar(None, "", node.mark)
        words = words[size or 1 :]
    return out


def _put(tree: Map, keys: Sequence[str], value: Located, shown: str, problems: list[Problem]) -> Map:
    key, rest = keys[0], keys[1:]
    old = tree.get(key)
    if rest:
        below = old if isinstance(old, Map) else Map(value.mark)
        if old is not None and not isinstance(old, Map):
            problems.append(value.mark.problem(shown, f'"{key}" holds no keys', "lists cannot be set in part"))
            return tree
        value = _put(below, rest, value, shown, problems)
    return _replace(tree, key, value)


def _types(tree: Map, problems: list[Problem]) -> Scenario | None:
    """Validate types; None if there are problems. A topology that could not be read silences its own absence."""
    try:
        return Scenario.model_validate(plain(tree))
    except ValidationError as error:
        found = type_problems(error, tree, ())
        if problems:  # the topology's place holder has no nodes
            found = [each for each in found if each.path != "topology.nodes" or each.what != 'missing key "nodes"']
        problems += found
        return None
