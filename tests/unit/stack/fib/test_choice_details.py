"""What a choice looks at besides neighbours, and what is kept with a route: case by case, where a slip was not noticed.

Source: 2.4 net/ipv4/fib_hash.c fn_hash_select_default(); patch 01_alt_routes; fib_semantics.c fib_del_ifaddr();
net/core/fib_rules.c (6.x); include/net/ip_fib.h.
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.fib.flow import FlowKey
from netsim.stack.fib.rules import Rule, effective_mask
from netsim.stack.fib.text import flag_words, kind_name, prefix_text, table_name
from netsim.stack.requests import RuleSpec

A, B = "wan0 via 10.0.1.1", "wan1 via 10.0.2.1"


def defaults(box, *lines):
    for line in lines:
        box.sh(f"ip route append default {line}")
    return box


def test_the_stock_kernel_chooses_for_gateways_alone(make_box):
    """Fn_hash_select_default() is asked for a gateway of scope link only: a direct default stays first."""
    box = defaults(make_box("linux-2.4").two_isps(), "dev wan0 scope global", "via 10.0.2.1 dev wan1")
    box.neigh(wan1="10.0.2.1 reachable")
    assert [box.send() for _ in range(3)] == ["wan0"] * 3
    onlink = defaults(make_box("linux-2.4").two_isps(), "via 10.0.1.1 dev wan0", "via 10.0.2.1 dev wan1")
    onlink.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    assert onlink.send() == B


@pytest.mark.parametrize("kernel", ["linux-2.4", "linux-2.4-routes"])
@pytest.mark.parametrize("other", ["dev wan1 scope link", "via 10.0.2.1 dev wan1 metric 7"])
def test_a_route_of_another_scope_or_a_larger_metric_is_no_alternative(make_box, kernel, other):
    box = defaults(make_box(kernel).two_isps(), "via 10.0.1.1 dev wan0", other)
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    box.neigh(wan1="8.8.8.8 reachable")
    assert [box.send() for _ in range(3)] == [A] * 3


def test_a_deleted_alternative_is_none_though_its_zombie_lies_there(make_box):
    box = make_box().two_isps()
    defaults(box, "via 10.0.1.1 dev wan0", "via 10.0.2.1 dev wan1")
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    assert box.send() == B
    box.sh("ip route del default via 10.0.2.1")
    assert box.send() == A


def test_a_route_that_is_alone_remembers_nothing(make_box):
    """The patch: "res->last = -1" where there is one alternative."""
    box = make_box().two_isps()
    defaults(box, "via 10.0.1.1 dev wan0", "via 10.0.2.1 dev wan1")
    box.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 reachable")
    assert (box.send(), box.table()[0].memory) == (B, 1)
    box.sh("ip route del default via 10.0.2.1")
    assert (box.send(), box.table()[0].memory) == (A, -1)


def test_a_bound_lookup_takes_no_path_of_another_device_or_gateway_even_as_a_last_resort(isps):
    """Fib_select_multipath() of the patch: nh_oif and the gateway key hold for every path."""
    isps.sh("ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1")
    isps.neigh(wan0="10.0.1.1 failed", wan1="10.0.2.1 failed")
    assert [isps.send(oif="wan1") for _ in range(2)] == [B] * 2
    assert [isps.send(oif="wan0") for _ in range(2)] == [A] * 2
    isps.sh("ip link set wan0 down")
    assert isps.send() == B
    assert isps.send(oif="wan0") == "ENETUNREACH"


def test_an_address_leaves_the_broadcast_that_another_one_has(make_box):
    """Fib_del_ifaddr() of 2.4 compares the broadcasts that are written on the other addresses."""
    box = make_box("linux-2.4")
    box.device("eth0", "10.0.1.2/24")
    box.sh("""ip addr add 10.0.1.3/24 broadcast 10.0.1.99 dev eth0
              ip addr add 10.0.1.4/24 broadcast 10.0.1.99 dev eth0
              ip addr del 10.0.1.3/24 dev eth0""")
    local = box.sh("ip route show table local")
    assert "broadcast 10.0.1.99" in local
    box.sh("ip addr del 10.0.1.4/24 dev eth0")
    assert "10.0.1.99" not in box.sh("ip route show table local")


@pytest.mark.parametrize(
    ("given", "mask"),
    [({}, 0), ({"fwmark": 1}, 0xFFFFFFFF), ({"fwmark": 1, "fwmask": 0xF}, 0xF), ({"fwmask": 0}, 0), ({"fwmask": 3}, 3)],
)
def test_a_mark_without_a_mask_is_compared_whole(given, mask):
    """Fib_nl2rule(): "compatibility: if the mark value is non-zero all bits are compared"."""
    assert effective_mask(RuleSpec(priority=1, **given)) == mask


@pytest.mark.parametrize(("span", "hit"), [(None, True), ((0, 0), True), ((0, 5), True), ((1, 5), False)])
def test_what_a_box_sends_it_sends_as_root(span, hit):
    rule = Rule(RuleSpec(priority=1, table=254, uidrange=span))
    assert rule.matches_rest(True, FlowKey(1), None) is hit


@pytest.mark.parametrize(
    ("field", "given", "hit"),
    [("tos", 4, True), ("tos", 8, False), ("ipproto", 17, True), ("ipproto", 6, False), ("sport", (5, 5), True),
     ("sport", (6, 7), False), ("sport", (1, 4), False), ("dport", (9, 9), True), ("dport", (1, 8), False)],
)  # fmt: skip
def test_a_rarer_selector_and_its_inversion(field, given, hit):
    flow = FlowKey(1, tos=4, proto=17, sport=5, dport=9)
    for invert in (False, True):
        rule = Rule(RuleSpec(priority=1, table=254, invert=invert, **{field: given}))
        assert not rule.plain
        assert rule.matches_rest(True, flow, None) is (hit is not invert)
        assert rule.matches_rest(False, flow, None) is invert


def test_a_mainline_tos_has_no_ecn_bits_and_any_other_four(make_box):
    """Inet_rtm_newroute(), inet_rtm_delroute(): INET_ECN_MASK is 3."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24")
    for tos in (0x04, 0x08, 0x10, 0x1C):
        box.sh(f"ip route add default via 10.0.1.1 tos {tos:#x}")
        box.sh(f"ip route del default tos {tos:#x}")
    for tos in (0x01, 0x02, 0x03):
        says = "Error: Invalid dsfield (tos): ECN bits must be 0."
        assert box.refused(f"ip route add default via 10.0.1.1 tos {tos:#x}") == says
        assert box.refused(f"ip route del default tos {tos:#x}") == says


