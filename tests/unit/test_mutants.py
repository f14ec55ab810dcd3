"""The mutants are what they say, and parse."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mutation"))
from mutants import mutants_of  # a folder of programs, not a package

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("a = b == c\n", ["a = b != c\n"]),
        ("x = a and b or c\n", ["x = ((a and b) and (c))\n", "x = ((a) or (b)) or c\n"]),
        ("if not a:\n    b()\n", ["if (not (not a)):\n    b()\n", "if (a):\n    b()\n", "if not a:\n    pass\n"]),
        ("x = é + 1\n", ["x = (é) - (1)\n", "x = é + 2\n"]), ("a.b = True\n", ["pass\n", "a.b = False\n"]),
        ("for x in y:\n    break\n", ["for x in y:\n    continue\n"]),
        ('"""words 1"""\nx: int\nraise A(1)\n', []),
        ("def f(a: 1 = 2) -> 3:\n    return a\n", ["def f(a: 1 = 3) -> 3:\n    return a\n"]),
    ],
)  # fmt: skip
def test_each_change_is_one_place(tmp_path, source, mutants):
    file = tmp_path / "x.py"
    file.write_text(source)
    assert [each.apply(source) for each in mutants_of(file, "x.py")] == mutants


def test_every_mutant_of_a_real_file_parses():
    path = ROOT / "netsim/stack/neigh/nud.py"
    source = path.read_text()
    found = list(mutants_of(path, "nud.py"))
    assert len(found) > 50
    for mutant in found:
        ast.parse(mutant.apply(source))


def test_what_is_called_equivalent_still_stands_in_the_sources():
    """A line that was rewritten has mutants of its own, and perhaps a test that kills them."""
    kept = tomllib.loads((ROOT / "tests/mutation/equivalent.toml").read_text(encoding="utf-8"))["mutant"]
    for each in kept:
        lines = (ROOT / each["file"]).read_text(encoding="utf-8").splitlines()
        found = {
            mutant.what
            for mutant in mutants_of(ROOT / each["file"], each["file"])
            if lines[mutant.line - 1].strip() == each["line"]
        }
        assert set(each["what"]) <= found, each
        assert each["why"]
