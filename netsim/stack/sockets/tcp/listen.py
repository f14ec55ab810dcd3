"""Listeners: half-open connections, their SYN-ACKs, and the queue of those that wait to be accepted.

A half-open connection is no socket: it keeps what the SYN said and what was answered. The ACK that completes the
handshake makes the socket, and is then worked on by it.
Source: tcp_conn_request(), tcp_v4_send_synack(), reqsk_timer_handler(), tcp_check_req(), inet_csk_complete_hashdance()
(6.x); observed-linux 13, "SYN+ACK: id 0", window 65160.
"""

from __future__ import annotations

from collections import deque

from netsim.stack.dst import Refused, Route
from netsim.stack.skb import IPPROTO_TCP
from netsim.stack.sockets.tcp.accept import TCP_INVALID_RATELIMIT
from netsim.stack.sockets.tcp.alarm import Alarm
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.options import TCP_PAWS_MSL, Negotiated, paws_ok, read, timestamp
from netsim.stack.sockets.tcp.output import path_mtu
from netsim.stack.sockets.tcp.receiver import TCP_RMEM_DEFAULT, initial_window
from netsim.stack.sockets.tcp.reset import Stateless
from netsim.stack.sockets.tcp.rtt import TCP_RTO_MAX, TCP_TIMEOUT_INIT
from netsim.stack.sockets.tcp.secure import initial_sequence, timestamp_offset
from netsim.stack.sockets.tcp.segment import Segment, unwrap
from netsim.stack.sockets.tcp.socket import Key, TcpSocket
from netsim.stack.sockets.tcp.state import HANDSHAKE_ACK, move
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, build_tcp


class Listener:
    """What a listening socket has: how many may wait, who waits, how many are half open."""

    __slots__ = ("backlog", "half_open", "queue")

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.queue: deque[TcpSocket] = deque()
        self.half_open: dict[Key, HalfOpen] = {}


class HalfOpen:
    """A connection of which only the SYN has come (struct request_sock).

    It was answered first at `first_at`, last at `answered_at`, again `retrans` times, of which `retries` by time-outs;
    `refused_at` is when it last answered something else (-1: never).
    """

    __slots__ = (
        "advmss", "alarm", "answered_at", "first_at", "key", "options", "rcv_isn", "refused_at", "retrans", "retries",
        "route", "snd_wnd", "snt_isn", "sock", "ts_offset", "ts_recent", "window",
    )  # fmt: skip

    def __init__(self, sock: TcpSocket, key: Key, seg: Segment, options: Negotiated, route: Route, now: Ns) -> None:
        self.sock = sock
        self.key = key
        self.options = options
        self.route = route
        self.rcv_isn = seg.seq
        self.snd_wnd = seg.window
        self.ts_recent = seg.tsval
        self.snt_isn = self.ts_offset = 0
        self.advmss = self.window = 0
        self.retries = self.retrans = 0
        self.first_at = self.answered_at = now
        self.refused_at: Ns = -1
        self.alarm: Alarm | None = None


