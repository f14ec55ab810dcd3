"""The searches for a free port or id, kernel 6's and 2.4's, over a table that says what is taken.

Source: nf_nat_l4proto_unique_tuple(), nf_nat_used_tuple_harder(), net/netfilter/nf_nat_core.c (6.x);
tcp_unique_tuple(), icmp_unique_tuple(), net/ipv4/netfilter/ip_nat_proto_*.c (2.4).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.ct_window import TcpTrack
from netsim.stack.netfilter.nat24 import OldNat
from netsim.stack.netfilter.nat_range import NatRange
from netsim.stack.netfilter.nat_select import UniqueTuple, in_range, port_class, proto_in_range
from netsim.stack.netfilter.tuples import CtTuple, inverted

SRC, DST = 0, 1
MAP_IPS, SPECIFIED, RANDOM, OFFSET = 1, 2, 4, 32
TCP, UDP, ICMP, GRE = 6, 17, 1, 47


class Table:
    """Everything is taken but the tuples whose port `free` admits; `found` answers look-ups."""

    def __init__(self, free=lambda one: False):
        self.free, self.asked, self.other, self.killed = free, [], None, []

    def taken(self, reply, ct, now):
        one = inverted(reply)
        self.asked.append(one)
        return not self.free(one)

    def find(self, reply, now):
        return self.other

    def kill(self, ct, now):
        self.killed.append(ct)
        return True

    def mapped(self, orig):
        return ()


def flow(proto=UDP, sport=5000, dport=80):
    one = CtTuple(1, sport, 2, dport, proto)
    return Conntrack(one, inverted(one))


def search(proto, wanted, maniptype, free, draws=(0,), sport=5000, dport=80):
    table = Table(free)
    drawn = list(draws)
    unique = UniqueTuple(table, SimpleNamespace(getrandbits=lambda k: drawn.pop(0)))
    ct = flow(proto, sport, dport)
    return unique._search(ct.tuple_orig, wanted, maniptype, ct, 0), table.asked, drawn


PORTS = NatRange(SPECIFIED, 0, 0, 100, 109)


@pytest.mark.parametrize(
    ("proto", "wanted", "maniptype", "draw", "first"),
    [
        (UDP, PORTS, SRC, 0, 100), (UDP, PORTS, SRC, 13, 103), (UDP, PORTS, SRC, 65535, 105), (TCP, PORTS, DST, 9, 100),
        (UDP, NatRange(SPECIFIED | RANDOM, 0, 0, 100, 109), DST, 13, 103),
        (UDP, NatRange(SPECIFIED | OFFSET, 0, 0, 100, 109, 76), DST, 9, 104),
        (UDP, NatRange(SPECIFIED | OFFSET, 0, 0, 100, 109, 90), DST, 9, 106), (UDP, NatRange(), SRC, 0, 1024),
        (ICMP, NatRange(), SRC, 7, 7), (ICMP, NatRange(), DST, 0, 0), (ICMP, PORTS, SRC, 3, 103),
        (UDP, NatRange(SPECIFIED, 0, 0, 109, 100), SRC, 3, 103),
    ],
)  # fmt: skip
def test_where_kernel_6_begins(proto, wanted, maniptype, draw, first):
    """The start is drawn, or the packet's own offset from the range's base, or for a destination the first port."""
    found, asked, _ = search(proto, wanted, maniptype, lambda one: True, [draw])
    assert found == asked[0]
    assert (found.dport if maniptype == DST and proto != ICMP else found.sport) == first
    assert len(asked) == 1


def test_kernel_6_tries_the_whole_small_range_and_gives_the_last_one_back():
    found, asked, drawn = search(UDP, PORTS, SRC, lambda one: False, [3, 9])
    assert [one.sport for one in asked] == [103, 104, 105, 106, 107, 108, 109, 100, 101, 102]
    assert (found.sport, drawn) == (102, [9])


def test_kernel_6_tries_128_then_half_as_many_from_another_start_until_less_than_16():
    """NF_NAT_MAX_ATTEMPTS 128: 128, 64, 32, 16, 8."""
    found, asked, drawn = search(
        UDP, NatRange(SPECIFIED, 0, 0, 1000, 9999), SRC, lambda one: False, [0, 1000, 2000, 3000, 4000, 5]
    )
    assert len(asked) == 128 + 64 + 32 + 16 + 8
    starts = [asked[at].sport for at in (0, 128, 192, 224, 240)]
    assert starts == [1000, 2000, 3000, 4000, 5000]
    assert (found.sport, drawn) == (5007, [5])


@pytest.mark.parametrize(
    ("proto", "maniptype", "wanted"), [(GRE, SRC, PORTS), (UDP, DST, NatRange()), (TCP, DST, NatRange())]
)
def test_what_has_no_port_to_change_stays(proto, maniptype, wanted):
    """ "If it's dst rewrite, can't change port": nothing is asked."""
    found, asked, _ = search(proto, wanted, maniptype, lambda one: True)
    assert found == flow(proto).tuple_orig
    assert asked == []


@pytest.mark.parametrize(
    ("port", "ports"),
    [
        (0, (1, 511)),
        (511, (1, 511)),
        (512, (600, 1023)),
        (1023, (600, 1023)),
        (1024, (1024, 65535)),
        (65535, (1024, 65535)),
    ],
)
def test_a_port_stays_in_its_class(port, ports):
    assert port_class(port) == ports


@pytest.mark.parametrize(
    ("proto", "maniptype", "low", "high", "fits"),
    [
        (UDP, SRC, 5000, 5000, True), (UDP, SRC, 5001, 6000, False), (UDP, SRC, 1, 4999, False),
        (UDP, DST, 80, 80, True),
        (UDP, DST, 5000, 5000, False), (ICMP, DST, 5000, 5000, True), (ICMP, SRC, 1, 4999, False),
        (GRE, SRC, 1, 1, True),
    ],
)  # fmt: skip
def test_a_port_fits_a_range(proto, maniptype, low, high, fits):
    wanted = NatRange(SPECIFIED, 0, 0, low, high)
    assert proto_in_range(flow(proto).tuple_orig, maniptype, wanted) is fits
    if maniptype == SRC:
        assert in_range(flow(proto).tuple_orig, wanted) is fits
        assert in_range(flow(proto).tuple_orig, wanted._replace(flags=0) if hasattr(wanted, "_replace") else NatRange())


@pytest.mark.parametrize(
    ("low", "high", "fits"), [(1, 1, True), (0, 1, True), (1, 2, True), (2, 3, False), (0, 0, False)]
)
def test_an_address_fits_a_range(low, high, fits):
    assert in_range(flow().tuple_orig, NatRange(MAP_IPS, low, high)) is fits
    assert in_range(flow().tuple_orig, NatRange(0, low, high))


HARDER = [
    # (changes to the other), direction, sequence numbers (ours, theirs), evicted
    ({}, 1, (2000, 1000), True), ({}, 0, (2000, 1000), False), ({}, 1, (1000, 1000), False),
    ({}, 1, (1000, 1001), False),
    ({}, 1, (0x80000FFF - 0x1000 + 1000, 1000), True), ({}, 1, (0x80000000 + 1000, 1000), False),
    ({"status": 0}, 1, (2000, 1000), False), ({"status": 0x10 | 0x400}, 1, (2000, 1000), False),
    ({"status": 0x10 | 0x200}, 1, (2000, 1000), False), ({"state": 8}, 1, (2000, 1000), True),
    ({"state": 6}, 1, (2000, 1000), False), ({"state": 9}, 1, (2000, 1000), False),
    ({"tcp": None}, 1, (2000, 1000), False),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(HARDER)))
def test_near_the_end_a_new_connection_takes_the_port_of_a_closed_one(at):
    """nf_nat_used_tuple_harder(): TIME_WAIT or CLOSE, source NAT, neither dying nor fixed, and older numbers."""
    given, direction, (ours, theirs), evicted = HARDER[at]
    table, ct, other = Table(), flow(TCP), flow(TCP)
    ct.tcp, other.tcp = TcpTrack(), TcpTrack()
    ct.tcp.state, ct.tcp.seen[0].td_end = 1, ours
    other.tcp.state, other.tcp.seen[0].td_end, other.status = given.get("state", 7), theirs, given.get("status", 0x10)
    if "tcp" in given:
        other.tcp = None
    table.other = (other, direction)
    unique = UniqueTuple(table, None)
    assert unique._used_harder(ct.tuple_orig, ct, 32, 0) is not evicted
    assert table.killed == ([other] if evicted else [])
    assert table.asked == []
    assert unique._used_harder(ct.tuple_orig, ct, 33, 0)
    assert len(table.asked) == 1
    table.other = None
    assert not unique._used_harder(ct.tuple_orig, ct, 1, 0)
    ct.tcp.state = 2
    assert unique._used_harder(ct.tuple_orig, ct, 1, 0)
    ct.tcp = None
    assert unique._used_harder(ct.tuple_orig, ct, 1, 0)


# 2.4: counters that go on


class Counters:
    def __init__(self):
        self.tcp = self.udp = self.icmp = self.address = 0


def old(free):
    nat = OldNat.__new__(OldNat)
    nat._table, nat._counters = Table(free), Counters()
    return nat


def test_2_4_goes_on_from_its_protocols_counter_and_tells_when_nothing_is_free():
    """tcp_unique_tuple(): the last one tried is left in the tuple; a counter is a u_int16_t."""
    nat = old(lambda one: one.sport == 104)
    ct = flow(UDP)
    nat._counters.udp = 2
    assert nat._search(ct.tuple_orig, PORTS, SRC, ct, 0) == (True, ct.tuple_orig._replace(sport=104))
    assert (nat._counters.udp, nat._counters.tcp) == (4, 0)
    assert [one.sport for one in nat._table.asked] == [102, 103, 104]
    nat = old(lambda one: False)
    nat._counters.tcp = 65535
    assert nat._search(flow(TCP).tuple_orig, PORTS, DST, ct, 0) == (False, flow(TCP).tuple_orig._replace(dport=108))
    assert (nat._counters.tcp, len(nat._table.asked)) == (9, 10)


@pytest.mark.parametrize(
    ("proto", "maniptype", "wanted"), [(UDP, DST, NatRange()), (TCP, DST, NatRange()), (GRE, SRC, PORTS)]
)
def test_2_4_has_nothing_to_change_either(proto, maniptype, wanted):
    nat, ct = old(lambda one: True), flow(proto)
    assert nat._search(ct.tuple_orig, wanted, maniptype, ct, 0) == (False, ct.tuple_orig)
    assert nat._table.asked == []


def test_2_4_keeps_a_source_port_in_its_class():
    nat, ct = old(lambda one: True), flow(UDP, sport=700)
    nat._counters.udp = 5
    assert nat._search(ct.tuple_orig, NatRange(), SRC, ct, 0) == (True, ct.tuple_orig._replace(sport=605))
    assert nat._counters.udp == 5


def test_2_4_counts_icmp_ids_as_they_are_stored():
    """icmp_unique_tuple(): "id++" and the range in network order, on a little-endian machine."""
    nat, ct = old(lambda one: one.sport == 0x0300), flow(ICMP)
    assert nat._search(ct.tuple_orig, NatRange(), SRC, ct, 0) == (True, ct.tuple_orig._replace(sport=0x0300))
    assert [one.sport for one in nat._table.asked] == [0, 0x0100, 0x0200, 0x0300]
    assert nat._counters.icmp == 3
    nat = old(lambda one: False)
    wanted = NatRange(SPECIFIED, 0, 0, 0x0100, 0x0300)
    assert nat._search(ct.tuple_orig, wanted, SRC, ct, 0) == (False, ct.tuple_orig._replace(sport=0x0300))
    assert [one.sport for one in nat._table.asked] == [0x0100, 0x0200, 0x0300]
