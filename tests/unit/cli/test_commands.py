"""All commands alike: each has help with an example; what the README shows runs; two runs are told apart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netsim.cli import main
from netsim.cli.app import app
from netsim.cli.topo import topo

ROOT = Path(__file__).parents[3]
NAMES = [
    *sorted(command.name for command in app.registered_commands), "topo",
    *sorted(f"topo {command.name or command.callback.__name__}" for command in topo().registered_commands),
]  # fmt: skip
README = re.sub(r"<!-- tour -->.*?```\n.*?```", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
SHOWN = re.findall(r"^\$ (?!sudo)(.*netsim .*)$", README, re.MULTILINE)
"""What stands outside the tour, which tests/test_tour.py follows line by line in one folder."""
FILE = """\
seed: {seed}
duration: 3s
topology:
  nodes: {{a: {{addr: {{eth0: 10.0.0.1/24}}}}, b: {{addr: {{eth0: 10.0.0.2/24}}}}}}
  links: {{wire: {{ends: [a:eth0, b:eth0], delay: 1ms}}}}
traffic: {{w: {{from: a, to: b, kind: udp, every: 500ms}}}}
events: [{{at: {at}, silence: b}}]
"""


@pytest.mark.parametrize("name", NAMES)
def test_every_commands_help_shows_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*name.split(), "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    assert re.search(f"Example: (.* \\| )?netsim {name}\\b", out)


@pytest.mark.parametrize("words", [(), ("topo",)])
def test_help_has_a_whole_sentence_for_each_command(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


@pytest.mark.slow
@pytest.mark.parametrize("line", SHOWN)
def test_what_the_readme_shows_runs(line, tmp_path):
    for folder in ("scenarios", "topologies"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    line = line.replace("netsim ", f"{sys.executable} -m netsim ")
    ran = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode in {0, 1}, ran.stderr
    assert ran.stdout


@pytest.mark.slow
def test_diff_names_the_first_record_at_which_two_runs_part(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, at in (("a", "1s"), ("b", "2s")):
        (tmp_path / f"{name}.yaml").write_text(FILE.format(seed=1, at=at))
        with pytest.raises(SystemExit):
            main(["run", f"{name}.yaml", "--out", name])
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["diff", "a", "b"])
    out = capsys.readouterr().out
    assert caught.value.code == 1
    assert out.startswith("the traces part at record ")
    assert "  A 1.000000000 --- silence b" in out
    with pytest.raises(SystemExit):
        main(["diff", "a", "b", "--json"])
    assert json.loads(capsys.readouterr().out)["first_record"]["a"].startswith("1.000000000 --- silence b")


@pytest.mark.slow
def test_diff_of_a_run_with_itself_finds_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(FILE.format(seed=1, at="1s"))
    with pytest.raises(SystemExit):
        main(["run", "a.yaml", "--out", "a"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["diff", "a", "a"])
    assert (caught.value.code, capsys.readouterr().out) == (0, "no difference\n")
    good = (tmp_path / "a" / "trace.jsonl").read_text().splitlines()[0]
    for bad in ("{}", "x", "[" * 100_000, "\x00"):
        (tmp_path / "a" / "trace.jsonl").write_text(f"{good}\n{bad}\n")
        with pytest.raises(SystemExit) as caught:
            main(["diff", "a", "a"])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("a/trace.jsonl:2:1: no record of a trace: ")
