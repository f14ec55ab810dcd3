"""What a connection tracking helper is: who reads a control connection's payload and expects the next connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP
from netsim.stack.netfilter.status import IP_CT_IS_REPLY, IP_CT_RELATED_REPLY, IPS_SEQ_ADJUST
from netsim.stack.skb import Skb
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.netfilter.conntrack import Conntrack


class Helper(Protocol):
    """One helper (struct nf_conntrack_helper)."""

    @property
    def name(self) -> str:
        """What `CT --helper` and listings call it."""
        ...

    @property
    def port(self) -> int:
        """The TCP port that gets it without being asked, where the era does that."""
        ...

    def help(self, skb: Skb, ct: Conntrack, now: Ns) -> int:
        """Read (and under NAT rewrite) a packet that leaves; NF_DROP for one that must come again."""
        ...


def help_and_adjust(skb: Skb, ct: Conntrack, now: Ns) -> int:
    """Let a connection's helper read a packet that is about to leave, and shift its numbers. Mirrors nf_confirm()."""
    if skb.ctinfo == IP_CT_RELATED_REPLY:
        return NF_ACCEPT
    if ct.helper is not None:
        verdict = ct.helper.help(skb, ct, now)
        if verdict != NF_ACCEPT:
            return verdict
    if ct.seqadj is not None and ct.status & IPS_SEQ_ADJUST:
        whole = ct.seqadj.adjust(skb, 1 if skb.ctinfo >= IP_CT_IS_REPLY else 0)
        return NF_ACCEPT if whole else NF_DROP
    return NF_ACCEPT
