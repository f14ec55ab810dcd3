"""How an era's IP input, forwarding, ICMP and address handling behave where eras differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IpEra:
    """Fields are named after what they decide, defaults are mainline's."""

    ip_from_birth: bool = True
    """Whether a device has IPv4 state from registration on, or only while it has addresses (2.2, 2.4)."""
    redirect_before_mtu: bool = False
    """2.4 sends the redirect before the DF check and the TTL decrement (linux-kernel 3.3)."""
    frag_high_thresh: int = 4_194_304
    """Octets of memory that fragments may take: ipfrag_high_thresh as the box boots."""
    frag_low_thresh: int | None = None
    """Above the high threshold the oldest packets are given up until so few octets are left (2.2, 2.4); None: those
    that are here stay and no further packet is begun."""
    icmp_quote_octets: int = 576
    """The size an ICMP error may reach, header included."""


MAINLINE = IpEra()
LINUX_24 = IpEra(ip_from_birth=False, redirect_before_mtu=True, frag_high_thresh=256 * 1024, frag_low_thresh=192 * 1024)
LINUX_22 = LINUX_24
