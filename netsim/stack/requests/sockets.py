"""Socket calls as requests: what an application asks of its kernel.

What is made once a packet (Send, Datagram, Receive) is not frozen, though nobody changes it: frozen takes three times
as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip
from netsim.stack.requests.base import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket(Request[int]):
    """Open a socket and answer its descriptor. `kind`: "udp", "tcp", "raw" (with `protocol`), "ping".

    `dev` binds to a device, `ttl` and `tos` set the header, `df` path-MTU discovery (UDP default on), `recverr` asks
    for ICMP errors of an unconnected socket, `mark` is SO_MARK.
    """

    kind: str
    protocol: int = 0
    dev: str = ""
    ttl: int = 0
    tos: int = 0
    df: bool = True
    recverr: bool = False
    mark: int = 0
    uid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind(Request[int]):
    """Bind to an address (0 any) and port (0 picks one); answers the port."""

    fd: int
    addr: Ip = 0
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect(Request[Done]):
    """Set the peer; for TCP start the handshake (a Wake "connected" or "error" follows)."""

    fd: int
    addr: Ip
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen(Request[Done]):
    """Accept TCP connections."""

    fd: int
    backlog: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept(Request[int]):
    """Take an established connection off the queue; EAGAIN when there is none."""

    fd: int


@dataclass(slots=True, kw_only=True)
class Send(Request[int]):
    """Send octets, to `addr`:`port` where the socket has no peer; answers the octets taken. `confirm`: MSG_CONFIRM.

    `parent` is the uid of the frame this answers, 0 for none; `src` is the source of this datagram alone (IP_PKTINFO).
    """

    fd: int
    payload: bytes
    addr: Ip = 0
    port: int = 0
    confirm: bool = False
    parent: int = 0
    src: Ip = 0


@dataclass(slots=True, kw_only=True)
class Datagram:
    """One received datagram, or for raw and ping sockets one message (ports 0; payload from the ICMP header on)."""

    payload: bytes
    src: Ip
    sport: int
    dst: Ip
    dport: int
    ttl: int
    tos: int
    dev: str
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketError:
    """An error queued on a socket; `offender` is who reported it (0: this host), `dst` what was being reached."""

    errno: int
    offender: Ip
    dst: Ip
    dport: int
    icmp_type: int = -1
    icmp_code: int = 0
    payload: bytes = b""


@dataclass(slots=True, kw_only=True)
class Receive(Request["tuple[Datagram, ...] | bytes"]):
    """Take what waits: datagrams, or a TCP connection's octets (b"" after the peer's FIN, EAGAIN if none)."""

    fd: int
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeErrors(Request[tuple[SocketError, ...]]):
    """Take the errors that wait on a socket, oldest first."""

    fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketName(Request[tuple[Ip, int, Ip, int]]):
    """Answer local address and port, peer address and port (zeros where unset).

    An unbound datagram socket answers the source that routing chose for its last datagram.
    """

    fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown(Request[Done]):
    """Send FIN after what is queued; receiving goes on."""

    fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Request[Done]):
    """Close a socket; TCP goes through its closing states without it. `abort` sends RST."""

    fd: int
    abort: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOption(Request[Done]):
    """Set TCP options after opening: "keepalive" (0/1), "user_timeout" (Ns), "nodelay" (0/1), "rcvbuf" (octets)."""

    fd: int
    name: str
    value: int
