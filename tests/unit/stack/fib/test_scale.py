"""The cost of a lookup and of an event does not grow with the tables. Counted in Python calls, which repeat exactly.

Architecture section 7: "cost a packet-hop must stay flat from 10 to 100,000 routes".
"""

from __future__ import annotations

import random
import sys
import time

import pytest

from netsim.addr import Prefix, parse_ip
from netsim.stack.fib.flow import FlowKey
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NewAddr,
    NewLink,
    NewRoute,
    NewRule,
    NexthopSpec,
    RuleSpec,
    SetLink,
)

TABLES = 50
KERNELS = ("linux-6", "linux-2.4-routes")


def filled(kernel: str, count: int) -> Netns:
    """Return a box with `count` /24 routes in 50 tables, by two devices, and then one rule a table."""
    box = Netns("r", profile(kernel), random.Random(1))
    box.request(SetLink(dev="lo", up=True), now=0)
    for number in range(2):
        box.request(NewLink(name=f"eth{number}"), now=0)
        box.request(NewAddr(dev=f"eth{number}", local=parse_ip(f"10.0.{number}.2"), plen=24), now=0)
        box.request(SetLink(dev=f"eth{number}", up=True), now=0)
    for number in range(count):
        dst = Prefix(parse_ip("20.0.0.0") + (number // TABLES) * 256, 24)
        path = NexthopSpec(via=parse_ip(f"10.0.{number % 2}.{3 + number % 200}"), dev=f"eth{number % 2}")
        request = NewRoute(flags=NLM_F_CREATE | NLM_F_EXCL, dst=dst, table=100 + number % TABLES, nexthops=(path,))
        box.request(request, now=0)
    for number in range(TABLES):
        src = Prefix(parse_ip(f"172.16.{number}.0"), 24)
        box.request(NewRule(rule=RuleSpec(priority=1000 + number, src=src, table=100 + number)), now=0)
    return box


def calls(action) -> int:
    """Count the Python calls that an action makes."""
    count = 0

    def profiler(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profiler)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def lookup_in_last_table(box: Netns):
    return box.fib.ask(FlowKey(parse_ip("20.0.0.1"), parse_ip("172.16.49.5"), 0, 0, 2))


@pytest.fixture(scope="module", params=KERNELS)
def boxes(request):
    """Return a small box, a big one (100,000 routes), and the seconds it took to fill the big one."""
    small = filled(request.param, 100)
    start = time.monotonic()
    big = filled(request.param, 100_000)
    return small, big, time.monotonic() - start


@pytest.mark.slow
def test_a_lookup_among_a_hundred_thousand_costs_what_one_among_a_hundred_costs(boxes):
    small, big, _ = boxes
    assert lookup_in_last_table(big).table.id == 149
    assert calls(lambda: lookup_in_last_table(big)) <= 2 * calls(lambda: lookup_in_last_table(small))


@pytest.mark.slow
def test_a_hundred_thousand_routes_are_added_in_seconds(boxes):
    """The bound is wide on purpose: a scan of a table at each addition would take hours."""
    assert boxes[2] < 90


@pytest.mark.slow
def test_an_address_costs_the_same_whatever_the_tables_hold(boxes):
    """No event walks the tables: it walks the few attribute sets that the routes share."""
    small, big, _ = boxes
    addr = NewAddr(dev="eth0", local=parse_ip("10.7.0.1"), plen=24)
    assert calls(lambda: big.request(addr, now=0)) <= 4 * calls(lambda: small.request(addr, now=0))
