"""The tables of 2.2 and 2.4 as such: what is refused, what stands where, what a deletion leaves behind and flushes.

Source: 2.4 net/ipv4/fib_hash.c fn_hash_insert(), fn_hash_delete(); fib_semantics.c fib_create_info(), fib_check_nh();
route-patches C4.
"""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip, parse_prefix
from netsim.stack.errno import NAMES, Refusal
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTNH_F_ONLINK,
    DelRoute,
    NewRoute,
    NexthopSpec,
)

INVALID, NO_DEVICE = "RTNETLINK answers: Invalid argument", "RTNETLINK answers: No such device"
NO_PROCESS, EXISTS = "RTNETLINK answers: No such process", "RTNETLINK answers: File exists"
NO_FILE, UNREACHABLE = "RTNETLINK answers: No such file or directory", "RTNETLINK answers: Network is unreachable"


@pytest.fixture(params=["linux-2.4", "linux-2.2"])
def box(request, make_box):
    return make_box(request.param).two_isps()


def leaf(box, prefix, table=254):
    """Return the (gateway's last digit, whether a zombie) of every entry that lies under a prefix."""
    dst = parse_prefix(prefix)
    found = box.net.fib.lookup.tables[table].leaf(dst.plen, dst.addr)
    return [(alias.info.nexthops[0].gw & 255, alias.zombie) for alias in found]


def ask(box, dst="10.5.0.0/16", **fields):
    """Add a route by a request, in the kernel's numbers; return the errno's name, "" for none."""
    answer = box.net.request(
        NewRoute(flags=NLM_F_CREATE | NLM_F_EXCL, dst=parse_prefix(dst), **fields), now=box.now
    )  # fmt: skip
    return NAMES[answer.errno] if isinstance(answer, Refusal) else ""


def via(gateway="", dev="", flags=0):
    return NexthopSpec(via=parse_ip(gateway) if gateway else 0, dev=dev, flags=flags)


REFUSED = [
    ("ip route add 10.5.0.1/16 via 10.0.1.1", INVALID),
    ("ip route del 10.5.0.1/16", INVALID),
    ("ip route add 10.5.0.0/16 via 10.9.9.9", UNREACHABLE),
    ("ip route add 10.5.0.0/16 via 10.9.9.9 dev wan0", UNREACHABLE),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 dev wan1", UNREACHABLE),
    ("ip route add 10.5.0.0/16 via 10.0.1.255", INVALID),
    ("ip route add 10.5.0.0/16 via 224.0.0.1 dev wan0", UNREACHABLE),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 src 1.2.3.4", INVALID),
    ("ip route add blackhole 10.6.0.0/16 via 10.0.1.1", INVALID),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 scope host", INVALID),
    ("ip route add 10.5.0.0/16 via 10.0.1.1 nexthop via 10.0.1.3", INVALID),
    ("ip route add 10.5.0.0/16 dev wan0 nexthop dev wan1", INVALID),
    ("ip route del 10.5.0.0/16", NO_PROCESS),
    ("ip route del 10.5.0.0/16 table 77", NO_PROCESS),
    ("ip route change 10.6.0.0/16 via 10.0.1.1", NO_FILE),
    ("ip route add 10.0.1.0/24 dev wan0 proto kernel scope link src 10.0.1.2", EXISTS),
]


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_refused_line_changes_nothing(box, line, says):
    before = box.table()
    assert box.refused(line) == says
    assert box.table() == before


