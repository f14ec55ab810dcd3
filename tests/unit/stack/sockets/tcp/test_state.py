"""The table of states is the list of tests."""

from __future__ import annotations

import pytest

from netsim.errors import InternalError
from netsim.stack.sockets.tcp import state
from netsim.stack.sockets.tcp.state import EVENT_NAMES, STATE_NAMES, SYNCHRONIZED, TRANSITIONS, move

FIGURE_5 = [
    ("CLOSE", "active open", "SYN_SENT"),
    ("CLOSE", "passive open", "LISTEN"),
    ("CLOSE", "last ACK of a handshake", "SYN_RECV"),
    ("LISTEN", "close", "CLOSE"),
    ("SYN_SENT", "SYN and ACK", "ESTABLISHED"),
    ("SYN_SENT", "SYN without ACK", "SYN_RECV"),
    ("SYN_SENT", "close", "CLOSE"),
    ("SYN_SENT", "abort", "CLOSE"),
    ("SYN_RECV", "ACK of our SYN", "ESTABLISHED"),
    ("SYN_RECV", "close", "FIN_WAIT1"),
    ("SYN_RECV", "abort", "CLOSE"),
    ("ESTABLISHED", "close", "FIN_WAIT1"),
    ("ESTABLISHED", "FIN", "CLOSE_WAIT"),
    ("ESTABLISHED", "abort", "CLOSE"),
    ("FIN_WAIT1", "ACK of our FIN", "FIN_WAIT2"),
    ("FIN_WAIT1", "FIN", "CLOSING"),
    ("FIN_WAIT1", "abort", "CLOSE"),
    ("FIN_WAIT2", "FIN", "TIME_WAIT"),
    ("FIN_WAIT2", "2 MSL over", "CLOSE"),
    ("FIN_WAIT2", "abort", "CLOSE"),
    ("CLOSE_WAIT", "close", "LAST_ACK"),
    ("CLOSE_WAIT", "abort", "CLOSE"),
    ("CLOSING", "ACK of our FIN", "TIME_WAIT"),
    ("CLOSING", "abort", "CLOSE"),
    ("LAST_ACK", "ACK of our FIN", "CLOSE"),
    ("LAST_ACK", "abort", "CLOSE"),
    ("TIME_WAIT", "2 MSL over", "CLOSE"),
    ("TIME_WAIT", "abort", "CLOSE"),
]
"""RFC 9293 section 3.3.2, figure 5, with Linux's names."""
STATES = {name: number for number, name in STATE_NAMES.items()}
EVENTS = {name: number for number, name in EVENT_NAMES.items()}


@pytest.mark.parametrize(("before", "event", "after"), FIGURE_5)
def test_each_arrow_of_the_figure(before, event, after):
    assert move(STATES[before], EVENTS[event]) == STATES[after]


def test_there_are_no_other_arrows():
    rows = {(STATES[before], EVENTS[event]) for before, event, _ in FIGURE_5}
    assert rows == set(TRANSITIONS)
    for here in STATE_NAMES:
        for event in EVENT_NAMES:
            if (here, event) not in rows:
                with pytest.raises(InternalError, match=STATE_NAMES[here]):
                    move(here, event)


def test_every_synchronized_state_can_be_aborted():
    assert all((here, state.ABORT) in TRANSITIONS for here in SYNCHRONIZED)


@pytest.mark.parametrize(("name", "number"), [("ESTABLISHED", 1), ("SYN_SENT", 2), ("TIME_WAIT", 6), ("LISTEN", 10)])
def test_numbers_are_the_kernels(name, number):
    """include/net/tcp_states.h"""
    assert STATES[name] == number
