"""How often a box speaks up: every figure was measured on a real kernel (linux-kernel 4.3, 4.4; observed-linux)."""

from __future__ import annotations

import random

import pytest

from netsim.stack.ipv4.limits import IcmpLimits
from netsim.stack.sysctl import Sysctl
from netsim.units import ms, sec
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_ECHOREPLY, ICMP_FRAG_NEEDED, ICMP_TIME_EXCEEDED

PEER = 0x0A000001


@pytest.fixture
def limits():
    return IcmpLimits(Sysctl(), random.Random(1))


def answered(limits, times, *, code=0, icmp_type=ICMP_TIME_EXCEEDED, extra=False):
    out = []
    for t in times:
        if extra and not limits.charge(PEER, now=t):
            continue
        if limits.allow(icmp_type, code, PEER, loopback=False, now=t):
            out.append(t)
    return out


def test_ttl_exceeded_gets_a_burst_of_six_and_then_one_a_second(limits):
    """40 probes at 0.2 s spacing got 13 replies on 6.18: burst 6 and one a second."""
    assert len(answered(limits, [ms(200) * n for n in range(40)])) == 13


def test_an_error_route_is_charged_twice_so_a_stream_gets_two_answers_and_then_none(limits):
    """2 of 30 packets at 0.2 s spacing, then 0 of 40."""
    stream = [ms(200) * n for n in range(70)]
    assert len(answered(limits, stream, icmp_type=ICMP_DEST_UNREACH, extra=True)) == 2


def test_packets_two_seconds_apart_are_all_answered_on_an_error_route(limits):
    assert len(answered(limits, [sec(2) * n for n in range(20)], icmp_type=ICMP_DEST_UNREACH, extra=True)) == 20


def test_five_seconds_refill_five_tokens(limits):
    """c1: six in the bucket; 5 used at 4.08 s, and at 9.07 s five of the next twelve pass."""
    assert len(answered(limits, [ms(4080)] * 5, icmp_type=ICMP_DEST_UNREACH, code=1)) == 5
    assert len(answered(limits, [ms(9070)] * 12, icmp_type=ICMP_DEST_UNREACH, code=1)) == 5


@pytest.mark.parametrize(("icmp_type", "code"), [(ICMP_ECHOREPLY, 0), (ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED)])
def test_echo_replies_and_fragmentation_needed_are_never_limited(limits, icmp_type, code):
    assert len(answered(limits, [0] * 500, icmp_type=icmp_type, code=code)) == 500


def test_errors_to_ourselves_pass_the_bucket_of_their_destination(limits):
    """observed-linux 5.4: eight errors in one go to the router's own address."""
    assert all(limits.allow(ICMP_DEST_UNREACH, 1, PEER, loopback=True, now=sec(1)) for _ in range(8))


def test_the_global_bucket_holds_fifty_and_refills_a_thousand_a_second(limits):
    sent = sum(limits.allow(ICMP_DEST_UNREACH, 1, peer, loopback=False, now=0) for peer in range(1, 400))
    assert 40 <= sent <= 110, "fifty credits, nothing to two for each message"
    assert not limits.allow(ICMP_DEST_UNREACH, 1, 9999, loopback=False, now=ms(10))
    assert limits.allow(ICMP_DEST_UNREACH, 1, 9999, loopback=False, now=ms(40))


def test_redirects_go_at_once_and_then_back_off_doubling(limits):
    """k1: with packets each 0.1 s they were sent at 0, 0.1, 0.2, 0.4, 0.8, 1.5, 2.8, 5.4."""
    times = [ms(100) * n for n in range(80)]
    sent = [t / sec(1) for t in times if limits.redirect_allowed(PEER, now=t)]
    assert sent == [0.0, 0.1, 0.2, 0.4, 0.8, 1.5, 2.8, 5.4]


def test_nine_redirects_are_followed_by_silence_until_the_sender_is_quiet(limits):
    sent = [t for t in range(0, sec(60), ms(100)) if limits.redirect_allowed(PEER, now=t)]
    assert len(sent) == 9
    assert limits.redirect_allowed(PEER, now=sec(60) + sec(21))
