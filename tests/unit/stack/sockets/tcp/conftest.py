"""Two TCPs and a wire between them: literal delays, a script of losses, a log of segments as people read them.

    a 10.0.0.1 ---- Net (delay each way, rate, queue, a `fate` per packet) ---- b 10.0.0.2

Only TCP is real: routing, output and neighbours are a few lines of fake. tests/property loads this file by its path.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

import pytest

from netsim.addr import parse_ip
from netsim.stack.device import ETHER
from netsim.stack.dst import RTCF_LOCAL, RTN_LOCAL, RTN_UNICAST, Refused, Route
from netsim.stack.errno import Refusal
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.requests import Socket
from netsim.stack.skb import Skb
from netsim.stack.sockets.tcp import Tcp
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import NS_PER_S, ms, seconds
from netsim.wire.ipv4 import IP_DF, build_ipv4, parse_ipv4
from netsim.wire.tcp import build_options, build_tcp, option_octets, parse_options, parse_tcp
from netsim.wire.verify import verify

FLAG_LETTERS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x10, "."))


@dataclass(slots=True)
class Seen:
    """One packet as it left a host; sequence numbers relative to the first of each direction."""

    t: int
    src: str
    flags: str
    seq: int
    ack: int
    size: int
    window: int
    ident: int
    df: bool
    options: object
    octets: bytes

    @property
    def seconds(self):
        return round(seconds(self.t), 6)


class FakeRouting:
    def __init__(self, host):
        self.host = host
        self.generation = 1
        self.mtu = 0
        self.refuse = 0
        self.lookups = []

    def output(self, daddr, *, now, saddr=0, sport=0, dport=0, **_):
        self.lookups.append((saddr, sport, daddr, dport))
        if self.refuse:
            return Refused(self.refuse, "IP_OUTNOROUTES")
        route = Route(RTN_UNICAST, self.host.dev, 0, saddr or self.host.addr, 0, self.generation)
        route.mtu = self.mtu
        return route

    def address_type(self, ip, dev=None):
        return RTN_LOCAL if ip == self.host.addr else RTN_UNICAST


class Host:
    """One TCP with its surroundings. `drops` are (t, reason), `confirmed` instants, `wakes` (t, fd, event)."""

    def __init__(self, net, name, addr, seed, wants=frozenset()):
        self.net, self.name, self.addr = net, name, parse_ip(addr)
        self.sysctl = Sysctl()
        self.timers = Timers()
        self.outbox = Outbox(wants)
        self.interfaces = Interfaces(self.sysctl)
        self.dev = self.interfaces.add("eth0", ETHER, b"\2\0\0\0\0\1", 1500)
        self.routing = FakeRouting(self)
        self.rng = random.Random(seed)
        self.drops, self.confirmed, self.wakes, self.records = [], [], [], []
        self.handlers = {}
        self.sockets = {}
        self.tcp = Tcp(
            node=name, interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers, outbox=self.outbox,
            rng=self.rng, routing=self.routing, sender=self, neigh=self, endings=self,
        )  # fmt: skip

    # the fakes: Sender, Confirmation, Endings

    def build(self, route, saddr, daddr, proto, payload, *, tos=0, ttl=0, df=False, ident=None, parent=0):
        header = build_ipv4(
            saddr, daddr, proto, len(payload), tos=tos, ident=ident, frag_off=IP_DF if df else 0, ttl=ttl or 64
        )
        skb = Skb(bytearray(header + payload), None, 0, parent)
        skb.route = route
        return skb

    def send(self, skb, *, now):
        self.net.carry(self, bytes(skb.data), now)
        return 0

    def confirm(self, dev, ip, *, now):
        self.confirmed.append(now)

    def drop(self, skb, reason, *, now, detail=""):
        self.drops.append((now, reason))

    def consumed(self, skb, *, now):
        pass

    # calls of an application

    def socket(self, **options):
        fd = len(self.sockets) + 3
        self.sockets[fd] = self.tcp.open(fd, Socket(kind="tcp", **options), None)
        return self.sockets[fd]

    def listen(self, port=80, backlog=128):
        sock = self.socket()
        assert self.tcp.bind(sock, 0, port) == port
        assert not isinstance(self.tcp.listen(sock, backlog), Refusal)
        return sock

    def connect(self, peer, port=80, sport=0, **options):
        sock = self.socket(**options)
        if sport:
            self.tcp.bind(sock, 0, sport)
        answer = self.tcp.connect(sock, peer.addr, port, now=self.net.now)
        assert not isinstance(answer, Refusal), answer
        return sock

    def accept(self, listener):
        sock = self.tcp.accept(listener)
        assert sock is not None
        sock.fd = len(self.sockets) + 3
        self.sockets[sock.fd] = sock
        return sock

    def write(self, sock, payload):
        answer = self.tcp.send(sock, payload, now=self.net.now)
        self.pump()
        return answer

    def read(self, sock, limit=0):
        answer = self.tcp.receive(sock, limit, now=self.net.now)
        self.pump()
        return answer

    def shutdown(self, sock):
        return self.tcp.shutdown(sock, now=self.net.now)

    def close(self, sock, abort=False):
        return self.tcp.close(sock, abort=abort, now=self.net.now)

    def receive(self, octets, uid):
        skb = Skb(bytearray(octets), self.dev, uid)
        route = Route(RTN_LOCAL, self.dev, 0, self.addr, RTCF_LOCAL, 1)
        skb.route = route
        self.tcp.deliver(skb, now=self.net.now)
        self.pump()

    def pump(self):
        """Hand wake-ups to the handlers of their sockets."""
        while self.outbox.wakes:
            wakes, self.outbox.wakes = self.outbox.wakes, []
            for wake in wakes:
                self.wakes.append((self.net.now, wake.fd, wake.event))
                handler = self.handlers.get(wake.fd)
                if handler is not None:
                    handler(wake.event)
        self.records += self.outbox.records
        self.outbox.records.clear()

    def events(self, sock):
        return [(seconds(t), event) for t, fd, event in self.wakes if fd == sock.fd]


class Net:
    """Time, the two hosts and the wire. `fate(n, seen)` answers "" (passes), "lose", "twice", or extra delay in Ns."""

    def __init__(self, *, delay=1_000_000, rate=0, queue=1000, seed=1, wants=frozenset()):
        self.now = 0
        self.delay, self.rate, self.queue = delay, rate, queue
        self.a = Host(self, "a", "10.0.0.1", seed * 2 + 1, wants)
        self.b = Host(self, "b", "10.0.0.2", seed * 2 + 2, wants)
        self.log = []
        self.fate = lambda n, seen: ""
        self.busy = {"a": 0, "b": 0}
        self.first = {}
        self.lost = 0
        self.keep_log = True
        self._events = []
        self._n = 0

    def at(self, t, fn):
        self._n += 1
        heapq.heappush(self._events, (t, self._n, fn))

    def carry(self, host, octets, now):
        seen = self._note(host, octets, now)
        fate = self.fate(len(self.log), seen)
        if fate == "lose":
            self.lost += 1
            return
        start = now
        if self.rate:
            start = max(now, self.busy[host.name])
            size = (len(octets) + 14) * 8 * NS_PER_S // self.rate
            if start - now > self.queue * 1514 * 8 * NS_PER_S // self.rate:
                self.lost += 1
                return
            start += size
            self.busy[host.name] = start
        other = self.b if host is self.a else self.a
        extra = fate if isinstance(fate, int) else 0
        self._n += 1
        uid = self._n
        self.at(start + self.delay + extra, lambda: other.receive(octets, uid))
        if fate == "twice":
            self.at(start + self.delay + ms(2), lambda: other.receive(octets, uid))

    def _note(self, host, octets, now):
        if not self.keep_log and self.log:
            self.log.append(None)
            return None
        assert verify(octets) == ""
        ip = parse_ipv4(octets)
        tcp = parse_tcp(octets, 20)
        flags = "".join(letter for bit, letter in FLAG_LETTERS if tcp.flags & bit)
        mine = self.first.setdefault((host.name, tcp.sport, tcp.dport), tcp.seq)
        other = self.b if host is self.a else self.a
        theirs = self.first.get((other.name, tcp.dport, tcp.sport), tcp.ack)
        seen = Seen(
            now, host.name, flags, (tcp.seq - mine) & 0xFFFFFFFF,
            (tcp.ack - theirs) & 0xFFFFFFFF if tcp.flags & 16 else 0,
            len(octets) - 20 - tcp.doff, tcp.window, ip.id, bool(ip.frag_off & IP_DF),
            parse_options(option_octets(octets, 20)), octets,
        )  # fmt: skip
        self.log.append(seen)
        return seen

    def run(self, until=None):
        """Run to an instant, or until nothing is left to happen."""
        while True:
            times = [t for t in (self.a.timers.next(), self.b.timers.next()) if t is not None]
            if self._events:
                times.append(self._events[0][0])
            if not times or (until is not None and min(times) > until):
                break
            self.now = min(times)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            for host in (self.a, self.b):
                host.timers.run(self.now)
                host.pump()
        if until is not None:
            self.now = until

    def open(self, port=80, **options):
        """Connect a to b; the connected socket and the accepted one, a little after the handshake."""
        listener = self.b.listen(port)
        client = self.a.connect(self.b, port, **options)
        self.run(self.now + 3 * self.delay + ms(1))
        return client, self.b.accept(listener)

    def sent(self, src, *, data=False):
        return [seen for seen in self.log if seen.src == src and (seen.size or not data)]

    def times(self, src, *, data=True, flags=None):
        return [s.seconds for s in self.sent(src) if (s.size or not data) and (flags is None or s.flags == flags)]


class Drain:
    """An application that reads whatever comes; `data`, and `ended` once the peer's FIN was read."""

    def __init__(self, host, sock):
        self.host, self.sock = host, sock
        self.pieces = []
        self.ended = False
        self.ended_at = None
        host.handlers[sock.fd] = self.news
        self.news("readable")

    @property
    def data(self):
        return b"".join(self.pieces)

    def news(self, event):
        while event == "readable" and not self.ended:
            piece = self.host.read(self.sock)
            if isinstance(piece, Refusal):
                return
            if not piece:
                self.ended = True
                self.ended_at = self.host.net.now
                return
            self.pieces.append(piece)


