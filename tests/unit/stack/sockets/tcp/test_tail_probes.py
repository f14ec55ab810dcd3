"""Tail loss probes: when they go, what they count as, and what their acknowledgement means.

Source: tcp_schedule_loss_probe(), tcp_send_loss_probe(), tcp_process_tlp_ack(); RFC 8985 section 7.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.reno import CA_LOSS, CA_OPEN
from netsim.units import ms, sec, us


def test_a_probe_waits_two_round_trips_and_two_milliseconds(make_net):
    """Recorded (6.18, veth): two segments out, the probe 5.3 ms after the second: 2 ms and the tick of the wheel."""
    net = make_net(delay=us(100))
    client, _ = net.open()
    net.run(sec(5))
    net.log.clear()
    net.fate = lambda n, seen: "lose"
    net.a.tcp.option(client, "nodelay", 1, now=net.now)
    net.a.write(client, b"a")
    net.a.write(client, b"b")
    net.run(sec(5) + ms(100))
    assert net.times("a") == [5.0, 5.0, 5.008]


def test_a_time_out_is_a_mistake_if_the_probe_before_it_had_arrived(make_net, drain):
    """The original is lost, the probe late: its ACK echoes a stamp older than the time-out's.

    Source: __tcp_retransmit_skb() sends the probe, tcp_retransmit_skb(), which notes the instant, does not.
    """
    net = make_net(delay=us(100))
    client, server = net.open()
    reader = drain(net.b, server)
    net.run(sec(5))
    before = client.cc.cwnd
    fates = ["lose", ms(300), "lose"]
    net.fate = lambda n, seen: fates.pop(0) if seen.size and fates else ""
    net.a.write(client, b"x")
    net.run(sec(5) + ms(450))
    assert client.cc.state == CA_LOSS
    net.run(sec(5) + ms(520))
    assert reader.data == b"x"
    assert client.cc.state == CA_OPEN
    assert client.cc.cwnd == before
