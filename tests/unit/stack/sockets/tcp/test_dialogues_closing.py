"""Dialogues with a scripted peer, word for word as 6.18 had them: connections that rest.

Raw segments on a veth, state by ss. The socket has TOS 0x10; what answers for it from FIN_WAIT2 or TIME_WAIT has its
TOS and its mark, a reset has the TOS of what it answers.
"""

from __future__ import annotations

import pytest

from netsim.stack.sockets.tcp.state import TCP_CLOSE, TCP_FIN_WAIT2, TCP_TIME_WAIT
from netsim.units import ms, sec


class Marks:
    """Notes the mark of each route that TCP asks for."""

    def __init__(self, routing):
        self.routing, self.marks = routing, []

    def __getattr__(self, name):
        return getattr(self.routing, name)

    def output(self, daddr, *, mark=0, **rest):
        self.marks.append(mark)
        return self.routing.output(daddr, **rest)


def closed(make_net, script):
    """Close from this side, the FIN acknowledged, at 5 s."""
    net = make_net()
    peer = script(net, stamps=True).answer(sack_permitted=True)
    sock = peer.sock
    sock.tos, sock.mark = 0x10, 5
    net.run(sec(5))
    net.a.close(sock)
    peer.heard()
    net.run(sec(5) + ms(1))
    peer.say(".", 1, 2)
    assert (sock.state, peer.heard()) == (TCP_FIN_WAIT2, [])
    return net, peer, sock


@pytest.mark.parametrize(
    ("said", "stamp", "answer", "tos", "state"),
    [
        (("R", 1_000_001, 2), None, [(".", 2, 0, 1)], 0x10, TCP_FIN_WAIT2),
        (("R", 101, 2), None, [], None, TCP_CLOSE),
        (("P.", 1, 2, 65535, b"x"), 5002, [("R", 2, 0, 0)], 0, TCP_CLOSE),
        (("S", 51, 0), 5002, [("R.", 0, 0, 52)], 0, TCP_CLOSE),
        ((".", 1, 2), 4000, [(".", 2, 0, 1)], 0x10, TCP_FIN_WAIT2),
        ((".", 1, 2), 5002, [], None, TCP_FIN_WAIT2),
        (("F.", 1, 2), 5002, [(".", 2, 0, 2)], 0x10, TCP_TIME_WAIT),
    ],
    ids=["RST outside", "RST inside", "data", "SYN", "ACK of old stamp", "ACK", "FIN"],
)
def test_what_a_closed_socket_in_fin_wait2_answers(make_net, script, said, stamp, answer, tos, state):
    net, peer, sock = closed(make_net, script)
    peer.stamps = stamp is not None
    peer.say(*said, tsval=stamp)
    log = list(net.log)
    heard = [
        (flags, 0 if flags == "R." else seq, size, (ack if "." in flags else 0))
        for flags, seq, size, ack in peer.heard()
    ]
    assert heard == answer
    assert [seen.octets[1] for seen in log] == ([] if tos is None else [tos])
    assert sock.state == state


def test_what_answers_from_time_wait_goes_by_the_sockets_mark(make_net, script):
    """Recorded: with its mark routed to a black hole nothing comes. Source: tcp_v4_send_ack(), tw_mark."""
    net, peer, sock = closed(make_net, script)
    peer.say("F.", 1, 2)
    assert sock.state == TCP_TIME_WAIT
    peer.heard()
    routing = net.a.tcp._ctx.routing = Marks(net.a.routing)
    net.run(sec(8))
    peer.say("F.", 1, 2)
    assert peer.heard() == [(".", 2, 0, 2)]
    assert routing.marks == [5]


def test_in_time_wait_a_stamp_one_millisecond_old_is_too_old(make_net, script):
    """Recorded: answered, and counted as PAWS (TW_PAWS since 6.16). Source: tcp_paws_reject(), window 0."""
    net, peer, _ = closed(make_net, script)
    peer.say("F.", 1, 2, tsval=5003)
    net.run(sec(8))
    net.a.drops.clear()
    peer.say("F.", 1, 2, tsval=5002)
    assert [reason for _, reason in net.a.drops] == ["TCP_RFC7323_TW_PAWS"]