REQUESTS = [
    # RTN_NAT (10) is a route type of 2.2 and 2.4 that only NAT routers knew; 11 was never one
    ({"kind": 11, "nexthops": (via("10.0.1.1"),)}, "EINVAL"),
    # fib_props[]: an address of ours has scope host at least, a broadcast and an anycast one link
    ({"kind": 2, "scope": 253, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"kind": 2, "scope": 254, "nexthops": (via(dev="wan0"),)}, ""),
    ({"kind": 3, "scope": 200, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"kind": 3, "scope": 253, "nexthops": (via(dev="wan0"),)}, ""),
    ({"kind": 4, "scope": 200, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"kind": 4, "scope": 253, "nexthops": (via(dev="wan0"),)}, ""),
    ({"kind": 5, "scope": 0, "nexthops": (via(dev="wan0"),)}, ""),
    ({"scope": 255, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"multipath": True}, "EINVAL"),
    ({"kind": 6, "multipath": True, "nexthops": (NexthopSpec(),)}, "EINVAL"),
    ({"kind": 6, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"kind": 6, "nexthops": (NexthopSpec(),)}, ""),
    ({"kind": 7}, ""), ({"kind": 8}, ""), ({"kind": 9}, ""),
    ({"scope": 254, "nexthops": (via(dev="wan0"), via(dev="wan1"))}, "EINVAL"),
    ({"scope": 254, "nexthops": ()}, "ENODEV"),
    ({"scope": 254, "nexthops": (via(dev="wan0"),)}, ""),
    ({"scope": 253, "nexthops": (via(dev="wan9"),)}, "ENODEV"),
    ({"scope": 253, "nexthops": (via(),)}, "ENODEV"),
    ({"scope": 253, "nexthops": (via(dev="bare"),)}, "ENODEV"),
    ({"scope": 253, "nexthops": (via(dev="wan0", flags=RTNH_F_ONLINK),)}, "EINVAL"),
    ({"scope": 253, "nexthops": (via("10.9.9.9", "wan0", RTNH_F_ONLINK),)}, "EINVAL"),
    ({"scope": 252, "nexthops": (via("10.9.9.9", "wan0", RTNH_F_ONLINK),)}, ""),
    ({"scope": 0, "nexthops": (via("10.0.1.2", "wan0", RTNH_F_ONLINK),)}, "EINVAL"),
    ({"scope": 0, "nexthops": (via("10.9.9.9", "", RTNH_F_ONLINK),)}, "ENODEV"),
    ({"scope": 0, "nexthops": (via("10.0.1.1", "down", RTNH_F_ONLINK),)}, "ENETDOWN"),
    ({"scope": 253, "nexthops": (via(dev="down"),)}, "ENETDOWN"),
    ({"scope": 253, "nexthops": (via("10.0.1.1", "wan0"),)}, "ENETUNREACH"),
    ({"scope": 253, "nexthops": (via("10.0.1.2", "wan0"),)}, ""),
    ({"prefsrc": parse_ip("10.0.2.2"), "nexthops": (via("10.0.1.1"),)}, ""),
    ({"prefsrc": parse_ip("10.0.2.9"), "nexthops": (via("10.0.1.1"),)}, "EINVAL"),
    ({"kind": 2, "scope": 254, "dst": "10.5.0.9/32", "prefsrc": 0x0A050009, "nexthops": (via(dev="wan0"),)}, ""),
    ({"kind": 2, "scope": 254, "dst": "10.5.0.9/32", "prefsrc": 0x0A050008, "nexthops": (via(dev="wan0"),)}, "EINVAL"),
    ({"scope": 253, "prefsrc": parse_ip("10.5.0.9"), "dst": "10.5.0.9/32", "nexthops": (via(dev="wan0"),)}, "EINVAL"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "errno"), REQUESTS, ids=[str(number) for number in range(len(REQUESTS))])
def test_a_request_must_satisfy_fib_create_info(box, fields, errno):
    box.device("bare")
    box.device("down", "10.0.8.2/24", up=False)
    assert ask(box, **fields) == errno


