"""A pytest plugin that notes which lines of the files with sites ran, for test_sites.py: `-p watch_sites`.

Writes {file: [lines]} to the file that WATCH_SITES names. Only functions of those files are traced.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import FrameType

from sites import ROOT, sites

WANTED = {str(ROOT / site.file): site.file for site in sites()}
REACHED: dict[str, set[int]] = {name: set() for name in WANTED}


def _line(frame: FrameType, event: str, arg: object):
    if event == "line":
        REACHED[frame.f_code.co_filename].add(frame.f_lineno)
    return _line


def _call(frame: FrameType, event: str, arg: object):
    return _line if frame.f_code.co_filename in REACHED else None


def pytest_sessionstart() -> None:
    threading.settrace(_call)
    sys.settrace(_call)


def pytest_sessionfinish() -> None:
    sys.settrace(None)
    lines = {WANTED[name]: sorted(reached) for name, reached in REACHED.items()}
    Path(os.environ["WATCH_SITES"]).write_text(json.dumps(lines))
