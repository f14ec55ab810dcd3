"""Loading scenario files: defaults, includes, settings, positions of command lines, warnings."""

import json
import os
from pathlib import Path

import pytest

from netsim.errors import ConfigError
from netsim.scenario.check_lines import setup_lines
from netsim.scenario.load import from_dict, load, load_all, load_topology
from netsim.scenario.suspicions import suspicions
from netsim.topology.generate import two_isps
from netsim.topology.importers import write_topology
from netsim.topology.yaml_text import to_yaml
from netsim.units import ms, sec

TWO = (
    "topology: {nodes: {a: {addr: {eth0: 10.0.0.1/24}}, gw: {addr: {eth0: 10.0.0.2/24}}}, "
    "links: {l: {ends: [a:eth0, gw:eth0]}}}\n"
)


def write(folder: Path, text: str, name: str = "x.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    scenario = load(write(tmp_path, TWO + "traffic: {w: {from: a, to: gw}}\n"))
    web = scenario.traffic["w"]
    assert (scenario.name, scenario.seed, scenario.duration) == ("x", 1, sec(60))
    assert (web.kind, web.start, web.stop, web.flows, web.interval, web.payload) == ("udp", 0, None, 1, sec(1), 100)
    assert scenario.observe.lists == ("neigh", "nat", "commands")
    assert scenario.topology.gateways == ("gw",)


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        ("kind: udp", sec(1)), ("kind: ping", sec(1)), ("kind: tcp", None), ("kind: http", None), ("kind: ftp", None),
        ("kind: tcp, hold: true", sec(1)), ("kind: udp, every: 20ms", ms(20)), ("kind: udp, rate: 50pps", ms(20)),
        ("kind: udp, rate: 1Mbit, size: 1250", ms(10)), ("kind: udp, rate: 1Mbit, size: 0", 1),
    ],
)  # fmt: skip
def test_rate_and_every_give_the_time_between_two_datagrams(tmp_path, options, interval):
    scenario = load(write(tmp_path, TWO + f"traffic: {{w: {{from: a, to: gw, {options}}}}}\n"))
    assert scenario.traffic["w"].interval == interval


@pytest.mark.parametrize(
    ("duration", "bin_", "said"),
    [
        ("6s", "1ns", "run would have 6,000,000,000 bins, and no more than 2,000,000 are counted (3us or more)"),
        ("200s", "99us", "(100us or more)"), ("200s", "100us", ""), ("6s", "1h", ""),
    ],
)  # fmt: skip
def test_bins_beyond_memory_are_refused(tmp_path, duration, bin_, said):
    text = TWO + f"duration: {duration}\nobserve: {{bin: {bin_}}}\n"
    if not said:
        load(write(tmp_path, text))
        return
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("traffic: {w: {from: a, to: gw, new_flows: []}}\n", "traffic.w.new_flows: a list is not true or false"),
        (f"traffic: {{w: {{from: a, to: gw, sport: '{'2' * 5000}'}}}}\n", "is not a port"),
        (f"seed: {'2' * 5000}\n", "is not a whole number"), (f"seed: 0x{'f' * 5000}\n", "is not a whole number"),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_told_as_such(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, TWO + text))
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "no/such/file", "."])
def test_a_topology_whose_name_is_no_files_is_told(tmp_path, name):
    with pytest.raises(ConfigError, match="topology: no file"):
        load(write(tmp_path, f"topology: {json.dumps(name)}\n"))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("silence: ~", "silence: nothing to silence"), ("inject: null", "events[0].inject: nothing to inject"),
        ("mute: a:eth1", "events[0].mute: a:eth1 is on no link"), ("unplug: a:eth1", "a:eth1 is on no link"),
    ],
)  # fmt: skip
def test_events_that_act_on_nothing_are_told(tmp_path, event, said):
    text = TWO.replace("addr: {eth0: 10.0.0.1/24}", "addr: {eth0: 10.0.0.1/24, eth1: 10.0.1.1/24}")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text + f"events: [{{at: 0s, {event}}}]\n"))
    assert said in str(caught.value)


def test_a_flap_that_takes_all_memory_is_refused(tmp_path):
    """Each of its turns is an event of the run, filed when it begins."""
    flap = "{at: 0s, flap: {link: wire, down: 1s, up: 1s, times: 1000000000}}"
    with pytest.raises(ConfigError, match=r"number 1000000000 is out of range \(at most 100000\)"):
        load(write(tmp_path, TWO + f"events: [{flap}]\n"))


def test_traffic_without_a_time_between_two_is_refused(tmp_path):
    """It was taken for the kind's own interval."""
    with pytest.raises(ConfigError, match=r'traffic.w.every: "0s" is out of range \(more than 0\)'):
        load(write(tmp_path, TWO + "traffic: {w: {from: a, to: gw, every: 0s}}\n"))


def test_settings_replace_values_before_anything_is_checked(tmp_path):
    path = write(tmp_path, TWO + "traffic: {w: {from: a, to: gw, rate: 1Mbit}}\n")
    settings = {
        "seed": "9", "traffic.w.rate": "50pps", "topology.links.l.delay": "5ms",
        "topology.nodes.a.sysctl.net.ipv4.ip_forward": "1", "observe.plot": "[gateways]",
    }  # fmt: skip
    scenario = load(path, settings=settings)
    assert (scenario.seed, scenario.traffic["w"].rate, scenario.topology.links["l"].delay) == (9, ms(20), ms(5))
    assert scenario.topology.nodes["a"].sysctl == {"net.ipv4.ip_forward": "1"}
    with pytest.raises(ConfigError, match=r'--set sed:1:1: sed: unknown key "sed" \(did you mean "seed"\?\)'):
        load(path, settings={"sed": "9"})
    with pytest.raises(ConfigError, match="holds no keys"):
        load(path, settings={"traffic.w.rate.x": "9"})


