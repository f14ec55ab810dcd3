"""Whole small runs: every expectation, every verb, refused set-up lines, files, seeds. Times are literal."""

import json
from pathlib import Path

import pytest

from netsim.errors import ConfigError
from netsim.scenario.api import run
from netsim.scenario.load import from_dict, load
from netsim.scenario.result import Result
from netsim.scenario.runner import answer_at, rehearse

TOPOLOGY = {
    "nodes": {
        "h": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
        "r": {
            "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24"},
            "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE\n",
        },
        "isp1": {"addr": {"eth0": "10.0.1.1/24", "lo": "203.0.113.10/32"}},
    },
    "links": {
        "lan": {"ends": ["h:eth0", "r:lan0"]},
        "wan": {"ends": ["r:wan0", "isp1:eth0"], "delay": "5ms"},
    },
}


def scenario(**parts):
    return from_dict({"topology": TOPOLOGY, "duration": "10s", "name": "small", **parts})


def verdict(expect, **parts):
    parts.setdefault("traffic", {"w": {"from": "h", "to": "isp1:80", "every": "100ms"}})
    (only,) = run(scenario(expect=[{"name": "it", **expect}], **parts)).expect
    return only


DIES = {"events": [{"at": "4s", "id": "dies", "silence": "isp1"}]}


@pytest.mark.parametrize(
    ("expect", "parts", "passed", "words"),
    [
        ({"share": {"isp1": "100%"}}, {}, True, "isp1 100% of"),
        ({"neigh": "r 10.0.1.1 dev wan0", "state": "REACHABLE", "at": "1s"}, {}, True, "is REACHABLE at 1s"),
        ({"neigh": "r 10.0.1.1 dev wan0", "state": "REACHABLE", "within": "10ms..11ms"}, {}, True, "REACHABLE at 10ms"),
        ({"flow": "w", "delivered": "100%"}, {}, True, "w: 100 of 100 delivered"),
        ({"flow": "w", "lost": 0, "during": "5s..6s"}, DIES, False, "10 of 10 lost (100%), wanted 0"),
        ({"flow": "w", "longest_gap": "<= 5s"}, DIES, False, "longest gap 6"),
        ({"flow": "w", "latency": "<= 6ms", "during": "1s..5s"}, {}, True, "95% within 5"),
        ({"capture": "r:wan0", "filter": "src net 192.168.0.0/16", "count": 0}, {}, True, "0 packets"),
        ({"capture": "lan", "filter": "udp", "count": "101"}, {}, True, "101 packets at lan"),
        ({"capture": "h:eth0", "filter": "udp", "count": 0, "during": "1s..2s"}, {}, False, "10 packets at h:eth0"),
        ({"node": "r", "at": "2s", "run": "ip route show default", "shows": "via 10.0.1.1"}, {}, True, "as expected"),
        (
            {"node": "r", "at": "2s", "run": "ip -j route show default", "json": [{"dev": "wan0"}]},
            {},
            True,
            "as expected",
        ),
        (
            {"node": "r", "at": "2s", "run": "ip route add 10.0.1.0/24 dev wan0", "stderr": "File exists"},
            {},
            True,
            "as",
        ),
        ({"drops": {"NODE_SILENT": ">= 1"}}, DIES, True, "NODE_SILENT"),
        ({"drops": {"NODE_SILENT": 0}}, {}, True, "NODE_SILENT 0"),
        ({"repeatable": True}, DIES, True, "both runs have the digest"),
    ],
)
def test_every_kind_of_expectation_is_judged_on_what_happened(expect, parts, passed, words):
    found = verdict(expect, **parts)
    assert (found.passed, words in found.why) == (passed, True), found.why


def test_after_counts_times_from_an_event():
    parts = {"events": [{"at": "4s", "id": "dies", "silence": "isp1"}]}
    late = verdict({"capture": "r:wan0", "filter": "udp", "count": "10", "after": "dies", "during": "1s..2s"}, **parts)
    assert late.passed, late.why


@pytest.mark.parametrize(
    "event",
    [
        {"silence": "isp1"}, {"crash": "isp1"}, {"cut": "wan"}, {"unplug": "isp1:eth0"}, {"mute": "r:wan0"},
        {"down": "r:wan0"}, {"remove": "r:wan0"}, {"impair": {"link": "wan", "loss": "100%"}},
        {"run": {"r": "ip link set wan0 down"}}, {"stop": "w"}, {"flap": {"link": "wan", "down": "6s", "up": "1s"}},
    ],
)  # fmt: skip
def test_every_verb_stops_the_traffic_it_is_made_to_stop(event):
    parts = {"events": [{"at": "4s", "id": "e", **event}]}
    traffic = {"w": {"from": "h", "to": "isp1:80", "every": "100ms"}}
    result = run(scenario(traffic=traffic, expect=[{"name": "gone", "flow": "w", "longest_gap": ">= 5s"}], **parts))
    assert result.passed, result.expect[0].why
    ((verb, _),) = event.items()
    assert [(e["t"], e["id"], e["verb"]) for e in result.events] == [(4.0, "e", verb)]


def test_commands_of_events_are_recorded_with_their_exit_status_and_set_up_is_not():
    result = run(
        scenario(events=[{"at": "1s", "run": {"r": "ip route add default via 9.9.9.9\nip link show lo # talk"}}])
    )
    assert [(c["t"], c["node"], c["line"], c["rc"]) for c in result.commands] == [
        (1.0, "r", "ip route add default via 9.9.9.9", 2),
        (1.0, "r", "ip link show lo", 0),
    ]


