"""A box that remembers flows and one that looks at each packet anew do the same, whatever happens to them.

         +-- g            +-- r1 --+
    h -- hub -- nat ------+        +-- s        nat masquerades h and g behind two uplinks
                          +-- r2 --+

Everything recorded but routing decisions (a remembered packet needs none) is compared, uids and order included, and at
the end what commands show of counters, connections and neighbours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim import Lab
from netsim.seeds import Seed
from netsim.sim.world import World
from netsim.stack.ipv4.memory import FlowMemory
from netsim.stack.netfilter.hooks import NF_INET_PRE_ROUTING
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import RECORD_TYPES, RouteLookup, as_json
from netsim.units import ms, sec, us

COMPARED = [each for each in RECORD_TYPES if each is not RouteLookup]
SPAN = sec(3)

EVENTS = (
    ("silence", "r1"), ("revive", "r1"), ("silence", "r2"), ("revive", "r2"), ("crash", "s"), ("boot", "s"),
    ("cut", "wan0"), ("join", "wan0"), ("cut", "far1"), ("join", "far1"), ("unplug", "r1:eth0"), ("plug", "r1:eth0"),
    ("mute", "r2:eth1"), ("unmute", "r2:eth1"), ("down", "nat:wan0"), ("up", "nat:wan0"),
)  # fmt: skip

LINES = (
    ("nat", "ip route replace default via 10.0.1.1"),
    ("nat", "ip route replace default via 10.0.2.1"),
    ("nat", "ip route replace default nexthop via 10.0.1.1 nexthop via 10.0.2.1"),
    ("nat", "ip route add default via 10.0.2.1 metric 50"),
    ("nat", "ip route del default"),
    ("nat", "ip rule add to 10.9.0.0/24 dport 9 table 77 prio 50"),
    ("nat", "ip route add blackhole default table 77"),
    ("nat", "ip rule del prio 50"),
    ("nat", "ip neigh flush all"),
    ("r1", "ip neigh flush all"),
    ("h", "ip neigh replace 192.168.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"),
    ("h", "ip neigh del 192.168.0.1 dev eth0"),
    ("r1", "ip neigh change 10.9.1.2 dev eth1 nud stale"),
    ("nat", "ip addr add 10.0.1.7/24 dev wan0"),
    ("nat", "ip addr del 10.0.1.2/24 dev wan0"),
    ("nat", "ip link set wan0 mtu 576"),
    ("nat", "ip link set wan0 mtu 1500"),
    ("r2", "ip link set eth1 mtu 300"),
    ("h", "ip link set eth0 down"),
    ("h", "ip link set eth0 up"),
    ("nat", "iptables -A FORWARD -p udp --dport 7 -j DROP"),
    ("nat", "iptables -F FORWARD"),
    ("nat", "iptables -I FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT"),
    ("nat", "iptables -P FORWARD DROP"),
    ("nat", "iptables -P FORWARD ACCEPT"),
    ("nat", "iptables -t mangle -A PREROUTING -i lan0 -j MARK --set-mark 3"),
    ("nat", "iptables -t mangle -F"),
    ("nat", "iptables -t nat -F"),
    ("nat", "iptables -t nat -A POSTROUTING -o wan0 -j SNAT --to-source 10.0.1.2"),
    ("nat", "iptables -t nat -I PREROUTING -i lan0 -p udp --dport 9 -j DNAT --to-destination 10.9.1.2:7"),
    ("s", "iptables -A INPUT -p udp --dport 7 -j ACCEPT"),
    ("s", "iptables -F"),
    ("s", "iptables -A INPUT -m state --state NEW -j ACCEPT"),
    ("nat", "conntrack -F"),
    ("nat", "conntrack -U -p udp --mark 7"),
    ("nat", "conntrack -D -p udp --dport 7"),
    ("nat", "conntrack -D -p tcp"),
    ("nat", "conntrack -U -p tcp --mark 7"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=1"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_tcp_max_retrans=0"),
    ("nat", "sysctl -w net.ipv4.ip_forward=0"),
    ("nat", "sysctl -w net.ipv4.ip_forward=1"),
    ("h", "sysctl -w net.ipv4.ip_default_ttl=2"),
    ("r1", "sysctl -w net.ipv4.conf.all.rp_filter=1"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_acct=1"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_udp_timeout=1"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_udp_timeout_stream=1"),
    ("nat", "sysctl -w net.ipv4.fib_multipath_hash_policy=1"),
    ("nat", "sysctl -w net.ipv4.neigh.wan0.base_reachable_time_ms=200"),
    ("nat", "sysctl -w net.ipv4.neigh.wan1.delay_first_probe_time=1"),
    ("s", "ip route replace default via 10.9.2.1"),
    ("nat", "ip route flush cache"),
    ("nat", "ip route add 10.9.0.1/32 via 10.0.2.1"),
    ("nat", "ip route del 10.9.0.1/32"),
    ("nat", "ip route add 10.9.0.0/24 via 10.0.2.1 mtu 600"),
    ("nat", "ip route del 10.9.0.0/24"),
    ("nat", "ip rule add fwmark 3 table 78 prio 40"),
    ("nat", "ip rule del prio 40"),
    ("nat", "ip rule add iif lan0 ipproto udp table 78 prio 41"),
    ("nat", "ip rule del prio 41"),
    ("nat", "ip rule add from 192.168.0.4 table 78 prio 42"),
    ("nat", "ip rule del prio 42"),
    ("nat", "ip route add default via 10.0.2.1 table 78"),
    ("nat", "sysctl -w net.ipv4.fib_multipath_use_neigh=1"),
    ("nat", "sysctl -w net.ipv4.fib_multipath_use_neigh=0"),
    ("nat", "sysctl -w net.ipv4.conf.lan0.rp_filter=1"),
    ("nat", "sysctl -w net.ipv4.conf.wan1.rp_filter=2"),
    ("nat", "sysctl -w net.ipv4.conf.all.forwarding=0"),
    ("nat", "sysctl -w net.ipv4.conf.lan0.forwarding=1"),
    ("nat", "sysctl -w net.ipv4.neigh.wan0.delay_first_probe_time=0"),
    ("nat", "ip link set wan1 down"),
    ("nat", "ip link set wan1 up"),
    ("nat", "ip link set lan0 mtu 300"),
    ("nat", "ip link set lan0 mtu 1500"),
    ("nat", "ip addr del 192.168.0.1/24 dev lan0"),
    ("nat", "ip addr add 192.168.0.1/24 dev lan0"),
    ("nat", "ip addr add 10.0.1.2/24 dev wan0"),
    ("nat", "ip neigh del 10.0.1.1 dev wan0"),
    ("nat", "ip neigh change 10.0.1.1 dev wan0 nud stale"),
    ("nat", "ip neigh change 10.0.1.1 dev wan0 nud failed"),
    ("nat", "ip neigh replace 10.0.2.1 lladdr 02:00:00:00:00:77 dev wan1 nud permanent"),
    ("nat", "ip neigh del 10.0.2.1 dev wan1"),
    ("nat", "ip neigh change 192.168.0.3 dev lan0 nud stale"),
    ("nat", "iptables -t raw -A PREROUTING -p udp --dport 9 -j NOTRACK"),
    ("nat", "iptables -t raw -F"),
    ("nat", "iptables -t mangle -A FORWARD -p tcp --syn -j TCPMSS --set-mss 700"),
    ("nat", "iptables -t mangle -A POSTROUTING -j TTL --ttl-set 9"),
    ("nat", "iptables -t nat -A POSTROUTING -o wan1 -p udp -j SNAT --to-source 10.0.2.9"),
    ("nat", "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_max=3"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_max=1000"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_checksum=0"),
    ("nat", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_unacknowledged=1"),
    ("nat", "conntrack -D -s 192.168.0.3"),
    ("nat", "conntrack -D -s 192.168.0.4"),
    ("h", "ip route replace default via 192.168.0.4"),
    ("h", "ip route replace default via 192.168.0.1"),
    ("h", "sysctl -w net.ipv4.ip_default_ttl=64"),
    ("h", "ip neigh flush all"),
    ("h", "ip link set eth0 mtu 500"),
    ("h", "ip addr add 192.168.0.33/24 dev eth0"),
    ("g", "sysctl -w net.ipv4.ip_forward=1"),
    ("g", "ip neigh flush all"),
    ("s", "ip neigh flush all"),
    ("s", "ip addr del 10.9.0.1/32 dev lo"),
    ("s", "ip addr add 10.9.0.1/32 dev lo"),
    ("s", "ip route add 10.0.1.0/24 via 10.9.2.1"),
    ("s", "ip route del 10.0.1.0/24"),
    ("s", "iptables -A OUTPUT -p udp --sport 7 -j DROP"),
    ("s", "iptables -t nat -A PREROUTING -p udp --dport 9 -j REDIRECT --to-ports 7"),
    ("r1", "ip route replace 10.9.0.0/24 via 10.0.1.2"),
    ("r1", "ip route replace 10.9.0.0/24 via 10.9.1.2"),
    ("r1", "ip route add unreachable 10.9.0.1/32"),
    ("r1", "ip route del 10.9.0.1/32"),
    ("r1", "ip link set eth1 mtu 400"),
    ("r1", "ip link set eth1 mtu 1500"),
)
IMPAIRMENTS = [(what, link) for link in ("wan0", "wan1", "lan") for what in ("impair", "repair")]
SHOWN = (
    "ip -s link", "ip neigh", "ip route", "conntrack -L", "iptables -vnxL", "iptables -t nat -vnxL",
    "iptables -t mangle -vnxL",
)  # fmt: skip


def topology(kernel: str) -> Topology:
    nodes = {
        "h": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
        "g": {"addr": {"eth0": "192.168.0.4/24"}, "default": "192.168.0.1"},
        "nat": {
            "kernel": kernel,
            "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24", "wan1": "10.0.2.2/24"},
            "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE\n"
            "iptables -t nat -A POSTROUTING -o wan1 -j MASQUERADE\n"
            "echo 1 > /proc/sys/net/ipv4/ip_forward\n",
        },
        "r1": {"addr": {"eth0": "10.0.1.1/24", "eth1": "10.9.1.1/24"}},
        "r2": {"addr": {"eth0": "10.0.2.1/24", "eth1": "10.9.2.1/24"}, "run": "ip route add 10.9.1.0/24 via 10.9.2.2"},
        "s": {
            "addr": {"eth1": "10.9.1.2/24", "eth2": "10.9.2.2/24", "lo": "10.9.0.1/32"}, "default": "10.9.1.1",
            "run": "ip route add 10.0.2.0/24 via 10.9.2.1",
        },
    }  # fmt: skip
    for name in ("r1", "r2"):
        nodes[name]["run"] = f"{nodes[name].get('run', '')}\nip route add 10.9.0.0/24 via 10.9.{name[1]}.2"
    links = {
        "lan": {"ends": ["nat:lan0", "h:eth0", "g:eth0"], "kind": "hub"},
        "wan0": {"ends": ["nat:wan0", "r1:eth0"], "delay": "1ms"},
        "wan1": {"ends": ["nat:wan1", "r2:eth0"], "delay": "2ms", "rate": "10Mbit"},
        "far1": {"ends": ["r1:eth1", "s:eth1"]},
        "far2": {"ends": ["r2:eth1", "s:eth2"]},
    }
    return Topology.model_validate({"nodes": nodes, "links": links})


@dataclass
class Outcome:
    records: list = field(default_factory=list)
    shown: dict = field(default_factory=dict)


def run(kernel: str, steps: list[tuple[int, tuple[str, str]]], *, remember: bool) -> Outcome:
    outcome = Outcome()

    def listen(bus: Bus) -> None:
        bus.subscribe(COMPARED, lambda record: outcome.records.append(as_json(record)))

    lab = Lab(topology(kernel), bus_ready=listen, world=World(Seed(1), remember=remember))
    lab.flow("one-way", source=["h", "g"], to="10.9.0.1:9", every=ms(7), size=200)
    lab.flow("echoed", source="h", to="10.9.0.1:7", every=ms(11), size=700, reply=True, flows=2)
    lab.flow("lan", source="h", to="g:5", every=ms(40), size=30, start=us(300))
    lab.flow("big", source="g", to="10.9.0.1:8", every=ms(90), size=1400)
    lab.flow("fresh", source="g", to="10.9.0.1:10", every=ms(60), new_flows=True)
    lab.flow("tcp", kind="tcp", source="h", to="10.9.0.1:80", every=ms(400), size=9000)
    lab.flow("ping", kind="ping", source="g", to="10.9.0.1", every=ms(130))
    for at, (what, target) in steps:
        if what in lab.world.nodes:
            lab.at(at, lambda what=what, target=target: lab[what].sh(target))
        elif what == "impair":
            lab.event(what, target, at=at, loss=0.2, corrupt=0.1, duplicate=0.1)
        else:
            lab.event(what, target, at=at)
    lab.run(until=SPAN)
    for name in lab.world.nodes:
        outcome.shown[name] = [lab[name].sh(line).stdout for line in SHOWN]
    return outcome


def check(kernel: str, steps: list[tuple[int, tuple[str, str]]]) -> None:
    __tracebackhide__ = True
    anew = run(kernel, steps, remember=False)
    remembered = run(kernel, steps, remember=True)
    for number, (expected, actual) in enumerate(zip(anew.records, remembered.records, strict=False)):
        assert expected == actual, f"record {number}"
    assert len(anew.records) == len(remembered.records)
    assert anew.shown == remembered.shown


step = st.tuples(
    st.integers(0, 28).map(lambda tenth: ms(100) * tenth + us(137)),
    st.sampled_from([*EVENTS, *LINES, *IMPAIRMENTS]),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(steps=st.lists(step, max_size=12).map(sorted))
def test_whatever_happens_memory_changes_nothing(steps):
    check("linux-6", steps)


@pytest.mark.slow
@settings(max_examples=15)
@given(kernel=st.sampled_from(["linux-2.4", "linux-2.4-routes"]), steps=st.lists(step, max_size=10).map(sorted))
def test_whatever_happens_memory_changes_nothing_on_old_kernels(kernel, steps):
    check(kernel, steps)


def storm(rng: random.Random) -> list[tuple[int, tuple[str, str]]]:
    """Few or many changes, alone and several at one instant, on a packet's beat and beside it; half of the long
    storms leave the paths whole, so that traffic goes on between them."""
    count = rng.choice((5, 20, 60))
    whole = count == 60 and rng.random() < 0.5
    things = [*LINES, *IMPAIRMENTS, *(each for each in EVENTS if not whole)]
    steps: list[tuple[int, tuple[str, str]]] = []
    while len(steps) < count:
        at = ms(rng.randrange(2950)) + us(rng.choice((0, 137, rng.randrange(1000))))
        steps += [(at, rng.choice(things)) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
    return sorted(steps, key=lambda step: step[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4", "linux-2.4-routes"])
def test_storms_of_changes_leave_memory_no_wiser_than_looking(kernel, seed):
    check(kernel, storm(random.Random(seed)))


def test_the_nat_table_is_asked_for_each_packet_of_a_connection_older_than_itself():
    """Recorded on 6.18: the rule counts each packet of an unanswered UDP connection and moves none of them.

    Source: nf_nat_inet_fn(), nf_nat_setup_info(), `nf_ct_is_confirmed()`. The packets go in a circle here.
    """
    lines = (
        "iptables -A INPUT -m state --state NEW -j ACCEPT",
        "iptables -t nat -A PREROUTING -p udp --dport 9 -j REDIRECT --to-ports 7",
        "ip route replace default via 10.9.2.1",
        "ip addr del 10.9.0.1/32 dev lo",
    )
    check("linux-6", [(at, ("s", line)) for at, line in zip((ms(95), ms(685), ms(685), ms(1691)), lines, strict=True)])


def test_a_quiet_run_is_the_same_and_really_goes_by_rote(monkeypatch):
    """Guards the tests above against comparing nothing: half the frames of the run that remembers are repeated,
    and of TCP's at the box that translates one in four."""
    told = []
    repeat = FlowMemory.repeat

    def count(self, device, frame, now):
        answer = repeat(self, device, frame, now)
        told.append((frame.octets[23:24] == b"\x06", self.netfilter.idle[NF_INET_PRE_ROUTING], answer))
        return answer

    monkeypatch.setattr(FlowMemory, "repeat", count)
    check("linux-6", [])
    assert [answer for tcp, _, answer in told if not tcp].count(True) > sum(not tcp for tcp, _, _ in told) / 4
    tracked = [answer for tcp, idle, answer in told if tcp and not idle]
    assert tracked.count(True) > len(tracked) / 8  # of which the run that remembers has half


@pytest.mark.parametrize("what", [*EVENTS, *LINES], ids=lambda what: f"{what[0]}: {what[1]}")
@pytest.mark.slow
def test_each_single_event_finds_memory_as_wise_as_looking(what):
    check("linux-6", [(sec(1) + us(137), what)])
