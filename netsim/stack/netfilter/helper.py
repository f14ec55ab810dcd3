"""What a connection tracking helper is: who reads a control connection's payload and expects the next connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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
