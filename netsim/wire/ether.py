"""Ethernet II: constants, the header builder and its readers.

Source: include/uapi/linux/if_ether.h; RFC 894. Octets are without preamble and FCS, so the shortest frame is 60.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.addr import BROADCAST_MAC, Mac, mac_str
from netsim.wire.octets import Octets, need

ETH_ALEN = 6
ETH_HLEN = 14
ETH_ZLEN = 60
"""The shortest frame without FCS: links pad to it."""
ETH_DATA_LEN = 1500
ETH_FRAME_LEN = 1514

ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_RARP = 0x8035
ETH_P_8021Q = 0x8100
ETH_P_IPV6 = 0x86DD
ETH_P_802_3_MIN = 0x0600
"""A smaller type field is the length of an IEEE 802.3 frame."""

PROTO_IP = b"\x08\x00"
PROTO_ARP = b"\x08\x06"


class EtherHeader(NamedTuple):
    """The 14 octets in front: addresses as six octets each, `proto` as ETH_P_*."""

    dst: Mac
    src: Mac
    proto: int

    def __str__(self) -> str:
        return f"{mac_str(self.src)} > {mac_str(self.dst)}, ethertype 0x{self.proto:04x}"


def build_ether(dst: Mac, src: Mac, proto: int = ETH_P_IP) -> bytes:
    """Return the 14 octets of a header; the payload is appended by the caller."""
    return dst + src + proto.to_bytes(2, "big")


def pad(frame: bytes) -> bytes:
    """Return the frame filled with zeros to ETH_ZLEN, as a link does to short ones. Source: eth_skb_pad()."""
    return frame if len(frame) >= ETH_ZLEN else frame.ljust(ETH_ZLEN, b"\0")


def parse_ether(frame: Octets) -> EtherHeader:
    """Read the header. Raises Truncated."""
    need(frame, 0, ETH_HLEN, "Ethernet header")
    return EtherHeader(bytes(frame[:6]), bytes(frame[6:12]), frame[12] << 8 | frame[13])


def ether_proto(frame: Octets) -> int:
    """Return the type field alone. Raises Truncated."""
    need(frame, 0, ETH_HLEN, "Ethernet header")
    return frame[12] << 8 | frame[13]


def is_group(mac: Mac) -> bool:
    """Tell whether `mac` is a multicast or the broadcast address (is_multicast_ether_addr)."""
    return bool(mac[0] & 1)


def is_broadcast(mac: Mac) -> bool:
    """Tell whether `mac` is ff:ff:ff:ff:ff:ff (is_broadcast_ether_addr)."""
    return mac == BROADCAST_MAC
