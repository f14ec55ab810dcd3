"""A reset without a socket behind it proves nothing about the neighbour of who is reset."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.wire.ipv4 import build_ipv4
from netsim.wire.tcp import TCPHDR_ACK, TCPHDR_FIN, TCPHDR_SYN, build_tcp

A, B = parse_ip("10.0.0.1"), parse_ip("10.0.0.2")


@pytest.mark.parametrize(
    ("dport", "flags", "answer"),
    [
        (81, TCPHDR_SYN, "R."),
        (81, TCPHDR_FIN, "R."),
        (81, TCPHDR_ACK, "R"),
        (81, TCPHDR_SYN | TCPHDR_ACK, "R"),
        (90, TCPHDR_ACK, "R"),
        (90, TCPHDR_SYN | TCPHDR_ACK, "R"),
    ],
    ids=["closed-syn", "closed-fin", "closed-ack", "closed-syn-ack", "listener-ack", "listener-syn-ack"],
)
def test_a_reset_of_a_stray_segment_does_not_confirm_the_neighbour(net, dport, flags, answer):
    """Recorded on 6.18.44, each of these to a STALE neighbour: DELAY, its confirmation as old as before.

    Source: ip_send_unicast_reply() appends without MSG_CONFIRM, so sock_confirm_neigh() has nothing to do.
    """
    net.b.listen(90)
    segment = build_tcp(A, B, 40000, dport, 1000, 2000 if flags & TCPHDR_ACK else 0, flags, 1000)
    net.b.receive(build_ipv4(A, B, 6, len(segment)) + segment, 1)
    assert [seen.flags for seen in net.sent("b")] == [answer]
    assert net.b.confirmed == []


def test_a_connection_before_leaves_no_confirmation_for_the_reset(net):
    """Recorded on 6.18.44: a whole conversation, the entry made STALE, a SYN to a closed port: not confirmed."""
    client, server = net.open(90)
    net.a.write(client, b"x")
    net.run(net.now + 10_000_000)
    assert net.b.read(server) == b"x"
    net.b.confirmed.clear()
    net.log.clear()
    net.a.connect(net.b, 81)
    net.run(net.now + 10_000_000)
    assert [seen.flags for seen in net.sent("b")] == ["R."]
    assert net.b.confirmed == []
