"""What `netsim live` says about its clock."""

from __future__ import annotations

import pytest

from netsim.kernel.lateness import Lateness
from netsim.units import ms, sec, us


def test_quantiles_are_right_to_within_a_tenth():
    lateness = Lateness()
    for n in range(1, 1001):
        lateness.note(us(n), 0)
    assert lateness.quantile(0.5) == pytest.approx(us(500), rel=0.1)
    assert lateness.quantile(0.99) == pytest.approx(us(990), rel=0.1)
    assert (lateness.quantile(1.0), lateness.most, lateness.count) == (us(1000), us(1000), 1000)


def test_nothing_done_was_not_late():
    assert str(Lateness()) == "lateness p50 0.00 ms, p99 0.00 ms, max 0.00 ms"


def test_early_counts_as_in_time():
    lateness = Lateness()
    lateness.note(-5, 0)
    assert (lateness.quantile(1.0), lateness.most) == (0, 0)


def test_beyond_the_bound_the_run_fails_and_says_when():
    lateness = Lateness(ms(20))
    lateness.note(ms(20), sec(1))
    assert not lateness.exceeded
    lateness.note(ms(20) + us(100), ms(2500))
    assert lateness.exceeded.startswith("20.1 ms behind the clock at 2.500 s, and 20 ms are allowed")
