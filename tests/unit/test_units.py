"""Units: what a person writes comes out as exact nanoseconds, and goes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim import units


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0s", 0), ("1ns", 1), ("250ms", 250_000_000), ("1.5s", 1_500_000_000), ("4m", 240_000_000_000),
     ("2h", 7_200_000_000_000), ("0.1s", 100_000_000), ("3us", 3_000)],
)  # fmt: skip
def test_durations_are_read_exactly(text, ns):
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "1.5", "s", "-1s", "1 min", "1e3s", "1s2ms", "\u0663s"])
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        units.parse_duration(text)


@given(st.integers(0, 10**15))
def test_a_printed_duration_reads_back(value):
    assert units.parse_duration(units.format_duration(value)) == value


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (7, "7ns"), (1_500, "1.5us"), (43_216_499, "43.216ms"), (43_216_500, "43.217ms"),
     (999_999_600, "1s"), (30_351_085_360, "30.351s"), (240_000_000_000, "240s")],
)  # fmt: skip
def test_a_span_is_printed_to_three_decimals_of_its_unit(ns, text):
    assert units.format_span(ns) == text


def test_sec_is_exact_where_floats_are_not():
    assert units.sec(0.1) + units.sec(0.2) == units.sec(0.3)


def test_rates_sizes_and_shares():
    assert units.parse_rate("10Mbit") == 10_000_000
    assert units.parse_packet_rate("50pps") == 20_000_000
    assert units.parse_size("64kB") == units.parse_size(64_000)
    assert units.parse_share("0.1%") == 0.001
    with pytest.raises(ValueError, match="between 0% and 100%"):
        units.parse_share("101%")
