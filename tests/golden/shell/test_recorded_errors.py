"""Every wrong command of the recorded session that the tool itself refuses, word for word.

What the kernel refuses is held in test_recorded_box.py against a whole box. Source: recorded case n1 (Linux 6.18,
iproute2 6.1, procps 4.0.2), observed-linux 15.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.shell.dispatch import check_line, run
from netsim.stack.profile import profile
from netsim.stack.requests import DONE, DumpAddrs, DumpLinks, DumpNeighs, DumpRoutes, DumpRules, LinkInfo

DATA = Path(__file__).parents[2] / "data" / "shell" / "wrong_commands.json"
ROWS = [row for row in json.loads(DATA.read_text()) if row["rc"] in (1, 255) and not row["cmd"].startswith("sysctl")]
ABOUT_THE_BOX = ("Cannot find device", "does not exist")


class EmptyBox:
    """A box with lo and eth0 and nothing else, which takes every change."""

    name = "r"
    profile = profile("linux-6")

    def request(self, req, *, now):
        if isinstance(req, DumpLinks):
            names = ((1, "lo", "loopback"), (2, "eth0", "ether"))
            return tuple(
                LinkInfo(
                    ifindex=index,
                    name=name,
                    kind=kind,
                    flags=0,
                    mtu=1500,
                    mac=bytes(6),
                    carrier=True,
                    rx_packets=0,
                    rx_bytes=0,
                    tx_packets=0,
                    tx_bytes=0,
                )
                for index, name, kind in names
            )
        return () if isinstance(req, DumpAddrs | DumpNeighs | DumpRoutes | DumpRules) else DONE


@pytest.mark.parametrize("row", ROWS, ids=[row["cmd"] for row in ROWS])
def test_a_wrong_command_is_refused_word_for_word(row):
    result = run(EmptyBox(), row["cmd"], now=0)
    said = result.stderr if row["err"] != "Usage\n" else result.stderr.replace(result.stderr[5:], "\n")
    assert (row["rc"], row["err"]) == (result.rc, said)


@pytest.mark.parametrize("row", ROWS, ids=[row["cmd"] for row in ROWS])
def test_a_wrong_command_is_found_before_anything_runs(row):
    problems = check_line(row["cmd"], "linux-6")
    expected = 0 if any(words in row["err"] for words in ABOUT_THE_BOX) else 1
    assert expected == len(problems)
