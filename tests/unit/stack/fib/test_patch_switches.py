"""Each patch is a switch of its own: what it buys is what is missing without it. Seed section 0, route-patches 10."""

from __future__ import annotations

import pytest

A, B = "wan0 via 10.0.1.1", "wan1 via 10.0.2.1"
SETS = {
    "none": (), "static_routes": ("static_routes",), "alt_routes": ("alt_routes",), "arp_prefsrc": ("arp_prefsrc",),
    "static and alt": ("static_routes", "alt_routes"),
    "nf_reroute": ("static_routes", "alt_routes", "arp_prefsrc", "nf_reroute"),
}  # fmt: skip


@pytest.fixture(params=["linux-2.4", "linux-2.2"])
def make(request, make_box):
    """Return a function: make a two-ISP box of one kernel with a named set of patches."""

    def box(name: str):
        names = SETS[name]
        if request.param == "linux-2.2" and name == "nf_reroute":
            names = ("static_routes", "alt_routes", "arp_prefsrc", "masq_csum_reroute", "key_gw")
        return make_box(request.param, names).two_isps()

    return box


@pytest.mark.parametrize("name", SETS)
def test_static_routes_alone_lets_routes_outlive_their_device(make, name):
    box = make(name)
    box.sh("""ip route add default via 10.0.1.1 dev wan0 proto static
              ip link set wan0 down""")
    assert box.paths() == (["10.0.1.1 wan0 dead"] if "static_routes" in SETS[name] else [])


@pytest.mark.parametrize("name", SETS)
def test_alt_routes_alone_sticks_to_the_last_used_of_two_failed_gateways(make, name):
    """Case 17, X X: unpatched rotates."""
    box = make(name)
    box.sh("""ip route append default via 10.0.1.1 dev wan0
              ip route append default via 10.0.2.1 dev wan1""")
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 failed")
    assert box.flows(3) == ([A, A, A] if "alt_routes" in SETS[name] else [A, B, A])


@pytest.mark.parametrize("name", SETS)
def test_alt_routes_alone_chooses_for_other_prefixes_and_for_forwarded_packets(make, name):
    box = make(name)
    box.sh("""ip route append 8.0.0.0/8 via 10.0.1.1 dev wan0
              ip route append 8.0.0.0/8 via 10.0.2.1 dev wan1""")
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    assert (box.send(), box.forward()) == ((B, B) if "alt_routes" in SETS[name] else (A, A))


@pytest.mark.parametrize("name", SETS)
def test_the_last_patch_alone_brings_the_gateway_key(make, name):
    """2.4: nf_reroute; 2.2: key_gw. Without it the key is not looked at."""
    box = make(name)
    box.sh("""ip route append default via 10.0.1.1 dev wan0
              ip route append default via 10.0.1.9 dev wan0""")
    box.neigh(wan0="10.0.1.1 reachable")
    want = "wan0 via 10.0.1.9" if name == "nf_reroute" else A
    assert box.send(oif="wan0", gw="10.0.1.9") == want


@pytest.mark.parametrize("name", SETS)
def test_nf_reroute_alone_brings_the_local_source_key(make_box, name):
    box = make_box("linux-2.4", SETS[name]).two_isps()
    box.sh("""ip route add default via 10.0.1.1 dev wan0
              ip route add default via 10.0.2.1 dev wan1 table 20
              ip rule add from 10.0.2.2 table 20 prio 20""")
    assert box.forward(lsrc="10.0.2.2") == (B if name == "nf_reroute" else A)


@pytest.mark.parametrize(
    ("kernel", "entry", "way"), [("linux-2.4", 0x10, B), ("linux-2.4", 0x12, A), ("linux-2.2", 0x12, B)]
)
def test_the_tos_bits_that_count_differ(make_box, kernel, entry, way):
    """Route-patches 4 and 13: the key's mask is 0x1C on 2.4, where a route with bit 0x02 never matches."""
    box = make_box(kernel).two_isps()
    box.sh(f"""ip route add default via 10.0.1.1 dev wan0
               ip route add default via 10.0.2.1 dev wan1 tos {entry:#x}""")
    assert box.send(tos=entry) == way


@pytest.mark.parametrize("kernel", ["linux-2.4", "linux-2.2", "linux-6"])
def test_a_path_of_a_multipath_route_revives_with_its_device_on_every_kernel(make_box, kernel):
    """Route-patches 2: "non-static multipath paths revive without the gateway check"."""
    box = make_box(kernel).two_isps()
    box.sh("""ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1
              ip link set wan0 down""")
    assert box.paths() == ["10.0.1.1 wan0 dead, 10.0.2.1 wan1"]
    box.sh("ip link set wan0 up")
    assert box.paths() == ["10.0.1.1 wan0, 10.0.2.1 wan1"]


@pytest.mark.parametrize(
    ("kernel", "path"),
    [("linux-2.4", "10.0.1.1 wan0"), ("linux-2.2", "10.0.1.1 wan0 dead"), ("linux-6", "10.0.1.1 wan0")],
)
def test_an_address_revives_paths_from_2_4_on(make_box, kernel, path):
    """Route-patches 2 and 10: 2.2 revives when a device comes up, never when an address does."""
    box = make_box(kernel).two_isps()
    box.sh("""ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1
              ip addr del 10.0.1.2/24 dev wan0
              ip addr add 10.0.1.2/24 dev wan0""")
    assert box.paths() == [f"{path}, 10.0.2.1 wan1"]
