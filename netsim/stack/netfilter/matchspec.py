"""The matches of a rule as values: what each asks of a packet, under the names of iptables's extensions.

Ports and ranges are inclusive pairs, addresses ints; `invert` is the tool's "!". Constants carry the kernel's names and
values. Source: include/uapi/linux/netfilter/xt_*.h, netfilter_ipv4/ipt_*.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from netsim.addr import Ip, Mac

XT_TCP_INV_SRCPT = 0x01
XT_TCP_INV_DSTPT = 0x02
XT_TCP_INV_FLAGS = 0x04
XT_TCP_INV_OPTION = 0x08

XT_CONNTRACK_STATE = 1 << 0
XT_CONNTRACK_PROTO = 1 << 1
XT_CONNTRACK_ORIGSRC = 1 << 2
XT_CONNTRACK_ORIGDST = 1 << 3
XT_CONNTRACK_REPLSRC = 1 << 4
XT_CONNTRACK_REPLDST = 1 << 5
XT_CONNTRACK_STATUS = 1 << 6
XT_CONNTRACK_EXPIRES = 1 << 7
XT_CONNTRACK_ORIGSRC_PORT = 1 << 8
XT_CONNTRACK_ORIGDST_PORT = 1 << 9
XT_CONNTRACK_REPLSRC_PORT = 1 << 10
XT_CONNTRACK_REPLDST_PORT = 1 << 11
XT_CONNTRACK_DIRECTION = 1 << 12

XT_CONNTRACK_STATE_INVALID = 1 << 0
XT_CONNTRACK_STATE_ESTABLISHED = 1 << 1
XT_CONNTRACK_STATE_RELATED = 1 << 2
XT_CONNTRACK_STATE_NEW = 1 << 3
XT_CONNTRACK_STATE_SNAT = 1 << 6
XT_CONNTRACK_STATE_DNAT = 1 << 7
XT_CONNTRACK_STATE_UNTRACKED = 1 << 8

ANY_PORT = (0, 0xFFFF)
FULL_MASK = 0xFFFFFFFF
ICMP_ANY = 0xFF
LIMIT_SCALE = 10_000
"""`LimitMatch.avg` counts ten-thousandths of a second between two packets (XT_LIMIT_SCALE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpMatch:
    """`-m tcp`: ports, `flags_cmp` of `flags_mask`, an option kind (0 none); `invert` XT_TCP_INV_ bits."""

    sports: tuple[int, int] = ANY_PORT
    dports: tuple[int, int] = ANY_PORT
    flags_mask: int = 0
    flags_cmp: int = 0
    option: int = 0
    invert: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpMatch:
    """`-m udp`; `invert` XT_TCP_INV_SRCPT and DSTPT (the values are UDP's too)."""

    sports: tuple[int, int] = ANY_PORT
    dports: tuple[int, int] = ANY_PORT
    invert: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpMatch:
    """`-m icmp`; type ICMP_ANY matches all."""

    type: int
    codes: tuple[int, int] = (0, 0xFF)
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiportMatch:
    """`-m multiport`; `which` is "sports", "dports" or "ports" (either one)."""

    which: str
    ports: tuple[tuple[int, int], ...]
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMatch:
    """`-m state`; `states` XT_CONNTRACK_STATE_ bits."""

    states: int
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackMatch:
    """`-m conntrack`; `match` and `invert` hold XT_CONNTRACK_ bits of the parts that are asked for, and negated.

    `expire` is in whole seconds; direction REPLY is DIRECTION in both.
    """

    match: int
    invert: int = 0
    states: int = 0
    status: int = 0
    proto: int = 0
    origsrc: tuple[Ip, int] = (0, 0)
    origdst: tuple[Ip, int] = (0, 0)
    replsrc: tuple[Ip, int] = (0, 0)
    repldst: tuple[Ip, int] = (0, 0)
    origsrc_port: tuple[int, int] = ANY_PORT
    origdst_port: tuple[int, int] = ANY_PORT
    replsrc_port: tuple[int, int] = ANY_PORT
    repldst_port: tuple[int, int] = ANY_PORT
    expire: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMatch:
    """`-m mark`, or `-m connmark` with `conn`."""

    mark: int
    mask: int = FULL_MASK
    invert: bool = False
    conn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitMatch:
    """`-m limit`; see LIMIT_SCALE."""

    avg: int
    burst: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticMatch:
    """`-m statistic`: random with `probability` of 2^31, or (`every` not 0) the packet numbered `packet` of `every`."""

    probability: int = 0
    every: int = 0
    packet: int = 0
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MacMatch:
    """`-m mac`."""

    mac: Mac
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TtlMatch:
    """`-m ttl`; `mode` "eq", "ne", "lt" or "gt"."""

    mode: str
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthMatch:
    """`-m length`: octets of the whole IP packet."""

    length: tuple[int, int]
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddrtypeMatch:
    """`-m addrtype`; `src` and `dst` are masks of 1 << RTN_, 0 for not asked; `limit` "", "in" or "out"."""

    src: int = 0
    dst: int = 0
    invert_src: bool = False
    invert_dst: bool = False
    limit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentMatch:
    """`-m comment`: matches everything."""

    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IprangeMatch:
    """`-m iprange`; None for a side that is not asked for."""

    src: tuple[Ip, Ip] | None = None
    dst: tuple[Ip, Ip] | None = None
    invert_src: bool = False
    invert_dst: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TosMatch:
    """`-m tos`."""

    value: int
    mask: int = 0xFF
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DscpMatch:
    """`-m dscp`: the upper six bits of TOS."""

    dscp: int
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PkttypeMatch:
    """`-m pkttype`; `pkt_type` PACKET_HOST, BROADCAST or MULTICAST."""

    pkt_type: int
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperMatch:
    """`-m helper`; "" matches any helper."""

    helper: str
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpmssMatch:
    """`-m tcpmss`: the MSS option's value."""

    mss: tuple[int, int]
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ViaMatch:
    """`-i` of ipchains: the device a packet came by in `input`, the one it leaves by in `forward` and `output`."""

    name: str
    invert: bool = False


MatchSpec: TypeAlias = (
    TcpMatch | UdpMatch | IcmpMatch | MultiportMatch | StateMatch | ConntrackMatch | MarkMatch | LimitMatch
    | StatisticMatch | MacMatch | TtlMatch | LengthMatch | AddrtypeMatch | CommentMatch | IprangeMatch | TosMatch
    | DscpMatch | PkttypeMatch | HelperMatch | TcpmssMatch | ViaMatch
)  # fmt: skip
