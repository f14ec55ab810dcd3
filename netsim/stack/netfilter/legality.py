"""Where a match or a target may stand: what each extension's checkentry asks of table, hooks and protocol.

Source: xt_check_match(), xt_check_target(), net/netfilter/x_tables.c; .table, .hooks and .proto of each xt_match and
xt_target; iptables 1.8.9 against 6.18 (recorded in tests/golden/iptables).
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.stack.errno import EINVAL, ENOENT
from netsim.stack.netfilter.hooks import (
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
)
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    IcmpMatch,
    MacMatch,
    MatchSpec,
    TcpMatch,
    TcpmssMatch,
    UdpMatch,
)
from netsim.stack.netfilter.reject import TCP_RESET
from netsim.stack.netfilter.rulespec import (
    IPT_INV_DSTIP,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    CtTarget,
    DscpTarget,
    NatTarget,
    RejectTarget,
    RuleSpec,
    TargetSpec,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
)
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP

PRE, IN, FORWARD, OUT, POST = (
    1 << NF_INET_PRE_ROUTING, 1 << NF_INET_LOCAL_IN, 1 << NF_INET_FORWARD, 1 << NF_INET_LOCAL_OUT,
    1 << NF_INET_POST_ROUTING,
)  # fmt: skip

_NAT_HOOKS = MappingProxyType(
    {
        "SNAT": POST | IN,
        "MASQUERADE": POST,
        "DNAT": PRE | OUT,
        "REDIRECT": PRE | OUT,
        "NETMAP": PRE | OUT | POST | IN,
    }
)
HELPERS = MappingProxyType({"ftp": IPPROTO_TCP})
"""Helpers that exist, by name, with their protocol."""


def refused(spec: RuleSpec, table: str, hooks: int, own: int) -> int:
    """Return the errno with which the kernel refuses a rule reached from `hooks` (bits of 1 << hook), 0 if it does not.

    `own` is the hook of the chain that it stands in, 0 in a user's chain. What an extension declares (.hooks) is asked
    of every way to the rule; what its checkentry looks at is asked of its own chain alone, as nft_compat does.
    A chain that nobody jumps to has no hooks: only table and protocol are asked.
    """
    if (spec.invert & IPT_INV_SRCIP and not spec.src[1]) or (spec.invert & IPT_INV_DSTIP and not spec.dst[1]):
        return EINVAL  # "not 0.0.0.0/0" has nothing to compare
    for each in spec.matches:
        if not _match_allowed(each, spec, hooks, own):
            return EINVAL
    if spec.target is None:
        return 0
    if isinstance(spec.target, CtTarget) and spec.target.helper:
        wanted = HELPERS.get(spec.target.helper)
        if wanted is None or not _is_proto(spec, wanted):
            return ENOENT
    return 0 if _target_allowed(spec.target, spec, table, hooks, own) else EINVAL


def _is_proto(spec: RuleSpec, proto: int) -> bool:
    """Mirror xt_check_match()'s protocol test: asked for, and not inverted."""
    return spec.proto == proto and not spec.invert & IPT_INV_PROTO


def _match_allowed(match: MatchSpec, spec: RuleSpec, hooks: int, own: int) -> bool:
    if isinstance(match, TcpMatch):
        return spec.proto == IPPROTO_TCP  # nft's own payload match: an inverted protocol passes
    if isinstance(match, UdpMatch):
        return spec.proto == IPPROTO_UDP
    if isinstance(match, IcmpMatch):
        return _is_proto(spec, IPPROTO_ICMP)
    if isinstance(match, TcpmssMatch):
        return _is_proto(spec, IPPROTO_TCP)
    if isinstance(match, MacMatch):
        return not hooks & ~(PRE | IN | FORWARD)
    if isinstance(match, AddrtypeMatch):
        if match.limit == "in":
            return not own & (OUT | POST)
        if match.limit == "out":
            return not own & (PRE | IN)
    return True


def _target_allowed(target: TargetSpec, spec: RuleSpec, table: str, hooks: int, own: int) -> bool:
    if isinstance(target, NatTarget):
        return table == "nat" and not hooks & ~_NAT_HOOKS[target.kind]
    if table == "ipchains":
        return True  # its tool and forward's place say all there is to say
    if isinstance(target, RejectTarget):
        if target.how == TCP_RESET and not _is_proto(spec, IPPROTO_TCP):
            return False
        return table == "filter" and not hooks & ~(IN | FORWARD | OUT)
    if isinstance(target, TtlTarget | TosTarget | DscpTarget):
        return table == "mangle"
    if isinstance(target, CtTarget):
        return table == "raw"
    if isinstance(target, TcpmssTarget):
        return _is_proto(spec, IPPROTO_TCP) and (target.mss is not None or not own & ~(FORWARD | OUT | POST))
    return True
