"""The record types of netsim-trace/1: plain slotted classes, built by position, one field a fact.

Adding a field at the end is fine, renaming is a new version. `t` is Ns; addresses are text where a person reads them
and ints nowhere, so that a record means the same outside the process. A box is told which types somebody wants and
builds no others. A keyword-built frozen dataclass costs 3 us, a third of a packet-hop; these cost 0.6 us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, TypeAlias

from netsim.units import Ns
from netsim.wire.frame import Frame

VERSION = "netsim-trace/1"


@dataclass(slots=True)
class FrameSent:
    """An interface handed a frame to its link (digested: time, interface, octets).

    `through` is the uid of the received frame that was forwarded in it, 0 when the box made it.
    """

    t: Ns
    node: str
    dev: str
    frame: Frame
    through: int = 0


@dataclass(slots=True)
class FrameDelivered:
    """A frame arrived at an interface. `link` is the link it crossed, "" for an injected one."""

    t: Ns
    node: str
    dev: str
    frame: Frame
    link: str


@dataclass(slots=True)
class FrameCopied:
    """A hub or switch made `frame` out of its parent for one more port: counted as sent by the link itself."""

    t: Ns
    link: str
    frame: Frame


@dataclass(slots=True)
class Dropped:
    """A packet ended. `uid` names the frame it arrived in, or is 0 when it was made here and never was a frame.

    `node` is the box, or the link for losses on the wire; `dev` the device concerned, "" if none. `octets` is the IP
    packet or frame as it was when it ended; `detail` says what a reason alone does not ("table full").
    """

    t: Ns
    node: str
    dev: str
    reason: str
    uid: int
    octets: bytes
    detail: str = ""


@dataclass(slots=True)
class Consumed:
    """A received frame ended well inside a box: ARP processed, payload delivered to a socket, or answered."""

    t: Ns
    node: str
    dev: str
    uid: int


@dataclass(slots=True)
class NeighChange:
    """A neighbour entry moved. `cause` names a row of the NUD table; `lladdr` is "" while unknown."""

    t: Ns
    node: str
    dev: str
    dst: str
    old: str
    new: str
    lladdr: str
    cause: str


@dataclass(slots=True)
class Candidate:
    """One alternative as a lookup judged it (see RouteLookup)."""

    gateway: str
    dev: str
    neigh: str
    verdict: str
    weight: int = 1
    credit: int = 0
    flags: str = ""


@dataclass(slots=True)
class RouteLookup:
    """One routing decision and why: never part of the digest.

    `kind` is "input" or "output"; `key` the flow as text fields; `rule` the preference that matched (-1 none),
    `route` the winning route as `ip route` prints it, `why` the sentence a person reads. `lsrc` is the source that the
    nf_reroute patch asked with in place of `src`, "" otherwise.
    """

    t: Ns
    node: str
    kind: str
    dst: str
    src: str
    iif: str
    oif: str
    mark: int
    rule: int
    table: str
    route: str
    gateway: str
    dev: str
    candidates: tuple[Candidate, ...]
    memory_before: int
    memory_after: int
    why: str
    uid: int = 0
    error: str = ""
    lsrc: str = ""


@dataclass(slots=True)
class HookVerdict:
    """A netfilter rule decided about a packet. `rule` is its number in the chain, 0 for the policy."""

    t: Ns
    node: str
    hook: str
    table: str
    chain: str
    rule: int
    text: str
    verdict: str
    uid: int


@dataclass(slots=True)
class NatMapped:
    """A connection whose address or port changed, once, when it is confirmed. Tuples as "src:port>dst:port"."""

    t: Ns
    node: str
    proto: str
    original: str
    reply: str
    uid: int = 0
    why: str = ""


@dataclass(slots=True)
class ConntrackEvent:
    """A conntrack entry was made, changed state or went: `event` NEW, UPDATE or DESTROY, `line` as `conntrack -E`."""

    t: Ns
    node: str
    event: str
    line: str


@dataclass(slots=True)
class Tracked:
    """A connection entered conntrack's table, or left it (`gone`). `serial` counts a box's connections from 1.

    `mapped` tells whether NAT changed its addresses. For the books; a person reads NatMapped and ConntrackEvent.
    """

    t: Ns
    node: str
    serial: int
    mapped: bool
    gone: bool


@dataclass(slots=True)
class RouteEvent:
    """A route came or went, as `ip monitor route` would print it; `notified` tells whether Linux sends a message."""

    t: Ns
    node: str
    event: str
    line: str
    notified: bool


@dataclass(slots=True)
class CommandRun:
    """A command line was run on a box."""

    t: Ns
    node: str
    line: str
    rc: int
    stdout: str
    stderr: str


@dataclass(slots=True)
class WorldEvent:
    """A step of the scenario's timeline happened (silence, cut, run ...)."""

    t: Ns
    id: str
    verb: str
    target: str


