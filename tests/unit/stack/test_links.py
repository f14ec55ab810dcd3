"""Devices: what is refused when one is made or changed."""

from __future__ import annotations

import pytest

from netsim.addr import parse_mac
from netsim.stack.errno import EADDRNOTAVAIL, EEXIST, Refusal
from netsim.stack.requests import DONE, DumpAddrs, DumpLinks, NewAddr, NewLink, SetLink

OURS = parse_mac("02:00:00:00:00:01")


@pytest.fixture
def box(wire):
    wire.box("a")
    wire.do("a", NewLink(name="eth0", mac=OURS))
    return wire


def macs(wire):
    return [(each.name, each.mac) for each in wire.do("a", DumpLinks()) if each.name != "lo"]


@pytest.mark.parametrize("mac", ["01:00:00:00:00:01", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_a_group_or_zero_address_is_no_device_s_own(box, mac):
    """Source: eth_prepare_mac_addr_change(), is_valid_ether_addr(); recorded on 6.18."""
    assert box.ask("a", SetLink(dev="eth0", mac=parse_mac(mac), mtu=1400)) == Refusal(EADDRNOTAVAIL)
    assert macs(box) == [("eth0", OURS)]
    assert [each.mtu for each in box.do("a", DumpLinks()) if each.name == "eth0"] == [1500]


def test_a_unicast_address_is_taken(box):
    """Source: is_valid_ether_addr()."""
    box.do("a", SetLink(dev="eth0", mac=parse_mac("04:00:00:00:00:09")))
    assert macs(box) == [("eth0", parse_mac("04:00:00:00:00:09"))]


@pytest.mark.parametrize("name", ["eth0", "lo"])
def test_a_device_of_a_name_in_use_exists_already(box, name):
    """Source: rtnl_newlink(), __dev_get_by_name() with NLM_F_EXCL; recorded on 6.18: "File exists"."""
    assert box.ask("a", NewLink(name=name, mac=parse_mac("02:00:00:00:00:09"))) == Refusal(EEXIST)
    assert macs(box) == [("eth0", OURS)]


def test_the_address_of_nobody_is_taken_and_forgotten(box):
    """Source: __inet_insert_ifa(), which frees it and returns 0; recorded on 6.18."""
    assert box.ask("a", NewAddr(dev="eth0", local=0, plen=24)) == DONE
    assert [each for each in box.do("a", DumpAddrs()) if each.dev == "eth0"] == []
