"""When acknowledgements leave: quickly at first, then delayed, at once for what is out of order; SACK."""

from __future__ import annotations

from netsim.units import ms, sec


def relative(seen, base):
    """SACK edges of b's ACKs relative to a's first sequence number."""
    return tuple(((left - base) & 0xFFFFFFFF, (right - base) & 0xFFFFFFFF) for left, right in seen.options.sack)


def first_seq(net, client):
    return net.first["a", client.port, 80]


def test_the_first_segments_are_acknowledged_one_by_one(net, drain):
    """Quick mode: 16 segments, so that the sender's window grows."""
    client, server = net.open()
    drain(net.b, server)
    start = net.now
    net.log.clear()
    net.a.write(client, bytes(14480))
    net.run(start + ms(2))
    assert len(net.sent("b")) == 10
    assert {s.seconds for s in net.sent("b")} == {(start + ms(1)) / 1e9}


def test_later_every_second_full_segment_is_acknowledged(net, drain, feed):
    client, server = net.open()
    drain(net.b, server)
    feed(net.a, client, bytes(1_448_000), fin=False)
    net.run(net.now + sec(5))
    data, acks = len(net.sent("a", data=True)), len(net.sent("b"))
    assert data == 1000
    assert 500 <= acks <= 560


def test_a_lone_segment_waits_40_ms_for_company(net):
    client, server = net.open()
    server.quick = 0
    server.ato = ms(40)
    net.run(sec(1))
    server.last_data_at = net.now - ms(100)
    net.log.clear()
    net.a.write(client, b"x")
    net.run(sec(2))
    assert net.times("b", data=False) == [1.044]


def test_reading_a_short_segment_acknowledges_it_at_once(net, drain):
    """tcp_cleanup_rbuf(): the buffer is empty, a short segment was in it, and nothing goes back."""
    client, server = net.open()
    drain(net.b, server)
    net.run(sec(1))
    server.quick, server.ato, server.last_data_at = 0, ms(40), net.now - ms(100)
    net.log.clear()
    net.a.write(client, b"x")
    net.run(sec(2))
    assert net.times("b", data=False) == [1.001]


def test_an_answer_carries_the_acknowledgement(net):
    """Ping-pong: once an application has answered, its ACKs wait for its data."""
    client, server = net.open()

    def answer(event):
        if event == "readable":
            net.b.write(server, net.b.read(server))

    net.b.handlers[server.fd] = answer
    for second in range(1, 30):
        net.run(sec(second))
        net.a.read(client)
        net.a.write(client, b"question")
    net.run(sec(30))
    net.log.clear()
    net.a.write(client, b"question")
    net.run(sec(30) + ms(10))
    assert [(s.flags, s.size) for s in net.sent("b")] == [("P.", 8)]


def test_what_comes_early_is_acknowledged_at_once_with_sack(net, drain):
    client, server = net.open()
    drain(net.b, server)
    net.run(sec(1))
    base = first_seq(net, client)
    lost = []
    net.fate = lambda n, seen: "lose" if seen.src == "a" and not lost and not lost.append(n) else ""
    net.log.clear()
    net.a.write(client, bytes(1448 * 4))
    net.run(sec(1) + ms(1))
    acks = net.sent("b")
    assert [s.ack for s in acks] == [1, 1, 1]
    assert [relative(s, base) for s in acks] == [((1449, 2897),), ((1449, 4345),), ((1449, 5793),)]


def test_the_newest_block_comes_first(net, drain):
    """RFC 2018 section 4."""
    client, server = net.open()
    drain(net.b, server)
    net.run(sec(1))
    base = first_seq(net, client)
    count = []
    net.fate = lambda n, seen: (
        "lose" if seen.src == "a" and seen.size and (count.append(n) or len(count) in (1, 3, 5)) else ""
    )
    net.log.clear()
    net.a.write(client, bytes(1448 * 6))
    net.run(sec(1) + ms(1))
    assert relative(net.sent("b")[-1], base) == ((7241, 8689), (4345, 5793), (1449, 2897))


def test_an_octet_seen_before_is_told_as_a_duplicate(net, drain):
    """RFC 2883 section 4: the first block names it, below the ACK."""
    client, server = net.open()
    drain(net.b, server)
    net.run(sec(1))
    base = first_seq(net, client)
    net.fate = lambda n, seen: "twice" if seen.src == "a" and seen.size else ""
    net.log.clear()
    net.a.write(client, b"hello")
    net.run(sec(1) + ms(10))
    last = net.sent("b")[-1]
    assert last.ack == 6
    assert relative(last, base) == ((1, 6),)
    assert [reason for _, reason in net.b.drops] == ["TCP_OLD_DATA"]


def test_nagle_holds_a_second_short_segment_and_nodelay_does_not(net):
    client, _ = net.open()
    net.run(sec(1))
    net.log.clear()
    net.a.write(client, b"a")
    net.a.write(client, b"b")
    net.a.write(client, b"c")
    assert [s.size for s in net.sent("a")] == [1]
    net.run(sec(2))
    assert [s.size for s in net.sent("a", data=True)] == [1, 2]
    net.a.tcp.option(client, "nodelay", 1, now=net.now)
    net.log.clear()
    net.a.write(client, b"d")
    net.a.write(client, b"e")
    assert [s.size for s in net.sent("a")] == [1, 1]


def test_progress_confirms_the_neighbour_with_the_next_packet_sent(net):
    """linux-kernel 1.5: the ACK sets a flag, the next packet of the socket confirms.

    The ACK of a SYN-ACK is progress too: a 6.18 kernel that accepted and then only received had confirmed its
    neighbour once, with the first packet after the handshake.
    """
    client, _ = net.open()
    net.run(sec(1))
    net.a.confirmed.clear()
    net.b.confirmed.clear()
    net.a.write(client, b"one")
    net.run(sec(2))
    assert net.a.confirmed == []
    net.a.write(client, b"two")
    assert net.a.confirmed == [sec(2)]
    net.run(sec(3))
    assert net.b.confirmed == [net.sent("b")[1].t]
