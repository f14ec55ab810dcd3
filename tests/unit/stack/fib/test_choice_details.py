"""What a choice looks at besides neighbours, and what is kept with a route: case by case, where a slip was not noticed.

Source: 2.4 net/ipv4/fib_hash.c fn_hash_select_default(); patch 01_alt_routes; fib_semantics.c fib_del_ifaddr();
net/core/fib_rules.c (6.x); include/net/ip_fib.h.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netsim.addr import parse_ip
from netsim.stack.fib.credit import StockScheduler, SuspectScheduler
from netsim.stack.fib.flow import FlowKey, is_badclass, is_local_multicast
from netsim.stack.fib.route import Lesson, Nexthop
from netsim.stack.fib.rules import Rule, effective_mask
from netsim.stack.fib.table import FibTable
from netsim.stack.fib.text import flag_words, kind_name, prefix_text, table_name
from netsim.stack.requests import RuleSpec
from netsim.trace.records import RouteEvent

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
    box.sh("ip route add 10.7.0.0/16 via 10.0.1.1 metric 9")
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


def test_a_route_is_told_with_all_that_tells_it_from_others(make_box):
    """ip monitor route: tos, table, protocol, scope, source, metric, and each path of several with its weight."""
    from netsim.stack.fib.text import route_text

    box = make_box("linux-2.4").two_isps()
    box.sh("""ip route add 10.7.0.0/16 via 10.0.1.1 tos 0x10 proto static src 10.0.1.2 metric 7 table 20
              ip route add 10.8.0.0/16 nexthop via 10.0.1.1 weight 2 nexthop dev wan1
              ip route add blackhole 10.9.0.0/16
              ip route add 10.6.0.0/16 dev wan0 scope link proto 77""")
    tables = box.net.fib.lookup.tables
    told = {
        text.split(" ")[0]: text
        for number in (254, 20)
        for plen, prefix, alias in tables[number].entries()
        for text in [route_text(plen, prefix, alias, number)]
    }
    assert told["10.7.0.0/16"] == (
        "10.7.0.0/16 tos 0x10 via 10.0.1.1 dev wan0 table 20 proto static src 10.0.1.2 metric 7"
    )
    assert told["10.8.0.0/16"] == "10.8.0.0/16 nexthop via 10.0.1.1 dev wan0 weight 2 nexthop dev wan1 weight 1"
    assert told["blackhole"] == "blackhole 10.9.0.0/16"
    assert told["10.6.0.0/16"] == "10.6.0.0/16 dev wan0 proto 77 scope link"
    assert told["10.0.1.0/24"] == "10.0.1.0/24 dev wan0 proto kernel scope link src 10.0.1.2"


@pytest.mark.parametrize(
    ("first", "second", "exists"),
    [
        ("table 20", "table 20", True), ("table 20", "table 21", False), ("blackhole", "blackhole", True),
        ("blackhole", "prohibit", False), ("table 20", "blackhole", False),
        ("from 10.0.0.0/8 table 20", "table 20", False),
        ("from 0/0 table 20", "table 20", True), ("fwmark 1 table 20", "fwmark 1/0xf table 20", False),
        ("fwmark 1 table 20", "fwmark 1 table 20", True), ("tos 4 table 20", "table 20", False),
        ("iif eth0 table 20", "iif eth0 table 20", True), ("to 10.0.0.0/8 table 20", "to 10.0.0.0/9 table 20", False),
        ("table 20 suppress_prefixlength 3", "table 20 suppress_prefixlength 4", True),
    ],
)  # fmt: skip
def test_a_rule_is_there_already_if_all_that_selects_is_equal(make_box, first, second, exists):
    """rule_exists(): what it suppresses does not count, what it does only if it looks nothing up."""
    box = make_box("linux-6")
    box.sh(f"ip rule add prio 10 {first}")
    if exists:
        assert box.refused(f"ip rule add prio 10 {second}") == "RTNETLINK answers: File exists"
    else:
        box.sh(f"ip rule add prio 10 {second}")


@pytest.mark.parametrize(
    ("ip", "kind"),
    [("0.0.0.0", 3), ("0.1.2.3", 3), ("255.255.255.255", 3), ("224.0.0.1", 5), ("239.1.1.1", 5), ("10.0.1.2", 2),
     ("10.0.1.255", 3), ("10.0.1.9", 1), ("240.0.0.1", 1), ("127.0.0.1", 2)],
)  # fmt: skip
@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
def test_what_an_address_is(make_box, kernel, ip, kind):
    """Inet_addr_type(): zeronet, the limited broadcast, multicast, the local table; 2.4 calls class E broadcast."""
    box = make_box(kernel)
    box.device("eth0", "10.0.1.2/24")
    box.device("eth1", "10.0.2.2/24")
    lookup = box.net.fib.lookup
    expected = 3 if kernel == "linux-2.4" and ip.startswith("240") else kind
    assert lookup.address_type(parse_ip(ip)) == expected
    eth1 = box.net.interfaces.named("eth1")
    assert lookup.address_type(parse_ip(ip), eth1) == (1 if ip.startswith(("10.", "127.")) else expected)


@pytest.mark.parametrize(("kernel", "way"), [("linux-2.4", "lo local"), ("linux-2.2", "lo local"), ("linux-6", "eth0")])
def test_old_kernels_ask_local_first_and_mainline_the_longer_prefix_while_both_are_one_trie(make_box, kernel, way):
    """2.4 fib_lookup() walks the rules always; 6.x fib_lookup() does from the first change of a rule on."""
    box = make_box(kernel)
    box.device("eth0", "10.0.1.2/24")
    box.sh("ip route add local 10.0.0.0/8 dev lo")
    assert box.send("10.0.1.9") == way
    box.sh("ip rule add prio 100 table 20")
    assert box.send("10.0.1.9") == "lo local"


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
def test_what_comes_and_goes_by_command_is_told_as_rtnetlink_tells_it(make_box, kernel):
    box = make_box(kernel, wants=frozenset({RouteEvent})).two_isps()
    box.net.outbox.records.clear()
    box.sh("""ip route add 10.5.0.0/16 via 10.0.1.1 dev wan0
              ip route del 10.5.0.0/16""")
    told = [(each.event, each.notified) for each in box.net.outbox.records if isinstance(each, RouteEvent)]
    assert told == [("new", True), ("deleted", True)]


class Flow:
    """A question as a scheduler sees it."""

    def __init__(self, oif=0, gw=0):
        self.oif, self.gw = oif, gw


def paths(*given):
    """Make a result over a route of paths (ifindex, gateway, weight, flags)."""
    nexthops = [
        Nexthop(SimpleNamespace(ifindex=index, name=f"eth{index}"), gw, 253, weight, flags)
        for index, gw, weight, flags in given
    ]
    return SimpleNamespace(info=SimpleNamespace(nexthops=nexthops, credit=0), index=7)


@pytest.mark.parametrize(
    ("given", "oif", "gw", "index"),
    [
        (((1, 5, 1, 1), (2, 6, 1, 1)), 0, 0, 7), (((1, 5, 1, 8), (2, 6, 1, 8)), 0, 0, 0),
        (((1, 5, 1, 1), (2, 6, 1, 8)), 0, 0, 1),
        (((1, 5, 1, 8), (2, 6, 1, 8)), 2, 0, 1), (((1, 5, 1, 8), (2, 6, 1, 8)), 0, 6, 1),
        (((1, 5, 1, 8), (2, 6, 1, 8)), 3, 0, 7),
        (((1, 5, 1, 8), (2, 6, 1, 8)), 1, 6, 7), (((1, 5, 1, 8), (2, 6, 1, 0)), 0, 0, 1),
        (((1, 5, 1, 0), (2, 6, 1, 0)), 2, 0, 1),
    ],
)  # fmt: skip
def test_the_patched_scheduler_falls_back_to_the_first_that_is_not_dead_and_fits(given, oif, gw, index):
    """The patch: DEAD 1 and SUSPECT 8 are bad; as a last resort only DEAD counts, and the keys hold."""
    result = paths(*given)
    SuspectScheduler(leftover=True).select(result, Flow(oif, gw), 0, None)
    assert result.index == index


@pytest.mark.parametrize(
    ("given", "oif", "picks"),
    [
        (((1, 5, 2, 0), (2, 6, 1, 0)), 0, [0, 0, 1, 0, 0, 1]), (((1, 5, 2, 1), (2, 6, 1, 0)), 0, [1, 1, 1]),
        (((1, 5, 1, 8), (2, 6, 1, 0)), 0, [0, 1, 0, 1]), (((1, 5, 1, 1), (2, 6, 1, 1)), 0, [0, 0]),
        (((1, 5, 1, 0), (2, 6, 1, 0)), 2, [7, 7]),
    ],
)  # fmt: skip
def test_the_stock_scheduler_spends_credits_round_by_round_and_heeds_dead_alone(given, oif, picks):
    """fib_select_multipath() of 2.4: bound lookups keep what they found; with nothing alive path 0 is left."""
    result, seen = paths(*given), []
    for _ in picks:
        result.index = 7
        StockScheduler().select(result, Flow(oif), 0, None)
        seen.append(result.index)
    assert seen == picks


@pytest.mark.parametrize(("target", "way"), [(100, "eth0 via 10.0.1.9"), (200, "EACCES")])
def test_a_goto_skips_to_its_target_and_is_passed_by_without_one(make_box, target, way):
    """fib_rules_lookup(), FR_ACT_GOTO: an unresolved target is skipped."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24")
    box.sh(f"""ip route add default via 10.0.1.9 table 20
               ip rule add prio 10 goto {target}
               ip rule add prio 50 prohibit
               ip rule add prio 100 table 20""")
    assert box.send() == way


