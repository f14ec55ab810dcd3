"""How fast: a link filled, the Mathis formula followed, two flows side by side. Wire rates count Ethernet frames."""

from __future__ import annotations

import random

import pytest

from netsim.stack.settings import CUBIC, RENO
from netsim.units import NS_PER_S, ms, sec

OVERHEAD = 14 + 20 + 32
"""Ethernet, IP and TCP with timestamps, before 1448 octets of payload."""


def transfer(net, drain, feed, size, limit_s=300):
    client, server = net.open()
    reader = drain(net.b, server)
    start = net.now
    feed(net.a, client, bytes(size))
    net.run(start + sec(limit_s))
    assert len(reader.data) == size
    return reader.ended_at - start, client


@pytest.mark.slow
@pytest.mark.parametrize("control", [RENO, CUBIC], ids=["reno", "cubic"])
@pytest.mark.parametrize("queue", [50, 100, 500])
def test_a_bulk_transfer_fills_10_mbit_and_40_ms(make_net, drain, feed, queue, control):
    """Issue: 95 % of the link, counted from the first octet to the last."""
    net = make_net(delay=ms(20), rate=10_000_000, queue=queue)
    net.a.sysctl.ipv4.tcp_congestion_control = control
    size = 20_000_000
    took, client = transfer(net, drain, feed, size)
    wire_bits = size * (1448 + OVERHEAD) / 1448 * 8
    assert wire_bits / (took / NS_PER_S) >= 0.95 * 10_000_000
    assert net.lost <= client.total_retrans <= net.lost + (control == CUBIC)


@pytest.mark.slow
@pytest.mark.parametrize(("sack", "control", "within"), [(1, RENO, 0.3), (0, RENO, 0.35), (1, CUBIC, 0.35)])
@pytest.mark.parametrize(("loss", "delay"), [(0.01, ms(20)), (0.02, ms(20)), (0.01, ms(50))])
def test_random_loss_gives_the_rate_of_the_mathis_formula(make_net, drain, feed, loss, delay, sack, control, within):
    """Rate = MSS / RTT x sqrt(3 / (2 p)), within 30 % (Mathis, Semke, Mahdavi, Ott, 1997).

    On paths as short as these CUBIC is as fast as Reno would be (RFC 9438 section 4.3), but for its whole numbers.
    """
    net = make_net(delay=delay)
    net.a.sysctl.ipv4.tcp_sack = sack
    net.a.sysctl.ipv4.tcp_congestion_control = control
    draw = random.Random(7)
    net.fate = lambda n, seen: "lose" if seen.src == "a" and seen.size and draw.random() < loss else ""
    size = 6_000_000
    took, _ = transfer(net, drain, feed, size)
    rate = size / (took / NS_PER_S)
    mathis = 1448 / (2 * delay / NS_PER_S) * (3 / (2 * loss)) ** 0.5
    assert rate == pytest.approx(mathis, rel=within)


@pytest.mark.slow
def test_two_flows_share_a_link(make_net, drain, feed):
    """Issue: within 20 % of each other, over a minute."""
    net = make_net(delay=ms(20), rate=10_000_000, queue=100)
    listener = net.b.listen()
    readers = []
    net.b.handlers[listener.fd] = lambda event: readers.append(drain(net.b, net.b.accept(listener)))
    for n in range(2):
        net.run(sec(n) // 2)
        client = net.a.connect(net.b)
        feed(net.a, client, bytes(100_000_000))
    net.keep_log = False
    net.run(sec(10))
    before = [len(reader.data) for reader in readers]
    net.run(sec(70))
    first, second = (len(reader.data) - had for reader, had in zip(readers, before, strict=True))
    assert first + second >= 0.94 * 60 * 10_000_000 / 8 * 1448 / (1448 + OVERHEAD)
    assert min(first, second) / max(first, second) >= 0.8


@pytest.mark.slow
def test_a_gigabit_and_20_ms_is_filled(make_net, drain, feed):
    """The windows of both ends grow to the path's 2.5 MB."""
    net = make_net(delay=ms(10), rate=1_000_000_000, queue=3000)
    net.open(port=81)
    net.keep_log = False
    took, _ = transfer(net, drain, feed, 100_000_000)
    assert 100_000_000 * 8 / (took / NS_PER_S) >= 750_000_000
