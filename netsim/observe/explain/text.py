"""Explanations as text: one line a fact, its places in the scenario beside it, what belongs to it below."""

from __future__ import annotations

from collections.abc import Iterator

from netsim.observe.explain.facts import Fact, Life, clock

_INDENT = "    "


def life_text(life: Life) -> str:
    """Tell a packet's life."""
    return "\n".join(_life(life)) + "\n"


def _life(life: Life) -> Iterator[str]:
    yield f"frame {life.frame}: {life.summary}"
    for stage in life.stages:
        yield ""
        yield f"{clock(stage.t):>12}  {stage.node}"
        for fact in stage.facts:
            yield from fact_lines(fact)
    yield ""
    for ending in life.endings:
        yield f"{clock(ending.t):>12}  {ending.text}"
    if not life.endings:
        yield f"{'':>12}  is still under way when the run ends"
    if life.bystanders:
        yield f"{'':>14}seen by {', '.join(dict.fromkeys(life.bystanders))}, whose MAC it was not for"
    for note in life.notes:
        yield f"{'':>14}{note}"


def fact_lines(fact: Fact) -> Iterator[str]:
    """Yield a fact's lines, indented below its stage."""
    head = " " * 14
    yield f"{head}{fact.text}"
    for place in fact.places:
        yield f"{head}{_INDENT}{place}: {place.text}"
    for line in fact.lines:
        yield f"{head}{_INDENT}{line}"
