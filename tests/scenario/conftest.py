"""Puts tests/kernel on the path, where the recorded cases are played from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
