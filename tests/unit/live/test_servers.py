"""The servers of a node: told when they end by themselves, with their last words, and not when we end them."""

from __future__ import annotations

import subprocess
import time

import pytest

from netsim.kernel.reactor import Reactor
from netsim.live.servers import Servers
from netsim.units import ms


@pytest.fixture
def serve(monkeypatch):
    """Return what starts servers as plain processes outside of any namespace, and what turns the loop."""

    def start(_namespace, argv, _hosts, *, quiet):
        assert quiet
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    monkeypatch.setattr("netsim.live.servers.start", start)
    reactor = Reactor()
    made = []

    def begin(*lines):
        told = []
        made.append(Servers(lines, "", reactor, told.append))
        made[0].start(None)
        return made[0], told

    def turn_until(done):
        deadline = time.monotonic() + 5
        while not done() and time.monotonic() < deadline:
            reactor.poll(ms(20))

    yield begin, turn_until
    made[0].stop()
    reactor.close()


def test_one_that_ends_is_told_with_its_status_and_the_last_thing_it_said(serve):
    begin, turn_until = serve
    _, told = begin("sh -c 'echo first >&2; echo \"  no such page\" >&2; exit 3'", "sleep 31.4")
    turn_until(lambda: told)
    assert told == ["sh -c 'echo first >&2; echo \"  no such page\" >&2; exit 3' ended with status 3: no such page"]


def test_one_that_ends_without_a_word_is_told_without_one(serve):
    begin, turn_until = serve
    _, told = begin("true")
    turn_until(lambda: told)
    assert told == ["true ended with status 0"]


def test_those_that_we_end_are_not_told(serve):
    begin, turn_until = serve
    servers, told = begin("sleep 31.4", "sleep 31.5")
    servers.stop()
    turn_until(lambda: True)
    assert told == []


def test_one_of_two_equal_lines_that_ends_is_told_once(serve):
    begin, turn_until = serve
    _, told = begin("sleep 0.1", "sleep 0.1")
    turn_until(lambda: len(told) == 2)
    assert told == ["sleep 0.1 ended with status 0"] * 2
