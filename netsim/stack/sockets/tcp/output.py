"""Segments leave: headers, routes, segment size, new data, acknowledgements, retransmissions.

Source: __tcp_transmit_skb(), tcp_write_xmit(), tcp_current_mss(), tcp_sync_mss(), tcp_send_ack(),
__tcp_retransmit_skb() (net/ipv4/tcp_output.c, 6.x); linux-kernel 1.5, 4.5. Probes are in probes.py.
"""

from __future__ import annotations

from struct import Struct

from netsim.stack.dst import Refused, Route
from netsim.stack.skb import IPPROTO_TCP
from netsim.stack.sockets.tcp import sndbuf
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.options import (
    MAX_TCP_OPTION_SPACE,
    TCPOLEN_SACK_BASE_ALIGNED,
    TCPOLEN_SACK_PERBLOCK,
    timestamp,
)
from netsim.stack.sockets.tcp.rtt import TCP_RTO_MIN
from netsim.stack.sockets.tcp.sent import Sent
from netsim.stack.sockets.tcp.socket import (
    TCP_ATO_MIN,
    TIMER_LOSS_PROBE,
    TIMER_NONE,
    TIMER_PROBE0,
    TIMER_REORDER,
    TIMER_RETRANS,
    TcpSocket,
)
from netsim.stack.sockets.tcp.state import TCP_CLOSE
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire.tcp import (
    TCPHDR_ACK,
    TCPHDR_FIN,
    TCPHDR_PSH,
    TCPHDR_RST,
    TCPHDR_SYN,
    build_tcp,
)

HEADERS = 40
"""IP and TCP header without options."""
MAX_ADVMSS = 65_495
TCP_MIN_SND_MSS = 48

_PAIR = Struct("!II")


