"""Each notebook runs from top to bottom as plain Python, uses the public API alone, and prints what it printed before.

A rendering with outputs stands in notebooks/rendered/; its source is held equal to the percent file.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netsim

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]_*.py"))


def cells(text: str) -> list[str]:
    """Cut a percent file into its cells' text, the header aside."""
    out: list[str] = []
    for line in text.split("# ---\n", 2)[2].splitlines():
        if line.startswith("# %%"):
            out.append("")
        else:
            out[-1] += line + "\n"
    return [cell.strip() for cell in out]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_the_same(path, golden):
    ran = subprocess.run(
        [sys.executable, "-W", "error", path.name], cwd=path.parent, capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    golden(ran.stdout, HERE / f"{path.stem}.txt")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_the_public_api_alone(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "netsim":
            assert node.module == "netsim"
            assert {alias.name for alias in node.names} <= set(netsim.__all__)
        elif isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.split(".")[0] == "netsim"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_rendering_shows_the_notebook_as_it_is(path):
    """A stale rendering shows code that is no more; notebooks/README.md tells how it is made anew."""
    rendered = json.loads((path.parent / "rendered" / f"{path.stem}.ipynb").read_text(encoding="utf-8"))
    shown = [
        "".join(cell["source"]).strip() if cell["cell_type"] == "code"
        else "\n".join(f"# {line}".rstrip() for line in "".join(cell["source"]).strip().splitlines())
        for cell in rendered["cells"]
    ]  # fmt: skip
    assert cells(path.read_text(encoding="utf-8")) == shown
