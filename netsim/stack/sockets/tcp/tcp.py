"""TCP of a box as sockets/table.py calls it: the socket calls, segments, and ICMP errors that come back.

Calls never block: what Linux would wait for comes as a Wake ("connected", "accepted" on the listener, "readable",
"writable" after an EAGAIN, "error" with an errno queued, "closed" once the connection is over on both sides). Data may
have come before a connection was accepted: receive once after accept.
Source: net/ipv4/af_inet.c, tcp.c, tcp_ipv4.c tcp_v4_connect(), tcp_v4_err() (6.x).
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.dst import RTN_BROADCAST, RTN_MULTICAST, Refused, Route
from netsim.stack.errno import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EALREADY,
    EINVAL,
    EISCONN,
    ENETUNREACH,
    ENOPROTOOPT,
    ENOTCONN,
    EPIPE,
    Refusal,
)
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Rng, Routing
from netsim.stack.requests import DONE, Done, Socket
from netsim.stack.skb import IPPROTO_TCP, Skb
from netsim.stack.sockets.ports import Confirmation, Endings, Sender
from netsim.stack.sockets.tcp import sndbuf
from netsim.stack.sockets.tcp.accept import Acceptance
from netsim.stack.sockets.tcp.ack import AckInput
from netsim.stack.sockets.tcp.context import TcpContext
from netsim.stack.sockets.tcp.data import DataInput
from netsim.stack.sockets.tcp.demux import Demux
from netsim.stack.sockets.tcp.icmp import IcmpInput
from netsim.stack.sockets.tcp.input import TcpInput
from netsim.stack.sockets.tcp.listen import Handshakes, Listener
from netsim.stack.sockets.tcp.output import TcpOutput, path_mtu
from netsim.stack.sockets.tcp.probes import Probes
from netsim.stack.sockets.tcp.recovery import Recovery
from netsim.stack.sockets.tcp.reset import Stateless
from netsim.stack.sockets.tcp.secure import initial_sequence, timestamp_offset
from netsim.stack.sockets.tcp.sent import Sent
from netsim.stack.sockets.tcp.socket import TIMER_RETRANS, TcpSocket
from netsim.stack.sockets.tcp.state import (
    ABORT,
    ACTIVE_OPEN,
    CAN_RECEIVE,
    CAN_SEND,
    CLOSE_CALL,
    PASSIVE_OPEN,
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT2,
    TCP_LISTEN,
    TCP_SYN_RECV,
    TCP_SYN_SENT,
    TCP_TIME_WAIT,
    move,
)
from netsim.stack.sockets.tcp.timers import TcpClock
from netsim.stack.sockets.tcp.timewait import Resting
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import NS_PER_S, Ns
from netsim.wire.tcp import TCPHDR_SYN


class Tcp:
    """The TCP of one box."""

    def __init__(
        self, *, node: str, interfaces: Interfaces, sysctl: Sysctl, timers: Timers, outbox: Outbox, rng: Rng,
        routing: Routing, sender: Sender, neigh: Confirmation, endings: Endings,
    ) -> None:  # fmt: skip
        self._ctx = ctx = TcpContext()
        ctx.node, ctx.interfaces, ctx.sysctl, ctx.timers, ctx.outbox = node, interfaces, sysctl, timers, outbox
        ctx.rng, ctx.routing, ctx.sender, ctx.neigh, ctx.endings = rng, routing, sender, neigh, endings
        ctx.secret = rng.getrandbits(64)
        ctx.demux = Demux(sysctl.ipv4, rng)
        ctx.output, ctx.probes = TcpOutput(ctx), Probes(ctx)
        ctx.ack, ctx.recovery, ctx.clock = AckInput(ctx), Recovery(ctx), TcpClock(ctx)
        stateless = Stateless(ctx)
        self._data = DataInput(ctx)
        self._handshakes = Handshakes(ctx, stateless)
        acceptance = Acceptance(ctx, self._data)
        self._resting = Resting(ctx, self._handshakes, stateless, acceptance)
        self._input = TcpInput(ctx, self._handshakes, stateless, self._data, acceptance, self._resting)
        self._icmp = IcmpInput(ctx, self._handshakes)

    def deliver(self, skb: Skb, *, now: Ns) -> None:
        """Take a segment addressed to this box."""
        self._input.deliver(skb, now=now)

    def icmp_error(self, icmp_type: int, code: int, info: int, inner: bytes, *, now: Ns, offender: Ip = 0) -> None:
        """Take an ICMP error about a segment of ours, quoted in `inner` from its IP header on."""
        self._icmp.error(icmp_type, code, info, inner, offender, now=now)

    # Opening

    def open(self, fd: int, req: Socket, dev: Device | None) -> TcpSocket:
        """Make a socket."""
        sock = TcpSocket(self._ctx, fd)
        sock.dev, sock.ttl, sock.tos, sock.mark, sock.recverr = dev, req.ttl, req.tos, req.mark, req.recverr
        return sock

    def bind(self, sock: TcpSocket, addr: Ip, port: int) -> int | Refusal:
        """Bind to an address and port; port 0 picks one. Mirrors inet_csk_get_port()."""
        demux = self._ctx.demux
        if sock.state != TCP_CLOSE or sock.port:
            return Refusal(EINVAL)
        port = port or demux.free_port()
        if not port or demux.taken(sock, addr, port):
            return Refusal(EADDRINUSE)
        demux.bind(sock, addr, port)
        return port

    def listen(self, sock: TcpSocket, backlog: int) -> Done | Refusal:
        """Let a socket accept; again only changes the backlog. Mirrors inet_listen()."""
        if sock.state == TCP_LISTEN and sock.listener is not None:
            sock.listener.backlog = backlog
            return DONE
        if sock.state != TCP_CLOSE:
            return Refusal(EINVAL)
        if not sock.port:
            bound = self.bind(sock, sock.addr, 0)
            if isinstance(bound, Refusal):
                return bound
        if self._ctx.demux.taken(sock, sock.addr, sock.port):
            return Refusal(EADDRINUSE)
        sock.state = move(sock.state, PASSIVE_OPEN)
        sock.listener = Listener(backlog)
        self._ctx.demux.listen(sock)
        return DONE

    def accept(self, sock: TcpSocket) -> TcpSocket | None:
        """Take the oldest connection that waits, None when none does; the caller gives it its descriptor."""
        if sock.listener is None or not sock.listener.queue:
            return None
        return sock.listener.queue.popleft()

    def connect(self, sock: TcpSocket, addr: Ip, port: int, *, now: Ns) -> Done | Refusal:
        """Send the SYN. Mirrors tcp_v4_connect()."""
        if sock.state != TCP_CLOSE:
            return Refusal(EALREADY if sock.state in (TCP_SYN_SENT, TCP_SYN_RECV) else EISCONN)
        bound = (sock.addr, sock.port)
        sock.peer, sock.peer_port = addr, port
        route = self._name(sock, now)
        if isinstance(route, Refusal):
            sock.peer = sock.peer_port = 0
            sock.addr, sock.port = bound
            return route
        sock.route, sock.mtu = route, path_mtu(route)
        sock.state = move(sock.state, ACTIVE_OPEN)
        self._send_syn(sock, route, now)
        return DONE

    def _name(self, sock: TcpSocket, now: Ns) -> Route | Refusal:
        """Choose source address and port and file the connection; the route that all names together give.

        The kernel looks up three times: for the source, with it, and once more with the port it chose.
        """
        ctx = self._ctx
        route = self._look_up(sock, now)
        if isinstance(route, Refusal):
            return route
        if route.kind in (RTN_BROADCAST, RTN_MULTICAST):
            return Refusal(ENETUNREACH)
        if not sock.addr:
            sock.addr = route.src
            route = self._look_up(sock, now)
            if isinstance(route, Refusal):
                return route
        if not sock.port:
            sock.port = ctx.demux.free_port(connecting=sock.key)
            if not sock.port:
                return Refusal(EADDRNOTAVAIL)
            route = self._look_up(sock, now)
            if isinstance(route, Refusal):
                return route
        if not ctx.demux.connect(sock):
            return Refusal(EADDRNOTAVAIL)
        return route

    def _look_up(self, sock: TcpSocket, now: Ns) -> Route | Refusal:
        answer = self._ctx.routing.output(
            sock.peer, now=now, saddr=sock.addr, tos=sock.tos & 0x1C, oif=sock.dev, mark=sock.mark, proto=IPPROTO_TCP,
            sport=sock.port, dport=sock.peer_port,
        )  # fmt: skip
        if isinstance(answer, Refused):
            return Refusal(answer.errno)
        return Refusal(answer.error) if answer.error else answer

    def _send_syn(self, sock: TcpSocket, route: Route, now: Ns) -> None:
        """Mirrors tcp_connect()."""
        output = self._ctx.output
        sock.advmss = output.advertised_mss(route)
        sock.rcv.offer(sock.advmss)
        output.sync_mss(sock)
        sock.retrans_at = now
        sock.start_sequence(initial_sequence(self._ctx.secret, *sock.key, now))
        sock.ts_offset = timestamp_offset(self._ctx.secret, sock.addr, sock.peer)
        sock.rtx.push(Sent(sock.iss, sock.snd_nxt, TCPHDR_SYN, b"", now))
        output.transmit(sock, sock.iss, TCPHDR_SYN, b"", now=now)
        output.arm(sock, TIMER_RETRANS, sock.rtt.rto, now=now)

    # Octets

    def send(self, sock: TcpSocket, payload: bytes, *, now: Ns) -> int | Refusal:
        """Queue octets and send what may be sent; how many were taken, EAGAIN when there is no room.

        Mirrors tcp_sendmsg_locked().
        """
        if sock.errors:
            return Refusal(sock.errors.pop(0).errno)
        if sock.state not in CAN_SEND or sock.fin_queued:
            if sock.state in (TCP_SYN_SENT, TCP_SYN_RECV):
                sock.need_space = True
                return Refusal(EAGAIN)
            return Refusal(EPIPE)
        taken = 0
        while taken < len(payload):
            room = sndbuf.room(sock)
            if not room:
                sock.need_space = True
                return taken or Refusal(EAGAIN)
            part = bytes(payload[taken : taken + room])
            sock.enqueue(part)
            taken += len(part)
            self._ctx.output.push(sock, now=now, mark=taken == len(payload) or sndbuf.forces_push(sock))
        return taken

    def receive(self, sock: TcpSocket, limit: int, *, now: Ns) -> bytes | Refusal:
        """Hand out octets that wait; b"" after the peer's FIN, EAGAIN when none wait. Mirrors tcp_recvmsg_locked()."""
        if sock.rcv.queued:
            data = sock.rcv.take(limit)
            sock.rcv.right_size(now)
            if sock.state in CAN_RECEIVE or sock.state == TCP_CLOSE_WAIT:
                self._data.after_read(sock, len(data), now)
            return data
        if sock.errors:
            return Refusal(sock.errors.pop(0).errno)
        if sock.rcv_shutdown:
            return b""
        if sock.state in (TCP_CLOSE, TCP_LISTEN):
            return Refusal(ENOTCONN)
        return Refusal(EAGAIN)

    # Closing

    def shutdown(self, sock: TcpSocket, *, now: Ns) -> Done | Refusal:
        """Send FIN after what is queued. Mirrors tcp_shutdown()."""
        if sock.state in (TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT):
            return Refusal(ENOTCONN)
        self._send_fin(sock, now)
        return DONE

    def _send_fin(self, sock: TcpSocket, now: Ns) -> None:
        """Leave the states that may send. Mirrors tcp_close_state(), tcp_send_fin()."""
        if sock.state in (TCP_ESTABLISHED, TCP_SYN_RECV, TCP_CLOSE_WAIT):
            sock.state = move(sock.state, CLOSE_CALL)
            sock.fin_queued = True
            self._ctx.output.push(sock, now=now, nagle=False)

    def close(self, sock: TcpSocket, *, abort: bool, now: Ns) -> Done:
        """Let go of a socket; its connection ends by FIN, or by RST when `abort` or octets were left unread.

        Mirrors __tcp_close().
        """
        ctx = self._ctx
        if sock.state == TCP_LISTEN:
            self._stop_listening(sock, now)
            return DONE
        unread = sock.rcv.queued > 0
        sock.orphan = True
        sock.errors.clear()
        if sock.state == TCP_CLOSE:
            ctx.demux.forget(sock)
        elif sock.state == TCP_SYN_SENT:
            ctx.done(sock, CLOSE_CALL)
        elif sock.state != TCP_TIME_WAIT and (abort or unread):
            if sock.state in CAN_SEND or sock.state in CAN_RECEIVE or sock.state == TCP_SYN_RECV or unread:
                ctx.output.send_reset(sock, now=now)
            ctx.done(sock, ABORT)
        elif sock.state == TCP_FIN_WAIT2:
            self._resting.wait_for_fin(sock, now)
        else:
            self._send_fin(sock, now)
        return DONE

    def _stop_listening(self, sock: TcpSocket, now: Ns) -> None:
        """Reset what was never accepted, forget what is half open. Mirrors inet_csk_listen_stop()."""
        listener = sock.listener
        assert listener is not None
        for half in tuple(listener.half_open.values()):
            self._handshakes.forget(half)
        for child in listener.queue:
            self.close(child, abort=True, now=now)
        sock.listener = None
        self._ctx.done(sock, CLOSE_CALL)

    # Options

    def option(self, sock: TcpSocket, name: str, value: int, *, now: Ns) -> Done | Refusal:
        """Set an option: times in Ns, the rest as setsockopt() has it; ENOPROTOOPT for another name."""
        if name == "nodelay":
            sock.nodelay = bool(value)
            if value:
                self._ctx.output.push(sock, now=now)
        elif name == "keepalive":
            sock.keepalive = bool(value)
            if not value and sock.state != TCP_TIME_WAIT and not sock.orphan:
                sock.keep_alarm.off()
            elif value and sock.state not in (TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT):
                self._ctx.clock.start_keepalive(sock, now)
        elif name in ("keepidle", "keepintvl"):
            if not NS_PER_S <= value <= 32767 * NS_PER_S:
                return Refusal(EINVAL)
            setattr(sock, name, value)
            if name == "keepidle" and sock.keepalive and sock.state in CAN_SEND | CAN_RECEIVE:
                self._ctx.clock.start_keepalive(sock, now)
        elif name == "keepcnt":
            if not 1 <= value <= 127:
                return Refusal(EINVAL)
            sock.keepcnt = value
        elif name == "user_timeout":
            if value < 0:
                return Refusal(EINVAL)
            sock.user_timeout = value
        elif name == "rcvbuf":
            sock.rcv.lock(value)
        else:
            return Refusal(ENOPROTOOPT)
        return DONE
