"""The referee leaves nothing behind, touches nothing outside, and says what is missing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netsim.errors import Skipped
from netsim.kernel.lab import KernelLab
from netsim.kernel.probe import require
from netsim.sim.node import NO_POWER
from netsim.topology.model import Topology
from netsim.trace.records import Dropped, FlowDelivered, FrameSent, NeighChange
from netsim.units import ms, sec

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SCENARIO = str(ROOT / "scenarios" / "kernel" / "neigh-short-timers.yaml")
PAIR = Topology.model_validate({
    "nodes": {"a": {"addr": {"eth0": "10.0.0.1/24"}}, "b": {"addr": {"eth0": "10.0.0.2/24"}}},
    "links": {"lan": {"ends": ["a:eth0", "b:eth0"], "delay": "5ms"}},
})  # fmt: skip


@pytest.fixture(autouse=True)
def _kernel():
    try:
        require()
    except Skipped as skipped:
        pytest.skip(str(skipped))


def namespaces() -> set[str]:
    """Every network namespace that some process is in or holds open."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for place in (process / "ns" / "net", *process.glob("fd/*")):
            try:
                target = str(place.readlink())
            except OSError:
                continue  # it ended meanwhile
            if target.startswith("net:"):
                found.add(target)
    return found


def verify(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "netsim", "verify", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip


def settled(before: set[str]) -> set[str]:
    """Return the namespaces that are there and were not, once they had time to go."""
    for _ in range(40):
        left = namespaces() - before
        if not left:
            break
        time.sleep(0.1)
    return left


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind_after_an_interruption_in_the_middle(how, tmp_path):
    """Not a namespace, not a device, and no program that a line of the file started."""
    before, devices = namespaces(), socket.if_nameindex()
    ping, file = ("ping", "-c", "2", "-i", f"17.{os.getpid()}", "10.0.0.2"), tmp_path / "left.yaml"
    file.write_text(
        "duration: 60s\n"
        "topology:\n"
        "  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}\n"
        "  links: {lan: {ends: [a:eth0, b:eth0]}}\n"
        f"events: [{{at: 0s, run: {{a: {' '.join(ping)}}}}}]\n"
    )
    process = verify(str(file))
    for _ in range(100):
        if len(namespaces() - before) >= 3:
            break
        time.sleep(0.1)
    assert len(namespaces() - before) >= 3
    assert begun(*ping)
    os.killpg(process.pid, how)
    process.communicate(timeout=20)
    assert settled(before) == set()
    assert not alive(*ping)
    assert socket.if_nameindex() == devices


AS_NOBODY = """
import os, sys
import netsim.cli.app, netsim.oracle.batch, netsim.kernel.probe
from netsim.cli import main
from netsim.scenario.load import load
load(sys.argv[1])
netsim.kernel.probe.abilities()
os.setgroups([]), os.setgid(65534), os.setuid(65534)
main(["verify", sys.argv[1]])
"""
"""Everything is imported by root: nobody may not be able to read where Python is."""


def test_without_root_one_line_says_what_is_missing():
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, SCENARIO], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 4
    assert done.stdout == ""
    kept = Path(SCENARIO).parent / "recorded"
    assert done.stderr.splitlines() == [
        "netsim: the real kernel cannot be asked: no network namespace can be made: Operation not permitted; not root "
        f"(its answers are kept: --against {kept})"
    ]


def test_a_wrong_file_is_told_before_anything_runs(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("name: x\nduration: soon\n")
    process = verify(str(file))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"{file}:2" in err


class Seen(list):
    """The records of a lab, by type."""

    def of(self, kind):
        return [record for record in self if isinstance(record, kind)]


@pytest.fixture
def pair():
    seen = Seen()
    with KernelLab(PAIR, bus_ready=lambda bus: bus.subscribe(
        (FrameSent, FlowDelivered, NeighChange, Dropped), seen.append)) as lab:  # fmt: skip
        yield lab, seen


def test_applications_of_the_emulator_run_on_kernel_sockets(pair):
    lab, seen = pair
    lab.flow("web", source="a", to="b:9", every=ms(100), count=3)
    lab.flow("get", source="a", to="b:80", kind="http", every=None, size=5000, start=ms(50))
    lab.flow("echo", source="a", to="b", kind="ping", every=ms(100), count=2)
    lab.run(sec("0.6"))
    got = [(r.flow, r.seq) for r in seen.of(FlowDelivered)]
    assert sorted(got) == [("echo", 0), ("echo", 1), ("get", 0), ("web", 0), ("web", 1), ("web", 2)]


def test_a_silent_node_keeps_its_carrier_and_hears_nothing(pair):
    lab, seen = pair
    lab.flow("web", source="a", to="b:9", every=ms(100), count=5)
    lab.event("silence", "b", at=ms(250))
    lab.run(sec("0.6"))
    assert [r.seq for r in seen.of(FlowDelivered)] == [0, 1, 2]
    assert {r.reason for r in seen.of(Dropped)} == {"NODE_SILENT"}
    assert "LOWER_UP" in lab["b"].sh("ip link show eth0").stdout


def test_a_cut_cable_takes_the_carrier_from_both_ends(pair):
    lab, _ = pair
    lab.event("cut", "lan", at=ms(50))
    lab.run(ms(300))
    assert all("NO-CARRIER" in lab[node].sh("ip link show eth0").stdout for node in ("a", "b"))


def test_a_crashed_box_boots_anew_without_what_it_had_learned(pair):
    lab, seen = pair
    lab.flow("web", source="a", to="b:9", every=ms(100), count=20)
    lab.at(ms(150), lambda: lab["b"].sh("ip route add 192.0.2.0/24 via 10.0.0.1"))
    lab.event("crash", "b", at=ms(250))
    lab.event("boot", "b", at=ms(650))
    lab.run(sec("1.5"))
    assert "192.0.2.0" not in lab["b"].sh("ip route").stdout
    assert [r.seq for r in seen.of(FlowDelivered)][:3] == [0, 1, 2]
    assert seen.of(FlowDelivered)[-1].seq > 6


def test_a_command_runs_verbatim_while_the_wires_go_on(pair):
    lab, _ = pair
    lab.run(ms(10))
    answer = lab["a"].sh("ping -c 1 -W 1 10.0.0.2 | grep -c 'bytes from'; exit 3")
    assert (answer.stdout, answer.rc) == ("1\n", 3)


def alive(*words):
    """Return the processes with such a command line that are not dead."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if (each / "cmdline").read_bytes().split(b"\0")[:-1] == [word.encode() for word in words]:
                found.append(each.name)
        except OSError:
            continue  # it ended meanwhile
    return found


def begun(*words):
    """Return the processes with such a command line, once there are any."""
    for _ in range(100):
        if found := alive(*words):
            break
        time.sleep(0.05)
    return found


def test_a_program_in_the_background_holds_nothing_up_and_ends_with_its_box():
    """Also one that left its group, and one of a set-up line, for whose pipes a box once waited without an end."""
    number = f"31{os.getpid()}"
    nodes = {**PAIR.nodes, "b": PAIR.nodes["b"].model_copy(update={"run": f"sleep {number}.1 &"})}
    with KernelLab(PAIR.model_copy(update={"nodes": nodes})) as lab:
        lab.run(ms(10))
        answer = lab["a"].sh(f"setsid sleep {number}.2 & echo started")
        assert (answer.stdout, answer.rc) == ("started\n", 0)
        assert lab.kernel_world.clock() < sec(2)
        assert begun("sleep", f"{number}.1")
        assert begun("sleep", f"{number}.2")
    assert not alive("sleep", f"{number}.1")
    assert not alive("sleep", f"{number}.2")


def test_a_program_in_the_background_loses_power_with_its_box(pair):
    lab, _ = pair
    number = f"32{os.getpid()}"
    lab.run(ms(10))
    lab["b"].sh(f"setsid sleep {number} &")
    assert begun("sleep", number)
    lab.event("crash", "b")
    assert not alive("sleep", number)


def test_without_power_a_box_answers_no_command(pair):
    lab, _ = pair
    lab.run(ms(10))
    lab.event("crash", "b")
    assert lab["b"].sh("echo here") == NO_POWER
    lab.event("boot", "b")
    assert lab["b"].sh("echo here").stdout == "here\n"


def test_a_command_that_tries_our_patience_is_ended_with_its_children(pair, monkeypatch):
    lab, _ = pair
    monkeypatch.setattr("netsim.kernel.world.PATIENCE", ms(200))
    number = f"33{os.getpid()}"
    lab.run(ms(10))
    answer = lab["a"].sh(f"echo begun; sleep {number}; echo through")
    assert (answer.stdout, answer.rc) == ("begun\n", 137)
    assert not alive("sleep", number)
