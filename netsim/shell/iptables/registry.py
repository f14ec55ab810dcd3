"""Which matches and targets there are, and which of the real tool's are not modelled here.

A name of neither list is a match that iptables cannot load, or a chain to jump to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netsim.errors import InternalError
from netsim.shell.iptables import (
    match_address,
    match_conntrack,
    match_header,
    match_icmp,
    match_ports,
    match_rate,
    target_mangle,
    target_nat,
    target_plain,
)
from netsim.shell.iptables.extension import MatchExtension, MisuseError, TargetExtension
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    CommentMatch,
    ConntrackMatch,
    DscpMatch,
    HelperMatch,
    IcmpMatch,
    IprangeMatch,
    LengthMatch,
    LimitMatch,
    MacMatch,
    MarkMatch,
    MatchSpec,
    MultiportMatch,
    PkttypeMatch,
    StateMatch,
    StatisticMatch,
    TcpMatch,
    TcpmssMatch,
    TosMatch,
    TtlMatch,
    UdpMatch,
)
from netsim.stack.netfilter.rulespec import (
    ConnmarkTarget,
    CtTarget,
    DscpTarget,
    JumpTarget,
    LogTarget,
    MarkTarget,
    NatTarget,
    RejectTarget,
    TargetSpec,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
    VerdictTarget,
)

_EVERY_MATCH: tuple[MatchExtension, ...] = (
    *match_ports.EXTENSIONS, *match_icmp.EXTENSIONS, *match_conntrack.EXTENSIONS, *match_rate.EXTENSIONS,
    *match_header.EXTENSIONS, *match_address.EXTENSIONS,
)  # fmt: skip
_EVERY_TARGET: tuple[TargetExtension, ...] = (
    *target_nat.EXTENSIONS, *target_plain.EXTENSIONS, *target_mangle.EXTENSIONS,
)  # fmt: skip

MATCHES: Mapping[str, MatchExtension] = MappingProxyType({each.name: each for each in _EVERY_MATCH})
TARGETS: Mapping[str, TargetExtension] = MappingProxyType({each.name: each for each in _EVERY_TARGET})
VERDICTS = ("ACCEPT", "DROP", "RETURN")

_MATCHES_WITHOUT = frozenset({
    "ah", "bpf", "cgroup", "cluster", "connbytes", "connlabel", "connlimit", "cpu", "dccp", "devgroup", "ecn", "esp",
    "hashlimit", "ipcomp", "ipvs", "nfacct", "osf", "owner", "physdev", "policy", "quota", "rateest", "realm", "recent",
    "rpfilter", "sctp", "set", "socket", "string", "time", "u32",
})  # fmt: skip
_TARGETS_WITHOUT = frozenset({
    "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNSECMARK", "ECN", "HMARK", "IDLETIMER", "LED", "NFLOG", "NFQUEUE",
    "QUEUE", "RATEEST", "SECMARK", "SET", "SYNPROXY", "TCPOPTSTRIP", "TEE", "TPROXY", "TRACE", "ULOG",
})  # fmt: skip
_SAVE_NAMES: Mapping[type, str] = MappingProxyType({
    TcpMatch: "tcp", UdpMatch: "udp", IcmpMatch: "icmp", MultiportMatch: "multiport", StateMatch: "state",
    ConntrackMatch: "conntrack", LimitMatch: "limit", StatisticMatch: "statistic", MacMatch: "mac", TtlMatch: "ttl",
    LengthMatch: "length", AddrtypeMatch: "addrtype", CommentMatch: "comment", IprangeMatch: "iprange",
    TosMatch: "tos", DscpMatch: "dscp", PkttypeMatch: "pkttype", HelperMatch: "helper", TcpmssMatch: "tcpmss",
    RejectTarget: "REJECT", LogTarget: "LOG", MarkTarget: "MARK", ConnmarkTarget: "CONNMARK", TcpmssTarget: "TCPMSS",
    TtlTarget: "TTL", TosTarget: "TOS", DscpTarget: "DSCP",
})  # fmt: skip


def load_match(name: str) -> MatchExtension:
    """Return a match. Raises MisuseError in iptables's words, or by name for one that is not modelled."""
    if name in MATCHES:
        return MATCHES[name]
    if name in _MATCHES_WITHOUT:
        raise MisuseError(f"Couldn't load match `{name}': netsim does not model it\n")
    raise MisuseError(f"Couldn't load match `{name}':No such file or directory\n")


def load_target(name: str) -> TargetExtension | None:
    """Return a target, None for a verdict or a chain. Raises MisuseError for one that is not modelled."""
    if name in _TARGETS_WITHOUT:
        raise MisuseError(f"Couldn't load target `{name}': netsim does not model it\n")
    return TARGETS.get(name)


def is_target(name: str) -> bool:
    """Tell whether iptables knows a target of that name: no chain may be called so."""
    return name in VERDICTS or name in TARGETS or name in _TARGETS_WITHOUT


def match_name(spec: MatchSpec) -> str:
    """Return the name behind -m."""
    if isinstance(spec, MarkMatch):
        return "connmark" if spec.conn else "mark"
    return _SAVE_NAMES[type(spec)]


def target_name(spec: TargetSpec) -> str:
    """Return the name behind -j or -g."""
    if isinstance(spec, VerdictTarget):
        return spec.name
    if isinstance(spec, JumpTarget):
        return spec.chain
    if isinstance(spec, NatTarget):
        return spec.kind
    if isinstance(spec, CtTarget):
        return "NOTRACK" if spec.alias else "CT"
    name = _SAVE_NAMES.get(type(spec))
    if name is None:
        raise InternalError(f"iptables has no target for {spec!r}")
    return name