@pytest.mark.parametrize(("knob", "carrier", "way"), [(1, True, A), (1, False, "ENETUNREACH"), (0, False, A)])
def test_only_a_lost_carrier_takes_a_path_out_and_only_where_it_counts(make_box, knob, carrier, way):
    """fib_lookup_good_nhc(): RTNH_F_LINKDOWN with ignore_routes_with_linkdown; an onlink flag is none."""
    box = make_box("linux-6").two_isps()
    box.sh(f"""sysctl -w net.ipv4.conf.wan0.ignore_routes_with_linkdown={knob}
               ip route add default via 10.0.1.1 dev wan0 onlink""")
    if not carrier:
        (path,) = box.net.fib.lookup.tables[254].leaf(0, 0)[0].info.nexthops
        path.flags |= 16
    assert box.send() == way


def test_addresses_that_are_no_ordinary_ones():
    """ipv4_is_local_multicast() 224.0.0.0/24; 2.4 BADCLASS(): 240.0.0.0/4 and up."""
    assert [is_local_multicast(parse_ip(ip)) for ip in ("224.0.0.5", "224.0.1.5", "223.0.0.5", "10.0.0.1")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert [is_badclass(parse_ip(ip)) for ip in ("240.0.0.1", "255.255.255.255", "239.9.9.9")] == [True, True, False]


def test_a_lesson_begins_with_nothing_learnt_and_a_table_counts_its_defaults():
    """struct fib_nh_exception; tb_num_default."""
    lesson = Lesson()
    assert (lesson.gateway, lesson.mtu, lesson.mtu_locked, lesson.expires, lesson.stamp) == (0, 0, False, 0, 0)
    table, made = FibTable(20, None), [object(), object(), object()]
    for plen, alias in ((0, made[0]), (0, made[1]), (8, made[2])):
        table.insert(plen, 0, 0, alias)
    assert (table.defaults, table.lengths, table.shape, table.leaf(0, 0)) == (2, [8, 0], 2, [made[1], made[0]])
    table.remove(0, 0, made[0])
    table.remove(8, 0, made[2])
    assert (table.defaults, table.lengths, table.shape) == (1, [0], 3)
    table.remove(0, 0, made[1])
    assert (table.defaults, table.lengths, table.shape, list(table.entries())) == (0, [], 4, [])
