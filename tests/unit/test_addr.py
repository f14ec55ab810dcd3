"""Addresses: text to ints and back, and the sorts of addresses Linux tells apart."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim import addr


@given(st.integers(0, 0xFFFFFFFF))
def test_addresses_round_trip_and_print_as_ipaddress_does(value):
    assert addr.ip_str(value) == str(ipaddress.IPv4Address(value))
    assert addr.parse_ip(addr.ip_str(value)) == value


@pytest.mark.parametrize(
    "text", ["", "10.1", "1.2.3.256", "010.0.0.1", "1.2.3.4.5", "a.b.c.d", "1.2.3.4 ", "\u0661.2.3.4"]
)
def test_no_other_text_is_an_address(text):
    with pytest.raises(ValueError, match="is not an IPv4 address"):
        addr.parse_ip(text)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 32), st.integers(0, 0xFFFFFFFF))
def test_a_prefix_holds_what_ipaddress_says(base, plen, probe):
    prefix = addr.Prefix(base, plen)
    network = ipaddress.ip_network((base, plen), strict=False)
    assert prefix.holds(probe) == (ipaddress.IPv4Address(probe) in network)
    assert str(prefix.network) == str(network)


def test_macs_round_trip():
    assert addr.mac_str(addr.parse_mac("02:0:0:0:1:0A")) == "02:00:00:00:01:0a"
    with pytest.raises(ValueError, match="is not a MAC address"):
        addr.parse_mac("02-00-00-00-01-02")


def test_multicast_maps_its_low_23_bits():
    assert addr.mac_str(addr.multicast_mac(addr.parse_ip("239.129.1.2"))) == "01:00:5e:01:01:02"