def test_an_injected_frame_arrives_and_its_wrong_checksum_is_its_makers():
    packet = 'Ether(dst="02:00:00:00:02:02")/IP(src="10.0.1.1", dst="10.0.1.2", chksum=1)/UDP()'
    result = run(scenario(events=[{"at": "1s", "inject": {"to": "r:wan0", "packet": packet}}]))
    assert result.passed
    assert result.drops == {"IP_CSUM": 1}


def test_the_result_holds_flows_gateways_neighbours_translations_and_a_balanced_ledger():
    traffic = {"w": {"from": "h", "to": "isp1:80", "every": "1s", "sport": 4000, "reply": True}}
    result = run(scenario(traffic=traffic))
    assert result.flows["w"]["sent"] == 11
    assert result.flows["w"]["connections"] == {"opened": 0, "completed": 0, "reset": 0, "timed_out": 0}
    assert result.gateways["isp1"]["tx_packets"] == 11
    assert result.nat == (
        {
            "t": 0.0, "node": "r", "proto": "udp", "original": "192.168.0.3:4000>203.0.113.10:80",
            "reply": "203.0.113.10:80>10.0.1.2:4000",
        },
    )  # fmt: skip
    assert [(n["from"], n["to"]) for n in result.neigh if n["node"] == "r" and n["dst"] == "10.0.1.1"][:2] == [
        ("NONE", "INCOMPLETE"), ("INCOMPLETE", "REACHABLE")
    ]  # fmt: skip
    ledger = result.ledger
    assert ledger["sent"] == ledger["delivered"] + ledger["dropped"] + ledger["in_flight"]
    assert Result.from_dict(json.loads(result.to_json())) == result


def test_lists_not_asked_for_are_left_empty():
    result = run(scenario(observe={"lists": ["nat"]}, events=[{"at": "1s", "run": {"r": "ip link"}}]))
    assert (result.neigh, result.commands) == ((), ())


def test_a_refused_set_up_line_is_an_input_error_in_linux_words_at_its_place(tmp_path):
    text = (
        "topology:\n  nodes:\n    a:\n      addr: {eth0: [10.0.0.1/24, 10.0.0.1/24]}\n      default: 10.9.9.9\n"
        "      sysctl: {net.ipv4.nose: 1}\n      run: |\n        # talk\n        ip route add 1.0.0.0/8 via 9.9.9.9\n"
        "run: {a: ip link set nothere up}\n"
    )
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        rehearse(load(path))
    told = [(p.line, p.column, p.path, p.what) for p in caught.value.problems]
    assert [t[:3] for t in told] == [
        (4, 20, "topology.nodes.a.addr.eth0"), (5, 16, "topology.nodes.a.default"),
        (6, 31, "topology.nodes.a.sysctl.net.ipv4.nose"), (9, 9, "topology.nodes.a.run[0]"), (10, 10, "run.a[0]"),
    ]  # fmt: skip
    assert "Error: Nexthop has invalid gateway." in told[1][3]
    assert "cannot stat /proc/sys/net/ipv4/nose: No such file or directory" in told[2][3]
    assert 'Cannot find device "nothere"' in told[4][3]


def test_a_seed_and_settings_replace_what_the_file_says(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("duration: 1s\ntopology: {nodes: {a: {}}}\n")
    assert run(path, seed=9, settings={"duration": "2s"}).seed == 9
    assert run(path, settings={"duration": "2s"}).duration_s == 2.0


def test_a_command_can_be_asked_at_any_instant():
    small = scenario(traffic={"w": {"from": "h", "to": "isp1:80", "every": "1s", "start": "3s"}})
    assert answer_at(small, "r", "ip neigh show dev wan0", at=2_000_000_000).stdout == ""
    assert "REACHABLE" in answer_at(small, "r", "ip neigh show dev wan0", at=4_000_000_000).stdout


def test_a_node_that_is_not_there_is_told_before_anything_runs(monkeypatch):
    monkeypatch.delattr("netsim.scenario.runner.build_lab")
    with pytest.raises(ConfigError, match='no node "x"'):
        answer_at(scenario(), "x", "ip link")


@pytest.mark.slow
def test_out_holds_every_file_and_the_result_draws_again(tmp_path):
    observe = {"plot": ["gateways", "neigh", "timeline", "topology", "ladder"], "pcap": ["wan"], "bin": "1s"}
    traffic = {"w": {"from": "h", "to": "isp1:80", "every": "1s"}}
    result = run(scenario(traffic=traffic, observe=observe, **DIES), out=tmp_path / "deep" / "out")
    folder = tmp_path / "deep" / "out"
    assert sorted(path.name for path in folder.iterdir()) == [
        "capture.pcapng", "gateways.png", "gateways.svg", "ladder.mmd", "ladder.txt", "report.html", "result.json",
        "timeline.png", "timeline.svg", "topology.png", "topology.svg", "trace.jsonl",
    ]  # fmt: skip
    assert Result.load(folder) == result
    assert (folder / "capture.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    kinds = {json.loads(line)["record"] for line in (folder / "trace.jsonl").read_text().splitlines()}
    assert {"WorldEvent", "NeighChange", "NatMapped"} <= kinds
    assert type(Result.load(folder).plot("gateways")).__name__ == "Figure"
    there_are = "gateways, neigh, timeline, flows, latency, topology"
    with pytest.raises(ConfigError, match=rf'no plot "pie" \(there are: {there_are}\)'):
        result.plot("pie")


@pytest.mark.slow
def test_the_dead_gateway_scenario_holds():
    result = run(Path(__file__).parents[3] / "scenarios" / "dead-gateway.yaml")
    assert [v.why for v in result.failed] == []
    timing = result.timing()
    assert 3.0 <= timing["the dead gateway is detected"] <= 54.0
