"""What is public, by the contract: these names, each where it is promised, and completed in a notebook."""

from __future__ import annotations

import inspect

import pytest

import netsim

PROMISED = {
    "ACCEPT", "DROP", "Frame", "Lab", "Netns", "Result", "Scenario", "Seed", "load", "ms", "rewrite", "run", "sec",
}  # fmt: skip
"""Source: design/architecture.md section 3 (netsim/__init__), scenario-format.md, "In Python and pytest"."""


def test_exactly_the_promised_names_are_public():
    assert set(netsim.__all__) == PROMISED
    assert dir(netsim) == sorted(PROMISED)


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_name_is_there(name):
    assert getattr(netsim, name) is not None


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'netsim' has no attribute 'lap'"):
        _ = netsim.lap


@pytest.mark.parametrize(
    ("thing", "members"),
    [
        ("Lab", ["from_graph", "from_topology", "link", "flow", "event", "at", "run", "env", "bus", "now"]),
        ("Result", ["plot", "timing", "to_json", "load", "exit_code"]),
        ("Netns", ["receive", "request", "carrier", "tick", "next_deadline"]),
    ],
)
def test_what_the_contract_uses_of_a_class_is_there(thing, members):
    """Source: scenario-format.md, "In Python and pytest"; architecture.md, decision 1."""
    assert [name for name in members if not hasattr(getattr(netsim, thing), name)] == []


def test_now_is_given_by_keyword_to_every_call_of_a_box():
    """Source: design/style.md, rule 2."""
    for name in ("receive", "request", "carrier", "tick"):
        assert inspect.signature(getattr(netsim.Netns, name)).parameters["now"].kind is inspect.Parameter.KEYWORD_ONLY
