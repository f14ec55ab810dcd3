"""Render the notebooks with their output into rendered/: the same octets for the same notebook, no dates, no counters.

Needs pip install -e '.[notebook]'.
"""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent

for path in sorted(HERE.glob("[0-9]_*.py")):
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    resources = {"metadata": {"path": str(HERE)}}
    NotebookClient(notebook, kernel_name="python3", record_timing=False, resources=resources).execute()
    notebook.metadata.pop("jupytext", None)
    nbformat.write(notebook, HERE / "rendered" / f"{path.stem}.ipynb")
    print(path.stem)
