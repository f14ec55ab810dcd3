"""A packet filter rule as a value: header selectors, matches in order (matchspec.py), one target.

Text becomes a RuleSpec in shell/iptables; tables.py compiles it into a function. Two specs are the same rule when they
compare equal, which is what `iptables -D` and `-C` ask. Addresses and masks are ints, ports and ranges inclusive pairs,
names are iptables's. Constants carry the kernel's names and values.
Source: include/uapi/linux/netfilter_ipv4/ip_tables.h, include/uapi/linux/netfilter/xt_*.h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from netsim.addr import Ip
from netsim.stack.netfilter.matchspec import FULL_MASK, MatchSpec
from netsim.stack.netfilter.nat_range import NatRange

IPT_INV_VIA_IN = 0x01
IPT_INV_VIA_OUT = 0x02
IPT_INV_SRCIP = 0x08
IPT_INV_DSTIP = 0x10
IPT_INV_FRAG = 0x20
IPT_INV_PROTO = 0x40

# Targets


@dataclass(frozen=True, slots=True)
class VerdictTarget:
    """ACCEPT, DROP or RETURN."""

    name: str


ACCEPT_TARGET = VerdictTarget("ACCEPT")
DROP_TARGET = VerdictTarget("DROP")
RETURN_TARGET = VerdictTarget("RETURN")


@dataclass(frozen=True, slots=True)
class JumpTarget:
    """`-j CHAIN`, or `-g CHAIN` with `goto`."""

    chain: str
    goto: bool = False


@dataclass(frozen=True, slots=True)
class NatTarget:
    """`kind` is "SNAT", "DNAT", "MASQUERADE", "REDIRECT" or "NETMAP" (its range is the whole network's)."""

    kind: str
    range: NatRange


@dataclass(frozen=True, slots=True)
class RejectTarget:
    """`-j REJECT`; `how` is the long name, "icmp-port-unreachable" or "tcp-reset"."""

    how: str = "icmp-port-unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """`-j LOG`; `level` 0..7, `flags` XT_LOG_ bits."""

    prefix: str = ""
    level: int = 4
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkTarget:
    """`-j MARK --set-xmark mark/mask`: clear the mask's bits, then xor the mark in."""

    mark: int
    mask: int = FULL_MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnmarkTarget:
    """`-j CONNMARK`; `mode` "set", "save" or "restore"."""

    mode: str
    ctmark: int = 0
    ctmask: int = FULL_MASK
    nfmask: int = FULL_MASK


@dataclass(frozen=True, slots=True)
class TcpmssTarget:
    """`-j TCPMSS`; `mss` None clamps to the path MTU."""

    mss: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CtTarget:
    """`-j CT`, and `-j NOTRACK` with `alias`; zones are ids or "mark", None where not given."""

    notrack: bool = False
    alias: bool = False
    helper: str = ""
    zone: int | str | None = None
    zone_orig: int | str | None = None
    zone_reply: int | str | None = None
    ctevents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TtlTarget:
    """`-j TTL`; `mode` "set", "inc" or "dec"."""

    mode: str
    value: int


@dataclass(frozen=True, slots=True)
class TosTarget:
    """`-j TOS --set-tos value/mask`: clear the mask's bits, then xor the value in."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class DscpTarget:
    """`-j DSCP`."""

    dscp: int


@dataclass(frozen=True, slots=True)
class MasqTarget:
    """`-j MASQ` of ipchains: masquerade in FORWARD, before POST_ROUTING exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTarget:
    """What a rule of ipchains does before its target `then`: log, mark, change TOS.

    A relative mark is added, modulo 2^32; `mark` None leaves it.
    """

    then: VerdictTarget | JumpTarget | RejectTarget | MasqTarget | None
    log: bool = False
    mark: int | None = None
    mark_relative: bool = False
    tos_and: int = 0xFF
    tos_xor: int = 0


TargetSpec: TypeAlias = (
    VerdictTarget | JumpTarget | NatTarget | RejectTarget | LogTarget | MarkTarget | ConnmarkTarget | TcpmssTarget
    | CtTarget | TtlTarget | TosTarget | DscpTarget | MasqTarget | SideTarget
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """One rule. `src` and `dst` are address and mask, (0, 0) for any; `iif` "" any, "eth+" a prefix; `proto` 0 any.

    `invert` holds IPT_INV_ bits; `target` None only counts. `text` is the rule as `iptables -S` prints it after
    `-A CHAIN `, for records and people, and takes no part in comparisons.
    """

    src: tuple[Ip, int] = (0, 0)
    dst: tuple[Ip, int] = (0, 0)
    iif: str = ""
    oif: str = ""
    proto: int = 0
    fragment: bool = False
    invert: int = 0
    matches: tuple[MatchSpec, ...] = ()
    target: TargetSpec | None = None
    text: str = field(default="", compare=False)


def jump_of(spec: RuleSpec) -> JumpTarget | None:
    """Return where a rule jumps to, if it does."""
    target = spec.target.then if isinstance(spec.target, SideTarget) else spec.target
    return target if isinstance(target, JumpTarget) else None
