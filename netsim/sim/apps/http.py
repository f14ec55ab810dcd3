"""HTTP: a request, a response of a size, one connection each. Source: RFC 9112, as little of it as a transfer needs."""

from __future__ import annotations

from netsim.sim.apps.stream import Story, Stream, StreamError
from netsim.sim.apps.tcp_flow import ConnectionFlow
from netsim.stack.errno import ECONNRESET
from netsim.trace.records import FlowDelivered

CHUNK = 65_536


class HttpFlow(ConnectionFlow):
    """GET /N?size=S; a unit is delivered when the whole response is here, its latency counted from the request."""

    def converse(self, stream: Stream, unit: int, conn: str) -> Story:
        """Ask, read the answer, and let the server close."""
        asked = self.world.env.now
        request = f"GET /{unit}?size={self.options.size} HTTP/1.1\r\nHost: netsim\r\nConnection: close\r\n\r\n"
        self.sent(unit, conn, len(request))
        yield from stream.write(request.encode())
        length = 0
        while line := (yield from stream.read_line()):
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        body = 0
        while octets := (yield from stream.read()):
            body += len(octets)
        if body < length or not length:
            raise StreamError(ECONNRESET)
        if FlowDelivered in self.world.bus.wanted:
            now = self.world.env.now
            self.world.bus.publish(FlowDelivered(now, self.name, self.node.name, unit, body, now - asked, conn))


def serve_http(stream: Stream) -> Story:
    """Answer one request with as many octets as its size= asks for, and close."""
    request = yield from stream.read_line()
    while (yield from stream.read_line()):
        pass
    _, _, tail = request.partition("size=")
    digits = tail.split(" ", 1)[0]
    size = int(digits) if digits.isdigit() else 0
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    yield from stream.write(head.encode())
    for at in range(0, size, CHUNK):
        yield from stream.write(bytes(min(CHUNK, size - at)))
    stream.shutdown()
    while (yield from stream.read()):
        pass
