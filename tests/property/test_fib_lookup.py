"""The FIB against a naive model: the longest match wins, and a refused request changes nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.addr import MASKS, Prefix, parse_ip
from netsim.stack.dst import Refused
from netsim.stack.errno import Refusal
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    DelAddr,
    DelRoute,
    DelRule,
    DumpRoutes,
    DumpRules,
    NewAddr,
    NewLink,
    NewRoute,
    NewRule,
    NexthopSpec,
    RuleSpec,
    SetLink,
)

KERNELS = ("linux-6", "linux-2.4-routes", "linux-2.4", "linux-2.2-routes", "linux-2.2")
DEVICES = ("eth0", "eth1")


def make_box(kernel: str) -> Netns:
    """A box with eth0 10.0.0.2/24 and eth1 10.0.1.2/24, up."""
    box = Netns("r", profile(kernel), random.Random(1))
    box.request(SetLink(dev="lo", up=True), now=0)
    for number, dev in enumerate(DEVICES):
        box.request(NewLink(name=dev), now=0)
        box.request(NewAddr(dev=dev, local=parse_ip(f"10.0.{number}.2"), plen=24), now=0)
        box.request(SetLink(dev=dev, up=True), now=0)
    return box


prefixes = st.builds(
    lambda addr, plen: Prefix(addr & MASKS[plen], plen),
    st.one_of(st.sampled_from([parse_ip(f"8.{a}.{b}.{c}") for a in (0, 128) for b in (0, 1) for c in (0, 200)])),
    st.sampled_from([0, 5, 8, 9, 16, 23, 24, 31, 32]),
)
gateways = st.sampled_from([parse_ip("10.0.0.1"), parse_ip("10.0.1.1"), parse_ip("10.0.0.9")])


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
@given(
    routes=st.dictionaries(prefixes, gateways, max_size=12),
    gone=st.sets(prefixes, max_size=6),
    asked=st.lists(
        st.sampled_from([parse_ip(f"8.{a}.{b}.{c}") for a in (0, 127, 128) for b in (0, 1) for c in (0, 7, 200)])
    ),
)
def test_the_longest_prefix_that_holds_an_address_wins(kernel, routes, gone, asked):
    """LPM equals a scan over all prefixes, after deletions too."""
    box = make_box(kernel)
    for dst, via in routes.items():
        request = NewRoute(flags=NLM_F_CREATE | NLM_F_EXCL, dst=dst, nexthops=(NexthopSpec(via=via),))
        assert not isinstance(box.request(request, now=0), Refusal)
    for dst in gone:
        answer = box.request(DelRoute(dst=dst), now=0)
        assert isinstance(answer, Refusal) == (dst not in routes)
    left = {dst: via for dst, via in routes.items() if dst not in gone}
    for address in asked:
        holding = [dst for dst in left if dst.holds(address)]
        want = left[max(holding, key=lambda dst: dst.plen)] if holding else None
        found = box.router.output(address, now=0)
        assert (None if isinstance(found, Refused) else found.gateway) == want


names = st.sampled_from([*DEVICES, "lo", "gone0", ""])
addresses = st.sampled_from(
    [parse_ip(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.9.9.9", "224.0.0.1", "0.0.0.0")]
)
paths = st.builds(NexthopSpec, via=addresses, dev=names, weight=st.integers(1, 3), flags=st.sampled_from([0, 0, 4]))
destinations = st.sampled_from(
    [Prefix(0, 0), Prefix(parse_ip("8.0.0.0"), 8), Prefix(parse_ip("8.0.0.1"), 8), Prefix(parse_ip("10.0.0.0"), 24)]
)
scopes = st.sampled_from([0, 0, 253, 254, 255])
new_routes = st.builds(
    NewRoute,
    flags=st.sampled_from([NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE,
                           NLM_F_CREATE | NLM_F_REPLACE]),
    dst=destinations, table=st.sampled_from([254, 20, 255]), tos=st.sampled_from([0, 0x10, 3]),
    metric=st.integers(0, 1), scope=scopes, protocol=st.sampled_from([3, 4]), kind=st.integers(1, 9),
    prefsrc=st.sampled_from([0, 0, parse_ip("10.0.0.2"), parse_ip("9.9.9.9")]),
    nexthops=st.lists(paths, max_size=2).map(tuple), multipath=st.booleans(),
)  # fmt: skip
del_routes = st.builds(
    DelRoute, dst=destinations, table=st.sampled_from([254, 20, 77]), tos=st.sampled_from([0, 0x10]),
    metric=st.sampled_from([None, 0, 1]), scope=scopes, kind=st.sampled_from([0, 1, 6]),
    nexthops=st.lists(paths, max_size=2).map(tuple), multipath=st.booleans(),
)  # fmt: skip
rules = st.builds(
    RuleSpec, priority=st.sampled_from([None, 0, 10, 10, 32766]),
    src=st.sampled_from([None, Prefix(parse_ip("10.0.0.0"), 8)]),
    tos=st.sampled_from([0, 0x10, 3]), iif=st.sampled_from(["", "eth0", "gone0"]), table=st.sampled_from([0, 20, 254]),
    action=st.sampled_from(["table", "prohibit", "blackhole"]),
)  # fmt: skip
links = st.builds(SetLink, dev=names, up=st.booleans())
new_addresses = st.builds(NewAddr, dev=names, local=addresses, plen=st.sampled_from([24, 32]))
del_addresses = st.builds(DelAddr, dev=names, local=addresses)
requests = st.one_of(
    new_routes, new_routes, del_routes, rules.map(lambda rule: NewRule(rule=rule)),
    rules.map(lambda rule: DelRule(rule=rule)), links, new_addresses, del_addresses,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
@given(walk=st.lists(requests, max_size=12))
def test_a_refused_request_changes_nothing(kernel, walk):
    """`request` is atomic: routes, rules, memories, credits and flags are what they were. No request is a crash."""
    box = make_box(kernel)
    for request in walk:
        before = box.request(DumpRoutes(table=None), now=0), box.request(DumpRules(), now=0)
        if isinstance(box.request(request, now=0), Refusal):
            assert (box.request(DumpRoutes(table=None), now=0), box.request(DumpRules(), now=0)) == before
