"""`netsim explain` and `netsim show --why`: what goes where, and one line for each mistake."""

from __future__ import annotations

import json

import pytest

from netsim.cli import main

FILE = """\
duration: 6s
topology:
  nodes:
    a: {addr: {eth0: 10.0.0.1/24}, default: 10.0.0.2}
    r:
      addr: {eth0: 10.0.0.2/24, eth1: 10.0.1.2/24, eth2: 10.0.2.2/24}
      sysctl: {net.ipv4.ip_forward: 1, net.ipv4.fib_multipath_hash_policy: 1}
      run: |
        ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1
    isp1: {addr: {eth0: 10.0.1.1/24, lo: 192.0.2.1/32}, run: "ip route add 10.0.0.0/24 via 10.0.1.2"}
    isp2: {addr: {eth0: 10.0.2.1/24, lo: 192.0.2.1/32}, run: "ip route add 10.0.0.0/24 via 10.0.2.2"}
  links:
    lan: {ends: [a:eth0, r:eth0], delay: 1ms}
    wan1: {ends: [r:eth1, isp1:eth0], delay: 1ms}
    wan2: {ends: [r:eth2, isp2:eth0], delay: 1ms}
traffic: {w: {from: a, to: 192.0.2.1, kind: udp, every: 1s, new_flows: true}}
"""


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run the command line beside x.yaml; return exit status, standard output, standard error."""
    (tmp_path / "x.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return run


def test_a_packet_of_a_flow_is_told_on_standard_output(cli):
    code, out, err = cli("explain", "x.yaml", "--flow", "w", "--packet", "2")
    assert (code, err) == (0, "")
    assert "isp2 answers with frame" in out  # only isp1 has a server; the address is both's
    assert "x.yaml:9: ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1" in out


def test_json_has_stages_with_facts(cli):
    code, out, _ = cli("explain", "x.yaml", "--flow", "w", "--json")
    life = json.loads(out)
    assert code == 0
    assert [stage["node"] for stage in life["stages"]][:2] == ["a", "r"]
    assert {"arrived", "route", "sent"} <= {fact["kind"] for fact in life["stages"][1]["facts"]}


def test_a_neighbour_is_told_up_to_an_instant(cli):
    code, out, _ = cli("explain", "x.yaml", "--neigh", "a 10.0.0.2 dev eth0", "--at", "1ms")
    assert code == 0
    assert out.startswith("10.0.0.2 dev eth0 on a: INCOMPLETE since 0s: packet to send\n")


def test_a_decision_is_told_with_its_candidates(cli):
    code, out, _ = cli("explain", "x.yaml", "--decision", "r at 2s")
    assert code == 0
    assert out.startswith("r at 2.001s: ")
    assert "0: via 10.0.1.1 dev eth1" in out
    assert "1: via 10.0.2.1 dev eth2" in out
    assert cli("explain", "x.yaml", "--decision", "at 2s")[1] == out
    assert cli("explain", "x.yaml", "--decision", "r", "--at", "2s")[1] == out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "explain: explain what? (one of --packet, --frame, --flow, --filter, --neigh, --decision)"),
        (("--flow", "v"), '--flow: v: no traffic "v" (there are: w)'),
        (("--flow", "w", "--packet", "60"), "--packet: 60: there is no such packet in this run (7 of them are sent)"),
        (("--frame", "999"), "--frame: 999: no IP packet of this run is in that frame"),
        (("--filter", "tcp"), "--packet: 1: there is no such packet in this run (none of them is sent)"),
        (("--neigh", "a eth0"), "--neigh: 'a eth0' does not name a neighbour (as \"router 10.0.1.1 dev wan0\")"),
        (("--neigh", "b 10.0.0.2 dev eth0"), 'NODE: no node "b" (there are: a, r, isp1, isp2)'),
        (("--neigh", "a 10.0.0.2 dev eth9"), '--neigh: a has no interface "eth9" (did you mean "eth0"?)'),
        (("--neigh", "a 10.0.0.2 dev eth0", "--packet", "1"), "explain: --neigh goes with --at alone"),
        (("--decision", "r soon"), '--decision: "r soon" cannot be read (as "router at 96s")'),
        (("--decision", "a at 1s"), "--decision: no decision with a choice on a from there on"),
        (("--flow", "w", "--at", "soon"), "--at: "),
        (
            ("--flow", "w", "--at", "5h"),
            "--at: 5h is after the run, which ends at 6s (--set duration=... makes it longer)",
        ),
        (("--decision", "r at 5h"), "--decision: 5h is after the run, which ends at 6s (--set duration=... makes it"),
        (("--decision", "r", "--packet", "2"), "explain: --decision goes with --filter and --at alone"),
    ],
)
def test_each_mistake_is_one_line_and_status_2(cli, args, said):
    code, out, err = cli("explain", "x.yaml", *args)
    assert (code, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_show_why_tells_the_decision_behind_an_answer(cli):
    code, out, _ = cli("show", "x.yaml", "r", "ip route get 192.0.2.1", "--at", "2s", "--why")
    assert code == 0
    assert out.startswith("192.0.2.1 via 10.0.")
    assert "x.yaml:9: ip route add default" in out
    assert "why: " in out
    told = json.loads(cli("show", "x.yaml", "r", "ip route get 192.0.2.1", "--at", "2s", "--why", "--json")[1])
    assert told["why"][0]["data"]["table"] == "main"


def test_show_why_says_so_when_nothing_was_decided(cli):
    assert cli("show", "x.yaml", "r", "ip -br link show dev eth0", "--why")[1].endswith(
        "no routing decision was made for it\n"
    )
