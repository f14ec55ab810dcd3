"""ping, arping and traceroute in a lab: h --- r --- b. Times are literal."""

from __future__ import annotations

import pytest

from netsim.lab import Lab
from netsim.shell.dispatch import check_line
from netsim.sim.tools.script import WORLD_TOOLS
from netsim.topology.model import Topology
from netsim.trace.records import CommandRun
from netsim.units import ms, sec

NODES = {
    "h": {"addr": {"eth0": "10.0.0.2/24"}, "default": "10.0.0.1"},
    "r": {"addr": {"eth0": "10.0.0.1/24", "eth1": "10.0.1.1/24"}},
    "b": {"addr": {"eth0": "10.0.1.2/24"}, "default": "10.0.1.1"},
}
LINKS = {
    "l": {"ends": ["h:eth0", "r:eth0"], "delay": "1ms"},
    "m": {"ends": ["r:eth1", "b:eth0"], "delay": "10ms"},
}


@pytest.fixture
def net() -> Lab:
    """Return the lab, its neighbour tables warm."""
    lab = Lab(Topology.model_validate({"nodes": NODES, "links": LINKS}))
    lab["h"].sh("ping -c 1 10.0.1.2")
    return lab


def test_ping_prints_what_iputils_prints(net: Lab) -> None:
    answer = net["h"].sh("ping -c 2 10.0.1.2")
    assert (answer.rc, answer.stderr) == (0, "")
    assert answer.stdout.splitlines() == [
        "PING 10.0.1.2 (10.0.1.2) 56(84) bytes of data.",
        "64 bytes from 10.0.1.2: icmp_seq=1 ttl=63 time=22.0 ms",
        "64 bytes from 10.0.1.2: icmp_seq=2 ttl=63 time=22.0 ms",
        "",
        "--- 10.0.1.2 ping statistics ---",
        "2 packets transmitted, 2 received, 0% packet loss, time 1000ms",
        "rtt min/avg/max/mdev = 22.000/22.000/22.000/0.000 ms",
    ]


def test_ping_takes_its_time_and_no_more(net: Lab) -> None:
    began = net.now
    net["h"].sh("ping -c 3 -i 0.5 10.0.1.2")
    assert net.now - began == sec(1) + ms(22)


def test_ping_without_an_answer_waits_ten_seconds_and_fails(net: Lab) -> None:
    net.event("silence", "b")
    began = net.now
    answer = net["h"].sh("ping -c 1 10.0.1.2")
    assert answer.rc == 1
    assert "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n" in answer.stdout
    assert net.now - began == sec(10)


def test_ping_names_who_told_of_an_error_and_the_request_it_was_about(net: Lab) -> None:
    answer = net["h"].sh("ping -c 3 10.0.1.77")
    lines = answer.stdout.splitlines()
    assert lines[1:4] == [f"From 10.0.0.1 icmp_seq={n} Destination Host Unreachable" for n in (1, 2, 3)]
    assert "3 packets transmitted, 0 received, +3 errors, 100% packet loss" in lines[-2] + lines[-1]
    assert (
        net["h"].sh("ping -c 1 -t 1 10.0.1.2").stdout.splitlines()[1]
        == "From 10.0.0.1 icmp_seq=1 Time to live exceeded"
    )


def test_ping_without_a_route_says_what_the_kernel_says(net: Lab) -> None:
    net["b"].sh("ip route del default")
    answer = net["b"].sh("ping -c 1 192.0.2.1")
    assert (answer.rc, answer.stdout, answer.stderr) == (2, "", "ping: connect: Network is unreachable\n")


def test_ping_ends_at_its_deadline(net: Lab) -> None:
    began = net.now
    answer = net["h"].sh("ping -w 2 -i 0.5 -q 10.0.1.2")
    assert net.now - began == sec(2)
    assert "4 packets transmitted, 4 received" in answer.stdout
    assert "icmp_seq" not in answer.stdout


def test_traceroute_names_each_hop(net: Lab) -> None:
    assert net["h"].sh("traceroute -n 10.0.1.2").stdout.splitlines() == [
        "traceroute to 10.0.1.2 (10.0.1.2), 30 hops max, 60 byte packets",
        " 1  10.0.0.1  2.000 ms  2.000 ms  2.000 ms",
        " 2  10.0.1.2  22.000 ms  22.000 ms  22.000 ms",
    ]


