"""Which messages and refusals no case of the catalogue reaches: not one more than the list, with its reasons, has.

The catalogue is what holds exact texts: the bad files and command lines of this folder, and the recorded sessions of
real tools. `pytest -m slow tests/errors/test_sites.py --update-golden` writes the list anew and keeps the reasons of
those that stay; a new site comes with "?" for a reason, and does not pass until somebody writes one, or a case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sites import ROOT, sites  # beside this file: no package

pytestmark = pytest.mark.slow
LIST = Path(__file__).parent / "unreached.txt"
CATALOGUE = ("tests/errors", "tests/golden/iptables", "tests/golden/shell")
HEAD = """\
# Messages and refusals that no case of the catalogue reaches (test_sites.py): the site, and behind " -- " why not.
# A line "netsim/room/*: N" allows a room N unreached sites, whichever they are.
"""


def unreached(folder: Path) -> list[str]:
    """Run the catalogue, and return the names of the sites of which no line ran."""
    told = folder / "reached.json"
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "watch_sites", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-m", "not slow and not kernel", *CATALOGUE,
    ]  # fmt: skip
    paths = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, "WATCH_SITES": str(told)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    reached = {file: set(lines) for file, lines in json.loads(told.read_text()).items()}
    return [
        site.name
        for site in sites()
        if site.file not in reached or reached[site.file].isdisjoint(range(site.first, site.last + 1))
    ]


def kept() -> tuple[dict[str, str], dict[str, tuple[int, str]]]:
    """Return the list: reasons by site, and (allowed number, reason) by room."""
    single: dict[str, str] = {}
    rooms: dict[str, tuple[int, str]] = {}
    for line in LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else ():
        if line.startswith("#") or not line:
            continue
        name, _, reason = line.rpartition(" -- ")
        room, _, number = name.partition("/*: ")
        if number.isdigit():
            rooms[f"{room}/"] = (int(number), reason)
        else:
            single[name] = reason
    return single, rooms


def test_no_message_more_than_the_list_goes_unheard(tmp_path, request):
    single, rooms = kept()
    silent = unreached(tmp_path)
    by_room = {room: [name for name in silent if name.startswith(room)] for room in rooms}
    alone = [name for name in silent if not name.startswith(tuple(rooms) or ("\0",))]
    if request.config.getoption("--update-golden"):
        lines = [f"{room}*: {len(names)} -- {rooms[room][1]}" for room, names in by_room.items()]
        lines += [f"{name} -- {single.get(name, '?')}" for name in alone]
        LIST.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
        return
    assert [name for name in alone if name not in single] == [], "no case reaches these, and the list does not say why"
    assert [name for name in single if name not in alone] == [], "these are reached or gone: take them off the list"
    assert [name for name, reason in single.items() if not reason.strip("? ")] == [], "these want a reason"
    assert {room: len(names) for room, names in by_room.items() if len(names) > rooms[room][0]} == {}, "these grew"
