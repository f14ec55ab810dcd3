"""A connection as conntrack-tools print it: the lines of `conntrack -L`, and of `conntrack -E` for event records.

Source: conntrack-tools 1.4.7, libnetfilter_conntrack snprintf_default.c; linux-kernel 6.4; observed-linux 12, 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from netsim.addr import ip_str
from netsim.stack.netfilter.status import (
    IPCT_DESTROY,
    IPCT_PROTOINFO,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
)
from netsim.stack.netfilter.tuples import IPPROTO_GRE, IPPROTO_UDPLITE, CtTuple
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP
from netsim.units import NS_PER_S, Ns

if TYPE_CHECKING:
    from netsim.stack.netfilter.conntrack import Conntrack

PROTO_NAMES: Mapping[int, str] = MappingProxyType(
    {IPPROTO_ICMP: "icmp", IPPROTO_TCP: "tcp", IPPROTO_UDP: "udp", IPPROTO_UDPLITE: "udplite", IPPROTO_GRE: "gre"}
)
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
"""By TCP_CONNTRACK_ number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackInfo:
    """One listed connection. `timeout` is the remaining whole seconds, rounded down; `state` "" where there is none.

    `counters` is (packets, octets, packets of replies, octets of replies), or None without accounting.
    """

    orig: CtTuple
    reply: CtTuple
    timeout: int
    state: str
    status: int
    mark: int
    helper: str = ""
    counters: tuple[int, int, int, int] | None = None

    @property
    def proto(self) -> int:
        """The transport protocol's number."""
        return self.orig.proto


def info(ct: Conntrack, now: Ns) -> ConntrackInfo:
    """Take a picture of a connection. Source: ctnetlink_fill_info(); nf_ct_expires() / HZ."""
    counters = ct.counters
    return ConntrackInfo(
        orig=ct.tuple_orig,
        reply=ct.tuple_reply,
        timeout=max(0, ct.timeout - now) // NS_PER_S,
        state=TCP_STATES[ct.tcp.state] if ct.tcp is not None else "",
        status=ct.status,
        mark=ct.mark,
        helper=ct.helper.name if ct.helper is not None else "",
        counters=None if counters is None else (counters[0], counters[1], counters[2], counters[3]),
    )


def tuple_text(one: CtTuple) -> str:
    """Print one direction: "src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2"."""
    text = f"src={ip_str(one.src)} dst={ip_str(one.dst)}"
    if one.proto == IPPROTO_ICMP:
        return f"{text} type={one.icmp_type} code={one.icmp_code} id={one.icmp_id}"
    if one.proto == IPPROTO_GRE:
        return f"{text} srckey=0x{one.sport:x} dstkey=0x{one.dport:x}"
    if one.proto in (IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE):
        return f"{text} sport={one.sport} dport={one.dport}"
    return text


def body(entry: ConntrackInfo, *, timeout: bool = True, state: bool = True) -> str:
    """Print what lists and events have in common, from the protocol to [ASSURED]."""
    parts = [f"{PROTO_NAMES.get(entry.proto, 'unknown'):<8} {entry.proto}"]
    if timeout:
        parts.append(str(entry.timeout))
    if state and entry.state:
        parts.append(entry.state)
    counters = entry.counters
    parts.append(tuple_text(entry.orig))
    if counters is not None:
        parts.append(f"packets={counters[0]} bytes={counters[1]}")
    if not entry.status & IPS_SEEN_REPLY:
        parts.append("[UNREPLIED]")
    parts.append(tuple_text(entry.reply))
    if counters is not None:
        parts.append(f"packets={counters[2]} bytes={counters[3]}")
    if entry.status & IPS_ASSURED:
        parts.append("[ASSURED]")
    return " ".join(parts)


def list_line(entry: ConntrackInfo, *, extended: bool = False) -> str:
    """Print a line of `conntrack -L` (`-o extended` puts the network protocol in front)."""
    line = f"{'ipv4     2 ' if extended else ''}{body(entry)} mark={entry.mark}"
    if entry.orig.zone:
        line += f" zone={entry.orig.zone}"
    if entry.helper:
        line += f" helper={entry.helper}"
    return f"{line} use=1"


def event_line(ct: Conntrack, events: int, now: Ns) -> str:
    """Print what `conntrack -E` shows after the event's name.

    An update tells the TCP state only when it moved; the end of an entry tells the time it had left, if any.
    Source: ctnetlink_conntrack_event(); observed-linux 12 (case m1).
    """
    entry = info(ct, now)
    gone = bool(events & IPCT_DESTROY)
    line = body(entry, timeout=not gone or entry.timeout > 0, state=gone or bool(events & IPCT_PROTOINFO))
    if entry.mark:
        line += f" mark={entry.mark}"
    if entry.orig.zone:
        line += f" zone={entry.orig.zone}"
    if entry.helper:
        line += f" helper={entry.helper}"
    return line
