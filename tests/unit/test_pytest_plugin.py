"""The pytest plug-in: one item an expectation, one run a file, load errors as a failing item.

The runner is a fake that holds whatever expectation is called "good ...": what a run finds is other tests' business.
"""

from importlib.metadata import entry_points

import pytest

INSTALLED = any(point.value == "netsim.pytest_plugin" for point in entry_points(group="pytest11"))
"""Whether the plug-in loads by itself, because the package is installed: a second time would be refused."""

pytest_plugins = ["pytester"]

FAKE_RUNNER = """
import sys, types
from netsim.scenario.result import Result, Verdict

def run_scenario(scenario, **_):
    print("RAN", scenario.name, scenario.seed)
    verdicts = tuple(
        Verdict(name=e.name, passed=e.name.startswith("good"), measured={"at_s": 1.5}, why="it was so")
        for e in scenario.expect
    )
    return Result(scenario=scenario.name, seed=scenario.seed, duration_s=1.0, passed=True, digest="ab", expect=verdicts)

module = types.ModuleType("netsim.scenario.runner")
module.run_scenario = run_scenario
sys.modules["netsim.scenario.runner"] = module
"""

SCENARIO = """\
seed: 7
topology: {nodes: {a: {}}}
expect:
  - {name: good one, repeatable: true}
  - {name: bad one, repeatable: true}
"""


@pytest.fixture
def project(pytester):
    """A project with a scenarios folder and the fake runner; `run(*args)` runs pytest there in a process of its own."""
    pytester.makeconftest(FAKE_RUNNER)
    (pytester.mkdir("scenarios") / "deep").mkdir()
    (pytester.path / "scenarios" / "deep" / "x.yaml").write_text(SCENARIO)
    pytester.makefile(".yaml", elsewhere="not: collected")

    def run(*args):
        plugin = () if INSTALLED else ("-p", "netsim.pytest_plugin")
        return pytester.runpytest_subprocess(*plugin, "-p", "no:cacheprovider", *args)

    pytester.project_run = run
    return pytester


@pytest.mark.slow
def test_each_expectation_is_an_item_and_the_file_runs_once(project):
    result = project.project_run("-v", "-rP", "-s")
    result.assert_outcomes(passed=1, failed=1)
    assert result.outlines.count("RAN x 7") + sum(line.endswith("RAN x 7") for line in result.outlines) >= 1
    assert sum("RAN x 7" in line for line in result.outlines) == 1
    result.stdout.fnmatch_lines(
        ["x.yaml:5: bad one", "it was so", "seed 7; again: netsim run scenarios/deep/x.yaml --seed 7"]
    )


@pytest.mark.slow
def test_a_seed_for_all_files_can_be_given(project):
    result = project.project_run("--netsim-seed", "9", "-s")
    assert sum("RAN x 9" in line for line in result.outlines) == 1


@pytest.mark.slow
def test_a_file_with_mistakes_is_one_failing_item_and_the_others_still_run(project):
    (project.path / "scenarios" / "broken.yaml").write_text("sed: 7\ntopology: {nodes: {a: {}}}\n")
    result = project.project_run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(['*broken.yaml:1:1: sed: unknown key "sed" (did you mean "seed"?)'])


@pytest.mark.slow
def test_the_netsim_fixture_gives_plain_timing_for_snapshots(project):
    project.makepyfile("""
        def test_timing(netsim):
            assert netsim("scenarios/deep/x.yaml").timing() == {"good one": 1.5, "bad one": 1.5}
            assert netsim("scenarios/deep/x.yaml", seed=3).seed == 3
    """)
    project.project_run("-k", "timing").assert_outcomes(passed=1)
