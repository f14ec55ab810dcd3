"""One TCP socket: its names, its two halves, and what its timers and options need to know.

A value with little behaviour: input.py, ack.py, output.py and timers.py move it. Counts are octets in ints that never
wrap (segment.py); times are Ns.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import Route
from netsim.stack.requests import SocketError
from netsim.stack.settings import CUBIC
from netsim.stack.sockets.tcp.alarm import Alarm
from netsim.stack.sockets.tcp.cubic import Cubic
from netsim.stack.sockets.tcp.options import Negotiated
from netsim.stack.sockets.tcp.receiver import Receiver
from netsim.stack.sockets.tcp.reno import Reno
from netsim.stack.sockets.tcp.rtt import RttEstimator
from netsim.stack.sockets.tcp.rtx_queue import RtxQueue
from netsim.stack.sockets.tcp.state import TCP_CLOSE
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.sockets.tcp.context import TcpContext
    from netsim.stack.sockets.tcp.listen import Listener

Key = tuple[Ip, int, Ip, int]

TIMER_NONE = 0
TIMER_RETRANS = 1
TIMER_PROBE0 = 3
TIMER_LOSS_PROBE = 5
TIMER_REORDER = 6
"""What the one retransmission alarm stands for. Source: ICSK_TIME_RETRANS and its like."""

TCP_ATO_MIN: Ns = 40_000_000


class TcpSocket:
    """A connection, a listener, or a socket that is neither yet.

    `orphan`: the application has closed it. `fin_queued`: FIN follows the unsent octets; `fin_sent`: it was sent.
    `retrans_at` is when the first retransmission of the current trouble was, -1 without; `probes_at` when the probing
    of a closed window began. `window_end` is the right edge the peer allows. `ack_*` belong to delayed acknowledgement.
    """

    __slots__ = (
        "ack_alarm", "ack_now", "ack_pending", "ack_pushed", "ack_pushed2", "addr", "advmss", "ato", "backoff", "cc",
        "confirm", "dev", "errors", "fd", "fin_queued", "fin_sent", "ident", "iss", "keep_alarm", "keepalive",
        "keepcnt", "keepidle", "keepintvl", "last_data_at", "last_heard_at", "last_oow_at", "last_sent_at",
        "last_size", "listener", "mark", "max_window", "mss", "mtu", "need_space", "nodelay", "options", "orphan",
        "parent", "peer", "peer_port", "pingpong", "port", "probes_at", "probes_out", "pushed_to", "quick", "rcv",
        "rcv_shutdown", "recverr", "retrans_at", "retransmits", "route", "rtt", "rtx", "rtx_alarm", "rtx_kind",
        "small_end", "snd_nxt", "snd_una", "snd_wl1", "snd_wnd", "sndbuf", "soft_error", "state", "synack_at",
        "tlp_high_seq", "tlp_retrans", "tos", "total_retrans", "total_rto", "ts_offset", "ts_recent", "ts_recent_at",
        "ttl", "unsent", "unsent_at", "unsent_octets", "user_timeout",
    )  # fmt: skip

    def __init__(self, ctx: TcpContext, fd: int) -> None:
        self.fd = fd
        self.state = TCP_CLOSE
        self.addr: Ip = 0
        self.port = 0
        self.peer: Ip = 0
        self.peer_port = 0
        self.dev: Device | None = None
        self.ttl = self.tos = self.mark = 0
        self.recverr = False
        self.nodelay = False
        self.errors: list[SocketError] = []
        self.soft_error: SocketError | None = None
        self.orphan = False
        self.rcv_shutdown = False
        self.listener: Listener | None = None
        self.parent: TcpSocket | None = None
        # names on the wire
        self.ident = ctx.rng.getrandbits(16)
        self.ts_offset = 0
        self.options = Negotiated(ctx.sysctl.ipv4)
        self.route: Route | None = None
        self.mtu = 0
        self.advmss = 0
        self.mss = 0
        self._begin_halves(ctx)
        self._begin_alarms(ctx)

    def _begin_halves(self, ctx: TcpContext) -> None:
        """Set up the sending and the receiving half."""
        self.iss = self.snd_una = self.snd_nxt = 0
        self.snd_wnd = self.max_window = 0
        self.snd_wl1 = 0
        self.small_end = 0
        self.unsent: deque[bytes] = deque()
        self.unsent_at = 0
        self.unsent_octets = 0
        self.need_space = False
        self.sndbuf = 0
        self.fin_queued = self.fin_sent = False
        self.rtx = RtxQueue()
        self.cc: Reno = Cubic() if ctx.sysctl.ipv4.tcp_congestion_control == CUBIC else Reno()
        self.rtt = RttEstimator()
        self.rcv = Receiver()
        self.ts_recent = -1
        self.ts_recent_at: Ns = 0
        self.confirm = False

    def _begin_alarms(self, ctx: TcpContext) -> None:
        """Set up what timers count."""
        self.rtx_alarm = Alarm(ctx.timers, lambda now: ctx.clock.retransmission(self, now))
        self.rtx_kind = TIMER_NONE
        self.ack_alarm = Alarm(ctx.timers, lambda now: ctx.clock.delayed_ack(self, now))
        self.keep_alarm = Alarm(ctx.timers, lambda now: ctx.clock.keepalive(self, now))
        self.retransmits = self.backoff = self.total_rto = self.total_retrans = 0
        self.retrans_at: Ns = -1
        self.synack_at: Ns = -1
        self.tlp_high_seq = 0
        self.tlp_retrans = False
        self.probes_out = 0
        self.probes_at: Ns = -1
        self.ack_pending = self.ack_now = self.ack_pushed = self.ack_pushed2 = False
        self.quick = 0
        self.pingpong = False
        self.ato: Ns = 0
        self.last_size = 0
        self.last_data_at: Ns = 0
        self.last_heard_at: Ns = 0
        self.last_sent_at: Ns = 0
        self.last_oow_at: Ns = -1
        self.keepalive = False
        self.keepidle: Ns = 0
        self.keepintvl: Ns = 0
        self.keepcnt = 0
        self.user_timeout: Ns = 0

    @property
    def key(self) -> Key:
        """The four-tuple, ours first."""
        return self.addr, self.port, self.peer, self.peer_port

    @property
    def window_end(self) -> int:
        """The first count the peer does not allow. Source: tcp_wnd_end()."""
        return self.snd_una + self.snd_wnd

    @property
    def all_acked(self) -> bool:
        """Whether everything written, the FIN included, was sent and acknowledged (snd_una == write_seq)."""
        return not self.unsent_octets and self.snd_una == self.snd_nxt and self.fin_queued == self.fin_sent

    @property
    def octets_acked(self) -> int:
        """How much was acknowledged; the SYN counts, a SYN-ACK does not. Source: tp->bytes_acked."""
        return self.snd_una - self.iss - (self.parent is not None)

    @property
    def waiting(self) -> int:
        """Octets written and not acknowledged."""
        return self.unsent_octets + self.snd_nxt - self.snd_una

    def start_sequence(self, iss: int) -> None:
        """Begin to count at the initial sequence number, the SYN sent."""
        self.iss = self.snd_una = iss
        self.snd_nxt = self.small_end = self.pushed_to = iss + 1

    def enqueue(self, payload: bytes) -> None:
        """Append octets to what is to be sent."""
        self.unsent.append(payload)
        self.unsent_octets += len(payload)

    def carve(self, size: int) -> bytes:
        """Take the next `size` unsent octets."""
        queue = self.unsent
        self.unsent_octets -= size
        first = queue[0]
        at = self.unsent_at
        end = at + size
        if end < len(first):
            self.unsent_at = end
            return first[at:end]
        queue.popleft()
        self.unsent_at = 0
        if end == len(first):
            return first[at:] if at else first
        pieces = [first[at:]]
        size -= len(pieces[0])
        while size:
            piece = queue[0]
            if size < len(piece):
                pieces.append(piece[:size])
                self.unsent_at = size
                break
            pieces.append(piece)
            size -= len(piece)
            queue.popleft()
        return b"".join(pieces)

    def drop_unsent(self) -> None:
        """Forget what was never sent."""
        self.unsent.clear()
        self.unsent_at = self.unsent_octets = 0

    def silence(self) -> None:
        """Cancel every alarm: the socket is closed."""
        self.rtx_alarm.cancel()
        self.rtx_kind = TIMER_NONE
        self.ack_alarm.cancel()
        self.keep_alarm.cancel()
