"""Static routes that outlive their devices, case by case: seed section 1; route-patches 2, 11 (7 to 16), C1 to C4."""

from __future__ import annotations

import pytest


def test_a_static_route_may_name_a_ppp_device_that_is_down(make_box):
    """Case 7. Given ppp0 down with an address, the document's first example is accepted, its first path dead."""
    box = make_box()
    box.device("eth0", "192.168.0.2/24")
    box.device("ppp0", "10.0.9.1/32", kind="ppp", up=False)
    box.sh("ip route add 10.0.0.0/24 table 100 proto static nexthop dev ppp0 nexthop via 192.168.0.1 dev eth0")
    assert box.paths(100) == ["ppp0 dead, 192.168.0.1 eth0"]


@pytest.mark.parametrize("how", ["plain", "unpatched"])
def test_only_a_static_route_on_a_patched_kernel_may(make_box, how):
    """Case 7. Without `proto static`, or without the patch, the same line is refused: the network is down."""
    box = make_box() if how == "plain" else make_box("linux-2.4")
    proto = "" if how == "plain" else "proto static "
    box.device("eth0", "192.168.0.2/24")
    box.device("ppp0", "10.0.9.1/32", kind="ppp", up=False)
    line = f"ip route add 10.0.0.0/24 table 100 {proto}nexthop dev ppp0 nexthop via 192.168.0.1 dev eth0"
    assert box.refused(line) == "RTNETLINK answers: Network is down"
    assert box.paths(100) == []


def test_a_device_that_never_had_an_address_has_no_ipv4_state(make_box):
    """Case 7. A bare ppp0 is "no such device" even for a static route."""
    box = make_box()
    box.device("eth0", "192.168.0.2/24")
    box.device("ppp0", kind="ppp", up=False)
    line = "ip route add 10.0.0.0/24 table 100 proto static nexthop dev ppp0 nexthop via 192.168.0.1 dev eth0"
    assert box.refused(line) == "RTNETLINK answers: No such device"


def test_a_gateway_on_a_device_that_is_down_is_taken_on_trust(isps):
    """Case 8. Given wan0 down, `via GW dev wan0 proto static` is accepted; without a device there is none to blame."""
    isps.sh("ip link set wan0 down")
    isps.sh("ip route add default via 10.0.1.1 dev wan0 proto static")
    assert isps.paths() == ["10.0.1.1 wan0 dead"]
    assert (
        isps.refused("ip route add 10.8.0.0/16 via 10.0.1.1 proto static")
        == "RTNETLINK answers: Network is unreachable"
    )


def test_a_gateway_on_a_device_that_is_up_must_be_reachable(isps):
    """Case 8. Given wan0 up without a link route to the gateway: network is unreachable."""
    line = "ip route add default via 10.9.9.9 dev wan0 proto static"
    assert isps.refused(line) == "RTNETLINK answers: Network is unreachable"


def test_a_static_route_survives_a_flap_and_its_boot_twin_does_not(isps):
    """Case 9. Given wan0 down then up, the static path is alive again as soon as the link route is back."""
    isps.sh("""ip route add 10.8.0.0/16 via 10.0.1.1 dev wan0 proto static
               ip route add 10.9.0.0/16 via 10.0.1.1 dev wan0
               ip link set wan0 down""")
    assert isps.paths() == ["10.0.1.1 wan0 dead"]
    assert isps.send("10.8.0.1") == "ENETUNREACH"
    isps.sh("ip link set wan0 up")
    assert isps.paths() == ["10.0.1.1 wan0"]
    assert isps.send("10.8.0.1") == "wan0 via 10.0.1.1"


def test_a_path_revives_when_an_address_that_covers_its_gateway_comes(make_box):
    """Case 10. Given wan0 up in the wrong subnet, the path stays dead until an address of the right one is added."""
    box = make_box()
    box.device("wan0", "10.9.0.2/24", up=False)
    box.sh("ip route add default via 10.0.1.1 dev wan0 proto static")
    box.sh("ip link set wan0 up")
    assert box.paths() == ["10.0.1.1 wan0 dead"]
    box.sh("ip addr add 10.0.1.2/24 dev wan0")
    assert box.paths() == ["10.0.1.1 wan0"]


def test_a_route_goes_with_its_source_address(isps):
    """Case 11. Given `src IP1`, deleting IP1 while wan0 keeps IP2 takes the static route away."""
    isps.sh("""ip addr add 10.7.1.2/24 dev wan0
               ip route add default via 10.0.1.1 dev wan0 src 10.7.1.2 proto static
               ip addr del 10.7.1.2/24 dev wan0""")
    assert isps.paths() == []


def test_deleting_an_address_checks_no_gateway_again(isps):
    """Case 12. The same without `src`: the route stays, its path unmarked though its gateway is out of reach."""
    isps.sh("""ip addr add 10.7.1.2/24 dev wan0
               ip route add default via 10.7.1.1 dev wan0 proto static
               ip addr del 10.7.1.2/24 dev wan0""")
    assert isps.paths() == ["10.7.1.1 wan0"]


