"""How add, append, prepend, replace, change and del tell equal routes apart, on a whole box.

    10.0.1.0/24 --- eth0 r eth1 --- 10.0.2.0/24

Source: observed-linux 3.1 (recorded case d1 on Linux 6.18), table of commands and results.
"""

from __future__ import annotations

import random

import pytest

from netsim.addr import parse_mac
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink

EXISTS = "RTNETLINK answers: File exists\n"
A, B, C = "via 10.0.1.1 dev eth0", "via 10.0.2.1 dev eth1", "via 10.0.1.9 dev eth0"


@pytest.fixture
def sh():
    made = Netns("r", profile("linux-6"), random.Random(1))
    for port, name in ((1, "eth0"), (2, "eth1")):
        made.request(NewLink(name=name, mac=parse_mac(f"02:00:00:00:0{port}:02")), now=0)
        run(made, f"ip addr add 10.0.{port}.2/24 dev {name}; ip link set {name} up", now=0)
    return lambda line: run(made, line, now=0)


def defaults(sh) -> list[str]:
    return [line.removeprefix("default ").rstrip() for line in sh("ip route show default").stdout.splitlines()]


def test_add_refuses_an_equal_key_whatever_the_gateway(sh):
    assert sh(f"ip route add default {A}").rc == 0
    assert sh(f"ip route add default {B}").stderr == EXISTS
    assert sh(f"ip route add default {B} metric 50").rc == 0
    assert sh(f"ip route add default {B} tos 0x10").rc == 0
    assert sh(f"ip route append default {C} metric 50").rc == 0
    assert defaults(sh) == [f"tos 0x10 {B}", A, f"{B} metric 50", f"{C} metric 50"]


def test_append_goes_last_and_refuses_only_an_identical_route(sh):
    sh(f"ip route add default {A}")
    assert sh(f"ip route append default {B}").rc == 0
    assert sh(f"ip route append default {B}").stderr == EXISTS
    assert sh(f"ip route append default {B} src 10.0.2.2").rc == 0
    assert sh(f"ip route append default {B} proto static").rc == 0
    assert defaults(sh) == [A, B, f"{B} src 10.0.2.2", f"{B} proto static"]


def test_prepend_goes_first(sh):
    sh(f"ip route add default {A}")
    assert sh(f"ip route prepend default {C}").rc == 0
    assert defaults(sh) == [C, A]


@pytest.mark.parametrize("verb", ["change", "replace"])
def test_change_and_replace_take_the_first_of_equal_key(sh, verb):
    sh(f"ip route add default {A}; ip route append default {B}; ip route add default {A} metric 50")
    assert sh(f"ip route {verb} default {C}").rc == 0
    assert defaults(sh) == [C, B, f"{A} metric 50"]


def test_change_needs_a_route_and_replace_does_not(sh):
    assert sh(f"ip route change default {A}").stderr == "RTNETLINK answers: No such file or directory\n"
    assert sh(f"ip route replace default {A}").rc == 0
    assert defaults(sh) == [A]


def test_delete_takes_the_first_without_tos(sh):
    sh(f"ip route add default {A} metric 50; ip route add default {B}; ip route add default {C} tos 0x10")
    assert sh("ip route del default").rc == 0
    assert defaults(sh) == [f"tos 0x10 {C}", f"{A} metric 50"]
    assert sh("ip route del default").rc == 0
    assert sh("ip route del default").stderr == "RTNETLINK answers: No such process\n"
    assert sh("ip route del default tos 0x10").rc == 0
    assert defaults(sh) == []


def test_delete_by_gateway_takes_that_one(sh):
    sh(f"ip route add default {A}; ip route append default {B}; ip route append default {C}")
    assert sh("ip route del default via 10.0.2.1").rc == 0
    assert defaults(sh) == [A, C]


def test_a_nexthop_of_a_multipath_route_cannot_be_deleted(sh):
    """Source: observed-linux 4, end."""
    sh(f"ip route add default nexthop {A} nexthop {B}")
    assert sh(f"ip route del default nexthop {A}").stderr == "RTNETLINK answers: No such process\n"
    assert sh("ip route del default via 10.0.1.1").rc == 0
    assert defaults(sh) == []


def test_flush_exact_takes_every_default_and_flush_root_everything(sh):
    sh(f"ip route add default {A}; ip route add default {B} metric 50; ip route add default {C} tos 0x10")
    assert sh("ip route flush exact 0/0").rc == 0
    assert defaults(sh) == []
    assert sh("ip route").stdout.count("\n") == 2
    assert sh("ip route flush root 0/0").rc == 0
    assert sh("ip route").stdout == ""


def test_wrong_tos_is_refused_by_tool_or_kernel(sh):
    result = sh(f"ip route add default {A} tos 0x03")
    assert (result.rc, result.stderr) == (2, "Error: Invalid dsfield (tos): ECN bits must be 0.\n")
    result = sh(f"ip route add default {A} tos lowdelay")
    assert (result.rc, result.stderr) == (255, 'Error: argument "lowdelay" is wrong: "tos" value is invalid\n\n')
