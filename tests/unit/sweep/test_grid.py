"""Which runs a sweep consists of."""

from __future__ import annotations

import pytest

from netsim.errors import ConfigError
from netsim.sweep.grid import Axis, jobs, label, parse_axis, points


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("seed=1,2", Axis("seed", ("1", "2"))),
        ("kernel.router=linux-6", Axis("kernel.router", ("linux-6",))),
        ("patches.r=[a, b],[a]", Axis("patches.r", ("[a, b]", "[a]"))),
        ("run.r='a, b',c", Axis("run.r", ("'a, b'", "c"))),
        ("links.wan.loss=0%, 1%", Axis("links.wan.loss", ("0%", "1%"))),
    ],
)
def test_commas_separate_values_outside_brackets_and_quotes(text, axis):
    assert parse_axis(text) == axis


@pytest.mark.parametrize("text", ["seed", "=1", "a=1,,2", "a=", "a=1,1"])
def test_what_is_no_axis_is_refused(text):
    with pytest.raises(ConfigError, match="--vary"):
        parse_axis(text)


def test_points_are_every_combination_with_the_last_axis_fastest():
    assert points([Axis("a", ("1", "2")), Axis("b", ("x", "y"))]) == [
        (("a", "1"), ("b", "x")), (("a", "1"), ("b", "y")), (("a", "2"), ("b", "x")), (("a", "2"), ("b", "y")),
    ]  # fmt: skip


def test_nothing_to_vary_is_one_point():
    assert points([]) == [()]
    assert label(()) == "as written"


def test_a_key_varies_once():
    with pytest.raises(ConfigError, match="varied twice"):
        points([Axis("a", ("1",)), Axis("a", ("2",))])


def test_every_point_has_the_same_seeds():
    made = jobs([Axis("a", ("1", "2"))], runs=2, first_seed=7)
    assert [(job.number, job.point, job.seed) for job in made] == [(0, 0, 7), (1, 0, 8), (2, 1, 7), (3, 1, 8)]
    assert label(made[2].settings) == "a=2"
