"""Which step of one sequence is which of the other."""

from __future__ import annotations

from netsim.oracle.align import Step, align
from netsim.units import sec


def steps(*given):
    return [Step(sec(t), words) for t, words in given]


def test_equal_sequences_pair_one_by_one():
    life = steps((0, "INCOMPLETE"), (1, "REACHABLE"))
    assert align(life, life) == [(0, 0), (1, 1)]


def test_a_round_missing_at_the_beginning_does_not_shift_the_others():
    """The longest common run would pair the first round with the second, five seconds away."""
    ours = steps((5, "PROBE"), (6, "FAILED"), (10, "PROBE"), (11, "FAILED"))
    theirs = steps((0, "PROBE"), (1, "FAILED"), *((s.t // sec(1), s.words) for s in ours))
    assert align(ours, theirs) == [(None, 0), (None, 1), (0, 2), (1, 3), (2, 4), (3, 5)]


def test_what_only_one_side_did_is_left_over():
    assert align(steps((0, "a"), (1, "b")), steps((0, "a"), (1, "c"))) in (
        [(0, 0), (1, None), (None, 1)],
        [(0, 0), (None, 1), (1, None)],
    )


def test_long_sequences_are_aligned_too():
    ours = steps(*((n, f"frame {n}") for n in range(1100)))
    assert align(ours, ours[1:]) == [(0, None), *((n + 1, n) for n in range(1099))]
