"""What iproute2 6.1 says of a metric that is none. Recorded from it; the limits are those of a 6.18 kernel."""

from __future__ import annotations

import pytest

from netsim.lab import Lab
from netsim.stack.metrics import RTAX_ADVMSS, RTAX_HOPLIMIT, RTAX_MTU, Metrics, converted
from netsim.topology.model import Topology


def box(kernel: str = "linux-6"):
    """Return a box with 10.0.0.1/24, whose gateway is 10.0.0.2."""
    nodes = {"a": {"addr": {"eth0": ["10.0.0.1/24"]}, "kernel": kernel}, "b": {"addr": {"eth0": ["10.0.0.2/24"]}}}
    return Lab(Topology.model_validate({"nodes": nodes, "links": {"l": {"ends": ["a:eth0", "b:eth0"]}}}))["a"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("features foo", 'Error: argument "foo" is wrong: "features" value not valid\n\n'),
        ("fastopen_no_cookie 2", 'Error: argument "2" is wrong: "fastopen_no_cookie" value should be 0 or 1\n\n'),
        ("quickack 2", 'Error: argument "2" is wrong: "quickack" value should be 0 or 1\n\n'),
        ("quickack x", 'Error: argument "x" is wrong: "quickack" value is invalid\n\n'),
        ("window", 'Command line is not complete. Try option "help"\n'),
        ("mtu lock", 'Command line is not complete. Try option "help"\n'),
        ("rtt x", 'Error: argument "x" is wrong: "rtt" value is invalid\n\n'),
        ("rtt 5us", 'Error: argument "5us" is wrong: "rtt" value is invalid\n\n'),
        ("rto_min lock 1s", 'Error: argument "lock" is wrong: "rto_min" value is invalid\n\n'),
        ("advmss x", 'Error: argument "x" is wrong: "mss" value is invalid\n\n'),
        ("hoplimit 300", 'Error: argument "300" is wrong: "hoplimit" value is invalid\n\n'),
        ("initrwnd x", 'Error: argument "x" is wrong: "initrwnd" value is invalid\n\n'),
    ],
)
def test_a_metric_that_is_none_is_refused_in_iproute2s_words(words, said):
    answer = box().sh(f"ip route add 10.5.0.0/24 via 10.0.0.2 {words}")
    assert (answer.rc, answer.stderr) == (255, said)


def test_an_unknown_congestion_control_is_refused_by_the_kernel():
    answer = box().sh("ip route add 10.5.0.0/24 via 10.0.0.9 congctl nosuch")
    assert (answer.rc, answer.stderr) == (2, "Error: Unknown tcp congestion algorithm.\n")


def test_mainline_cuts_values_to_what_fits():
    """net/ipv4/metrics.c ip_metrics_convert()."""
    taken = converted(Metrics.of((RTAX_MTU, 70_000), (RTAX_ADVMSS, 100_000), (RTAX_HOPLIMIT, 300)))
    assert isinstance(taken, Metrics)
    assert (taken[RTAX_MTU], taken[RTAX_ADVMSS], taken[RTAX_HOPLIMIT]) == (65_520, 65_495, 255)


def test_24_keeps_what_it_is_given_and_deletes_whatever_the_metrics():
    """fib_metrics_match() came with 4.6; 2.4's fn_hash_delete() has no such question."""
    old = box("linux-2.4")
    assert old.sh("ip route add 10.5.0.0/24 via 10.0.0.2 mtu 70000").rc == 0
    assert old.sh("ip route show 10.5.0.0/24").stdout == "10.5.0.0/24 via 10.0.0.2 dev eth0 mtu 70000 \n"
    assert old.sh("ip route del 10.5.0.0/24 mtu 1300").rc == 0


def test_a_learned_mtu_is_shown_among_the_routes_own_metrics():
    lab_box = box()
    assert lab_box.sh("ip route add 10.5.0.0/24 via 10.0.0.2 mtu lock 1400 window 3000").rc == 0
    shown = lab_box.sh("ip route get 10.5.0.1").stdout
    assert shown == "10.5.0.1 via 10.0.0.2 dev eth0 src 10.0.0.1 uid 0 \n    cache mtu lock 1400 window 3000 \n"
