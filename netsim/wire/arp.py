"""ARP for IPv4 over Ethernet: constants, the packet builder and its reader.

Field names are RFC 826's: ar$sha is `sha`, ar$tpa is `tpa`. Source: RFC 826; include/uapi/linux/if_arp.h; arp_create().
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from netsim.addr import ZERO_MAC, Ip, Mac
from netsim.wire.ether import ETH_ALEN, ETH_P_IP
from netsim.wire.octets import Octets, need

ARPHRD_ETHER = 1
ARPHRD_IEEE802 = 6

ARPOP_REQUEST = 1
ARPOP_REPLY = 2
ARPOP_RREQUEST = 3
ARPOP_RREPLY = 4

ARP_LEN = 28
"""Header and body for six-octet hardware and four-octet protocol addresses."""

_PACKET = Struct("!HHBBH6sI6sI")


class Arp(NamedTuple):
    """One packet in the order of the wire; protocol addresses are ints, hardware addresses six octets."""

    hrd: int
    pro: int
    hln: int
    pln: int
    op: int
    sha: Mac
    spa: Ip
    tha: Mac
    tpa: Ip

    @property
    def is_ipv4_ethernet(self) -> bool:
        """Whether the address lengths and protocol are those arp_rcv() and arp_process() accept on Ethernet."""
        return (
            self.hrd in (ARPHRD_ETHER, ARPHRD_IEEE802)
            and self.pro == ETH_P_IP
            and self.hln == ETH_ALEN
            and self.pln == 4
        )


def build_arp(op: int, sha: Mac, spa: Ip, tha: Mac, tpa: Ip) -> bytes:
    """Return the 28 octets of a packet. Source: arp_create()."""
    return _PACKET.pack(ARPHRD_ETHER, ETH_P_IP, ETH_ALEN, 4, op, sha, spa, tha, tpa)


def build_request(sha: Mac, spa: Ip, tpa: Ip) -> bytes:
    """Return a request for `tpa`; its target hardware address is zeros, in unicast probes too (arp_solicit)."""
    return _PACKET.pack(ARPHRD_ETHER, ETH_P_IP, ETH_ALEN, 4, ARPOP_REQUEST, sha, spa, ZERO_MAC, tpa)


def build_reply(sha: Mac, spa: Ip, tha: Mac, tpa: Ip) -> bytes:
    """Return the answer "`spa` is at `sha`" for the asker `tpa` at `tha`."""
    return _PACKET.pack(ARPHRD_ETHER, ETH_P_IP, ETH_ALEN, 4, ARPOP_REPLY, sha, spa, tha, tpa)


def parse_arp(data: Octets, offset: int = 0) -> Arp:
    """Read a packet as if its addresses were six and four octets long; `is_ipv4_ethernet` tells. Raises Truncated."""
    need(data, offset, ARP_LEN, "ARP packet")
    return Arp._make(_PACKET.unpack_from(data, offset))
