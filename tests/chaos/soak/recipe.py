"""What hypothesis draws: a few small numbers, so that a failing lab shrinks to few nodes, flows and events."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

MOST_NODES = 40


@dataclass(frozen=True)
class Recipe:
    """One lab. `form` is "gateway" (a masquerading router with uplinks) or "mesh" (anything); `taste` seeds the rest.

    `flows` and `events` are rows of small numbers that `network` and `storm` take modulo what there is. A `calm` lab
    keeps its addresses, rules and NAT: then what belongs to which uplink can be told.
    """

    form: str
    nodes: int
    taste: int
    seconds: int
    calm: bool
    flows: tuple[tuple[int, int, int, int, int], ...]
    events: tuple[tuple[int, int, int, int], ...]


def recipes() -> st.SearchStrategy[Recipe]:
    """Return recipes of every size; most are small, since most that goes wrong needs little."""
    small = st.integers(0, 2**16 - 1)
    return st.builds(
        Recipe,
        form=st.sampled_from(("gateway", "mesh")),
        nodes=st.one_of(st.integers(2, 8), st.integers(2, MOST_NODES)),
        taste=st.integers(0, 2**32 - 1),
        seconds=st.integers(2, 12),
        calm=st.booleans(),
        flows=st.lists(st.tuples(small, small, small, small, small), min_size=1, max_size=5).map(tuple),
        events=st.lists(st.tuples(small, small, small, small), max_size=24).map(tuple),
    )
