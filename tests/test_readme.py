"""The README's promises: its command lines are what CI runs, its output is what the program prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN_LINE = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e . "
    "&& .venv/bin/netsim run scenarios/dead-gateway.yaml --out out"
)
TEST_LINE = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest"
WALL = re.compile(r", \d+ packet hops in [\d.]+ s\)")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_set_up_lines_stand_in_a_block_each():
    assert [block.strip() for block in blocks("sh")] == [RUN_LINE, TEST_LINE]


def test_ci_runs_exactly_the_readmes_test_line():
    assert TEST_LINE in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_the_output_shown_is_the_output():
    shown = next(block for block in blocks("text") if "TEST:" in block)
    ran = subprocess.run(
        [sys.executable, "-m", "netsim", "run", "scenarios/dead-gateway.yaml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert WALL.sub(")", shown).strip() == WALL.sub(")", ran.stdout).strip()


def test_every_file_named_exists():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
