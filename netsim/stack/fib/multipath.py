"""Mainline's choice among the paths of one route: a flow hash against cumulative upper bounds.

The hash is exactly the kernel's when fib_multipath_hash_seed is set: SipHash-2-4 over a flow-key block.
Source: net/ipv4/fib_semantics.c fib_rebalance(), fib_select_multipath(); net/ipv4/route.c fib_multipath_hash();
observed-linux 4.1 (the model reproduces every recorded choice).
"""

from __future__ import annotations

from struct import Struct

from netsim.addr import Ip
from netsim.stack.address import RT_SCOPE_LINK
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FlowKey
from netsim.stack.fib.lookup import Lookup
from netsim.stack.fib.route import NO_BOUND, FibInfo, Nexthop
from netsim.stack.nud_states import NUD_VALID
from netsim.stack.ports import NeighView
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Skb
from netsim.wire.icmp import ERROR_TYPES, ICMP_HLEN

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1
JHASH_INITVAL = 0xDEADBEEF
HIGHEST = 0x7FFFFFFF
"""The highest hash: 31 bits."""
_BLOCK = Struct("<4x4s20x2s2s4x4s4s4x")
_WORDS = Struct("<6Q")
_BLOCK_SIZE = 48


def rebalance(info: FibInfo, lookup: Lookup) -> None:
    """Give each path its upper bound in [0, 2^31); dead ones, and ignored ones without carrier, get none."""
    out = [
        nexthop.flags & RTNH_F_DEAD or (nexthop.flags & RTNH_F_LINKDOWN and lookup.ignores_linkdown(nexthop.dev))
        for nexthop in info.nexthops
    ]
    total = sum(nexthop.weight for nexthop, gone in zip(info.nexthops, out, strict=True) if not gone)
    weight = 0
    for nexthop, gone in zip(info.nexthops, out, strict=True):
        if gone:
            nexthop.bound = NO_BOUND
        else:
            weight += nexthop.weight
            nexthop.bound = ((weight << 31) + total // 2) // total - 1


def siphash24(words: tuple[int, ...], key: int) -> int:
    """Return SipHash-2-4 of six little-endian words under a key of two equal halves."""
    v0, v1 = key ^ 0x736F6D6570736575, key ^ 0x646F72616E646F6D
    v2, v3 = key ^ 0x6C7967656E657261, key ^ 0x7465646279746573
    for word in (*words, _BLOCK_SIZE << 56):
        v3 ^= word
        v0, v1, v2, v3 = _round(*_round(v0, v1, v2, v3))
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & MASK64
    v1 = (v1 << 13 & MASK64 | v1 >> 51) ^ v0
    v0 = v0 << 32 & MASK64 | v0 >> 32
    v2 = (v2 + v3) & MASK64
    v3 = (v3 << 16 & MASK64 | v3 >> 48) ^ v2
    v0 = (v0 + v3) & MASK64
    v3 = (v3 << 21 & MASK64 | v3 >> 43) ^ v0
    v2 = (v2 + v1) & MASK64
    v1 = (v1 << 17 & MASK64 | v1 >> 47) ^ v2
    v2 = v2 << 32 & MASK64 | v2 >> 32
    return v0, v1, v2, v3


def flow_hash(seed: int, saddr: Ip, daddr: Ip, proto: int = 0, sport: int = 0, dport: int = 0) -> int:
    """Return the 32-bit flow hash; both directions of a flow hash alike.

    Addresses and ports are each put in the order of their little-endian value, as __flow_hash_consistentify() does.
    """
    a, b = saddr.to_bytes(4, "big"), daddr.to_bytes(4, "big")
    if int.from_bytes(b, "little") < int.from_bytes(a, "little"):
        a, b = b, a
    p, q = sport.to_bytes(2, "big"), dport.to_bytes(2, "big")
    if int.from_bytes(q, "little") < int.from_bytes(p, "little"):
        p, q = q, p
    block = bytearray(_BLOCK_SIZE)
    block[2] = proto
    block[28:30], block[30:32], block[36:40], block[40:44] = p, q, a, b
    return siphash24(_WORDS.unpack(block), seed << 32 | seed) & MASK32 or 1


def jhash_one(value: int) -> int:
    """Return Jenkins' final mix of one word. Source: include/linux/jhash.h jhash_1word(), as policy 3 applies it."""
    a = (value + JHASH_INITVAL + 8) & MASK32
    b = c = (JHASH_INITVAL + 8) & MASK32
    for x, turn in ((0, 14), (1, 11), (2, 25), (0, 16), (1, 4), (2, 14), (0, 24)):
        if x == 0:
            c = ((c ^ b) - _rol(b, turn)) & MASK32
        elif x == 1:
            a = ((a ^ c) - _rol(c, turn)) & MASK32
        else:
            b = ((b ^ a) - _rol(a, turn)) & MASK32
    return c


def _rol(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & MASK32


def quoted(skb: Skb) -> tuple[Ip, Ip]:
    """Return the addresses to hash: of the quoted packet for an ICMP error. Mirrors ip_multipath_l3_keys()."""
    if skb.proto == IPPROTO_ICMP and not skb.fragment_offset:
        at = skb.ihl
        inner = at + ICMP_HLEN
        if len(skb.data) >= inner + 20 and skb.data[at] in ERROR_TYPES:
            return (
                int.from_bytes(skb.data[inner + 12 : inner + 16], "big"),
                int.from_bytes(skb.data[inner + 16 : inner + 20], "big"),
            )
    return skb.saddr, skb.daddr


def multipath_hash(policy: int, fields: int, seed: int, flow: FlowKey, skb: Skb | None) -> int:
    """Return the 31-bit value a choice is made by. Mirrors fib_multipath_hash()."""
    if policy == 1:
        ports = skb is None or not skb.fragment
        sport, dport = (flow.sport, flow.dport) if ports else (0, 0)
        return flow_hash(seed, flow.saddr, flow.daddr, flow.proto, sport, dport) >> 1
    if policy == 3:
        src = flow.saddr if fields & 1 else 0
        dst = flow.daddr if fields & 2 else 0
        proto = flow.proto if fields & 4 else 0
        has_ports = flow.proto in (IPPROTO_TCP, IPPROTO_UDP)
        sport = flow.sport if fields & 0x10 and has_ports else 0
        dport = flow.dport if fields & 0x20 and has_ports else 0
        value = flow_hash(seed, src, dst, proto, sport, dport)
        return (jhash_one(value) if skb is not None else value) >> 1
    saddr, daddr = quoted(skb) if skb is not None else (flow.saddr, flow.daddr)
    return flow_hash(seed, saddr, daddr) >> 1


def good_neighbour(nexthop: Nexthop, neigh: NeighView) -> bool:
    """Tell whether a path's gateway may be used: no entry, or a valid one. Mirrors fib_good_nh()."""
    if nexthop.scope != RT_SCOPE_LINK or nexthop.dev is None or not neigh.exists(nexthop.dev, nexthop.gw):
        return True
    return bool(neigh.state(nexthop.dev, nexthop.gw) & NUD_VALID)


def select(
    info: FibInfo, value: int, *, use_neigh: bool, neigh: NeighView, saddr: Ip, keep: int, story: Story | None
) -> int:
    """Return the index of the path for a hash value; `keep` when no path is good.

    A bound source (`saddr`, 0 for forwarded packets) that is a path's own counts two, an upper bound that covers the
    hash one; the first highest score wins (6.18 stable). Source: fib_select_multipath(); linux-kernel note 2.7.
    """
    best, index = -1, keep
    for at, nexthop in enumerate(info.nexthops):
        if nexthop.bound == NO_BOUND or (use_neigh and not good_neighbour(nexthop, neigh)):
            continue
        score = (2 if saddr and nexthop.source == saddr else 0) + (value <= nexthop.bound)
        if score > best:
            best, index = score, at
            if score == 3 or (not saddr and score == 1):
                break
    if story is not None:
        _tell(story, info, value, index, use_neigh=use_neigh, neigh=neigh, saddr=saddr)
    return index


def _tell(story: Story, info: FibInfo, value: int, index: int, *, use_neigh: bool, neigh: NeighView, saddr: Ip) -> None:
    """Write down the paths and what the hash said of each."""
    for at, nexthop in enumerate(info.nexthops):
        known = nexthop.dev is not None and nexthop.gw and neigh.exists(nexthop.dev, nexthop.gw)
        state = neigh.state(nexthop.dev, nexthop.gw) if known and nexthop.dev is not None else None
        if nexthop.bound == NO_BOUND:
            verdict = "takes no part"
        elif use_neigh and not good_neighbour(nexthop, neigh):
            verdict = "its neighbour is not valid"
        else:
            last = "the highest" if nexthop.bound == HIGHEST else str(nexthop.bound)
            verdict = f"hashes up to {last} are its own" + (", and so is the source" if nexthop.source == saddr else "")
        story.judge(nexthop, state, verdict + (": chosen" if at == index else ""))
    story.group = f"{len(info.nexthops)} paths"
    story.because(f"the flow's hash is {value}: path {index}")
