"""A run as lines of text: one a record, frames in tcpdump's words.

60.000000000 router:wan0 Out IP 10.0.1.2.4000 > 203.0.113.10.80: UDP, length 100
62.000000000 router neigh 10.0.1.1 dev wan0 DELAY -> PROBE (timer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netsim.trace.bus import Bus
from netsim.trace.records import (
    RECORD_TYPES,
    CommandRun,
    ConnectionEvent,
    ConntrackEvent,
    Consumed,
    Dropped,
    FlowDelivered,
    FlowError,
    FlowSent,
    FrameCopied,
    FrameDelivered,
    FrameSent,
    HookVerdict,
    NatMapped,
    NeighChange,
    Record,
    RouteEvent,
    RouteLookup,
    TcpSample,
    Tracked,
    WorldEvent,
)  # fmt: skip
from netsim.units import NS_PER_S, format_duration
from netsim.wire.frame import Frame
from netsim.wire.summary import summary

QUIET: tuple[type, ...] = (FrameCopied, Consumed, TcpSample, Tracked)
"""What a log leaves out unless it is asked for."""


class TextLog:
    """Writes a line for each record of some types, by default of all but QUIET and the routing and rule decisions."""

    def __init__(self, bus: Bus, write: Callable[[str], object], types: Iterable[type] | None = None) -> None:
        self._write = write
        left_out = (*QUIET, RouteLookup, HookVerdict)
        bus.subscribe(types if types is not None else [t for t in RECORD_TYPES if t not in left_out], self._record)

    def _record(self, record: Record) -> None:
        self._write(format_record(record) + "\n")


def format_record(record: Record) -> str:
    """Return the line of one record, its time first. Uids are left out, so that runs compare as text."""
    return f"{record.t // NS_PER_S}.{record.t % NS_PER_S:09d} {_words(record)}"


def _words(record: Record) -> str:
    match record:
        case FrameSent() | FrameDelivered():
            direction = "Out" if isinstance(record, FrameSent) else "In "
            return f"{record.node}:{record.dev} {direction} {_frame(record.frame)}"
        case FrameCopied():
            return f"{record.link} copy {_frame(record.frame)}"
        case Dropped():
            where = f"{record.node}:{record.dev}" if record.dev else record.node
            detail = f" ({record.detail})" if record.detail else ""
            return f"{where} drop {record.reason}{detail}{_packet(record.octets)}"
        case Consumed():
            return f"{record.node}:{record.dev} end of packet"
        case NeighChange():
            lladdr = f" lladdr {record.lladdr}" if record.lladdr else ""
            cause = f" ({record.cause})" if record.cause else ""
            return f"{record.node} neigh {record.dst} dev {record.dev}{lladdr} {record.old} -> {record.new}{cause}"
        case RouteLookup():
            return _lookup(record)
        case HookVerdict():
            rule = f"rule {record.rule}" if record.rule else "policy"
            return (
                f"{record.node} {record.hook} {record.table} {record.chain} {rule}: {record.text} -> {record.verdict}"
            )
        case NatMapped():
            why = f" ({record.why})" if record.why else ""
            return f"{record.node} nat {record.proto} {record.original} reply {record.reply}{why}"
        case ConntrackEvent():
            return f"{record.node} conntrack [{record.event}] {record.line.strip()}"
        case Tracked():
            mapped = " with NAT" if record.mapped else ""
            return f"{record.node} connection {record.serial}{mapped} {'gone' if record.gone else 'tracked'}"
        case RouteEvent():
            silent = "" if record.notified else " (no message)"
            return f"{record.node} route {record.event} {record.line}{silent}"
        case CommandRun():
            return _command(record)
        case WorldEvent():
            name = f" ({record.id})" if record.id else ""
            return f"--- {record.verb} {record.target}{name}"
        case _:
            return _flow(record)


def _flow(record: FlowSent | FlowDelivered | FlowError | ConnectionEvent | TcpSample) -> str:
    if isinstance(record, TcpSample):
        rto, srtt = format_duration(record.rto), format_duration(record.srtt)
        return (
            f"{record.node} tcp {record.conn} {record.event}: cwnd {record.cwnd} ssthresh {record.ssthresh}"
            f" flight {record.flight} rto {rto} srtt {srtt}"
        )
    head = f"{record.node} flow {record.flow} #{record.seq}"
    match record:
        case FlowSent():
            return f"{head} sent {record.octets}"
        case FlowDelivered():
            return f"{head} delivered {record.octets} after {format_duration(record.latency)}"
        case FlowError():
            return f"{head} error {record.errno}" + (f" from {record.source}" if record.source else "")
        case ConnectionEvent():
            return f"{head} {record.event} {record.conn}"


def _lookup(record: RouteLookup) -> str:
    answer = record.error or record.route
    why = f" ({record.why})" if record.why else ""
    return f"{record.node} route {record.kind} {record.src} -> {record.dst}: table {record.table}: {answer}{why}"


def _command(record: CommandRun) -> str:
    lines = [f"{record.node}# {record.line}" + (f"  [rc {record.rc}]" if record.rc else "")]
    lines += (record.stdout + record.stderr).splitlines()
    return "\n    ".join(lines)


def _frame(frame: Frame) -> str:
    return summary(frame.octets, link_header=frame.link_header)


def _packet(octets: bytes) -> str:
    """Describe what a drop carries: an IP packet (version 4 and a total length that fits), or else a frame."""
    if not octets:
        return ""
    ip = octets[0] >> 4 == 4 and int.from_bytes(octets[2:4], "big") <= len(octets)
    return ": " + summary(octets, link_header=not ip)
