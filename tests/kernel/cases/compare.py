"""What was recorded beside what was played."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from .case import Packet

POLL = 0.03
"""The recorder looks at neighbours every 10 to 20 ms: a state that lasted less may be missing in its account."""

BLINK = 0.25
LATE = 0.36
"""How far apart two lives may be after a failure: the lateness of a chain of retransmissions, or one interval."""
CLOSE = 0.06
"""How far apart they may be before: two polls and the lateness of whoever sends."""

Life = list[tuple[float, str]]


def answer(command: dict[str, Any]) -> tuple[int, str, str]:
    """Return exit status and output of a command, without what is no statement about Linux's networking.

    Left out: the peer of a veth ("@if25", link-netns), times that ping measured, the rest of a usage text, the order of
    neighbours (a hash with a random seed). An operstate is told as if linkwatch, which runs later, had run.
    """
    out, err = command["out"], command["err"]
    out = re.sub(r"(@if\d+) *", lambda found: " " * (len(found[0]) - len(found[1])) if " " in found[0] else "", out)
    out = re.sub(r" link-netns(id)? \S+|\"link_index\":\d+,|\"link_netnsid\":\d+,", "", out)
    out = re.sub(r"^(\S+) +(UP|DOWN|UNKNOWN|LOWERLAYERDOWN) +", r"\1 \2 ", out, flags=re.M)
    out = re.sub(r"<NO-CARRIER,(\S*LOWER_UP>.* state )DOWN", r"<\1UP", out)
    out = re.sub(r"DOWN (\S+) <NO-CARRIER,(\S*LOWER_UP>)", r"UP \1 <\2", out)
    if " neigh show" in command.get("cmd", ""):
        out = "".join(sorted(out.splitlines(keepends=True)))
    out = re.sub(r"time[=< ][\d.]*( ?ms)?", "time=", out)
    out = re.sub(r"rtt .*", "rtt", out)
    out = re.sub(r", pipe \d+", "", out)
    if err.startswith("Usage:"):
        err = "Usage:"
    return command["rc"], out, err


def life(events: Iterable[dict[str, Any]], node: str, ip: str) -> Life:
    """Return the states of one neighbour with their beginnings; changes of probe counts alone are no states.

    A resolution that fails again and again is one state, FAILED: `dwells` has the tries.
    """
    out: Life = []
    for t, state in _states(events, node, ip):
        if state == "INCOMPLETE" and out and out[-1][1] == "PROBE":
            state = "FAILED"  # it was, for less than a poll
        tries = bool(out) and out[-1][1] == "FAILED" and state in ("INCOMPLETE", "FAILED")
        if not tries and (not out or out[-1][1] != state):
            out.append((t, state))
    return out


def dwells(events: Iterable[dict[str, Any]], node: str, ip: str) -> list[tuple[str, str, float]]:
    """Return (state, next state, seconds between) of one neighbour, its failed resolutions one by one."""
    states = _states(events, node, ip)
    return [(state, after, end - start) for (start, state), (end, after) in pairwise(states)]


def _states(events: Iterable[dict[str, Any]], node: str, ip: str) -> Life:
    """List every state; a count of probes that went down tells of a failure that no poll saw."""
    out: Life = []
    probes = 0
    for event in events:
        if event["kind"] != "nud" or event["node"] != node or event["ip"] != ip:
            continue
        t, state, before = event["t"], event["state"], probes
        probes = event.get("probes") or 0
        if out and out[-1][1] == state == "INCOMPLETE" and probes < before:
            out.append((t, "FAILED"))
        if not out or out[-1][1] != state:
            out.append((t, state))
    return out


def neighbours(events: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return every (node, address) that has a life, in order of appearance."""
    return list(dict.fromkeys((e["node"], e["ip"]) for e in events if e["kind"] == "nud"))


def distance(want: Life, got: Life, until: float = 1e9) -> tuple[float, float]:
    """Pair two lives state by state; return the largest distance in seconds between two beginnings.

    Once for what came before the first FAILED, once for the rest: the last of several timers in a row, and all that
    depends on when a broadcast meets a gateway that came back, is off by the lateness of them all. A state shorter than
    a poll may be missing on either side, after a failure one of up to `BLINK`. Raises AssertionError where they part.
    """
    __tracebackhide__ = True
    want, got = ([move for move in moves if move[0] < until] for moves in (want, got))
    ends = [[*(move[0] for move in moves[1:]), until] for moves in (want, got)]
    i = j = 0
    apart = [0.0, 0.0]
    failed = False
    while i < len(want) or j < len(got):
        blink = BLINK if failed else POLL
        if i < len(want) and j < len(got) and want[i][1] == got[j][1]:
            failed = failed or want[i][1] == "FAILED"
            apart[failed] = max(apart[failed], abs(want[i][0] - got[j][0]))
            i, j = i + 1, j + 1
        elif j < len(got) and ends[1][j] - got[j][0] < blink:
            j += 1
        elif i < len(want) and ends[0][i] - want[i][0] < blink:
            i += 1
        else:
            raise AssertionError(
                f"recorded {want[i : i + 4]}, played {got[j : j + 4]}; before: {want[max(0, i - 3) : i]}"
            )
    return apart[0], apart[1]


def choices(packets: Iterable[Packet], text: str, start: float, interval: float) -> dict[int, str]:
    """Return the next hop's MAC by number of sending, of packets that left whose line has `text`."""
    out: dict[int, str] = {}
    for packet in packets:
        if packet.way == "out" and text in packet.line and "{" not in packet.line:
            out.setdefault(round((packet.t - start) / interval), packet.to)
    return out


def states_at(events: Iterable[dict[str, Any]], node: str, start: float, end: float) -> set[frozenset[Any]]:
    """Return what the neighbours of a node were, all together, at some instant between two."""
    now: dict[str, str] = {}
    out = set()
    for event in events:
        if event["kind"] == "nud" and event["node"] == node:
            if event["t"] > start:
                out.add(frozenset(now.items()))
            if event["t"] > end:
                return out
            now[event["ip"]] = event["state"]
    out.add(frozenset(now.items()))
    return out


def tally(want: dict[Any, Any], got: dict[Any, Any]) -> tuple[int, int, list[Any]]:
    """Return how many keys agree, how many there are, and where they do not."""
    keys = sorted({*want, *got})
    wrong = [(key, want.get(key), got.get(key)) for key in keys if want.get(key) != got.get(key)]
    return len(keys) - len(wrong), len(keys), wrong
