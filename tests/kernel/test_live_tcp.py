"""The emulated TCP in conversation with the running kernel's: contents equal, connections closed in order.

Issue, step 11: "1,000 transfers of random sizes under loss, reordering and duplication". NETSIM_TRANSFERS asks for
another number. The capture is kept in the test's folder where something went wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import deque

import pytest

from netsim.addr import parse_ip
from netsim.errors import Skipped
from netsim.kernel.lateness import Lateness
from netsim.kernel.probe import require
from netsim.live.world import LiveLab, LiveWorld
from netsim.observe.capture import Capture, resolve_points
from netsim.scenario.model import Live
from netsim.seeds import Seed
from netsim.sim.apps.stream import Acceptor, Stream, StreamError
from netsim.topology.model import Topology
from netsim.units import ms, sec

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]
TRANSFERS = int(os.environ.get("NETSIM_TRANSFERS", "1000"))
AT_ONCE = 40
LONGEST = 60_000
FIRST_PORT = 61_000
"""Above what clients choose, and where tshark knows no protocol: random octets look like many."""
ADDRESS = {"emulated": "10.0.0.1", "real": "10.0.0.2"}

RENO = {"net.ipv4.tcp_congestion_control": "reno"}  # whatever the machine's own default is
WORLD = Topology.model_validate({
    "nodes": {
        "emulated": {"addr": {"eth0": ["10.0.0.1/24"]}}, "real": {"addr": {"eth0": ["10.0.0.2/24"]}, "sysctl": RENO}
    },
    "links": {
        "cable": {
            "ends": ["emulated:eth0", "real:eth0"], "delay": "3ms", "loss": "2%", "reorder": "2%", "duplicate": "2%",
            "queue": 10_000,
        }
    },
})  # fmt: skip


class Exchange:
    """One connection: a request of random octets, then as random an answer, each ended by a FIN."""

    def __init__(self, number):
        draw = random.Random(number)
        self.client, self.server = ("emulated", "real") if number % 2 else ("real", "emulated")
        self.port = FIRST_PORT + number
        self.question = draw.randbytes(1 + int(LONGEST ** draw.random()))
        self.answer = draw.randbytes(1 + int(LONGEST ** draw.random()))
        self.heard = self.got = b""
        self.broken = ""
        self.done = False

    def serve(self, stream):
        self.heard = yield from everything(stream)
        yield from stream.write(self.answer)
        stream.shutdown()
        yield from everything(stream)

    def ask(self, node):
        stream = Stream.open(node)
        try:
            stream.begin(parse_ip(ADDRESS[self.server]), self.port)
            yield from stream.established()
            yield from stream.write(self.question)
            stream.shutdown()
            self.got = yield from everything(stream)
        except StreamError as error:
            self.broken = str(error)
        stream.close()
        self.done = True

    @property
    def whole(self):
        return self.done and not self.broken and self.heard == self.question and self.got == self.answer


def everything(stream):
    parts = []
    while octets := (yield from stream.read()):
        parts.append(octets)
    return b"".join(parts)


@pytest.fixture
def exchanges(tmp_path):
    try:
        require()
    except Skipped as skipped:
        pytest.skip(str(skipped))
    made = [Exchange(number) for number in range(TRANSFERS)]
    waiting = deque(made)
    world = LiveWorld(Seed(1), {"real": Live(namespace="auto")}, Lateness())
    with (tmp_path / "capture.pcapng").open("wb") as file:
        captures = []

        def listen(bus):
            captures.append(Capture(bus, resolve_points(["emulated:eth0"], {}), file=file, lookups=False))

        with LiveLab(WORLD, bus_ready=listen, world=world) as lab:

            def one_after_another():
                while waiting:
                    exchange = waiting.popleft()
                    acceptor = Acceptor(world.nodes[exchange.server], exchange.port, exchange.serve)
                    yield from exchange.ask(world.nodes[exchange.client])
                    acceptor.close()

            lanes = [world.env.process(one_after_another()) for _ in range(AT_ONCE)]
            until = 0
            while not all(lane.processed for lane in lanes) and until < sec(400):
                until += ms(500)
                lab.run(until=until)
            lab.run(until=until + sec(2))  # the last FINs
        captures[0].close()
    return made


def test_a_thousand_transfers_both_ways_are_whole_and_closed_in_order(exchanges, tmp_path):
    broken = [(n, each.broken or "not equal") for n, each in enumerate(exchanges) if not each.whole]
    assert broken == []
    tshark = shutil.which("tshark")
    if tshark is None:
        return
    capture = str(tmp_path / "capture.pcapng")
    checks = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")

    def seen(filter_, *fields):
        shown = [word for field in fields for word in ("-e", field)]
        command = [tshark, "-r", capture, *checks, "-Y", filter_, "-T", "fields", *(shown or ["-e", "frame.number"])]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    wrong = '(_ws.malformed || _ws.expert.severity == "Error" || tcp.checksum.status == "Bad")'
    assert len(seen("tcp && ip.src == 10.0.0.1")) > len(exchanges)
    assert seen(f"{wrong} && ip.src == 10.0.0.1") == []  # the kernel's own frames may carry 0xffff for a sum of 0
    ended = {}
    for line in seen("tcp.flags.fin == 1 || tcp.flags.reset == 1", "tcp.stream", "ip.src", "tcp.flags.fin"):
        stream, source, fin = line.split()
        if fin in ("1", "True"):
            ended.setdefault(stream, set()).add(source)
        else:  # a duplicate that comes when all is over is reset; nothing else may be
            assert len(ended.get(stream, ())) == 2, f"tcp.stream {stream} was reset before both had ended"
    assert sum(len(sides) == 2 for sides in ended.values()) == len(exchanges)
