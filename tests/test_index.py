"""scenarios/README.md is the index of the files: a line each, in their own words.

`pytest tests/test_index.py --update-golden` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.scenario.load import load

FOLDER = Path(__file__).parent.parent / "scenarios"
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
