"""Segments that ask: was the tail lost, is the window open again, does the peer live.

Source: tcp_schedule_loss_probe(), tcp_send_loss_probe(), tcp_write_wakeup(), tcp_xmit_probe_skb()
(net/ipv4/tcp_output.c, 6.x); RFC 8985 section 7, RFC 9293 section 3.8.6.1.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.output import pending
from netsim.stack.sockets.tcp.reno import CA_CWR, CA_OPEN
from netsim.stack.sockets.tcp.rtt import TCP_RTO_MIN, TCP_TIMEOUT_INIT
from netsim.stack.sockets.tcp.socket import TIMER_LOSS_PROBE, TIMER_NONE, TcpSocket
from netsim.units import NS_PER_MS, NS_PER_US, Ns
from netsim.wire.tcp import TCPHDR_ACK

TCP_TIMEOUT_MIN_US: Ns = 2 * NS_PER_MS
"""Added to a timer that is made of a measured time. Source: TCP_TIMEOUT_MIN_US, include/net/tcp.h (6.8 and later)."""


class Probes:
    """The probes of a box's connections."""

    def __init__(self, ctx: TcpContext) -> None:
        self._ctx = ctx

    def schedule(self, sock: TcpSocket, *, now: Ns, advancing: bool = False) -> bool:
        """Set a tail loss probe instead of the time-out where it may come first. Mirrors tcp_schedule_loss_probe()."""
        rtx = sock.rtx
        if not rtx.packets_out or not sock.options.sack or sock.cc.state not in (CA_OPEN, CA_CWR):
            return False
        if sock.rtt.srtt8_us:
            delay = sock.rtt.srtt8_us // 4 * NS_PER_US
            delay += TCP_RTO_MIN if rtx.packets_out == 1 else TCP_TIMEOUT_MIN_US
        else:
            delay = TCP_TIMEOUT_INIT
        first = rtx.first()
        left = sock.rtt.rto if advancing or first is None else first.sent_at + sock.rtt.rto - now
        if left > 0:
            delay = min(delay, left)
        self._ctx.output.arm(sock, TIMER_LOSS_PROBE, delay, now=now)
        return True

    def loss(self, sock: TcpSocket, *, now: Ns) -> None:
        """Send one segment to learn whether the tail was lost. Mirrors tcp_send_loss_probe(); RFC 8985 section 7."""
        if not sock.tlp_high_seq:
            sock.tlp_retrans = False
            sent = self._ctx.output.write(sock, now=now, nagle=False, probe=True) if pending(sock) else False
            if not sent:
                last = sock.rtx.last()
                if last is not None and self._ctx.output.retransmit(sock, last, now=now, probe=True):
                    sock.tlp_retrans = sent = True
            if sent:
                sock.tlp_high_seq = sock.snd_nxt
                self._ctx.sample(sock, "probe", now)
                sock.rtx_kind = TIMER_NONE  # so that the time-out counts from now
        self._ctx.output.rearm(sock, now=now)

    def window(self, sock: TcpSocket, *, now: Ns) -> bool:
        """Ask the peer for its window or its life; False when it could not be sent. Mirrors tcp_write_wakeup().

        A window with any room takes a piece of data, a closed one an old octet's number without data.
        """
        room = sock.window_end - sock.snd_nxt
        if room > 0 and sock.unsent_octets:
            size = min(room, sock.unsent_octets, self._ctx.output.current_mss(sock))
            fin = size == sock.unsent_octets and sock.fin_queued and room > size
            self._ctx.output.send_new(sock, size, 0, last=True, fin=fin, now=now)
            sock.rtx.end_skb()
            return True
        return self._ctx.output.transmit(sock, sock.snd_una - 1, TCPHDR_ACK, b"", now=now)
