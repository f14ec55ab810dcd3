"""Mainline's flow hash and what is chosen by it, piece by piece.

Source: net/ipv4/route.c fib_multipath_hash(), ip_multipath_l3_keys(); net/core/flow_dissector.c
__flow_hash_consistentify(); net/ipv4/fib_semantics.c fib_rebalance(), fib_select_multipath(); lib/siphash.c.
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FlowKey
from netsim.stack.fib.multipath import flow_hash, multipath_hash, quoted, rebalance, select
from netsim.stack.fib.route import FibInfo, Nexthop
from netsim.stack.metrics import NO_METRICS
from netsim.stack.skb import Skb
from netsim.wire.ipv4 import build_ipv4

H, D = parse_ip("192.168.0.3"), parse_ip("8.8.8.8")
DEAD, LINKDOWN = 1, 16


@pytest.mark.parametrize(
    ("seed", "src", "dst", "rest", "value"),
    [
        (1234, H, D, (), 2332788669), (1234, D, H, (), 2332788669),
        (1, 0x0A000001, 0x0A000002, (17, 5000, 53), 209898704), (1, 0x0A000002, 0x0A000001, (17, 53, 5000), 209898704),
        (0xDEADBEEF, 0xFFFFFFFF, 0x01020304, (6, 65535, 1), 3684867551), (7, 0, 0, (), 444252888),
    ],
)  # fmt: skip
def test_a_flows_hash_is_siphash_of_its_keys_in_order(seed, src, dst, rest, value):
    """Computed by the reference SipHash-2-4 in C, itself held to its published vector, over struct flow_keys."""
    assert flow_hash(seed, src, dst, *rest) == value


def packet(proto=17, body=b"\x13\x88\x00\x35" + bytes(4), frag_off=0, options=b""):
    return Skb(bytearray(build_ipv4(H, D, proto, len(body), frag_off=frag_off, options=options) + body))


FLOW = FlowKey(D, H, proto=17, sport=5000, dport=53)


@pytest.mark.parametrize(("frag_off", "ports"), [(0, (5000, 53)), (0x2000, (0, 0)), (0x0007, (0, 0))])
def test_policy_1_hashes_five_fields_and_no_ports_of_fragments(frag_off, ports):
    """Fib_multipath_hash(), case 1: "a fragment has no ports", the first one of a packet neither."""
    want = flow_hash(9, H, D, 17, *ports) >> 1
    assert multipath_hash(1, 0, 9, FLOW, packet(frag_off=frag_off)) == want
    assert multipath_hash(1, 0, 9, FLOW, None) == flow_hash(9, H, D, 17, 5000, 53) >> 1


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        (0x00, (0, 0, 0, 0, 0)), (0x01, (H, 0, 0, 0, 0)), (0x02, (0, D, 0, 0, 0)), (0x04, (0, 0, 17, 0, 0)),
        (0x08, (0, 0, 0, 0, 0)), (0x10, (0, 0, 0, 5000, 0)), (0x20, (0, 0, 0, 0, 53)), (0x37, (H, D, 17, 5000, 53)),
    ],
)  # fmt: skip
def test_policy_3_hashes_the_fields_that_are_chosen(fields, want):
    """FIB_MULTIPATH_HASH_FIELD_: SRC_IP 1, DST_IP 2, IP_PROTO 4, FLOWLABEL 8, SRC_PORT 16, DST_PORT 32."""
    assert multipath_hash(3, fields, 9, FLOW, None) == flow_hash(9, *want) >> 1


@pytest.mark.parametrize(("proto", "ports"), [(6, (5000, 53)), (17, (5000, 53)), (47, (0, 0)), (132, (0, 0))])
def test_policy_3_has_ports_for_tcp_and_udp_alone(proto, ports):
    assert multipath_hash(3, 0x37, 9, FLOW._replace(proto=proto), None) == flow_hash(9, H, D, proto, *ports) >> 1


def icmp(kind, length=28, options=b"", frag_off=0):
    """Return an ICMP message that quotes a packet from 10.1.2.3 to 10.4.5.6, cut off after `length` octets."""
    inner = build_ipv4(0x0A010203, 0x0A040506, 17, 8) + bytes(8)
    return packet(1, bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + inner[:length], options=options, frag_off=frag_off)


QUOTED, OWN = (0x0A010203, 0x0A040506), (H, D)
MESSAGES = [
    (icmp(3), QUOTED), (icmp(4), QUOTED), (icmp(5), QUOTED), (icmp(11), QUOTED), (icmp(12), QUOTED), (icmp(8), OWN),
    (icmp(0), OWN), (icmp(3, 20), QUOTED), (icmp(3, 19), OWN), (icmp(3, options=bytes(4)), QUOTED),
    (icmp(3, frag_off=7), OWN), (icmp(3, frag_off=0x2000), QUOTED), (packet(), OWN),
    (packet(17, b"\x03" + icmp(3).data[21:]), OWN),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(MESSAGES)))
def test_policy_0_takes_the_addresses_that_an_icmp_error_quotes(at):
    """Ip_multipath_l3_keys(): so that an error takes the path of the flow that it is about."""
    skb, addresses = MESSAGES[at]
    assert quoted(skb) == addresses
    assert multipath_hash(0, 0, 9, FlowKey(1, 2), skb) == flow_hash(9, *addresses) >> 1
    assert multipath_hash(0, 0, 9, FLOW, None) == flow_hash(9, H, D) >> 1


class Dev:
    """A device as a nexthop sees it."""

    def __init__(self, name):
        self.name, self.ifindex = name, 1


class Lookup:
    """Says of which devices a lost carrier counts."""

    def __init__(self, *ignoring):
        self.ignoring = ignoring

    def ignores_linkdown(self, dev):
        return dev.name in self.ignoring


def info(*paths):
    """Make a route of paths (weight, flags)."""
    nexthops = [
        Nexthop(Dev(f"eth{at}"), 0x0A000101 + (at << 8), 253, weight, flags) for at, (weight, flags) in enumerate(paths)
    ]
    return FibInfo(
        home=(), protocol=3, prefsrc=0, metric=0, nexthops=nexthops, flags=0, multipath=True, metrics=NO_METRICS,
    )  # fmt: skip


BOUNDS = [
    ([(1, 0), (1, 0)], (), [1073741823, 2147483647]), ([(1, DEAD), (1, 0)], (), [-1, 2147483647]),
    ([(1, LINKDOWN), (1, 0)], (), [1073741823, 2147483647]), ([(1, LINKDOWN), (1, 0)], ("eth0",), [-1, 2147483647]),
    ([(1, LINKDOWN), (1, 0)], ("eth1",), [1073741823, 2147483647]),
    ([(1, 0), (1, 0)], ("eth0",), [1073741823, 2147483647]),
    ([(2, 0), (3, DEAD), (1, 0)], (), [1431655764, -1, 2147483647]), ([(1, DEAD), (1, DEAD)], (), [-1, -1]),
    ([(100, 0), (156, 0), (1, 0)], (), [835596749, 2139127679, 2147483647]),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "ignoring", "bounds"), BOUNDS, ids=[str(number) for number in range(len(BOUNDS))])
def test_a_path_that_takes_part_is_bounded_by_its_share(paths, ignoring, bounds):
    """Fib_rebalance(): upper bound = round(2^31 * cumulative weight / total) - 1."""
    made = info(*paths)
    rebalance(made, Lookup(*ignoring))
    assert [path.bound for path in made.nexthops] == bounds


class Neigh:
    """Neighbour states by gateway; what is not there has no entry."""

    def __init__(self, **states):
        self.states = {int(name[1:]): state for name, state in states.items()}

    def exists(self, dev, gw):
        return (gw >> 8 & 255) - 1 in self.states

    def state(self, dev, gw):
        return self.states[(gw >> 8 & 255) - 1]


def chosen(made, value, use_neigh=False, neigh=None, saddr=0, keep=7):
    return select(
        made, value, use_neigh=use_neigh, neigh=neigh or Neigh(), saddr=saddr, keep=keep, story=None
    )  # fmt: skip


def test_a_hash_belongs_to_the_first_path_whose_bound_covers_it():
    made = info((1, 0), (1, 0))
    rebalance(made, Lookup())
    assert [chosen(made, value) for value in (0, 1073741823, 1073741824, 2147483647)] == [0, 0, 1, 1]
    made.nexthops[0].bound = -1
    assert [chosen(made, value) for value in (0, 2147483647)] == [1, 1]
    made.nexthops[1].bound = -1
    assert chosen(made, 0) == 7


def test_a_path_of_a_bad_neighbour_is_passed_over_if_neighbours_count():
    """Fib_good_nh(): good without an entry, or with a valid one."""
    made = info((1, 0), (1, 0))
    rebalance(made, Lookup())
    for state, way in (
        (0x01, 1),
        (0x20, 1),
        (0x00, 1),
        (0x02, 0),
        (0x04, 0),
        (0x08, 0),
        (0x10, 0),
        (0x40, 0),
        (0x80, 0),
    ):
        assert chosen(made, 0, use_neigh=True, neigh=Neigh(n0=state)) == way, state
        assert chosen(made, 0, neigh=Neigh(n0=state)) == 0
    assert chosen(made, 0, use_neigh=True, neigh=Neigh(n1=0x20)) == 0
    assert chosen(made, 0, use_neigh=True, neigh=Neigh(n0=0x20, n1=0x20)) == 7
    made.nexthops[0].scope = 254
    assert chosen(made, 0, use_neigh=True, neigh=Neigh(n0=0x20)) == 0


def test_a_bound_source_counts_more_than_the_hash_and_the_first_highest_score_wins():
    """Fib_select_multipath() of 6.18: two for the path's own source, one for a bound that covers the hash."""
    made = info((1, 0), (1, 0), (1, 0))
    rebalance(made, Lookup())
    first, second = 0x0A000102, 0x0A000202
    made.nexthops[0].source, made.nexthops[1].source, made.nexthops[2].source = first, second, second
    low, middle, high = 0, 1 << 30, 0x7FFFFFFF
    assert [chosen(made, value, saddr=second) for value in (low, middle, high)] == [1, 1, 2]
    assert [chosen(made, value, saddr=first) for value in (low, middle, high)] == [0, 0, 0]
    assert [chosen(made, value, saddr=0x01010101) for value in (low, middle, high)] == [0, 1, 2]
    assert [chosen(made, value) for value in (low, middle, high)] == [0, 1, 2]
    made.nexthops[0].source = 0
    assert [chosen(made, value) for value in (low, middle, high)] == [0, 1, 2]


def test_the_story_of_a_choice_names_each_paths_part_in_it():
    made = info((1, 0), (1, DEAD), (1, 0), (1, 0))
    rebalance(made, Lookup())
    made.nexthops[2].source = 0x0A000302
    made.nexthops[3].gw = 0
    story = Story()
    index = select(
        made, 715827883, use_neigh=True, neigh=Neigh(n0=0x20, n2=0x02), saddr=0x0A000302, keep=0, story=story
    )  # fmt: skip
    assert index == 2
    assert [(each.gateway, each.dev, each.neigh, each.verdict) for each in story.candidates] == [
        ("10.0.1.1", "eth0", "FAILED", "its neighbour is not valid"),
        ("10.0.2.1", "eth1", "no entry", "takes no part"),
        ("10.0.3.1", "eth2", "REACHABLE", "hashes up to 1431655764 are its own, and so is the source: chosen"),
        ("", "eth3", "no entry", "hashes up to the highest are its own"),
    ]
    assert story.group == "4 paths"
    assert story.why == ["the flow's hash is 715827883: path 2"]
