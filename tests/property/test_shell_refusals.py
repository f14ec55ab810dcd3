"""A command that fails changed nothing: whatever is asked of a whole box, a refusal leaves every listing as it was.

Source: design/architecture.md section 6 ("`request` is atomic"); flushes and settings of several keys are no single
request and are left out. `ip neigh` hides the NONE entry that a refused `neigh add` without a link address leaves
behind on a real kernel too (observed-linux 9).
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.addr import parse_mac
from netsim.shell.dispatch import run
from netsim.stack.profile import KERNELS
from netsim.stack.requests import NewLink

netns = pytest.importorskip("netsim.stack.netns", exc_type=ImportError)

LISTINGS = ("ip addr", "ip -d route show table all", "ip -d rule", "ip neigh", "ip neigh show proxy")
ADDRESSES = st.sampled_from(["10.0.1.1", "10.0.1.2", "10.0.1.255", "10.0.2.1", "10.9.9.9", "224.0.0.1", "127.0.0.1"])
DEVICES = st.sampled_from(["eth0", "eth1", "lo", "nosuch0"])
PREFIXES = st.sampled_from(["default", "10.5.0.0/16", "10.5.0.1/16", "10.0.1.0/24", "10.0.1.2", "203.0.113.0/24"])
PATH = st.builds("via {} dev {}".format, ADDRESSES, DEVICES) | st.builds("dev {}".format, DEVICES)
OPTIONS = st.sampled_from(
    ["", "table 100", "metric 5", "proto static", "src 10.0.1.2", "scope link", "onlink", "tos 0x10"]
)
ROUTES = st.builds(
    "ip route {} {} {} {}".format,
    st.sampled_from(["add", "append", "prepend", "replace", "change", "del"]),
    PREFIXES,
    PATH | st.builds("nexthop {} weight 2 nexthop {}".format, PATH, PATH),
    OPTIONS,
)
ERROR_ROUTES = st.builds("ip route add {} {}".format, st.sampled_from(["blackhole", "unreachable", "throw"]), PREFIXES)
RULES = st.builds(
    "ip rule {} prio {} {}".format,
    st.sampled_from(["add", "del"]),
    st.integers(1, 5),
    st.sampled_from(["table 100", "from 10.0.1.0/24 table 100", "goto 1", "goto 9", "iif eth0 blackhole", "tos 0x33"]),
)
ADDRS = st.builds(
    "ip addr {} {} dev {} {}".format,
    st.sampled_from(["add", "del"]),
    st.sampled_from(["10.0.1.2/24", "10.0.1.3/24", "10.0.2.2/24", "10.0.1.2/16"]),
    DEVICES,
    st.sampled_from(["", "scope link", "label eth0:1"]),
)
NEIGHS = st.builds(
    "ip neigh {} {} dev {} {}".format,
    st.sampled_from(["add", "replace", "change", "del"]),
    ADDRESSES,
    DEVICES,
    st.sampled_from(
        ["", "lladdr 02:00:00:00:00:09", "nud failed", "lladdr 02:00:00:09", "lladdr 2:0:0:0:0:9 nud stale"]
    ),
)
LINKS = st.builds("ip link set {} {}".format, DEVICES, st.sampled_from(["up", "down", "mtu 10", "mtu 1400"]))
LINES = st.lists(ROUTES | ROUTES | ERROR_ROUTES | RULES | ADDRS | NEIGHS | LINKS, min_size=1, max_size=12)


def listings(box) -> list[str]:
    return [run(box, line, now=0).stdout for line in LISTINGS]


@pytest.mark.slow
@given(LINES, st.sampled_from(sorted(KERNELS)))
@settings(max_examples=150, deadline=None)
def test_a_command_that_fails_changed_nothing(lines, kernel):
    box = netns.Netns("r", KERNELS[kernel], random.Random(1))
    for port, name in ((1, "eth0"), (2, "eth1")):
        box.request(NewLink(name=name, mac=parse_mac(f"02:00:00:00:0{port}:02")), now=0)
    run(box, "ip link set lo up; ip addr add 10.0.1.2/24 dev eth0; ip link set eth0 up; ip link set eth1 up", now=0)
    for line in lines:
        before = listings(box)
        result = run(box, line, now=0)
        if result.rc:
            assert before == listings(box), f"{line} ({result.stderr.strip()})"
