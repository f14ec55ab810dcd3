"""What helpers stand on: text read octet by octet, places where lines ended, expectations and their bounds, shifts.

Source: net/netfilter/nf_conntrack_ftp.c try_number(), get_port(), find_pattern(), find_nl_seq(), update_nl_seq();
nf_conntrack_expect.c; nf_conntrack_seqadj.c nf_ct_seqadj_set(), nf_ct_seq_offset() (6.x); RFC 959, RFC 2428.
"""

from __future__ import annotations

import pytest

from netsim.stack.netfilter.conntrack import Conntrack, CtTemplate
from netsim.stack.netfilter.expect import Expectation, Expectations
from netsim.stack.netfilter.ftp import FtpHelper, LineEnds
from netsim.stack.netfilter.ftp_text import Found, Partial, command, search
from netsim.stack.netfilter.seqadj import SeqAdjust
from netsim.stack.netfilter.tuples import CtTuple

S = 1_000_000_000
PORT, PASV, EPRT, EPSV = range(4)
HOST = 0xC0A80003

BAD_PORT = (
    b"256,1,1,1,1,1\r", b"1,1,1,1,1,256\r", b"1,1,1,1,1\r", b"1,1,1,1,1,1,1\r", b"1,1,1,1,1,1\n", b"1,1,1,1,1,1",
    b"1.1,1,1,1,1\r", b"1,1,1,1,1,1 \r", b"1,1,1,1,1:1\r", b"1,1,1,1,1,1:\r", b"1,1,1,1,/,1\r", b" 1,1,1,1,1,1\r",
)  # fmt: skip

BAD_EPRT = (
    b"|2|::1|80|\r\n", b"|1|1.2.3.4|80\r\n", b"|1|1.2.3.4|0|\r\n", b"|1|1.2.3.256|80|\r\n", b"|1|1.2.3|80|\r\n",
    b"|1|1.2.3.4|80", b"|1!1.2.3.4|80|\r\n", b"|1|", b"919", b" 1 1.2.3.4 80 \r\n", b"\x7f1\x7f1.2.3.4\x7f80\x7f\r\n",
    b"31313.2.3.4380\r\n", b"|1|1.2.3.4|8a|\r\n", b"|1|1.2.3.4", b"|1|1.2.3.4|8/|\r\n", b"|1|1.2.3.4|8:|\r\n",
)  # fmt: skip

BAD_EPSV = (
    b"(||6446|)\r\n", b"(|!|6446|)\r\n", b"(||!6446|)\r\n", b"(|||6446)\r\n", b"(|||0|)\r\n", b"|||6446|\r\n",
    b"(|||64", b"(00064460)\r\n", b"(|||", b"(||||)\r\n", b"(111644611)\r\n",
)  # fmt: skip

TEXTS = [
    (0, b"PORT 192,168,0,3,4,1\r", Found(PORT, HOST, 1025, 5, 15)),
    (0, b"PORT 0,0,0,0,0,0\r", Found(PORT, 0, 0, 5, 11)),
    (0, b"PORT 255,255,255,255,255,255\r", Found(PORT, 0xFFFFFFFF, 65535, 5, 23)),
    *[(0, b"PORT " + text, Partial()) for text in BAD_PORT],
    (0, b"PORT 1,1,1,1,1,\r", Found(PORT, 0x01010101, 256, 5, 10)),
    (0, b"PORTAL 1,1,1,1,1,1\r\n", Found(PORT, 0x01010101, 257, 7, 11)),
    (0, b"PORT:1,1,1,1,1,1\r\n", Partial()), (0, b"P", Partial()), (0, b"p", Partial()), (0, b"PORT ", Partial()),
    (0, b"PX", None),
    (0, b"EPRT |1|1.2.3.4|6275|\r\n", Found(EPRT, 0x01020304, 6275, 5, 16)),
    (0, b"EPRT !1!1.2.3.4!80!\r\n", Found(EPRT, 0x01020304, 80, 5, 14)),
    (0, b"EPRT ~1~1.2.3.4~80~\r\n", Found(EPRT, 0x01020304, 80, 5, 14)),
    (0, b"EPRT :1:1.2.3.255:80:\r\n", Found(EPRT, 0x010203FF, 80, 5, 16)),
    (1, b"227 x:1,2,3,4,5,6\r\n", Found(PASV, 0x01020304, 1286, 6, 11)),
    *[(0, b"EPRT " + text, Partial()) for text in BAD_EPRT],
    (1, b"227 x (1,2,3,4,5,6)\r\n", Found(PASV, 0x01020304, 1286, 7, 11)),
    (1, b"227 1,2,3,4,5,6\r\n", Found(PASV, 0x01020304, 1286, 4, 11)),
    (1, b"227 1,2,3,4,5,6", Partial()), (1, b"227 none at all\r\n", Partial()),
    (1, b"227 1,2,3,4,5,6x", Found(PASV, 0x01020304, 1286, 4, 11)),
    (1, b"227 9 (1,2,3,4,5,6)\r\n", Partial()), (1, b"227 0,9,0,9,0,9)", Found(PASV, 0x00090009, 9, 4, 11)),
    (1, b"229 ok (|||6446|)\r\n", Found(EPSV, 0, 6446, 8, 8)), (1, b"229 (!!!1!)", Found(EPSV, 0, 1, 5, 5)),
    *[(1, b"229 " + text, Partial()) for text in BAD_EPSV],
    (1, b"22", Partial()), (1, b"2", Partial()), (1, b"230 ok\r\n", None), (1, b"226 ok\r\n", None),
    (0, b"227 1,2,3,4,5,6\r\n", None), (1, b"229", Partial()),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(TEXTS)))
