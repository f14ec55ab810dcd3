"""The table of connections: what an entry is, how it comes in, how long it stays, how it goes.

Theory. An entry is made by the first packet (track.py) and enters the table only when that packet leaves the box or
is delivered (`confirm`, last hook): a dropped packet leaves nothing. It is found by either of its two tuples. NAT
rewrites the reply tuple before confirmation, and nothing changes a tuple after. Expiry is exact: each lookup compares
the entry's instant with now; the background scan only tells who listens (events) and frees memory.
Source: net/netfilter/nf_conntrack_core.c (6.x); linux-kernel 5.3; observed-linux 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from netsim.stack.netfilter import ct_text
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, Services
from netsim.stack.netfilter.status import (
    IP_CT_DIR_ORIGINAL,
    IP_CT_DIR_REPLY,
    IP_CT_IS_REPLY,
    IP_CT_RELATED,
    IP_CT_RELATED_REPLY,
    IPCT_DESTROY,
    IPCT_MARK,
    IPCT_NEW,
    IPCT_RELATED,
    IPS_CONFIRMED,
    IPS_DYING,
    IPS_FIXED_TIMEOUT,
    IPS_NAT_MASK,
    IPS_SRC_NAT_DONE,
)
from netsim.stack.netfilter.tuples import CtTuple, Key
from netsim.stack.skb import Skb
from netsim.trace.records import ConntrackEvent, NatMapped, Tracked
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.netfilter.ct_window import TcpTrack
    from netsim.stack.netfilter.expect import Expectations
    from netsim.stack.netfilter.ftp import LineEnds
    from netsim.stack.netfilter.helper import Helper
    from netsim.stack.netfilter.nat24 import Manip
    from netsim.stack.netfilter.rewrite import Rewrite
    from netsim.stack.netfilter.seqadj import SeqAdjust


class Conntrack:
    """One connection (struct nf_conn). Only this room writes to it.

    `timeout` is how long to live (Ns) before confirmation and the instant of expiry after it. `masq_index` is the
    ifindex that MASQUERADE recorded, 0 none. `rewrites` holds what NAT does to a packet, by direction and kind,
    computed when first needed (rewrite.py); `manips` is 2.4's list of the same (nat24.py). `counters` is [packets,
    octets] of both directions, or None without acct. `why` names the targets that set up its NAT. `stream_ts` is UDP's
    "longer than two seconds" instant (2.4's ICMP: requests not yet answered). `line_ends` belongs to the FTP helper.
    """

    __slots__ = (
        "counters", "events", "expecting", "helper", "line_ends", "manips", "mark", "masq_index", "master", "rewrites",
        "seqadj", "serial", "status", "stream_ts", "tcp", "timeout", "tuple_orig", "tuple_reply", "why",
    )  # fmt: skip

    def __init__(self, orig: CtTuple, reply: CtTuple) -> None:
        self.tuple_orig = orig
        self.tuple_reply = reply
        self.status = 0
        self.timeout: Ns = 0
        self.mark = 0
        self.masq_index = 0
        self.master: Conntrack | None = None
        self.helper: Helper | None = None
        self.tcp: TcpTrack | None = None
        self.stream_ts: Ns = 0
        self.events = 0
        self.expecting = 0
        self.counters: list[int] | None = None
        self.rewrites: list[Rewrite | None] | None = None
        self.manips: tuple[Manip, ...] = ()
        self.seqadj: SeqAdjust | None = None
        self.line_ends: LineEnds | None = None
        self.why = ""
        self.serial = 0

    @property
    def proto(self) -> int:
        """The transport protocol's number."""
        return self.tuple_orig.proto

    @property
    def zone(self) -> int:
        """The conntrack zone."""
        return self.tuple_orig.zone

    def tuple(self, direction: int) -> CtTuple:
        """Return the tuple of IP_CT_DIR_ORIGINAL or IP_CT_DIR_REPLY."""
        return self.tuple_reply if direction else self.tuple_orig

    def __repr__(self) -> str:
        return f"<Conntrack {self.tuple_orig} / {self.tuple_reply} status=0x{self.status:x}>"


class CtTemplate:
    """What the CT target attaches to a packet before it is tracked: a zone, a helper."""

    __slots__ = ("helper", "zone")

    def __init__(self, zone: int = 0, helper: str = "") -> None:
        self.zone = zone
        self.helper = helper


def _source_key(one: CtTuple) -> int:
    """Fold zone, source, port and protocol into one int: a third of a tuple's memory."""
    return ((one.zone << 32 | one.src) << 16 | one.sport) << 8 | one.proto


class ConntrackTable:
    """All confirmed connections of one box.

    `entries` finds connection and direction by either tuple (track.py reads it on the fast path, nobody else writes).
    `users` counts the rules that need tracking: it runs only while there is one (`in_use` is told of each change).
    `stats` are `conntrack -S` counts.
    """

    def __init__(self, services: Services, in_use: Callable[[bool], None]) -> None:
        self._services = services
        self.entries: dict[Key, tuple[Conntrack, int]] = {}
        self._in_use = in_use
        self.users = 0
        self.count = 0
        self._by_source: dict[int, tuple[Conntrack, ...]] = {}
        self.on_insert: Callable[[Conntrack, Ns], None] | None = None
        self.on_remove: Callable[[Conntrack], None] | None = None
        self.stats = dict.fromkeys(("found", "invalid", "insert", "insert_failed", "drop", "early_drop"), 0)

    expectations: Expectations

    # Whether connections are tracked at all

    def get(self) -> None:
        """Note one more rule that needs tracking. Source: nf_ct_netns_get()."""
        self.users += 1
        if self.users == 1:
            self._in_use(True)

    def put(self) -> None:
        """Note one rule less. Entries stay where they are. Source: nf_ct_netns_put()."""
        self.users -= 1
        if not self.users and not self._services.era.conntrack_stays:
            self._in_use(False)

    # Lookup

    def find(self, key: Key, now: Ns) -> tuple[Conntrack, int] | None:
        """Return the entry that `key` belongs to, and the direction; an expired one goes here and now.

        Source: __nf_conntrack_find_get(), nf_ct_gc_expired().
        """
        found = self.entries.get(key)
        if found is not None and found[0].timeout <= now:
            self.kill(found[0], now)
            return None
        return found

    def mapped(self, orig: CtTuple) -> tuple[Conntrack, ...]:
        """Return the connections with the same source, port and protocol, oldest first. Source: nf_nat_bysource."""
        return self._by_source.get(_source_key(orig), ())

    def __iter__(self) -> Iterator[Conntrack]:
        """Yield entries, oldest first, expired ones too."""
        return (ct for ct, direction in list(self.entries.values()) if not direction or ct.tuple_orig == ct.tuple_reply)

    def taken(self, key: Key, ignored: Conntrack, now: Ns) -> bool:
        """Tell whether another connection answers to `key`. Source: nf_conntrack_tuple_taken()."""
        found = self.entries.get(key)
        if found is None or found[0] is ignored:
            return False
        ct = found[0]
        if ct.timeout <= now:
            self.kill(ct, now)
            return False
        # Equal originals are one flow seen twice; confirmation settles it.
        return ct.tuple_orig != ignored.tuple_orig

    # Life

    def refresh(self, ct: Conntrack, timeout: Ns, now: Ns) -> None:
        """Let an entry live `timeout` from now. Source: __nf_ct_refresh_acct()."""
        status = ct.status
        if status & IPS_FIXED_TIMEOUT:
            return
        ct.timeout = now + timeout if status & IPS_CONFIRMED else timeout

    def account(self, ct: Conntrack, skb: Skb) -> None:
        """Count a packet where accounting is on. Source: nf_ct_acct_update()."""
        if ct.counters is not None:
            at = 2 if skb.ctinfo >= IP_CT_IS_REPLY else 0
            ct.counters[at] += 1
            ct.counters[at + 1] += len(skb.data)

    def confirm(self, skb: Skb, now: Ns) -> int:
        """Put a new connection into the table as its first packet leaves, and tell listeners what happened to it.

        Source: nf_conntrack_confirm(), __nf_conntrack_confirm(), nf_ct_resolve_clash(): a packet at a time, two
        entries only clash when NAT found no free tuple, and that is dropped.
        """
        ct: Conntrack = skb.ct
        if ct.status & IPS_CONFIRMED:
            if ct.events and not ct.status & IPS_DYING:
                self.deliver(ct, now)
            return NF_ACCEPT
        if skb.ctinfo >= IP_CT_IS_REPLY:
            return NF_ACCEPT  # REJECT's reset or error rides on the connection it refuses
        orig, reply = ct.tuple_orig, ct.tuple_reply
        if ct.status & IPS_DYING or self.find(orig, now) is not None or self.find(reply, now) is not None:
            self.stats["insert_failed"] += 1
            self.stats["drop"] += 1
            skb.drop_detail = "conntrack: no free tuple"
            return NF_DROP
        ct.timeout += now
        ct.status |= IPS_CONFIRMED
        self.entries[orig] = (ct, IP_CT_DIR_ORIGINAL)
        self.entries[reply] = (ct, IP_CT_DIR_REPLY)
        self.count += 1
        self.stats["insert"] += 1
        ct.serial = self.stats["insert"]
        if ct.status & IPS_SRC_NAT_DONE:
            key = _source_key(orig)
            self._by_source[key] = (*self._by_source.get(key, ()), ct)
        if self.on_insert is not None:
            self.on_insert(ct, now)
        outbox = self._services.outbox
        if ct.status & IPS_NAT_MASK and NatMapped in outbox.wants:
            name = ct_text.PROTO_NAMES.get(orig.proto, str(orig.proto))
            outbox.records.append(
                NatMapped(now, self._services.node, name, str(orig), str(reply), skb.uid or skb.parent, ct.why)
            )
        if Tracked in outbox.wants:
            outbox.records.append(
                Tracked(now, self._services.node, ct.serial, bool(ct.status & IPS_NAT_MASK), gone=False)
            )
        ct.events |= IPCT_RELATED if ct.master is not None else IPCT_NEW
        self.deliver(ct, now)
        return NF_ACCEPT

    def kill(self, ct: Conntrack, now: Ns) -> bool:
        """Remove an entry and say so; False when it is gone already. Source: nf_ct_delete(), nf_ct_kill()."""
        if ct.status & IPS_DYING:
            return False
        ct.status |= IPS_DYING
        if not ct.status & IPS_CONFIRMED:
            return True
        del self.entries[ct.tuple_orig]
        self.entries.pop(ct.tuple_reply, None)  # the same key when a box speaks to itself from and to one port
        self.count -= 1
        if ct.status & IPS_SRC_NAT_DONE:
            key = _source_key(ct.tuple_orig)
            mapped = tuple(other for other in self._by_source[key] if other is not ct)
            if mapped:
                self._by_source[key] = mapped
            else:
                del self._by_source[key]
        self.expectations.forget(ct)
        if self.on_remove is not None:
            self.on_remove(ct)
        outbox = self._services.outbox
        if Tracked in outbox.wants:
            outbox.records.append(
                Tracked(now, self._services.node, ct.serial, bool(ct.status & IPS_NAT_MASK), gone=True)
            )
        ct.events |= IPCT_DESTROY
        self.deliver(ct, now)
        return True

    def kill_confirmed(self, ct: Conntrack, now: Ns) -> None:
        """End an entry if it is in the table already: what del_timer() guards in 2.4."""
        if ct.status & IPS_CONFIRMED:
            self.kill(ct, now)

    def sweep(self, doomed: Callable[[Conntrack], bool], now: Ns) -> int:
        """Remove every entry that `doomed` names, and count them. Source: nf_ct_iterate_cleanup_net()."""
        return sum(self.kill(ct, now) for ct in self if doomed(ct))

    def attach(self, new: Skb, old: Skb) -> None:
        """Let a packet made because of `old` (an ICMP error, a reset) ride on its connection, the other way round.

        Source: nf_conntrack_attach().
        """
        if old.ct is not None:
            new.ct = old.ct
            new.ctinfo = IP_CT_RELATED if old.ctinfo >= IP_CT_IS_REPLY else IP_CT_RELATED_REPLY

    # Telling

    def set_mark(self, ct: Conntrack, mark: int) -> None:
        """Set the connection's mark. Source: connmark_tg_shift()."""
        if ct.mark != mark:
            ct.mark = mark
            ct.events |= IPCT_MARK

    def deliver(self, ct: Conntrack, now: Ns) -> None:
        """Publish what happened since the last packet. Source: nf_ct_deliver_cached_events()."""
        events, ct.events = ct.events, 0
        outbox = self._services.outbox
        if ConntrackEvent not in outbox.wants:
            return
        kind = "DESTROY" if events & IPCT_DESTROY else "NEW" if events & (IPCT_NEW | IPCT_RELATED) else "UPDATE"
        outbox.records.append(ConntrackEvent(now, self._services.node, kind, ct_text.event_line(ct, events, now)))
