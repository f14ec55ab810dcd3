"""TCP delivers what was sent, whatever the wire does: loss, reordering, duplication, sizes, missing options."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.stack.sockets.tcp.state import TCP_CLOSE, TCP_TIME_WAIT
from netsim.units import ms, sec

HARNESS = Path(__file__).parents[1] / "unit" / "stack" / "sockets" / "tcp" / "conftest.py"


def load_harness():
    spec = importlib.util.spec_from_file_location("tcp_harness", HARNESS)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tcp_harness"] = module
    spec.loader.exec_module(module)
    return module


harness = load_harness()

wires = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "loss": st.sampled_from([0, 0, 0.01, 0.05, 0.2]),
        "twice": st.sampled_from([0, 0, 0.05]),
        "late": st.sampled_from([0, 0, 0.05, 0.3]),
        "delay": st.sampled_from([ms("0.1"), ms(5), ms(40)]),
        "rate": st.sampled_from([0, 1_000_000, 100_000_000]),
    }
)
switches = st.fixed_dictionaries(
    {name: st.sampled_from([1, 1, 1, 0]) for name in ("tcp_sack", "tcp_timestamps", "tcp_window_scaling")}
)
sizes = st.one_of(st.integers(0, 4_000), st.integers(0, 60_000), st.sampled_from([1448, 1460, 14_480, 100_000]))


def bad_wire(wire):
    """Build the net, and the fate of each packet from the example's own seed."""
    net = harness.Net(delay=wire["delay"], rate=wire["rate"], seed=wire["seed"])
    draw = random.Random(wire["seed"])

    def fate(n, seen):
        if draw.random() < wire["loss"]:
            return "lose"
        if draw.random() < wire["twice"]:
            return "twice"
        if draw.random() < wire["late"]:
            return draw.randrange(0, ms(30))
        return ""

    net.fate = fate
    return net


def counters_follow_marks(sock):
    rtx = sock.rtx
    live = rtx._segments[rtx._head :]
    assert rtx.packets_out == len(live)
    assert rtx.lost_out == sum(sent.lost for sent in live)
    assert rtx.retrans_out == sum(sent.retrans for sent in live)
    if sock.options.sack:
        assert rtx.sacked_out == sum(sent.sacked for sent in live)
    assert rtx.in_flight >= 0
    assert sock.cc.cwnd >= 1


@pytest.mark.slow
@settings(max_examples=1000)
@given(wire=wires, here=switches, there=switches, request=sizes, response=sizes)
def test_both_directions_deliver_identical_octets_and_both_ends_finish(wire, here, there, request, response):
    net = bad_wire(wire)
    for host, switch in ((net.a, here), (net.b, there)):
        for name, value in switch.items():
            setattr(host.sysctl.ipv4, name, value)
    listener = net.b.listen()
    served = []

    def accepted(event):
        sock = net.b.accept(listener)
        served.append((sock, harness.Both(net.b, sock, random.Random(2).randbytes(response))))

    net.b.handlers[listener.fd] = accepted
    client = net.a.connect(net.b)
    mine = harness.Both(net.a, client, random.Random(1).randbytes(request))
    for _ in range(5000):
        net.run(net.now + sec(1))
        counters_follow_marks(client)
        for sock, _ in served:
            counters_follow_marks(sock)
        if served and mine.ended and served[0][1].ended:
            break
    else:
        pytest.fail(f"no end after {net.now} ns")
    server, theirs = served[0]
    assert theirs.data == random.Random(1).randbytes(request)
    assert mine.data == random.Random(2).randbytes(response)
    assert not client.errors
    assert not server.errors
    net.a.close(client)
    net.b.close(server)
    net.run(net.now + sec(1000))
    assert client.state in (TCP_CLOSE, TCP_TIME_WAIT)
    assert server.state in (TCP_CLOSE, TCP_TIME_WAIT)
    net.run(net.now + sec(1000))
    assert not net.a.tcp._ctx.demux.connections
    assert not net.b.tcp._ctx.demux.connections


@settings(max_examples=60)
@given(octets=st.binary(min_size=20, max_size=80), at=st.sampled_from(["closed", "listen", "established", "syn-sent"]))
def test_any_octets_as_a_segment_break_nothing(octets, at):
    net = harness.Net()
    if at == "listen":
        net.b.listen()
    elif at == "established":
        net.open()
    elif at == "syn-sent":
        net.fate = lambda n, seen: "lose"
        net.b.connect(net.a, sport=80)
    net.fate = lambda n, seen: ""
    segment = bytearray(octets)
    segment[0:4] = (32768).to_bytes(2, "big") + (80).to_bytes(2, "big")
    segment[16:18] = b"\0\0"
    total = (
        net.a.addr
        + net.b.addr
        + 6
        + len(segment)
        + int.from_bytes(bytes(segment).ljust(len(segment) + len(segment) % 2, b"\0"), "big")
    )
    segment[16:18] = (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
    skb = net.a.build(None, net.a.addr, net.b.addr, 6, bytes(segment), ident=0)
    net.b.receive(bytes(skb.data), 1)
    net.run(net.now + sec(200))
