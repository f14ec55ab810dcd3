"""Questions that a machine thinks of, put to the kernel and to the emulator: random command lines, random packets.

What the search found is kept: in the examples below, and as scenarios in scenarios/kernel.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from netsim.errors import Skipped
from netsim.kernel.probe import require
from netsim.oracle.duel import Duel
from netsim.topology.model import Topology

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
EXAMPLES = int(os.environ.get("NETSIM_SEARCH", "15"))
"""How long to search: about half a second an example."""
SEARCH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 100,
    phases=tuple(Phase) if EXAMPLES >= 100 else (Phase.explicit, Phase.generate),  # to shrink takes a minute
)

BOX = Topology.model_validate({
    "nodes": {"r": {
        "addr": {"eth0": "10.0.0.1/24", "eth1": "10.1.0.1/24"},
        "interfaces": {"eth0": {"mac": "02:00:00:00:00:01"}, "eth1": {"mac": "02:00:00:00:00:02"}},
        "run": "ip neigh add 10.0.0.2 lladdr 02:00:00:00:01:02 dev eth0\n"
               "ip neigh add 10.1.0.2 lladdr 02:00:00:00:02:02 dev eth1\n"
               "sysctl -w net.ipv4.icmp_ratelimit=0",  # a bucket of tokens is a matter of milliseconds
    }},
})  # fmt: skip


@pytest.fixture(autouse=True)
def _kernel():
    try:
        require()
    except Skipped as skipped:
        pytest.skip(str(skipped))


def words(*choices):
    return st.sampled_from(choices)


def joined(*parts):
    return st.tuples(*parts).map(lambda each: " ".join(part for part in each if part))


PREFIX = words("default", "192.0.2.0/24", "192.0.2.0/25", "192.0.2.1", "10.0.0.0/24", "10.0.0.0/8", "10.0.0.1")
GATEWAY = words("10.0.0.2", "10.0.0.3", "10.1.0.2", "10.0.0.1", "172.16.0.1", "127.0.0.1")
DEV = words("", "", "dev eth0", "dev eth1", "dev lo", "dev eth9")
MORE = words("", "", "", "metric 5", "src 10.0.0.1", "src 10.1.0.1", "src 9.9.9.9", "tos 0x10", "table 77",
             "proto static",             "scope link", "scope host", "onlink", "mtu 1400")  # fmt: skip
HOPS = words("nexthop via 10.0.0.2 nexthop via 10.1.0.2", "nexthop via 10.0.0.2 dev eth1 nexthop dev eth0",
             "nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.3 weight 2")  # fmt: skip
ROUTE = st.one_of(
    joined(words("ip route"), words("add", "append", "prepend", "replace", "change", "del"), PREFIX,
           joined(words("via"), GATEWAY), DEV, MORE),
    joined(words("ip route"), words("add", "append", "replace", "del"), PREFIX, DEV, MORE),
    joined(words("ip route"), words("add", "append", "replace", "del"), PREFIX, MORE, HOPS),
    joined(words("ip route"), words("add", "append", "del"), words("unreachable", "blackhole", "prohibit", "throw"),
           PREFIX, MORE),
)  # fmt: skip
SELECTOR = words("from 10.0.0.0/24", "to 192.0.2.0/24", "fwmark 1", "iif eth0", "oif eth1", "tos 0x10", "from all",
                 "not from 10.0.0.0/8", "fwmark 0x10/0xf0", "dport 53", "ipproto udp")  # fmt: skip
RULE = joined(words("ip rule"), words("add", "add", "del"), SELECTOR, words("", "prio 100", "prio 0", "prio 32766"),
              words("table 77", "lookup main", "prohibit", "unreachable", "blackhole", "goto 100", ""))  # fmt: skip
ADDRESS = joined(words("ip addr"), words("add", "add", "del", "replace"),
                 words("10.0.0.1/24", "10.0.0.5/24", "10.0.0.9/32", "10.1.0.1/24", "192.0.2.9/25", "10.0.0.5/16"),
                 words("dev eth0", "dev eth1", "dev lo"))  # fmt: skip
NEIGHBOUR = joined(words("ip neigh"), words("add", "replace", "change", "del"),
                   words("10.0.0.2", "10.0.0.7", "10.9.9.9"),
                   words("", "lladdr 02:00:00:00:00:77"), words("dev eth0", "dev eth1"),
                   words("", "nud stale", "nud reachable", "nud permanent", "nud noarp", "nud failed"))  # fmt: skip
LINK = joined(words("ip link set"), words("eth0", "eth1", "lo"),
              words("up", "down", "mtu 1400", "mtu 67", "arp off", "address 02:00:00:00:00:99"))  # fmt: skip
LOOK = words("ip route show", "ip route show table all", "ip rule show", "ip addr show", "ip neigh show",
             "ip route get 192.0.2.1", "ip route get 10.0.0.2", "ip route get 8.8.8.8",
             "ip route get 192.0.2.1 from 10.0.0.1",
             "ip route get 192.0.2.1 from 10.0.0.2 iif eth0", "ip -j route show table all",
             "ip -j rule show")  # fmt: skip
COMMANDS = st.lists(st.one_of(ROUTE, ROUTE, RULE, ADDRESS, NEIGHBOUR, LINK, LOOK), min_size=3, max_size=12)
FINALLY = ("ip addr show", "ip route show table all", "ip rule show", "ip neigh show")


@SEARCH
@example(["ip route get 224.0.0.1"])
@example(["ip route add default via 10.0.0.1 dev eth1 onlink"])
@example(["ip link set eth0 address 01:00:00:00:00:01", "ip link set eth0 name eth1", "ip addr show"])
@given(COMMANDS)
def test_command_lines_have_the_same_answers(lines):
    with Duel(BOX) as duel:
        for line in (*lines, *FINALLY):
            kernel, emulator = duel.ask("r", line)
            assert (line, kernel) == (line, emulator)


MAC = {"eth0": ("02:00:00:00:01:02", "02:00:00:00:00:01"), "eth1": ("02:00:00:00:02:02", "02:00:00:00:00:02")}
SOURCE = words(
    "10.0.0.2", "10.0.0.2", "10.1.0.2", "10.0.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "9.9.9.9", "10.0.0.255"
)
TARGET = words("10.0.0.1", "10.1.0.1", "10.1.0.2", "10.0.0.2", "10.0.0.255", "255.255.255.255", "127.0.0.1", "8.8.8.8",
               "192.0.2.1", "224.0.0.1", "10.7.0.1")  # fmt: skip
ABOVE = st.one_of(
    st.builds(lambda s, d, n: UDP(sport=s, dport=d) / bytes(n), words(4000, 53), words(9, 53), words(0, 20, 1400)),
    st.builds(lambda f, d: TCP(sport=4000, dport=d, seq=7, ack=9, flags=f),
              words("S", "A", "R", "SA", "FA", "", "PA"), words(80, 81)),
    st.builds(lambda t: ICMP(type=t, id=77, seq=1) / (b"x" * 20), words(8, 0, 13, 3, 11, 17)),
)  # fmt: skip
PACKET = st.builds(
    lambda s, t, ttl, tos, flags, above: IP(src=s, dst=t, ttl=ttl, tos=tos, flags=flags, id=1) / above,
    SOURCE, TARGET, words(64, 64, 1, 2, 0), words(0, 0, 0x10), words("", "DF"), ABOVE,
)  # fmt: skip
REQUEST = st.builds(
    lambda op, s, t, h: ARP(op=op, hwsrc=h, psrc=s, hwdst="00:00:00:00:00:00", pdst=t),
    words(1, 1, 2), words("10.0.0.2", "10.0.0.9", "0.0.0.0", "10.1.0.2"), words("10.0.0.1", "10.1.0.1", "10.0.0.7"),
    words("02:00:00:00:01:02", "02:00:00:00:01:09"),
)  # fmt: skip
FRAMES = st.lists(st.tuples(words("eth0", "eth0", "eth1"), st.one_of(PACKET, PACKET, REQUEST)), min_size=1, max_size=8)
SETTING = words(
    "true", "sysctl -w net.ipv4.conf.eth0.rp_filter=1", "sysctl -w net.ipv4.conf.all.rp_filter=2",
    "sysctl -w net.ipv4.ip_forward=0", "ip route add unreachable 10.7.0.0/24", "ip route add default via 10.1.0.2",
    "ip link set eth1 mtu 1000", "iptables -A FORWARD -p udp -j REJECT",
    "iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset",
    "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE",
    "iptables -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.1.0.2:9",
    "iptables -t mangle -A PREROUTING -j TTL --ttl-set 10",
    "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP",
    "ip rule add from 10.0.0.2 prohibit", "sysctl -w net.ipv4.icmp_echo_ignore_all=1",
    "sysctl -w net.ipv4.conf.eth0.proxy_arp=1", "sysctl -w net.ipv4.conf.eth0.accept_local=1",
)  # fmt: skip


@SEARCH
@example([], [("eth0", IP(src="10.0.0.2", dst="224.0.0.1", ttl=1) / TCP(sport=4000, dport=81, flags="A"))])
@example([], [("eth0", IP(src="10.0.0.2", dst="224.0.0.9") / UDP(sport=4000, dport=9))])
@example([], [("eth0", ARP(op=1, hwsrc="02:00:00:00:01:09", psrc="0.0.0.0", pdst="10.1.0.1"))])
@given(st.lists(SETTING, max_size=3, unique=True), FRAMES)
def test_frames_have_the_same_answers(settings_, frames):
    with Duel(BOX, chosen=frozenset({4000, 53, 9, 80, 81})) as duel:
        for line in settings_:
            kernel, emulator = duel.ask("r", line)
            assert (line, kernel) == (line, emulator)
        for dev, packet in frames:
            src, dst = MAC[dev]
            frame = Ether(src=src, dst="ff:ff:ff:ff:ff:ff" if ARP in packet else dst) / packet
            kernel, emulator = duel.put(f"r:{dev}", bytes(frame))
            assert (dev, frame.summary(), kernel) == (dev, frame.summary(), emulator)
