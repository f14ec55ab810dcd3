"""The neighbour state machine as a table. Everything that moves a state is in this file.

Theory of operation. A neighbour is asked for (INCOMPLETE) when a packet needs it, believed (REACHABLE) for a while
after proof, doubted (STALE) when the proof has aged, given a moment to prove itself through traffic (DELAY), asked
again at its known address (PROBE), and given up (FAILED). Only use moves an entry out of STALE; only an answer
addressed to us, or an upper layer that saw progress, is proof. NOARP and PERMANENT entries are told, not asked.

A stimulus (a packet, a timer, an ARP frame, an administrator) is classified into an event by the functions here, and
(state, event) finds a row: the new state and the actions, in order. Where there is no row the event is illegal in that
state and leaves it alone. The shell (machine.py) carries actions out; it decides nothing. The fast path (a CONNECTED
entry with a cached header) never comes here.

The two eras differ in kind. Mainline gives REACHABLE a timer of its own. Up to 2.4 a REACHABLE entry has none: a
periodic scan, or the next ARP frame from the peer (sync), notices that the proof has aged; and any timer, DELAY or
PROBE, that finds the age of the proof below reachable_time ends in REACHABLE, whenever the proof was given.

Source: net/core/neighbour.c (__neigh_event_send, neigh_timer_handler, __neigh_update, neigh_periodic_work; 2.4:
neigh_sync, neigh_periodic_timer); linux-kernel note 1.2, observed-linux 1.3, kernel-2.4-neighbour rules 2 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from netsim.stack.nud_states import (
    NAMES,
    NUD_CONNECTED,
    NUD_DELAY,
    NUD_FAILED,
    NUD_INCOMPLETE,
    NUD_NOARP,
    NUD_NONE,
    NUD_PERMANENT,
    NUD_PROBE,
    NUD_REACHABLE,
    NUD_STALE,
    NUD_VALID,
)
from netsim.stack.sysctl import NeighParms
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.neigh.entry import Neighbour

STATES = tuple(NAMES)

# Events.
EV_SEND = 0  # a packet needs the neighbour
EV_SEND_MUTE = 1  # the same, and neither mcast_solicit nor app_solicit allows a probe
EV_SEND_LATER = 2  # a managed entry is kept alive: no packet, the probe waits for the timer
EV_TIMER_FRESH = 3  # the entry's timer ran and the proof is young enough
EV_TIMER_USED = 4  # ran, the proof has aged, the entry was used within delay_first_probe_time
EV_TIMER_EXPIRED = 5  # ran, otherwise
EV_TIMER_RETRY = 6  # ran while probing, probes are left
EV_TIMER_SPENT = 7  # ran, and no probe is left
EV_SCAN_EXPIRED = 8  # the periodic scan found the proof older than reachable_time
EV_SYNC_EXPIRED = 9  # an update comes in and the proof is older than reachable_time
EV_SYNC_FRESH = 10  # an update comes in and the proof is younger
EV_REPLY_SAME = 11  # a reply addressed to us, with the address we know
EV_REPLY_OTHER = 12  # such a reply with an address we take: the first, or an allowed change
EV_REPLY_CONFLICT = 13  # such a reply with another address, inside the lock time
EV_HEARD_SAME = 14  # any other ARP frame of the neighbour's, with the address we know
EV_HEARD_OTHER = 15  # with an address we take
EV_HEARD_CONFLICT = 16  # with another address, inside the lock time
EV_USE = 17  # `ip neigh ... use` or `managed`: the state is kept, but no longer permanent
EV_ADMIN_YIELD = 18  # an administrator's STALE over a CONNECTED entry of the same address (2.4)
EV_ADMIN = 0x100  # EV_ADMIN | state: an administrator sets that state
EV_ADMIN_DELETE = EV_ADMIN | NUD_FAILED

TIMER_EVENTS = frozenset({EV_TIMER_FRESH, EV_TIMER_USED, EV_TIMER_EXPIRED, EV_TIMER_RETRY, EV_TIMER_SPENT})

CAUSES: Mapping[int, str] = MappingProxyType({
    EV_SEND: "packet to send", EV_SEND_MUTE: "packet to send, no probe allowed", EV_SEND_LATER: "managed entry",
    EV_TIMER_FRESH: "timer, confirmed recently", EV_TIMER_USED: "timer, expired but in use",
    EV_TIMER_EXPIRED: "timer, not confirmed", EV_TIMER_RETRY: "timer, next probe",
    EV_TIMER_SPENT: "timer, probes exhausted", EV_SCAN_EXPIRED: "scan, not confirmed",
    EV_SYNC_EXPIRED: "ARP heard, not confirmed", EV_SYNC_FRESH: "ARP heard, confirmed recently",
    EV_REPLY_SAME: "ARP reply", EV_REPLY_OTHER: "ARP reply, new address",
    EV_REPLY_CONFLICT: "ARP reply, other address ignored", EV_HEARD_SAME: "ARP heard",
    EV_HEARD_OTHER: "ARP heard, new address", EV_HEARD_CONFLICT: "ARP heard, other address ignored",
    EV_USE: "admin, use", EV_ADMIN_YIELD: "admin, stale ignored",
    **{EV_ADMIN | state: f"admin, {name.lower()}" for state, name in NAMES.items()},
})  # fmt: skip

# Actions, carried out in the order of the row, after the state has moved (and after ACT_LEARN, see Row.learn).
ACT_STAMP = 0  # updated := now
ACT_CONFIRM = 1  # confirmed := now
ACT_STOP = 2  # cancel the timer
ACT_ARM_RETRANS = 3  # timer in retrans_time
ACT_ARM_DELAY = 4  # timer in delay_first_probe_time
ACT_ARM_REACHABLE = 5  # timer at confirmed + reachable_time
ACT_ARM_NOW = 6  # timer at once
ACT_COUNT_UCAST = 7  # probes := ucast_solicit, so that the next probe is a broadcast
ACT_COUNT_ZERO = 8  # probes := 0
ACT_PROBE = 9  # solicit, then count
ACT_QUEUE = 10  # the packet waits; over the bound the oldest is dropped
ACT_PASS = 11  # the packet goes out to the address we know
ACT_DISCARD = 12  # the packet ends here, in silence
ACT_FLUSH = 13  # what waits goes out, oldest first, each packet a SEND of its own
ACT_REPORT = 14  # what waits fails, oldest first, each packet with a link failure report


class Row(NamedTuple):
    """What one event does in one state. `learn`: take over the address that came with the event, before all else.

    Learning a changed address sets `updated`, and `confirmed` two base_reachable_times back where the new state is not
    CONNECTED.
    """

    new: int
    actions: tuple[int, ...] = ()
    learn: bool = False


Rows = Mapping[tuple[int, int], Row]
_Spec = tuple[tuple[int, ...], int, int, tuple[int, ...], bool]

_SAME = -1
_INVALID = (NUD_NONE, NUD_INCOMPLETE, NUD_FAILED)
_DOUBTED = (NUD_STALE, NUD_DELAY, NUD_PROBE)
_LEARNED = (NUD_REACHABLE, *_DOUBTED)
_UNASKED = (NUD_NONE, NUD_FAILED)
_SENDING = (NUD_REACHABLE, NUD_DELAY, NUD_PROBE, NUD_NOARP, NUD_PERMANENT)

_SHARED: tuple[_Spec, ...] = (
    ((NUD_INCOMPLETE,), EV_SEND, _SAME, (ACT_QUEUE,), False),
    (_SENDING, EV_SEND, _SAME, (ACT_PASS,), False),
    ((NUD_INCOMPLETE, NUD_PROBE), EV_TIMER_RETRY, _SAME, (ACT_ARM_RETRANS, ACT_PROBE), False),
)  # fmt: skip

_ROWS_6: tuple[_Spec, ...] = (
    *_SHARED,
    (_UNASKED, EV_SEND, NUD_INCOMPLETE,
        (ACT_COUNT_UCAST, ACT_STOP, ACT_STAMP, ACT_ARM_RETRANS, ACT_QUEUE, ACT_PROBE), False),
    (_UNASKED, EV_SEND_MUTE, NUD_FAILED, (ACT_STAMP, ACT_DISCARD), False),
    (_UNASKED, EV_SEND_LATER, NUD_INCOMPLETE, (ACT_COUNT_UCAST, ACT_STOP, ACT_STAMP, ACT_ARM_NOW), False),
    ((NUD_STALE,), EV_SEND, NUD_DELAY, (ACT_STOP, ACT_STAMP, ACT_ARM_DELAY, ACT_PASS), False),
    ((NUD_STALE,), EV_SEND_LATER, NUD_DELAY, (ACT_STOP, ACT_STAMP, ACT_ARM_DELAY), False),
    ((NUD_REACHABLE,), EV_TIMER_FRESH, NUD_REACHABLE, (ACT_ARM_REACHABLE,), False),
    ((NUD_REACHABLE,), EV_TIMER_USED, NUD_DELAY, (ACT_STAMP, ACT_ARM_DELAY), False),
    ((NUD_REACHABLE,), EV_TIMER_EXPIRED, NUD_STALE, (ACT_STAMP,), False),
    ((NUD_DELAY,), EV_TIMER_FRESH, NUD_REACHABLE, (ACT_STAMP, ACT_ARM_REACHABLE), False),
    ((NUD_DELAY,), EV_TIMER_EXPIRED, NUD_PROBE, (ACT_STAMP, ACT_COUNT_ZERO, ACT_ARM_RETRANS, ACT_PROBE), False),
    ((NUD_DELAY,), EV_TIMER_SPENT, NUD_FAILED, (ACT_COUNT_ZERO, ACT_STAMP, ACT_REPORT), False),
    ((NUD_INCOMPLETE, NUD_PROBE), EV_TIMER_SPENT, NUD_FAILED, (ACT_STAMP, ACT_REPORT), False),
    ((NUD_REACHABLE,), EV_REPLY_SAME, NUD_REACHABLE, (ACT_CONFIRM,), False),
    (_DOUBTED, EV_REPLY_SAME, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP, ACT_STOP, ACT_ARM_REACHABLE), False),
    ((NUD_REACHABLE,), EV_REPLY_OTHER, NUD_REACHABLE, (ACT_CONFIRM,), True),
    (_DOUBTED, EV_REPLY_OTHER, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP, ACT_STOP, ACT_ARM_REACHABLE), True),
    (_LEARNED, EV_REPLY_CONFLICT, _SAME, (ACT_CONFIRM,), False),
    (_INVALID, EV_REPLY_OTHER, NUD_REACHABLE,
        (ACT_CONFIRM, ACT_STAMP, ACT_STOP, ACT_ARM_REACHABLE, ACT_FLUSH), True),
    (_LEARNED, EV_HEARD_SAME, _SAME, (), False),
    ((NUD_STALE,), EV_HEARD_OTHER, NUD_STALE, (), True),
    ((NUD_REACHABLE, NUD_DELAY, NUD_PROBE), EV_HEARD_OTHER, NUD_STALE, (ACT_STAMP, ACT_STOP), True),
    (_INVALID, EV_HEARD_OTHER, NUD_STALE, (ACT_STAMP, ACT_STOP, ACT_FLUSH), True),
    ((NUD_PERMANENT,), EV_USE, NUD_NONE, (), False),
)  # fmt: skip

_ROWS_24: tuple[_Spec, ...] = (
    *_SHARED,
    (_UNASKED, EV_SEND, NUD_INCOMPLETE, (ACT_COUNT_UCAST, ACT_ARM_RETRANS, ACT_PROBE, ACT_QUEUE), False),
    (_UNASKED, EV_SEND_MUTE, NUD_FAILED, (ACT_DISCARD,), False),
    ((NUD_STALE,), EV_SEND, NUD_DELAY, (ACT_ARM_DELAY, ACT_PASS), False),
    ((NUD_DELAY, NUD_PROBE), EV_TIMER_FRESH, NUD_REACHABLE, (), False),
    ((NUD_DELAY,), EV_TIMER_EXPIRED, NUD_PROBE, (ACT_COUNT_ZERO, ACT_ARM_RETRANS, ACT_PROBE), False),
    ((NUD_DELAY,), EV_TIMER_SPENT, NUD_FAILED, (ACT_COUNT_ZERO, ACT_REPORT), False),
    ((NUD_INCOMPLETE, NUD_PROBE), EV_TIMER_SPENT, NUD_FAILED, (ACT_REPORT,), False),
    ((NUD_REACHABLE,), EV_SCAN_EXPIRED, NUD_STALE, (), False),
    ((NUD_REACHABLE,), EV_SYNC_EXPIRED, NUD_STALE, (), False),
    (_DOUBTED, EV_SYNC_FRESH, NUD_REACHABLE, (ACT_STOP,), False),
    ((NUD_REACHABLE,), EV_REPLY_SAME, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP), False),
    (_DOUBTED, EV_REPLY_SAME, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP, ACT_STOP), False),
    (_LEARNED, EV_REPLY_OTHER, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP, ACT_STOP), True),
    (_INVALID, EV_REPLY_OTHER, NUD_REACHABLE, (ACT_CONFIRM, ACT_STAMP, ACT_STOP, ACT_FLUSH), True),
    ((NUD_REACHABLE, NUD_STALE), EV_HEARD_SAME, _SAME, (ACT_STAMP,), False),
    ((NUD_DELAY, NUD_PROBE), EV_HEARD_SAME, NUD_STALE, (ACT_STAMP, ACT_STOP), False),
    (_LEARNED, EV_HEARD_OTHER, NUD_STALE, (ACT_STAMP, ACT_STOP), True),
    (_INVALID, EV_HEARD_OTHER, NUD_STALE, (ACT_STAMP, ACT_STOP, ACT_FLUSH), True),
    ((NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT), EV_ADMIN_YIELD, _SAME, (ACT_STAMP,), False),
)  # fmt: skip


def _admin_rows_6() -> tuple[_Spec, ...]:
    """Spell out __neigh_update() with NEIGH_UPDATE_F_ADMIN: the state asked for is applied over any other."""
    rows: list[_Spec] = []
    arms = {NUD_REACHABLE: (ACT_ARM_REACHABLE,), NUD_DELAY: (ACT_ARM_NOW,), NUD_PROBE: (ACT_ARM_NOW,)}
    for old in STATES:
        for new in STATES:
            event = EV_ADMIN | new
            if not new & NUD_VALID:
                failed = new == NUD_FAILED and old in (NUD_INCOMPLETE, NUD_PROBE)
                rows.append(((old,), event, new, (ACT_STOP, ACT_STAMP, ACT_REPORT) if failed else (ACT_STOP,), False))
                continue
            actions: tuple[int, ...] = (ACT_CONFIRM,) if new & NUD_CONNECTED else ()
            if new != old:
                count = (ACT_COUNT_ZERO,) if new == NUD_PROBE else ()
                actions += (ACT_STAMP, ACT_STOP, *count, *arms.get(new, ()))
            if not old & NUD_VALID:
                actions += (ACT_FLUSH,)
            rows.append(((old,), event, new, actions, True))
    return tuple(rows)


def _admin_rows_24() -> tuple[_Spec, ...]:
    """Spell out neigh_update() with arp = 0: STALE yields to a CONNECTED entry of the same address."""
    rows: list[_Spec] = []
    for old in STATES:
        for new in STATES:
            event = EV_ADMIN | new
            if not new & NUD_VALID:
                rows.append(((old,), event, new, (ACT_STOP,), False))
                continue
            actions: tuple[int, ...] = (*((ACT_CONFIRM,) if new & NUD_CONNECTED else ()), ACT_STAMP)
            if new != old:
                actions += (ACT_STOP,)
            if not old & NUD_VALID:
                actions += (ACT_FLUSH,)
            rows.append(((old,), event, new, actions, True))
    return tuple(rows)


def _table(specs: tuple[_Spec, ...]) -> Rows:
    """Turn the rows into a dict by (state, event)."""
    return MappingProxyType(
        {
            (state, event): Row(state if new == _SAME else new, actions, learn)
            for states, event, new, actions, learn in specs
            for state in states
        }
    )


def send_event(state: int, parms: NeighParms) -> int:
    """Classify a packet: a first resolution needs a probe that may be sent."""
    if state in _UNASKED and not parms.mcast_solicit + parms.app_solicit:
        return EV_SEND_MUTE
    return EV_SEND


def update_event(old: int, new: int, *, same: bool, override: bool) -> int:
    """Classify an ARP frame whose news is `new` (REACHABLE or STALE). `same`: it names the address we know."""
    reply = new == NUD_REACHABLE
    if old & NUD_VALID and same:
        return EV_REPLY_SAME if reply else EV_HEARD_SAME
    if old & NUD_VALID and not override:
        return EV_REPLY_CONFLICT if reply else EV_HEARD_CONFLICT
    return EV_REPLY_OTHER if reply else EV_HEARD_OTHER


def admin_event(old: int, new: int, *, same: bool, stale_yields: bool) -> int:
    """Classify an administrator's wish; `stale_yields` is the era's (see Column)."""
    if stale_yields and same and new == NUD_STALE and old & NUD_CONNECTED:
        return EV_ADMIN_YIELD
    return EV_ADMIN | new


def _max_probes_6(parms: NeighParms, state: int) -> int:
    """Mirror neigh_max_probes(): broadcasts of a confirmation have a budget of their own."""
    last = parms.mcast_resolicit if state == NUD_PROBE else parms.mcast_solicit
    return parms.ucast_solicit + parms.app_solicit + last


def _max_probes_24(parms: NeighParms, state: int) -> int:
    """Mirror neigh_max_probes() of 2.4: one sum for every state, so PROBE ends in broadcasts."""
    return parms.ucast_solicit + parms.app_solicit + parms.mcast_solicit


def _timer_event_6(entry: Neighbour, now: Ns) -> int:
    """Classify a timer as neigh_timer_handler() does; the comparisons include their bound."""
    parms = entry.parms
    if entry.state == NUD_REACHABLE:
        if now <= entry.confirmed + parms.reachable_time:
            return EV_TIMER_FRESH
        return EV_TIMER_USED if now <= entry.used + parms.delay_first_probe_time else EV_TIMER_EXPIRED
    if entry.state == NUD_DELAY:
        if now <= entry.confirmed + parms.delay_first_probe_time:
            return EV_TIMER_FRESH
        return EV_TIMER_EXPIRED if _max_probes_6(parms, NUD_PROBE) > 0 else EV_TIMER_SPENT
    return EV_TIMER_RETRY if entry.probes < _max_probes_6(parms, entry.state) else EV_TIMER_SPENT


def _timer_event_24(entry: Neighbour, now: Ns) -> int:
    """Classify a timer as 2.4's neigh_timer_handler() does: young proof ends DELAY and PROBE alike (strictly)."""
    parms = entry.parms
    if entry.state & NUD_VALID and now - entry.confirmed < parms.reachable_time:
        return EV_TIMER_FRESH
    if entry.state == NUD_DELAY:
        return EV_TIMER_EXPIRED if _max_probes_24(parms, NUD_PROBE) > 0 else EV_TIMER_SPENT
    return EV_TIMER_RETRY if entry.probes < _max_probes_24(parms, entry.state) else EV_TIMER_SPENT


