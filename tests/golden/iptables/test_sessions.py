"""Every recorded command against the tables: output, errors, exit status as the real tool's. Source: README.md here."""

import importlib.util
import re
from pathlib import Path

import pytest

from netsim.shell.tool import CommandResult
from netsim.stack.netfilter.requests import DumpTables

HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("iptables_replay", HERE / "replay.py")
replay = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(replay)
TablesBox, sessions = replay.TablesBox, replay.sessions

SESSIONS = [
    pytest.param(steps, id=f"{path.stem.removeprefix('sessions-')}: {name}")
    for path in sorted(HERE.glob("sessions-*.txt"))
    for name, steps in sessions(path).items()
]


def undated(result):
    return CommandResult(re.sub(r" on [A-Z].*\d{4}$", " on DATE", result.stdout, flags=re.M), result.stderr, result.rc)


def specs(box):
    """Everything but counters."""
    return [
        (table.name, chain.name, chain.policy, chain.references, [rule.spec for rule in chain.rules])
        for table in box.request(DumpTables(), now=0)
        for chain in table.chains
    ]


@pytest.mark.parametrize("steps", SESSIONS)
def test_the_tables_answer_as_the_real_tool(steps):
    box = TablesBox()
    for step in steps:
        assert step.result == undated(box.sh(step.line)), step.line


@pytest.mark.parametrize("steps", SESSIONS)
def test_a_refused_command_changes_nothing_and_tracking_counts_rules(steps):
    box = TablesBox()
    for step in steps:
        before = specs(box)
        if box.sh(step.line).rc:
            assert before == specs(box), step.line
    box.sh("iptables -F; iptables -t nat -F; iptables -t mangle -F; iptables -t raw -F; iptables -t security -F")
    assert box.services.conntrack.users == 0


@pytest.mark.parametrize("steps", SESSIONS)
def test_what_the_tool_lists_it_reads_back(steps):
    """show -> parse -> show is a fixed point: the rules of -S, given to an empty box, list the same."""
    box, copy = TablesBox(), TablesBox()
    for step in steps:
        box.sh(step.line)
    for table in ("filter", "nat", "mangle", "raw", "security"):
        listed = box.sh(f"iptables -t {table} -S").stdout
        for line in listed.splitlines():
            if " -i a b " in line:
                continue  # the tool itself prints no quotes around such a name
            if table != "nat" or not line.startswith("-P"):
                copy.sh(f"iptables -t {table} {line}".replace("$z", "\\$z"))
        expected = "".join(f"{line}\n" for line in listed.splitlines() if " -i a b " not in line)
        assert expected == copy.sh(f"iptables -t {table} -S").stdout
