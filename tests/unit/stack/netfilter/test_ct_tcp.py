"""The TCP state table, row by row, and the rules around it.

Source: linux-kernel 5.5; nf_conntrack_proto_tcp.c (6.x).
"""

from __future__ import annotations

from inspect import isgetsetdescriptor, ismemberdescriptor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.stack.netfilter.ct_tcp import TCP_CONNTRACKS
from netsim.stack.netfilter.status import IPS_ASSURED
from netsim.units import sec
from netsim.wire.tcp import build_options

ROWS = """
orig SYN     SS SS ig ig ig ig ig SS SS S2
orig SYN+ACK iv iv SR iv iv iv iv iv iv SR
orig FIN     iv iv FW FW LA LA LA TW CL iv
orig ACK     ES iv ES ES CW CW TW TW CL iv
orig RST     iv CL CL CL CL CL CL CL CL CL
reply SYN     iv S2 iv iv iv iv iv SS iv S2
reply SYN+ACK iv SR ig ig ig ig ig ig ig SR
reply FIN     iv iv FW FW LA LA LA TW CL iv
reply ACK     iv ig SR ES CW CW TW TW CL ig
reply RST     iv CL CL CL CL CL CL CL CL CL
"""
NAMES = ("NONE", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2", "iv", "ig")
SEGMENTS = ("SYN", "SYN+ACK", "FIN", "ACK", "RST")
CELLS = [
    (direction, segment, column, cell)
    for direction, segment, *cells in (row.split() for row in ROWS.strip().splitlines())
    for column, cell in enumerate(cells)
]


@pytest.mark.parametrize(("direction", "segment", "column", "cell"), CELLS)
def test_the_table_is_the_kernels(direction, segment, column, cell):
    """linux-kernel 5.5."""
    row = TCP_CONNTRACKS[direction == "reply"][SEGMENTS.index(segment)]
    assert NAMES[row[column]] == cell


class Talk:
    """One connection between 192.168.0.3:5000 and 203.0.113.10:80 through the router, a segment at a time."""

    def __init__(self, kit, router) -> None:
        self.kit, self.router, self.now = kit, router, 0

    def step(self, side: str, flags: str, seq: int, ack: int = 0, payload: bytes = b"", after=10_000_000, **rest):
        self.now += after
        if side == "c":
            packet = self.kit.tcp("192.168.0.3", 5000, "203.0.113.10", 80, flags, seq, ack, payload, **rest)
            return self.router.receive(packet, "lan0", self.now)
        packet = self.kit.tcp("203.0.113.10", 80, "10.0.1.2", 5000, flags, seq, ack, payload, **rest)
        return self.router.receive(packet, "wan0", self.now)

    def open(self) -> None:
        self.step("c", "S", 100)
        self.step("s", "SA", 500, 101)
        self.step("c", "A", 101, 501)

    @property
    def entry(self):
        return next(iter(self.router.nf.conntrack), None)

    @property
    def state(self) -> str:
        lines = self.router.listing(self.now)
        return " ".join(lines[0].split()[2:4]) if lines else "gone"


@pytest.fixture
def talk(kit, router) -> Talk:
    return Talk(kit, router)


def test_an_orderly_life(talk):
    """linux-kernel 5.4, 5.5: every state and its time-out, ASSURED from the third packet."""
    seen = []
    for step in (
        ("c", "S", 100), ("s", "SA", 500, 101), ("c", "A", 101, 501), ("c", "PA", 101, 501, b"hello"),
        ("s", "A", 501, 106), ("c", "FA", 106, 501), ("s", "A", 501, 107), ("s", "FA", 501, 107), ("c", "A", 107, 502),
    ):  # fmt: skip
        talk.step(*step)
        seen.append(talk.state)
    assert seen == [
        "120 SYN_SENT", "60 SYN_RECV", "432000 ESTABLISHED", "300 ESTABLISHED", "432000 ESTABLISHED", "120 FIN_WAIT",
        "60 CLOSE_WAIT", "30 LAST_ACK", "120 TIME_WAIT",
    ]  # fmt: skip
    assert talk.entry.status & IPS_ASSURED


def test_a_syn_again_does_not_renew_the_entry(talk):
    talk.step("c", "S", 100)
    talk.step("c", "S", 100, after=sec(100))
    assert talk.state == "20 SYN_SENT"


def test_a_lone_reset_for_an_unreplied_syn_deletes_the_entry(talk):
    talk.step("c", "S", 100)
    out = talk.step("s", "RA", 0, 101)
    assert out.daddr == 0xC0A80003  # and still is translated
    assert talk.state == "gone"


def test_a_reset_with_the_expected_number_closes(talk):
    talk.open()
    talk.step("s", "R", 501)
    assert talk.state == "10 CLOSE"


def test_a_reset_inside_the_window_but_not_exact_keeps_the_state_and_shortens_its_life(talk):
    """RFC 5961: a challenge ACK may follow."""
    talk.open()
    talk.step("s", "R", 600)
    assert talk.state == "10 ESTABLISHED"


def test_a_reset_before_the_last_ack_is_invalid(talk):
    talk.open()
    out = talk.step("s", "R", 400)
    assert out.ct is None
    assert talk.state == "431999 ESTABLISHED"


def test_data_over_the_right_edge_is_invalid_and_leaks(talk):
    talk.open()
    out = talk.step("c", "PA", 99999999, 501, b"oow")
    assert out.ct is None
    assert out.saddr == 0xC0A80003


def test_an_ack_of_what_was_never_sent_is_invalid(talk):
    talk.open()
    assert talk.step("c", "A", 101, 99999).ct is None


def test_old_data_is_let_through_and_changes_nothing(talk):
    talk.open()
    before = talk.entry.timeout
    out = talk.step("c", "PA", 101 - 9000 & 0xFFFFFFFF, 501, b"old")
    assert out.ct is talk.entry
    assert talk.entry.timeout == before


def test_liberal_accepts_what_is_out_of_window(talk):
    talk.router.sysctl.conntrack.tcp_be_liberal = 1
    talk.open()
    assert talk.step("c", "PA", 99999999, 501, b"oow").ct is talk.entry


def test_a_scaled_window_counts_once_both_sides_offered_it(talk):
    """RFC 7323 section 2.2."""
    scale = build_options(wscale=7)
    talk.step("c", "S", 100, options=scale)
    talk.step("s", "SA", 500, 101, options=scale, window=100)
    talk.step("c", "A", 101, 501, window=100)
    talk.step("s", "A", 501, 101, window=100)
    assert talk.step("c", "PA", 101 + 12000, 501, b"x").ct is talk.entry
    assert talk.step("c", "PA", 101 + 40000, 501, b"x").ct is None


def test_a_scale_offered_by_one_side_only_is_not_used(talk):
    talk.step("c", "S", 100, options=build_options(wscale=7))
    talk.step("s", "SA", 500, 101, window=100)
    talk.step("c", "A", 101, 501, window=100)
    talk.step("s", "A", 501, 101, window=100)
    assert talk.step("c", "PA", 101 + 12000, 501, b"x").ct is None


def test_a_bare_ack_is_picked_up_for_300_seconds_until_answered(talk):
    talk.step("c", "A", 100, 500)
    assert talk.state == "300 ESTABLISHED"
    talk.step("s", "A", 500, 100)
    assert not talk.entry.status & IPS_ASSURED
    talk.step("c", "A", 100, 500)
    assert talk.entry.status & IPS_ASSURED


def test_without_loose_nothing_is_picked_up(talk):
    talk.router.sysctl.conntrack.tcp_loose = 0
    assert talk.step("c", "A", 100, 500).ct is None


def test_a_syn_after_an_orderly_close_makes_a_new_entry(talk):
    talk.open()
    for step in (("c", "FA", 101, 501), ("s", "FA", 501, 102), ("c", "A", 102, 502)):
        talk.step(*step)
    old = talk.entry
    talk.router.events()
    talk.step("c", "S", 9000)
    assert talk.entry is not old
    assert [event.split()[0] for event in talk.router.events()] == ["DESTROY", "NEW"]


def test_a_syn_inside_a_connection_is_ignored_until_its_syn_ack_proves_it(talk):
    """The client rebooted: conntrack takes over the numbers that both ends agree on."""
    talk.open()
    talk.step("c", "S", 9000)
    assert talk.state.endswith("ESTABLISHED")
    talk.step("s", "SA", 7000, 9001)
    assert talk.state == "60 SYN_RECV"
    talk.step("c", "A", 9001, 7001)
    assert talk.state == "432000 ESTABLISHED"


def test_a_challenge_ack_is_not_the_ack_of_the_last_fin(talk):
    """RFC 5961 section 4.2."""
    talk.open()
    for step in (("c", "FA", 101, 501), ("s", "FA", 501, 102)):
        talk.step(*step)
    talk.step("c", "S", 9000)
    talk.step("s", "A", 502, 102)
    assert talk.state.endswith("LAST_ACK")


def test_simultaneous_open(talk):
    talk.step("c", "S", 100)
    talk.step("s", "S", 500)
    assert talk.state == "119 SYN_SENT2"  # a reply SYN does not renew, as recorded (m1)
    talk.step("c", "SA", 100, 501)
    talk.step("s", "SA", 500, 101)
    talk.step("s", "A", 501, 101)
    assert talk.state.endswith("ESTABLISHED")


def test_three_equal_unanswered_acks_cap_the_life(talk):
    """tcp_max_retrans 3, tcp_timeout_max_retrans 300 s."""
    talk.open()
    for _ in range(4):
        talk.step("c", "A", 101, 501)
    assert talk.state == "300 ESTABLISHED"


def test_a_zero_window_caps_the_life(talk):
    talk.open()
    talk.step("c", "A", 101, 501, window=0)
    assert talk.state == "300 ESTABLISHED"


def test_a_fin_out_of_window_from_both_sides_shortens_the_life(talk):
    talk.open()
    talk.step("c", "FA", 99999999, 501)
    assert talk.state.startswith("43199")
    talk.step("s", "FA", 88888888, 101)
    assert talk.state.startswith("300")


REAL = {
    "a RST from the side whose own SYN opened simultaneously is judged by the window": (
        [("c", "S", 1000, 0), ("s", "S", 5000, 0), ("s", "R", 75000, 0)], "119 SYN_SENT2", False,
    ),
    "a RST of the other side with the last end as its ack closes": (
        [("c", "S", 1000, 0), ("s", "S", 5000, 0), ("c", "R", 99000, 0)], "10 CLOSE", True,
    ),
    "a RST that acknowledges the peer's ignored SYN closes": (
        [("c", "S", 1000, 0), ("s", "SA", 5000, 1001), ("c", "A", 1001, 5001), ("c", "S", 9000, 0),
         ("s", "R", 75000, 9001)], "10 CLOSE", True,
    ),
    "the same RST from the SYN's own side does not": (
        [("c", "S", 1000, 0), ("s", "SA", 5000, 1001), ("c", "A", 1001, 5001), ("c", "S", 9000, 0),
         ("c", "R", 75000, 9001)], "431999 ESTABLISHED", False,
    ),
    "a side once picked up stays liberal after both ends started anew": (
        [("c", "A", 1000, 5000), ("s", "A", 5000, 1000), ("c", "S", 9000, 0), ("s", "SA", 900000, 9001),
         ("c", "A", 9001, 900001), ("s", "A", 900001, 99999)], "432000 ESTABLISHED", True,
    ),
    "more data than the window allows is let through once": (
        [("c", "S", 1000, 0), ("s", "SA", 5000, 1001), ("c", "A", 1001, 5001), ("s", "PA", 14001, 1001, bytes(14))],
        "431999 ESTABLISHED", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_what_fuzzing_against_a_real_6_18_showed(talk, name):
    steps, state, tracked = REAL[name]
    for step in steps:
        out = talk.step(*step)
    assert (talk.state, out.ct is not None) == (state, tracked)


def test_an_older_syn_in_syn_sent_does_not_begin_a_side_anew(talk):
    """RFC 793, "only be sure to use sequence numbers larger than those recently used"; fuzzed against 6.18."""
    talk.step("c", "S", 1000)
    talk.step("s", "SA", 900000, 77777)
    talk.step("s", "S", 5000)
    assert talk.state.endswith("SYN_SENT")


def test_a_second_syn_without_options_keeps_what_the_first_allowed(talk):
    """tcp_options() returns before it resets anything; fuzzed against 6.18."""
    talk.step("c", "S", 1000, options=build_options(mss=1460, sack_permitted=True))
    talk.step("c", "S", 1100)
    talk.step("s", "SA", 5000, 1101)
    talk.step("c", "A", 1101, 5001)
    sack = build_options(sack=[(1200, 1300)])
    assert talk.step("s", "A", 5001, 1101, options=sack).ct is None  # a SACK beyond what was sent


NUMBERS = st.sampled_from([99, 100, 101, 106, 131, 501, 506, 531, 1901, 40_000, 65_636, 66_037, 66_400, 1 << 31])
MOVES = st.tuples(
    st.sampled_from("cs"), st.sampled_from(["A", "PA", "UA", "FA", "R", "S", "RA", ""]), NUMBERS, NUMBERS,
    st.sampled_from([b"", b"hello", bytes(30), bytes(1400)]), st.sampled_from([0, 1, 65_535]),
    st.sampled_from([b"", build_options(sack=((900, 66_000),))]),
)  # fmt: skip


def stored(kind: type) -> list[str]:
    """The attributes that instances hold: slots in Python, getters and setters where the class is compiled."""
    return [name for name, what in vars(kind).items() if ismemberdescriptor(what) or isgetsetdescriptor(what)]


def everything(entry) -> list:
    tcp = entry.tcp
    parts = (tcp, *tcp.seen)
    numbers = [getattr(part, name) for part in parts for name in stored(type(part)) if name != "seen"]
    return [*numbers, entry.timeout, entry.status, entry.events]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, max_size=8), liberal=st.booleans())
def test_a_segment_by_rote_moves_what_it_moves_the_whole_way_or_nothing(kit, router, moves, liberal):
    """Two equal connections; each segment is shown to one by rote first."""
    whole, rote = (Talk(kit, type(router)()) for _ in range(2))
    for talk in (whole, rote):
        talk.router.masquerade("wan0")
        talk.router.sysctl.set("net.netfilter.nf_conntrack_tcp_be_liberal", str(int(liberal)))
        talk.step("c", "S", 100, options=build_options(mss=1460, sack_permitted=True, wscale=2))
        talk.step("s", "SA", 500, 101, options=build_options(mss=1460, sack_permitted=True))
        talk.step("c", "A", 101, 501)
    for side, flags, seq, ack, payload, window, options in moves:
        rest = {"window": window, "options": options}
        whole.step(side, flags, seq, ack, payload, **rest)
        if whole.entry is None:
            return
        packet = kit.tcp("192.168.0.3", 5000, "203.0.113.10", 80, flags, seq, ack, payload, **rest)
        before = everything(rote.entry)
        at = rote.now + 10_000_000
        if rote.router.nf.tcp_by_rote.repeat(rote.entry, int(side == "s"), bytes(packet), 20, at):
            rote.now = at
        else:
            assert everything(rote.entry) == before
            rote.step(side, flags, seq, ack, payload, **rest)
        assert everything(rote.entry) == everything(whole.entry)
