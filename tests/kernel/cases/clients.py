"""Two applications with a life of their own: iputils' ping, and the recorder's TCP client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netsim.addr import ip_str, parse_ip
from netsim.stack.errno import NAMES, STRERROR, Refusal
from netsim.stack.requests import Bind, Close, Connect, Receive, Send, Socket, SocketName, SocketOption, TakeErrors
from netsim.units import NS_PER_S
from netsim.wire.checksum import checksum

if TYPE_CHECKING:
    from .verbs import Verbs

LETTERS = b"abcdefghijklmnopqrstuvwxyz" * 60


def ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


class Ping:
    """iputils ping -n: one socket, `count` echoes, the lines it prints (times as "time=")."""

    def __init__(
        self, verbs: Verbs, node: str, args: list[str], say: Callable[[str], None], end: Callable[[int], None]
    ) -> None:
        self.verbs, self.node, self.say, self.end = verbs, node, say, end
        self.count, self.interval, self.wait, self.size = 0, 1.0, 10.0, 56
        self.complaints: list[str] = []
        self.pace: list[float] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-"):
                self.target = word
            elif word[1] in "ciWs":
                value = word[2:] or rest.pop(0)
                setattr(self, {"c": "count", "i": "interval", "W": "wait", "s": "size"}[word[1]], float(value))
        self.sent = self.received = self.failed = 0
        self.over = False

    def start(self) -> None:
        """Ask for the way first, as ping's probe socket does, and send."""
        box = self.verbs._node(self.node)
        probe = box.request(Socket(kind="udp"))
        answer = box.request(Connect(fd=probe, addr=parse_ip(self.target), port=1025))
        box.request(Close(fd=probe))
        if isinstance(answer, Refusal):
            text = {"EACCES": "Do you want to ping broadcast? Then -b. If not, check your local firewall rules"}
            what = text.get(answer.name, f"connect: {answer.strerror}")
            self.complaints.append(f"ping: {what}\n")
            self.end(2)
            return
        self.fd = self.verbs._open(self.node, "ping", {})
        box.listen(self.fd, self._news)
        self.say(f"PING {self.target} ({self.target}) {self.size:.0f}({self.size + 28:.0f}) bytes of data.")
        self._send()

    def _send(self) -> None:
        if self.over:
            return
        self.sent += 1
        payload = LETTERS[: int(self.size)]
        self.verbs._node(self.node).request(Send(fd=self.fd, payload=payload, addr=parse_ip(self.target)))
        if self.sent < self.count:
            self.verbs._after(self.pace[self.sent - 1] if self.pace else self.interval, self._send)
        else:
            self.verbs._after(self.wait, self._finish)

    def _news(self, event: str) -> None:
        box = self.verbs._node(self.node)
        for error in box.request(TakeErrors(fd=self.fd)):
            words = {"EHOSTUNREACH": "Destination Host Unreachable"}.get(NAMES[error.errno], NAMES[error.errno])
            self.failed += 1
            self.say(f"From {ip_str(error.offender)} icmp_seq={self.failed} {words}")
        for got in box.request(Receive(fd=self.fd)):
            self.received += 1
            self.say(f"{len(got.payload)} bytes from {ip_str(got.src)}: icmp_seq={echo_fields(got.payload)[1]} "
                     f"ttl={got.ttl} time=")  # fmt: skip
        if self.received + self.failed >= self.count == self.sent:
            self._finish()

    def _finish(self) -> None:
        if self.over:
            return
        self.over = True
        self.verbs._close(self.node, self.fd)
        lost = 100 * (self.sent - self.received) // self.sent
        errors = f" +{self.failed} errors," if self.failed else ""
        self.say("")
        self.say(f"--- {self.target} ping statistics ---")
        self.say(f"{self.sent} packets transmitted, {self.received} received,{errors} {lost}% packet loss, time ")
        self.say("rtt " if self.received else "")
        self.end(0 if self.received else 1)