def test_a_replacement_by_the_second_of_its_group_exists_already(make_box):
    """Fib_table_insert(): an identical route is looked for in the whole group, the first place of it counting too."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24")
    defaults(box, "via 10.0.1.1", "via 10.0.1.3", "via 10.0.1.5")
    box.sh("ip route replace default via 10.0.1.1")
    assert box.refused("ip route replace default via 10.0.1.3") == "RTNETLINK answers: File exists"
    box.sh("ip route replace default via 10.0.1.7")
    assert [path.split()[0][-1] for path in box.paths()] == ["7", "3", "5"]


def test_a_paths_source_follows_the_addresses_of_its_device(make_box):
    """Fib_result_prefsrc(): worked out anew when dev_addr_genid moved, and kept until then."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24")
    box.sh("ip route add default via 10.0.1.1")
    trie = box.net.fib.routes
    info = box.net.fib.lookup.tables[254].leaf(0, 0)[0].info
    (path,) = info.nexthops
    assert trie.source(info, 0, 0) == path.source == parse_ip("10.0.1.2")
    path.source = 5
    assert trie.source(info, 0, 0) == 5
    box.sh("ip addr add 10.9.9.9/32 dev eth0")
    assert trie.source(info, 0, 0) == parse_ip("10.0.1.2")
    assert path.source_at == box.net.interfaces.generation
    box.sh("ip route add 10.7.0.0/16 via 10.0.1.1")
    made = box.net.fib.lookup.tables[254].leaf(16, parse_ip("10.7.0.0"))[0].info
    assert made.nexthops[0].source_at == box.net.interfaces.generation
    made.nexthops[0].source = 7
    assert trie.source(made, 0, 0) == 7


def test_routes_are_told_in_the_words_of_iproute2():
    """rtnl_rttable_n2a(), rtnl_rtntype_n2a(), print_rt_flags()."""
    assert [table_name(number) for number in (253, 254, 255, 7)] == ["default", "main", "local", "7"]
    assert [kind_name(number) for number in range(12)] == [
        "none", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
        "throw", "nat", "11",
    ]  # fmt: skip
    assert prefix_text(0, 0) == "default"
    assert prefix_text(0, 8) == "0.0.0.0/8"
    assert prefix_text(0x0A000001, 32) == "10.0.0.1"
    assert prefix_text(0x0A000000, 24) == "10.0.0.0/24"
    assert flag_words(1 | 2 | 4 | 8 | 16) == ["dead", "onlink", "pervasive", "linkdown", "suspect"]
