"""What only a live run cannot do is told before anything starts, at its place; and where the command runs."""

from __future__ import annotations

import pytest

from netsim.cli import main
from netsim.errors import ConfigError
from netsim.live.plan import Wish, place, real_nodes
from netsim.scenario.load import load
from netsim.scenario.model import Live

PAIR = """\
name: pair
topology:
  nodes:
    a: {addr: {eth0: 10.0.0.1/24}}
    b: {addr: {eth0: 10.0.0.2/24, eth1: 10.1.0.2/24}}
  links: {l0: {ends: [a:eth0, b:eth0]}}
"""


@pytest.fixture
def problems(tmp_path):
    """Return what is wrong with PAIR and more lines, as (line, column, text)."""

    def told(more):
        file = tmp_path / "pair.yaml"
        file.write_text(PAIR + more)
        with pytest.raises(ConfigError) as caught:
            real_nodes(load(file))
        return [(each.line, each.column, f"{each.path}: {each.what} ({each.hint})") for each in caught.value.problems]

    return told


def test_a_taps_interface_is_the_one_that_is_on_a_link(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text(PAIR + "live: {b: {tap: tap0}, a: {namespace: auto}}\n")
    assert real_nodes(load(file)) == {"b": Live(tap="tap0", dev="eth0"), "a": Live(namespace="auto")}


def test_a_scenario_without_real_nodes_is_no_live_one(problems):
    ((line, column, text),) = problems("")
    assert (line, column) == (1, 1)
    assert text == "live: no node is real (live: {NODE: {namespace: auto}})"


def test_a_flow_of_a_node_behind_a_tap_is_told_at_its_own_line(problems):
    told = problems(
        "traffic:\n"
        "  out: {to: a, from: b}\n"
        "  in: {from: a, to: 10.1.0.2, server: b}\n"
        "  fine: {from: a, to: b}\n"
        "live: {b: {tap: tap0}}\n"
    )
    assert told == [
        (8, 22, "traffic.out.from: b needs a program and is behind a tap (run it there yourself)"),
        (9, 39, "traffic.in.server: b needs a program and is behind a tap (run it there yourself)"),
    ]


def test_repeatable_is_no_question_to_a_run_in_real_time(problems):
    told = problems("live: {b: {namespace: auto}}\nexpect:\n  - {name: same, repeatable: true}\n")
    words = "expect[0].repeatable: nothing in real time happens twice the same (netsim run can be asked for it)"
    assert told == [(9, 30, words)]


def test_all_of_that_is_exit_status_2_and_nothing_starts(tmp_path, capsys):
    file = tmp_path / "pair.yaml"
    file.write_text(PAIR + "live: {b: {namespace: auto}}\nexpect:\n  - {name: same, repeatable: true}\n")
    with pytest.raises(SystemExit) as stopped:
        main(["live", str(file), "--", "echo", "it ran"])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.startswith(f"{file}:9:30: expect[0].repeatable: ")


REAL = {"door": Live(tap="tap0", dev="eth0"), "a": Live(namespace="auto"), "b": Live(namespace="auto")}


@pytest.mark.parametrize(
    ("wish", "node"),
    [(Wish(), ""), (Wish(argv=["true"]), "a"), (Wish(argv=["true"], node="b"), "b")],
    ids=["no command", "the first in a namespace", "where it is wished"],
)
def test_the_command_runs_in_a_namespace(wish, node):
    assert place(wish, REAL) == node


@pytest.mark.parametrize("node", ["door", "c"])
def test_a_command_runs_nowhere_else(node):
    with pytest.raises(ConfigError, match=rf'NODE: "{node}" is no real node \(there are: a, b\)'):
        place(Wish(argv=["true"], node=node), REAL)


def test_a_command_behind_taps_alone_is_the_persons_to_run():
    with pytest.raises(ConfigError, match="COMMAND: every real node is behind a tap"):
        place(Wish(argv=["true"]), {"door": REAL["door"]})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--", "--on", "b", "true"],
            "COMMAND: --on is an option, and what stands behind -- is a command (netsim live ",
        ),
        (["--shell", "b", "--", "true"], "--shell: a shell or true, not both (--on NODE -- COMMAND)"),
        (["--shell", "b", "--on", "a"], "--shell: says where the shell is (drop --on)"),
        (["true", "--on", "c"], 'NODE: "c" is no real node (there are: b)'),
        (["--shell", "c"], 'NODE: "c" is no real node (there are: b)'),
        (["--on", "b"], "--on: nothing to run on b (--on NODE -- COMMAND)"),
    ],
)
def test_options_stand_before_the_dashes_wherever_the_file_does_and_none_is_passed_over(tmp_path, capsys, words, told):
    file = tmp_path / "pair.yaml"
    file.write_text(PAIR + "live: {b: {namespace: auto}}\n")
    with pytest.raises(SystemExit) as stopped:
        main(["live", str(file), *words])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.startswith(told)
