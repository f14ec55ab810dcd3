"""Which way each packet went, as recorded: alternative default routes in motion (d2), multipath (e1).

d2 is eleven labs side by side, each played by itself with the recorded draws and the kernel's timer wheel: the whole
feedback is compared, neighbour states make choices and choices make neighbour states.
Source: observed-linux sections 3 and 4.
"""

import re
from functools import cache

import pytest
from cases.case import fit, load
from cases.compare import CLOSE, LATE, POLL, answer, choices, distance, life, states_at, tally
from cases.lab import Play

D2 = "d2_altroutes_dynamics"
E1 = "e1_multipath"
LABS = "ABCDEFGHIJK"


@cache
def alternatives(lab):
    drawn = fit(D2)
    return Play(
        load(D2), keep=lambda node: node[1] == lab, phase=drawn.phase,
        reachable={iface: ms for iface, ms in drawn.reachable.items() if iface[1] == lab},
    ).run()  # fmt: skip


def sending(case, lab):
    return next(i for i, a in enumerate(case.timeline) if "udp" in a and a["node"][1] == lab)


def chosen(play, case, lab):
    packets = [p for iface, each in play.packets.items() if iface.startswith(f"r{lab}.") for p in each]
    return choices(sorted(packets, key=lambda p: p.t), "> 8.8.8.8", case.at[sending(case, lab)][0], 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS)
def test_each_packet_takes_the_recorded_gateway(lab):
    """A choice may differ only while neighbour states differ: timers of 252 ms were up to 36 ms late there, each."""
    case, play = load(D2), alternatives(lab)
    start = case.at[sending(case, lab)][0]
    equal, total, wrong = tally(chosen(case, case, lab), chosen(play, case, lab))
    print(f"d2 {lab}: {equal} of {total} choices equal; not: {wrong}")
    for k, _, _ in wrong:
        at = start + 0.1 * k
        was, is_ = (
            states_at(each.events, f"r{lab}", at - 0.01, at + late) for each, late in ((case, POLL), (play, 0.01))
        )
        assert was != is_ or len(was) > 1, (k, at, was)
    assert total - equal <= 3


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS)
def test_gateways_live_as_recorded(lab):
    case, play = load(D2), alternatives(lab)
    for ip in sorted({e["ip"] for e in case.of("nud") if e["node"] == f"r{lab}" and e["ip"].startswith("10.")}):
        want, got = life(case.events, f"r{lab}", ip), life(play.events, f"r{lab}", ip)
        before, after = distance(want, got, case.duration)
        assert before < CLOSE, ip
        assert after < LATE, ip


@cache
def multipath():
    return Play(load(E1)).run()


def paths(play):
    """Return flow -> the device it left by: "192.168.0.3 > 8.8.1.1 UDP 20000>9" -> "eth1"."""
    out = {}
    for dev in ("eth1", "eth2"):
        for p in play.packets[f"r.{dev}"]:
            if p.way == "out" and ("UDP" in p.line or "echo-request" in p.line) and "> 8.8." in p.line:
                out[re.sub(r" ttl \d+", "", p.line)] = dev
    return out


def phases():
    return [
        pytest.param(
            i, id=f"{a['t']} {a['node']} {a['udp_flows'].get('proto', 'udp')} {a['udp_flows'].get('sport', '')}"
        )
        for i, a in enumerate(load(E1).timeline)
        if "udp_flows" in a
    ]


@pytest.mark.slow
@pytest.mark.parametrize("index", phases())
def test_each_flow_takes_the_recorded_path(index):
    case, play = load(E1), multipath()
    flows = case.timeline[index]["udp_flows"]
    if flows.get("proto") == "icmp":
        pattern = re.compile(r"echo-request id 1[0-3]\d ")
    else:
        last = flows["sport"] + (flows["n"] - 1) * flows.get("sport_step", 1)
        pattern = re.compile("|".join(f"UDP {port}>" for port in range(flows["sport"], last + 1)))
    want, got = ({flow: dev for flow, dev in paths(each).items() if pattern.search(flow)} for each in (case, play))
    equal, total, wrong = tally(want, got)
    print(f"e1 {case.timeline[index]['t']}: {equal} of {total} paths equal")
    assert wrong == []


def lines(kind):
    case = load(E1)
    return [pytest.param(i, id=f"{e['t']:.1f}: {e.get('cmd') or e.get('q')}") for i, e in enumerate(case.of(kind))]


@pytest.mark.slow
@pytest.mark.parametrize("index", lines("cmd"))
def test_a_command_gets_the_recorded_answer(index):
    want, got = load(E1).of("cmd")[index], multipath().of("cmd")[index]
    assert (want["cmd"], *answer(want)) == (got["cmd"], *answer(got))


@pytest.mark.slow
@pytest.mark.parametrize("index", lines("route_get"))
def test_route_get_answers_as_recorded(index):
    want, got = load(E1).of("route_get")[index], multipath().of("route_get")[index]
    assert {key: want[key] for key in ("q", "rc", "out", "err", "json")} == {
        key: got[key] for key in ("q", "rc", "out", "err", "json")
    }


@pytest.mark.slow
def test_the_same_datagrams_arrive():
    want, got = (
        sorted((e["node"], e["frm"], e["to"]) for e in each.of("udp_srv_rx")) for each in (load(E1), multipath())
    )
    assert want == got
