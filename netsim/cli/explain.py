"""`netsim explain`: the life of one packet, the story of one neighbour, the reason of one decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Json, Seed, Settings, instant, settings

if TYPE_CHECKING:
    from netsim.scenario.model import Scenario


def explain(
    file: Annotated[str, typer.Argument(help="Scenario file.", metavar="FILE")],
    packet: Annotated[
        int | None,
        typer.Option("--packet", metavar="N", min=1, help="The Nth packet sent (that --flow and --filter let pass)."),
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", metavar="UID", min=1, help="The packet that this frame carried.")
    ] = None,
    flow: Annotated[str, typer.Option("--flow", metavar="NAME", help="Only packets of this traffic.")] = "",
    filter_: Annotated[
        str, typer.Option("--filter", metavar="WORDS", help='Only packets such as "udp and dst port 80".')
    ] = "",
    neigh: Annotated[
        str, typer.Option("--neigh", metavar='"NODE IP dev DEV"', help="A neighbour entry, up to --at.")
    ] = "",
    decision: Annotated[
        str | None,
        typer.Option("--decision", metavar='"[NODE] [at TIME]"', help="The first routing decision with a choice."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="60s", help="From this instant on; for --neigh: up to it.")
    ] = None,
    seed: Seed = None,
    json: Json = False,
    set_: Settings = None,
) -> None:
    """Explain a packet, a neighbour entry or a routing decision. Tells what happened to it, or why it was taken.

    Example: netsim explain scenarios/dead-gateway.yaml --flow voice --packet 2

    Example: netsim explain scenarios/dead-gateway.yaml --neigh "router 10.0.1.1 dev wan0" --at 100s

    Example: netsim explain scenarios/dead-gateway.yaml --decision "router at 96s"
    """
    from netsim.scenario.load import load

    _one_question(packet is not None or frame is not None or bool(flow), filter_, neigh, decision)
    scenario = load(file, settings=settings(set_, seed))
    when = instant(at, "--at", scenario.duration)
    from netsim.cli.output import progress
    from netsim.observe.filter import compile_filter
    from netsim.scenario import explanation  # simpy and the stack only once the file is right
    from netsim.scenario.runner import known_node

    matching = compile_filter(filter_) if filter_ else None
    found: object
    with progress(f"{scenario.name}: looking") as bar:
        if neigh:
            node, dst, dev = _neighbour(neigh)
            known_node(scenario, node)
            _known_device(scenario, node, dev)
            found = explanation.explain_neigh(scenario, node, dst, dev, at=when, progress=bar)
        elif decision is not None:
            node, told = _decision(decision, scenario.duration)
            if node:
                known_node(scenario, node)
            start = told if told is not None else when or 0
            found = explanation.explain_decision(scenario, node=node, at=start, matching=matching, progress=bar)
        else:
            found = explanation.explain_packet(
                scenario, uid=frame or 0, number=packet or 1, matching=matching, flow=flow, after=when or 0,
                progress=bar,
            )  # fmt: skip
    if json:
        from json import dumps

        from netsim.observe.explain.facts import as_json

        typer.echo(dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        from netsim.observe.explain.text import told as text

        typer.echo(text(found), nl=False)


def _one_question(packet: bool, filter_: str, neigh: str, decision: str | None) -> None:
    from netsim.errors import ConfigError, Problem

    hint = "one of --packet, --frame, --flow, --filter, --neigh, --decision"
    if not packet and not filter_ and not neigh and decision is None:
        raise ConfigError(Problem("explain", 0, 0, "", "explain what?", hint))
    if neigh and (packet or filter_ or decision is not None):
        raise ConfigError(Problem("explain", 0, 0, "", "--neigh goes with --at alone", hint))
    if packet and decision is not None:
        raise ConfigError(Problem("explain", 0, 0, "", "--decision goes with --filter and --at alone", hint))


def _neighbour(text: str) -> tuple[str, str, str]:
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.expectations import split_neigh

    try:
        node, dst, dev = split_neigh(text)
    except ValueError as error:
        raise ConfigError(Problem("--neigh", 0, 0, "", str(error), 'as "router 10.0.1.1 dev wan0"')) from error
    return node, dst, dev


def _known_device(scenario: Scenario, node: str, dev: str) -> None:
    """Raise ConfigError unless the node has this interface, or commands may make it."""
    from netsim.errors import ConfigError, Problem
    from netsim.scenario.check import Context
    from netsim.scenario.words import did_you_mean

    known = None if scenario.origin is None else Context(scenario.origin, []).devices(node)
    if known is not None and dev not in known:
        raise ConfigError(Problem("--neigh", 0, 0, "", f'{node} has no interface "{dev}"', did_you_mean(dev, known)))


def _decision(text: str, end: int) -> tuple[str, int | None]:
    """Read "[NODE] [at TIME]", an instant of a run of length `end`."""
    from netsim.errors import ConfigError, Problem

    words = text.split()
    at = None
    if len(words) >= 2 and words[-2] == "at":
        at = instant(words[-1], "--decision", end)
        words = words[:-2]
    if len(words) > 1 or words == ["at"]:
        raise ConfigError(Problem("--decision", 0, 0, "", f'"{text}" cannot be read', 'as "router at 96s"'))
    return (words[0] if words else ""), at
