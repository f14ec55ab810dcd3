"""Every command, in the README's own lines: each prints what stands below it there.

`...` stands for what differs from machine to machine or would be too long. Run in a folder that holds what a clone has.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netsim.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = re.search(r"<!-- tour -->\n```console\n(.*?)```", README, re.DOTALL).group(1)


def steps():
    """Return (command line, what it prints) of the tour."""
    out = []
    for line in TOUR.splitlines():
        if line.startswith("$ "):
            out.append((line[2:], []))
        else:
            out[-1][1].append(line)
    return out


def test_the_tour_has_all_commands():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    shown = {word for line, _ in steps() for word in re.findall(r"netsim (\S+)", line)}
    assert commands - shown == set()
    assert len(steps()) >= 25


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_line_of_the_tour_prints_what_the_readme_says(tmp_path):
    for folder in ("scenarios", "topologies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/netsim"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m netsim "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    environment.pop("GITHUB_ACTIONS", None)
    wrong = []
    for line, shown in steps():
        if line.startswith("sudo"):
            continue  # needs the real kernel: tests/kernel has it
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if not fits(shown, done.stdout.splitlines()):
            wrong.append(f"$ {line}\nREADME:\n" + "\n".join(shown) + f"\nprinted:\n{done.stdout}")
    assert not wrong, "\n\n".join(wrong)


def fits(shown, printed):
    """Tell whether `printed` is what is shown: `...` alone is any number of lines, inside a line any text."""
    pattern = "\n".join(shown)
    parts = [re.escape(part) for part in re.split(r"\.\.\.", pattern)]
    return re.fullmatch(r"(?:.|\n)*?".join(parts), "\n".join(line.rstrip() for line in printed)) is not None


@pytest.mark.parametrize(
    ("shown", "printed", "fit"),
    [
        (["a"], ["a"], True), (["a"], ["b"], False), (["a ... c"], ["a bb c"], True),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "c"], True), ([], ["a"], False), (["a.c"], ["abc"], False),
    ],
)  # fmt: skip
def test_what_fits(shown, printed, fit):
    assert fits(shown, printed) is fit
