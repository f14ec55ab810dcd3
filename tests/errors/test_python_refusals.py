"""What callers of the library are told, and what a box answers to requests that no tool would send: type and words."""

from __future__ import annotations

import random

import pytest

import netsim
from netsim.addr import Prefix, parse_ip
from netsim.errors import SimulationError
from netsim.stack.errno import NAMES, Refusal
from netsim.stack.netfilter.nat_range import NatRange
from netsim.stack.netfilter.requests import (
    AppendRules,
    CheckRules,
    DeleteChain,
    DeleteRuleNumber,
    DeleteRules,
    FlushRules,
    InsertRules,
    NewChain,
    RenameChain,
    ReplaceRule,
    SetPolicy,
    ZeroCounters,
)
from netsim.stack.netfilter.rulespec import NatTarget, RuleSpec
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import (
    DelAddr,
    DelLink,
    DelNeigh,
    DelRoute,
    GetRoute,
    NewAddr,
    NewLink,
    NewNeigh,
    NewRoute,
    NexthopSpec,
    SetLink,
    SetSysctl,
)
from netsim.topology.generate import chain, n_isps, star_lan, two_isps

NET, HOST = Prefix(parse_ip("10.8.0.0"), 16), parse_ip("10.0.0.9")
THERE = {"table": "x", "chain": "FORWARD"}
NOWHERE = (NexthopSpec(dev="eth9"),)
RULE = RuleSpec()
SNAT = RuleSpec(target=NatTarget("SNAT", NatRange()))
BAD_POLICY = "Bad policy name. Run `dmesg' for more information"
NO_CHAIN = "No chain/target/match by that name"


def box(kernel="linux-6"):
    net = Netns("r", profile(kernel), random.Random(1))
    for name in ("eth0", "bare"):
        net.request(NewLink(name=name, kind="ether"), now=0)
    net.request(NewAddr(dev="eth0", local=parse_ip("10.0.0.1"), plen=24), now=0)
    net.request(SetLink(dev="eth0", up=True), now=0)
    return net


REQUESTS = [
    ("linux-6", NewRoute(flags=0x400, dst=NET, nexthops=NOWHERE), "ENODEV", ""),
    ("linux-2.4", NewRoute(flags=0x400, dst=NET, nexthops=NOWHERE), "ENODEV", ""),
    ("linux-6", NewRoute(flags=0x400, dst=NET, kind=11), "EINVAL", "Invalid route type"),
    ("linux-2.4", NewRoute(flags=0x400, dst=NET, kind=11), "EINVAL", ""),
    ("linux-6", NewRoute(flags=0x400, dst=NET, multipath=True), "EINVAL", ""),
    ("linux-6", DelRoute(dst=NET, nexthops=NOWHERE), "ENODEV", ""),
    ("linux-2.4", DelRoute(dst=NET, nexthops=NOWHERE), "ENODEV", ""),
    ("linux-6", GetRoute(dst=HOST, oif="eth9"), "ENODEV", ""),
    ("linux-6", GetRoute(dst=HOST, iif="eth9"), "ENODEV", ""),
    ("linux-6", NewLink(name="x", kind="nothing"), "EOPNOTSUPP", "Unknown device type"),
    ("linux-6", SetLink(dev="eth9", up=True), "ENODEV", ""), ("linux-6", DelLink(dev="eth9"), "ENODEV", ""),
    ("linux-6", NewAddr(dev="eth9", local=HOST, plen=24), "ENODEV", ""),
    ("linux-6", NewAddr(dev="eth0", local=parse_ip("10.0.0.1"), plen=24), "EEXIST", "ipv4: Address already assigned"),
    ("linux-6", DelAddr(dev="eth9", local=HOST, plen=24), "ENODEV", ""),
    ("linux-6", NewNeigh(dev="eth9", dst=HOST, lladdr=b"\2\0\0\0\0\1", state=0x80, flags=0x400), "ENODEV", ""),
    ("linux-2.4", NewNeigh(dev="bare", dst=HOST, lladdr=b"\2\0\0\0\0\1", state=0x80, flags=0x400), "EINVAL", ""),
    ("linux-6", DelNeigh(dev="eth9", dst=HOST), "ENODEV", ""),
    ("linux-6", SetSysctl(key="net.ipv4.nothing", value="1"), "ENOENT", ""),
    ("linux-6", SetSysctl(key="net.ipv4.ip_forward", value="x"), "EINVAL", ""),
    *[
        ("linux-6", request, "ENOENT", NO_CHAIN if isinstance(request, DeleteRuleNumber | RenameChain) else "")
        for request in (
            AppendRules(**THERE, rules=(RULE,)), InsertRules(**THERE, rules=(RULE,)),
            CheckRules(**THERE, rules=(RULE,)), DeleteRules(**THERE, rules=(RULE,)),
            ReplaceRule(**THERE, number=1, rule=RULE), FlushRules(table="x"),
            DeleteRuleNumber(**THERE, number=1), ZeroCounters(table="x"), NewChain(table="x", chain="mine"),
            DeleteChain(table="x", chain="mine"), RenameChain(table="x", chain="mine", new="other"),
            SetPolicy(**THERE, policy="DROP"),
        )
    ],
    ("linux-6", SetPolicy(table="filter", chain="FORWARD", policy="RETURN"), "EINVAL", BAD_POLICY),
    ("linux-6", AppendRules(table="filter", chain="FORWARD", rules=(SNAT,)), "EINVAL", ""),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(REQUESTS)))
def test_a_request_is_refused_by_errno_and_in_the_kernels_words(at):
    kernel, request, errno, words = REQUESTS[at]
    answer = box(kernel).request(request, now=0)
    assert isinstance(answer, Refusal)
    assert (NAMES[answer.errno], answer.message) == (errno, words)


def lab():
    return netsim.Lab.from_topology(two_isps())


def twice():
    made = lab()
    made.run(10)
    made.run(5)


FLOATS = "until is an int of nanoseconds, not 0.5: use sec(0.5) or ms(...) from netsim"
CALLS = {
    "a time in floats": (lambda: lab().run(0.5), SimulationError, FLOATS),
    "a time that has passed": (twice, SimulationError, "it is 10 ns already, 5 ns has passed"),
    "no such node": (lambda: lab()["c"], KeyError, "\"no node 'c'; there are: router, "),
    "no such kernel": (lambda: profile("linux-9"), ValueError, "no kernel 'linux-9'; there are: "),
    "no such patch": (lambda: profile("linux-2.4", ("x",)), ValueError, "kernel linux-2.4 has no patch 'x'; it "),
    "a patch alone": (lambda: profile("linux-2.4", ("nf_reroute",)), ValueError, "patch nf_reroute requires "),
    "no providers": (lambda: n_isps(0), ValueError, "between 1 and "),
    "too many hosts of providers": (lambda: two_isps(201), ValueError, "between 1 and 200 hosts, not 201"),
    "too many routers": (lambda: chain(251), ValueError, "between 0 and 250 routers, not 251"),
    "too few hosts": (lambda: star_lan(1), ValueError, "between 2 and 250 hosts, not 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_caller_is_told_what_it_did(name):
    call, kind, words = CALLS[name]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(words)
