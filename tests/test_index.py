"""scenarios/README.md is the index of the files: a line each, in their own words.

`pytest tests/test_index.py --update-golden` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.scenario.load import load
from netsim.scenario.schema import scenario_schema, topology_schema

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "scenarios"
ROOMS = {
    "": "To begin with",
    "seed": "The seed document, section by section",
    "zoo": "The failure zoo",
    "multiwan": "Today's multi-WAN recipes",
    "networks": "Larger networks, from public maps",
    "live": "With real hosts (`netsim live`)",
    "contract": "Each word of the format once",
}
KERNEL = "Those of `kernel/` are for `netsim verify`: each says in its first lines what it asks of the running kernel."


def index():
    files = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent != FOLDER / "kernel")
    assert {path.parent.relative_to(FOLDER).as_posix().strip(".") for path in files} == set(ROOMS)
    out = ["# Scenarios", "", f"{len(files)} files for `netsim run` and `netsim test`. {KERNEL}", ""]
    for room, title in ROOMS.items():
        out += [f"## {title}", "", "| file | what it shows | lasts |", "|---|---|---|"]
        for path in files:
            if path.parent == FOLDER / room:
                scenario = load(path)
                shown = path.relative_to(FOLDER).as_posix()
                out.append(f"| [{path.stem}]({shown}) | {about(path, scenario)} | {scenario.duration // 10**9} s |")
        out.append("")
    return "\n".join(out)


def about(path, scenario):
    """Return what a file says of itself: `about:`, or the first sentence of its first comment."""
    if scenario.about:
        return scenario.about
    words = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return " ".join(words).partition(". ")[0].rstrip(".:")


@pytest.mark.timeout(120)
def test_the_index_is_of_the_files_that_are_there(golden):
    golden(index(), FOLDER / "README.md")


@pytest.mark.parametrize(
    ("name", "schema"), [("scenario", scenario_schema), ("topology", topology_schema)], ids=["scenario", "topology"]
)
def test_the_schemas_beside_the_files_are_todays(name, schema, golden):
    golden(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", FOLDER / f"{name}.schema.json")


@pytest.mark.parametrize("kind", ["scenario", "topology"])
def test_every_file_tells_an_editor_its_schema(kind):
    """The last line, so that a file begins with what it is about; yaml-language-server looks at every comment."""
    files = sorted((ROOT / {"scenario": "scenarios", "topology": "topologies"}[kind]).rglob("*.yaml"))
    for path in files:
        last = path.read_text(encoding="utf-8").splitlines()[-1]
        where = last.removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / where).resolve() == FOLDER / f"{kind}.schema.json", path
