"""Incremental updates equal full sums, in every class of zero; rewriting there and back is the identity."""

from __future__ import annotations

import random

from hypothesis import assume, given
from hypothesis import strategies as st

from netsim.wire import checksum as cs
from netsim.wire import icmp, ipv4, tcp, udp
from netsim.wire.rewrite import patch32, resum, rewrite_ipv4
from netsim.wire.verify import verify

EDGE16 = st.sampled_from([0x0000, 0xFFFF, 0x0001, 0xFFFE, 0x8000, 0x7FFF])
U16 = EDGE16 | st.integers(0, 0xFFFF)
U32 = st.sampled_from([0, 0xFFFFFFFF, 0xFFFF, 0xFFFF0000, 0x0001FFFE]) | st.integers(0, 0xFFFFFFFF)
WORDS = st.lists(U16, min_size=1, max_size=12)
PAYLOAD = st.binary(max_size=24) | U16.map(lambda word: word.to_bytes(2, "big"))


def word_sum(data: bytes) -> int:
    """RFC 1071 as it is written: add the words, fold the carries, complement."""
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def csum_replace4(check: int, old: int, new: int) -> int:
    """The kernel's 32-bit arithmetic, word by word (include/net/checksum.h)."""

    def add(one: int, two: int) -> int:
        total = one + two
        return (total & 0xFFFFFFFF) + (total >> 32)

    total = add(add(check ^ 0xFFFFFFFF, old ^ 0xFFFFFFFF), new)
    total = (total & 0xFFFF) + (total >> 16)
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF


@given(st.binary(max_size=60) | WORDS.map(lambda words: b"".join(word.to_bytes(2, "big") for word in words)))
def test_checksum_is_rfc_1071(data):
    assert cs.checksum(data) == word_sum(data)


@given(st.binary(max_size=30).filter(lambda data: len(data) % 2 == 0), st.binary(max_size=31))
def test_a_sum_continues(first, second):
    assert cs.checksum(second, int.from_bytes(first, "big")) == word_sum(first + second)


@given(U16, U32, U32)
def test_update32_is_csum_replace4(check, old, new):
    assert cs.update32(check, old, new) == csum_replace4(check, old, new)
    assert cs.apply(check, cs.delta32(old, new)) == csum_replace4(check, old, new)


@given(U16, U16, U16)
def test_update16_is_equation_3(check, old, new):
    total = (~check & 0xFFFF) + (~old & 0xFFFF) + new
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert cs.update16(check, old, new) == total ^ 0xFFFF


@given(WORDS, st.data())
def test_update_equals_the_full_sum(words, data):
    at = data.draw(st.integers(0, len(words) - 1))
    new = data.draw(U16)
    before = word_sum(b"".join(word.to_bytes(2, "big") for word in words))
    changed = [*words[:at], new, *words[at + 1 :]]
    after = b"".join(word.to_bytes(2, "big") for word in changed)
    assume(any(changed))  # a sum of nothing but zeros is the one that an update cannot reach
    assert cs.update16(before, words[at], new) == word_sum(after)


def build(proto: int, src: int, dst: int, sport: int, dport: int, payload: bytes) -> bytes:
    if proto == 17:
        segment = udp.build_udp(src, dst, sport, dport, payload)
    elif proto == 6:
        segment = tcp.build_tcp(src, dst, sport, dport, 7, 8, 16, 9, payload)
    else:
        segment = icmp.build_query(8, sport, dport, payload)
    return ipv4.build_ipv4(src, dst, proto, len(segment)) + segment


@given(st.sampled_from([1, 6, 17]), U32, U32, U16, U16, U32, U32, U16, U16, PAYLOAD)
def test_rewrite_equals_building_anew(proto, src, dst, sport, dport, src2, dst2, sport2, dport2, payload):
    if proto == 1:
        dport2 = dport  # a sequence number, which NAT leaves alone
    work = bytearray(build(proto, src, dst, sport, dport, payload))
    assert rewrite_ipv4(work, saddr=src2, daddr=dst2, sport=sport2, dport=dport2, icmp_id=sport2)
    assert work == build(proto, src2, dst2, sport2, dport2, payload)
    assert rewrite_ipv4(work, saddr=src, daddr=dst, sport=sport, dport=dport, icmp_id=sport)
    assert work == build(proto, src, dst, sport, dport, payload)


@given(st.sampled_from([1, 6, 17]), U32, U32, U16, U16, PAYLOAD, U32, st.integers(1, 0xFFFE))
def test_rewrite_keeps_an_error(proto, src, dst, sport, dport, payload, src2, error):
    work = bytearray(build(proto, src, dst, sport, dport, payload))
    at = 20 + {1: 2, 6: 16, 17: 6}[proto]
    wrong = (int.from_bytes(work[at : at + 2], "big") + error) % 0x10000
    work[at : at + 2] = wrong.to_bytes(2, "big")
    assume(verify(work))
    rewrite_ipv4(work, saddr=src2, sport=sport, icmp_id=sport)
    assert verify(work) or (proto == 17 and work[at : at + 2] == b"\0\0")


@given(st.sampled_from([6, 17]), U32, U32, U16, U16, PAYLOAD, PAYLOAD)
def test_resum_equals_building_anew(proto, src, dst, sport, dport, payload, new):
    work = bytearray(build(proto, src, dst, sport, dport, payload))
    work[len(work) - len(payload) :] = new
    resum(work)
    assert work == build(proto, src, dst, sport, dport, new)


@given(U32, U32)
def test_sequence_adjust_equals_building_anew(old, new):
    work = bytearray(tcp.build_tcp(1, 2, 3, 4, old, 5, 16, 6, b"data"))
    patch32(work, 4, 16, new)
    assert work == tcp.build_tcp(1, 2, 3, 4, new, 5, 16, 6, b"data")


@given(U32, U32, st.integers(2, 255), U16, U16)
def test_ttl_equals_building_anew(src, dst, ttl, ident, frag_off):
    work = bytearray(ipv4.build_ipv4(src, dst, 17, 0, ttl=ttl, ident=ident, frag_off=frag_off))
    assert ipv4.decrement_ttl(work) == ttl - 1
    assert work == ipv4.build_ipv4(src, dst, 17, 0, ttl=ttl - 1, ident=ident, frag_off=frag_off)


@given(U32, U32, U16)
def test_an_update_never_yields_ffff(old, new, check):
    assert cs.update32(check, old, new) != 0xFFFF


def test_a_hundred_thousand_random_updates_equal_full_sums():
    """Route patches, section 11 case 51: 10^5 random rewrites equal a full recompute, 0000/FFFF classes included."""
    rng = random.Random(51)
    edge = (0x0000, 0xFFFF, 0x0001, 0xFFFE)
    for _ in range(100_000):
        rest, old, new = (rng.choice(edge) if rng.random() < 0.3 else rng.getrandbits(16) for _ in range(3))
        rest = rest or 1
        before = 0xFFFF - ((rest + old) % 0xFFFF or 0xFFFF)
        assert cs.update16(before, old, new) == 0xFFFF - ((rest + new) % 0xFFFF or 0xFFFF)