class TcpOutput:
    """The sending side of a box's TCP."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    # Routes and sizes

    def route(self, sock: TcpSocket, now: Ns) -> Route | Refused:
        """Return the way to the peer; the answer is kept until the FIB's generation moves or the route expires.

        A new answer with another MTU changes the segment size. Source: __sk_dst_check(), inet_sk_rebuild_header();
        linux-kernel 2.8, "Sockets keep the chosen route".
        """
        routing = self._ctx.routing
        route = sock.route
        if route is not None:
            if route.generation == routing.generation and not (route.expires and route.expires <= now):
                return route
            sock.route = None
        answer = routing.output(
            sock.peer, now=now, saddr=sock.addr, tos=sock.tos & 0x1C, oif=sock.dev, mark=sock.mark, proto=IPPROTO_TCP,
            sport=sock.port, dport=sock.peer_port,
        )  # fmt: skip
        if isinstance(answer, Refused) or answer.error:
            return answer if isinstance(answer, Refused) else Refused(answer.error, "")
        sock.route = answer
        mtu = path_mtu(answer)
        if mtu != sock.mtu:
            sock.mtu = mtu
            self.sync_mss(sock)
        return answer

    def advertised_mss(self, route: Route) -> int:
        """Return the MSS for a SYN over this route. Source: ipv4_default_advmss()."""
        least = self._ctx.sysctl.route.min_adv_mss
        return route.advmss or max(least, min(path_mtu(route) - HEADERS, MAX_ADVMSS))

    def sync_mss(self, sock: TcpSocket) -> None:
        """Compute the payload of a full segment. Mirrors tcp_sync_mss()."""
        mss = min(sock.mtu - HEADERS, sock.options.mss)
        sock.mss = sndbuf.half_window(sock, max(mss, TCP_MIN_SND_MSS) - sock.options.overhead)

    def current_mss(self, sock: TcpSocket) -> int:
        """Return the payload of a full segment now: SACK blocks take their part. Mirrors tcp_current_mss()."""
        if not (sock.rcv.sacks or sock.rcv.dsack):
            return sock.mss
        blocks = self._blocks(sock)
        if blocks:
            return sock.mss - TCPOLEN_SACK_BASE_ALIGNED - TCPOLEN_SACK_PERBLOCK * blocks
        return sock.mss

    @staticmethod
    def _blocks(sock: TcpSocket) -> int:
        rcv = sock.rcv
        if not sock.options.sack or not (rcv.sacks or rcv.dsack):
            return 0
        room = MAX_TCP_OPTION_SPACE - sock.options.overhead - TCPOLEN_SACK_BASE_ALIGNED
        return min(len(rcv.sacks) + (rcv.dsack is not None), room // TCPOLEN_SACK_PERBLOCK)

    # One segment

    def transmit(self, sock: TcpSocket, seq: int, flags: int, payload: bytes, *, now: Ns) -> bool:
        """Send one segment; False when there is no way to the peer. Mirrors __tcp_transmit_skb()."""
        route = self.route(sock, now)
        if isinstance(route, Refused):
            return False
        ctx = self._ctx
        rcv = sock.rcv
        if flags & TCPHDR_SYN:
            window = min(rcv.rcv_wnd, 65_535)
            options = sock.options.offer(sock.advmss, timestamp(now, sock.ts_offset), max(sock.ts_recent, 0))
        else:
            window = rcv.advertise()
            if rcv.cramped:
                sock.quick = 0
            options = b""
            if sock.options.timestamps:
                tsval = (now // NS_PER_MS + sock.ts_offset) & 0xFFFFFFFF
                options = b"\x01\x01\x08\x0a" + _PAIR.pack(tsval, max(sock.ts_recent, 0))
            if rcv.sacks or rcv.dsack:
                options += self._sack_option(sock)
        ack = rcv.rcv_nxt & 0xFFFFFFFF if flags & TCPHDR_ACK else 0
        message = build_tcp(
            sock.addr, sock.peer, sock.port, sock.peer_port, seq & 0xFFFFFFFF, ack, flags, window, payload, options
        )
        sock.ident = (sock.ident + 1) & 0xFFFF
        skb = ctx.sender.build(
            route, sock.addr, sock.peer, IPPROTO_TCP, message,
            tos=sock.tos, ttl=sock.ttl, df=not route.mtu_locked, ident=sock.ident, parent=ctx.cause,
        )  # fmt: skip
        skb.mark = sock.mark
        skb.sock = sock
        if flags & TCPHDR_ACK:
            self._acked(sock)
        if payload:
            sock.last_sent_at = now
            if now - sock.last_data_at < sock.ato:
                sock.pingpong = True
        if sock.confirm:
            sock.confirm = False
            ctx.neigh.confirm(route.dev, route.nexthop(sock.peer), now=now)
        ctx.sender.send(skb, now=now)
        return True

    def _sack_option(self, sock: TcpSocket) -> bytes:
        """Return the SACK option; a duplicate is told once, and first. Source: tcp_options_write(), RFC 2883."""
        rcv = sock.rcv
        count = self._blocks(sock)
        if not count:
            rcv.dsack = None
            return b""
        blocks = ([rcv.dsack] if rcv.dsack is not None else []) + rcv.sacks
        rcv.dsack = None
        head = bytes((1, 1, 5, 2 + TCPOLEN_SACK_PERBLOCK * count))
        return head + b"".join(_PAIR.pack(left & 0xFFFFFFFF, right & 0xFFFFFFFF) for left, right in blocks[:count])

    @staticmethod
    def _acked(sock: TcpSocket) -> None:
        """Note that an acknowledgement is leaving. Mirrors tcp_event_ack_sent()."""
        if sock.ack_pending and sock.quick:
            sock.quick -= 1
            if not sock.quick:
                sock.ato = TCP_ATO_MIN
        sock.ack_pending = sock.ack_now = sock.ack_pushed = sock.ack_pushed2 = False
        sock.ack_alarm.off()

    def send_ack(self, sock: TcpSocket, *, now: Ns) -> None:
        """Send a bare acknowledgement. Mirrors tcp_send_ack()."""
        if sock.state != TCP_CLOSE:
            self.transmit(sock, acceptable_seq(sock), TCPHDR_ACK, b"", now=now)

    def send_reset(self, sock: TcpSocket, *, now: Ns) -> None:
        """Reset a connection of ours. Mirrors tcp_send_active_reset()."""
        self.transmit(sock, acceptable_seq(sock), TCPHDR_ACK | TCPHDR_RST, b"", now=now)

    # New data

    def push(self, sock: TcpSocket, *, now: Ns, nagle: bool = True, mark: bool = True) -> None:
        """Send what may be sent, and see to it that a closed window is probed. Mirrors __tcp_push_pending_frames().

        Without `mark` the writer has more to come, and the last segment goes without PSH.
        """
        if sock.unsent_octets or sock.fin_queued != sock.fin_sent:
            if mark:
                sock.pushed_to = sock.snd_nxt + sock.unsent_octets
            self.write(sock, now=now, nagle=nagle, mark=mark)
            if not sock.rtx.packets_out and sock.rtx_alarm.due is None and pending(sock):
                self.arm(sock, TIMER_PROBE0, max(sock.rtt.rto, TCP_RTO_MIN), now=now)

    def write(
        self, sock: TcpSocket, *, now: Ns, nagle: bool = True, probe: bool = False, mark: bool = True
    ) -> bool:  # fmt: skip
        """Send new segments while both windows allow; True when any left. Mirrors tcp_write_xmit().

        `probe` sends one whatever the congestion window says (a tail loss probe).
        """
        rtx = sock.rtx
        cc = sock.cc
        limited = False
        count = 0
        left = 0  # segments that the skb under way still takes
        while pending(sock):
            mss = self.current_mss(sock)
            size = min(sock.unsent_octets, mss)
            last = size == sock.unsent_octets
            fin = last and sock.fin_queued
            if not probe and rtx.in_flight >= cc.cwnd:
                limited = True
                break
            if sock.snd_nxt + size + fin > sock.window_end:
                break
            if size < mss and not fin and nagle and not probe and self._nagle_holds(sock):
                break
            left = (left or sndbuf.burst(sock)) - 1
            self.send_new(sock, size, mss, last=last and mark, fin=fin, now=now)
            count += 1
            if probe:
                rtx.end_skb()
                return True
            if not left:
                rtx.end_skb()
        if left:
            rtx.end_skb()
        limited = limited or rtx.in_flight >= cc.cwnd
        if count or limited:
            cc.validate(limited, rtx.packets_out, sock.snd_una, sock.snd_nxt)
        if count:
            if cc.reducing:
                cc.prr_out += count
            self._ctx.probes.schedule(sock, now=now)
        return count > 0

    @staticmethod
    def _nagle_holds(sock: TcpSocket) -> bool:
        """Tell whether a short segment waits: another short one is unacknowledged. Mirrors tcp_nagle_check()."""
        return not sock.nodelay and bool(sock.rtx.packets_out) and sock.snd_una < sock.small_end <= sock.snd_nxt

    def send_new(self, sock: TcpSocket, size: int, mss: int, *, last: bool, fin: bool, now: Ns) -> None:
        """Send the next `size` unsent octets, with the FIN if it follows them; fewer than `mss` are a short segment."""
        payload = sock.carve(size) if size else b""
        flags = TCPHDR_ACK
        if last and size:
            flags |= TCPHDR_PSH
        seq = sock.snd_nxt
        end = seq + size
        if fin:
            flags |= TCPHDR_FIN
            end += 1
            sock.fin_sent = True
        self._restart_after_idle(sock, now)
        if size < mss:
            sock.small_end = end
        first = not sock.rtx.packets_out
        sock.snd_nxt = end
        sock.rtx.push(Sent(seq, end, flags, payload, now))
        self.transmit(sock, seq, flags, payload, now=now)
        if first or sock.rtx_kind == TIMER_LOSS_PROBE:
            self.rearm(sock, now=now)

    @staticmethod
    def _restart_after_idle(sock: TcpSocket, now: Ns) -> None:
        """Shrink the window after a silence longer than the time-out. Mirrors tcp_slow_start_after_idle_check()."""
        if sock.rtx.packets_out or not sock.last_sent_at:
            return
        sock.cc.woke(sock.last_sent_at, now)
        idle = now - sock.last_sent_at
        rto = sock.rtt.rto
        if idle > rto:
            sock.cc.restart(-(-idle // rto) - 1)

    # Timers of the sender

    def arm(self, sock: TcpSocket, kind: int, delay: Ns, *, now: Ns) -> None:
        """Set the sender's one alarm."""
        sock.rtx_kind = kind
        sock.rtx_alarm.set(now, delay)

    def rearm(self, sock: TcpSocket, *, now: Ns) -> None:
        """Set the retransmission time-out, or turn it off. Mirrors tcp_rearm_rto()."""
        first = sock.rtx.first()
        if first is None:
            sock.rtx_alarm.off()
            sock.rtx_kind = TIMER_NONE
            return
        rto = sock.rtt.rto
        if sock.rtx_kind in (TIMER_LOSS_PROBE, TIMER_REORDER):
            rto = max(NS_PER_US, first.sent_at + rto - now)
        self.arm(sock, TIMER_RETRANS, rto, now=now)

    # Again

    def retransmit(self, sock: TcpSocket, sent: Sent, *, now: Ns, probe: bool = False) -> bool:
        """Send a segment again, cut to what fits; False when it could not be. Mirrors tcp_retransmit_skb()."""
        rtx = sock.rtx
        route = self.route(sock, now)
        if isinstance(route, Refused):
            sock.soft_error = self._ctx.error(sock, route.errno)  # as inet_sk_rebuild_header() does, here alone
            if not probe:
                self._note_retransmission(sock, sent.sent_at)
            return False
        syn = sent.flags & TCPHDR_SYN
        if not syn:
            rtx.trim(sent, sock.snd_una)
            mss = self.current_mss(sock)
            room = sock.window_end - sent.seq
            if room <= 0:
                if sent.seq != sock.snd_una:
                    return False
                room = mss
            size = min(mss, room)
            if len(sent.payload) > size:
                rtx.split(sent, size)
            elif len(sent.payload) < size:
                rtx.join(sent, size, sock.window_end)
        rtx.resent(sent, now, counted=not probe)
        sock.total_retrans += 1
        if not probe:
            self._note_retransmission(sock, now)
            sock.cc.sent_again()
        return self.transmit(sock, sent.seq, sent.flags, sent.payload, now=now)

    @staticmethod
    def _note_retransmission(sock: TcpSocket, at: Ns) -> None:
        """Remember when the first segment that was to go again last went: time-outs count from there.

        A tail loss probe does not count. Source: tcp_retransmit_skb(), "Save stamp of the first (attempted)
        retransmit".
        """
        if sock.retrans_at < 0:
            sock.retrans_at = at

    def retransmit_lost(self, sock: TcpSocket, *, now: Ns) -> None:
        """Send lost segments again while the window allows. Mirrors tcp_xmit_retransmit_queue()."""
        rtx = sock.rtx
        cc = sock.cc
        rearm = False
        while rtx.in_flight < cc.cwnd:
            sent = rtx.next_lost()
            if sent is None or not self.retransmit(sock, sent, now=now):
                break
            if cc.reducing:
                cc.prr_out += 1
            if sent is rtx.first() and sock.rtx_kind != TIMER_REORDER:
                rearm = True
        if rearm:
            self.arm(sock, TIMER_RETRANS, sock.rtt.rto, now=now)


def path_mtu(route: Route) -> int:
    """Return the MTU of a route."""
    return min(route.mtu, route.dev.mtu) if route.mtu else route.dev.mtu


def acceptable_seq(sock: TcpSocket) -> int:
    """Return a sequence number that the peer takes although its window shrank. Source: tcp_acceptable_seq()."""
    beyond = sock.snd_nxt - sock.window_end
    if beyond <= 0 or (sock.options.wscale and beyond < 1 << sock.options.rcv_wscale):
        return sock.snd_nxt
    return sock.window_end


def pending(sock: TcpSocket) -> bool:
    """Tell whether something waits that was never sent. Source: tcp_write_queue_empty()."""
    return bool(sock.unsent_octets) or sock.fin_queued != sock.fin_sent
