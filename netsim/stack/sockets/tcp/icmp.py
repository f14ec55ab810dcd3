"""ICMP errors about our segments: what kills a connection, what is only remembered, and a path that became narrower.

Source: tcp_v4_err(), tcp_v4_mtu_reduced(), tcp_req_err(), tcp_ld_RTO_revert() (net/ipv4/tcp_ipv4.c, 6.x); RFC 5927,
6069, RFC 1122 section 4.2.3.9; linux-kernel 4.2; observed-linux 2, "fails with EHOSTUNREACH at the first".
"""

from __future__ import annotations

from struct import Struct

from netsim.addr import Ip
from netsim.stack.dst import Refused
from netsim.stack.sockets.errors import convert
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.listen import HalfOpen, Handshakes
from netsim.stack.sockets.tcp.segment import unwrap
from netsim.stack.sockets.tcp.socket import TIMER_RETRANS, TcpSocket
from netsim.stack.sockets.tcp.state import TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT
from netsim.units import Ns
from netsim.wire.icmp import (
    ICMP_DEST_UNREACH,
    ICMP_FRAG_NEEDED,
    ICMP_HOST_UNREACH,
    ICMP_NET_UNREACH,
    ICMP_PARAMETERPROB,
    ICMP_TIME_EXCEEDED,
)

_PORTS_SEQ = Struct("!HHI")


class IcmpInput:
    """The error side of a box's TCP."""

    def __init__(self, ctx: TcpContext, handshakes: Handshakes) -> None:
        self._ctx = ctx
        self._handshakes = handshakes

    def error(self, icmp_type: int, code: int, info: int, inner: bytes, offender: Ip, *, now: Ns) -> None:
        """Work on one error; `info` is the next hop's MTU where fragmentation is needed. Mirrors tcp_v4_err().

        An error that quotes a number outside what is in flight is not believed.
        """
        at = (inner[0] & 15) * 4
        sport, dport, raw_seq = _PORTS_SEQ.unpack_from(inner, at)
        saddr, daddr = int.from_bytes(inner[12:16], "big"), int.from_bytes(inner[16:20], "big")
        found = self._ctx.demux.connections.get((saddr, sport, daddr, dport))
        unreachable = icmp_type == ICMP_DEST_UNREACH and code in (ICMP_NET_UNREACH, ICMP_HOST_UNREACH)
        if isinstance(found, HalfOpen):
            kills = unreachable or icmp_type in (ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB)
            if kills and raw_seq == found.snt_isn:
                self._handshakes.forget(found)
            return
        if found is None or found.state == TCP_TIME_WAIT:
            return
        seq = unwrap(raw_seq, found.snd_una)
        if not found.snd_una <= seq <= found.snd_nxt:
            return
        if icmp_type == ICMP_DEST_UNREACH and code == ICMP_FRAG_NEEDED:
            self._narrowed(found, now)
            return
        errno, _ = convert(icmp_type, code)
        if not errno:
            return
        if unreachable:
            self._revert_backoff(found, seq, now)
        error = self._ctx.error(found, errno, offender=offender, icmp_type=icmp_type, icmp_code=code)
        if found.state in (TCP_SYN_SENT, TCP_SYN_RECV):
            self._ctx.fail(found, error)
        elif found.recverr:
            self._ctx.report(found, error)
        else:
            found.soft_error = error

    def _revert_backoff(self, sock: TcpSocket, seq: int, now: Ns) -> None:
        """Take one doubling back: the path is broken, not congested. Mirrors tcp_ld_RTO_revert(); RFC 6069."""
        first = sock.rtx.first()
        if first is None or seq != sock.snd_una or not sock.retransmits or not sock.backoff:
            return
        sock.backoff -= 1
        if sock.rtt.srtt8_us:
            sock.rtt.set_rto()
        else:
            sock.rtt.reset_rto()
        for _ in range(sock.backoff):
            sock.rtt.back_off()
        left = sock.rtt.rto - (now - first.sent_at)
        output = self._ctx.output
        if left > 0:
            output.arm(sock, TIMER_RETRANS, left, now=now)
        else:
            sock.rtx_kind = TIMER_RETRANS
            self._ctx.clock.retransmission(sock, now)

    def _narrowed(self, sock: TcpSocket, now: Ns) -> None:
        """Follow a path MTU that routing has learned. Mirrors tcp_v4_mtu_reduced()."""
        if sock.state == TCP_SYN_SENT:
            return
        before = sock.mtu
        sock.route = None
        route = self._ctx.output.route(sock, now)
        if not isinstance(route, Refused) and sock.mtu < before:
            self._ctx.recovery.narrowed(sock, now)
