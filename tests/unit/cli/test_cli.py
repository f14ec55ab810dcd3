"""The command line: what goes where, exit status, JSON; and that it starts quickly."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netsim.cli import main
from netsim.files import Staging
from netsim.scenario.result import Result
from netsim.stack import netns

ROOT = Path(__file__).parents[3]
GOOD = (
    "topology: {nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}, "
    "links: {l: {ends: [a:eth0, b:eth0], delay: 1ms}}}\nduration: 5s\n"
    "traffic: {w: {from: a, to: b, kind: udp, every: 1s}}\n"
)


def test_check_says_ok_on_standard_output(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    assert cli("check", "x.yaml") == (0, "x.yaml: ok\n", "")


def test_check_tells_all_mistakes_of_all_files_and_exits_2(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD + "sed: 1\n")
    (tmp_path / "y.yaml").write_text("a: [\n")
    code, out, err = cli("check", "x.yaml", "y.yaml", "z.yaml")
    assert (code, err) == (2, "")
    assert 'x.yaml:4:1: sed: unknown key "sed" (did you mean "seed"?)' in out
    assert "y.yaml:2:1: not YAML" in out
    assert "z.yaml: cannot be read: No such file or directory" in out


def test_check_warns_and_exits_0(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD + "events: [{at: 9s, silence: a}]\n")
    code, out, _ = cli("check", "x.yaml")
    assert code == 0
    assert "x.yaml:4:15: warning: events[0].at: 9s is not before the end of the run (5s)" in out
    assert out.endswith("x.yaml: ok, 1 warning\n")


def test_check_as_json_has_every_problem_as_fields(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD + "sed: 1\n")
    code, out, _ = cli("check", "x.yaml", "--json")
    (problem,) = json.loads(out)["errors"]
    assert code == 2
    assert (problem["line"], problem["column"], problem["path"]) == (4, 1, "sed")


def test_check_takes_topology_files_too(cli, tmp_path):
    (tmp_path / "n.yaml").write_text("nodes: {a: {kernal: x}}\n")
    code, out, _ = cli("check", "n.yaml")
    assert code == 2
    assert out.startswith('n.yaml:1:13: nodes.a.kernal: unknown key "kernal" (did you mean "kernel"?)')
    assert cli("check", ROOT / "topologies" / "two-isps.yaml")[0] == 0


def test_input_errors_of_run_go_to_standard_error_with_exit_2(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD + "sed: 1\n")
    code, out, err = cli("run", "x.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("x.yaml:4:1: sed: unknown key")


def test_a_bad_option_is_wrong_input(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    assert cli("run", "x.yaml", "--set", "seed")[::2] == (
        2,
        "--set: seed: not KEY=VALUE (as in --set traffic.web.rate=1Mbit)\n",
    )
    assert cli("run", "--nonsense")[0] == 2
    assert cli("show", "x.yaml", "a", "ip link", "--at", "soon")[0] == 2


def test_what_nobody_expected_is_a_bug_with_exit_3_and_debug_shows_where(cli, monkeypatch, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)

    def broken(*args, **kwargs):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("netsim.scenario.load.load", broken)
    code, out, err = cli("check", "x.yaml")
    assert (code, out) == (3, "")
    assert "netsim: a bug in netsim: ZeroDivisionError: oh" in err
    assert "--debug" in err
    with pytest.raises(ZeroDivisionError):
        main(["check", "x.yaml", "--debug"])


def test_a_full_disk_is_no_bug_of_netsim(cli, tmp_path, monkeypatch):
    (tmp_path / "x.yaml").write_text(GOOD)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("netsim.scenario.load.load", full)
    assert cli("check", "x.yaml") == (2, "", "netsim: cannot write: No space left on device\n")


def test_schema_is_json_and_knows_verbs_and_states(cli):
    code, out, _ = cli("schema")
    schema = json.loads(out)
    assert code == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"silence", "revive", "flap", "inject", "id"} <= set(schema["$defs"]["Event"]["properties"])
    assert "FAILED" in json.dumps(schema)
    assert {"type": "string"}.items() <= schema["properties"]["topology"]["anyOf"][0].items()
    assert {"from", "to"} <= set(schema["$defs"]["Traffic"]["required"])
    assert json.loads(cli("schema", "--topology")[1])["title"] == "netsim topology"


def test_topo_lists_and_converts_both_ways(cli, tmp_path):
    two = ROOT / "topologies" / "two-isps.yaml"
    code, out, _ = cli("topo", "list", two)
    assert code == 0
    assert out.endswith("6 nodes  5 links  isp1,isp2  two inside hosts behind a NAT router with two providers\n")
    assert json.loads(cli("topo", "list", two, "--json")[1])[0]["gateways"] == ["isp1", "isp2"]
    for suffix in ("graphml", "gml", "json"):
        assert cli("topo", "convert", two, f"n.{suffix}") == (0, f"n.{suffix}\n", "")
        assert cli("topo", "convert", f"n.{suffix}", "back.yaml")[0] == 0
        assert "ip rule add prio 10 table main" in (tmp_path / "back.yaml").read_text()
    assert cli("topo", "convert", two, "n.txt")[::2] == (
        2, 'n.txt: ".txt" is no suffix of a topology file; there are: .yaml, .graphml, .gml, .json\n'
    )  # fmt: skip


MAP = ROOT / "topologies/public/abilene.graphml"


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (MAP, "o.txt", 'o.txt: ".txt" is no suffix of a topology file; there are: .yaml, .graphml, .gml, .json\n'),
        (MAP, "o", 'o: "" is no suffix of a topology file; there are: .yaml, .graphml, .gml, .json\n'),
        (MAP, "no/o.yaml", "no/o.yaml: cannot be written: No such file or directory\n"),
        ("no.graphml", "o.yaml", "no.graphml: cannot be read: No such file or directory\n"),
        ("bad.json", "o.yaml", "bad.json: line n1-n2: LinkSpeedRaw: -5 is no rate\n"),
    ],
)
def test_topo_plan_tells_what_it_cannot_read_plan_or_write(cli, tmp_path, source, target, said):
    edges = [{"source": 1, "target": 2, "LinkSpeedRaw": -5}]
    (tmp_path / "bad.json").write_text(json.dumps({"nodes": [{"id": 1}, {"id": 2}], "edges": edges}))
    code, out, err = cli("topo", "plan", source, target)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(said)
    assert not (tmp_path / target).exists()


def test_topo_plan_writes_by_the_suffix_a_file_that_is_read_again(cli, tmp_path):
    assert cli("topo", "plan", MAP, "o.graphml") == (0, "o.graphml\n", "")
    assert (tmp_path / "o.graphml").read_text().startswith("<graphml")
    assert cli("topo", "list", "o.graphml")[1].split()[:3] == ["o.graphml", "11", "nodes"]


def test_a_topology_too_long_to_be_read_again_is_not_written(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("netsim.topology.importers.LONGEST", 10_000)
    assert cli("topo", "plan", MAP, "o.yaml")[::2] == (
        2, "o.yaml: it would be 17,229 octets long, and no file of netsim has more than 10,000\n"
    )  # fmt: skip
    assert not (tmp_path / "o.yaml").exists()


@pytest.mark.slow
def test_topo_draws_the_same_picture_twice(cli, tmp_path):
    two = ROOT / "topologies" / "two-isps.yaml"
    for name in ("a.svg", "b.svg"):
        assert cli("topo", "draw", two, "--out", name)[:2] == (0, f"{name}\n")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert cli("topo", "draw", two, "--out", "a.bmp")[0] == 2


def test_new_writes_a_scenario_that_checks_and_never_overwrites(cli):
    assert cli("new", "my-office") == (0, "my-office.yaml\n", "")
    assert cli("check", "my-office.yaml") == (0, "my-office.yaml: ok\n", "")
    assert cli("new", "my-office")[::2] == (2, "my-office.yaml: exists already (choose another name or remove it)\n")
    assert cli("new", "no/such")[0] == 2


def test_diff_tells_where_two_results_differ(cli, tmp_path):
    one = Result(scenario="x", seed=7, duration_s=1.0, passed=True, digest="ab", drops={"A": 1}, wall_s=1.0)
    other = Result(scenario="x", seed=7, duration_s=1.0, passed=True, digest="cd", drops={"B": 1}, neigh=({"t": 1},))
    for name, result in (("a", one), ("b", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(result.to_json())
    assert cli("diff", "a", "a") == (0, "no difference\n", "")
    code, out, _ = cli("diff", "a", "b/result.json")
    assert (code, out.splitlines()) == (1, [
        "digest: ab, then cd", "neigh: 0 entries, then 1", "drops.A: 1, then nothing", "drops.B: nothing, then 1",
    ])  # fmt: skip
    assert cli("diff", "a", "c")[0] == 2


def test_doctor_lists_libraries_and_tools(cli):
    code, out, _ = cli("doctor")
    assert code == 0
    assert any(line.split()[:2] == ["ok", "simpy"] for line in out.splitlines())
    assert json.loads(cli("doctor", "--json")[1])["ok"] is True


def test_doctor_tells_whether_the_stack_is_compiled(cli):
    checks = {each["what"]: each for each in json.loads(cli("doctor", "--json")[1])["checks"]}
    native = not netns.__file__.endswith(".py")
    assert checks["engine"]["said"].startswith("compiled with mypyc" if native else "pure Python")


@pytest.mark.parametrize(
    "command",
    [(), ("run",), ("check",), ("plot",), ("show",), ("schema",), ("new",), ("doctor",), ("test",), ("diff",)],
)
def test_every_command_has_help_with_an_example(cli, command):
    code, out, _ = cli(*command, "--help")
    assert code == 0
    assert "Example: netsim " in out


@pytest.mark.slow
def test_help_loads_nothing_heavy():
    """Start-up is quick because simpy, scapy, networkx, matplotlib and pydantic are imported where they are needed."""
    code = (
        "import sys\nfrom netsim.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'simpy', 'scapy', 'networkx', 'matplotlib', 'pydantic', 'yaml', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_two_files_that_would_write_into_one_folder_are_refused(cli, tmp_path):
    (tmp_path / "deep").mkdir()
    for folder in (tmp_path, tmp_path / "deep"):
        (folder / "x.yaml").write_text(GOOD)
    code, out, err = cli("run", "x.yaml", "deep/x.yaml", "--out", "o")
    hint = "run them one by one, each with a folder"
    assert (code, out, err) == (2, "", f"--out: two files would write into o/x ({hint})\n")
    assert not (tmp_path / "o").exists()


def test_a_folder_that_another_run_writes_into_is_told(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    other = Staging(tmp_path / "o")
    assert cli("run", "x.yaml", "--out", "o") == (2, "", "--out: o cannot be written: another run is writing there\n")
    other.discard()


def test_a_file_of_the_run_whose_name_is_taken_by_a_folder_is_told(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    (tmp_path / "o" / "trace.jsonl" / "mine").mkdir(parents=True)
    code, _, err = cli("run", "x.yaml", "--out", "o")
    assert (code, err) == (2, "--out: o cannot be written: Is a directory\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plot", "x.yaml", "--out", "x.yaml"), "--out: x.yaml cannot be written: File exists\n"),
        (("plot", "pipe"), "pipe: is a device or a pipe, not a file\n"),
        (("verify", "x.yaml", "--record", "x.yaml"), "--record: x.yaml cannot be written: File exists\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_read_or_written_is_one_line_and_status_2(cli, tmp_path, words, said):
    (tmp_path / "x.yaml").write_text(GOOD)
    os.mkfifo(tmp_path / "pipe")
    assert cli(*words) == (2, "", said)


def test_topo_list_takes_the_topologies_of_a_folder_and_nothing_else(cli, tmp_path):
    two = (ROOT / "topologies" / "two-isps.yaml").read_text()
    for name, text in (("b.yaml", two), ("a.yml", two), ("README.md", "# not one"), ("a.png", "nor this")):
        (tmp_path / name).write_text(text)
    code, out, err = cli("topo", "list", ".")
    assert (code, [line.split()[0] for line in out.splitlines()], err) == (0, ["a.yml", "b.yaml"], "")


@pytest.mark.slow
def test_a_terminal_that_knows_fewer_letters_gets_their_numbers(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD + "name: \u00e5\n")
    done = subprocess.run(
        [sys.executable, "-m", "netsim", "run", "x.yaml"], cwd=tmp_path, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\\xe5: nothing was expected")


def test_a_topology_file_is_shown_and_not_run(cli):
    two = ROOT / "topologies" / "two-isps.yaml"
    code, out, err = cli("show", two, "router", "ip rule", "--at", "0s")
    assert (code, err) == (0, "")
    assert out.startswith("0:\tfrom all lookup local\n")
    code, out, err = cli("run", two)
    line, text, caret = err.splitlines()
    assert (code, out, text, caret) == (2, "", "    nodes:", "    ^")
    assert line.endswith(": a topology file, not a scenario (a scenario names it: topology: two-isps.yaml)")


def test_a_terminal_is_never_told_what_to_do_by_a_file(cli, tmp_path):
    """An escape sequence in a name would move the cursor over the verdicts, or worse."""
    (tmp_path / "x.yaml").write_text(
        f'{GOOD}name: "a\\e[2J"\nexpect: [{{name: "b\\e[31m", flow: w, lost: 9, delivered: 0}}]\n'
    )
    code, out, _ = cli("run", "x.yaml")
    assert (code, "\x1b" in out) == (1, False)
    assert "TEST: b\\x1b[31m" in out
    assert "\na\\x1b[2J: " in out
    (tmp_path / "x.yaml").write_text(f'{GOOD}"c\\e[5m": 1\n')
    assert cli("run", "x.yaml")[::2] == (
        2, 'x.yaml:4:1: c\\x1b[5m: unknown key "c\\x1b[5m"\n    "c\\e[5m": 1\n    ^\n'
    )  # fmt: skip
