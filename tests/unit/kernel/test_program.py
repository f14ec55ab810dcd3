"""Programs on the reactor: what they say, when they have ended, and that none is left."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from netsim.kernel.program import Program
from netsim.kernel.reactor import Reactor
from netsim.units import ms

NEVER = "sleep 31.415"
"""What must not be left."""


@pytest.fixture
def begin():
    """Start a shell line as a program; it is ended with the test."""
    reactor = Reactor()
    programs = []

    def start(line, **options):
        process = subprocess.Popen(
            ["sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        programs.append(Program(process, reactor, **options))
        return programs[-1], lambda: reactor.poll(ms(20))

    yield start
    for program in programs:
        program.close()
    reactor.close()


def to_its_end(program, turn):
    began = time.monotonic()
    while program.status is None:
        turn()
        assert time.monotonic() < began + 5
    return program.status


@pytest.mark.parametrize(("line", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_an_end_is_told_once_as_a_shell_tells_it(begin, line, status):
    ended = []
    program, turn = begin(line, ended=lambda: ended.append(1))
    assert to_its_end(program, turn) == status
    turn()
    assert ended == [1]


def test_all_that_was_said_is_there_at_the_end(begin):
    program, turn = begin("head -c 300000 /dev/zero | tr '\\0' x; echo oh >&2")
    to_its_end(program, turn)
    assert program.stdout == "x" * 300000
    assert program.stderr == "oh\n"


def test_a_child_in_the_background_does_not_hold_the_end_up(begin):
    program, turn = begin(f"{NEVER} & echo $!")
    assert to_its_end(program, turn) == 0
    child = int(program.stdout)
    program.close()
    assert not program.close()
    subprocess.run(["kill", str(child)], check=True)


def test_a_child_in_the_background_that_never_stops_talking_does_not_hold_the_end_up_either(begin):
    program, turn = begin("yes & echo $! >&2")
    assert to_its_end(program, turn) == 0
    subprocess.run(["kill", program.stderr.strip()], check=True)


def test_of_what_is_not_wanted_whole_the_last_octets_are_kept(begin):
    program, turn = begin("seq 1000", keep=5)
    to_its_end(program, turn)
    assert program.stdout == "1000\n"


def test_one_that_is_closed_while_it_runs_is_killed_with_its_group(begin):
    ended = []
    program, turn = begin(f"echo $$; {NEVER}; true", ended=lambda: ended.append(1))
    while not program.stdout:
        turn()
    assert program.close()
    assert program.status == 137
    assert ended == []
    deadline = time.monotonic() + 5
    while alive_in(int(program.stdout)) and time.monotonic() < deadline:  # its own process is dead, its child dies
        time.sleep(0.01)
    assert alive_in(int(program.stdout)) == []


def alive_in(group):
    """Return the processes of a group that are not dead; who is may wait for somebody to bury it."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = each.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it ended meanwhile
        if int(pgrp) == group and state not in "ZX":
            found.append(each.parent.name)
    return found
