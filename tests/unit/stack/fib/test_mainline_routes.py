"""Mainline's routes: what is refused and in whose words, what stands where, what events do to it.

Linux-kernel notes 2.1 to 2.5 and 2.11; observed-linux 3.1, 8 and 15.
"""

from __future__ import annotations

import pytest

from netsim.stack.fib.multipath import jhash_one
from netsim.stack.requests import DumpRoutes


@pytest.fixture
def box(make_box):
    """Return a linux-6 box: eth0 10.0.1.2/24 and eth1 10.0.2.2/24, both up."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24")
    box.device("eth1", "10.0.2.2/24")
    return box


REFUSED = [
    ("ip route add 10.5.0.0/16 via 10.9.9.9", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.5.0.0/16 via 10.9.9.9 dev eth0", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.5.0.0/16 via 10.0.1.255", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.5.0.0/16 via 0.0.0.0", "RTNETLINK answers: No such device"),
    ("ip route add 10.5.0.0/16 via 224.0.0.1 dev eth0", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.5.0.0/16", "RTNETLINK answers: No such device"),
    ("ip route add 10.5.0.1/16 via 10.0.1.1", "Error: Invalid prefix for given prefix length."),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 scope link", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 scope host", "Error: Route with host scope can not have a gateway."),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 src 1.2.3.4", "Error: Invalid prefsrc address."),
    ("ip route add 10.5.0.0/16 nexthop via 10.0.1.1 nexthop via 10.9.9.9", "Error: Nexthop has invalid gateway."),
    (
        "ip route add 10.5.0.0/16 via 10.0.1.1 nexthop via 10.0.1.3",
        "Error: Nexthop gateway does not match RTA_GATEWAY or RTA_VIA.",
    ),
    ("ip route del 10.6.0.0/16", "RTNETLINK answers: No such process"),
    ("ip route del 10.0.1.0/24 via 10.0.1.1", "RTNETLINK answers: No such process"),
    ("ip route del default table 77", "Error: FIB table does not exist."),
    ("ip route change 10.6.0.0/16 via 10.0.1.1", "RTNETLINK answers: No such file or directory"),
    ("ip route replace 10.6.0.0/16 via 10.9.9.9", "Error: Nexthop has invalid gateway."),
    ("ip route add 10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.2", "RTNETLINK answers: File exists"),
    (
        "ip route add blackhole 10.6.0.0/16 via 10.0.1.1",
        "Error: Gateway, device and multipath can not be specified for this route type.",
    ),
    ("ip route add default via 10.0.1.1 tos 0x03", "Error: Invalid dsfield (tos): ECN bits must be 0."),
    ("ip rule add from 10.7.0.0/16 tos 0x03 table 20", "Error: Invalid dsfield (tos): ECN bits must be 0."),
    ("ip rule del prio 77", "RTNETLINK answers: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_refused_line_says_what_linux_says_and_changes_nothing(box, line, says):
    """Observed-linux 15."""
    before = box.net.request(DumpRoutes(table=None), now=0), box.sh("ip rule")
    assert box.refused(line) == says
    assert (box.net.request(DumpRoutes(table=None), now=0), box.sh("ip rule")) == before


COMMANDS = [
    ("append", ["1", "2", "9"]), ("prepend", ["9", "1", "2"]), ("replace", ["9", "2"]), ("change", ["9", "2"]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "want"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_puts_its_route_in_its_place(box, command, want):
    """Linux-kernel note 2.3: given .1 and .2 of one metric, then `command` .9."""
    box.sh("""ip route append default via 10.0.1.1
              ip route append default via 10.0.1.200""")
    box.sh(f"ip route {command} default via 10.0.1.9")
    places = {"10.0.1.1 eth0": "1", "10.0.1.200 eth0": "2", "10.0.1.9 eth0": "9"}
    assert [places[path] for path in box.paths()] == want


@pytest.mark.parametrize("command", ["append", "prepend"])
def test_an_identical_route_exists_already(box, command):
    box.sh("ip route add default via 10.0.1.1")
    assert box.refused(f"ip route {command} default via 10.0.1.1") == "RTNETLINK answers: File exists"
    assert len(box.table()) == 1


def test_replacing_the_first_by_itself_is_nothing_and_by_a_later_one_exists(box):
    """Linux-kernel note 2.3, replace."""
    box.sh("""ip route add default via 10.0.1.1
              ip route append default via 10.0.2.1
              ip route replace default via 10.0.1.1""")
    assert box.paths() == ["10.0.1.1 eth0", "10.0.2.1 eth1"]
    assert box.refused("ip route replace default via 10.0.2.1") == "RTNETLINK answers: File exists"


def test_the_order_of_one_prefix_is_tos_then_metric_then_arrival(box):
    """Linux-kernel note 2.3."""
    box.sh("""ip route add default via 10.0.1.1 metric 5
              ip route add default via 10.0.1.2 metric 1
              ip route add default via 10.0.1.3
              ip route append default via 10.0.1.4
              ip route add default via 10.0.1.5 tos 0x10
              ip route add default via 10.0.1.6 tos 0x08 metric 9""")
    assert [path.split()[0][-1] for path in box.paths()] == ["5", "6", "3", "4", "2", "1"]


def test_deletion_takes_the_first_match_of_the_given_tos(box):
    """Observed-linux 3.1: routes with a tos are never matched without `tos`."""
    box.sh("""ip route add default via 10.0.1.5 tos 0x10
              ip route add default via 10.0.1.3 metric 2
              ip route add default via 10.0.1.4 metric 1
              ip route del default""")
    assert [path.split()[0][-1] for path in box.paths()] == ["5", "3"]
    box.sh("ip route del default")
    assert box.refused("ip route del default") == "RTNETLINK answers: No such process"
    box.sh("ip route del default tos 0x10")
    assert box.paths() == []


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("ip route del default nexthop via 10.0.1.1 dev eth0", 1),
        ("ip route del default via 10.0.2.1", 1),
        ("ip route del default via 10.0.1.1", 0),
        ("ip route del default nexthop via 10.0.1.1 nexthop via 10.0.2.1", 0),
    ],
)
def test_a_multipath_route_goes_whole_or_not_at_all(box, line, left):
    """Observed-linux 4.1, last point."""
    box.sh("ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1")
    if left:
        box.refused(line)
    else:
        box.sh(line)
    assert len(box.table()) == left


# Rules


def test_rules_without_a_priority_go_before_the_second(box):
    """Linux-kernel note 2.1: 32765, 32764, and after an explicit 10 they are 9, 8."""
    box.sh("""ip rule add from 10.7.0.0/16 table 20
              ip rule add from 10.8.0.0/16 table 20
              ip rule add from 10.9.0.0/16 table 20 prio 10
              ip rule add from 10.10.0.0/16 table 20
              ip rule add from 10.11.0.0/16 table 20""")
    prefs = [int(line.split(":")[0]) for line in box.sh("ip rule").splitlines()]
    assert prefs == [0, 8, 9, 10, 32764, 32765, 32766, 32767]


def test_a_rule_twice_exists_already(box):
    box.sh("ip rule add from 10.7.0.0/16 table 20 prio 10")
    assert box.refused("ip rule add from 10.7.0.0/16 table 20 prio 10") == "RTNETLINK answers: File exists"


RULES = [
    ("from 10.0.1.2 table 20", {"src": "10.0.1.2"}, {}),
    ("to 8.0.0.0/8 table 20", {}, {"dst": "9.9.9.9"}),
    ("tos 0x10 table 20", {"tos": 0x10}, {}),
    ("oif eth1 table 20", {"oif": "eth1"}, {}),
    ("iif lo table 20", {}, None),
    ("not to 9.0.0.0/8 table 20", {}, {"dst": "9.9.9.9"}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "hit", "miss"), RULES, ids=[rule for rule, _, _ in RULES])
def test_a_rule_matches_by_its_selector(box, rule, hit, miss):
    """Linux-kernel note 2.1, the selectors; a local packet has iif lo and, unbound, source 0."""
    box.sh(f"""ip route add default via 10.0.1.1
               ip route add default via 10.0.2.1 table 20
               ip rule add {rule} prio 10""")
    assert box.send(**hit) == "eth1 via 10.0.2.1"
    if miss is not None:
        assert box.send(**miss) == "eth0 via 10.0.1.1"


@pytest.mark.parametrize(
    ("action", "errno"),
    [("blackhole", "EINVAL"), ("unreachable", "ENETUNREACH"), ("prohibit", "EACCES")],
)
def test_a_rule_may_end_the_lookup(box, action, errno):
    """Linux-kernel note 2.1, the actions."""
    box.sh(f"""ip route add default via 10.0.1.1
               ip rule add {action} prio 10""")
    assert box.send() == errno


def test_goto_jumps_over_rules_and_nop_is_passed(box):
    box.sh("""ip route add default via 10.0.1.1 table 20
              ip route add default via 10.0.2.1 table 30
              ip rule add table 20 prio 20
              ip rule add table 30 prio 30
              ip rule add nop prio 4
              ip rule add goto 30 prio 5""")
    assert box.send() == "eth1 via 10.0.2.1"


def test_a_rule_may_ignore_short_prefixes(box):
    """suppress_prefixlength 0 leaves default routes of a table out."""
    box.sh("""ip route add default via 10.0.1.1
              ip route add default via 10.0.2.1 table 20
              ip route add 8.0.0.0/8 via 10.0.2.1 table 30
              ip rule add table 20 suppress_prefixlength 0 prio 20
              ip rule add table 30 suppress_prefixlength 0 prio 30""")
    assert box.send("9.9.9.9") == "eth0 via 10.0.1.1"
    assert box.send("8.8.8.8") == "eth1 via 10.0.2.1"


def test_local_and_main_are_one_trie_until_the_first_rule(box):
    """Linux-kernel note 2.1, last point: a main /32 beats a local /8 before a rule was added, and not after."""
    box.sh("ip route add 127.0.0.9/32 via 10.0.1.1")
    before = box.send("127.0.0.9")
    box.sh("ip rule add from 10.7.0.0/16 table 20")
    assert (before, box.send("127.0.0.9")) == ("eth0 via 10.0.1.1", "lo local")


TYPES = [
    ("blackhole", "EINVAL"), ("unreachable", "EHOSTUNREACH"), ("prohibit", "EACCES"), ("throw", "eth0 via 10.0.1.1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer"), TYPES)
def test_a_route_type_decides_or_hands_on(box, kind, answer):
    """Linux-kernel note 2.2."""
    box.sh(f"""ip route add default via 10.0.1.1
               ip route add {kind} 8.0.0.0/8 table 20
               ip rule add table 20 prio 20""")
    assert box.send("8.8.8.8") == answer


# Events


def all_of(box, table=254) -> list[str]:
    listed = box.net.request(DumpRoutes(table=table), now=box.now)
    return [f"{route.dst} {route.nexthops[0].dev}" for route in listed]


def test_an_address_makes_its_routes_as_far_as_the_device_is_up(make_box):
    """Linux-kernel note 2.11: down: local alone; up: connected, and the broadcast address."""
    box = make_box("linux-6")
    box.device("eth0", "10.0.1.2/24", up=False)
    assert all_of(box) == []
    assert "10.0.1.2/32 eth0" in all_of(box, 255)
    assert box.send("10.0.1.2") == "lo local"
    box.sh("ip link set eth0 up")
    assert all_of(box) == ["10.0.1.0/24 eth0"]
    assert "10.0.1.255/32 eth0" in all_of(box, 255)
    assert "10.0.1.0/32 eth0" not in all_of(box, 255)


def test_admin_down_takes_routes_of_every_table_and_up_brings_connected_ones_back(box):
    """Observed-linux 8: `proto static` makes no difference; routes do not return, multipath paths do."""
    box.sh("""ip route add default via 10.0.1.1 proto static
              ip route add default via 10.0.1.1 table 20
              ip route add 10.8.0.0/16 nexthop via 10.0.1.1 nexthop via 10.0.2.1
              ip link set eth0 down""")
    assert box.paths() == ["10.0.1.1 eth0 dead, 10.0.2.1 eth1"]
    assert box.paths(20) == []
    box.sh("ip link set eth0 up")
    assert box.paths() == ["10.0.1.1 eth0, 10.0.2.1 eth1"]
    assert "10.0.1.0/24 eth0" in all_of(box)


def test_a_route_all_of_whose_paths_die_is_gone_for_good(box):
    """Observed-linux 4.1."""
    box.sh("""ip route add 10.8.0.0/16 nexthop via 10.0.1.1 nexthop via 10.0.2.1
              ip link set eth0 down
              ip link set eth1 down
              ip link set eth0 up
              ip link set eth1 up""")
    assert box.paths() == []


def test_an_address_takes_the_routes_of_main_with_it_as_source(box):
    """Linux-kernel note 2.11: other tables keep theirs."""
    box.sh("""ip addr add 10.7.0.2/24 dev eth0
              ip route add default via 10.0.2.1 src 10.7.0.2
              ip route add default via 10.0.2.1 src 10.7.0.2 table 20
              ip addr del 10.7.0.2/24 dev eth0""")
    assert box.paths() == []
    assert box.paths(20) == ["10.0.2.1 eth1"]


def test_a_gateway_is_not_checked_again(box):
    """Observed-linux 8: gatewayed routes through a subnet that went stay."""
    box.sh("""ip addr add 10.7.0.2/24 dev eth0
              ip route add 10.8.0.0/16 via 10.7.0.1
              ip addr del 10.7.0.2/24 dev eth0""")
    assert box.paths() == ["10.7.0.1 eth0"]


def test_the_last_address_of_a_device_takes_its_routes_and_a_new_one_revives_paths(box):
    """Observed-linux 4.1 and 8."""
    box.sh("""ip route add default via 10.0.1.1
              ip route add 10.8.0.0/16 nexthop via 10.0.1.1 nexthop via 10.0.2.1
              ip addr del 10.0.1.2/24 dev eth0""")
    assert box.paths() == ["10.0.1.1 eth0 dead, 10.0.2.1 eth1"]
    box.sh("ip addr add 10.0.1.2/24 dev eth0")
    assert box.paths() == ["10.0.1.1 eth0, 10.0.2.1 eth1"]


def test_a_device_that_goes_takes_whole_multipath_routes(box):
    """Observed-linux 8."""
    box.sh("""ip route add 10.8.0.0/16 nexthop via 10.0.1.1 nexthop via 10.0.2.1
              ip link del eth0""")
    assert box.paths() == []


@pytest.mark.parametrize(("ignore", "way"), [(0, "eth0 via 10.0.1.1"), (1, "eth1 via 10.0.2.1")])
def test_carrier_loss_marks_a_route_and_a_sysctl_makes_it_unusable(box, ignore, way):
    """Observed-linux 8: nothing is removed; ignored, the lookup falls to the worse metric."""
    box.sh(f"""ip route add default via 10.0.1.1
               ip route add default via 10.0.2.1 metric 5
               echo {ignore} > /proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown""")
    box.net.carrier("eth0", False, now=0)
    assert len(box.table()) == 2
    assert box.send() == way
    words = box.sh("ip route show default").splitlines()[0].split()
    assert ("linkdown" in words, "dead" in words) == (True, bool(ignore))
    box.net.carrier("eth0", True, now=0)
    assert box.send() == "eth0 via 10.0.1.1"
    assert not {"linkdown", "dead"} & set(box.sh("ip route show").split())


DOWN = [
    ("dev eth0", "Error: Device for nexthop is not up."),
    ("via 10.0.1.1 dev eth0", "Error: Nexthop has invalid gateway."),
    ("via 10.0.1.1 dev eth0 onlink", "Error: Nexthop device is not up."),
    ("via 10.0.1.1", "Error: Nexthop has invalid gateway."),
    ("nexthop via 10.0.2.1 nexthop dev eth0", "Error: Device for nexthop is not up."),
]  # fmt: skip


@pytest.mark.parametrize(("path", "says"), DOWN, ids=[path for path, _ in DOWN])
@pytest.mark.parametrize("proto", ["boot", "static"])
def test_no_route_is_made_on_a_device_that_is_down(box, path, says, proto):
    """Observed-linux 8, last paragraph."""
    box.sh("ip link set eth0 down")
    assert box.refused(f"ip route add 10.8.0.0/16 proto {proto} {path}") == says


# Sources and lookups


def test_the_source_is_the_routes_own_or_the_devices_best(box):
    """Linux-kernel note 2.10."""
    box.sh("""ip addr add 10.7.0.2/24 dev eth0
              ip route add 10.8.0.0/16 via 10.7.0.1
              ip route add 10.9.0.0/16 via 10.0.1.1
              ip route add 10.10.0.0/16 via 10.0.1.1 src 10.0.2.2""")
    assert [box.source(dst) for dst in ("10.8.0.1", "10.9.0.1", "10.10.0.1")] == ["10.7.0.2", "10.0.1.2", "10.0.2.2"]


def test_a_lookup_bound_to_a_device_without_a_route_assumes_the_link(box):
    """Linux-kernel note 2.8; on a device that is down it fails."""
    assert box.send("8.8.8.8", oif="eth1") == "eth1"
    box.sh("ip link set eth1 down")
    assert box.send("8.8.8.8", oif="eth1") == "ENETUNREACH"


@pytest.mark.parametrize(("src", "errno"), [("9.9.9.9", "ENETUNREACH"), ("224.0.0.1", "EINVAL"), ("0.0.0.1", "EINVAL")])
def test_a_bound_source_must_be_ours(box, src, errno):
    """Linux-kernel note 2.8."""
    box.sh("ip route add default via 10.0.1.1")
    assert box.send(src=src) == errno


def test_forwarding_off_is_host_unreachable_and_on_forwards(box):
    """Linux-kernel notes 2.9 and 4.2."""
    box.sh("ip route add default via 10.0.1.1")
    assert box.forward(src="10.0.2.9", iif="eth1") == "EHOSTUNREACH"
    box.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert box.forward(src="10.0.2.9", iif="eth1") == "eth0 via 10.0.1.1"


MARTIANS = [
    ("8.8.8.8", "224.0.0.1"), ("8.8.8.8", "255.255.255.255"), ("8.8.8.8", "0.0.0.7"), ("0.0.0.7", "10.0.2.9"),
    ("127.0.0.1", "10.0.2.9"), ("8.8.8.8", "127.0.0.1"), ("8.8.8.8", "10.0.1.2"),
]  # fmt: skip


@pytest.mark.parametrize(("dst", "src"), MARTIANS)
def test_a_martian_is_refused(box, dst, src):
    """Linux-kernel note 2.9 and observed-linux 7: whatever rp_filter says."""
    box.sh("""ip route add default via 10.0.1.1
              echo 1 > /proc/sys/net/ipv4/ip_forward""")
    assert box.forward(dst, src=src, iif="eth1") == "EINVAL"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("onlink scope link", "Error: Nexthop has invalid scope."),
        ("scope link", "Error: Nexthop has invalid gateway."),
        ("onlink scope host", "Error: Route with host scope can not have a gateway."),
        ("onlink scope site", ""),
    ],
)
def test_a_gateway_is_nearer_than_what_it_leads_to(box, words, says):
    """Asked of 6.18.44."""
    line = f"ip route add 10.8.0.0/16 via 10.0.1.9 dev eth0 {words}"
    assert (box.refused(line) if says else box.sh(line)) == says


def test_the_hash_of_fields_is_jenkins_final_mix():
    """include/linux/jhash.h: __jhash_final() written out, against the loop."""

    def turned(word, by):
        return (word << by | word >> (32 - by)) & 0xFFFFFFFF

    for value in (0, 1, 0x7FFFFFFF, 0xDEADBEEF, 0xFFFFFFFF):
        a = (value + 0xDEADBEEF + 8) & 0xFFFFFFFF
        b = c = (0xDEADBEEF + 8) & 0xFFFFFFFF
        c = (c ^ b) - turned(b, 14) & 0xFFFFFFFF
        a = (a ^ c) - turned(c, 11) & 0xFFFFFFFF
        b = (b ^ a) - turned(a, 25) & 0xFFFFFFFF
        c = (c ^ b) - turned(b, 16) & 0xFFFFFFFF
        a = (a ^ c) - turned(c, 4) & 0xFFFFFFFF
        b = (b ^ a) - turned(a, 14) & 0xFFFFFFFF
        c = (c ^ b) - turned(b, 24) & 0xFFFFFFFF
        assert jhash_one(value) == c
