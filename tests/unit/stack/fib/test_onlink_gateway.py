"""Which gateways an onlink route may have."""

from __future__ import annotations

import pytest

from netsim.shell.dispatch import run


@pytest.fixture
def box(wire):
    wire.box("a", eth0="lan 10.0.0.1/24", eth1="far 10.1.0.1/24")
    return wire


@pytest.mark.parametrize("gateway", ["10.1.0.1", "10.0.0.1", "127.0.0.1"], ids=["the device's", "another's", "lo's"])
def test_an_address_of_the_box_is_no_onlink_gateway_on_any_device(box, gateway):
    """Source: fib_check_nh_v4_gw(), inet_addr_type_dev_table(); recorded on 6.18, found by the search."""
    result = run(box.boxes["a"], f"ip route add default via {gateway} dev eth1 onlink", now=box.at)
    assert (result.rc, result.stderr) == (2, "Error: Nexthop has invalid gateway.\n")


def test_an_address_of_nobody_here_is(box):
    assert run(box.boxes["a"], "ip route add default via 172.16.0.1 dev eth1 onlink", now=box.at).rc == 0
