"""How an era's packet filter, connection tracking and NAT behave where eras differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetfilterEra:
    """Fields are named after what they decide, defaults are mainline's.

    The netfilter room adds a field here for each difference it implements.
    """

    tool: str = "iptables"
    """The user's tool: "iptables" (2.4 and later) or "ipchains" (2.2)."""
    policy_counts: bool = False
    """Whether every built-in chain counts what its policy ends (ip_tables, ipchains), or only one that a `-P` or a
    restore has given counters, from 0 (nf_tables' tools)."""
    raw_table: bool = True
    """Whether the raw table exists."""
    tracking: str = "6"
    """Whose state machines and whose NAT: "6" (windows, random ports), "2.4" (states only, counted ports), "2.2"
    (masqueraded connections alone)."""
    conntrack_stays: bool = False
    """Once loaded, connection tracking goes on without any rule that needs it (2.4's module stays)."""
    icmp_checksum: bool = True
    """Every ICMP message with a bad checksum is INVALID, not only errors."""
    icmp_outer_must_fit: bool = True
    """An ICMP error is RELATED only when it goes to whoever sent the quoted packet."""
    udp_mangled_0: int = 0xFFFF
    """What a UDP checksum that NAT turned into 0000 is sent as."""
    automatic_helpers: bool = False
    """Connections to a helper's port get it without a CT rule (before 6.0)."""
    masquerade_lookup: str = "address"
    """Whence MASQUERADE's source: "address" (inet_select_addr), or a lookup bound to the "device" or to "none"."""
    masquerade_forgets: str = "address"
    """What ends masqueraded connections besides the device going down: that "address" going, "any-address" going
    (2.4.17), or, instead of all that, a "new-address" coming (2.4.27); "never" is 2.2."""


MAINLINE = NetfilterEra()
LINUX_24 = NetfilterEra(
    policy_counts=True,
    raw_table=False,
    tracking="2.4",
    conntrack_stays=True,
    icmp_checksum=False,
    icmp_outer_must_fit=False,
    udp_mangled_0=0,
    automatic_helpers=True,
    masquerade_lookup="device",
    masquerade_forgets="any-address",
)
LINUX_22 = NetfilterEra(
    tool="ipchains",
    policy_counts=True,
    raw_table=False,
    tracking="2.2",
    conntrack_stays=True,
    icmp_checksum=False,
    icmp_outer_must_fit=False,
    automatic_helpers=True,
    masquerade_lookup="device",
    masquerade_forgets="never",
)
