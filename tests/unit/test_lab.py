"""The Lab: set-up from a topology, shell, taps, callbacks, events, flows, time. Times are literal."""

import networkx as nx
import pytest

import netsim
from netsim.errors import ConfigError, SimulationError
from netsim.lab import Lab
from netsim.topology.generate import chain, star_lan, two_isps
from netsim.topology.model import Topology
from netsim.trace.records import CommandRun, FlowDelivered, FlowSent, NeighChange, WorldEvent
from netsim.units import ms, sec

PAIR = {
    "nodes": {
        "a": {"addr": {"eth0": "10.0.0.1/24"}},
        "b": {"addr": {"eth0": "10.0.0.2/24"}, "sysctl": {"net.ipv4.conf.default.rp_filter": 1}},
    },
    "links": {"l": {"ends": ["a:eth0", "b:eth0"], "delay": "10ms"}},
}


def pair(**changes):
    data = {"nodes": {**PAIR["nodes"], **changes.get("nodes", {})}, "links": PAIR["links"]}
    return Lab(Topology.model_validate(data))


def test_devices_addresses_and_templates_are_there_after_set_up():
    lab = pair()
    shown = lab["b"].sh("ip -o -4 addr show dev eth0").stdout
    assert "inet 10.0.0.2/24" in shown
    assert "link/ether 02:00:00:00:02:01" in lab["b"].sh("ip link show eth0").stdout
    assert lab["b"].sh("sysctl -n net.ipv4.conf.eth0.rp_filter").stdout == "1\n"
    assert lab["a"].sh("sysctl -n net.ipv4.ip_forward").stdout == "0\n"
    assert lab.now == 0


def test_a_node_with_two_addressed_devices_forwards():
    lab = Lab(chain(1))
    assert lab["r1"].sh("sysctl -n net.ipv4.ip_forward").stdout == "1\n"
    assert lab["h1"].sh("sysctl -n net.ipv4.ip_forward").stdout == "0\n"


def test_every_refused_set_up_line_is_told_in_linux_words():
    bad = {
        "a": {
            "run": "ip route add 1.0.0.0/8 via 9.9.9.9\nip route add 2.0.0.0/8 via 9.9.9.9 || true\n",
            "default": "8.8.8.8",
        }
    }
    with pytest.raises(ConfigError) as caught:
        pair(nodes=bad)
    assert [(p.path, p.what) for p in caught.value.problems] == [
        ("nodes.a.default", "Error: Nexthop has invalid gateway."),
        ("nodes.a.run", "Error: Nexthop has invalid gateway."),
    ]


def test_a_flow_is_delivered_after_the_link_delay():
    lab = pair()
    seen = []
    lab.bus.subscribe((FlowSent, FlowDelivered), seen.append)
    lab.flow("w", source="a", to="b:9", every=sec(1), start=ms(5), stop=sec(2), size=100)
    lab.run(until=sec(5))
    arrived = [(r.t, r.latency) for r in seen if isinstance(r, FlowDelivered)]
    assert len([r for r in seen if isinstance(r, FlowSent)]) == 2
    assert arrived == [(ms(35), ms(30)), (ms(1015), ms(10))]  # the first waits for ARP: there, back, and the packet


def test_a_tap_sees_scapy_packets_and_a_callback_edits_what_goes_on_the_wire():
    lab = pair()
    seen = []
    lab.link("l").tap(lambda t, packet: seen.append((t, packet)))

    def mark(packet, ctx):
        assert (ctx.node, ctx.hook, ctx.outdev) == ("a", "POSTROUTING", "eth0")
        packet.tos = 0x10
        return packet

    lab["a"].netfilter.register("POSTROUTING", mark, priority=-50)
    lab.flow("w", source="a", to="b", every=sec(1), stop=ms(1))
    lab.run(until=sec(1))
    packet = seen[-1][1]
    assert packet["IP"].tos == 0x10
    assert packet["UDP"].dport == 9


def test_a_callback_may_drop_and_must_answer():
    lab = pair()
    got = []
    lab.bus.subscribe((FlowDelivered,), got.append)
    handle = lab["b"].netfilter.register("INPUT", lambda packet, ctx: netsim.DROP)
    lab.flow("w", source="a", to="b", every=sec(1))
    lab.run(until=sec(2))
    assert got == []
    lab["b"].netfilter.unregister(handle)
    lab["b"].netfilter.register("PREROUTING", lambda packet, ctx: None)
    with pytest.raises(SimulationError, match="returned nothing"):
        lab.run(until=sec(4))


def test_a_callback_may_not_call_its_box():
    lab = pair()
    lab["b"].netfilter.register("INPUT", lambda packet, ctx: lab["b"].sh("ip link") and netsim.ACCEPT)
    lab.flow("w", source="a", to="b", every=sec(1))
    with pytest.raises(SimulationError, match="a callback called the box it runs in"):
        lab.run(until=sec(2))


def test_time_is_integers_and_goes_forward():
    lab = pair()
    with pytest.raises(SimulationError, match=r"use sec\(1.5\)"):
        lab.env.timeout(1.5)
    with pytest.raises(SimulationError, match=r"use sec\(1.5\)"):
        lab.run(until=1.5)
    lab.run(until=sec(2))
    with pytest.raises(SimulationError, match="has passed"):
        lab.run(until=sec(1))


