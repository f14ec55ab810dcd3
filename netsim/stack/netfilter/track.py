"""Connection tracking at PRE_ROUTING and LOCAL_OUT: which connection a packet belongs to, and a new one's beginning.

Afterwards `skb.ct` is the connection and `skb.ctinfo` the packet's place in it; no connection and ctinfo 0 is INVALID:
the packet goes on, untranslated. Source: nf_conntrack_in(), resolve_normal_ct(), init_conntrack(), nf_conntrack_core.c;
nf_conntrack_inet_error(), nf_conntrack_icmpv4_error(), nf_conntrack_proto_icmp.c (6.x); linux-kernel 5.3, 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from netsim.stack.device import Device
from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable, CtTemplate
from netsim.stack.netfilter.ct_proto import Tracker, icmp_sum_is_bad
from netsim.stack.netfilter.ct_tcp import REPEAT
from netsim.stack.netfilter.evict import Evictor
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_INET_PRE_ROUTING, HookFn, Services
from netsim.stack.netfilter.status import (
    IP_CT_ESTABLISHED,
    IP_CT_ESTABLISHED_REPLY,
    IP_CT_IS_REPLY,
    IP_CT_NEW,
    IP_CT_RELATED,
    IP_CT_UNTRACKED,
    IPCT_REPLY,
    IPS_EXPECTED,
    IPS_SEEN_REPLY,
)
from netsim.stack.netfilter.tuples import CtTuple, Key, invert, read_tuple
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.units import Ns
from netsim.wire.icmp import ERROR_TYPES, NR_ICMP_TYPES

_FULL = "nf_conntrack: table full, dropping packet"


class Tracking:
    """The hook function of connection tracking, over the table and one tracker a protocol."""

    def __init__(
        self, services: Services, table: ConntrackTable, trackers: Mapping[int, Tracker], generic: Tracker,
        evictor: Evictor,
    ) -> None:  # fmt: skip
        self._services = services
        self._conf = services.sysctl.conntrack
        self._table = table
        self._entries = table.entries
        self._trackers = trackers
        self._generic = generic
        self._evictor = evictor
        self._checks_icmp = services.era.icmp_checksum

    def at(self, hook: int) -> HookFn:
        """Return the function to register at `hook`."""
        return partial(self._at_hook, hook)

    def track(self, skb: Skb, hook: int, now: Ns) -> int:
        """Track a packet outside of a hook's walk (compat.py)."""
        return self._at_hook(hook, skb, None, None, now)

    def _at_hook(self, hook: int, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Mirror nf_conntrack_in(): NF_ACCEPT, or NF_DROP when the table is full."""
        if skb.ct is not None or skb.ctinfo == IP_CT_UNTRACKED:
            return NF_ACCEPT  # seen before (loopback), attached to another's connection, or not to be tracked
        data = skb.data
        if data[6] & 0x1F or data[7]:
            return self._invalid()  # a later fragment that nobody put together
        template: CtTemplate | None = skb.nfct_template
        proto = skb.proto
        key: Key | None
        if proto in (IPPROTO_UDP, IPPROTO_TCP):
            key = (skb.saddr, skb.sport, skb.daddr, skb.dport, proto, 0 if template is None else template.zone)
        else:
            zone = 0 if template is None else template.zone
            if proto == IPPROTO_ICMP:
                verdict = self.icmp_error(skb, hook, zone, now)
                if verdict:
                    return verdict
            key = read_tuple(data, 0, zone)
            if key is None:
                return self._invalid()
        tracker = self._trackers.get(proto, self._generic)
        while True:
            found = self._entries.get(key)
            if found is not None and found[0].timeout <= now:
                found = self._table.find(key, now)  # which clears the expired entry away
            if found is None:
                reply = invert(key)
                if reply is None:
                    return self._invalid()
                if not self._has_room(key, now):
                    self._table.stats["drop"] += 1
                    skb.drop_detail = _FULL
                    return NF_DROP
                ct = self._init(key, reply, template, now)
                ctinfo = IP_CT_RELATED if ct.status & IPS_EXPECTED else IP_CT_NEW
            else:
                ct, direction = found
                if direction:
                    ctinfo = IP_CT_ESTABLISHED_REPLY
                elif ct.status & IPS_SEEN_REPLY:
                    ctinfo = IP_CT_ESTABLISHED
                else:
                    ctinfo = IP_CT_RELATED if ct.status & IPS_EXPECTED else IP_CT_NEW
            skb.ct = ct
            skb.ctinfo = ctinfo
            verdict = tracker.packet(ct, skb, hook, now)
            if verdict > 0:
                break
            skb.ct = None
            skb.ctinfo = 0
            if verdict != REPEAT:
                return self._invalid()
        if ctinfo == IP_CT_ESTABLISHED_REPLY and not ct.status & IPS_SEEN_REPLY:
            ct.status |= IPS_SEEN_REPLY
            ct.events |= IPCT_REPLY
        if ct.counters is not None and verdict == NF_ACCEPT:
            self._table.account(ct, skb)
        return NF_ACCEPT

    def _invalid(self) -> int:
        self._table.stats["invalid"] += 1
        return NF_ACCEPT

    def _has_room(self, key: Key, now: Ns) -> bool:
        """Tell whether one more connection may begin, evicting another for it if need be."""
        limit = self._conf.max
        return not limit or self._table.count < limit or self._evictor.early_drop(key, now)

    def _init(self, key: Key, reply: CtTuple, template: CtTemplate | None, now: Ns) -> Conntrack:
        """Make a connection of its first packet. Source: init_conntrack(), __nf_conntrack_alloc()."""
        table = self._table
        ct = Conntrack(key if isinstance(key, CtTuple) else CtTuple._make(key), reply)
        if self._conf.acct:
            ct.counters = [0, 0, 0, 0]
        expected = table.expectations.take(key, now)
        if expected is not None:
            ct.status |= IPS_EXPECTED
            ct.master = expected.master
            ct.mark = expected.master.mark
            ct.helper = expected.helper
            expected.expectfn(ct, expected, now)
        else:
            ct.helper = table.expectations.helper_for(ct, template)
        return ct

    def icmp_error(self, skb: Skb, hook: int, zone: int, now: Ns) -> int:
        """Attach an ICMP error to the connection it is about; 0 for a message that has a connection of its own.

        Source: nf_conntrack_icmpv4_error(), nf_conntrack_inet_error().
        """
        data = skb.data
        at = (data[0] & 15) * 4
        if len(data) < at + 8:
            return self._invalid()
        kind = data[at]
        checks = hook == NF_INET_PRE_ROUTING and self._conf.checksum
        if checks and (kind in ERROR_TYPES or self._checks_icmp) and icmp_sum_is_bad(skb):
            return self._invalid()
        if kind > NR_ICMP_TYPES:
            return self._invalid()
        if kind not in ERROR_TYPES:
            return 0
        # "Ordinarily, we'd expect the inverted tupleproto, but it's been preserved inside the ICMP."
        quoted = read_tuple(data, at + 8, zone)
        inner = None if quoted is None else invert(quoted)
        if quoted is None or inner is None:
            return self._invalid()
        found = self._table.find(inner, now)
        if found is None and not self._services.era.icmp_outer_must_fit:
            # 2.4: "Locally generated ICMPs will match inverted if they haven't been SNAT'ed yet"
            found = self._table.find(quoted, now)
            if found is not None:
                found = (found[0], 1 - found[1])
        if found is None:
            return self._invalid()
        ct, direction = found
        if self._services.era.icmp_outer_must_fit and skb.daddr != ct.tuple(direction).dst:
            return self._invalid()  # on its way to somebody else than the one who sent the quoted packet
        skb.ct = ct
        skb.ctinfo = IP_CT_RELATED + (IP_CT_IS_REPLY if direction else 0)
        return NF_ACCEPT