def test_overrides_are_worked_into_the_topology(tmp_path):
    text = (
        "topology: {nodes: {a: {kernel: linux-2.4, patches: [alt_routes], sysctl: {x.y: 1}, run: 'ip link\n\n'}}}\n"
        "kernel: {a: linux-2.4-routes}\nsysctl: {a: {x.z: 2}}\nrun: {a: ip addr}\n"
    )
    node = load(write(tmp_path, text)).effective_topology().nodes["a"]
    assert (node.kernel, node.patches, node.sysctl) == ("linux-2.4-routes", None, {"x.y": "1", "x.z": "2"})
    assert node.run == "ip link\nip addr"


def test_a_graph_file_is_taken_wherever_a_topology_file_is(tmp_path):
    for suffix in (".graphml", ".gml", ".json"):
        write_topology(two_isps(), tmp_path / f"net{suffix}")
        scenario = load(write(tmp_path, f"topology: net{suffix}\nexpect:\n  - {{name: r, repeatable: true}}\n"))
        assert list(scenario.topology.nodes) == list(two_isps().nodes)
        assert load_topology(tmp_path / f"net{suffix}").gateways == ("isp1", "isp2")


def test_a_topology_written_as_yaml_reads_back_the_same(tmp_path):
    path = write(tmp_path, to_yaml(two_isps()), "net.yaml")
    assert "run: |" in path.read_text()
    assert load_topology(path) == two_isps()


def test_set_up_lines_know_where_they_were_written(tmp_path):
    write(
        tmp_path,
        "nodes:\n  a:\n    run: |\n      # talk\n      ip link\n      ip route add default \\\n        via 1.1.1.1\n",
        "n.yaml",
    )
    scenario = load(write(tmp_path, "topology: n.yaml\nrun: {a: ip addr}\n"))
    first, second, third = setup_lines(scenario.origin, "a")
    assert (first.command.text, first.at(3).line, first.at(3).column) == ("ip link", 5, 10)
    assert second.command.text == "ip route add default via 1.1.1.1"
    mark = second.at(second.command.text.index("via"))
    assert (Path(mark.source.file).name, mark.line, mark.column) == ("n.yaml", 7, 9)
    assert (third.command.text, third.at(0).line, third.path) == ("ip addr", 2, ("run", "a", 0))


def test_a_dict_is_checked_like_a_file_without_places():
    scenario = from_dict({"topology": {"nodes": {"a": {}}}, "duration": "5s"}, name="d")
    assert (scenario.name, scenario.duration) == ("d", sec(5))
    with pytest.raises(ConfigError, match=r'^d: events\[0\].silence: no node "b"'):
        from_dict({"topology": {"nodes": {"a": {}}}, "events": [{"at": "1s", "silence": "b"}]}, name="d")


def test_mistakes_of_several_files_are_told_together(tmp_path):
    files = [write(tmp_path, f"topology: {{nodes: {{}}}}\nsed: {n}\n", f"f{n}.yaml") for n in (1, 2)]
    with pytest.raises(ConfigError) as caught:
        load_all(files)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["f1.yaml", "f2.yaml"]


SUSPICIOUS = """\
duration: 10s
topology:
  nodes:
    router:
      addr: {wan0: 10.0.1.2/24, wan1: 10.0.2.2/24, lan7: 192.168.0.1/24}
      run: |
        ip rule add prio 20 from 10.0.1.0/24 table 20
        ip rule add prio 30 from 10.0.2.0/24 table 30
        ip route add default via 10.0.1.1 table 20
        iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -j MASQUERADE
        iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o wan0 -j MASQUERADE
    isp1: {addr: {eth0: 10.0.1.1/24}}
    isp2: {addr: {eth0: 10.0.2.1/24}}
  links:
    wan0: {ends: [router:wan0, isp1:eth0]}
    wan1: {ends: [router:wan1, isp2:eth0]}
events: [{at: 20s, silence: isp1}]
traffic:
  long: {from: router, to: isp1, kind: ping, size: 70kB}
  fits: {from: router, to: isp1, size: 65507}
expect: [{name: r, repeatable: true}, {name: r, repeatable: true}]
"""


def test_legal_but_suspicious_things_are_warnings_with_their_place(tmp_path):
    found = suspicions(load(write(tmp_path, SUSPICIOUS)))
    assert [(p.line, p.column, p.path, p.what) for p in found] == [
        (5, 52, "topology.nodes.router.addr.lan7", "router:lan7 has an address and is on no link"),
        (8, 52, "topology.nodes.router.run[1]", "rule for the empty table 30"),
        (10, 61, "topology.nodes.router.run[3]", "MASQUERADE without -o beside 2 uplinks (wan0, wan1)"),
        (17, 15, "events[0].at", "20s is not before the end of the run (10s)"),
        (19, 52, "traffic.long.size", "70000 octets are more than a datagram holds (65507)"),
        (21, 46, "expect[1].name", 'a second expectation named "r"'),
    ]


def test_the_projects_own_scenario_has_neither_mistakes_nor_suspicions():
    root = Path(__file__).parents[3]
    scenario = load(root / "scenarios" / "dead-gateway.yaml")
    assert scenario.topology.gateways == ("isp1", "isp2")
    assert suspicions(scenario) == ()


def test_a_scenario_without_a_name_has_its_files_as_far_as_that_is_text(tmp_path):
    """What is no UTF-8 would be in no JSON, and a terminal obeys what is no text."""
    path = tmp_path / os.fsdecode(b"b\xff\x1b[31m \xc3\xa9.yaml")
    path.write_text("topology: {nodes: {a: {}}}\n")
    assert load(path).name == "b\ufffd\ufffd[31m \u00e9"
