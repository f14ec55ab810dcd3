"""Explanations as text: one line a fact, its places in the scenario beside it, what belongs to it below."""

from __future__ import annotations

from collections.abc import Iterator

from netsim.errors import InternalError
from netsim.observe.explain.decision import Decision
from netsim.observe.explain.facts import Fact, Life, clock
from netsim.observe.explain.neigh import NeighStory

_INDENT = "    "


def told(explanation: object) -> str:
    """Tell any explanation."""
    match explanation:
        case Life():
            return life_text(explanation)
        case NeighStory():
            return neigh_text(explanation)
        case Decision():
            return decision_text(explanation)
        case _:
            raise InternalError(f"no explanation: {explanation!r}")


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


def fact_lines(fact: Fact, indent: int = 14) -> Iterator[str]:
    """Yield a fact's lines, indented below its stage."""
    head = " " * indent
    yield f"{head}{fact.text}"
    for place in fact.places:
        yield f"{head}{_INDENT}{place}: {place.text}"
    for line in fact.lines:
        yield f"{head}{_INDENT}{line}"


def neigh_text(story: NeighStory) -> str:
    """Tell a neighbour's story, the reason for its last state first."""
    lines = [f"{story.dst} dev {story.dev} on {story.node}: {story.why}", ""]
    for fact in story.facts:
        lines.append(f"{clock(fact.t):>14}  {fact.text}")
        lines += [f"{'':>20}{line}" for line in fact.lines]
    return "\n".join(lines) + "\n"


def decision_text(decision: Decision) -> str:
    """Tell a decision: what, towards whom, and why."""
    frame = f"frame {decision.frame}, " if decision.frame else ""
    lines = [f"{decision.node} at {clock(decision.t)}: {frame}{decision.packet}: towards {decision.towards}", ""]
    lines += fact_lines(decision.route)
    lines += ["", f"{'':>14}what {decision.node} knew of the gateways:"]
    lines += [f"{'':>18}{fact.text}" for fact in decision.neighbours]
    lines += ["", f"{'':>14}{decision.left or 'does not leave at once: it waits for its neighbour, or ends here'}"]
    return "\n".join(lines) + "\n"