def _sync_event_6(entry: Neighbour, now: Ns) -> int | None:
    """Mainline looks at no age when an update comes in."""
    return None


def _sync_event_24(entry: Neighbour, now: Ns) -> int | None:
    """Mirror neigh_sync(): settle what the age of the proof says before an update is judged."""
    age = now - entry.confirmed
    if entry.state == NUD_REACHABLE:
        return EV_SYNC_EXPIRED if age > entry.parms.reachable_time else None
    return EV_SYNC_FRESH if entry.state in _DOUBTED and age < entry.parms.reachable_time else None


class Column(NamedTuple):
    """One era's rows and the functions that classify where eras classify otherwise.

    `timed`: the states that have a timer of their own. `touch_used`: arming a timer from outside a timer lifts `used`
    to `confirmed` (neigh_add_timer()).
    `stale_yields`: an administrator's STALE changes no CONNECTED entry of the same address.
    """

    name: str
    rows: Rows
    timer_event: Callable[[Neighbour, Ns], int]
    sync_event: Callable[[Neighbour, Ns], int | None]
    timed: int
    touch_used: bool
    stale_yields: bool


_TIMED_24 = NUD_INCOMPLETE | NUD_DELAY | NUD_PROBE
_TABLE_6 = _table((*_ROWS_6, *_admin_rows_6()))
_TABLE_24 = _table((*_ROWS_24, *_admin_rows_24()))

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "6": Column("6", _TABLE_6, _timer_event_6, _sync_event_6, _TIMED_24 | NUD_REACHABLE, True, False),
        "2.4": Column("2.4", _TABLE_24, _timer_event_24, _sync_event_24, _TIMED_24, False, True),
    }
)
