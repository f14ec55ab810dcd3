"""The pytest plug-in: scenario files are tests, each expectation a report line of its own.

Collects `scenarios/**/*.yaml`. A file runs once, for its first item; a file that cannot be loaded becomes one failing
item instead of a collection error, which would end the whole session. Fixtures: `netsim` runs a scenario file and
returns its Result, `lab` builds labs and closes them.
Everything heavy is imported when a scenario is met, so that other test runs pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netsim.errors import ConfigError
    from netsim.lab import Lab
    from netsim.scenario.model import Scenario
    from netsim.scenario.result import Result

_FOLDER = "scenarios"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `netsim run` that make sense here."""
    group = parser.getgroup("netsim", "network scenarios")
    group.addoption(
        "--netsim-seed", type=int, metavar="N", help="run scenario files with this seed instead of their own"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a YAML file below a folder named scenarios."""
    if file_path.suffix in {".yaml", ".yml"} and _FOLDER in file_path.parent.parts:
        made: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return made
    return None


class ScenarioFile(pytest.File):
    """One scenario file; runs once, however many of its expectations are asked for."""

    def __init__(self, **kwargs: Any) -> None:  # Any: pytest's own arguments
        super().__init__(**kwargs)
        self._result: Result | None = None
        self._scenario: Scenario | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item an expectation, or one that fails with the file's mistakes."""
        from netsim.errors import ConfigError

        try:
            self._scenario = self._load()
        except ConfigError as error:
            yield LoadErrorItem.from_parent(self, name="loads", error=error)
            return
        names = [expect.name for expect in self._scenario.expect] or ["runs"]
        for index, name in enumerate(names):
            item = ExpectationItem.from_parent(self, name=name, index=index)
            item.add_marker(pytest.mark.xdist_group(str(self.path)))
            yield item

    def _load(self) -> Scenario:
        from netsim.scenario.load import load

        seed = self.config.getoption("--netsim-seed")
        return load(self.shown, settings={} if seed is None else {"seed": str(seed)})

    @property
    def shown(self) -> Path:
        """The file as a person at the command line would name it."""
        here = Path.cwd()
        return self.path.relative_to(here) if self.path.is_relative_to(here) else self.path

    def result(self) -> Result:
        """Return the file's result, running it the first time."""
        from netsim.scenario.runner import run_scenario

        if self._result is None:
            assert self._scenario is not None, "items exist only after loading"
            self._result = run_scenario(self._scenario)
        return self._result

    def place(self, index: int) -> tuple[Path, int, str]:
        """Return where expectation `index` stands: file, line from 0, name."""
        scenario = self._scenario
        node = None if scenario is None or scenario.origin is None else scenario.origin.get("expect", index)
        return self.path, (node.mark.line - 1 if node is not None else 0), self.name


class ExpectationNotMetError(Exception):
    """An expectation did not hold; the text says what was measured."""


class ExpectationItem(pytest.Item):
    """One expectation of a scenario file."""

    parent: ScenarioFile

    def __init__(self, *, index: int, **kwargs: Any) -> None:  # Any: pytest's own arguments
        super().__init__(**kwargs)
        self.index = index

    def runtest(self) -> None:
        """Judge the expectation. A check of netsim's own (checksums) fails the file's last item."""
        result = self.parent.result()
        verdicts = list(result.expect)
        mine = verdicts[self.index : self.index + 1]
        listed = len(self.parent.result().expect)
        scenario = self.parent._scenario
        count = len(scenario.expect) if scenario is not None else listed
        if self.index >= count - 1:
            mine += verdicts[max(count, self.index + 1) :]
        for verdict in mine:
            self.user_properties.append(("measured", verdict.measured))
            if not verdict.passed:
                path, line, _ = self.parent.place(self.index)
                seed = result.seed
                again = f"netsim run {self.parent.shown} --seed {seed}"
                raise ExpectationNotMetError(
                    f"{path.name}:{line + 1}: {verdict.name}\n{verdict.why}\nseed {seed}; again: {again}"
                )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # Any: pytest's own
        """Show the sentence for a failed expectation, the traceback for everything else."""
        if isinstance(excinfo.value, ExpectationNotMetError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Tell where the expectation stands."""
        path, line, _ = self.parent.place(self.index)
        return path, line, self.name


class LoadErrorItem(pytest.Item):
    """Stands for a scenario file with mistakes: fails with all of them."""

    def __init__(self, *, error: ConfigError, **kwargs: Any) -> None:  # Any: pytest's own arguments
        super().__init__(**kwargs)
        self.error = error

    def runtest(self) -> None:
        """Fail."""
        raise self.error

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # Any: pytest's own
        """Show the mistakes."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Tell where the first mistake is."""
        first = self.error.problems[0] if self.error.problems else None
        return self.path, max(0, first.line - 1) if first is not None else 0, self.name


@pytest.fixture
def netsim() -> Callable[..., Result]:
    """Run a scenario file: netsim("scenarios/dead-gateway.yaml", seed=7) -> Result."""

    def run(path: str | Path, *, seed: int | None = None, settings: Mapping[str, str] | None = None) -> Result:
        from netsim.scenario.load import load
        from netsim.scenario.runner import run_scenario

        chosen = dict(settings or {})
        if seed is not None:
            chosen["seed"] = str(seed)
        return run_scenario(load(path, settings=chosen))

    return run


@pytest.fixture
def lab() -> Iterator[Callable[..., Lab]]:
    """Build labs: lab(topology, or a networkx graph, or a file, seed=7) -> Lab; closed after the test."""
    made: list[Lab] = []

    def build(source: Any, *, seed: int = 1, **overrides: Any) -> Lab:  # Any: three kinds of source, Lab's overrides
        from netsim.lab import Lab
        from netsim.scenario.load import load_topology
        from netsim.topology.graph import from_graph
        from netsim.topology.model import Topology

        if isinstance(source, (str, Path)):
            source = load_topology(source)
        topology = source if isinstance(source, Topology) else from_graph(source)
        made.append(Lab.from_topology(topology, seed=seed, **overrides))
        return made[-1]

    yield build
    for each in made:
        each.close()
