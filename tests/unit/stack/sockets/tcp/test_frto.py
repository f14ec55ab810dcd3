"""F-RTO: after a time-out, new data shows whether the old was lost at all. Source: tcp_process_loss(); RFC 5682."""

from __future__ import annotations

import pytest

from netsim.stack.sockets.tcp.reno import CA_LOSS, CA_OPEN
from netsim.units import ms, sec

MSS = 1460  # without timestamps: an echoed stamp would tell the same sooner


def opened(make_net, drain, *, frto=2, sack=1):
    """Open over 20 ms, ten segments allowed, and let a second pass."""
    net = make_net(delay=ms(10))
    net.a.sysctl.ipv4.tcp_timestamps = 0
    net.a.sysctl.ipv4.tcp_frto = frto
    net.a.sysctl.ipv4.tcp_sack = sack
    client, server = net.open()
    reader = drain(net.b, server)
    net.run(sec(1))
    net.log.clear()
    return net, client, reader


def hold_until(net, release):
    """Let what a sends before an instant arrive 10 ms after it, in order: a queue that stood still."""
    net.fate = lambda n, seen: max(0, release - net.now) if seen.src == "a" else ""


@pytest.mark.parametrize(("sack", "still"), [(1, 700), (0, 400)])
def test_a_delay_that_lasts_is_no_loss(make_net, drain, sack, still):
    """A queue stands still. The ACK of the first segment lets two new ones out, that of the second tells."""
    net, client, reader = opened(make_net, drain, sack=sack)
    hold_until(net, net.now + ms(still))
    net.a.write(client, bytes(30 * MSS))
    net.run(net.now + ms(still - 10))
    assert client.cc.state == CA_LOSS
    sent_by_then = client.total_retrans
    net.fate = lambda n, seen: ""
    net.run(net.now + ms(60))
    assert client.cc.state == CA_OPEN
    net.run(net.now + sec(1))
    assert reader.data == bytes(30 * MSS)
    assert client.total_retrans == sent_by_then
    assert client.cc.cwnd >= 10


def test_without_it_all_is_sent_again(make_net, drain):
    net, client, reader = opened(make_net, drain, frto=0)
    hold_until(net, net.now + ms(700))
    net.a.write(client, bytes(30 * MSS))
    net.run(net.now + ms(690))
    sent_by_then = client.total_retrans
    net.fate = lambda n, seen: ""
    net.run(net.now + sec(1))
    assert reader.data == bytes(30 * MSS)
    assert client.total_retrans >= sent_by_then + 5


def test_new_data_that_comes_alone_shows_that_the_old_was_lost(make_net, drain):
    """Segment 11 went as a probe. The first again, then 12 and 13, whose SACKs end the trial: then 2, 3, the others."""
    net, client, reader = opened(make_net, drain)
    net.fate = lambda n, seen: "lose" if seen.src == "a" and seen.size else ""
    net.a.write(client, bytes(30 * MSS))
    net.run(net.now + ms(150))
    lost = len(net.sent("a", data=True))
    net.fate = lambda n, seen: ""
    net.run(net.now + sec(2))
    assert reader.data == bytes(30 * MSS)
    again = [(s.seq - 1) // MSS + 1 for s in net.sent("a", data=True)[lost:]]
    assert again[:5] == [1, 12, 13, 2, 3]
    assert not client.cc.frto


def test_with_nothing_new_to_send_the_rest_goes_again(make_net, drain):
    net, client, reader = opened(make_net, drain)
    net.fate = lambda n, seen: "lose" if seen.src == "a" and seen.size else ""
    net.a.write(client, bytes(10 * MSS))
    net.run(net.now + ms(150))
    lost = len(net.sent("a", data=True))
    net.fate = lambda n, seen: ""
    net.run(net.now + sec(2))
    assert reader.data == bytes(10 * MSS)
    assert [(s.seq - 1) // MSS + 1 for s in net.sent("a", data=True)[lost:]][:3] == [1, 2, 3]


def test_without_sack_what_waited_behind_a_hole_proves_nothing(make_net, drain):
    """The first of ten is lost, and so are the duplicate ACKs: the retransmission's ACK covers all, spurious or not."""
    net, client, reader = opened(make_net, drain, sack=0)
    net.fate = lambda n, seen: "lose" if (seen.src == "a" and seen.seq == 1) or seen.src == "b" else ""
    net.a.write(client, bytes(30 * MSS))
    net.run(net.now + ms(200))
    net.fate = lambda n, seen: ""
    net.run(net.now + ms(100))
    assert client.total_retrans >= 1
    assert client.cc.ssthresh == 7
    net.run(net.now + sec(2))
    assert reader.data == bytes(30 * MSS)
