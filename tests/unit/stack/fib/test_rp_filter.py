"""Which device a source may arrive on: route-patches 8 and 11 (48 to 50), linux-kernel note 2.9.

wan0, wan1, eth2 [r] lan0
"""

from __future__ import annotations

import pytest

MULTIPATH = "ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1"


def strict(box, value: int = 1):
    box.two_isps()
    box.device("eth2", "10.0.3.2/24")
    for dev in ("all", "lan0", "wan0", "wan1", "eth2"):
        box.sh(f"echo {value} > /proc/sys/net/ipv4/conf/{dev}/rp_filter")
    return box


def accepted(box) -> list[str]:
    """Return the devices on which a packet from the world to a host of the LAN is accepted."""
    devices = ("wan0", "wan1", "eth2")
    return [dev for dev in devices if box.forward("192.168.0.9", src="8.8.8.8", iif=dev) == "lan0"]


@pytest.mark.parametrize(
    ("kernel", "devices"),
    [
        ("linux-2.4-routes", ["wan0", "wan1"]),
        ("linux-2.4", ["wan0", "wan1", "eth2"]),
        ("linux-6", ["wan0", "wan1"]),
    ],
)
def test_a_multipath_route_admits_the_devices_of_its_paths(make_box, kernel, devices):
    """Case 48. Unpatched 2.4 accepts any device as soon as the route back is multipath."""
    box = strict(make_box(kernel))
    box.sh(MULTIPATH)
    assert accepted(box) == devices


@pytest.mark.parametrize(
    ("kernel", "devices"),
    [("linux-2.4-routes", ["wan0", "wan1"]), ("linux-2.4", ["wan0"]), ("linux-6", ["wan0"])],
)
def test_alternative_routes_admit_their_devices_when_patched(make_box, kernel, devices):
    """Case 49. Alternatives A by wan0, B by wan1."""
    box = strict(make_box(kernel))
    box.sh("""ip route append default via 10.0.1.1 dev wan0
              ip route append default via 10.0.2.1 dev wan1""")
    assert accepted(box) == devices


def test_a_dead_path_does_not_admit_its_device_and_a_suspect_one_does(make_box):
    """Case 49 and route-patches 8: B's path suspect: accepted; dead: dropped."""
    box = strict(make_box())
    box.sh("""ip route append default via 10.0.1.1 dev wan0 proto static
              ip route append default via 10.0.2.1 dev wan1 proto static""")
    box.neigh(wan0="10.0.1.1 reachable", wan1="10.0.2.1 failed")
    box.send()
    assert accepted(box) == ["wan0", "wan1"]
    box.sh("ip link set wan0 down")
    assert accepted(box) == ["wan1"]


@pytest.mark.parametrize(
    "route",
    ["ip route add 8.0.0.0/8 via 10.0.3.1 dev eth2", "ip route add default via 10.0.3.1 dev eth2 table 20"],
    ids=["shorter prefix", "another table"],
)
def test_only_the_same_table_and_a_prefix_as_long_admit_a_device(make_box, route):
    """Case 50. eth2 reaches the source only by a shorter prefix, or by another table."""
    box = strict(make_box())
    box.sh("ip route add 8.8.8.0/24 via 10.0.1.1 dev wan0")
    box.sh(route)
    box.sh("ip rule add table 20 prio 32800")
    assert accepted(box) == ["wan0"]


@pytest.mark.parametrize(("everywhere", "device", "drops"), [(1, 1, True), (0, 1, False), (1, 0, False)])
def test_the_old_filter_wants_both_switches(make_box, everywhere, device, drops):
    """Route-patches 8: on 2.2 and 2.4 it is active only if `all` and the device say so."""
    box = strict(make_box("linux-2.4"), 0)
    box.sh(f"""ip route add default via 10.0.1.1 dev wan0
               echo {everywhere} > /proc/sys/net/ipv4/conf/all/rp_filter
               echo {device} > /proc/sys/net/ipv4/conf/eth2/rp_filter""")
    assert ("eth2" in accepted(box)) != drops


@pytest.mark.parametrize(
    ("mode", "route", "devices"),
    [
        (0, "", ["wan0", "wan1", "eth2"]),
        (1, "ip route add default via 10.0.1.1 dev wan0", ["wan0"]),
        (2, "ip route add default via 10.0.1.1 dev wan0", ["wan0", "wan1", "eth2"]),
        (1, "", []),
        (2, "", []),
    ],
)
def test_the_modes_of_mainline(make_box, mode, route, devices):
    """Linux-kernel note 2.9: off, strict, loose; the larger of `all` and the device counts."""
    box = strict(make_box("linux-6"), mode)
    if route:
        box.sh(route)
    assert accepted(box) == devices
