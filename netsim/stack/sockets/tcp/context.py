"""What the files of TCP share: the rooms beside them, the tables of sockets, and the parts themselves.

Wired once by tcp.py. Small effects that every part has (wake an application, end a packet, tell of an error) are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.addr import Ip, ip_str
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox, Wake
from netsim.stack.ports import Rng, Routing
from netsim.stack.requests import SocketError
from netsim.stack.sockets.ports import Confirmation, Endings, Sender
from netsim.stack.sockets.tcp.state import ABORT, TCP_CLOSE, TCP_TIME_WAIT, WAIT_OVER, move
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import TcpSample
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.sockets.tcp.ack import AckInput
    from netsim.stack.sockets.tcp.demux import Demux
    from netsim.stack.sockets.tcp.output import TcpOutput
    from netsim.stack.sockets.tcp.probes import Probes
    from netsim.stack.sockets.tcp.recovery import Recovery
    from netsim.stack.sockets.tcp.socket import TcpSocket
    from netsim.stack.sockets.tcp.timers import TcpClock

TCP_TIMEWAIT_LEN: Ns = 60_000_000_000
"""How long TIME_WAIT lasts, in Ns; not a sysctl. Source: include/net/tcp.h."""


class TcpContext:
    """The collaborators of one box's TCP; attributes are set by tcp.py before the first segment.

    `secret` keys the initial sequence numbers (secure.py).
    `cause` is the uid of the frame being worked on: what is sent meanwhile names it as parent. 0 outside.
    """

    node: str
    interfaces: Interfaces
    sysctl: Sysctl
    timers: Timers
    outbox: Outbox
    rng: Rng
    routing: Routing
    sender: Sender
    neigh: Confirmation
    endings: Endings
    demux: Demux
    output: TcpOutput
    ack: AckInput
    probes: Probes
    recovery: Recovery
    clock: TcpClock
    secret: int = 0
    cause: int = 0

    def wake(self, sock: TcpSocket, event: str) -> None:
        """Tell the application of a socket; one that was not accepted yet has none."""
        if sock.fd >= 0:
            self.outbox.wakes.append(Wake(sock.fd, event))

    def error(
        self, sock: TcpSocket, errno: int, *, offender: Ip = 0, icmp_type: int = -1, icmp_code: int = 0
    ) -> SocketError:
        """Return the error as the application sees it."""
        return SocketError(
            errno=errno, offender=offender, dst=sock.peer, dport=sock.peer_port, icmp_type=icmp_type,
            icmp_code=icmp_code,
        )  # fmt: skip

    def report(self, sock: TcpSocket, error: SocketError) -> None:
        """Queue an error on a socket and wake its application."""
        if not sock.orphan:
            sock.errors.append(error)
            self.wake(sock, "error")

    def fail(self, sock: TcpSocket, error: SocketError | None) -> None:
        """Close a connection at once, with an error for its application. Mirrors tcp_done_with_error()."""
        if error is not None:
            self.report(sock, error)
        self.done(sock, ABORT, quietly=error is not None)

    def done(self, sock: TcpSocket, event: int, *, quietly: bool = False) -> None:
        """End a connection and give back its names. Mirrors tcp_done()."""
        was = sock.state
        sock.state = move(was, event)
        sock.silence()
        sock.drop_unsent()
        sock.rcv_shutdown = True
        self.demux.forget(sock)
        if was != TCP_TIME_WAIT and not quietly:
            self.wake(sock, "closed")

    def time_wait(self, sock: TcpSocket, now: Ns) -> None:
        """Begin the 60 s in which the four-tuple rests; `sock.state` is TIME_WAIT already. Mirrors tcp_time_wait()."""
        sock.silence()
        sock.keep_alarm.set(now, TCP_TIMEWAIT_LEN)
        self.wake(sock, "closed")

    def rest_over(self, sock: TcpSocket) -> None:
        """End TIME_WAIT or an orphan's FIN_WAIT2."""
        if sock.state != TCP_CLOSE:
            self.done(sock, WAIT_OVER)

    def sample(self, sock: TcpSocket, event: str, now: Ns) -> None:
        """Record the sender's state; ask `TcpSample in outbox.wants` first where it costs."""
        if TcpSample not in self.outbox.wants:
            return
        cc = sock.cc
        conn = f"{ip_str(sock.addr)}:{sock.port}>{ip_str(sock.peer)}:{sock.peer_port}"
        mss = sock.mss
        self.outbox.records.append(
            TcpSample(
                now, self.node, conn, event, cc.cwnd * mss, min(cc.ssthresh * mss, 0x7FFFFFFF),
                sock.rtx.in_flight * mss, sock.rtt.rto, sock.rtt.srtt,
            )
        )  # fmt: skip