class Feed:
    """An application that writes `data` as room comes, then sends FIN."""

    def __init__(self, host, sock, data, *, fin=True):
        self.host, self.sock, self.data, self.fin = host, sock, data, fin
        self.at = 0
        host.handlers[sock.fd] = self.news
        self.news("writable")

    def news(self, event):
        if event not in ("writable", "connected"):
            return
        while self.at < len(self.data):
            taken = self.host.write(self.sock, self.data[self.at : self.at + 262_144])
            if isinstance(taken, Refusal):
                return
            self.at += taken
        if self.fin and not isinstance(self.host.shutdown(self.sock), Refusal):
            self.fin = False


class Both:
    """Drain and Feed on one socket."""

    def __init__(self, host, sock, data):
        self.drain, self.feed = Drain.__new__(Drain), Feed.__new__(Feed)
        self.drain.host = self.feed.host = host
        self.drain.sock = self.feed.sock = sock
        self.drain.pieces, self.drain.ended, self.drain.ended_at = [], False, None
        self.feed.data, self.feed.fin, self.feed.at = data, True, 0
        host.handlers[sock.fd] = self.news
        for event in ("readable", "writable"):
            self.news(event)

    def news(self, event):
        self.drain.news(event)
        self.feed.news(event)

    @property
    def data(self):
        return self.drain.data

    @property
    def ended(self):
        return self.drain.ended