@dataclass(slots=True)
class FlowSent:
    """An application sent unit `seq` of a flow (a datagram, an echo request) or opened connection `seq`."""

    t: Ns
    flow: str
    node: str
    seq: int
    octets: int
    conn: str = ""


@dataclass(slots=True)
class FlowDelivered:
    """Unit `seq` arrived at the far end (ping: its reply came back); `latency` in Ns, one way (ping: round trip)."""

    t: Ns
    flow: str
    node: str
    seq: int
    octets: int
    latency: Ns
    conn: str = ""


@dataclass(slots=True)
class FlowError:
    """An error reached an application: `errno` name as Linux gives it, `source` the ICMP sender or ""."""

    t: Ns
    flow: str
    node: str
    seq: int
    errno: str
    source: str


@dataclass(slots=True)
class ConnectionEvent:
    """A connection of a flow was opened, established, completed, reset, timed_out or refused.

    `conn` is "src:port>dst:port" as the opening host sees it.
    """

    t: Ns
    flow: str
    node: str
    seq: int
    event: str
    conn: str


@dataclass(slots=True)
class TcpSample:
    """One connection's sender state after it changed: congestion window and flight in octets, times in Ns."""

    t: Ns
    node: str
    conn: str
    event: str
    cwnd: int
    ssthresh: int
    flight: int
    rto: Ns
    srtt: Ns


Record: TypeAlias = (
    FrameSent | FrameDelivered | FrameCopied | Dropped | Consumed | NeighChange | RouteLookup | HookVerdict | NatMapped
    | ConntrackEvent | Tracked | RouteEvent | CommandRun | WorldEvent | FlowSent | FlowDelivered | FlowError
    | ConnectionEvent | TcpSample
)  # fmt: skip

RECORD_TYPES: tuple[type, ...] = (
    FrameSent, FrameDelivered, FrameCopied, Dropped, Consumed, NeighChange, RouteLookup, HookVerdict, NatMapped,
    ConntrackEvent, Tracked, RouteEvent, CommandRun, WorldEvent, FlowSent, FlowDelivered, FlowError, ConnectionEvent,
    TcpSample,
)  # fmt: skip

KINDS: Mapping[str, type] = MappingProxyType({cls.__name__: cls for cls in RECORD_TYPES})


def as_json(record: Record) -> dict[str, Any]:  # Any: JSON values
    """Turn a record into one JSON object, its type under "record"; a frame becomes its uid, parent and hex octets."""
    out: dict[str, Any] = {"record": type(record).__name__}
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, Frame):
            value = {"uid": value.uid, "parent": value.parent, "octets": value.octets.hex()}
        elif isinstance(value, bytes):
            value = value.hex()
        elif isinstance(value, tuple):
            value = [{f.name: getattr(item, f.name) for f in fields(item)} for item in value]
        out[each.name] = value
    return out


def from_json(data: dict[str, Any]) -> Record:  # Any: JSON values
    """Read back what `as_json` made."""
    cls = KINDS[data["record"]]
    values: dict[str, Any] = {}
    for each in fields(cls):
        value = data[each.name]
        if each.name == "frame":
            value = Frame(bytes.fromhex(value["octets"]), value["uid"], value["parent"])
        elif each.name == "octets" and isinstance(value, str):
            value = bytes.fromhex(value)
        elif each.name == "candidates":
            value = tuple(Candidate(**item) for item in value)
        values[each.name] = value
    return cls(**values)  # type: ignore[no-any-return]  # kinds maps a record's name to its class
