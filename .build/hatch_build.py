"""The optional compiled build: `NETSIM_COMPILE=1 pip install .` compiles the hot rooms with mypyc from their source.

Pure Python is the default and the reference: without the variable this hook does nothing, and the wheel is any's. The
sources stay beside what was compiled of them, so that tracebacks show lines and deleting the shared objects goes back.
Needs a C compiler and Python's headers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "NETSIM_COMPILE"
ROOMS = (
    "addr.py", "units.py", "seeds.py", "wire", "trace", "stack",
    "sim/clock.py", "sim/world.py", "sim/node.py", "sim/link.py", "sim/cable.py", "sim/hub.py", "sim/switch.py",
    "sim/impair.py", "sim/apps",
)  # fmt: skip
"""What a packet passes on its way."""
PLAIN = (
    "__init__.py",  # docstrings and names
    "errors.py",  # other rooms have errors of their own kind
    "wire/scapy_view.py",  # scapy's classes have no types
    "stack/profile",  # read when a box is made
    "stack/requests", "stack/netfilter/requests.py", "stack/netfilter/ct_requests.py",  # mypyc: dataclass on a Generic
)  # fmt: skip
"""What of these stays Python."""


def modules(root: Path) -> list[str]:
    """Return the paths to compile, relative to the project, in a stable order."""
    package = root / "netsim"
    plain = [package / each for each in PLAIN]
    found: list[str] = []
    for room in ROOMS:
        paths = sorted((package / room).rglob("*.py")) if (package / room).is_dir() else [package / room]
        for path in paths:
            if path.name not in PLAIN and not any(path == each or each in path.parents for each in plain):
                found.append(path.relative_to(root).as_posix())
    return found


def compile_into(root: Path, target: Path, optimise: str) -> list[Path]:
    """Compile the rooms of the project at `root`; return the shared objects, which lie below `target`/lib."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    class BuildOnAllCores(build_ext):
        """distutils compiles the files of an extension one after the other."""

        def build_extension(self, ext: Any) -> None:
            """Compile in parallel, then link as usual."""

            def one(source: str) -> str:
                made: list[str] = self.compiler.compile(
                    [source], output_dir=self.build_temp, include_dirs=ext.include_dirs, depends=ext.depends,
                    extra_postargs=ext.extra_compile_args,
                )  # fmt: skip
                return made[0]

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                ext.extra_objects = list(pool.map(one, ext.sources))
            ext.sources = []
            super().build_extension(ext)

    with contextlib.chdir(root):  # mypyc names modules after paths from here
        extensions = mypycify(
            [f"--cache-dir={target / 'mypy'}", *modules(root)],
            target_dir=str(target / "c"), opt_level=optimise, debug_level="0", multi_file=True, group_name="netsim",
        )  # fmt: skip
        build = BuildOnAllCores(Distribution({"name": "netsim-linux", "ext_modules": extensions}))
        build.build_lib, build.build_temp = str(target / "lib"), str(target / "o")
        build.ensure_finalized()
        build.run()
        return [Path(path) for path in build.get_outputs()]


class CustomBuildHook(BuildHookInterface):
    """Adds the compiled modules to the wheel if the switch asks for them."""

    def dependencies(self) -> list[str]:
        """Name what only this build needs; mypy looks at simpy's classes."""
        return ["mypy[mypyc]>=1.14", "setuptools>=77", "simpy>=4.1"] if os.environ.get(SWITCH) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before hatchling collects the wheel's files."""
        if not os.environ.get(SWITCH) or self.target_name != "wheel":
            return
        if version == "editable":
            raise RuntimeError(f"{SWITCH} compiles what is installed: use pip install . without -e")
        self._target = Path(tempfile.mkdtemp(prefix="netsim-compiled-"))
        for path in compile_into(Path(self.root), self._target, os.environ.get(f"{SWITCH}_OPT", "1")):
            build_data["force_include"][str(path)] = path.relative_to(self._target / "lib").as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built on the way."""
        if hasattr(self, "_target"):
            shutil.rmtree(self._target)
