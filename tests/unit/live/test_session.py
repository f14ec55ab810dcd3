"""What a live run decides before anything real is made, and what Ctrl-C does meanwhile."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest

from netsim.live.session import interrupt


@dataclass
class Command:
    """A program of which only the status matters."""

    status: int | None = None


def test_ctrl_c_is_the_commands_as_long_as_it_runs():
    running = [Command()]
    handle = interrupt(running)
    handle(signal.SIGINT, None)
    running[0].status = 0
    with pytest.raises(KeyboardInterrupt):
        handle(signal.SIGINT, None)


def test_ctrl_c_ends_a_run_whose_command_has_not_begun():
    with pytest.raises(KeyboardInterrupt):
        interrupt([])(signal.SIGINT, None)