class Conversation:
    """The recorder's TCP client: messages at a period, whatever comes back, then a close as told."""

    def __init__(self, verbs: Verbs, node: str, o: dict[str, Any]) -> None:
        self.verbs, self.node, self.o = verbs, node, o
        self.id = o.get("id", "c")
        self.box = verbs._node(node)
        self.buffer = b""
        self.up = self.over = False

    def log(self, kind: str, **facts: Any) -> None:
        self.verbs.play.log(kind, self.node, id=self.id, **facts)

    def start(self) -> None:
        """Connect."""
        o = self.o
        self.fd = self.verbs._open(self.node, "tcp", o)
        self.box.request(SocketOption(fd=self.fd, name="nodelay", value=1))
        if o.get("user_timeout"):
            self.box.request(SocketOption(fd=self.fd, name="user_timeout", value=ns(o["user_timeout"])))
        if o.get("src") or o.get("sport"):
            self.box.request(Bind(fd=self.fd, addr=parse_ip(o.get("src", "0.0.0.0")), port=o.get("sport", 0)))
        self.log("tcp_connect", dst=f"{o['dst']}:{o['dport']}")
        self.box.listen(self.fd, self._news)
        answer = self.box.request(Connect(fd=self.fd, addr=parse_ip(o["dst"]), port=o["dport"]))
        if isinstance(answer, Refusal):
            self._fail(answer.name)
        else:
            self.verbs._after(o.get("timeout", 10), lambda: self.up or self._fail("timeout"))

    def _fail(self, name: str) -> None:
        if not self.over:
            self.over = True
            self.log("tcp_fail", err=name)
            self.verbs._close(self.node, self.fd)

    def _news(self, event: str) -> None:
        if self.over:
            return
        if event == "error":
            self._failed(self.box.request(TakeErrors(fd=self.fd)))
            return
        if not self.up and event == "connected":
            self.up = True
            local, port, _, _ = self.box.request(SocketName(fd=self.fd))
            self.log("tcp_up", local=f"{ip_str(local)}:{port}")
            self._write(0)
            span = self.o.get("hold", 0.5) + self.o.get("period", 0.2) * self.o.get("count", 1)
            self.verbs._after(span, self._close)
        self._read()

    def _failed(self, errors: Any) -> None:
        """Take an error; one that ICMP brought during the handshake waits in the error queue as well."""
        if not errors:
            self._read()
        elif self.up:
            self.log("tcp_err", err=NAMES[errors[0].errno], text=STRERROR[errors[0].errno])
            self._close()
        else:
            self.verbs.note_errors([e for e in errors if e.icmp_type >= 0], self.node, "tcp", self.o)
            self._fail(NAMES[errors[0].errno])

    def _read(self) -> None:
        while not self.over:
            data = self.box.request(Receive(fd=self.fd))
            if isinstance(data, Refusal):
                if data.name not in ("EAGAIN", "ENOTCONN"):
                    self._error(data)
                return
            if not data:
                self.log("tcp_eof")
                self._close()
                return
            self.buffer += data
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                self.log("tcp_rx", k=line.decode())

    def _error(self, refusal: Refusal) -> None:
        if not self.up:
            self._fail(refusal.name)
            return
        self.log("tcp_err", err=refusal.name, text=refusal.strerror)
        self._close()

    def _write(self, k: int) -> None:
        if self.over:
            return
        answer = self.box.request(Send(fd=self.fd, payload=b"m%05d\n" % k))
        if isinstance(answer, Refusal):
            self._error(answer)
            return
        self.log("tcp_tx", k=k)
        if k + 1 < self.o.get("count", 1):
            self.verbs._after(self.o.get("period", 0.2), lambda: self._write(k + 1))

    def _close(self) -> None:
        if self.over:
            return
        self.over = True
        how = self.o.get("close", "fin")
        if how != "hold":
            self.verbs._close(self.node, self.fd, abort=how == "rst")
        self.log("tcp_close", how=how)


def echo(ident: int, seq: int, data: bytes) -> bytes:
    """Return an echo request message."""
    head = bytes((8, 0, 0, 0)) + ident.to_bytes(2, "big") + seq.to_bytes(2, "big")
    total = checksum(head + data)
    return head[:2] + total.to_bytes(2, "big") + head[4:] + data


def echo_fields(message: bytes) -> tuple[int, int]:
    """Return id and sequence number of an echo message."""
    return message[4] << 8 | message[5], message[6] << 8 | message[7]