def test_an_endpoint_is_read_or_the_rest_is_waited_for(at):
    direction, text, found = TEXTS[at]
    assert search(text, direction) == found


@pytest.mark.parametrize(
    ("kind", "text"),
    [(PORT, b"1,2,3,255,5,6"), (PASV, b"1,2,3,255,5,6"), (EPRT, b"|1|1.2.3.255|1286|"), (EPSV, b"|||1286|")],
)
def test_an_endpoint_is_written_as_its_kind_does(kind, text):
    """nf_nat_ftp_fmt_cmd()."""
    assert command(kind, 0x010203FF, 1286) == text


def test_two_line_ends_are_remembered_for_each_direction_and_the_older_one_gives_way():
    """find_nl_seq(), update_nl_seq(): NUM_SEQ_TO_REMEMBER 2, compared modulo 2^32."""
    ends = LineEnds()
    ends.note(0, 100)
    ends.note(0, 100)
    ends.note(0, 50)
    assert [ends.follows(0, seq) for seq in (50, 100)] == [True, True]
    assert not ends.follows(1, 100)
    ends.note(0, 200)
    assert [ends.follows(0, seq) for seq in (50, 100, 200)] == [False, True, True]
    ends.note(0, 300)
    assert [ends.follows(0, seq) for seq in (100, 200, 300)] == [False, True, True]
    ends.note(0, 90)
    assert [ends.follows(0, seq) for seq in (90, 200, 300)] == [False, True, True]
    ends.note(1, 0xFFFFFFF0)
    ends.note(1, 0x10)
    ends.note(1, 0x20)
    assert [ends.follows(1, seq) for seq in (0xFFFFFFF0, 0x10, 0x20)] == [False, True, True]


# Expectations


class Helper:
    name, port = "ftp", 21


class Services:
    """The settings that expectations read."""

    def __init__(self, expect_max=4):
        self.sysctl = self.conntrack = self
        self.expect_max = expect_max


def master(port=4000, dport=21, proto=6):
    return Conntrack(CtTuple(1, port, 2, dport, proto), CtTuple(2, dport, 1, port, proto))


def awaiting(of, dport, src=0, dst=9):
    return Expectation(of, 0, src, dst, dport, 6)


def test_an_expectation_is_used_up_by_the_first_packet_that_fits():
    """nf_ct_find_expectation(): any source port, the source if one is said, and before its end."""
    table, one = Expectations(Services(), {}, automatic=False), master()
    assert table.take((7, 1, 9, 50, 6, 0), 0) is None
    expected = awaiting(one, 50, src=7)
    assert table.add(expected, 1 * S)
    assert (table.count, one.expecting, expected.expires) == (1, 1, 301 * S)
    others = (
        ((8, 1, 9, 50, 6, 0), 2), ((7, 1, 8, 50, 6, 0), 2), ((7, 1, 9, 51, 6, 0), 2), ((7, 1, 9, 50, 17, 0), 2),
        ((7, 1, 9, 50, 6, 5), 2), ((7, 1, 9, 50, 6, 0), 301 * S),
    )  # fmt: skip
    for key, now in others:
        assert not table.awaits(key, now)
        assert table.take(key, now) is None
    assert table.awaits((7, 1, 9, 50, 6, 0), 301 * S - 1)
    assert table.take((7, 1, 9, 50, 6, 0), 301 * S - 1) is expected
    assert (table.count, one.expecting) == (0, 0)
    assert not table.awaits((7, 1, 9, 50, 6, 0), 2)
    table.add(awaiting(one, 50), 0)
    assert table.take((12345, 1, 9, 50, 6, 0), 2) is not None


def test_a_master_has_as_many_as_its_limit_and_its_oldest_gives_way():
    """evict_oldest_expect(); an equal one of the same master is replaced; expect_max bounds them all."""
    table, one, two = Expectations(Services(3), {}, automatic=False), master(), master(4001)
    assert table.add(awaiting(one, 50), 0)
    assert table.add(awaiting(one, 51), 0)
    assert [each.dport for each in table.dump(0)] == [51]
    assert table.add(awaiting(one, 52), 0, limit=2)
    assert table.add(awaiting(one, 52), 0, limit=2)
    assert (sorted(each.dport for each in table.dump(0)), one.expecting) == ([51, 52], 2)
    assert table.add(awaiting(two, 60), 0)
    assert not table.add(awaiting(two, 61), 0, limit=2)
    assert (table.count, two.expecting) == (3, 1)
    table.forget(one)
    assert (table.count, one.expecting, [each.dport for each in table.dump(0)]) == (1, 0, [60])
    table.forget(one)
    assert table.count == 1


