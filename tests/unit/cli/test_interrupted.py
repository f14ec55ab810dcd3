"""Ctrl-C and SIGTERM: what there is is kept and told, and nothing ends without a word.

The same from outside, with processes and signals: tests/scenario/test_interruption.py.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from netsim.scenario.result import Result

TEXT = """\
name: twice
duration: 2s
topology:
  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}
  links: {c: {ends: [a:eth0, b:eth0]}}
traffic: {talk: {from: a, to: b, every: 1s}}
expect:
  - {name: all arrive, flow: talk, delivered: 100%}
  - {name: again, repeatable: true}
"""


@pytest.fixture
def twice(cli, tmp_path):
    (tmp_path / "x.yaml").write_text(TEXT)
    return cli


def interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def terminated(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("stop", "status"), [(interrupted, 130), (terminated, 143)])
@pytest.mark.parametrize("words", [("show", "x.yaml", "a", "ip addr"), ("test", "x.yaml")], ids=lambda words: words[0])
def test_a_command_that_keeps_nothing_says_that_it_was_interrupted(twice, monkeypatch, words, stop, status):
    monkeypatch.setattr("netsim.scenario.runner.run_lab", stop)
    code, _, err = twice(*words)
    assert (code, err) == (status, "netsim: interrupted\n")


def test_a_second_run_that_is_interrupted_leaves_the_first(twice, monkeypatch, tmp_path):
    monkeypatch.setattr("netsim.scenario.runner.digest_of", interrupted)
    code, out, err = twice("run", "x.yaml", "--out", "out")
    assert (code, err) == (130, "netsim: twice interrupted in its second run; what was there by then is in out\n")
    result = Result.load(tmp_path / "out")
    assert result.ended_s is None
    assert [(verdict.passed, verdict.why[:11]) for verdict in result.expect[1:]] == [(False, "not judged:")]
    assert result.expect[0].passed
    assert "not judged: the second run was interrupted" in out


def test_plots_that_are_interrupted_leave_the_result_and_none_of_an_earlier_run(twice, monkeypatch, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("report.html", "gateways.svg", "latency.png", "capture.pcapng", "notes.txt"):
        (tmp_path / "out" / name).write_text("an earlier run's, but for the notes")
    monkeypatch.setattr("netsim.scenario.outputs.save_plots", interrupted)
    code, out, err = twice("run", "x.yaml", "--out", "out")
    assert (code, err) == (
        130,
        "netsim: twice interrupted while its plots were drawn; what was there by then is in out\n",
    )
    assert Result.load(tmp_path / "out").passed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "notes.txt", "result.json", "trace.jsonl"
    ]  # fmt: skip
    assert "twice: all 2 expectations hold" in out


def test_ctrl_c_while_the_program_is_read_is_told_like_any_other(twice, monkeypatch):
    class Interrupting:
        def find_spec(self, name, path=None, target=None):
            if name == "netsim.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "netsim.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert twice("check", "x.yaml") == (130, "", "netsim: interrupted\n")


def test_a_mistake_that_nobody_listens_to_still_has_its_status(twice, monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    assert twice("run", "no.yaml")[0] == 2
