"""Two recorded sessions on a real kernel, replayed on a box: every answer, listing and refusal word for word.

    a --- eth0 r            (wrong_commands: r alone; device_address: r also has eth1 to b)

The recordings were made on veth; their peers' names and namespaces are taken out, and so is what needs packets to have
flowed (pings, one REACHABLE neighbour) and what shows that the kernel takes note of a carrier a moment later than the
device goes up (NO-CARRIER beside LOWER_UP).
Source: recorded cases n1 and i1 (Linux 6.18), observed-linux 8 and 15.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from netsim.addr import parse_mac
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink, SetLink
from netsim.units import sec

DATA = Path(__file__).parents[2] / "data" / "shell"


def box(*devices: tuple[str, str]):
    made = Netns("r", profile("linux-6"), random.Random(1))
    made.request(SetLink(dev="lo", up=True), now=0)
    for name, mac in devices:
        made.request(NewLink(name=name, mac=parse_mac(mac)), now=0)
    return made


def answers(made, rows, events=()):
    """Run the rows and return those that differ."""
    waiting = list(events)
    differ = []
    for number, row in enumerate(rows):
        now = sec(row.get("t", number / 1000))
        while waiting and waiting[0][0] <= now:
            at, device, up = waiting.pop(0)
            made.carrier(device, up, now=at)
        result = run(made, row["cmd"], now=now)
        said = result.stderr.replace(result.stderr[5:], "\n") if row["err"] == "Usage\n" else result.stderr
        if (row["rc"], row["out"], row["err"]) != (result.rc, result.stdout, said):
            differ.append(
                f"$ {row['cmd']}\n--- recorded rc={row['rc']}\n{row['out']}{row['err']}"
                f"--- here rc={result.rc}\n{result.stdout}{said}"
            )
    return differ


ROUTING_ROOM = ("$ ip route get 8.1.0.1\n", "$ ip rule show\n")
"""Answers that still differ because of what the box says: see the test that expects them to fail."""


def wrong_command_differences():
    made = box(("eth0", "02:00:00:00:01:02"))
    run(made, "ip addr add 10.0.1.2/24 dev eth0; ip link set eth0 up", now=0)
    return answers(made, json.loads((DATA / "wrong_commands.json").read_text()))


def test_wrong_commands_are_answered_as_recorded():
    differ = [text for text in wrong_command_differences() if not text.startswith(ROUTING_ROOM)]
    assert not differ, "\n".join(differ)


def test_every_wrong_command_is_answered_as_recorded():
    differ = wrong_command_differences()
    assert not differ, "\n".join(differ)


def test_device_and_address_events_do_what_was_recorded():
    rows = json.loads((DATA / "device_address.json").read_text())
    made = box(("eth0", "02:00:00:00:01:02"), ("eth1", "02:00:00:00:02:02"))
    events = [(sec(4), "eth0", False), (sec("6.5"), "eth0", True)]
    assert not (differ := answers(made, rows, events)), "\n".join(differ)
