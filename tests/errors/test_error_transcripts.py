"""Every bad input of the corpus, with the whole text that a person sees.

`pytest tests/errors --update-golden` rewrites the .txt files; read the diff before it goes in.
"""

from pathlib import Path

import pytest

from netsim.errors import ConfigError
from netsim.scenario.load import load

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", [*(path.name for path in sorted(CASES.glob("*.yaml"))), "no-such-file.yaml"])
def test_a_bad_file_is_refused_with_all_its_mistakes(name, golden, monkeypatch):
    monkeypatch.chdir(CASES)
    with pytest.raises(ConfigError) as caught:
        load(name)
    golden(f"{caught.value}\n", CASES / f"{Path(name).stem}.txt")


def test_fifteen_mistakes_and_more_are_told_at_once_in_file_order(monkeypatch):
    monkeypatch.chdir(CASES)
    with pytest.raises(ConfigError) as caught:
        load("fifteen.yaml")
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert len(places) >= 15
    assert places == sorted(places)
    for problem in caught.value.problems:
        assert problem.source
        assert len(problem.source) >= problem.column - 1