def test_a_simpy_process_of_the_users_shares_the_clock():
    lab = pair()
    ticks = []

    def story(env):
        for _ in range(3):
            yield env.timeout(sec(1))
            ticks.append(env.now)

    lab.env.process(story(lab.env))
    lab.run(until=sec(10))
    assert ticks == [sec(1), sec(2), sec(3)]


@pytest.mark.parametrize(
    ("verb", "target", "undo"),
    [
        ("silence", "b", "revive"), ("cut", "l", "join"), ("unplug", "b:eth0", "plug"), ("mute", "b:eth0", "unmute"),
        ("down", "b:eth0", "up"), ("crash", "b", "boot"),
    ],
)  # fmt: skip
def test_every_failure_stops_traffic_and_its_counterpart_gives_it_back(verb, target, undo):
    lab = pair()
    got, told = [], []
    lab.bus.subscribe((FlowDelivered,), lambda r: got.append(r.t))
    lab.bus.subscribe((WorldEvent,), lambda r: told.append((r.t, r.id, r.verb, r.target)))
    lab.flow("w", source="a", to="b", every=ms(100))
    lab.event(verb, target, at=sec(2))
    lab.event(undo, target, at=sec(4), id_="back")
    lab.run(until=sec(20))
    assert told == [(sec(2), f"{verb}-{target}", verb, target), (sec(4), "back", undo, target)]
    assert [t for t in got if sec(2) + ms(20) < t < sec(4)] == []
    assert len([t for t in got if t < sec(2)]) >= 18
    assert [t for t in got if t > sec(15)]


def test_remove_and_create_give_a_device_without_addresses():
    lab = pair()
    lab.event("remove", "b:eth0")
    assert lab["b"].sh("ip link show eth0").rc == 1
    lab.event("create", "b:eth0")
    assert "02:00:00:00:02:01" in lab["b"].sh("ip link show eth0").stdout
    assert "inet" not in lab["b"].sh("ip -4 addr show eth0").stdout


def test_impair_and_repair_change_a_links_settings():
    lab = pair()
    got = []
    lab.bus.subscribe((FlowDelivered,), lambda r: got.append((r.t, r.latency)))
    lab.flow("w", source="a", to="b", every=sec(1))
    lab.event("impair", "l", at=ms(2500), delay=ms(50))
    lab.event("repair", "l", at=ms(4500))
    lab.run(until=sec(6))
    assert [latency for t, latency in got if t > ms(500)] == [ms(10), ms(10), ms(50), ms(50), ms(10)]


def test_an_injected_frame_arrives():
    from scapy.layers.l2 import ARP, Ether

    lab = pair()
    changes = []
    lab.bus.subscribe((NeighChange,), changes.append)
    lab.inject(
        "b:eth0", Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:99") / ARP(op=1, psrc="10.0.0.77", pdst="10.0.0.2")
    )
    assert [(c.node, c.dst) for c in changes] == [("b", "10.0.0.77")]


def test_commands_of_people_are_recorded_and_set_up_is_not():
    lines = []
    topology = Topology.model_validate(
        {**PAIR, "nodes": {**PAIR["nodes"], "a": {"addr": {"eth0": "10.0.0.1/24"}, "run": "ip link\n"}}}
    )
    lab = Lab(topology, bus_ready=lambda bus: bus.subscribe((CommandRun,), lambda r: lines.append(r.line)))
    lab["a"].sh("ip addr")
    assert lines == ["ip addr"]


def test_a_graph_and_overrides_make_labs_too():
    graph = nx.Graph()
    graph.add_edge("x", "y", delay="1ms")
    with Lab.from_graph(graph) as lab:
        assert lab["x"].sh("ip link show eth0").rc == 0
    lab = Lab.from_topology(
        star_lan(2),
        seed=3,
        sysctl={"h1": {"net.ipv4.ip_forward": 1}},
        run={"h2": "ip route add 9.0.0.0/8 via 192.168.0.1"},
    )
    assert lab["h1"].sh("sysctl -n net.ipv4.ip_forward").stdout == "1\n"
    assert "9.0.0.0/8 via 192.168.0.1" in lab["h2"].sh("ip route").stdout
    with pytest.raises(ConfigError, match='no node "h9"'):
        Lab.from_topology(star_lan(2), run={"h9": "ip link"})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda lab: lab["zz"], KeyError, "no node 'zz'; there are: a, b"),
        (lambda lab: lab.link("zz"), KeyError, "no link 'zz'; there are: l"),
        (lambda lab: lab.event("explode", "a:eth0"), SimulationError, "no verb 'explode'"),
        (lambda lab: lab.event("silense", "a"), SimulationError, "no verb 'silense'"),
        (lambda lab: lab.flow("w", source="a", to="c:80"), SimulationError, "no node 'c'; there are: a, b"),
        (lambda lab: lab.event("plug", "a:eth9"), SimulationError, "has no interface"),
        (lambda lab: lab["a"].netfilter.register("NOWHERE", None), SimulationError, "no hook 'NOWHERE'"),
    ],
)  # fmt: skip
def test_misuse_is_told_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call(pair())


def test_the_seeds_router_sets_up():
    lab = Lab(two_isps())
    assert "default" in lab["router"].sh("ip route show table 100").stdout
