"""Every command line of commands/*.txt on a box of its kernel: what it prints, its exit status, what a check says.

A file holds lines "$ COMMAND" ("\\n" in one is a line's end); under each stands what the command prints, its status in
brackets where that is not 0, and "check: COLUMN: WORDS (HINT)" for each mistake that is found before anything runs.
"# kernel NAME" begins a fresh box with lo, eth0 10.0.0.1/24 and eth1 10.0.1.1/24 up. `pytest tests/errors
--update-golden` writes the answers; read the diff.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from netsim.shell.dispatch import check_line, run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink

FOLDER = Path(__file__).parent / "commands"
READY = ("ip link set lo up", *(
    f"ip {words} dev eth{number}" for number in (0, 1) for words in (f"addr add 10.0.{number}.1/24", "link set up")
))  # fmt: skip


def box(kernel):
    net = Netns("r", profile(kernel), random.Random(1))
    for name in ("eth0", "eth1"):
        net.request(NewLink(name=name, kind="ether"), now=0)
    for line in READY:
        assert run(net, line, now=0).rc == 0
    return net


def answer(net, kernel, line):
    """Return what stands under a command."""
    result = run(net, line, now=0)
    out = (result.stdout + result.stderr).splitlines()
    if result.rc:
        out.append(f"[{result.rc}]")
    for problem in check_line(line, kernel):
        hint = f" ({problem.hint})" if problem.hint else ""
        out.append(f"check: {problem.column}: {problem.what}{hint}")
    return out


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_a_refused_command_says_what_the_tool_says(name, golden):
    out, kernel = [], "linux-6"
    net = box(kernel)
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# kernel "):
            kernel = line.removeprefix("# kernel ")
            net = box(kernel)
        if line.startswith("#"):
            out.append(line)
        elif line.startswith("$ "):
            out += [line, *answer(net, kernel, line[2:].replace("\\n", "\n"))]
    golden("\n".join(out) + "\n", FOLDER / name)