def test_an_endpoint_is_free_unless_somebody_else_still_expects_it():
    table, one, two = Expectations(Services(), {}, automatic=False), master(), master(4001)
    table.add(awaiting(one, 50), 0)
    assert table.free(9, 50, 6, one, 1)
    assert not table.free(9, 50, 6, two, 300 * S - 1)
    assert table.free(9, 50, 6, two, 300 * S)
    assert table.free(9, 51, 6, two, 1)
    assert table.free(9, 50, 17, two, 1)


def test_what_is_listed_has_whole_seconds_left_and_names_its_master():
    table, one = Expectations(Services(), {}, automatic=False), master()
    one.helper = Helper()
    table.add(awaiting(one, 50, src=7), 0)
    (listed,) = table.dump(1)
    assert (listed.timeout, listed.proto, listed.src, listed.dst, listed.dport) == (299, 6, 7, 9, 50)
    assert (listed.master_src, listed.master_sport, listed.master_dst, listed.master_dport) == (1, 4000, 2, 21)
    assert listed.helper == "ftp"
    assert table.dump(300 * S) == ()
    assert len(table.dump(300 * S - 1)) == 1


@pytest.mark.parametrize(
    ("automatic", "template", "dport", "proto", "named", "status"),
    [
        (True, None, 21, 6, True, 0), (True, None, 22, 6, False, 0), (True, None, 21, 17, False, 0),
        (False, None, 21, 6, False, 0), (False, CtTemplate(helper="ftp"), 2121, 6, True, 0x2000),
        (False, CtTemplate(helper="sip"), 21, 6, False, 0x2000), (True, CtTemplate(zone=1), 21, 6, True, 0),
    ],
)  # fmt: skip
def test_a_helper_comes_by_a_rule_or_before_6_0_by_its_port(automatic, template, dport, proto, named, status):
    """__nf_ct_try_assign_helper(): IPS_HELPER says that a rule gave it."""
    helper = Helper()
    table, ct = Expectations(Services(), {"ftp": helper}, automatic=automatic), master(dport=dport, proto=proto)
    assert table.helper_for(ct, template) is (helper if named else None)
    assert ct.status == status
    assert (table.known("ftp"), table.known("sip")) == (True, False)


# Shifts


def test_a_shift_holds_from_the_octet_behind_its_place_and_a_repetition_counts_once():
    """nf_ct_seqadj_set(), nf_ct_seq_offset()."""
    shifts = SeqAdjust()
    assert shifts.offset(0, 1000) == 0
    shifts.note(0, 1000, 5)
    assert [shifts.offset(0, seq) for seq in (999, 1000, 1001)] == [0, 0, 5]
    assert shifts.offset(1, 5000) == 0
    shifts.note(0, 1000, 5)
    shifts.note(0, 900, 7)
    assert shifts.offset(0, 1001) == 5
    shifts.note(0, 2000, -3)
    assert [shifts.offset(0, seq) for seq in (1500, 2000, 2001)] == [5, 5, 2]
    shifts.note(1, 0xFFFFFFF0, 4)
    assert [shifts.offset(1, seq) for seq in (0xFFFFFFF0, 0xFFFFFFF1, 5)] == [0, 4, 4]
    shifts.note(1, 0x10, -4)
    shifts.note(1, 0x05, 9)
    assert [shifts.offset(1, seq) for seq in (0x10, 0x11)] == [4, 0]


def test_a_shift_that_came_to_nothing_begins_anew_anywhere():
    shifts = SeqAdjust()
    shifts.note(0, 1000, 5)
    shifts.note(0, 2000, 0)
    shifts.note(0, 1500, 3)
    assert [shifts.offset(0, seq) for seq in (1500, 1501)] == [5, 8]


class Taken:
    """Expectations of which only one port is free; `rng` draws where the search begins."""

    def __init__(self, free, draw):
        self.only, self.draw, self.tried = free, draw, []
        self.conntrack = self.rng = self
        self.expectations = self

    def getrandbits(self, k):
        assert k == 16
        return self.draw

    def free(self, dst, dport, proto, master, now):
        self.tried.append(dport)
        return dport == self.only

    def add(self, expected, now, limit=1):
        return True


@pytest.mark.parametrize(
    ("draw", "free", "found", "tries"),
    [(5, 50, True, 1), (5, 1029, True, 2), (5, 1030, True, 3), (64511, 65535, True, 2), (64512, 1024, True, 2),
     (65535, 2047, True, 2), (65535, 1024, True, 3), (0, 1024 + 127, True, 129), (0, 1024 + 128, False, 129)],
)  # fmt: skip
def test_a_port_for_the_other_side_is_the_announced_one_or_the_next_free_of_128_from_a_random_start(
    draw, free, found, tries
):
    """nf_nat_exp_find_port(): 1024 and above; the offset is sixteen bits wide."""
    services = Taken(free, draw)
    expected = awaiting(master(), 50)
    assert FtpHelper(services)._find_port(expected, 0) is found
    assert len(services.tried) == tries
    assert (expected.dport == free) is found
