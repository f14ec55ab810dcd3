"""The states of a connection and the one table that moves them.

Theory. RFC 9293 figure 5 as Linux walks it: the ACK of a segment is worked on before its FIN, so a segment that
acknowledges our FIN and carries the peer's goes FIN_WAIT1 -> FIN_WAIT2 -> TIME_WAIT in two steps. A half-open
connection of a listener is no socket yet (listen.py): it becomes one in SYN_RECV with the last ACK of its handshake.
Everything that moves `TcpSocket.state` is in this file.
Source: RFC 9293 section 3.3.2; include/net/tcp_states.h; tcp_rcv_state_process(), tcp_fin(), new_state[] (6.x).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netsim.errors import InternalError

TCP_ESTABLISHED = 1
TCP_SYN_SENT = 2
TCP_SYN_RECV = 3
TCP_FIN_WAIT1 = 4
TCP_FIN_WAIT2 = 5
TCP_TIME_WAIT = 6
TCP_CLOSE = 7
TCP_CLOSE_WAIT = 8
TCP_LAST_ACK = 9
TCP_LISTEN = 10
TCP_CLOSING = 11

STATE_NAMES: Mapping[int, str] = MappingProxyType({
    TCP_ESTABLISHED: "ESTABLISHED", TCP_SYN_SENT: "SYN_SENT", TCP_SYN_RECV: "SYN_RECV", TCP_FIN_WAIT1: "FIN_WAIT1",
    TCP_FIN_WAIT2: "FIN_WAIT2", TCP_TIME_WAIT: "TIME_WAIT", TCP_CLOSE: "CLOSE", TCP_CLOSE_WAIT: "CLOSE_WAIT",
    TCP_LAST_ACK: "LAST_ACK", TCP_LISTEN: "LISTEN", TCP_CLOSING: "CLOSING",
})  # fmt: skip

ACTIVE_OPEN = 1
PASSIVE_OPEN = 2
HANDSHAKE_ACK = 3
SYN_ACK = 4
SIMULTANEOUS_SYN = 5
ACK_OF_SYN = 6
CLOSE_CALL = 7
ACK_OF_FIN = 8
FIN = 9
WAIT_OVER = 10
ABORT = 11
"""Events. ABORT is a RST, a time-out, an ICMP error that kills, or a close that resets."""

EVENT_NAMES: Mapping[int, str] = MappingProxyType({
    ACTIVE_OPEN: "active open", PASSIVE_OPEN: "passive open", HANDSHAKE_ACK: "last ACK of a handshake",
    SYN_ACK: "SYN and ACK", SIMULTANEOUS_SYN: "SYN without ACK", ACK_OF_SYN: "ACK of our SYN", CLOSE_CALL: "close",
    ACK_OF_FIN: "ACK of our FIN", FIN: "FIN", WAIT_OVER: "2 MSL over", ABORT: "abort",
})  # fmt: skip

TRANSITIONS: Mapping[tuple[int, int], int] = MappingProxyType({
    (TCP_CLOSE, ACTIVE_OPEN): TCP_SYN_SENT,
    (TCP_CLOSE, PASSIVE_OPEN): TCP_LISTEN,
    (TCP_CLOSE, HANDSHAKE_ACK): TCP_SYN_RECV,
    (TCP_LISTEN, CLOSE_CALL): TCP_CLOSE,
    (TCP_SYN_SENT, SYN_ACK): TCP_ESTABLISHED,
    (TCP_SYN_SENT, SIMULTANEOUS_SYN): TCP_SYN_RECV,
    (TCP_SYN_SENT, CLOSE_CALL): TCP_CLOSE,
    (TCP_SYN_SENT, ABORT): TCP_CLOSE,
    (TCP_SYN_RECV, ACK_OF_SYN): TCP_ESTABLISHED,
    (TCP_SYN_RECV, CLOSE_CALL): TCP_FIN_WAIT1,
    (TCP_SYN_RECV, ABORT): TCP_CLOSE,
    (TCP_ESTABLISHED, CLOSE_CALL): TCP_FIN_WAIT1,
    (TCP_ESTABLISHED, FIN): TCP_CLOSE_WAIT,
    (TCP_ESTABLISHED, ABORT): TCP_CLOSE,
    (TCP_FIN_WAIT1, ACK_OF_FIN): TCP_FIN_WAIT2,
    (TCP_FIN_WAIT1, FIN): TCP_CLOSING,
    (TCP_FIN_WAIT1, ABORT): TCP_CLOSE,
    (TCP_FIN_WAIT2, FIN): TCP_TIME_WAIT,
    (TCP_FIN_WAIT2, WAIT_OVER): TCP_CLOSE,
    (TCP_FIN_WAIT2, ABORT): TCP_CLOSE,
    (TCP_CLOSE_WAIT, CLOSE_CALL): TCP_LAST_ACK,
    (TCP_CLOSE_WAIT, ABORT): TCP_CLOSE,
    (TCP_CLOSING, ACK_OF_FIN): TCP_TIME_WAIT,
    (TCP_CLOSING, ABORT): TCP_CLOSE,
    (TCP_LAST_ACK, ACK_OF_FIN): TCP_CLOSE,
    (TCP_LAST_ACK, ABORT): TCP_CLOSE,
    (TCP_TIME_WAIT, WAIT_OVER): TCP_CLOSE,
    (TCP_TIME_WAIT, ABORT): TCP_CLOSE,
})  # fmt: skip

SYNCHRONIZED = frozenset({
    TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_LAST_ACK,
})  # fmt: skip
"""States in which both ends know each other's sequence numbers; TIME_WAIT has rules of its own."""
CAN_SEND = frozenset({TCP_ESTABLISHED, TCP_CLOSE_WAIT})
"""States in which an application may send."""
CAN_RECEIVE = frozenset({TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2})
"""States in which data may still come in."""


def move(state: int, event: int) -> int:
    """Return the state that follows. Raises InternalError where the table has no row: the caller has checked."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InternalError(f"TCP in {STATE_NAMES[state]} met the event {EVENT_NAMES[event]!r}") from None