def test_the_last_address_takes_a_plain_static_route_and_one_path_of_a_multipath_one(isps):
    """Case 13. Deleting the last address of wan0 disables IP there."""
    isps.sh("""ip route add 10.8.0.0/16 via 10.0.1.1 dev wan0 proto static
               ip route add default proto static nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1
               ip addr del 10.0.1.2/24 dev wan0""")
    assert isps.paths() == ["10.0.1.1 wan0 dead, 10.0.2.1 wan1"]


@pytest.mark.parametrize(
    ("kernel", "left"),
    [("linux-2.4-routes", []), ("linux-2.2-routes", ["10.0.1.1 wan0 dead, 10.0.2.1 wan1"])],
)
def test_an_unregistered_device_takes_a_multipath_route_from_2_4_19pre8_on(make_box, kernel, left):
    """Case 14. Older kernels keep the route with a dead path."""
    box = make_box(kernel).two_isps()
    box.sh("ip route add default proto static nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1")
    box.sh("ip link del wan0")
    assert len(box.table()) == len(left)
    assert box.send() == ("wan1 via 10.0.2.1" if left else "ENETUNREACH")


def test_a_new_device_of_the_same_name_revives_nothing(make_box):
    """Case 14. A path is bound to the index of its device, not to the name."""
    box = make_box("linux-2.2-routes").two_isps()
    box.sh("ip route add default proto static nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1")
    box.sh("ip link del wan0")
    box.device("wan0", "10.0.1.2/24")
    assert {box.send(f"198.18.0.{number}") for number in range(1, 9)} == {"wan1 via 10.0.2.1"}


def test_a_younger_route_by_an_older_direct_one_stays_dead_after_a_flap(isps):
    """Case 15 as corrected by C1: a pass walks routes newest first, and a direct path earns no second pass."""
    isps.sh("""ip route add 172.31.0.0/24 dev wan0 proto static
               ip route add default via 172.31.0.1 dev wan0 proto static
               ip link set wan0 down
               ip link set wan0 up""")
    assert isps.paths() == ["wan0", "172.31.0.1 wan0 dead"]
    isps.sh("ip addr add 10.7.1.2/24 dev wan0")
    assert isps.paths() == ["wan0", "172.31.0.1 wan0"]


def test_an_older_route_by_a_younger_direct_one_revives_in_the_same_event(isps):
    """C1: the direct route is newer than the one that needs it."""
    isps.sh("""ip link set wan0 down
               ip route add default via 172.31.0.1 dev wan0 proto static
               ip route add 172.31.0.0/24 dev wan0 proto static
               ip link set wan0 up""")
    assert isps.paths() == ["wan0", "172.31.0.1 wan0"]


def test_a_revived_gatewayed_static_path_earns_another_pass(isps):
    """C1: route B by gatewayed static route A comes up with it, whatever their age."""
    isps.sh("""ip route add 10.8.0.0/16 via 10.0.1.1 dev wan0 proto static
               ip route add 172.31.0.0/24 dev wan0 proto static
               ip route add default via 172.31.0.1 dev wan0 proto static
               ip link set wan0 down
               ip link set wan0 up""")
    assert not any("dead" in path for path in isps.paths())


@pytest.mark.parametrize(("proto", "left"), [("proto static ", ["10.0.1.3 wan0 dead"]), ("", [])])
def test_a_gateway_that_is_our_own_address_dies_with_it(isps, proto, left):
    """Case 16. The path is dead, the route kept if static."""
    isps.sh(f"""ip addr add 10.0.1.3/24 dev wan0
               ip route add default via 10.0.1.3 dev wan0 {proto}
               ip addr del 10.0.1.3/24 dev wan0""")
    assert isps.paths() == left


def test_a_dead_static_route_on_a_device_that_is_up_goes_with_the_next_event_anywhere(make_box):
    """C2: any device down or local address removed sweeps it away."""
    box = make_box()
    box.device("wan0", "10.9.0.2/24", up=False)
    box.device("eth9", "10.6.0.1/24")
    box.sh("ip route add default via 10.0.1.1 dev wan0 proto static")
    box.sh("ip link set wan0 up")
    assert box.paths() == ["10.0.1.1 wan0 dead"]
    box.sh("ip link set eth9 down")
    assert box.paths() == []


@pytest.mark.parametrize(("proto", "says"), [("proto static", ""), ("", "RTNETLINK answers: Network is down")])
def test_our_own_address_on_a_device_that_is_down_is_found_as_a_gateway(isps, proto, says):
    """C3: static is accepted dead without naming a device, others earn ENETDOWN."""
    isps.sh("ip link set wan0 down")
    line = f"ip route add default via 10.0.1.2 {proto}"
    if says:
        assert isps.refused(line) == says
    else:
        isps.sh(line)
        assert isps.paths() == ["10.0.1.2 wan0 dead"]
