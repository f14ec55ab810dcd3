"""Verdicts for machines: JUnit and GitHub annotations name the YAML line."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

SCENARIO = """\
name: half
duration: 5s
topology:
  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}
  links: {c: {ends: [a:eth0, b:eth0]}}
traffic: {talk: {from: a, to: b, every: 1s}}
expect:
  - name: all arrive
    flow: talk
    delivered: 100%
  - name: "none, 0% arrive: <&>"
    flow: talk
    delivered: 0%
"""


@pytest.fixture
def half(cli, tmp_path):
    """Run `netsim test` on a scenario of which one half holds."""
    (tmp_path / "half.yaml").write_text(SCENARIO)
    return lambda *options: cli("test", "half.yaml", *options)


def test_junit_has_a_case_an_expectation_with_its_line(half, tmp_path):
    assert half("--junit", "report.xml")[0] == 1
    suite = ElementTree.parse(tmp_path / "report.xml").getroot().find("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("half.yaml", "2", "1")
    good, bad = suite.findall("testcase")
    assert (good.get("name"), good.get("file"), good.get("line")) == ("all arrive", "half.yaml", "8")
    assert (bad.get("name"), bad.get("line")) == ("none, 0% arrive: <&>", "11")
    assert bad.find("failure").text.startswith("half.yaml:11: talk: 6 of 6 delivered (100%)")


def test_junit_is_xml_whatever_the_names_hold(cli, tmp_path):
    """XML 1.0, production 2: no control characters, not even escaped, and no lone surrogates."""
    odd = "\\e[31m \\0 \\x7f \\uFFFE \\U0001F600 <&> '"
    (tmp_path / "half.yaml").write_text(SCENARIO.replace("none, 0% arrive: <&>", odd))
    assert cli("test", "half.yaml", "--junit", "report.xml")[0] == 1
    cases = ElementTree.parse(tmp_path / "report.xml").findall("testsuite/testcase")
    assert cases[1].get("name") == "<U+001B>[31m <U+0000> \x7f <U+FFFE> \U0001f600 <&> '"


def test_an_interrupted_run_has_a_report_that_says_so(half, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    (tmp_path / "again.yaml").write_text(SCENARIO)
    monkeypatch.setattr("netsim.cli.test._print", interrupted)  # the first file is done by then
    assert half("again.yaml", "--jobs", "1", "--junit", "report.xml")[0] == 130
    done, undone = ElementTree.parse(tmp_path / "report.xml").findall("testsuite")
    assert [(each.get("name"), each.get("failures"), each.get("errors")) for each in (done, undone)] == [
        ("half.yaml", "1", "0"), ("again.yaml", "0", "1")
    ]  # fmt: skip
    assert undone.find("testcase/error").get("message") == "not finished"


def test_on_github_what_failed_is_annotated_at_its_line(half, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _, out, _ = half()
    (line,) = [line for line in out.splitlines() if line.startswith("::error")]
    assert line.startswith("::error file=half.yaml,line=11,title=none%2C 0%25 arrive%3A <&>::talk: 6 of 6 delivered")


@pytest.mark.parametrize(
    ("name", "said"), [("no/such/report.xml", "No such file or directory"), (".", "Is a directory")]
)
def test_an_unwritable_report_is_told_before_anything_is_run(half, name, said):
    assert half("--junit", name) == (2, "", f"{name}: cannot be written: {said}\n")
