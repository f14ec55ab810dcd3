"""FTP: a control connection and one data transfer, active or passive. Source: RFC 959 sections 4, 5.4.

What NAT helpers must rewrite is what real clients and servers write: PORT h,h,h,h,p,p and 227 (h,h,h,h,p,p).
"""

from __future__ import annotations

import re
from types import MappingProxyType

import simpy

from netsim.addr import Ip, parse_ip
from netsim.sim.apps.stream import Acceptor, Story, Stream, StreamError
from netsim.sim.apps.tcp_flow import ConnectionFlow
from netsim.stack.errno import ECONNRESET
from netsim.trace.records import FlowDelivered

CHUNK = 65_536
_ANSWERS = MappingProxyType({"USER": "331 Any password.", "PASS": "230 Logged in.", "QUIT": "221 Goodbye."})
_ADDRESS = re.compile(r"(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)")


def endpoint_text(addr: str, port: int) -> str:
    """Write an endpoint as PORT and 227 have it."""
    return f"{addr.replace('.', ',')},{port >> 8},{port & 255}"


def parse_endpoint(text: str) -> tuple[Ip, int] | None:
    """Read an endpoint out of a PORT command or a 227 reply."""
    match = _ADDRESS.search(text)
    if match is None:
        return None
    a, b, c, d, high, low = match.groups()
    return parse_ip(f"{a}.{b}.{c}.{d}"), int(high) << 8 | int(low)


class FtpFlow(ConnectionFlow):
    """A session fetches one file of `size` octets; the unit is delivered when all of it and the 226 are here."""

    def converse(self, stream: Stream, unit: int, conn: str) -> Story:
        """Log in, arrange the data connection, fetch, quit."""
        asked = self.world.env.now
        yield from self._reply(stream, "220")
        for command, code in (("USER anonymous", "331"), ("PASS netsim@", "230"), ("TYPE I", "200")):
            yield from self._command(stream, command, code)
        fetch = f"RETR {self.options.size}.bin"
        self.sent(unit, conn, len(fetch))
        octets = yield from (self._passive if self.options.mode == "passive" else self._active)(stream, conn, fetch)
        yield from self._reply(stream, "226")
        yield from self._command(stream, "QUIT", "221")
        if octets < self.options.size:
            raise StreamError(ECONNRESET)
        if FlowDelivered in self.world.bus.wanted:
            now = self.world.env.now
            self.world.bus.publish(FlowDelivered(now, self.name, self.node.name, unit, octets, now - asked, conn))

    def _command(self, stream: Stream, command: str, code: str) -> Story:
        yield from stream.write(f"{command}\r\n".encode())
        return (yield from self._reply(stream, code))

    @staticmethod
    def _reply(stream: Stream, code: str) -> Story:
        line = yield from stream.read_line()
        if not line.startswith(code):
            raise StreamError(ECONNRESET)
        return line

    def _passive(self, stream: Stream, conn: str, fetch: str) -> Story:
        """Connect to where the server listens."""
        line = yield from self._command(stream, "PASV", "227")
        endpoint = parse_endpoint(line)
        if endpoint is None:
            raise StreamError(ECONNRESET)
        options = self.options
        data = Stream.open(self.node, src=options.src, dev=options.dev, ttl=options.ttl, tos=options.tos)
        data.begin(*endpoint)
        yield from stream.write(f"{fetch}\r\n".encode())
        yield from data.established()
        yield from self._reply(stream, "150")
        return (yield from self._drain(data))

    def _active(self, stream: Stream, conn: str, fetch: str) -> Story:
        """Listen, and let the server connect."""
        arrived = self.world.env.event()
        got: list[int] = []

        def take(data: Stream) -> Story:
            got.append((yield from self._drain(data, close=False)))
            arrived.succeed()

        acceptor = Acceptor(self.node, 0, take)
        try:
            here = conn.partition(":")[0]
            yield from self._command(stream, f"PORT {endpoint_text(here, acceptor.port)}", "200")
            yield from self._command(stream, fetch, "150")
            yield arrived
        finally:
            acceptor.close()
        return got[0]

    @staticmethod
    def _drain(data: Stream, *, close: bool = True) -> Story:
        octets = 0
        while chunk := (yield from data.read()):
            octets += len(chunk)
        if close:
            data.close()
        return octets


def serve_ftp(stream: Stream) -> Story:
    """Serve one control connection: files called SIZE.bin, passive and active transfers."""
    session = _Session(stream)
    yield from stream.write(b"220 netsim FTP\r\n")
    while line := (yield from stream.read_line()):
        verb, _, argument = line.partition(" ")
        yield from session.obey(verb.upper(), argument)
        if verb.upper() == "QUIT":
            break
    stream.shutdown()


class _Session:
    """What a server remembers between commands: where the next data connection comes from or goes to."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._target: tuple[Ip, int] | None = None
        self._acceptor: Acceptor | None = None
        self._accepted: simpy.Event | None = None

    def obey(self, verb: str, argument: str) -> Story:
        """Carry out one command and answer it."""
        if verb == "PASV":
            self._accepted = self._stream.node.world.env.event()
            self._acceptor = Acceptor(self._stream.node, 0, self._take)
            here = self._stream.conn.partition(":")[0]
            where = endpoint_text(here, self._acceptor.port)
            yield from self._say(f"227 Entering Passive Mode ({where}).")
        elif verb == "PORT":
            self._target = parse_endpoint(argument)
            yield from self._say("200 PORT command successful.")
        elif verb == "RETR":
            yield from self._send_file(int(argument.partition(".")[0] or 0))
        else:
            yield from self._say(_ANSWERS.get(verb, "200 Done."))

    def _say(self, line: str) -> Story:
        yield from self._stream.write(f"{line}\r\n".encode())

    def _take(self, data: Stream) -> Story:
        """Hand an accepted data connection to the transfer, and keep it until the peer has closed."""
        if self._accepted is not None and not self._accepted.triggered:
            self._accepted.succeed(data)
        while (yield from data.read()):
            pass

    def _send_file(self, size: int) -> Story:
        """Send a file over the data connection that PORT or PASV arranged."""
        if self._target is not None:
            here = self._stream.conn.partition(":")[0]
            data = Stream.open(self._stream.node, src=parse_ip(here))  # the address that the client knows
            data.begin(*self._target)
            yield from data.established()
        elif self._accepted is not None:
            data = yield self._accepted
        else:
            yield from self._say("425 Use PORT or PASV first.")
            return
        yield from self._say("150 Opening data connection.")
        for at in range(0, size, CHUNK):
            yield from data.write(bytes(min(CHUNK, size - at)))
        data.shutdown()
        yield from self._say("226 Transfer complete.")
        if self._acceptor is not None:
            self._acceptor.close()
        if self._target is not None:
            while (yield from data.read()):
                pass
            data.close()
        self._target = self._acceptor = self._accepted = None
