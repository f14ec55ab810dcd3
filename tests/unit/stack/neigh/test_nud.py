"""The transition table row by row, with literal times, then what must hold of the table as a whole.

Each row is put to an entry at t = 100 s that was last updated and used at 90 s and confirmed at 80 s, with two probes
counted, reachable_time 30 s, the other times at their defaults, address ...:0a, a timer at 200 s where the state has
one, and packet 1 waiting where it is INCOMPLETE. Packet 2 is the one sent; frames heard name ...:0b where they differ.
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.neigh import nud
from netsim.stack.neigh.entry import Waiting
from netsim.stack.neigh.machine import Step
from netsim.stack.nud_states import NAMES, NUD_CONNECTED, NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_STALE, NUD_VALID
from netsim.stack.profile.neigh import LINUX_24, MAINLINE
from netsim.stack.skb import Skb
from netsim.units import sec

ERAS = {"6": MAINLINE, "2.4": LINUX_24}
STATE = {name: state for state, name in NAMES.items()}
KNOWN, OTHER = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"
TIMED = {"6": ("INCOMPLETE", "REACHABLE", "DELAY", "PROBE"), "2.4": ("INCOMPLETE", "DELAY", "PROBE")}
EVENTS = {name: value for name, value in vars(nud).items() if name.startswith("EV_") and isinstance(value, int)}
CHANGED = {nud.EV_REPLY_OTHER, nud.EV_REPLY_CONFLICT, nud.EV_HEARD_OTHER, nud.EV_HEARD_CONFLICT}

# column, state, event, new state, what else changes. Sources: linux-kernel 1.2 and observed-linux 1.3 for "6",
# kernel-2.4-neighbour rules 2 to 7 for "2.4". A STALE that sends what waits ends in DELAY at once.
ROWS = [
    ("6", "INCOMPLETE", "EV_SEND", "INCOMPLETE", "queue 1,2"),
    ("6", "REACHABLE", "EV_SEND", "REACHABLE", "tx 2 0a"),
    ("6", "DELAY", "EV_SEND", "DELAY", "tx 2 0a"),
    ("6", "PROBE", "EV_SEND", "PROBE", "tx 2 0a"),
    ("6", "NOARP", "EV_SEND", "NOARP", "tx 2 0a"),
    ("6", "PERMANENT", "EV_SEND", "PERMANENT", "tx 2 0a"),
    ("6", "INCOMPLETE", "EV_TIMER_RETRY", "INCOMPLETE", "timer 1, probes 3, unicast"),
    ("6", "PROBE", "EV_TIMER_RETRY", "PROBE", "timer 1, probes 3, unicast"),
    ("6", "NONE", "EV_SEND", "INCOMPLETE", "updated, timer 1, probes 4, broadcast, queue 2"),
    ("6", "FAILED", "EV_SEND", "INCOMPLETE", "updated, timer 1, probes 4, broadcast, queue 2"),
    ("6", "NONE", "EV_SEND_MUTE", "FAILED", "updated, drop 2 NEIGH_FAILED"),
    ("6", "FAILED", "EV_SEND_MUTE", "FAILED", "updated, drop 2 NEIGH_FAILED"),
    ("6", "NONE", "EV_SEND_LATER", "INCOMPLETE", "updated, timer 0, probes 3"),
    ("6", "FAILED", "EV_SEND_LATER", "INCOMPLETE", "updated, timer 0, probes 3"),
    ("6", "STALE", "EV_SEND", "DELAY", "updated, timer 5, tx 2 0a"),
    ("6", "STALE", "EV_SEND_LATER", "DELAY", "updated, timer 5"),
    ("6", "REACHABLE", "EV_TIMER_FRESH", "REACHABLE", "timer 10"),
    ("6", "REACHABLE", "EV_TIMER_USED", "DELAY", "updated, timer 5"),
    ("6", "REACHABLE", "EV_TIMER_EXPIRED", "STALE", "updated"),
    ("6", "DELAY", "EV_TIMER_FRESH", "REACHABLE", "updated, timer 10"),
    ("6", "DELAY", "EV_TIMER_EXPIRED", "PROBE", "updated, timer 1, probes 1, unicast"),
    ("6", "DELAY", "EV_TIMER_SPENT", "FAILED", "updated, probes 0"),
    ("6", "INCOMPLETE", "EV_TIMER_SPENT", "FAILED", "updated, unreach 1, drop 1 NEIGH_FAILED, queue "),
    ("6", "PROBE", "EV_TIMER_SPENT", "FAILED", "updated"),
    ("6", "REACHABLE", "EV_REPLY_SAME", "REACHABLE", "confirmed"),
    ("6", "STALE", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed, timer 30"),
    ("6", "DELAY", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed, timer 30"),
    ("6", "PROBE", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed, timer 30"),
    ("6", "REACHABLE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, address"),
    ("6", "STALE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address"),
    ("6", "DELAY", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address"),
    ("6", "PROBE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address"),
    ("6", "REACHABLE", "EV_REPLY_CONFLICT", "REACHABLE", "confirmed"),
    ("6", "STALE", "EV_REPLY_CONFLICT", "STALE", "confirmed"),
    ("6", "DELAY", "EV_REPLY_CONFLICT", "DELAY", "confirmed"),
    ("6", "PROBE", "EV_REPLY_CONFLICT", "PROBE", "confirmed"),
    ("6", "NONE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address"),
    ("6", "INCOMPLETE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address, tx 1 0b, queue "),
    ("6", "FAILED", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer 30, address"),
    ("6", "REACHABLE", "EV_HEARD_SAME", "REACHABLE", ""),
    ("6", "STALE", "EV_HEARD_SAME", "STALE", ""),
    ("6", "DELAY", "EV_HEARD_SAME", "DELAY", ""),
    ("6", "PROBE", "EV_HEARD_SAME", "PROBE", ""),
    ("6", "STALE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("6", "REACHABLE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, timer off, address"),
    ("6", "DELAY", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, timer off, address"),
    ("6", "PROBE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, timer off, address"),
    ("6", "NONE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("6", "INCOMPLETE", "EV_HEARD_OTHER", "DELAY", "updated, confirmed -60, timer 5, address, tx 1 0b, queue "),
    ("6", "FAILED", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("6", "PERMANENT", "EV_USE", "NONE", ""),
    ("2.4", "INCOMPLETE", "EV_SEND", "INCOMPLETE", "queue 1,2"),
    ("2.4", "REACHABLE", "EV_SEND", "REACHABLE", "tx 2 0a"),
    ("2.4", "DELAY", "EV_SEND", "DELAY", "tx 2 0a"),
    ("2.4", "PROBE", "EV_SEND", "PROBE", "tx 2 0a"),
    ("2.4", "NOARP", "EV_SEND", "NOARP", "tx 2 0a"),
    ("2.4", "PERMANENT", "EV_SEND", "PERMANENT", "tx 2 0a"),
    ("2.4", "INCOMPLETE", "EV_TIMER_RETRY", "INCOMPLETE", "timer 1, probes 3, unicast"),
    ("2.4", "PROBE", "EV_TIMER_RETRY", "PROBE", "timer 1, probes 3, unicast"),
    ("2.4", "NONE", "EV_SEND", "INCOMPLETE", "timer 1, probes 4, broadcast, queue 2"),
    ("2.4", "FAILED", "EV_SEND", "INCOMPLETE", "timer 1, probes 4, broadcast, queue 2"),
    ("2.4", "NONE", "EV_SEND_MUTE", "FAILED", "drop 2 NEIGH_FAILED"),
    ("2.4", "FAILED", "EV_SEND_MUTE", "FAILED", "drop 2 NEIGH_FAILED"),
    ("2.4", "STALE", "EV_SEND", "DELAY", "timer 5, tx 2 0a"),
    ("2.4", "DELAY", "EV_TIMER_FRESH", "REACHABLE", ""),
    ("2.4", "PROBE", "EV_TIMER_FRESH", "REACHABLE", ""),
    ("2.4", "DELAY", "EV_TIMER_EXPIRED", "PROBE", "timer 1, probes 1, unicast"),
    ("2.4", "DELAY", "EV_TIMER_SPENT", "FAILED", "probes 0"),
    ("2.4", "INCOMPLETE", "EV_TIMER_SPENT", "FAILED", "unreach 1, drop 1 NEIGH_FAILED, queue "),
    ("2.4", "PROBE", "EV_TIMER_SPENT", "FAILED", ""),
    ("2.4", "REACHABLE", "EV_SCAN_EXPIRED", "STALE", ""),
    ("2.4", "REACHABLE", "EV_SYNC_EXPIRED", "STALE", ""),
    ("2.4", "STALE", "EV_SYNC_FRESH", "REACHABLE", ""),
    ("2.4", "DELAY", "EV_SYNC_FRESH", "REACHABLE", "timer off"),
    ("2.4", "PROBE", "EV_SYNC_FRESH", "REACHABLE", "timer off"),
    ("2.4", "REACHABLE", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed"),
    ("2.4", "STALE", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed"),
    ("2.4", "DELAY", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed, timer off"),
    ("2.4", "PROBE", "EV_REPLY_SAME", "REACHABLE", "updated, confirmed, timer off"),
    ("2.4", "REACHABLE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, address"),
    ("2.4", "STALE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, address"),
    ("2.4", "DELAY", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer off, address"),
    ("2.4", "PROBE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer off, address"),
    ("2.4", "NONE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, address"),
    ("2.4", "INCOMPLETE", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, timer off, address, tx 1 0b, queue "),
    ("2.4", "FAILED", "EV_REPLY_OTHER", "REACHABLE", "updated, confirmed, address"),
    ("2.4", "REACHABLE", "EV_HEARD_SAME", "REACHABLE", "updated"),
    ("2.4", "STALE", "EV_HEARD_SAME", "STALE", "updated"),
    ("2.4", "DELAY", "EV_HEARD_SAME", "STALE", "updated, timer off"),
    ("2.4", "PROBE", "EV_HEARD_SAME", "STALE", "updated, timer off"),
    ("2.4", "REACHABLE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("2.4", "STALE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("2.4", "DELAY", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, timer off, address"),
    ("2.4", "PROBE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, timer off, address"),
    ("2.4", "NONE", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("2.4", "INCOMPLETE", "EV_HEARD_OTHER", "DELAY", "updated, confirmed -60, timer 5, address, tx 1 0b, queue "),
    ("2.4", "FAILED", "EV_HEARD_OTHER", "STALE", "updated, confirmed -60, address"),
    ("2.4", "REACHABLE", "EV_ADMIN_YIELD", "REACHABLE", "updated"),
    ("2.4", "NOARP", "EV_ADMIN_YIELD", "NOARP", "updated"),
    ("2.4", "PERMANENT", "EV_ADMIN_YIELD", "PERMANENT", "updated"),
]


def prepared(tools, column, state):
    """An entry in a state, as the module says."""
    bench = tools.Bench(era=ERAS[column], reachable=sec(30))
    dev = bench.device("eth0", "02:00:00:00:00:01", "10.0.0.1/24")
    bench.run(sec(100))
    dev.neigh.reachable_time = sec(30)  # a scan may have drawn anew
    entry = bench.table.find_or_make(dev, parse_ip("10.0.0.2"), now=sec(100))
    entry.state, entry.lladdr, entry.probes = STATE[state], KNOWN, 2
    entry.used = entry.updated = sec(90)
    entry.confirmed = sec(80)
    if state == "INCOMPLETE":
        waiting = Skb(tools.build_packet(1, "10.0.0.1", "198.51.100.1"))
        entry.queue.append(Waiting(waiting, None))
        entry.queue_octets = waiting.truesize
    if state in TIMED[column]:
        entry.timer = bench.timers.arm(sec(200), entry.on_timer)
    bench.take()
    bench.outbox.records.clear()
    return bench, entry


def apply(tools, bench, entry, event, lladdr):
    skb = None
    if event in (nud.EV_SEND, nud.EV_SEND_MUTE):
        skb = Skb(tools.build_packet(2, "10.0.0.1", "198.51.100.1"))
    bench.table._machine.apply(entry, event, Step(event, sec(100), sec(100), skb, None), lladdr)


def effects(tools, bench, entry, timer, waiting):
    """What changed, in a fixed order of words."""
    out = []
    if entry.updated == sec(100):
        out.append("updated")
    if entry.confirmed == sec(100):
        out.append("confirmed")
    if entry.confirmed == sec(100) - sec(60):
        out.append("confirmed -60")
    if entry.timer is not timer or (timer is not None and not timer.pending):
        out.append(f"timer {(entry.timer.at - sec(100)) / sec(1):g}" if entry.timed else "timer off")
    if entry.probes != 2:
        out.append(f"probes {entry.probes}")
    if entry.lladdr == OTHER:
        out.append("address")
    for kind, *rest in bench.take():
        if kind == "arp":
            out.append("broadcast" if rest[2] == "ff:ff:ff:ff:ff:ff" else "unicast")
        elif kind == "tx":
            out.append(f"tx {rest[0]} {rest[2][-2:]}")
        else:
            out.append(" ".join(map(str, (kind, *rest))))
    queue = [tools.skb_id(each.skb) for each in entry.queue]
    if queue != waiting:
        out.append("queue " + ",".join(map(str, queue)))
    return ", ".join(out)


@pytest.mark.parametrize(("column", "state", "event", "new", "what"), ROWS, ids=lambda value: value or "nothing")
def test_a_row_moves_the_state_and_does_what_it_says(bench_tools, column, state, event, new, what):
    bench, entry = prepared(bench_tools, column, state)
    timer, waiting = entry.timer, [1] if state == "INCOMPLETE" else []
    apply(bench_tools, bench, entry, EVENTS[event], OTHER if EVENTS[event] in CHANGED else KNOWN)
    assert new == NAMES[entry.state]
    assert what == effects(bench_tools, bench, entry, timer, waiting)
    moves = [(t, old, new) for t, old, new in bench.moves() if old != new]
    if new == state:
        assert moves == []
    elif event == "EV_HEARD_OTHER" and new == "DELAY":
        assert moves == [(sec(100), state, "STALE"), (sec(100), "STALE", "DELAY")]
    else:
        assert moves == [(sec(100), state, new)]


@pytest.mark.parametrize("column", ERAS)
def test_every_row_of_the_table_stands_in_the_list_above(column):
    rows = {(NAMES[state], event) for state, event in nud.COLUMNS[column].rows if not event & nud.EV_ADMIN}
    assert {(state, EVENTS[event]) for era, state, event, _, _ in ROWS if era == column} == rows


@pytest.mark.parametrize("column", ERAS)
def test_every_admin_state_is_applied_over_every_other(bench_tools, column):
    """linux-kernel 1.8: "admin: STALE really applied even over REACHABLE"; the address comes with it."""
    for old in nud.STATES:
        for new in nud.STATES:
            bench, entry = prepared(bench_tools, column, NAMES[old])
            timer = entry.timer
            apply(bench_tools, bench, entry, nud.EV_ADMIN | new, OTHER)
            flushed = old == NUD_INCOMPLETE and new == NUD_STALE
            assert entry.state == (NUD_DELAY if flushed else new)
            assert (entry.lladdr == OTHER) == bool(new & NUD_VALID)
            if new & NUD_VALID:
                assert (entry.updated, list(entry.queue)) == (sec(100), [])
                assert (entry.confirmed == sec(100)) == bool(new & NUD_CONNECTED)
            if timer is not None and old != new:
                assert not timer.pending


@pytest.mark.parametrize(
    ("old", "what"),
    [
        ("INCOMPLETE", "updated, timer off, unreach 1, drop 1 NEIGH_FAILED, queue "),
        ("PROBE", "updated, timer off"), ("DELAY", "timer off"), ("REACHABLE", "timer off"),
        ("STALE", ""), ("PERMANENT", ""), ("NOARP", ""), ("NONE", ""), ("FAILED", ""),
    ],
)  # fmt: skip
def test_mainline_reports_what_waits_when_an_admin_deletes_a_probed_entry(bench_tools, old, what):
    """linux-kernel 1.2, "admin delete"."""
    bench, entry = prepared(bench_tools, "6", old)
    timer, waiting = entry.timer, [1] if old == "INCOMPLETE" else []
    apply(bench_tools, bench, entry, nud.EV_ADMIN_DELETE, KNOWN)
    assert (entry.state, what) == (NUD_FAILED, effects(bench_tools, bench, entry, timer, waiting))


def test_2_4_keeps_the_queue_of_a_deleted_entry(bench_tools):
    """kernel-2.4-neighbour corrections, row 12."""
    bench, entry = prepared(bench_tools, "2.4", "INCOMPLETE")
    timer = entry.timer
    apply(bench_tools, bench, entry, nud.EV_ADMIN_DELETE, KNOWN)
    assert (entry.state, "timer off") == (NUD_FAILED, effects(bench_tools, bench, entry, timer, [1]))


@pytest.mark.parametrize("column", ERAS)
def test_an_event_without_a_row_leaves_the_entry_alone(bench_tools, column):
    rows = nud.COLUMNS[column].rows
    for state in nud.STATES:
        for event in EVENTS.values():
            if (state, event) in rows:
                continue
            bench, entry = prepared(bench_tools, column, NAMES[state])
            timer, waiting = entry.timer, [1] if state == NUD_INCOMPLETE else []
            apply(bench_tools, bench, entry, event, OTHER)
            assert (entry.state, "") == (state, effects(bench_tools, bench, entry, timer, waiting))
            assert bench.moves() == []


@pytest.mark.parametrize("column", ERAS)
def test_every_row_leads_to_a_state_and_every_event_has_words(column):
    for (state, event), row in nud.COLUMNS[column].rows.items():
        assert {state, row.new} <= set(nud.STATES)
        assert event in nud.CAUSES


def test_every_packet_finds_a_row_in_every_state():
    """The table is total where it must be: a packet is sent, queued or dropped, whatever the state."""
    for column in nud.COLUMNS.values():
        for state in nud.STATES:
            row = column.rows[state, nud.EV_SEND]
            assert {nud.ACT_PASS, nud.ACT_QUEUE} & set(row.actions)


def test_states_carry_the_kernel_s_numbers():
    """include/uapi/linux/neighbour.h, include/net/neighbour.h."""
    assert [hex(state) for state in nud.STATES] == ["0x0", "0x1", "0x2", "0x4", "0x8", "0x10", "0x20", "0x40", "0x80"]
    assert (NUD_CONNECTED, NUD_VALID) == (0xC2, 0xDE)


@pytest.mark.parametrize(
    ("age", "used", "event"),
    [
        (0, 0, "EV_TIMER_FRESH"), (30, 30, "EV_TIMER_FRESH"), (30.001, 5, "EV_TIMER_USED"),
        (30.001, 5.001, "EV_TIMER_EXPIRED"),
    ],
)  # fmt: skip
def test_mainline_s_reachable_timer_asks_for_proof_then_for_use(bench_tools, age, used, event):
    """Both bounds belong to the younger side: time_before_eq()."""
    _, entry = prepared(bench_tools, "6", "REACHABLE")
    entry.confirmed, entry.used = sec(100) - sec(age), sec(100) - sec(used)
    assert nud.COLUMNS["6"].timer_event(entry, sec(100)) == EVENTS[event]


@pytest.mark.parametrize(
    ("column", "state", "age", "event"),
    [
        ("6", "DELAY", 5, "EV_TIMER_FRESH"), ("6", "DELAY", 5.001, "EV_TIMER_EXPIRED"),
        ("6", "PROBE", 0, "EV_TIMER_RETRY"),
        ("2.4", "DELAY", 29.99, "EV_TIMER_FRESH"), ("2.4", "DELAY", 30, "EV_TIMER_EXPIRED"),
        ("2.4", "PROBE", 29.99, "EV_TIMER_FRESH"), ("2.4", "PROBE", 30, "EV_TIMER_RETRY"),
        ("2.4", "INCOMPLETE", 0, "EV_TIMER_RETRY"),
    ],
)  # fmt: skip
def test_the_eras_believe_a_timer_s_proof_for_different_times(bench_tools, column, state, age, event):
    """Mainline: given within delay_first_probe_time; 2.4: younger than reachable_time (corrections, rows 4 and 5)."""
    _, entry = prepared(bench_tools, column, state)
    entry.confirmed = sec(100) - sec(age)
    assert nud.COLUMNS[column].timer_event(entry, sec(100)) == EVENTS[event]


@pytest.mark.parametrize(
    ("column", "state", "spent_at"),
    [("6", "INCOMPLETE", 6), ("6", "PROBE", 3), ("2.4", "INCOMPLETE", 6), ("2.4", "PROBE", 6)],
)
def test_probes_are_spent_at(bench_tools, column, state, spent_at):
    """linux-kernel 1.3; corrections, row 6: 2.4 has one budget for both."""
    _, entry = prepared(bench_tools, column, state)
    entry.confirmed = 0
    for probes, event in ((spent_at - 1, nud.EV_TIMER_RETRY), (spent_at, nud.EV_TIMER_SPENT)):
        entry.probes = probes
        assert nud.COLUMNS[column].timer_event(entry, sec(100)) == event
