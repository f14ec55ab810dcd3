"""What the conntrack tool asks a box: list, count, delete and flush connections.

Source: conntrack-tools 1.4.7; nf_conntrack_netlink.c ctnetlink_get_conntrack(), ctnetlink_del_conntrack() (6.x).
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Prefix
from netsim.stack.netfilter.ct_text import ConntrackInfo
from netsim.stack.netfilter.expect import ExpectationInfo
from netsim.stack.requests import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackFilter:
    """Which connections; None or "" means any.

    `orig_*` and `reply_*` are the two tuples' ends (`-s -d -r -q`), ports and ICMP id and type of the original one.
    `status_set` bits must be set and `status_clear` bits clear (IPS_; ASSURED, SEEN_REPLY, SRC_NAT, DST_NAT ...).
    """

    proto: int | None = None
    orig_src: Prefix | None = None
    orig_dst: Prefix | None = None
    reply_src: Prefix | None = None
    reply_dst: Prefix | None = None
    orig_sport: int | None = None
    orig_dport: int | None = None
    reply_sport: int | None = None
    reply_dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    mark: int | None = None
    mark_mask: int = 0xFFFFFFFF
    zone: int | None = None
    state: str = ""
    status_set: int = 0
    status_clear: int = 0

    def fits(self, entry: ConntrackInfo) -> bool:
        """Tell whether an entry is meant."""
        orig, reply = entry.orig, entry.reply
        prefixes = (
            (self.orig_src, orig.src), (self.orig_dst, orig.dst), (self.reply_src, reply.src),
            (self.reply_dst, reply.dst),
        )  # fmt: skip
        numbers = (
            (self.proto, orig.proto), (self.orig_sport, orig.sport), (self.orig_dport, orig.dport),
            (self.reply_sport, reply.sport), (self.reply_dport, reply.dport), (self.icmp_type, orig.icmp_type),
            (self.icmp_code, orig.icmp_code), (self.icmp_id, orig.icmp_id), (self.zone, orig.zone),
        )  # fmt: skip
        return (
            all(want is None or want.holds(have) for want, have in prefixes)
            and all(want is None or want == have for want, have in numbers)
            and (self.mark is None or entry.mark & self.mark_mask == self.mark)
            and (not self.state or entry.state == self.state)
            and entry.status & self.status_set == self.status_set
            and not entry.status & self.status_clear
        )


ANY = ConntrackFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpConntrack(Request[tuple[ConntrackInfo, ...]]):
    """List connections that fit, oldest first; expired ones go on the way."""

    wanted: ConntrackFilter = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteConntrack(Request[tuple[ConntrackInfo, ...]]):
    """Delete the connections that fit and answer them (none: an empty tuple, which the tool calls an error)."""

    wanted: ConntrackFilter = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushConntrack(Request[Done]):
    """Delete every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountConntrack(Request[int]):
    """Count entries as nf_conntrack_count does: expired ones that nobody noticed yet, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackStats(Request[dict[str, int]]):
    """Answer the counters of `conntrack -S` by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConntrackMark(Request[int]):
    """Set the mark of the connections that fit (`conntrack -U -m`) and answer how many."""

    wanted: ConntrackFilter
    mark: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpExpectations(Request[tuple[ExpectationInfo, ...]]):
    """List expectations."""
