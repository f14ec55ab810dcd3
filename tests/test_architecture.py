"""The plan of the house, held against the code: floors, banned imports, no state at module level, rooms of a size.

Source: the design's "Floors (imports point down only; siblings on a floor do not import each other)".
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "netsim"
FILES = sorted(ROOT.rglob("*.py"))

FLOORS = [
    {"cli", "pytest_plugin"},
    {"sweep"},
    {"oracle", "live"},
    {"scenario"},
    {"kernel"},
    {"lab"},
    {"topology"},
    {"sim", "observe"},
    {"shell"},
    {"stack"},
    {"trace"},
    {"wire"},
    {"units", "addr", "errors", "seeds", "files", "compiled"},
]
"""Top floor first. A room may import the floors below its own."""

ONLY_IN = {
    "simpy": ("sim/",),
    "networkx": ("topology/", "observe/plot/topology.py"),
    "matplotlib": ("observe/plot/",),
    "scapy": ("wire/scapy_view.py", "sim/apps/", "observe/", "scenario/notation.py"),
}
PURE = ("stack/", "wire/", "trace/", "units.py", "addr.py", "errors.py")
IMPURE = {"time", "random", "logging", "datetime", "socket", "os", "subprocess", "threading", "asyncio", "simpy"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> list[tuple[str, int, bool]]:
    """Return (module, line, whether for type checkers only) of every import in a file."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno, id(node) in typing_only))
    return found


def floor_of(room: str) -> int | None:
    return next((level for level, rooms in enumerate(FLOORS) if room in rooms), None)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down_only(path):
    room = name_of(path).split("/")[0].removesuffix(".py")
    if room in {"__init__", "__main__"}:
        return
    here = floor_of(room)
    assert here is not None, f"{room} has no floor in the plan"
    for module, line, _ in imports_of(path):
        if not module.startswith("netsim."):
            continue
        other = module.split(".")[1]
        there = floor_of(other)
        assert there is not None, f"line {line} imports {module}, which has no floor in the plan"
        base = here == len(FLOORS) - 1
        assert other == room or there > here or (base and there == here), f"line {line} imports {module}: it climbs"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_libraries_stay_in_their_rooms(path):
    for module, line, _ in imports_of(path):
        rooms = ONLY_IN.get(module.split(".")[0])
        if rooms:
            assert name_of(path).startswith(rooms), f"line {line} imports {module} outside {', '.join(rooms)}"


@pytest.mark.parametrize("path", [p for p in FILES if name_of(p).startswith(PURE)], ids=name_of)
def test_nothing_below_sim_reads_a_clock_or_draws_by_itself(path):
    for module, line, typing_only in imports_of(path):
        if not typing_only:
            assert module.split(".")[0] not in IMPURE, f"line {line} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_module_holds_state(path):
    """A dict, list or set at module level can change; tuples, frozensets and MappingProxyType cannot."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(
            node.value, (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
        ):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assert getattr(target, "id", "") == "__all__", f"line {node.lineno} holds something that can change"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rooms_keep_a_size_one_can_read(path):
    assert len(path.read_text().splitlines()) <= 420