class Handshakes:
    """The passive side of opening connections."""

    def __init__(self, ctx: TcpContext, stateless: Stateless) -> None:
        self._ctx = ctx
        self._stateless = stateless

    def syn(self, sock: TcpSocket, seg: Segment, *, now: Ns, isn: int | None = None) -> str:
        """Answer a SYN for a listener; returns why it was dropped, or "". Mirrors tcp_conn_request()."""
        ctx = self._ctx
        listener = sock.listener
        assert listener is not None
        if len(listener.queue) > listener.backlog or len(listener.half_open) >= max(listener.backlog, 8):
            return drop.SOCKET_BACKLOG
        skb = seg.skb
        options = Negotiated(ctx.sysctl.ipv4)
        options.agree(read(seg.options))
        route = ctx.routing.output(
            skb.saddr, now=now, saddr=skb.daddr, tos=sock.tos & 0x1C, oif=sock.dev, mark=sock.mark, proto=IPPROTO_TCP,
            sport=skb.dport, dport=skb.sport,
        )  # fmt: skip
        if isinstance(route, Refused) or route.error:
            return drop.IP_OUTNOROUTES
        half = HalfOpen(sock, (skb.daddr, skb.dport, skb.saddr, skb.sport), seg, options, route, now)
        half.snt_isn = initial_sequence(ctx.secret, *half.key, now) if isn is None else isn & 0xFFFFFFFF
        half.ts_offset = timestamp_offset(ctx.secret, skb.daddr, skb.saddr)
        half.advmss = ctx.output.advertised_mss(route)
        space = sock.rcv.space if sock.rcv.locked else TCP_RMEM_DEFAULT // 2
        half.window = initial_window(space, half.advmss - options.overhead)
        half.alarm = Alarm(ctx.timers, lambda at: self._again(half, at))
        listener.half_open[half.key] = half
        ctx.demux.connections[half.key] = half
        self._answer(half, now=now)
        half.alarm.set(now, TCP_TIMEOUT_INIT)
        return ""

    def _answer(self, half: HalfOpen, *, now: Ns) -> None:
        """Send the SYN-ACK, by the route found for the SYN while it holds."""
        ctx = self._ctx
        sock = half.sock
        addr, port, peer, peer_port = half.key
        route: Route | Refused = half.route
        if half.route.generation != ctx.routing.generation:
            route = ctx.routing.output(
                peer, now=now, saddr=addr, tos=sock.tos & 0x1C, oif=sock.dev, mark=sock.mark, proto=IPPROTO_TCP,
                sport=port, dport=peer_port,
            )  # fmt: skip
            if isinstance(route, Refused) or route.error:
                return
            half.route = route
        half.answered_at = now
        options = half.options.offer(half.advmss, timestamp(now, half.ts_offset), max(half.ts_recent, 0))
        message = build_tcp(
            addr, peer, port, peer_port, half.snt_isn, half.rcv_isn + 1 & 0xFFFFFFFF, TCPHDR_SYN | TCPHDR_ACK,
            min(half.window, 65_535), b"", options,
        )  # fmt: skip
        skb = ctx.sender.build(
            half.route, addr, peer, IPPROTO_TCP, message,
            tos=sock.tos, ttl=sock.ttl, df=not half.route.mtu_locked, ident=0, parent=ctx.cause,
        )  # fmt: skip
        skb.mark = sock.mark
        skb.sock = sock
        ctx.sender.send(skb, now=now)

    def _again(self, half: HalfOpen, now: Ns) -> None:
        """Repeat the SYN-ACK after 1, 2, 4 ... s, or give up. Mirrors reqsk_timer_handler()."""
        if half.retries >= self._ctx.sysctl.ipv4.tcp_synack_retries:
            self.forget(half)
            return
        self._answer_again(half, now)
        half.retries += 1
        self._set_alarm(half, now)

    def _answer_again(self, half: HalfOpen, now: Ns) -> None:
        """Mirrors tcp_rtx_synack()."""
        half.retrans += 1
        self._answer(half, now=now)

    @staticmethod
    def _set_alarm(half: HalfOpen, now: Ns) -> None:
        assert half.alarm is not None
        half.alarm.set(now, min(TCP_TIMEOUT_INIT << half.retries, TCP_RTO_MAX))

    @staticmethod
    def _limited(half: HalfOpen, seg: Segment, now: Ns) -> bool:
        """Tell whether an answer must wait. Mirrors tcp_oow_rate_limited()."""
        if seg.payload and not seg.flags & TCPHDR_SYN:
            return False
        if half.refused_at >= 0 and now - half.refused_at < TCP_INVALID_RATELIMIT:
            return True
        half.refused_at = now
        return False

    def forget(self, half: HalfOpen) -> None:
        """Drop a half-open connection."""
        listener = half.sock.listener
        if listener is not None:
            listener.half_open.pop(half.key, None)
        if self._ctx.demux.connections.get(half.key) is half:
            del self._ctx.demux.connections[half.key]
        if half.alarm is not None:
            half.alarm.cancel()

    def check(self, half: HalfOpen, seg: Segment, *, now: Ns) -> TcpSocket | str:
        """Work on a segment of a half-open connection: the new socket, or why there is none ("" all is well).

        Mirrors tcp_check_req().
        """
        seq = unwrap(seg.seq, half.rcv_isn)
        end = seq + seg.end - seg.seq
        flags = seg.flags & (TCPHDR_RST | TCPHDR_SYN | TCPHDR_ACK)
        old = seg.tsval >= 0 and not self._stamp_ok(half, seg, now)
        if seq == half.rcv_isn and flags == TCPHDR_SYN and not old:
            if not self._limited(half, seg, now):
                self._answer_again(half, now)
                self._set_alarm(half, now)
            return ""
        if flags & TCPHDR_ACK and seg.ack != (half.snt_isn + 1) & 0xFFFFFFFF:
            self._stateless.reset(seg, now=now, sock=half.sock)
            return drop.TCP_INVALID_ACK_SEQUENCE
        foreign = self._echo_is_foreign(half, seg)
        expected = half.rcv_isn + 1
        edge = expected + half.window
        fits = seq == expected or (end > expected and seq < edge) or seq == end == edge
        if old or foreign or not fits:
            if not flags & TCPHDR_RST and not self._limited(half, seg, now):
                stamp = (timestamp(now, half.ts_offset), half.ts_recent) if half.ts_recent > 0 else None
                window = half.window >> half.options.rcv_wscale
                self._stateless.acknowledge(
                    seg.skb, half.snt_isn + 1, expected, window, stamp,
                    now=now, dev=None, mark=half.sock.mark, tos=seg.skb.tos,
                )  # fmt: skip
            return drop.TCP_RFC7323_PAWS if old else drop.TCP_RFC7323_TSECR if foreign else drop.TCP_OVERWINDOW
        if seq == half.rcv_isn:
            flags &= ~TCPHDR_SYN
        if flags & (TCPHDR_RST | TCPHDR_SYN):
            if not flags & TCPHDR_RST:
                self._stateless.reset(seg, now=now, sock=half.sock)
            self.forget(half)
            return drop.TCP_INVALID_SYN if flags & TCPHDR_SYN else ""
        if not flags & TCPHDR_ACK:
            return drop.TCP_FLAGS
        listener = half.sock.listener
        if listener is None or len(listener.queue) > listener.backlog:
            return drop.SOCKET_BACKLOG
        return self._open(half, seg, now=now)

    @staticmethod
    def _stamp_ok(half: HalfOpen, seg: Segment, now: Ns) -> bool:
        """Judge a stamp; when the SYN's came is estimated from the time-out. Mirrors tcp_paws_reject()."""
        heard_at = now - min(TCP_TIMEOUT_INIT << half.retries, TCP_RTO_MAX)
        if paws_ok(half.ts_recent, heard_at, seg.tsval, 0, now):
            return True
        return bool(seg.flags & TCPHDR_RST) and now - heard_at >= TCP_PAWS_MSL

    @staticmethod
    def _echo_is_foreign(half: HalfOpen, seg: Segment) -> bool:
        """Tell whether a segment echoes a stamp that no SYN-ACK had. Source: tcp_check_req(), tsecr_reject."""
        if not half.options.timestamps or seg.tsval < 0 or not seg.tsecr:
            return False
        first, last = timestamp(half.first_at, half.ts_offset), timestamp(half.answered_at, half.ts_offset)
        return (seg.tsecr - first) & 0xFFFFFFFF > (last - first) & 0xFFFFFFFF

    def _open(self, half: HalfOpen, seg: Segment, *, now: Ns) -> TcpSocket:
        """Make the socket of a completed handshake, in SYN_RECV. Mirrors tcp_create_openreq_child()."""
        ctx = self._ctx
        parent = half.sock
        sock = TcpSocket(ctx, -1)
        sock.state = move(sock.state, HANDSHAKE_ACK)
        sock.parent = parent
        sock.dev, sock.ttl, sock.tos, sock.mark = parent.dev, parent.ttl, parent.tos, parent.mark
        sock.recverr, sock.nodelay, sock.user_timeout = parent.recverr, parent.nodelay, parent.user_timeout
        sock.keepalive, sock.keepidle = parent.keepalive, parent.keepidle
        sock.keepintvl, sock.keepcnt = parent.keepintvl, parent.keepcnt
        sock.addr, sock.port, sock.peer, sock.peer_port = half.key
        sock.start_sequence(half.snt_isn)
        sock.snd_una = sock.snd_nxt
        sock.options = half.options
        sock.ts_offset, sock.ts_recent, sock.ts_recent_at = half.ts_offset, half.ts_recent, now
        sock.route, sock.mtu = half.route, path_mtu(half.route)
        sock.advmss = half.advmss
        sock.snd_wnd = sock.max_window = half.snd_wnd
        sock.snd_wl1 = half.rcv_isn
        sock.total_retrans = half.retrans
        sock.synack_at = half.first_at if not half.retrans else -1
        if half.retries:
            sock.cc.undo, sock.retrans_at = True, half.first_at
        ctx.output.sync_mss(sock)
        rcv = sock.rcv
        if parent.rcv.locked:
            rcv.space, rcv.locked = parent.rcv.space, True
        rcv.rcv_wnd = rcv.ssthresh = half.window
        rcv.start(half.rcv_isn + 1, half.advmss - half.options.overhead, sock.mss, half.options.rcv_wscale, now=now)
        self.forget(half)
        ctx.demux.connections[sock.key] = sock
        return sock
