"""Files from strangers: refused in a line, in bounded time and memory; nothing in them is run, read or reached for.

Each case runs in a process of its own, with its memory limited.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from netsim.files import LONGEST

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MEMORY = 1 << 30
SECONDS = 20
GOOD = """\
name: {name}
duration: 1s
topology:
  nodes: {{a: {{addr: {{eth0: 10.0.0.1/24}}}}, b: {{addr: {{eth0: 10.0.0.2/24}}}}}}
  links: {{c: {{ends: [a:eth0, b:eth0]}}}}
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<graphml><graph><node id="&b;"/></graph></graphml>'
)


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def netsim(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "netsim", *words], cwd=folder, capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=limited, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr or done.stdout


def flow(depth):
    return "a: " + "[" * depth + "]" * depth + "\n"


def block(depth):
    return "".join(" " * level + "a:\n" for level in range(depth))


TEXTS = {
    "billion laughs": (LAUGHS, "aliases unfold to too many values"),
    "an alias inside itself": ("a: &a [*a]\n", "an alias inside its own anchor"),
    "brackets": (flow(60), "nested deeper than 50 levels"),
    "brackets without end": (flow(100_000), "exceeded maximum nesting depth"),
    "braces": ("a: " + "{a: " * 60 + "}" * 60, "nested deeper than 50 levels"),
    "indentation": (block(20_000)[:3_000_000], "nested deeper than 50 levels"),
    "dashes": ("- " * 100_000 + "a\n", "nested deeper than 50 levels"),
    "wide dashes": ("-  " * 900 + "x\n", "x.yaml:1:151: nested deeper than 50 levels"),
    "question marks": ("? " * 900 + "x\n", "nested deeper than 50 levels"),
    "keys that begin below question marks": ("? a\n: " + "? " * 900 + "x\n", "nested deeper than 50 levels"),
    "some of each": ("- " * 23 + "[" * 49 + "]" * 49, "x.yaml:1:74: nested deeper than 50 levels"),
    "aliases of aliases": (
        f"a0: &a0 {'[' * 40}{']' * 40}\n"
        + "".join(f"a{n}: &a{n} {'[' * 40}*a{n - 1}{']' * 40}\n" for n in range(1, 50)),
        "nested deeper than 50 levels",
    ),
    "a python tag": ("name: !!python/object/apply:os.system ['touch stolen']\n", "name: a list is not text"),
    "control characters": ("name: a\x00b\n", "control characters are not allowed"),
    "a python name": ("name: !!python/name:os.system\n", "unknown YAML tag"),
    "a hundred thousand keys": ("".join(f"k{n}: 1\n" for n in range(100_000)), "99001 more mistakes"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused(tmp_path, name):
    text, said = TEXTS[name]
    (tmp_path / "x.yaml").write_text(text)
    code, out = netsim(tmp_path, "check", "x.yaml")
    assert code == 2
    assert said in out
    assert out.startswith("x.yaml:")
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_a_long_file_is_not_read(tmp_path):
    with (tmp_path / "x.yaml").open("wb") as file:
        file.truncate(100_000_000)
    code, out = netsim(tmp_path, "check", "x.yaml")
    assert (code, out) == (
        2, f"x.yaml: is 100,000,000 octets long, and no file of netsim has more than {LONGEST:,}\n"
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "not UTF-8", "nothing"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x.yaml"
    if kind == "pipe":
        os.mkfifo(path)
        said = "x.yaml: is a device or a pipe, not a file\n"
    elif kind == "device":
        path.symlink_to("/dev/zero")
        said = "x.yaml: is a device or a pipe, not a file\n"
    elif kind == "folder":
        path.mkdir()
        said = "x.yaml: cannot be read: Is a directory\n"
    elif kind == "loop":
        path.symlink_to("x.yaml")
        said = "x.yaml: cannot be read: Too many levels of symbolic links\n"
    elif kind == "not UTF-8":
        path.write_bytes(b"name: caf\xe9\n")
        said = "x.yaml:1:10: byte 0xe9 is not UTF-8 (save the file as UTF-8)\n"
    else:
        said = "x.yaml: cannot be read: No such file or directory\n"
    for command in ("check", "run"):
        assert netsim(tmp_path, command, "x.yaml") == (2, said)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.graphml", ENTITIES, "x.graphml: a GraphML file has no document type: entities would unfold\n"),
        ("x.graphml", "<graphml>" * 100_000, "x.graphml: not a graphml file: "),
        ("x.json", "[" * 1_000_000, "x.json: not a json file: "),
        ("x.gml", "graph [ " * 200_000, "x.gml: not a gml file: "),
    ],
    ids=["entities", "deep xml", "deep json", "deep gml"],
)
def test_a_hostile_graph_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    code, out = netsim(tmp_path, "check", name)
    assert code == 2
    assert out.startswith(said)
    assert len(out) < 1000


def test_a_hostile_result_is_refused(tmp_path):
    (tmp_path / "result.json").write_text("[" * 1_000_000)
    code, out = netsim(tmp_path, "plot", "result.json")
    assert code == 2
    assert out.startswith("result.json: not a result of netsim run: ")


@pytest.mark.parametrize("name", ["../../stolen", "/tmp/stolen", "a/b", "..", ".", "\\..\\stolen"])
def test_a_scenarios_name_is_no_path(tmp_path, name):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "x.yaml").write_text(GOOD.format(name=json.dumps(name)))
    assert netsim(folder, "run", "x.yaml", "--out", "out")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here"]
    assert sorted(path.name for path in folder.iterdir()) == ["out", "x.yaml"]


INJECTIONS = (
    "__import__('os').system('touch stolen')",
    "IP()/__import__('os').system('touch stolen')",
    "IP(dst=__import__('os').popen('touch stolen').read())",
    "IP(dst=[x for x in ().__class__.__bases__[0].__subclasses__()])",
    "Raw(load=open('/etc/passwd').read())",
    "IP(dst='10.0.0.1') if __import__('os').system('touch stolen') else IP()",
    "(lambda: IP())()",
    "sniff()",
    "IP().__class__",
    "IP(**{'dst': '1.1.1.1'})",
)


@pytest.mark.parametrize("packet", INJECTIONS)
def test_an_injected_packet_is_read_never_evaluated(tmp_path, packet):
    event = f"events: [{{at: 1ms, inject: {{to: 'a:eth0', packet: {json.dumps(packet)}}}}}]\n"
    (tmp_path / "x.yaml").write_text(GOOD.format(name="x") + event)
    code, out = netsim(tmp_path, "run", "x.yaml")
    assert code == 2
    assert out.startswith("x.yaml:6:")
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.system ['touch stolen']", "$(touch stolen)", "`touch stolen`"]
)
def test_a_setting_is_read_never_evaluated(tmp_path, value):
    (tmp_path / "x.yaml").write_text(GOOD.format(name="x"))
    code, out = netsim(tmp_path, "check", "x.yaml", "--set", f"duration={value}")
    assert code == 2
    assert out.startswith("--set duration")
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_command_lines_of_a_file_are_netsims_own_words(tmp_path):
    """`run:` knows the tools of a box; what a shell of this machine could do is not there."""
    text = GOOD.format(name="x").replace("addr: {eth0: 10.0.0.1/24}", "addr: {eth0: 10.0.0.1/24}, run: touch stolen")
    (tmp_path / "x.yaml").write_text(text)
    code, out = netsim(tmp_path, "run", "x.yaml")
    assert code == 2
    assert "touch: not found" in out
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]
