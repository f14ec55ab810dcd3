"""The working copy of a packet: cached fields move with the octets, and buffers cost what Linux measured."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.rewrite import rewrite_ipv4
from netsim.wire.udp import build_udp

A, B, C = parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), parse_ip("10.0.1.2")


def packet(payload: int = 100) -> bytearray:
    udp = build_udp(A, B, 4000, 80, bytes(payload))
    return bytearray(build_ipv4(A, B, IPPROTO_UDP, len(udp)) + udp)


def test_the_cached_fields_are_those_of_the_octets_after_a_rewrite():
    skb = Skb(packet())
    assert (skb.saddr, skb.daddr, skb.proto, skb.sport, skb.dport) == (A, B, 17, 4000, 80)
    assert rewrite_ipv4(skb.data, saddr=C, sport=1025)
    skb.reload()
    assert (skb.saddr, skb.sport) == (C, 1025)


def test_a_copy_is_independent():
    skb = Skb(packet(), uid=7)
    other = skb.copy()
    other.data[8] = 1
    assert skb.ttl == 64
    assert other.parent == 7


@pytest.mark.parametrize(("payload", "truesize"), [(1, 832), (100, 832), (1400, 2304)])
def test_truesize_is_what_the_kernel_charges(payload, truesize):
    """Source: observed-linux 2, "A small UDP packet accounts for 832, a 1400-byte payload for 2304"."""
    assert Skb(packet(payload)).truesize == truesize