COMMANDS = [
    ("append", ["1", "2", "9"]), ("prepend", ["9", "1", "2"]), ("replace", ["9", "2"]), ("change", ["9", "2"]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "want"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_puts_its_route_in_its_place(box, command, want):
    """Fn_hash_insert(): given .1 and .2 of one metric, and others around them, then `command` .9."""
    box.sh("""ip route append default via 10.0.1.7 metric 7
              ip route append default via 10.0.1.1 metric 5
              ip route append default via 10.0.1.2 metric 5""")
    box.sh(f"ip route {command} default via 10.0.1.9 metric 5")
    assert leaf(box, "0.0.0.0/0") == [*((int(place), False) for place in want), (7, False)]


@pytest.mark.parametrize("command", ["append", "prepend", "add"])
def test_an_identical_route_exists_already_wherever_it_stands_in_its_group(box, command):
    box.sh("""ip route append default via 10.0.1.1
              ip route append default via 10.0.1.3
              ip route append default via 10.0.1.4 metric 9""")
    assert box.refused(f"ip route {command} default via 10.0.1.3") == EXISTS
    assert leaf(box, "0.0.0.0/0") == [(1, False), (3, False), (4, False)]


def test_the_same_path_under_another_type_scope_or_tos_is_another_route(box):
    """Fn_hash_insert() compares type, scope and info inside a group."""
    box.sh("""ip route add 10.5.0.0/16 dev wan0 scope link
              ip route append 10.5.0.0/16 dev wan0 scope global
              ip route append broadcast 10.5.0.0/16 dev wan0 table main
              ip route append 10.5.0.0/16 dev wan0 scope link tos 0x10""")
    assert len(leaf(box, "10.5.0.0/16")) == 4


def test_a_deleted_route_that_is_not_the_last_of_its_tos_goes_at_once(box):
    box.sh("""ip route append default via 10.0.1.1
              ip route append default via 10.0.1.3
              ip route append default via 10.0.1.5 tos 0x10
              ip route del default via 10.0.1.1""")
    assert leaf(box, "0.0.0.0/0") == [(5, False), (3, False)]


def test_the_last_of_its_tos_stays_as_a_zombie_that_nobody_sees(box):
    """C4. A lookup passes it by, a dump does not list it, it cannot be deleted twice."""
    box.sh("""ip route add default via 10.0.1.1
              ip route add default via 10.0.1.5 tos 0x10
              ip route del default via 10.0.1.1""")
    assert leaf(box, "0.0.0.0/0") == [(5, False), (1, True)]
    assert box.paths() == ["10.0.1.5 wan0"]
    assert box.send() == "ENETUNREACH"
    assert box.refused("ip route del default via 10.0.1.1") == NO_PROCESS


def test_a_new_route_takes_the_zombies_place_even_of_another_metric(box):
    """Fn_hash_insert(): a zombie of the tos is replaced before metrics are compared."""
    box.sh("""ip route add default via 10.0.1.1 metric 5
              ip route del default""")
    assert leaf(box, "0.0.0.0/0") == [(1, True)]
    assert box.refused("ip route change default via 10.0.1.3 metric 5") == NO_FILE
    assert leaf(box, "0.0.0.0/0") == [(1, True)]
    box.sh("ip route add default via 10.0.1.3 metric 9")
    assert leaf(box, "0.0.0.0/0") == [(3, False)]


def test_zombies_lie_until_there_are_more_than_128_of_them(box):
    """Fn_hash_delete(): "if (++fib_hash_zombies > 128) fib_flush()", and the count starts anew."""
    for number in range(258):
        box.sh(f"""ip route add 10.{128 + number // 256}.{number % 256}.0/24 via 10.0.1.1
                   ip route del 10.{128 + number // 256}.{number % 256}.0/24""")
        lying = sum(alias.zombie for _, _, alias in box.net.fib.lookup.tables[254].entries())
        assert lying == (number + 1) % 129


def test_a_flush_takes_zombies_out_silently_and_counts_from_zero(make_box):
    """Fib_flush(); a route that dies with its device is told without a netlink message."""
    from netsim.trace.records import RouteEvent

    box = make_box("linux-2.4", wants=frozenset({RouteEvent})).two_isps()
    box.sh("""ip route add 10.5.0.0/16 via 10.0.1.1
              ip route add 10.6.0.0/16 via 10.0.1.1
              ip route del 10.5.0.0/16""")
    box.net.outbox.records.clear()
    box.sh("ip link set wan0 down")
    told = [(each.event, each.notified) for each in box.net.outbox.records if isinstance(each, RouteEvent)]
    assert ("deleted", False) in told
    assert not any("10.5.0.0" in str(each) for each in box.net.outbox.records if isinstance(each, RouteEvent))
    assert leaf(box, "10.5.0.0/16") == []
    assert leaf(box, "10.6.0.0/16") == []


DELETIONS = [
    ({}, ""), ({"kind": 1}, ""), ({"kind": 5}, "ESRCH"), ({"scope": 0}, ""), ({"scope": 253}, "ESRCH"),
    ({"protocol": 4}, ""), ({"protocol": 3}, "ESRCH"), ({"metric": 5}, ""), ({"metric": 0}, "ESRCH"),
    ({"metric": 6}, "ESRCH"), ({"tos": 0x10}, "ESRCH"), ({"nexthops": (via("10.0.1.1"),)}, ""),
    ({"nexthops": (via("10.0.1.3"),)}, "ESRCH"), ({"nexthops": (via(dev="wan0"),)}, ""),
    ({"nexthops": (via(dev="wan1"),)}, "ESRCH"), ({"nexthops": (via(dev="wan9"),)}, "ENODEV"),
    ({"prefsrc": parse_ip("1.2.3.4")}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "errno"), DELETIONS, ids=[str(number) for number in range(len(DELETIONS))])
def test_a_deletion_must_name_nothing_that_the_route_has_not(box, fields, errno):
    """Fn_hash_delete(); what it names as source is not compared. Metric 0 is a metric here, none is None."""
    box.sh("ip route add 10.5.0.0/16 via 10.0.1.1 proto static metric 5")
    answer = box.net.request(DelRoute(dst=parse_prefix("10.5.0.0/16"), **fields), now=0)
    assert (NAMES[answer.errno] if isinstance(answer, Refusal) else "") == errno
    assert len(box.table()) == (1 if errno else 0)


@pytest.mark.parametrize(
    ("specs", "gone"), [("10.0.1.1", False), ("10.0.1.1 10.0.2.1", True), ("10.0.1.1 10.0.2.9", False),
                        ("10.0.1.1 10.0.2.1 10.0.2.3", True)]
)  # fmt: skip
def test_a_list_of_paths_deletes_a_route_that_has_all_of_its_own_in_it(box, specs, gone):
    """Fib_nh_match(): it compares the route's paths, in order, with as many of the request's."""
    box.sh("ip route add default nexthop via 10.0.1.1 dev wan0 nexthop via 10.0.2.1 dev wan1")
    asked = DelRoute(dst=parse_prefix("0.0.0.0/0"), multipath=True, nexthops=tuple(via(each) for each in specs.split()))
    assert isinstance(box.net.request(asked, now=0), Refusal) is not gone


def pending(box):
    """Tell whether a flush of the route cache is asked for, and take it back."""
    cache = box.net.router.cached.cache
    asked = cache.flush_at is not None
    cache.run_flush()
    if asked:
        cache._timer.cancel()
    return asked


def test_only_a_route_that_lookups_came_by_asks_for_a_flush_when_it_goes(make_box):
    """C4: fn_hash_insert() and fn_hash_delete() look at FN_S_ACCESSED; a new entry always asks."""
    box = make_box("linux-2.4").two_isps()
    box.sh("ip route append default via 10.0.1.1")
    box.cached = True
    assert pending(box)
    box.sh("ip route replace default via 10.0.1.3")
    assert not pending(box)
    box.send()
    box.sh("ip route replace default via 10.0.1.1")
    assert pending(box)
    box.sh("ip route append default via 10.0.1.4")
    assert pending(box)
    box.sh("ip route del default via 10.0.1.4")
    assert not pending(box)
    box.sh("ip route append default via 10.0.1.4")
    box.net.fib.lookup.tables[254].leaf(0, 0)[1].accessed = True
    pending(box)
    box.sh("ip route del default via 10.0.1.4")
    assert pending(box)
    box.sh("ip route del default")
    assert not pending(box)
    box.sh("ip route add default via 10.0.1.1")
    box.send()
    pending(box)
    box.sh("ip route del default")
    assert pending(box)
    assert not box.net.fib.lookup.tables[254].leaf(0, 0)[0].accessed