class Script:
    """A peer of host a that says what the test says, in numbers relative to both first ones; b hears nothing.

    Its own stamps are milliseconds since 0, if `stamps`; it echoes the last stamp that was `heard`.
    """

    def __init__(self, net, *, port=80, ours=0, stamps=False):
        self.net, self.port, self.ours, self.stamps = net, port, ours, stamps
        self.isn = self.echo = 0
        net.fate = lambda n, seen: "lose"

    def called(self, **options):
        """Let a call, and hear its SYN, which is not answered."""
        self.sock = self.net.a.connect(self.net.b, self.port, **options)
        self.ours, self.isn = self.sock.port, self.sock.iss
        self.heard()
        return self

    def answer(self, *, round_trip=50_000_000, window=65_535, **offered):
        """Let a call, and answer."""
        self.called()
        self.net.run(self.net.now + round_trip)
        self.say("S.", 0, 1, window, mss=1460, **offered)
        self.net.log.clear()
        return self

    def say(self, flags, seq, ack, window=65_535, payload=b"", *, tsval=None, tsecr=None, sack=(), **options):
        """Send a segment to a, now."""
        bits = sum(bit for bit, letter in FLAG_LETTERS if letter in flags)
        stamp = None
        if self.stamps:
            tsval = self.net.now // ms(1) if tsval is None else tsval
            stamp = (tsval, self.echo if tsecr is None else tsecr)
        blocks = [((self.isn + left) & 0xFFFFFFFF, (self.isn + right) & 0xFFFFFFFF) for left, right in sack]
        opts = build_options(timestamp=stamp, sack=blocks, **options)
        a, b = self.net.a.addr, self.net.b.addr
        message = build_tcp(
            b, a, self.port, self.ours, 1000 + seq, (self.isn + ack) & 0xFFFFFFFF, bits, window, payload, opts
        )
        self.net.a.receive(build_ipv4(b, a, 6, len(message)) + message, 1)

    def heard(self, span=0):
        """Let time pass, and return what a sent since this was last asked: (flags, seq, size, ack)."""
        self.net.run(self.net.now + span)
        log, self.net.log = self.net.log, []
        for seen in log:
            if self.stamps and seen.options.timestamp:
                self.echo = seen.options.timestamp[0]
            if seen.flags == "S.":
                self.isn = int.from_bytes(seen.octets[24:28], "big")
        return [(s.flags, s.seq, s.size, (int.from_bytes(s.octets[28:32], "big") - 1000) & 0xFFFFFFFF) for s in log]


def text(log):
    """Print a log like tcpdump, for people."""
    return "\n".join(
        f"{s.seconds:10.6f} {s.src} [{s.flags}] seq {s.seq}:{s.seq + s.size} ack {s.ack} win {s.window} "
        f"{s.options.sack or ''}"
        for s in log
    )


@pytest.fixture
def net():
    return Net()


@pytest.fixture
def make_net():
    return Net


@pytest.fixture
def drain():
    return Drain


@pytest.fixture
def feed():
    return Feed


@pytest.fixture
def script():
    return Script


__all__ = ["Drain", "Feed", "Net", "Script", "text"]
