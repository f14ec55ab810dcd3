"""Two tables, cell by cell: which packets pass the reverse path filter (h1), which ARP requests are answered (j2).

Source: observed-linux sections 7 and 9.
"""

import re
from functools import cache

import pytest
from cases.case import load
from cases.compare import CLOSE, answer, distance, life, neighbours
from cases.lab import Play

EARLY = 0.002
"""The recorder notes a frame after it has sent it."""


@cache
def both(name):
    case = load(name)
    return case, Play(case).run()


def verdict(play, index):
    """Tell what became of the frame of an action: "L" delivered, "F" forwarded, "-" dropped."""
    action, (at,) = play_case(play).timeline[index], play_case(play).at[index]
    router = action["node"].replace("p", "r")
    port = sport(play_case(play), index)
    for event in play.of("udp_srv_rx", node=router):
        if event["frm"].endswith(f":{port}") and -0.01 < event["t"] - at < 0.02:
            return "L"
    for iface, packets in play.packets.items():
        if iface.startswith(f"{router}."):
            for p in packets:
                if p.way == "out" and f"UDP {port}>" in p.line and "{" not in p.line and -0.01 < p.t - at < 0.02:
                    return "F"
    return "-"


def play_case(play):
    return getattr(play, "case", play)


def sport(case, index):
    octets = case.frames[index]
    return octets[34] << 8 | octets[35]


def frames(name):
    case = load(name)
    out = []
    for index, action in enumerate(case.timeline):
        if "frame" in action:
            said = re.search(r"/b'([^']*)'", action["frame"])
            label = action.get("tag") or (said[1] if said else "")
            out.append(pytest.param(index, id=f"{name[:2]}-{index}: {label}"))
    return out


@pytest.mark.parametrize("index", frames("h1_rp_filter"))
def test_the_reverse_path_filter_decides_as_recorded(index):
    case, play = both("h1_rp_filter")
    assert verdict(case, index) == verdict(play, index), case.timeline[index]["frame"]


def answers(play, index):
    """Return the ARP replies that r gave before the next frame."""
    case = play_case(play)
    later = [case.at[i][0] for i, action in enumerate(case.timeline) if "frame" in action and i > index]
    start, end = case.at[index][0], min(later, default=case.duration)
    return [
        p.line
        for p in play.packets["r.eth0"]
        if p.way == "out" and start - EARLY <= p.t < end - EARLY and "ARP reply" in p.line
    ]


@pytest.mark.parametrize("index", frames("j2_arp_replies"))
def test_an_arp_request_is_answered_as_recorded(index):
    case, play = both("j2_arp_replies")
    assert answers(case, index) == answers(play, index), case.timeline[index]["frame"]


@pytest.mark.parametrize(("node", "ip"), neighbours(load("j2_arp_replies").events))
def test_asking_makes_the_recorded_neighbours(node, ip):
    case, play = both("j2_arp_replies")
    assert max(distance(life(case.events, node, ip), life(play.events, node, ip), case.duration)) < CLOSE


@pytest.mark.parametrize("name", ["h1_rp_filter", "j2_arp_replies"])
def test_settings_answer_as_recorded(name):
    case, play = both(name)
    want, got = (
        [(e["cmd"], *answer(e)) for e in each.of("cmd") if not e["cmd"].startswith("bash")] for each in (case, play)
    )
    assert want == got