def test_traceroute_shows_silence_as_stars_after_the_wait(net: Lab) -> None:
    net.event("silence", "b")
    began = net.now
    lines = net["h"].sh("traceroute -q 2 -w 1 -m 2 10.0.1.2").stdout.splitlines()
    assert lines[1:] == [" 1  10.0.0.1 (10.0.0.1)  2.000 ms  2.000 ms", " 2  * *"]
    assert net.now - began == sec(2) + ms(4)


def test_arping_prints_who_answers(net: Lab) -> None:
    answer = net["h"].sh("arping -c 2 -I eth0 10.0.0.1")
    assert answer.rc == 0
    assert answer.stdout.splitlines() == [
        "ARPING 10.0.0.1 from 10.0.0.2 eth0",
        "Unicast reply from 10.0.0.1 [02:00:00:00:02:01]  2.000ms",
        "Unicast reply from 10.0.0.1 [02:00:00:00:02:01]  2.000ms",
        "Sent 2 probes (1 broadcast(s))",
        "Received 2 response(s)",
    ]


def test_arping_asks_for_duplicates_with_no_address_of_its_own(net: Lab) -> None:
    taken, free = net["h"].sh("arping -D -c 1 -I eth0 10.0.0.1"), net["h"].sh("arping -D -c 1 -I eth0 10.0.0.9")
    assert (taken.rc, free.rc) == (1, 0)
    assert taken.stdout.startswith("ARPING 10.0.0.1 from 0.0.0.0 eth0\n")


def test_arping_announces_and_the_others_learn(net: Lab) -> None:
    net["r"].sh("ip neigh change 10.0.0.2 lladdr 02:66:66:66:66:66 dev eth0 nud stale")
    net.run(until=net.now + sec(2))
    assert net["h"].sh("arping -U -c 1 -I eth0 10.0.0.2").rc == 0
    assert "02:00:00:00:01:01" in net["r"].sh("ip neigh show 10.0.0.2").stdout


def test_arping_of_a_device_that_is_not_there(net: Lab) -> None:
    assert net["h"].sh("arping -c 1 -I eth7 10.0.0.1").stderr == "arping: Device eth7 not available.\n"


def test_commands_tie_and_streams_go_as_in_sh(net: Lab) -> None:
    assert (
        net["h"].sh("ping -c 1 10.0.1.2 > /dev/null && ip route show default").stdout
        == "default via 10.0.0.1 dev eth0 \n"
    )
    assert net["h"].sh("ping -c 1 -t 1 10.0.1.2 > /dev/null || ip -br link show lo").stdout.startswith("lo ")


def test_a_command_is_recorded_once_when_it_is_through(net: Lab) -> None:
    seen: list[CommandRun] = []
    net.bus.subscribe((CommandRun,), seen.append)
    net["h"].sh("ping -c 2 -q 10.0.1.2")
    assert [(r.node, r.line, r.rc) for r in seen] == [("h", "ping -c 2 -q 10.0.1.2", 0)]
    assert seen[0].t == net.now


def test_a_command_dies_with_its_box(net: Lab) -> None:
    net.event("crash", "h", at=net.now + ms(1500))
    answer = net["h"].sh("ping -c 5 10.0.1.2")
    assert (answer.stdout, answer.rc) == ("", 137)


@pytest.mark.parametrize(
    ("line", "what", "column"),
    [
        ("ping 10.0.0.1", "ping: runs until it is stopped", 1),
        ("ping -c x 10.0.0.1", "ping: invalid argument: 'x': out of range: 1 <= value <= 2147483648", 9),
        ("ping -c 1 -Z 10.0.0.1", "ping: invalid option -- 'Z'", 11),
        ("ping -c 1 world", "ping: world: Name or service not known", 11),
        ("arping -c 1 10.0.0.1", "arping: device (option -I) is required", 13),
        ("traceroute", 'traceroute: Specify "host" missing argument.', 1),
    ],
)
def test_mistakes_are_told_at_their_word(line: str, what: str, column: int) -> None:
    (problem,) = check_line(line, "linux-6", WORLD_TOOLS)
    assert (problem.what, problem.column) == (what, column)
